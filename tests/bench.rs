//! The benchmarks: ratios within one run, against what people use today. Never a test: no figure
//! here makes anything pass or fail, the table says which targets are met and which are missed.
//!
//! `cargo build --release --target x86_64-unknown-linux-musl && cargo run --release --example bench`
//! (as root: PID namespaces). `bench start hand-off` runs only those parts; `scan` compares with a Go
//! program where go is (`LOCKKEEPER_BENCH=1 sh tests/setup.sh` installs it), `image` needs what tests/run.sh builds.
#![allow(
    unsafe_code,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    unreachable_pub,
    reason = "a benchmark is the outside world: it has a clock, starts programs, prints, and may fail"
)]

mod bench {
    pub mod handoff;
    pub mod idle;
    pub mod image;
    pub mod output;
    pub mod scan;
    pub mod start;
    pub mod status;
    pub mod sweep;
    pub mod table;
}

/// What the tests have for the real agent.
#[expect(dead_code, reason = "a benchmark asks less of it than a test")]
#[path = "it/support"]
mod support {
    pub mod api;
    pub mod net;
    pub mod prompt;
}

use std::path::PathBuf;

use bench::table::Table;

/// The static build that is measured, as an installation has it: copied. What a linker wrote lies in
/// the page cache in small pieces, and starts slower than any program from a package or an image.
fn installed() -> PathBuf {
    let copy = std::env::temp_dir().join(format!("lockkeeper-bench-{}", std::process::id()));
    std::fs::copy(built(), &copy).expect("a copy");
    copy
}

/// Cargo's folder for what it builds.
fn target() -> PathBuf {
    let own = std::env::current_exe().expect("our own path");
    let target = own.ancestors().find(|path| path.ends_with("target"));
    target.expect("a target folder").to_owned()
}

fn built() -> PathBuf {
    let target = target();
    let arch = std::env::consts::ARCH;
    let built = target.join(format!("{arch}-unknown-linux-musl/release/lockkeeper"));
    assert!(
        built.exists(),
        "build it first: cargo build --release --target {arch}-unknown-linux-musl"
    );
    built
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let is_wanted = |part: &str| wanted.is_empty() || wanted.iter().any(|word| word == part);
    // Nobody measured inherits what the caller of the benchmark happens to have open.
    // SAFETY: takes numbers only.
    unsafe {
        libc::close_range(
            3,
            libc::c_uint::MAX,
            libc::CLOSE_RANGE_CLOEXEC.cast_signed(),
        )
    };
    let binary = installed();
    let mut table = Table::default();
    if is_wanted("start") {
        bench::start::measure(&binary, &mut table);
    }
    if is_wanted("hand-off") {
        bench::handoff::measure(&binary, &mut table);
    }
    if is_wanted("idle") {
        bench::idle::measure(&binary, &mut table);
    }
    if is_wanted("scan") {
        bench::scan::measure(&binary, &mut table);
    }
    if is_wanted("output") {
        bench::output::measure(&binary, &mut table);
    }
    if is_wanted("status") {
        bench::status::measure(&binary, &mut table);
    }
    if is_wanted("sweep") {
        bench::sweep::measure(&binary, &mut table);
    }
    if is_wanted("image") {
        bench::image::measure(&binary, &mut table);
    }
    let size = std::fs::metadata(&binary).expect("the binary").len();
    table.row("static binary, bytes", size as f64, Some(1_200_000.0));
    print!("{table}");
    let _ = std::fs::remove_file(binary);
}
