//! A run that locks a directory: one agent at a time, whoever is killed, and what the others are
//! told. The lock itself is tested where it stands, in `src/lock/dir`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lockkeeper::lock::dir::claim::DirLock;
use lockkeeper::lock::dir::manual;
use lockkeeper::lock::dir::place::{Found, Place};
use lockkeeper::lock::dir::record::DirRecord;
use lockkeeper::lock::record::State;
use nix::sys::signal::Signal::{SIGINT, SIGKILL, SIGTERM};

use crate::support::bin;
use crate::support::child::{self, Tied, halt, output, signal, text};
use crate::support::dir::Dir;
use crate::support::locks::waiters;
use crate::support::need::need;
use crate::support::ns::{Ns, children};
use crate::support::scene::{Scene, child_of, ended, waits_in};
use crate::support::wait::{until, until_some};

/// A scene with a working copy.
struct Copy {
    scene: Scene,
}

impl Copy {
    fn new() -> Self {
        let scene = Scene::new();
        fs::create_dir(scene.path("w")).unwrap();
        Self { scene }
    }

    fn dir(&self) -> PathBuf {
        self.scene.path("w")
    }

    /// `lockkeeper run --dir-lock W OPTIONS -- puppet SCRIPT`, not yet started.
    fn command(&self, options: &str, script: &str) -> Command {
        let mut command = Command::new(bin::lockkeeper());
        child::bare(&mut command)
            .args(["run", "--dir-lock"])
            .arg(self.dir())
            .args(self.scene.words(options))
            .arg("--")
            .arg(self.scene.puppet())
            .args(self.scene.words(script));
        command
    }

    fn run(&self, options: &str, script: &str) -> Tied {
        child::start(&mut self.command(options, script))
    }

    /// A run that says `begun`.
    fn begun(&self, options: &str, script: &str) -> Tied {
        let mut run = self.run(options, &format!("{script} , out begun , hang"));
        assert_eq!(run.line().as_deref(), Some("begun"));
        run
    }

    /// A run that waits for the directory.
    fn waits(&self, script: &str) -> Tied {
        let mut run = self.run("--wait forever", script);
        until("it waits for the directory", || {
            waiters(&latch(&self.dir())) == 1 || run.try_wait().is_some()
        });
        run
    }

    /// The exit code of a run that does not wait, and what it says.
    fn refused(&self, options: &str) -> (Option<i32>, String) {
        let told = output(&mut self.command(options, "mark PAGE 9"));
        (told.status.code(), text(&told.stderr))
    }

    /// Nobody has it, nobody of a run lives, and nothing is left but what is never removed.
    fn assert_free(&self) {
        assert!(record(&self.dir()).is_none());
        assert_eq!(
            Place::existing(&self.dir()).unwrap().latch_held(),
            Some(false)
        );
        self.scene.assert_empty();
        assert_eq!(self.scene.page.overlaps().1, []);
        let mut left: Vec<_> = fs::read_dir(self.dir().join(".runtime"))
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, [".gitignore", "agent.latch", "agent.lock.flock"]);
    }
}

fn latch(dir: &Path) -> PathBuf {
    dir.join(".runtime/agent.latch")
}

fn record(dir: &Path) -> Option<DirRecord> {
    match Place::existing(dir).ok()?.read() {
        Found::Record(record, _) => Some(*record),
        _ => None,
    }
}

const STAYS: &str = "mark PAGE 1 , child { mark PAGE 1 HERMIT , hang }";

#[test]
fn a_locked_directory_refuses_the_next_run_with_75_and_says_who_has_it() {
    let copy = Copy::new();
    let mut run = copy.begun("", "mark PAGE 1");
    let there = until_some("the record names the command", || {
        record(&copy.dir()).filter(|there| there.state == Some(State::Running))
    });
    assert_eq!(there.pid, child_of(child_of(run.pid())));
    let (code, told) = copy.refused("");
    assert_eq!(code, Some(75));
    for part in [
        "job \"puppet\"",
        &format!("process {}", there.pid),
        "running) has it",
        "--wait TIME",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    signal(run.pid(), SIGTERM);
    ended(&mut run);
    copy.assert_free();
    assert_eq!(copy.scene.page.marks().0, 1);
}

#[test]
fn a_refusal_names_who_works_in_the_directory() {
    let copy = Copy::new();
    let run = copy.begun("", "chdir DIR/w , mark PAGE 1");
    let command = child_of(child_of(run.pid()));
    let (_, told) = copy.refused("");
    let named = format!("1 process works inside: {command} (puppet)");
    assert!(told.contains(&named), "{told}");
}

#[test]
fn a_run_that_waits_gets_the_directory_when_the_last_process_before_it_has_gone() {
    let copy = Copy::new();
    let mut first = copy.begun("--grace 100ms", STAYS);
    let mut second = copy.waits("mark PAGE 2 , out mine");
    signal(first.pid(), SIGTERM);
    assert_eq!(second.line().as_deref(), Some("mine"));
    assert!(ended(&mut second).success());
    ended(&mut first);
    copy.assert_free();
}

#[test]
fn a_directory_is_held_until_the_tree_is_empty_whichever_process_is_killed() {
    for victim in ["monitor", "guard", "command"] {
        let copy = Copy::new();
        let mut first = copy.begun("--grace 100ms", STAYS);
        let mut second = copy.waits("mark PAGE 2 , out mine");
        let monitor = child_of(first.pid());
        match victim {
            "monitor" => signal(monitor, SIGKILL),
            "guard" => signal(first.pid(), SIGKILL),
            _ => signal(child_of(monitor), SIGKILL),
        }
        assert_eq!(second.line().as_deref(), Some("mine"), "{victim}");
        assert!(ended(&mut second).success());
        ended(&mut first);
        copy.assert_free();
    }
}

#[test]
fn a_wait_for_a_directory_that_is_over_ends_with_75() {
    let copy = Copy::new();
    let mut run = copy.begun("", "mark PAGE 1");
    let (code, told) = copy.refused("--wait 300ms");
    assert_eq!(code, Some(75));
    assert!(
        told.contains("ms in vain: ") && told.contains("waited 3"),
        "{told}"
    );
    assert!(told.contains("job \"puppet\""), "{told}");
    signal(run.pid(), SIGINT);
    ended(&mut run);
    copy.assert_free();
    assert_eq!(copy.scene.page.marks().0, 1);
}

#[test]
fn a_run_that_waits_for_a_directory_is_stopped_at_once() {
    let copy = Copy::new();
    let mut first = copy.begun("--grace 100ms", "mark PAGE 1");
    let mut second = copy.waits("mark PAGE 2");
    signal(second.pid(), SIGTERM);
    assert_eq!(ended(&mut second).code(), Some(143));
    assert!(record(&copy.dir()).is_some());
    signal(first.pid(), SIGTERM);
    ended(&mut first);
    copy.assert_free();
}

#[test]
fn nobody_waits_for_a_directory_while_he_holds_the_lock() {
    let copy = Copy::new();
    let mut first = copy.begun("", "mark PAGE 1");
    let mut second = copy.run("--lock LOCK --wait forever", "mark PAGE 2 , out mine");
    until("it waits for the directory", || {
        waiters(&latch(&copy.dir())) == 1
    });
    assert!(copy.scene.is_free());
    // Now the other way round: whoever has the directory waits for the lock, and says so.
    let held = copy.scene.hold();
    signal(first.pid(), SIGTERM);
    ended(&mut first);
    let there = until_some("it has the directory", || record(&copy.dir()));
    assert_eq!(there.state, Some(State::Waiting));
    let (code, told) = copy.refused("");
    assert_eq!(code, Some(75));
    assert!(told.contains("itself waiting for its lock"), "{told}");
    drop(held);
    assert_eq!(second.line().as_deref(), Some("mine"));
    assert!(ended(&mut second).success());
    copy.assert_free();
}

#[test]
fn a_run_inside_the_run_that_has_the_directory_fails_at_once() {
    let copy = Copy::new();
    let mut command = Command::new(bin::lockkeeper());
    child::bare(&mut command)
        .args(["run", "--dir-lock"])
        .arg(copy.dir())
        .arg("--")
        .arg(bin::lockkeeper())
        .args(["run", "--wait", "forever", "--dir-lock"])
        .arg(copy.dir())
        .args(["--", "true"]);
    let told = output(&mut command);
    assert_eq!(told.status.code(), Some(75));
    let told = text(&told.stderr);
    assert!(told.contains("this run is a part of that one"), "{told}");
    copy.assert_free();
}

#[test]
fn two_runs_that_name_the_same_directories_in_different_orders_both_come_through() {
    let copy = Copy::new();
    let other = copy.scene.path("other");
    fs::create_dir(&other).unwrap();
    let link = copy.scene.path("a-link");
    std::os::unix::fs::symlink(&other, &link).unwrap();
    let run = |dirs: [&Path; 3], number: u32| {
        let mut command = Command::new(bin::lockkeeper());
        child::bare(&mut command).args(["run", "--wait", "forever"]);
        for dir in dirs {
            command.arg("--dir-lock").arg(dir);
        }
        let script = format!("mark PAGE {number} , sleep 1");
        command.arg("--").arg(copy.scene.puppet());
        child::start(command.args(copy.scene.words(&script)))
    };
    for round in 0..10 {
        let mut both = [
            run([&copy.dir(), &other, &link], 2 * round + 1),
            run([&link, &copy.dir(), &copy.dir()], 2 * round + 2),
        ];
        for run in &mut both {
            assert!(ended(run).success());
        }
    }
    assert!(record(&other).is_none());
    copy.assert_free();
}

#[test]
fn no_command_gets_the_latch() {
    let copy = Copy::new();
    let run = copy.begun("", "mark PAGE 1");
    let monitor = child_of(run.pid());
    let latch = latch(&copy.dir());
    let open = |pid: i32| {
        let fds = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
        fds.filter(|fd| fs::read_link(fd.path()).is_ok_and(|to| to == latch))
            .count()
    };
    assert_eq!([run.pid(), monitor, child_of(monitor)].map(open), [1, 1, 0]);
}

#[test]
fn what_a_killed_run_leaves_is_taken_over_and_told() {
    let copy = Copy::new();
    let mut run = copy.begun("", "mark PAGE 1");
    let (guard, monitor) = (run.pid(), child_of(run.pid()));
    let command = child_of(monitor);
    // Both at once: stopped, neither sees the other go.
    for pid in [guard, monitor] {
        halt(pid);
    }
    for pid in [guard, monitor, command] {
        signal(pid, SIGKILL);
    }
    ended(&mut run);
    until("its command is gone", || copy.scene.living().is_empty());
    // The monitor, which nobody here can wait for, ends when it likes.
    until("nobody holds its latch", || {
        Place::existing(&copy.dir()).unwrap().latch_held() == Some(false)
    });
    let left = record(&copy.dir()).unwrap();
    let told = output(&mut copy.command("-v", "mark PAGE 2"));
    assert!(told.status.success(), "{}", text(&told.stderr));
    let told = text(&told.stderr);
    let died = "in place of one that has died: job \"puppet\" in container";
    assert!(told.contains(died), "{told}");
    assert!(told.contains(&left.run_id.unwrap()), "{told}");
    copy.assert_free();
}

#[test]
fn an_agent_that_outlives_guard_and_monitor_keeps_its_directory() {
    let copy = Copy::new();
    let mut first = copy.begun("", "mark PAGE 1");
    let there = until_some("the record names the command", || {
        record(&copy.dir()).filter(|there| there.state == Some(State::Running))
    });
    let (guard, monitor) = (first.pid(), child_of(first.pid()));
    for pid in [guard, monitor] {
        halt(pid);
    }
    for pid in [guard, monitor] {
        signal(pid, SIGKILL);
    }
    ended(&mut first);
    until("nobody holds its latch", || {
        Place::existing(&copy.dir()).unwrap().latch_held() == Some(false)
    });
    let lock = |words: &[&str]| {
        let mut command = Command::new(bin::lockkeeper());
        let told = output(
            child::bare(&mut command)
                .arg("lock")
                .args(words)
                .arg(copy.dir()),
        );
        (told.status.code(), text(&told.stdout) + &text(&told.stderr))
    };
    let lives = "its process lives, though nobody holds its latch";
    let (code, told) = copy.refused("");
    assert_eq!(code, Some(75));
    assert!(told.contains(lives), "{told}");
    assert!(!told.contains("--force"), "{told}");
    let (code, told) = lock(&["list"]);
    assert_eq!(code, Some(1));
    assert!(told.contains("orphaned") && told.contains(lives), "{told}");
    assert_ne!(lock(&["clean"]).0, Some(0));
    for force in [&["release"][..], &["release", "--force"]] {
        let (code, told) = lock(force);
        assert_ne!(code, Some(0));
        assert!(told.contains(lives), "{told}");
    }
    assert_eq!(record(&copy.dir()).as_ref(), Some(&there));
    let mut second = copy.run("--wait forever", "mark PAGE 2 , out mine");
    until("it watches", || watches(child_of(second.pid())));
    signal(there.pid, SIGKILL);
    assert_eq!(second.line().as_deref(), Some("mine"));
    assert!(ended(&mut second).success());
    copy.assert_free();
}

#[test]
fn a_run_that_waits_for_its_second_directory_says_so_in_the_first() {
    let copy = Copy::new();
    let first = copy.scene.path("a");
    fs::create_dir(&first).unwrap();
    let mut holder = copy.begun("--grace 100ms", "mark PAGE 1");
    let mut command = Command::new(bin::lockkeeper());
    child::bare(&mut command).args(["run", "--wait", "30s"]);
    for dir in [&first, &copy.dir()] {
        command.arg("--dir-lock").arg(dir);
    }
    let mut run = child::start(command.args(["--", "true"]));
    let there = until_some("it has the first", || record(&first));
    assert_eq!(there.state, Some(State::Waiting));
    signal(holder.pid(), SIGTERM);
    ended(&mut holder);
    assert!(ended(&mut run).success());
    copy.assert_free();
}

#[test]
fn a_run_that_starts_over_does_not_wait_for_itself() {
    let copy = Copy::new();
    let first = copy.scene.path("a");
    fs::create_dir(&first).unwrap();
    let mut holder = copy.begun("--grace 100ms", "mark PAGE 1");
    let mut command = Command::new(bin::lockkeeper());
    child::bare(&mut command).args(["run", "--wait", "30s"]);
    for dir in [&first, &copy.dir()] {
        command.arg("--dir-lock").arg(dir);
    }
    command.args(["--", "echo", "mine"]);
    let mut run = child::start(&mut command);
    until("it has the first and waits for the second", || {
        record(&first).is_some() && waiters(&latch(&copy.dir())) == 1
    });
    fs::remove_file(latch(&copy.dir())).unwrap();
    signal(holder.pid(), SIGTERM);
    ended(&mut holder);
    assert_eq!(run.line().as_deref(), Some("mine"));
    assert!(ended(&mut run).success());
    assert!(record(&first).is_none());
    copy.assert_free();
}

#[test]
fn a_run_waits_for_the_end_of_another_tools_agent() {
    let copy = Copy::new();
    drop(DirLock::open(&copy.dir()).unwrap());
    let mut agent = child::start(Command::new("sleep").arg("600"));
    let host = nix::sys::utsname::uname().unwrap();
    let host = host.nodename().to_str().unwrap();
    let now = lockkeeper::lock::dir::record::now();
    let foreign = format!(
        r#"{{"pid": {}, "acquired_at": "{now}", "hostname": "{host}"}}"#,
        agent.pid()
    );
    let path = copy.dir().join(".runtime/agent.lock");
    fs::write(&path, &foreign).unwrap();
    let (code, told) = copy.refused("");
    assert_eq!(code, Some(75));
    assert!(told.contains("its process lives"), "{told}");
    assert_eq!(fs::read_to_string(&path).unwrap(), foreign);
    let mut run = copy.run("--wait forever", "mark PAGE 1 , out mine");
    until("it watches", || {
        waits_in(child_of(run.pid()), libc::SYS_ppoll) && watches(child_of(run.pid()))
    });
    signal(agent.pid(), SIGKILL);
    agent.wait();
    assert_eq!(run.line().as_deref(), Some("mine"));
    assert!(ended(&mut run).success());
    copy.assert_free();
}

/// Whether a process has an inotify watch.
fn watches(pid: i32) -> bool {
    let fds = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten();
    fds.flatten()
        .any(|fd| fs::read_link(fd.path()).is_ok_and(|to| to == Path::new("anon_inode:inotify")))
}

#[test]
fn a_run_waits_for_a_person_and_never_takes_over() {
    let copy = Copy::new();
    manual::hold(&copy.dir(), "anna", Some("a look")).unwrap();
    let (code, told) = copy.refused("");
    assert_eq!(code, Some(75));
    assert!(told.contains("anna holds it by hand"), "{told}");
    let mut run = copy.run("--wait forever", "mark PAGE 1 , out mine");
    until("it watches", || watches(child_of(run.pid())));
    manual::release(&copy.dir(), false).unwrap();
    assert_eq!(run.line().as_deref(), Some("mine"));
    assert!(ended(&mut run).success());
    copy.assert_free();
}

#[test]
fn a_directory_that_cannot_be_judged_is_not_waited_for() {
    let copy = Copy::new();
    drop(DirLock::open(&copy.dir()).unwrap());
    let path = copy.dir().join(".runtime/agent.lock");
    for content in [
        r#"{"pid":5,"acquired_at":"2026-01-01T00:00:00Z","hostname":"elsewhere"}"#,
        "{",
    ] {
        fs::write(&path, content).unwrap();
        let (code, told) = copy.refused("--wait forever");
        assert_eq!(code, Some(75));
        assert!(told.contains("lockkeeper lock release --force"), "{told}");
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
}

#[test]
fn a_directory_that_is_not_there_is_a_fault_of_the_configuration() {
    let copy = Copy::new();
    fs::remove_dir(copy.dir()).unwrap();
    let (code, told) = copy.refused("");
    assert_eq!(code, Some(78));
    assert!(told.contains("create it, or mount it"), "{told}");
}

#[test]
fn on_a_full_disk_the_directory_is_not_locked_and_nothing_is_left() {
    need!("root");
    let copy = Copy::new();
    let script = "df --output=avail /mnt; cd /mnt; mkdir w; \
                  head -c 1M /dev/zero > fill 2>/dev/null; \
                  \"$LOCKKEEPER\" run --dir-lock w -- true; echo \"code $?\"; \
                  ls -A w/.runtime; rm fill; \
                  \"$LOCKKEEPER\" run --dir-lock w -- echo taken";
    let program = bin::lockkeeper().display().to_string();
    let mut inside = Ns::root()
        .shell("mount -t tmpfs -o size=64k tmpfs /mnt")
        .env("LOCKKEEPER", &program)
        .start(Path::new("/bin/sh"), &["-c", script]);
    let told: Vec<String> = std::iter::from_fn(|| inside.process.line()).collect();
    assert!(ended(&mut inside.process).success());
    let told: Vec<&str> = told.iter().map(|line| line.trim()).collect();
    assert_eq!(told[0], "Avail");
    assert_eq!(
        told[2..],
        ["code 75", "agent.latch", "agent.lock.flock", "taken"]
    );
    drop(copy);
}

#[test]
fn a_job_of_the_file_locks_its_working_directory() {
    let copy = Copy::new();
    let config = copy.scene.config(
        "[classes.chat]
        kind = \"interactive\"
        [jobs.dev]
        class = \"batch\"
        dir = \"DIR/w\"
        dir_lock = true
        script = mark PAGE 1 , out begun , wait TERM
        [jobs.chat]
        class = \"chat\"
        dir_lock = [\"DIR/w\"]
        script = mark PAGE 2
        [jobs.hasty]
        class = \"batch\"
        dir = \"DIR/w\"
        dir_lock = true
        on_conflict = \"fail\"
        script = mark PAGE 3",
    );
    let run = |job: &str| {
        let mut command = Command::new(bin::lockkeeper());
        child::bare(&mut command)
            .args(["run", "-c"])
            .arg(&config)
            .arg(job);
        command
    };
    let mut dev = child::start(&mut run("dev"));
    assert_eq!(dev.line().as_deref(), Some("begun"));
    for job in ["chat", "hasty"] {
        let told = output(&mut run(job));
        assert_eq!(told.status.code(), Some(75), "{job}");
        assert!(text(&told.stderr).contains("job \"dev\""), "{told:?}");
    }
    let mut second = child::start(&mut run("dev"));
    until("it waits", || waiters(&latch(&copy.dir())) == 1);
    signal(dev.pid(), SIGTERM);
    ended(&mut dev);
    assert_eq!(second.line().as_deref(), Some("begun"));
    signal(second.pid(), SIGTERM);
    ended(&mut second);
    copy.assert_free();
}

#[test]
fn the_main_command_of_a_container_can_lock_a_directory() {
    need!("root");
    let copy = Copy::new();
    let config = copy.scene.config(
        "[classes.chat]
        kind = \"interactive\"
        dir_lock = [\"DIR/w\"]",
    );
    let words = copy.scene.words("mark PAGE 1 , out begun , wait TERM");
    let mut args = vec!["-c", config.to_str().unwrap(), "--class", "chat", "--"];
    let puppet = copy.scene.puppet();
    args.push(puppet.to_str().unwrap());
    args.extend(words.iter().map(String::as_str));
    let mut inside = Ns::root().start(bin::lockkeeper(), &args);
    assert_eq!(inside.process.line().as_deref(), Some("begun"));
    let (code, told) = copy.refused("");
    assert_eq!(code, Some(75), "{told}");
    signal(inside.pid1(), SIGTERM);
    ended(&mut inside.process);
    copy.assert_free();
}

/// What a run finds removed under it, as by `git clean -fdx`, it says.
#[test]
fn a_latch_that_is_cleared_away_under_a_run_is_told() {
    let copy = Copy::new();
    let mut command = copy.command("", "out begun , wait TERM");
    let errors = copy.scene.path("errors");
    let file = fs::File::create(&errors).unwrap();
    let mut run = child::start(command.stderr(file));
    assert_eq!(run.line().as_deref(), Some("begun"));
    until("nobody writes there any more", || {
        record(&copy.dir()).is_some_and(|there| there.state == Some(State::Running))
    });
    fs::remove_dir_all(copy.dir().join(".runtime")).unwrap();
    signal(run.pid(), SIGTERM);
    ended(&mut run);
    let told = fs::read_to_string(errors).unwrap();
    assert!(told.contains("its latch was removed"), "{told}");
}

#[test]
fn a_directory_may_be_named_by_a_relative_path() {
    let place = Dir::new();
    fs::create_dir(place.join("w")).unwrap();
    let mut command = Command::new(bin::lockkeeper());
    child::bare(&mut command)
        .args([
            "run",
            "--dir-lock",
            "w",
            "--",
            "cat",
            "w/.runtime/agent.lock",
        ])
        .current_dir(&place);
    let told = child::read(&mut command);
    let there = DirRecord::parse(told.as_bytes()).unwrap();
    assert_eq!(there.cwd.as_deref(), place.to_str());
}

#[test]
fn a_run_waits_for_one_above_that_covers_its_directory_and_for_one_below() {
    let copy = Copy::new();
    fs::create_dir(copy.dir().join("below")).unwrap();
    let config = copy.scene.config(
        "[jobs.upper]
        class = \"batch\"
        dir = \"DIR/w\"
        dir_lock = true
        subtree = true
        script = mark PAGE 1 , out begun , wait TERM
        [jobs.lower]
        class = \"batch\"
        dir = \"DIR/w/below\"
        dir_lock = true
        script = mark PAGE 2 , out begun , wait TERM",
    );
    let run = |job: &str| {
        let mut command = Command::new(bin::lockkeeper());
        child::bare(&mut command)
            .args(["run", "-c"])
            .arg(&config)
            .arg(job);
        child::start(&mut command)
    };
    let below = copy.dir().join("below");
    for (first, second, held) in [
        ("upper", "lower", copy.dir()),
        ("lower", "upper", below.clone()),
    ] {
        let mut first = run(first);
        assert_eq!(first.line().as_deref(), Some("begun"));
        let mut second = run(second);
        until("it waits", || waiters(&latch(&held)) == 1);
        signal(first.pid(), SIGTERM);
        ended(&mut first);
        assert_eq!(second.line().as_deref(), Some("begun"));
        signal(second.pid(), SIGTERM);
        ended(&mut second);
    }
    assert!(record(&below).is_none() && record(&copy.dir()).is_none());
    assert_eq!(copy.scene.page.overlaps().1, []);
    copy.scene.assert_empty();
}

#[test]
fn a_wait_for_one_below_that_is_over_leaves_no_record() {
    let copy = Copy::new();
    let below = copy.dir().join("below");
    fs::create_dir(&below).unwrap();
    let config = copy.scene.config(
        "[jobs.upper]
        class = \"batch\"
        dir = \"DIR/w\"
        dir_lock = true
        subtree = true
        wait = \"300ms\"
        script = mark PAGE 1",
    );
    let held = manual::hold(&below, "anna", None).unwrap();
    let mut command = Command::new(bin::lockkeeper());
    child::bare(&mut command).args(["run", "-c"]).arg(config);
    let told = output(command.arg("upper"));
    assert_eq!(told.status.code(), Some(75));
    let told = text(&told.stderr);
    assert!(told.contains("its lock would cover"), "{told}");
    assert!(told.contains("anna holds it by hand"), "{told}");
    assert!(record(&copy.dir()).is_none());
    assert_eq!(
        record(&below),
        Some(DirRecord {
            token: record(&below).unwrap().token,
            ..held
        })
    );
}

#[test]
fn a_dead_monitor_leaves_no_record() {
    let copy = Copy::new();
    let mut run = copy.begun("", "mark PAGE 1");
    signal(child_of(run.pid()), SIGKILL);
    assert_eq!(ended(&mut run).code(), Some(125));
    copy.assert_free();
}

#[test]
fn a_directory_where_nobody_can_know_what_a_lock_is_worth_is_named() {
    need!("root", "bindfs", "fuse");
    let copy = Copy::new();
    let mount = Dir::new();
    let script = "\"$LOCKKEEPER\" run --dir-lock \"$DIR\" -- echo begun 2>&1";
    let mut inside = Ns::root()
        .bindfs(&copy.dir(), &mount)
        .env("LOCKKEEPER", &bin::lockkeeper().display().to_string())
        .env("DIR", &mount.display().to_string())
        .start(Path::new("/bin/sh"), &["-c", script]);
    let told: Vec<String> = std::iter::from_fn(|| inside.process.line()).collect();
    ended(&mut inside.process);
    let told = told.join("\n");
    assert!(told.contains("nobody can know whether a lock"), "{told}");
    assert!(told.contains("begun"), "{told}");
}

/// What a holder on one mount looks like through another: its latch looks free.
#[test]
fn a_holder_on_another_mount_of_a_file_system_that_hides_its_latch_is_left_alone() {
    need!("root", "bindfs", "fuse");
    let place = Dir::new();
    let mut ns = Ns::root();
    for name in ["folder/w", "one", "two"] {
        fs::create_dir_all(place.join(name)).unwrap();
    }
    for name in ["one", "two"] {
        ns = ns.bindfs(&place.join("folder"), &place.join(name));
    }
    let inside = ns.start(&bin::puppet(), &[]);
    let mut holder = inside.enter(bin::lockkeeper());
    holder.args(["run", "-q", "--dir-lock"]);
    holder.arg(place.join("one/w"));
    let mut holder = child::start(holder.args(["--", "sh", "-c", "echo begun; exec cat"]));
    assert_eq!(holder.line().as_deref(), Some("begun"));
    let held = until_some("the record names the command", || {
        record(&place.join("folder/w")).filter(|there| there.state == Some(State::Running))
    });
    let other = place.join("two/w");
    let same = || inside.enter(bin::lockkeeper());
    let elsewhere = || {
        let mut command = inside.enter("unshare");
        command.args(["--pid", "--fork", "--mount-proc", "--"]);
        command.arg(bin::lockkeeper());
        command
    };
    let told = |mut command: Command, words: &[&str]| {
        let told = output(command.args(words).arg(&other));
        (told.status.code(), text(&told.stdout) + &text(&told.stderr))
    };
    let run = |mut command: Command| {
        command.args(["run", "--dir-lock"]).arg(&other);
        let told = output(command.args(["--", "echo", "mine"]));
        (told.status.code(), text(&told.stderr))
    };
    for (from, why) in [
        (&same as &dyn Fn() -> Command, "its process lives, though"),
        (&elsewhere, "this file system may hide a holder"),
    ] {
        let (code, said) = run(from());
        assert_eq!(code, Some(75), "{said}");
        assert!(said.contains(why), "{said}");
        let (code, said) = told(from(), &["lock", "clean"]);
        assert_eq!(code, Some(1), "{said}");
        let (code, said) = told(from(), &["lock", "release"]);
        assert_ne!(code, Some(0), "{said}");
        assert!(said.contains(why), "{said}");
        assert_eq!(record(&place.join("folder/w")).as_ref(), Some(&held));
    }
    // A person who has looked may say otherwise.
    let (code, said) = told(elsewhere(), &["lock", "release", "--force"]);
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(record(&place.join("folder/w")), None);
}

/// Whether a thread of `pid` waits for a lock or works in a directory.
fn is_at_locks(pid: i32) -> bool {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let mut names = tasks.flat_map(|task| fs::read_to_string(task.unwrap().path().join("comm")));
    names.any(|name| name.trim_end() == "lock")
}

/// Also where the run has only just begun, and its record does not name the command yet.
#[test]
fn neither_watchdog_nor_end_waits_for_the_file_system_of_a_directory() {
    need!("root", "bindfs", "fuse");
    for dies in [
        "before the command",
        "under the command",
        "before the monitor",
    ] {
        let copy = Copy::new();
        let mount = Dir::new();
        let at = mount.display().to_string();
        let inside = Ns::root()
            .bindfs(&copy.dir(), &mount)
            .start(&bin::puppet(), &[]);
        let serves = |pid: &i32| {
            let words = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            words.starts_with("bindfs\0") && words.split('\0').any(|word| word == at)
        };
        let daemon = until_some("the mount has a server", || {
            children(inside.pid1()).into_iter().find(serves)
        });
        let held = copy.scene.hold();
        let (said, talks) = (copy.scene.path("said"), copy.scene.path("talks"));
        fs::write(&talks, "").unwrap();
        let mut command = inside.enter(bin::lockkeeper());
        command.args(["run", "--wait", "forever", "--idle-timeout", "2s"]);
        command.arg("--dir-lock").arg(&at);
        command.args(copy.scene.words("--grace 100ms --lock LOCK"));
        // The watchdog's time begins when the test says so, and not while it looks for the record.
        let script = "echo begun; while [ -e \"$1\" ]; do echo; sleep 0.1; done; exec sleep 600";
        command
            .args(["--", "sh", "-c", script, "sh"])
            .arg(&talks)
            .stderr(fs::File::create(&said).unwrap());
        let mut run = child::start(&mut command);
        until_some("it has the directory", || record(&copy.dir()));
        until("it queues for the lock", || {
            waiters(&copy.scene.path("session.lock")) == 1
        });
        let stop = || halt(daemon);
        if dies == "before the command" {
            stop();
        }
        drop(held);
        assert_eq!(run.line().as_deref(), Some("begun"), "{dies}");
        let monitor = child_of(child_of(run.pid()));
        let killed = dies == "before the monitor";
        if dies != "before the command" {
            until("the record names the command", || {
                record(&copy.dir()).is_some_and(|there| there.state == Some(State::Running))
            });
            // While a request is with the server, no KILL ends who asked.
            if killed {
                until("the monitor has its answer", || !is_at_locks(monitor));
            }
            stop();
        }
        fs::remove_file(talks).unwrap();
        if killed {
            signal(monitor, SIGKILL);
        }
        let code = if killed { 125 } else { 124 };
        assert_eq!(ended(&mut run).code(), Some(code), "{dies}");
        let said = fs::read_to_string(said).unwrap();
        let left = said.contains("its record was not removed in time");
        assert!(left || killed, "{said}");
        assert!(copy.scene.is_free());
        signal(daemon, nix::sys::signal::Signal::SIGCONT);
    }
}
