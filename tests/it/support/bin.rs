//! Where the programs under test lie. `tests/run.sh` has built those that Cargo does not build for
//! a test; `need!("static")` comes before any use of them.

use std::path::{Path, PathBuf};

/// The program, as Cargo built it together with this test.
pub(crate) fn lockkeeper() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_lockkeeper"))
}

/// The puppet, built beside it.
pub(crate) fn puppet() -> PathBuf {
    let folder = lockkeeper().parent().expect("a program lies in a folder");
    let puppet = folder.join("examples/puppet");
    assert!(
        puppet.exists(),
        "no puppet: run `cargo build --example puppet`"
    );
    puppet
}

/// Cargo's folder for what it builds; ours in it go with `cargo clean`.
pub(crate) fn target() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("tmp lies in target")
}

/// What tests/setup.sh has put below `target/real`.
pub(crate) fn real(name: &str) -> PathBuf {
    target().join("real").join(name)
}

/// The static release build of the program (`lockkeeper`) or of the puppet (`examples/puppet`).
pub(crate) fn static_build(name: &str) -> PathBuf {
    let triple = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    target().join(triple).join("release").join(name)
}
