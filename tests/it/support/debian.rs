//! A clean Debian, and the package that is made for it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::child::read;
use super::dir::Dir;
use super::{bin, made};

/// What `packaging/deb.sh` calls.
pub(crate) fn cargo_deb() -> PathBuf {
    bin::real("cargo-deb/bin/cargo-deb")
}

/// Makes the package in `folder`; `how` comes before the script, as `env TZ=UTC` does.
/// `need!("static", "cargo-deb", "xz")` comes before.
#[track_caller]
pub(crate) fn package(folder: &Path, how: &str) -> PathBuf {
    let turn = File::create(bin::real("package.lock")).expect("target can be written");
    turn.lock().expect("one test at a time makes it");
    let package = folder.join("lockkeeper.deb");
    let triple = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let script = format!("{how} exec sh packaging/deb.sh --no-build \"$0\" \"$1\"");
    let mut command = Command::new("sh");
    command.args(["-ec", &script, &triple]).arg(&package);
    command.current_dir(made::root());
    command.env("CARGO_TARGET_DIR", bin::target());
    command.env("CARGO_DEB", cargo_deb());
    read(&mut command);
    package
}

/// Runs `script` with sh as PID 1 in a fresh clean Debian, which is gone afterwards, and returns what
/// it prints. `shared` is /srv in there, a mount from outside. `need!("root", "debian.tar")` comes before.
#[track_caller]
pub(crate) fn in_clean_root(shared: &Dir, script: &str) -> String {
    fs::write(shared.join("script"), format!("set -eu\n{script}")).expect("room for a script");
    let setup = "mount -t tmpfs none /mnt && tar -xf \"$0\" -C /mnt && \
        mount --bind \"$1\" /mnt/srv && mount -t proc none /mnt/proc && \
        exec chroot /mnt env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin sh /srv/script";
    let mut command = Command::new("unshare");
    command.args([
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--",
        "sh",
        "-c",
    ]);
    command
        .arg(setup)
        .arg(bin::real("debian.tar"))
        .arg::<&Path>(shared);
    read(&mut command)
}
