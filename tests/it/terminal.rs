//! The terminal: under a shell with job control, in the background, in pipelines, for batch runs,
//! and as PID 1. All on real pseudo-terminals.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal::{SIGTERM, SIGUSR1};
use serde_json::Value;

use super::support::bin;
use super::support::child::{self, bare, signal};
use super::support::dir::Dir;
use super::support::locks::waiters;
use super::support::need::need;
use super::support::ns::{children, in_new_pid_namespace};
use super::support::pty::{CTRL_BACKSLASH, CTRL_C, CTRL_D, CTRL_Z, Pty};
use super::support::stat::{descendants, stat, states};
use super::support::wait::until;

const PROMPT: &str = "what now? ";

/// The ways to start an interactive command, for a line of shell.
const INTERACTIVE: [&str; 2] = ["$LK --", "$LK run --"];

/// An interactive bash with job control. `$LK` and `$P` are the program and the puppet, `$L` is a
/// lock.
fn bash(lock: &Path) -> Pty {
    let mut command = Command::new("bash");
    bare(&mut command)
        .args(["--norc", "--noprofile", "--noediting", "-i"])
        .env("LK", bin::lockkeeper())
        .env("P", bin::puppet())
        .env("L", lock)
        .env("PS1", PROMPT);
    let mut bash = Pty::start(&mut command, Command::spawn);
    bash.until(PROMPT);
    bash
}

/// The first process of the job that bash has started last.
fn job(bash: &Pty) -> i32 {
    *children(bash.pid()).last().expect("bash has a job")
}

/// The command of a batch run is stopped by a signal from its monitor, which does not wait for it.
#[track_caller]
fn until_all_stopped(pty: &Pty) {
    until("all are stopped", || {
        let states = states(pty.pid());
        !states.is_empty() && states.chars().all(|state| state == 'T')
    });
}

fn none_stopped(pty: &Pty) -> bool {
    !states(pty.pid()).contains('T')
}

fn lock_in(dir: &Dir) -> std::path::PathBuf {
    let lock = dir.join("lock");
    File::create(&lock).unwrap();
    lock
}

#[test]
fn ctrl_c_reaches_an_interactive_command_once() {
    let dir = Dir::new();
    let mut bash = bash(&lock_in(&dir));
    for how in INTERACTIVE {
        bash.line(&format!(
            "{how} $P block INT,QUIT,USR1 , out re''ady , signals 3 , exit 5; echo code=$?"
        ));
        bash.until("ready");
        bash.keys(CTRL_C);
        bash.until("INT 0");
        // What lockkeeper makes of INT, it makes before it reads this.
        signal(job(&bash), SIGUSR1);
        let between = bash.until("USR1 ");
        assert!(!between.contains("INT"), "{how}: {between}");
        bash.keys(CTRL_BACKSLASH);
        let between = bash.until("QUIT 0");
        assert!(!between.contains("INT"), "{how}: {between}");
        bash.until("code=5");
        bash.until(PROMPT);
    }
}

#[test]
fn an_interactive_run_shares_the_group_and_the_terminal_of_its_caller() {
    let dir = Dir::new();
    let mut bash = bash(&lock_in(&dir));
    for how in INTERACTIVE {
        bash.line(&format!("{how} $P out re''ady , cat"));
        bash.until("ready");
        let job = job(&bash);
        assert_eq!(bash.foreground(), job);
        for pid in [vec![job], descendants(job)].concat() {
            let stat = stat(pid).unwrap();
            let where_it_stands = (stat.pgrp, stat.session, stat.tpgid);
            assert_eq!(where_it_stands, (job, bash.pid(), job), "{how}");
        }
        bash.keys(CTRL_D);
        bash.until(PROMPT);
        assert_eq!(bash.foreground(), bash.pid());
    }
}

#[test]
fn ctrl_z_stops_an_interactive_run_and_fg_continues_it() {
    let dir = Dir::new();
    let mut bash = bash(&lock_in(&dir));
    for how in INTERACTIVE {
        bash.line(&format!("{how} $P out re''ady , cat"));
        bash.until("ready");
        for _ in 0..5 {
            bash.keys(CTRL_Z);
            bash.until("Stopped");
            bash.until(PROMPT);
            until_all_stopped(&bash);
            assert_eq!(bash.foreground(), bash.pid());
            bash.line("fg");
            until("it goes on in the foreground", || {
                bash.foreground() == job(&bash) && none_stopped(&bash)
            });
            bash.line("hello");
            bash.until("hello");
        }
        bash.keys(CTRL_D);
        bash.until(PROMPT);
    }
}

#[test]
fn bg_lets_a_stopped_run_go_on_and_write() {
    let dir = Dir::new();
    let mut bash = bash(&lock_in(&dir));
    for how in INTERACTIVE {
        bash.line(&format!(
            "{how} $P block CONT , out re''ady , wait CONT , out conti''nued , hang"
        ));
        bash.until("ready");
        bash.keys(CTRL_Z);
        bash.until(PROMPT);
        bash.line("bg");
        bash.until("continued");
        until("all go on", || none_stopped(&bash));
        assert_eq!(bash.foreground(), bash.pid());
        bash.line("fg");
        until("it is in the foreground", || {
            bash.foreground() == job(&bash)
        });
        bash.keys(CTRL_C);
        bash.until(PROMPT);
        until("nothing is left", || children(bash.pid()).is_empty());
    }
}

#[test]
fn whoever_continues_the_caller_alone_continues_the_command() {
    let dir = Dir::new();
    let lock = lock_in(&dir);
    let mut bash = bash(&lock);
    for how in [INTERACTIVE.as_slice(), &["$LK run --lock $L --"]].concat() {
        bash.line(&format!(
            "{how} $P block CONT , out re''ady , wait CONT , out conti''nued"
        ));
        bash.until("ready");
        bash.keys(CTRL_Z);
        bash.until(PROMPT);
        until_all_stopped(&bash);
        signal(job(&bash), nix::sys::signal::Signal::SIGCONT);
        bash.until("continued");
        until("nothing is left", || children(bash.pid()).is_empty());
        bash.line("");
        bash.until("Done");
        bash.until(PROMPT);
    }
}

#[test]
fn the_neighbours_in_a_pipeline_keep_working() {
    let dir = Dir::new();
    let mut bash = bash(&lock_in(&dir));
    for pipeline in [
        "$P cat | $LK run -- $P cat",
        "$LK run -- $P cat | $P cat",
        "$P cat | $LK -- $P cat",
        "$LK -- $P cat | $P cat",
        "$P cat | $LK run --lock $L -- $P cat",
        "$P cat | $LK run --lock $L -- $P cat | $P cat",
    ] {
        bash.line(pipeline);
        bash.line("hello");
        bash.until("hello");
        assert!(none_stopped(&bash), "{pipeline}: {}", states(bash.pid()));
        bash.keys(CTRL_Z);
        bash.until("Stopped");
        bash.until(PROMPT);
        until_all_stopped(&bash);
        bash.line("fg");
        bash.line("again");
        bash.until("again");
        bash.keys(CTRL_D);
        bash.until(PROMPT);
    }
}

#[test]
fn a_run_in_the_background_never_touches_the_terminal() {
    let dir = Dir::new();
    let mut bash = bash(&lock_in(&dir));
    // Who writes from the background now is stopped; lockkeeper has much to say with -vv.
    bash.line("stty tostop");
    bash.until(PROMPT);
    for how in ["$LK -vv --", "$LK run -vv --", "$LK run -vv --lock $L --"] {
        bash.line(&format!("{how} $P hang &"));
        bash.until(PROMPT);
        until("the command runs", || {
            let below = descendants(bash.pid());
            below.iter().any(|&pid| is_puppet(pid))
        });
        assert!(none_stopped(&bash), "{how}: {}", states(bash.pid()));
        assert_eq!(bash.foreground(), bash.pid(), "{how}");
        bash.line("echo mi''ne");
        bash.until("mine");
        bash.until(PROMPT);
        signal(job(&bash), SIGTERM);
        bash.line("wait %1; echo code=$?");
        bash.until("code=143");
        bash.until(PROMPT);
    }
}

fn is_puppet(pid: i32) -> bool {
    std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == bin::puppet())
}

#[test]
fn a_command_that_reads_in_the_background_waits_for_fg() {
    let dir = Dir::new();
    let mut bash = bash(&lock_in(&dir));
    for how in INTERACTIVE {
        bash.line(&format!("{how} $P cat &"));
        bash.until(PROMPT);
        until_all_stopped(&bash);
        bash.line("fg");
        bash.line("hello");
        bash.until("hello");
        bash.keys(CTRL_D);
        bash.until(PROMPT);
    }
}

#[test]
fn a_batch_command_has_no_terminal_and_takes_nothing_that_is_typed() {
    let dir = Dir::new();
    let mut bash = bash(&lock_in(&dir));
    bash.line("$LK run --lock $L -- $P cat , state");
    let shown = bash.until("}");
    let state: Value = serde_json::from_str(&shown[shown.find('{').unwrap()..]).unwrap();
    assert_eq!(state["tty"], false);
    assert_eq!(state["sid"], state["pid"]);
    bash.until(PROMPT);
    bash.line("$LK run --lock $L -- $P cat , out ba''tch , hang &");
    bash.until("batch");
    bash.line("echo mi''ne");
    bash.until("mine");
}

#[test]
fn ctrl_c_asks_a_batch_run_to_stop_by_its_ladder() {
    let dir = Dir::new();
    let mut bash = bash(&lock_in(&dir));
    bash.line(
        "$LK run --lock $L -- $P block TERM,INT , out re''ady , signals 1 , exit 7; echo code=$?",
    );
    bash.until("ready");
    bash.keys(CTRL_C);
    let shown = bash.until("code=7");
    assert!(shown.contains("TERM ") && !shown.contains("INT"), "{shown}");
}

#[test]
fn ctrl_z_stops_a_batch_run_and_fg_continues_it() {
    let dir = Dir::new();
    let mut bash = bash(&lock_in(&dir));
    bash.line("$LK run --lock $L -- $P out re''ady , lines 100000 1 | $P cat");
    bash.until("ready");
    for line in ["1\r\n", "50\r\n", "100\r\n"] {
        bash.until(line);
        bash.keys(CTRL_Z);
        bash.until("Stopped");
        bash.until(PROMPT);
        until_all_stopped(&bash);
        bash.line("fg");
    }
    bash.until("150\r\n");
    bash.keys(CTRL_C);
    bash.until(PROMPT);
    until("nothing is left", || children(bash.pid()).is_empty());
}

#[test]
fn ctrl_z_stops_a_run_on_a_terminal_of_its_own_and_fg_continues_it() {
    let dir = Dir::new();
    let file = dir.join("agents.toml");
    let puppet = bin::puppet().display().to_string();
    let command = [&puppet, "out", "ready", ",", "lines", "100000", "1"];
    let text = format!(
        "[classes.batch]\nidentity = \"env:KEY\"\n\
         [jobs.dev]\nclass = \"batch\"\npty = true\nenv = {{ KEY = \"k\" }}\ncommand = {command:?}\n"
    );
    std::fs::write(&file, text).unwrap();
    let mut bash = bash(&file);
    bash.line("$LK run -c $L dev");
    bash.until("ready");
    for line in ["1\r\n", "50\r\n", "100\r\n"] {
        bash.until(line);
        bash.keys(CTRL_Z);
        bash.until("Stopped");
        bash.until(PROMPT);
        until_all_stopped(&bash);
        bash.line("fg");
    }
    bash.until("150\r\n");
    bash.keys(CTRL_C);
    bash.until(PROMPT);
    until("nothing is left", || children(bash.pid()).is_empty());
}

#[test]
fn a_run_that_is_stopped_in_the_queue_lets_others_pass() {
    let dir = Dir::new();
    let lock = lock_in(&dir);
    let mut bash = bash(&lock);
    let mut holder = child::start(&mut Command::new(bin::puppet()));
    holder.ask(&format!("lock {}", lock.display()));
    bash.line("$LK run --lock $L -- $P out go''t");
    until("it is in the queue", || waiters(&lock) == 1);
    bash.keys(CTRL_Z);
    bash.until("Stopped");
    bash.until(PROMPT);
    assert_eq!(waiters(&lock), 0);
    holder.wait();
    bash.line("$LK run --lock $L -- $P out ot''her");
    bash.until("other");
    bash.until(PROMPT);
    bash.line("fg");
    bash.until("got");
    bash.until(PROMPT);
}

#[test]
fn ctrl_backslash_in_the_queue_ends_the_wait() {
    let dir = Dir::new();
    let lock = lock_in(&dir);
    let mut bash = bash(&lock);
    let mut holder = child::start(&mut Command::new(bin::puppet()));
    holder.ask(&format!("lock {}", lock.display()));
    for (key, code) in [(CTRL_BACKSLASH, "code=131"), (CTRL_C, "code=130")] {
        // A list that INT ends as a whole would not come to its echo.
        bash.line("$LK run --lock $L -- $P out never; echo code=$?");
        until("it is in the queue", || waiters(&lock) == 1);
        bash.keys(key);
        bash.until(code);
        bash.until(PROMPT);
    }
    drop(holder);
}

#[test]
fn ctrl_z_does_not_hang_a_run_that_no_shell_could_continue() {
    let dir = Dir::new();
    let lock = lock_in(&dir).display().to_string();
    for args in [
        vec!["--"],
        vec!["run", "--"],
        vec!["run", "--lock", &lock, "--"],
    ] {
        let mut command = Command::new(bin::lockkeeper());
        bare(&mut command).args(&args).arg(bin::puppet());
        command.args("block USR1 , out ready , wait USR1 , exit 3".split(' '));
        let mut pty = Pty::start(&mut command, Command::spawn);
        pty.until("ready");
        pty.keys(CTRL_Z);
        signal(pty.pid(), SIGUSR1);
        assert_eq!(pty.end().0, Some(3), "{args:?}");
    }
}

#[test]
fn a_terminal_that_hangs_up_stops_the_run() {
    let dir = Dir::new();
    let lock = lock_in(&dir).display().to_string();
    for args in [
        vec!["--"],
        vec!["run", "--"],
        vec!["run", "--lock", &lock, "--"],
    ] {
        let proof = dir.join("proof");
        let mut command = Command::new(bin::lockkeeper());
        bare(&mut command).args(&args).arg(bin::puppet()).args([
            "block", "TERM", ",", "ignore", "HUP", ",", "out", "ready", ",",
        ]);
        command.arg("cleanup").arg("0").arg(&proof);
        let mut pty = Pty::start(&mut command, Command::spawn);
        pty.until("ready");
        let pid = pty.pid();
        pty.hang_up();
        until("the command was asked to stop", || proof.exists());
        until("the run is over", || {
            stat(pid).is_none_or(|stat| stat.state == 'Z')
        });
        std::fs::remove_file(&proof).unwrap();
    }
}

/// A program as PID 1 of a new namespace, and leader of a session with a terminal, as `docker run -t`
/// starts it. Its own /proc is mounted before.
fn pid1(args: &[&str], script: &str) -> Pty {
    let mut command = Command::new("unshare");
    bare(&mut command)
        .args(["--mount", "--mount-proc", "--"])
        .arg(bin::lockkeeper())
        .args(args)
        .arg(bin::puppet())
        .args(script.split_whitespace());
    Pty::start(&mut command, |command| {
        in_new_pid_namespace(|| command.spawn())?
    })
}

#[test]
fn as_pid_1_the_command_has_the_terminal() {
    need!("root");
    for args in [vec!["--"], vec!["run", "--"]] {
        let mut pty = pid1(&args, "block INT,WINCH , state , signals 2 , exit 3");
        let shown = pty.until("}");
        let state: Value = serde_json::from_str(&shown[shown.find('{').unwrap()..]).unwrap();
        assert_eq!(state["tty"], true);
        assert_eq!(state["sid"], state["pid"], "{args:?}");
        assert_eq!(state["foreground"], state["pgrp"]);
        let command = *descendants(pty.pid()).last().unwrap();
        let stat = stat(command).unwrap();
        assert_eq!(
            (stat.session, stat.pgrp, stat.tpgid),
            (command, command, command)
        );
        pty.keys(CTRL_C);
        pty.until("INT 0");
        pty.resize(50, 132);
        pty.until("WINCH 0");
        assert_eq!(pty.end().0, Some(3));
    }
}

#[test]
fn as_pid_1_ctrl_z_is_ignored_and_what_is_typed_arrives() {
    need!("root");
    let mut pty = pid1(&["--"], "out ready , cat , exit 4");
    pty.until("ready");
    pty.keys(CTRL_Z);
    pty.line("hello");
    pty.until("hello");
    pty.keys(CTRL_D);
    assert_eq!(pty.end().0, Some(4));
}

#[test]
fn an_interactive_job_of_init_has_the_terminal() {
    need!("root");
    let dir = Dir::new();
    let file = dir.join("agents.toml");
    let puppet = bin::puppet();
    let text = format!(
        "[jobs.chat]\nclass = \"interactive\"\ncommand = [\"{}\", \"block\", \"INT,WINCH\", \",\", \
         \"state\", \",\", \"signals\", \"2\", \",\", \"exit\", \"3\"]\n",
        puppet.display()
    );
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new("unshare");
    bare(&mut command)
        .args(["--mount", "--mount-proc", "--"])
        .arg(bin::lockkeeper())
        .arg("-c")
        .arg(&file);
    let mut pty = Pty::start(&mut command, |command| {
        in_new_pid_namespace(|| command.spawn())?
    });
    let shown = pty.until("}");
    let state: Value = serde_json::from_str(&shown[shown.find('{').unwrap()..]).unwrap();
    assert_eq!(state["tty"], true);
    assert_eq!(state["sid"], state["pid"]);
    assert_eq!(state["foreground"], state["pgrp"]);
    pty.keys(CTRL_C);
    pty.until("INT 0");
    pty.resize(50, 132);
    pty.until("WINCH 0");
    assert_eq!(pty.end().0, Some(3));
}

#[test]
fn as_pid_1_of_a_session_outside_the_command_shares_its_terminal() {
    need!("root");
    let dir = Dir::new();
    let mut bash = bash(&lock_in(&dir));
    bash.line("unshare --pid --fork --mount-proc $LK -- $P block INT , out re''ady , signals 1 , cat , exit 3; echo code=$?");
    bash.until("ready");
    bash.keys(CTRL_C);
    bash.until("INT 0");
    bash.line("hello");
    bash.until("hello");
    bash.keys(CTRL_D);
    bash.until("code=3");
}
