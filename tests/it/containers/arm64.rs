//! The program of the arm64 image, by an emulator on this machine.
//!
//! An emulator is another kernel as far as the program can see: it refuses system calls (execveat, clone
//! in shared memory) and leaves facts out (the number of a mount). Commands that the program starts are
//! this machine's own. Only where the kernel knows whom to ask for an arm64 program (`binfmt_misc`, in a
//! user namespace of the test's own) can the program start itself, as init does.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use crate::support::child::{bare, output, read, start, text};
use crate::support::dir::Dir;
use crate::support::need::need;
use crate::support::podman::Podman;
use crate::support::scene::ended;

const EMULATOR: &str = "qemu-aarch64-static";
const IMAGE: &str = "localhost/lockkeeper:arm64";

/// As Debian registers it: the kernel keeps the emulator open, and gives it the program opened.
const REGISTER: &str = r#"mount -t binfmt_misc binfmt_misc "$0" && printf '%s' \
    ':arm64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:'"$1:POCF" \
    > "$0/register" && shift && exec "$@""#;

/// The program, made by the Dockerfile on this machine and for the other one.
struct Arm {
    dir: Dir,
    program: PathBuf,
}

impl Arm {
    fn new() -> Self {
        let podman = Podman::ready();
        let built = podman.build_file("Dockerfile", IMAGE, &["--platform", "linux/arm64"]);
        built.unwrap_or_else(|said| panic!("{said}"));
        assert_eq!(podman.about(IMAGE, "{{.Architecture}}"), "arm64");
        let dir = Dir::new();
        let program = dir.join("lockkeeper");
        podman.take(IMAGE, "/lockkeeper", &program);
        Self { dir, program }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// lockkeeper under the emulator, with `args` in which DIR is the test's folder.
    fn command(&self, args: &str) -> Command {
        let mut command = Command::new(EMULATOR);
        let args = args.replace("DIR", &self.dir.display().to_string());
        bare(&mut command).arg(&self.program).args(args.split(' '));
        command.env("HOME", &*self.dir).current_dir(&*self.dir);
        command
    }

    #[track_caller]
    fn says(&self, args: &str, code: i32) -> String {
        let said = output(&mut self.command(args));
        let (out, err) = (text(&said.stdout), text(&said.stderr));
        assert_eq!(said.status.code(), Some(code), "{args}: {out}{err}");
        out + &err
    }

    /// The same to its end, as PID 1 and known to the kernel as an arm64 program.
    fn registered(&self, args: &str) -> Output {
        let mount = self.path("binfmt");
        fs::create_dir(&mount).unwrap();
        let emulator = read(Command::new("sh").args(["-c", &format!("command -v {EMULATOR}")]));
        let args = args.replace("DIR", &self.dir.display().to_string());
        let mut command = Command::new("unshare");
        bare(&mut command).args(["--user", "--map-root-user", "--mount", "--pid", "--fork"]);
        command.args(["--kill-child", "--mount-proc", "sh", "-c"]);
        command
            .arg(REGISTER)
            .arg(mount)
            .arg(emulator)
            .arg(&self.program)
            .args(args.split(' '));
        output(command.env("HOME", &*self.dir).current_dir(&*self.dir))
    }
}

#[test]
fn an_arm64_containers_program_runs_a_command_and_keeps_its_status_and_its_lock() {
    need!(
        "root",
        "podman",
        "crun",
        "buildah",
        "static",
        "rustup",
        "debian-rust.tar",
        "qemu-aarch64-static"
    );
    let arm = Arm::new();
    let version = format!("lockkeeper {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(arm.says("--version", 0), version);
    assert!(arm.says("check", 0).contains("[classes.batch]"));
    arm.says("-- false", 1);
    arm.says("-- sh -c kill\t-9\t$$", 128 + 9);
    arm.says("run --timeout 100ms -- sleep 3600", 124);
    // Held while it runs, and by nobody after it.
    let lock = arm.path("lock");
    let is_free = || {
        output(Command::new("flock").arg("-n").arg(&lock).arg("true"))
            .status
            .success()
    };
    let mut run = start(&mut arm.command("run --lock DIR/lock -- cat"));
    run.say("here");
    assert_eq!(run.line().as_deref(), Some("here"), "its command runs");
    assert!(!is_free(), "it is held");
    assert_eq!(ended(&mut run).code(), Some(0));
    assert!(is_free(), "it is free");
    let said = arm.says("run --lock DIR/lock -- true", 0);
    assert_eq!(said, "", "the mount of the lock is known");
}

#[test]
fn an_arm64_containers_init_runs_the_jobs_of_its_file() {
    need!(
        "root",
        "podman",
        "crun",
        "buildah",
        "static",
        "rustup",
        "debian-rust.tar",
        "qemu-aarch64-static",
        "binfmt"
    );
    let arm = Arm::new();
    let job = |name: &str, code: u8| {
        format!(
            "[jobs.{name}]\nclass = \"batch\"\ncommand = [\"sh\", \"-c\", \"echo {name}; exit {code}\"]\n"
        )
    };
    let file = format!(
        "[classes.batch]\nidentity = \"{}\"\nshared_mount = \"off\"\n{}{}",
        arm.dir.display(),
        job("one", 0),
        job("two", 4)
    );
    fs::write(arm.path("lockkeeper.toml"), file).unwrap();
    let said = arm.registered("init -c DIR/lockkeeper.toml");
    let (out, err) = (text(&said.stdout), text(&said.stderr));
    assert_eq!(said.status.code(), Some(4), "{err}");
    let mut lines: Vec<_> = out.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["one", "two"], "{err}");
    for line in [
        "init is at work as PID 1, 2 jobs",
        "job one: ended",
        "job two: ended",
        "init ends (exit 4)",
    ] {
        assert!(err.contains(line), "{line}: {err}");
    }
}
