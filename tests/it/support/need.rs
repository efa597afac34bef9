//! The gate before a test that wants something of the machine. What is lacking is said loudly, in
//! one line, and the test is skipped; with `LOCKKEEPER_REQUIRE_REAL=1` it fails.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use super::child::output;
use super::{agent, bin, clean, debian, judges, peer};

/// `need!("root", "podman")`: returns from the test if one of them is not to be had. Besides names
/// of programs: `root`, `two processors`, `static` (the static builds), `agent`, `peer`
/// (proper-lockfile), `fuse`, `journald`, `userns`, `jsonschema`, `judges` (of deployment files), `quadlet` (podman's generator),
/// `cargo-deb`, `bash-completion`, `binfmt`, `debs`, `npm`, `debian.tar`, `debian-rust.tar` (roots of
/// it), `clean-root` (both, on a disk).
macro_rules! need {
    ($($what:literal),+) => {
        if let Some(missing) = [$($what),+].into_iter().find(|what| !$crate::support::need::have(what)) {
            $crate::support::need::skip(module_path!(), line!(), missing);
            return;
        }
    };
}
pub(crate) use need;

pub(crate) fn have(what: &str) -> bool {
    match what {
        "root" => nix::unistd::geteuid().is_root(),
        // That may be used: a cpuset or taskset(1) may leave one.
        "two processors" => std::thread::available_parallelism().is_ok_and(|all| all.get() > 1),
        "static" => {
            bin::static_build("lockkeeper").exists()
                && bin::static_build("examples/puppet").exists()
        }
        "agent" => agent::program().exists(),
        // A container has it only if its engine was told so.
        "fuse" => File::options()
            .read(true)
            .write(true)
            .open("/dev/fuse")
            .is_ok(),
        "clean-root" => {
            let roots = ["debian.tar", "debian-rust.tar"];
            roots.iter().all(|name| bin::real(name).exists()) && clean::is_on_disk()
        }
        "peer" => peer::library().exists(),
        "judges" => judges::all().iter().all(|judge| judge.exists()),
        "quadlet" => judges::quadlet().is_some(),
        "cargo-deb" => debian::cargo_deb().exists(),
        "bash-completion" => Path::new("/usr/share/bash-completion/bash_completion").exists(),
        "jsonschema" => validator().is_some(),
        // A table of its own for each user namespace, since Linux 6.7.
        "binfmt" => {
            let mut command = Command::new("unshare");
            command.args(["--user", "--map-root-user", "--mount", "mount", "-t"]);
            command.args(["binfmt_misc", "binfmt_misc", "/mnt"]);
            output(&mut command).status.success()
        }
        "journald" => Path::new("/lib/systemd/systemd-journald").exists(),
        "systemd" => Path::new("/lib/systemd/systemd").exists(),
        // Forbidden on many machines (sysctls, AppArmor, container run-times): only trying tells.
        "userns" => {
            let mut command = Command::new("unshare");
            command.args(["--user", "--pid", "--fork", "true"]);
            output(&mut command).status.success()
        }
        // What images are made of, below target/real.
        "debs" | "debian.tar" | "debian-rust.tar" => bin::real(what).exists(),
        "npm" => on_path(what) && bin::real("agent/cache").exists(),
        program => on_path(program),
    }
}

pub(crate) fn skip(module: &str, line: u32, missing: &str) {
    let text = format!("missing: {missing} (skipped: {module}, line {line})");
    assert!(
        std::env::var_os("LOCKKEEPER_REQUIRE_REAL").is_none_or(|value| value != "1"),
        "{text}"
    );
    eprintln!("{text}");
    // The runner hides what a passing test says: tests/run.sh shows this at the end.
    let file = bin::target().join("skipped");
    let opened = File::options().append(true).create(true).open(file);
    let _ = opened.and_then(|mut file| file.write_all(format!("{text}\n").as_bytes()));
}

/// A python that has jsonschema: the system's, for which there is a package, or another one.
pub(crate) fn validator() -> Option<&'static str> {
    ["/usr/bin/python3", "python3"].into_iter().find(|python| {
        let mut command = Command::new(python);
        command.args(["-c", "import jsonschema, tomllib"]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    })
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
