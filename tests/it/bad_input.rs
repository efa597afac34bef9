//! Bad input, as one table: what is typed or found, the exit code, the first words of the message.
//!
//! Each case is a line of shell in a folder of its own, so that it can be read, and typed. In it:
//! `lk` is the program, `run` is `lk run --lock lock`, `nobody` runs the rest as user 65534, `toml`
//! writes what follows as `jobs.toml`, `in_tmpfs OPTIONS` mounts one over `./mnt` for the rest.
//!
//! After each case, whatever came before: no process of the program lives, the lock is free, the
//! message begins in lower case behind the program's name, says what to do, and nobody panicked.

mod cases;

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use fs2::FileExt as _;
use nix::sys::signal::Signal::SIGTERM;

use self::cases::{CLAIMS, COMMANDS, CONFIGURATIONS, Case, LOCKS, PROCESSES, STREAMS};
use crate::support::bin;
use crate::support::child::{self, bare, text};
use crate::support::dir::Dir;
use crate::support::need::need;
use crate::support::ns::Ns;
use crate::support::wait::until_some;

/// What every line of shell may use.
const WORDS: &str = r#"
    lk() { ./lockkeeper "$@"; }
    run() { ./lockkeeper run --lock lock "$@"; }
    nobody() { chmod 755 .; setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@"; }
    toml() { printf '%s\n' "$@" > jobs.toml; }
    limited() { n=$1; shift; prlimit --nofile="$n" -- "$@"; }
    in_tmpfs() { mkdir mnt; unshare --mount sh -ec "mount -t tmpfs -o $1 none mnt; $2"; }
"#;

#[test]
fn a_bad_configuration_is_refused_with_the_way_out() {
    need!("root", "setpriv");
    all(CONFIGURATIONS);
}

#[test]
fn a_path_that_cannot_be_a_lock_is_refused_with_the_way_out() {
    need!("root", "setpriv");
    all(LOCKS);
}

#[test]
fn claims_that_cannot_be_written_or_believed_change_nothing_for_the_run() {
    need!("root", "setpriv");
    all(CLAIMS);
}

#[test]
fn a_command_that_cannot_be_run_is_told_as_a_shell_tells_it() {
    need!("root", "setpriv");
    all(COMMANDS);
}

#[test]
fn streams_that_are_closed_or_full_are_the_callers_loss_and_nobody_elses() {
    need!("root");
    all(STREAMS);
}

#[test]
fn a_user_without_processes_left_is_told_so() {
    need!("root", "setpriv", "prlimit");
    all(PROCESSES);
}

#[track_caller]
fn all(cases: &[Case]) {
    for (input, code, words) in cases {
        let place = Place::new();
        // A socket cannot be made by a line of shell.
        let socket = std::os::unix::net::UnixListener::bind(place.dir.join("socket"));
        let (got, said) = place.sh(input);
        drop(socket);
        let words = words.replace("DIR", &place.dir.display().to_string());
        assert_eq!(got, Some(*code), "{input}\n{said}");
        match said.strip_prefix("lockkeeper: ") {
            None => assert_eq!((&*said, &*words), ("", ""), "{input}"),
            Some(told) => {
                assert!(
                    told.starts_with(&words) && !words.is_empty(),
                    "{input}\n{said}"
                );
                assert!(says_what_to_do(&said), "{input}\n{said}");
            }
        }
        place.assert_clean(input);
    }
}

/// Whether the first line, or the help below it, goes on after what is wrong.
fn says_what_to_do(said: &str) -> bool {
    let first = said.lines().next().unwrap_or_default();
    let way_out = [
        "; ",
        "\n  = ",
        "there are ",
        "it needs ",
        ", held by ",
        " not obtained ",
        ": write ",
    ];
    !first.ends_with('.') && way_out.iter().any(|words| said.contains(words))
}

/// A folder with a copy of the program, by which its processes are found.
struct Place {
    dir: Dir,
    program: (u64, u64),
}

impl Place {
    fn new() -> Self {
        let dir = Dir::new();
        let copy = dir.join("lockkeeper");
        // A link costs nothing; where the folder is on another file system, a copy.
        if fs::hard_link(bin::lockkeeper(), &copy).is_err() {
            fs::copy(bin::lockkeeper(), &copy).expect("room for the program");
        }
        fs::set_permissions(&*dir, fs::Permissions::from_mode(0o755)).expect("it is ours");
        let program = identity(&copy).expect("it is there");
        Self { dir, program }
    }

    /// Runs a line of shell; its exit code, and what it said on standard error.
    fn sh(&self, line: &str) -> (Option<i32>, String) {
        let mut command = Command::new("timeout");
        let script = format!("{WORDS}\n{line}");
        bare(&mut command)
            .args(["--kill-after=1", "60", "sh", "-c", &script])
            .env("HERE", &*self.dir)
            .current_dir(&*self.dir);
        let output = child::output(&mut command);
        let said = text(&output.stderr);
        assert!(!said.contains("panicked"), "{line}\n{said}");
        (output.status.code(), said)
    }

    #[track_caller]
    fn assert_clean(&self, input: &str) {
        let own = Some(self.program);
        let runs_it = |pid: &String| identity(format!("/proc/{pid}/exe").as_ref()) == own;
        // The very file may be run by another test where it could be linked: by its folder then.
        let here = |pid: &String| {
            fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.starts_with(&*self.dir))
        };
        let living: Vec<String> = fs::read_dir("/proc")
            .expect("/proc")
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|pid| runs_it(pid) && here(pid))
            .collect();
        assert_eq!(living, Vec::<String>::new(), "left behind by: {input}");
        let lock = self.dir.join("lock");
        if fs::symlink_metadata(&lock).is_ok_and(|meta| meta.is_file()) {
            let file = File::open(&lock).expect("root may");
            assert!(file.try_lock_exclusive().is_ok(), "still held by: {input}");
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).map(|file| (file.dev(), file.ino())).ok()
}

#[test]
fn out_of_descriptors_is_a_clear_error_at_every_number_of_them() {
    need!("prlimit");
    let place = Place::new();
    for start in [
        "./lockkeeper run --lock lock --idle-timeout 1h",
        "./lockkeeper",
    ] {
        let mut worked = false;
        // Below, the program's own libraries cannot be opened.
        for limit in 4..40 {
            let line = format!("prlimit --nofile={limit} -- {start} -- sh -c 'exit 3'");
            let (code, said) = place.sh(&line);
            match code {
                Some(3) => worked = true,
                // Less is enough for the program than for the shell that it runs, or for itself.
                Some(125 | 78) => assert!(!worked && said.contains("ulimit -n"), "{line}\n{said}"),
                other => panic!("{line}: {other:?}\n{said}"),
            }
            place.assert_clean(&line);
            let claims = fs::read_dir(place.dir.join("lock.d"));
            assert_eq!(claims.map_or(0, Iterator::count), 0, "{line}: claims");
        }
        assert!(worked, "{start} works with 40");
    }
}

#[test]
fn a_lock_that_cannot_be_watched_is_said_and_the_run_goes_on() {
    need!("userns");
    let place = Place::new();
    let mut command = Command::new("unshare");
    let line = "echo 0 > /proc/sys/user/max_inotify_instances; \
        exec ./lockkeeper run --lock lock -- cat 2>&1";
    bare(&mut command)
        .args(["--user", "--map-root-user", "sh", "-ec", line])
        .current_dir(&*place.dir);
    let mut run = child::start(&mut command);
    // Said when the lock has been held for a while, and the command goes on.
    let said = run.line().expect("it is said");
    assert!(said.starts_with("lockkeeper: job cat: "), "{said}");
    assert!(said.contains("/lock\""), "{said}");
    run.say("the command lives");
    assert_eq!(run.line().as_deref(), Some("the command lives"));
    assert!(run.wait().success());
    place.assert_clean(line);
}

#[test]
fn a_living_run_of_another_lock_does_not_pass_as_the_holder_of_this_one() {
    let place = Place::new();
    let line = "run -- sh -c 'exec flock other ./lockkeeper run --lock other --wait 0s -- true'";
    let (code, said) = place.sh(line);
    assert_eq!(code, Some(75), "{said}");
    // Of its own lock it does: the run inside does not wait for the one outside.
    let line = "run -- ./lockkeeper run --lock lock --wait 0s -- sh -c 'exit 3'";
    let (code, said) = place.sh(line);
    assert_eq!(code, Some(3), "{said}");
    place.assert_clean(line);
}

#[test]
fn pid_1_that_cannot_start_a_guard_says_so_lives_and_tries_again() {
    need!("root", "prlimit");
    let place = Place::new();
    let config = place.dir.join("jobs.toml");
    let jobs = r#"
        [jobs.long]
        class = "interactive"
        stdin = "null"
        command = ["sh", "-c", "trap 'echo long ends; exit 0' TERM; echo long begins; while :; do sleep 1000 & wait; done"]
        [jobs.often]
        class = "interactive"
        stdin = "null"
        every = "1s"
        command = ["echo", "often ran"]
    "#;
    fs::write(&config, jobs).expect("room for a file");
    let mut init = Ns::root().shell("exec 2>&1").start(
        bin::lockkeeper(),
        &["-v", "-c", &config.display().to_string()],
    );
    let mut seen = Vec::new();
    let mut until_said = |init: &mut crate::support::ns::Inside, words: &[&str]| {
        let mut missing: Vec<&str> = words.to_vec();
        while !missing.is_empty() {
            let line = init
                .process
                .line()
                .unwrap_or_else(|| panic!("ended: {seen:#?}"));
            missing.retain(|words| !line.contains(words));
            seen.push(line);
        }
    };
    until_said(&mut init, &["long begins", "often ran"]);
    let pid1 = init.pid1();
    let limit = |number: usize| {
        let pid = pid1.to_string();
        let mut command = Command::new("prlimit");
        child::read(command.args(["--pid", &pid, &format!("--nofile={number}:1024")]));
    };
    let open = || fs::read_dir(format!("/proc/{pid1}/fd")).map_or(0, Iterator::count);
    // A guard that is being started or ends has descriptors of its own there.
    let few = until_some("only the long job runs", || {
        Some(open()).filter(|open| *open <= 13)
    });
    limit(few);
    until_said(
        &mut init,
        &["job often: no run started, tried again at the next tick"],
    );
    limit(1024);
    until_said(&mut init, &["often ran"]);
    child::signal(pid1, SIGTERM);
    until_said(&mut init, &["long ends"]);
    while init.process.line().is_some() {}
    assert_eq!(init.process.wait().code(), Some(0));
}
