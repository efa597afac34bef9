//! Signals: what reaches the command, what stops the run, and what the command starts with.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use lockkeeper::config::plan::DEFAULT_GRACE;
use serde_json::Value;

use super::support::bin;
use super::support::chance::Chance;
use super::support::child::{self, Tied, bare};
use super::support::dir::Dir;
use super::support::inherited::{Inherited, send};
use super::support::locks::waiters;
use super::support::need::{have, need};
use super::support::ns::{Ns, own_run};
use super::support::stat::{descendants, stat};
use super::support::wait::until;

use libc::{SIGCONT, SIGHUP, SIGINT, SIGKILL, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH};

/// A real-time signal, the numbers of which have no names.
const REAL_TIME: i32 = 40;
/// The last of them, which is read after all others.
const LAST: i32 = 64;

/// A folder with a lock, and with a file of jobs that has none but the main command.
struct Place {
    dir: Dir,
    lock: PathBuf,
    file: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = Dir::new();
        let (lock, file) = (dir.join("lock"), dir.join("agents.toml"));
        File::create(&lock).unwrap();
        fs::write(&file, "[init]\nname = \"here\"\n").unwrap();
        Self { dir, lock, file }
    }

    /// The ways to run one command, as arguments: alone, guarded, and with a lock.
    fn runs(&self) -> Vec<Vec<String>> {
        let batch = format!("run --lock {} --", self.lock.display());
        ["--", "run --", &batch].map(words).to_vec()
    }

    /// These, and as init's main command where the test may give init a /run of its own.
    fn ways(&self) -> Vec<Vec<String>> {
        let main = have("root").then(|| self.main());
        self.runs().into_iter().chain(main).collect()
    }

    fn main(&self) -> Vec<String> {
        words(&format!("-c {} --", self.file.display()))
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(String::from).collect()
}

fn lockkeeper(args: &[String], script: &str) -> Command {
    let mut command = Command::new(bin::lockkeeper());
    if args.first().is_some_and(|word| word == "-c") {
        own_run(&mut command);
    }
    bare(&mut command).args(args).arg(bin::puppet());
    command.args(script.split_whitespace());
    command
}

fn start(args: &[String], script: &str) -> Tied {
    Inherited::default().start(&mut lockkeeper(args, script))
}

/// Starts a command that says when it is ready for what comes.
fn start_ready(args: &[String], script: &str) -> Tied {
    let mut run = start(args, script);
    assert_eq!(run.line().as_deref(), Some("ready"), "{args:?}");
    run
}

/// The name of the next signal that the command has seen.
fn seen(run: &mut Tied) -> Option<String> {
    let line = run.line()?;
    Some(line.split(' ').next()?.to_owned())
}

// What the command starts with.

/// What a puppet says of the state that it was started in, without what is its own.
fn state(mut run: Tied) -> Value {
    let line = run.line().expect("a line of state");
    run.wait();
    let mut state: Value = serde_json::from_str(&line).unwrap();
    let fields = state.as_object_mut().unwrap();
    for own in ["pid", "ppid", "pgrp", "sid", "foreground", "env"] {
        fields.remove(own);
    }
    state
}

#[test]
fn mask_dispositions_and_folder_reach_the_command_as_lockkeeper_was_started() {
    let place = Place::new();
    let (all, everything): (Vec<i32>, Vec<i32>) = ((1..65).collect(), (1..65).collect());
    let cases = [
        Inherited::default(),
        Inherited {
            ignored: vec![libc::SIGPIPE],
            ..Inherited::default()
        },
        Inherited {
            ignored: vec![SIGHUP],
            ..Inherited::default()
        },
        Inherited {
            ignored: vec![SIGHUP, SIGINT, SIGTERM, SIGQUIT],
            blocked: vec![libc::SIGPIPE, libc::SIGALRM],
            ..Inherited::default()
        },
        Inherited {
            ignored: vec![libc::SIGCHLD],
            blocked: vec![libc::SIGCHLD, REAL_TIME],
            ..Inherited::default()
        },
        Inherited {
            ignored: vec![libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU, REAL_TIME],
            blocked: vec![SIGTERM, SIGUSR1, 34, LAST],
            ..Inherited::default()
        },
        Inherited {
            blocked: all,
            ..Inherited::default()
        },
        Inherited {
            ignored: everything,
            ..Inherited::default()
        },
    ];
    for inherited in cases {
        let mut bare_puppet = Command::new(bin::puppet());
        let started = |command: &mut Command| {
            command.current_dir(&*place.dir);
            state(inherited.start(command))
        };
        let expected = started(bare(&mut bare_puppet).arg("state"));
        for args in place.ways() {
            let told = started(&mut lockkeeper(&args, "state"));
            assert_eq!(told, expected, "{args:?}, {inherited:?}");
        }
    }
}

#[test]
fn a_job_of_a_file_gets_mask_and_dispositions_as_init_was_started() {
    need!("root");
    let place = Place::new();
    let text = format!(
        "[classes.keyed]\nkind = \"batch\"\nidentity = \"env:KEY\"\nenv = {{ KEY = \"k\" }}\n\
         [jobs.one]\nclass = \"keyed\"\nstdin = \"inherit\"\ncommand = [\"{}\", \"state\"]\n",
        bin::puppet().display()
    );
    fs::write(&place.file, text).unwrap();
    let inherited = Inherited {
        ignored: vec![SIGHUP, libc::SIGPIPE, libc::SIGCHLD],
        blocked: vec![SIGINT, SIGUSR1, REAL_TIME],
        ..Inherited::default()
    };
    let started = |command: &mut Command| {
        command.current_dir(&*place.dir);
        state(inherited.start(command))
    };
    let expected = started(bare(&mut Command::new(bin::puppet())).arg("state"));
    let mut init = Command::new(bin::lockkeeper());
    let told = started(own_run(bare(&mut init)).arg("-c").arg(&place.file));
    assert_eq!(told, expected);
}

#[test]
fn the_command_gets_the_descriptors_that_were_inherited_and_none_of_ours() {
    let place = Place::new();
    let inherited = Inherited {
        open: vec![3, 7, 19],
        ..Inherited::default()
    };
    let expected = state(inherited.start(bare(&mut Command::new(bin::puppet())).arg("state")));
    assert_eq!(expected["fds"], serde_json::json!([0, 1, 2, 3, 7, 19]));
    for args in place.runs() {
        let told = state(inherited.start(&mut lockkeeper(&args, "state")));
        assert_eq!(told, expected, "{args:?}");
        // Watchdogs have pipes and threads of their own.
        if args.first().is_some_and(|word| word == "run") {
            let limits = ["--timeout=1h", "--idle-timeout=1h"].map(String::from);
            let args = [&args[..1], &limits, &args[1..]].concat();
            let told = state(inherited.start(&mut lockkeeper(&args, "state")));
            assert_eq!(told, expected, "{args:?}");
        }
    }
    // Jobs of init get none.
    need!("root");
    let told = state(inherited.start(&mut lockkeeper(&place.main(), "state")));
    assert_eq!(told["fds"], serde_json::json!([0, 1, 2]));
}

// What stops a run.

#[test]
fn term_and_int_and_hup_stop_a_run_with_one_term() {
    let place = Place::new();
    for args in place.ways() {
        // With a file, HUP is a wish for a new one.
        let signals = match args[0].as_str() {
            "-c" => vec![SIGTERM, SIGINT],
            _ => vec![SIGTERM, SIGINT, SIGHUP],
        };
        for signo in signals {
            let mut run = start_ready(
                &args,
                "block TERM,INT,HUP,CONT , out ready , signals 2 , exit 9",
            );
            assert!(send(run.pid(), signo));
            assert_eq!(seen(&mut run).as_deref(), Some("TERM"), "{signo} {args:?}");
            // CONT follows every stop signal.
            assert_eq!(seen(&mut run).as_deref(), Some("CONT"), "{signo} {args:?}");
            assert_eq!(run.line(), None, "{signo} {args:?}");
            assert_eq!(run.wait().code(), Some(9), "{signo} {args:?}");
        }
    }
}

#[test]
fn as_pid_1_hup_reaches_the_command_itself() {
    need!("root");
    let mut inside = Ns::root().start(
        bin::lockkeeper(),
        &[
            "--",
            &bin::puppet().display().to_string(),
            "block",
            "HUP",
            ",",
            "out",
            "ready",
            ",",
            "signals",
            "1",
            ",",
            "exit",
            "9",
        ],
    );
    assert_eq!(inside.process.line().as_deref(), Some("ready"));
    assert!(send(inside.pid1(), SIGHUP));
    assert_eq!(seen(&mut inside.process).as_deref(), Some("HUP"));
    assert_eq!(inside.process.wait().code(), Some(9));
}

#[test]
fn a_stop_signal_that_was_ignored_at_the_start_stays_ignored() {
    let place = Place::new();
    for signo in [SIGHUP, SIGINT, SIGTERM] {
        for args in place.runs() {
            let inherited = Inherited {
                ignored: vec![signo],
                ..Inherited::default()
            };
            let script = "block TERM,INT,HUP,USR1 , out ready , signals 1 , exit 9";
            let mut run = inherited.start(&mut lockkeeper(&args, script));
            assert_eq!(run.line().as_deref(), Some("ready"));
            let pid = run.pid();
            assert!(send(pid, signo));
            until("it is read", || !has_pending(pid, signo));
            assert!(send(pid, SIGUSR1));
            assert_eq!(seen(&mut run).as_deref(), Some("USR1"), "{signo} {args:?}");
            assert_eq!(run.wait().code(), Some(9), "{signo} {args:?}");
        }
    }
}

/// musl keeps the first two to itself as other libraries do, and the third one, which is everybody else's
/// first real-time signal; and lets them through with the first handler, which the runtime installs.
#[test]
fn the_static_program_passes_also_the_signals_that_its_library_keeps_to_itself() {
    need!("static");
    let place = Place::new();
    for args in place.runs() {
        for signo in [32, 33, 34] {
            let mut command = Command::new(bin::static_build("lockkeeper"));
            let script = ["out", "ready", ",", "hang"];
            bare(&mut command).args(&args).arg(bin::puppet());
            let mut run = Inherited::default().start(command.args(script));
            assert_eq!(run.line().as_deref(), Some("ready"));
            assert!(send(run.pid(), signo));
            assert_eq!(run.wait().code(), Some(128 + signo), "{signo} {args:?}");
        }
    }
}

#[test]
fn a_second_term_within_a_second_does_not_count() {
    let place = Place::new();
    for args in place.runs() {
        until("both come within a second", || second_term(&args));
    }
}

/// Two TERMs, of which the second does not count; false: it came too late to say.
fn second_term(args: &[String]) -> bool {
    let mut run = start_ready(
        args,
        "block TERM,CONT,USR1 , out ready , signals 3 , exit 9",
    );
    let pid = run.pid();
    let begin = Instant::now();
    assert!(send(pid, SIGTERM));
    assert_eq!(seen(&mut run).as_deref(), Some("TERM"));
    assert_eq!(seen(&mut run).as_deref(), Some("CONT"));
    // The first was read, so this is another one; USR1 comes through after it was read.
    assert!(send(pid, SIGTERM));
    until("the second is read", || !has_pending(pid, SIGTERM));
    if begin.elapsed() >= Duration::from_secs(1) {
        return false;
    }
    assert!(send(pid, SIGUSR1));
    assert_eq!(seen(&mut run).as_deref(), Some("USR1"), "{args:?}");
    assert_eq!(run.wait().code(), Some(9), "{args:?}");
    true
}

/// Whether a signal waits to be read by the process itself (`proc_pid_status(5)`: `ShdPnd`).
fn has_pending(pid: i32, signo: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let pending = status.lines().find_map(|line| line.strip_prefix("ShdPnd:"));
    let pending = pending.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    pending.is_some_and(|set| set & (1 << (signo - 1)) != 0)
}

/// With a grace that no test sees the end of, where the command line can say so.
fn patient(mut args: Vec<String>) -> Vec<String> {
    if args.first().is_some_and(|verb| verb == "run") {
        args.insert(1, "--grace=1h".to_owned());
    }
    args
}

#[test]
fn a_second_term_after_a_second_kills_at_once() {
    let place = Place::new();
    for args in place.runs() {
        let args = patient(args);
        let mut run = start_ready(&args, "ignore TERM , out ready , hang");
        let pid = run.pid();
        let begin = Instant::now();
        // The first of these asks; the others count as soon as they may.
        let mut status = None;
        until("it is killed", || {
            send(pid, SIGTERM);
            status = run.try_wait();
            status.is_some()
        });
        assert!(begin.elapsed() >= Duration::from_secs(1), "{args:?}");
        assert!(begin.elapsed() < DEFAULT_GRACE, "{args:?}: by the grace");
        assert_eq!(status.unwrap().code(), Some(128 + SIGKILL), "{args:?}");
    }
}

#[test]
fn a_stopped_command_hears_the_stop() {
    let place = Place::new();
    for args in place.ways() {
        let args = patient(args);
        let mut run = start_ready(&args, "out ready , stop-self , hang");
        let pid = run.pid();
        let stopped = |pid: i32| stat(pid).is_some_and(|stat| stat.state == 'T');
        until("the command is stopped", || {
            descendants(pid).into_iter().any(stopped)
        });
        assert!(!stopped(pid), "{args:?}: no shell could continue it");
        assert!(send(pid, SIGTERM));
        assert_eq!(run.wait().code(), Some(143), "{args:?}");
    }
}

#[test]
fn a_waiter_that_is_told_to_stop_leaves_and_the_queue_goes_on() {
    let place = Place::new();
    let [_, _, batch] = &place.runs()[..] else {
        unreachable!()
    };
    for (signo, code) in [(SIGTERM, 143), (SIGINT, 130), (SIGHUP, 129), (SIGQUIT, 131)] {
        let mut holder = child::start(&mut Command::new(bin::puppet()));
        holder.ask(&format!("lock {}", place.lock.display()));
        let waiting = |script: &str, place_in_queue: usize| {
            let run = start(batch, script);
            until("it is in the queue", || {
                waiters(&place.lock) == place_in_queue
            });
            run
        };
        let mut one = waiting("out one", 1);
        let mut two = waiting("out two", 2);
        let mut three = waiting("out three", 3);
        assert!(send(two.pid(), signo));
        assert_eq!(two.wait().code(), Some(code));
        assert_eq!(two.line(), None);
        until("the others are in the queue", || waiters(&place.lock) == 2);
        holder.wait();
        for (run, said) in [(&mut one, "one"), (&mut three, "three")] {
            assert_eq!(run.line().as_deref(), Some(said));
            assert_eq!(run.wait().code(), Some(0));
        }
    }
}

// What reaches the command.

#[test]
fn every_other_signal_passes_to_the_command() {
    let place = Place::new();
    let names = [
        (SIGUSR1, "USR1"),
        (SIGUSR2, "USR2"),
        (SIGWINCH, "WINCH"),
        (SIGQUIT, "QUIT"),
        (SIGCONT, "CONT"),
        (libc::SIGALRM, "ALRM"),
        (libc::SIGURG, "URG"),
        (34, "34"),
        (REAL_TIME, "40"),
        (LAST, "64"),
    ];
    for args in place.ways() {
        let script = format!("block USR1 , out ready , signals {} , exit 9", names.len());
        // Blocked from before the start, so that none ends the command before it waits for them.
        let inherited = Inherited {
            blocked: (1..65).collect(),
            ..Inherited::default()
        };
        let mut run = inherited.start(&mut lockkeeper(&args, &script));
        assert_eq!(run.line().as_deref(), Some("ready"));
        for (signo, name) in names {
            assert!(send(run.pid(), signo));
            assert_eq!(seen(&mut run).as_deref(), Some(name), "{args:?}");
        }
        assert_eq!(run.wait().code(), Some(9), "{args:?}");
    }
}

#[test]
fn no_signal_is_lost_between_the_start_and_the_command() {
    const EACH: usize = 25;
    let place = Place::new();
    let inherited = Inherited {
        blocked: vec![SIGUSR1, REAL_TIME, LAST],
        ..Inherited::default()
    };
    let mut chance = Chance::new();
    for args in place.ways() {
        for round in 0..8 {
            let script = format!("signals {}", EACH + 2);
            let mut run = inherited.start(&mut lockkeeper(&args, &script));
            let pid = run.pid();
            assert!(send(pid, SIGUSR1));
            for _ in 0..EACH {
                spin(chance.below(Duration::from_micros(800)));
                assert!(send(pid, REAL_TIME));
            }
            assert!(send(pid, LAST));
            let mut counts = [0; 2];
            loop {
                match seen(&mut run).as_deref() {
                    Some("USR1") => counts[0] += 1,
                    Some("40") => counts[1] += 1,
                    Some("64") => break,
                    other => panic!("{other:?} in round {round} of {args:?}"),
                }
            }
            assert_eq!(counts, [1, EACH], "round {round} of {args:?}");
        }
    }
}

fn spin(pause: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < pause {
        thread::yield_now();
    }
}
