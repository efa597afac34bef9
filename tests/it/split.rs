//! Two holders of one lock, on a file system that does not keep them apart: two FUSE mounts of one
//! folder, as two containers or two machines have them.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::SystemTime;

use nix::sys::signal::Signal::{SIGCONT, SIGKILL, SIGTERM};

use super::support::bin;
use super::support::child::{self, Tied, bare, halt, output, signal, text};
use super::support::dir::Dir;
use super::support::need::need;
use super::support::ns::{Inside, Ns, children};
use super::support::scene::{Scene, child_of, ended, state};
use super::support::wait::until;

/// A folder, and two FUSE mounts of it in a mount namespace of their own.
struct Twice {
    dir: Dir,
    inside: Inside,
}

impl Twice {
    /// `need!("root", "bindfs", "fuse")` comes before.
    fn new() -> Self {
        let dir = Dir::new();
        let mut ns = Ns::root();
        for name in ["folder", "one", "two"] {
            fs::create_dir(dir.join(name)).expect("room for a folder");
        }
        for name in ["one", "two"] {
            ns = ns.bindfs(&dir.join("folder"), &dir.join(name));
        }
        let inside = ns.start(&bin::puppet(), &[]);
        Self { dir, inside }
    }

    /// A run that holds the lock as the mount `name` shows it, until its standard input ends.
    #[track_caller]
    fn hold(&self, name: &str, options: &[&str]) -> Tied {
        let mut command = self.inside.enter(bin::lockkeeper());
        command
            .args(["run", "--lock"])
            .arg(self.dir.join(name).join("session.lock"))
            .args(options)
            .args(["--", "sh", "-c", "echo begun; exec cat"])
            .stderr(File::create(self.said_in(name)).expect("room for a file"));
        let mut run = child::start(&mut command);
        assert_eq!(run.line().as_deref(), Some("begun"));
        run
    }

    /// The process behind the mount `name`.
    fn server(&self, name: &str) -> i32 {
        let at = self.dir.join(name).display().to_string();
        let serves = |pid: &i32| {
            let words = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            words.starts_with("bindfs\0") && words.split('\0').any(|word| word == at)
        };
        let found = children(self.inside.pid1()).into_iter().find(serves);
        found.expect("a server, which left its parent to PID 1")
    }

    fn said_in(&self, name: &str) -> PathBuf {
        self.dir.join(format!("{name}.err"))
    }

    /// What the run at `name` said of a split.
    fn splits(&self, name: &str) -> Vec<String> {
        let said = fs::read_to_string(self.said_in(name)).expect("it was made");
        let splits = said.lines().filter(|line| line.contains("held twice"));
        splits.map(String::from).collect()
    }

    /// The latches beside the lock: whose, and when touched.
    fn latches(&self) -> Vec<(String, SystemTime)> {
        let folder = fs::read_dir(self.dir.join("folder/session.lock.d"));
        let latches = folder.into_iter().flatten().flatten().filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let run_id = name.strip_suffix(".latch")?.to_owned();
            Some((run_id, entry.metadata().ok()?.modified().ok()?))
        });
        latches.collect()
    }

    /// A run with its lock elsewhere, whose command has begun in a working copy that the first mount shows.
    #[track_caller]
    fn run_in_one(&self) -> Tied {
        fs::create_dir_all(self.dir.join("folder/w/.git")).expect("room for a folder");
        let at = |name: &str| self.dir.join(name).display().to_string();
        let file = format!(
            "[locks.l]\npath = {:?}\nshared_mount = \"off\"\n[classes.batch]\nlock = \"l\"\n\
             [jobs.dev]\nclass = \"batch\"\ndir = {:?}\n\
             command = [\"sh\", \"-c\", \"echo begun; exec sleep 600\"]\n",
            at("lock"),
            at("one/w"),
        );
        fs::write(self.dir.join("file"), file).expect("room for a file");
        let mut run = self.inside.enter(bin::lockkeeper());
        run.args(["run", "-c"])
            .arg(self.dir.join("file"))
            .arg("dev");
        let mut run = child::start(&mut run);
        assert_eq!(run.line().as_deref(), Some("begun"));
        run
    }

    /// Waits until so many touches were seen of each of the claims, dead ones but for those in `dead`.
    #[track_caller]
    fn await_touches(&self, count: usize, dead: &[String]) {
        for _ in 0..count {
            let before = self.latches();
            until("all are touched", || {
                let now = self.latches();
                before
                    .iter()
                    .all(|latch| dead.contains(&latch.0) || !now.contains(latch))
            });
        }
    }
}

#[test]
fn both_holders_of_a_lock_that_keeps_nobody_apart_report_the_split_once_and_name_each_other() {
    need!("root", "bindfs", "fuse");
    let twice = Twice::new();
    let mut one = twice.hold("one", &[]);
    let mut two = twice.hold("two", &[]);
    let runs = twice.latches();
    assert_eq!(runs.len(), 2);
    for name in ["one", "two"] {
        until("it reports", || !twice.splits(name).is_empty());
    }
    twice.await_touches(3, &[]);
    for name in ["one", "two"] {
        let splits = twice.splits(name);
        assert_eq!(splits.len(), 1, "{splits:?}");
        for (run_id, _) in &runs {
            assert!(
                splits[0].contains(&format!("(run {run_id}, since")),
                "{splits:?}"
            );
        }
    }
    assert!(ended(&mut one).success() && ended(&mut two).success());
    assert_eq!(twice.latches(), []);
}

#[test]
fn one_holder_alone_reports_no_split_and_leaves_the_claim_of_a_dead_one() {
    need!("root", "bindfs", "fuse");
    let twice = Twice::new();
    let two = twice.hold("two", &[]);
    twice.await_touches(1, &[]);
    let guard = child_of(two.pid());
    let monitor = child_of(guard);
    signal(guard, SIGKILL);
    signal(monitor, SIGKILL);
    drop(two);
    let dead = twice.latches();
    let dead: Vec<String> = dead.into_iter().map(|(run_id, _)| run_id).collect();
    assert_eq!(dead.len(), 1);
    let mut one = twice.hold("one", &[]);
    until("its claim is there", || twice.latches().len() == 2);
    twice.await_touches(4, &dead);
    // A waiter clears away whose latch is free, but here that may be a living one's.
    let mut waiter = twice.inside.enter(bin::lockkeeper());
    waiter.args(["run", "--wait", "1ms", "--lock"]);
    waiter
        .arg(twice.dir.join("one/session.lock"))
        .args(["--", "true"]);
    assert_eq!(output(&mut waiter).status.code(), Some(75));
    assert!(ended(&mut one).success());
    assert_eq!(twice.splits("one"), [""; 0]);
    let left = twice.latches();
    assert_eq!(
        left.into_iter()
            .map(|(run_id, _)| run_id)
            .collect::<Vec<_>>(),
        dead
    );
}

#[test]
fn a_file_system_that_hangs_keeps_no_watchdog_from_ending_the_command() {
    need!("root", "bindfs", "fuse");
    let twice = Twice::new();
    let mut one = twice.hold("one", &["--timeout", "4s"]);
    twice.await_touches(1, &[]);
    let command = child_of(child_of(child_of(one.pid())));
    let server = twice.server("one");
    halt(server);
    until("the command has gone", || {
        matches!(state(command), None | Some('Z'))
    });
    assert_eq!(state(server), Some('T'));
    signal(server, SIGCONT);
    assert_eq!(ended(&mut one).code(), Some(124));
}

/// Between fork and exec the command uses its monitor's memory, which waits for nothing of it.
#[test]
fn a_program_on_a_file_system_that_hangs_holds_up_its_own_process_alone() {
    need!("root", "bindfs", "fuse");
    let twice = Twice::new();
    let program = twice.dir.join("folder/program");
    fs::write(&program, "#!/bin/sh\n").expect("room for a file");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let server = twice.server("one");
    halt(server);
    let mut run = twice.inside.enter(bin::lockkeeper());
    run.args(["run", "--timeout", "100ms", "--grace", "100ms", "--lock"])
        .arg(twice.dir.join("lock"))
        .arg("--")
        .arg(twice.dir.join("one/program"));
    let run = output(&mut run);
    assert_eq!(run.status.code(), Some(124), "{}", text(&run.stderr));
    assert_eq!(state(server), Some('T'));
    signal(server, SIGCONT);
}

/// The command's folder hangs, which is why somebody ends it, and the lock lies elsewhere.
#[test]
fn a_working_directory_that_hangs_holds_up_neither_the_lock_nor_the_end() {
    need!("root", "bindfs", "fuse");
    let twice = Twice::new();
    let mut run = twice.run_in_one();
    let server = twice.server("one");
    halt(server);
    signal(child_of(run.pid()), SIGTERM);
    assert_eq!(ended(&mut run).code(), Some(143));
    assert_eq!(state(server), Some('T'));
    signal(server, SIGCONT);
}

/// Who asks is beyond any KILL as long as the server has the question and does not answer.
#[test]
fn a_working_directory_whose_server_never_answers_holds_up_neither_the_lock_nor_the_end() {
    need!("root", "bindfs", "fuse", "strace");
    let twice = Twice::new();
    let mut run = twice.run_in_one();
    let server = twice.server("one");
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=writev"]);
    strace.args([
        "-e",
        "inject=writev:delay_enter=1000s",
        "-p",
        &server.to_string(),
    ]);
    let strace = child::start(&mut strace);
    until("it is traced", || {
        let status = fs::read_to_string(format!("/proc/{server}/status"));
        status.is_ok_and(|status| !status.contains("TracerPid:\t0\n"))
    });
    signal(child_of(run.pid()), SIGTERM);
    assert_eq!(ended(&mut run).code(), Some(143));
    drop(strace);
}

#[test]
fn no_claim_is_touched_on_a_file_system_that_keeps_holders_apart() {
    let scene = Scene::new();
    let events = scene.path("events");
    fs::create_dir(&events).expect("room for a folder");
    // It ends when the timer that falls due with a touch has done so.
    let wait = "until grep -q watch_lock \"$0\"/*; do sleep 0.05; done";
    let mut command = Command::new(bin::lockkeeper());
    bare(&mut command)
        .args(["run", "--lock"])
        .arg(scene.lock())
        .args(["--", "sh", "-c", wait])
        .arg(&events)
        .env("LOCKKEEPER_EVENT_LOG", &events);
    let run = output(&mut command);
    assert!(run.status.success(), "{}", text(&run.stderr));
    let log = fs::read_dir(&events)
        .expect("a folder")
        .next()
        .expect("a log");
    let log = fs::read_to_string(log.expect("a log").path()).expect("a log");
    assert!(
        log.contains("\"unsure\":false") && !log.contains("touch_claim"),
        "{log}"
    );
}
