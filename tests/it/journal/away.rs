//! A journald that ends and comes back, and none at all: nothing hangs, later notes arrive, and
//! what nobody could see is counted.

use std::fs;
use std::path::{Path, PathBuf};

use lockkeeper::core::note::Note;
use serde_json::Value;

use super::file_of;
use crate::support::bin;
use crate::support::child::{self, Tied, read, signal, text};
use crate::support::dir::Dir;
use crate::support::journald::Journald;
use crate::support::need::need;
use crate::support::scene::{Scene, child_of, ended};
use crate::support::wait::{until, until_some};
use nix::sys::signal::Signal::SIGTERM;

const OURS: [&str; 1] = ["SYSLOG_IDENTIFIER=lockkeeper"];

/// The records with these words.
fn with(records: &[Value], words: &str) -> usize {
    let says = |record: &&Value| {
        record["MESSAGE"]
            .as_str()
            .is_some_and(|text| text.contains(words))
    };
    records.iter().filter(says).count()
}

#[test]
fn notes_of_the_time_without_a_journal_are_lines_and_later_ones_arrive_there_again() {
    need!("root", "journald");
    for gone in [true, false] {
        let (mut journal, scene) = (Journald::start(), Scene::new());
        // A run of its own, with a script that says when it has come so far.
        let file = scene.config(
            "[jobs.dev]
            class = \"interactive\"
            main = true
            stdin = \"inherit\"
            command = [\"DIR/puppet\"]",
        );
        let errors = scene.path("errors");
        let mut command = journal.outliving(bin::lockkeeper());
        command.args(["init", "-c"]).arg(&file);
        command.stderr(fs::File::create(&errors).unwrap());
        let mut init = child::start(&mut command);
        assert_eq!(init.ask("out here"), "here");
        until("the start is told", || {
            with(&journal.records(&OURS), "started (pid") == 1
        });
        journal.end(gone);
        signal(init.pid(), SIGTERM);
        // Its command still has its input: nothing but the signal ends it.
        let status = until_some("it ends", || init.try_wait());
        assert_eq!(status.code(), Some(143), "the stop waits for no journal");
        let told = fs::read_to_string(&errors).unwrap();
        for words in [
            "no journal, notes go to standard error: failed to send to",
            "stop asked by SIGTERM",
            "init ends (exit 143)",
        ] {
            assert!(told.contains(words), "\"{words}\" in {told}");
        }
        assert!(
            !told.contains("started (pid"),
            "the journal has that: {told}"
        );
        journal.begin();
        assert_eq!(with(&journal.records(&OURS), "init ends"), 0);
    }
}

/// The log thread of a process.
fn log_thread(pid: i32) -> PathBuf {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let mut tasks = tasks.map(|task| task.path());
    let is_log = |task: &PathBuf| fs::read_to_string(task.join("comm")).unwrap() == "log\n";
    tasks.find(is_log).expect("it has told something")
}

/// How often it has come to rest, if it rests now.
fn rests(thread: &Path) -> Option<u64> {
    let call = fs::read_to_string(thread.join("syscall")).ok()?;
    let futex = libc::SYS_futex.to_string();
    let status = fs::read_to_string(thread.join("status")).ok()?;
    let count = status
        .lines()
        .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
    (call.split(' ').next() == Some(&futex)).then(|| count.trim().parse().ok())?
}

#[test]
fn what_nobody_saw_is_counted_and_the_journal_is_told_when_it_is_back() {
    need!("root", "journald");
    let (mut journal, scene) = (Journald::start(), Scene::new());
    // Standard error has errors alone, the journal all.
    let mut command = journal.outliving(bin::lockkeeper());
    command
        .args(["run", "-q", "--lock"])
        .arg(scene.lock())
        .arg("--")
        .arg(scene.puppet());
    let errors = scene.path("errors");
    command.stderr(fs::File::create(&errors).unwrap());
    let held = scene.hold();
    let mut run: Tied = child::start(&mut command);
    until("it queues", || scene.waiting() == 1);
    until("that is told", || {
        with(&journal.records(&OURS), "waiting for lock") == 1
    });
    let log = log_thread(child_of(run.pid()));
    until("the log thread rests", || rests(&log).is_some());
    let before = rests(&log);
    journal.end(true);
    drop(held);
    assert_eq!(run.ask("out here"), "here");
    until("it has tried", || rests(&log) > before);
    journal.begin();
    run.hang_up();
    assert_eq!(ended(&mut run).code(), Some(0));
    let records = journal.records(&OURS);
    let lost = records.iter().find(|record| record["COUNT"].is_string());
    let lost: usize = lost.expect("it is told")["COUNT"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    // Two notes fell into that time, the second perhaps at its very end: the lock is ours, the
    // command runs.
    assert_eq!(with(&records, "obtained"), 0);
    assert_eq!(lost + with(&records, "started"), 2, "{records:#?}");
    assert_eq!(with(&records, "ended after"), 1);
    assert_eq!(fs::read_to_string(&errors).unwrap(), "");
}

#[test]
fn lines_on_standard_error_are_json_where_the_file_or_the_environment_says_so() {
    need!("root");
    let scene = Scene::new();
    let dir = Dir::new();
    let file = |log: &str| {
        scene.config(&format!(
            "[init]
            name = \"agents-1\"
            {log}
            [jobs.dev]
            class = \"interactive\"
            main = true
            command = [\"true\"]"
        ))
    };
    let (init, run) = (&["init"][..], &["run", "-v", "dev"][..]);
    for (verb, log, env, json) in [
        (init, "", None, false),
        (init, "log = \"json\"", None, true),
        (init, "log = \"json\"", Some("text"), false),
        (init, "", Some("json"), true),
        (run, "", None, false),
        (run, "log = \"json\"", None, true),
        (run, "log = \"json\"", Some("text"), false),
    ] {
        let mut command = std::process::Command::new("unshare");
        // A /run without a journal.
        let script = "mount --bind \"$0\" /run && exec \"$@\"";
        child::bare(&mut command)
            .args(["--mount", "sh", "-c", script])
            .arg(&*dir);
        command
            .arg(bin::lockkeeper())
            .args(verb)
            .arg("-c")
            .arg(file(log));
        command.envs(env.map(|word| ("LOCKKEEPER_LOG", word)));
        let output = child::output(&mut command);
        assert_eq!(output.status.code(), Some(0));
        let told = text(&output.stderr);
        assert!(told.lines().count() > 1, "{told}");
        for line in told.lines() {
            let object: Result<Value, _> = serde_json::from_str(line);
            assert_eq!(object.is_ok(), json, "{log} {env:?}: {line}");
            if let Ok(object) = object {
                assert_eq!(object["CONTAINER_NAME"], "agents-1");
                assert!(
                    object["MESSAGE_ID"]
                        .as_str()
                        .is_some_and(|id| id.len() == 32)
                );
            }
        }
        assert_eq!(told.contains("\"RUN_ID\":"), json, "runs, too: {told}");
        assert!(
            !told.contains('<'),
            "no priority before a line that journald does not read"
        );
    }
}

#[test]
fn standard_error_that_is_the_journal_gets_priorities_and_repeats_nothing() {
    need!("root", "journald", "systemd-cat");
    let (journal, dir) = (Journald::start(), Dir::new());
    let notes = [Note::Killing, Note::Started { pid: 7 }];
    let file = file_of(&dir, &notes);
    // systemd says which stream it is (systemd.exec(5)); systemd-cat of today does, too.
    let stream = "JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2); export JOURNAL_STREAM";
    let run = |identifier: &str, before: &str| {
        let script = format!("{stream}; {before} exec \"$@\"");
        let mut command = journal.command("unshare");
        command
            .args(["--mount", "systemd-cat"])
            .arg(format!("--identifier={identifier}"));
        command.args(["sh", "-c", &script, "sh"]).arg(bin::puppet());
        read(command.arg("notes").arg(&file));
    };
    // The native socket is hidden; standard error leads to journald all the same.
    run("stream", "mount -t tmpfs none /run/systemd/journal;");
    let records = journal.records(&["SYSLOG_IDENTIFIER=stream"]);
    for (words, priority) in [("killing what is left", "4"), ("started (pid 7)", "5")] {
        let record = records.iter().find(|record| {
            record["MESSAGE"]
                .as_str()
                .is_some_and(|text| text.contains(words))
        });
        let record = record.unwrap_or_else(|| panic!("\"{words}\" in {records:#?}"));
        assert_eq!(record["PRIORITY"], priority);
        assert!(
            !record["MESSAGE"].as_str().unwrap().contains('<'),
            "{record:#?}"
        );
    }
    // With the socket, everything goes there and nothing comes twice.
    run("again", "");
    let again = journal.records(&["SYSLOG_IDENTIFIER=again"]);
    assert_eq!(with(&again, "killing"), 0, "{again:#?}");
    assert_eq!(with(&journal.records(&OURS), "killing"), 1);
}

#[test]
fn a_log_thread_that_panics_ends_nobody_else() {
    let mut puppet = child::start(&mut std::process::Command::new(bin::puppet()));
    assert_eq!(puppet.ask("panic-aside"), "");
    until("it stands still", || {
        fs::read_dir(format!("/proc/{}/task", puppet.pid()))
            .unwrap()
            .count()
            == 2
    });
    assert_eq!(puppet.ask("out here"), "here");
    puppet.hang_up();
    assert_eq!(ended(&mut puppet).code(), Some(0));
}

#[test]
fn a_thread_whose_stack_is_full_ends_its_process_in_order() {
    let mut command = std::process::Command::new(bin::puppet());
    let mut puppet = child::start(command.arg("overflow-aside"));
    assert_eq!(ended(&mut puppet).code(), Some(125));
}

#[test]
fn a_monitor_whose_log_thread_panics_goes_on() {
    let mut puppet = child::start(&mut std::process::Command::new(bin::puppet()));
    assert_eq!(puppet.ask("panic-monitor"), "goes on");
    puppet.hang_up();
    ended(&mut puppet);
}
