//! A terminal of a command's own: what it finds there, what we read from it, and the end of both.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nix::sys::signal::Signal::{SIGKILL, SIGTERM};
use serde_json::Value;

use super::support::bin;
use super::support::child::{self, Tied, bare, output, signal, text};
use super::support::inherited::Inherited;
use super::support::journald::Journald;
use super::support::need::need;
use super::support::ns::Ns;
use super::support::scene::{Scene, child_of, ended};
use super::support::wait::until;

/// A file whose job `dev` has a terminal, and this besides.
fn file(scene: &Scene, keys: &str) -> PathBuf {
    let pty = if keys.contains("pty = ") {
        ""
    } else {
        "pty = true\n"
    };
    scene.config(&format!(
        "[locks.l]\npath = \"LOCK\"\n[classes.batch]\nlock = \"l\"\n\
         [jobs.dev]\nclass = \"batch\"\n{pty}{keys}\n"
    ))
}

/// The same with a line of shell for its command.
fn shell(scene: &Scene, keys: &str, line: &str) -> PathBuf {
    let command = format!("command = [\"sh\", \"-c\", '''{line}''']");
    file(scene, &format!("{keys}\n{command}"))
}

fn lockkeeper(file: &Path) -> Command {
    let mut command = Command::new(bin::lockkeeper());
    bare(&mut command).args(["run", "-c"]).arg(file).arg("dev");
    command
}

fn run(file: &Path) -> Output {
    output(&mut lockkeeper(file))
}

/// What is shown of a line of shell that succeeds.
#[track_caller]
fn shown(scene: &Scene, keys: &str, line: &str) -> String {
    let done = run(&shell(scene, keys, line));
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    text(&done.stdout)
}

/// Starts a script that says `begun`.
#[track_caller]
fn begun(scene: &Scene, keys: &str, script: &str) -> Tied {
    let file = file(scene, &format!("{keys}\nscript = {script}"));
    let mut run = child::start(&mut lockkeeper(&file));
    assert_eq!(run.line().as_deref(), Some("begun"));
    run
}

// What the command finds.

#[test]
fn the_command_leads_a_session_on_a_terminal_of_its_own() {
    let scene = Scene::new();
    let mut run = Inherited::default().start(&mut lockkeeper(&file(&scene, "script = state")));
    let state: Value = serde_json::from_str(&run.line().unwrap()).unwrap();
    assert_eq!(state["tty"], true);
    assert_eq!(state["sid"], state["pid"]);
    assert_eq!(state["foreground"], state["pgrp"]);
    assert_eq!(state["fds"], serde_json::json!([0, 1, 2]));
    assert_eq!(state["blocked"], serde_json::json!([]));
    let three = "test -t 0 && test -t 1 && test -t 2 && stty size && stty -a | grep -qe -echo\\ && echo $TERM";
    assert_eq!(shown(&scene, "", three), "24 80\ndumb\n");
    let keys = "pty = { rows = 50, cols = 132, echo = true }\nenv = { TERM = \"xterm\" }";
    let echoes = "stty size; stty -a | grep -qe -echo\\ || echo $TERM";
    assert_eq!(shown(&scene, keys, echoes), "50 132\nxterm\n");
}

#[test]
fn whoever_reads_from_it_meets_the_end_of_the_input_each_time() {
    let scene = Scene::new();
    let asks = "cat; echo first; \
         for n in 1 2 3 4 5 6 7 8; do read answer && exit 1; echo asked; read answer </dev/tty && exit 1; echo again; done";
    let expected = format!("first\n{}", "asked\nagain\n".repeat(8));
    assert_eq!(shown(&scene, "", asks), expected);
    // As git(1) and ssh(1) ask for a password: what was typed before is thrown away.
    let password = "python3 -c \"import termios,sys\nf=open('/dev/tty','r+b',buffering=0)\nfor n in range(3):\n t=termios.tcgetattr(f)\n termios.tcsetattr(f,termios.TCSAFLUSH,t)\n f.write(b'password: ')\n print(f.readline(),flush=True)\"";
    let said = "password: b''\n".repeat(3);
    if super::support::need::have("python3") {
        assert_eq!(shown(&scene, "", password), said);
    }
}

#[test]
fn standard_input_is_another_one_where_that_is_said() {
    let scene = Scene::new();
    let line = "test -t 1 && ! test -t 0 && cat";
    assert_eq!(shown(&scene, "stdin = \"null\"", line), "");
    let file = shell(&scene, "stdin = \"inherit\"", line);
    let mut run = child::start(&mut lockkeeper(&file));
    run.say("from outside");
    run.hang_up();
    assert_eq!(run.line().as_deref(), Some("from outside"));
    assert_eq!(run.wait().code(), Some(0));
}

#[test]
fn another_user_can_open_it_by_its_name() {
    need!("root");
    let scene = Scene::new();
    let line = "tty=$(tty); echo by name >\"$tty\"; id -u";
    let shown = shown(&scene, "user = \"65534\"\ndir = \"/\"", line);
    assert_eq!(shown, "by name\n65534\n");
}

#[test]
fn a_command_may_close_it_and_open_it_again() {
    let scene = Scene::new();
    let script = "out begun , closefds , sleep 100 , child { setsid , sleep 100 } , exit 5";
    let mut first = begun(&scene, "", script);
    assert_eq!(first.line(), None);
    assert_eq!(first.wait().code(), Some(5));
    let line = "exec <&- >&- 2>&-; sleep 0.2; echo late >/dev/tty; exec >/dev/tty; echo later";
    assert_eq!(shown(&scene, "", line), "late\nlater\n");
}

#[test]
fn a_container_without_terminals_is_told_what_to_mount() {
    need!("root");
    let scene = Scene::new();
    let file = shell(&scene, "", "echo never");
    let file = file.to_str().unwrap();
    for dev in [
        "mount -t tmpfs none /dev; mknod -m 666 /dev/null c 1 3",
        "mount -t tmpfs none /dev; mknod -m 666 /dev/null c 1 3; mknod -m 666 /dev/ptmx c 5 2",
    ] {
        for (verb, args) in [
            ("run", vec!["run", "-c", file, "dev"]),
            ("check", vec!["check", "-c", file]),
        ] {
            // Not as PID 1, whose standard error nobody reads here.
            let line = format!("{dev}; exec 2>&1");
            let mut inside = Ns::root().shell(&line).start(bin::lockkeeper(), &args);
            let mut said = String::new();
            while let Some(line) = inside.process.line() {
                said += line.trim();
                said += " ";
            }
            assert_eq!(inside.process.wait().code(), Some(78), "{verb}: {said}");
            assert!(said.contains("\"/dev/ptmx\""), "{verb}: {said}");
            assert!(said.contains("mount -t devpts"), "{verb}: {said}");
        }
    }
}

// What we read.

#[test]
fn what_is_said_is_kept_line_by_line_and_masked() {
    need!("root", "journald");
    let (scene, journal) = (Scene::new(), Journald::start());
    let keys = "output = \"both\"\nlog_dir = \"DIR/log\"\nredact = [\"WORD\"]\nenv = { WORD = \"hush-hush\" }";
    let line = "echo out; echo err >&2; echo word $WORD; echo API_KEY=abcdef; printf no-end";
    let file = shell(&scene, keys, line);
    let mut command = journal.command(bin::lockkeeper());
    let done = output(bare(&mut command).args(["run", "-c"]).arg(file).arg("dev"));
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    assert_eq!(text(&done.stdout), "");
    let expected = ["out", "err", "word ***", "API_KEY=***", "no-end"];
    let log = fs::read_to_string(scene.path("log/dev.log")).unwrap();
    assert_eq!(log.lines().collect::<Vec<_>>(), expected);
    let mut records = journal.records(&["JOB=dev"]);
    records.retain(|record| !record["JOB_STREAM"].is_null());
    let messages: Vec<&Value> = records.iter().map(|record| &record["MESSAGE"]).collect();
    assert_eq!(messages, expected);
    for record in &records {
        assert_eq!(record["JOB_STREAM"], "stdout");
        assert_eq!(record["PRIORITY"], "6");
    }
    assert_eq!(records.last().unwrap()["LINE_BREAK"], "eof");
}

#[test]
fn nothing_of_the_last_output_is_lost() {
    let scene = Scene::new();
    for round in 0..30 {
        let file = file(&scene, "script = spew 300000 , out last");
        let done = run(&file);
        assert_eq!(done.status.code(), Some(0));
        assert_eq!(done.stdout.len(), 300_005, "round {round}");
        assert!(done.stdout.ends_with(b"last\n"));
    }
}

#[test]
fn the_watchdogs_look_at_what_is_said_there() {
    let scene = Scene::new();
    let silent = run(&file(
        &scene,
        "idle_timeout = \"300ms\"\nscript = out begun , hang",
    ));
    assert_eq!(silent.status.code(), Some(124), "{}", text(&silent.stderr));
    let keys = "final = { line = \"result\", grace = \"0s\", failed = \"bad\" }";
    for (line, code) in [("the result is good", 0), ("the result is bad", 1)] {
        let keys = format!("{keys}\nscript = out {line} , hang");
        assert_eq!(run(&file(&scene, &keys)).status.code(), Some(code));
    }
}

// The end.

#[test]
fn a_stop_asks_with_term_alone_and_the_command_ends_as_it_likes() {
    let scene = Scene::new();
    let script = "block TERM,HUP,CONT , out begun , signals 2 , exit 9";
    let mut run = begun(&scene, "", script);
    signal(run.pid(), SIGTERM);
    let mut said = Vec::new();
    while let Some(line) = run.line() {
        said.push(line.split(' ').next().unwrap().to_owned());
    }
    assert_eq!(said, ["TERM", "CONT"]);
    assert_eq!(run.wait().code(), Some(9));
}

#[test]
fn what_the_command_leaves_on_it_hears_the_hang_up_and_then_term() {
    let scene = Scene::new();
    let script = "child { block TERM,HUP , signals 2 , out both } , out begun";
    // Time enough for it to come to its word, also on a busy machine.
    let mut run = begun(&scene, "stop = { leftover_grace = \"25s\" }", script);
    let mut said: Vec<String> = Vec::new();
    while let Some(line) = run.line() {
        said.push(line.split(' ').next().unwrap().to_owned());
    }
    assert_eq!(said, ["HUP", "TERM", "both"]);
    assert_eq!(run.wait().code(), Some(0));
}

/// Children in sessions of their own, one of which left everything.
const SESSIONS: &str = "mark PAGE 1 \
    , child { setsid , mark PAGE 1 , ignore TERM,HUP , hang } \
    , child { mark PAGE 1 HERMIT , child { mark PAGE 1 HERMIT , hang } , hang } \
    , child { mark PAGE 1 , ignore HUP,TERM , hang }";

#[test]
fn held_until_tree_empty_also_when_children_left_the_terminals_session() {
    let scene = Scene::new();
    let script = format!("{SESSIONS} , out begun , exit 3");
    let mut run = begun(&scene, "", &script);
    let waiter = scene.waiter(2);
    scene.gets_its_turn(waiter);
    assert_eq!(ended(&mut run).code(), Some(3));
    scene.assert_empty();
}

#[test]
fn held_until_tree_empty_when_a_run_on_a_terminal_is_stopped_or_loses_its_monitor() {
    for kill_monitor in [false, true] {
        let scene = Scene::new();
        let script = format!("{SESSIONS} , ignore TERM,HUP , out begun , hang");
        let keys = "stop = { grace = \"100ms\" }";
        let mut run = begun(&scene, keys, &script);
        until("all live", || scene.page.alive().get(&1) == Some(&5));
        let waiter = scene.waiter(2);
        if kill_monitor {
            signal(child_of(run.pid()), SIGKILL);
        } else {
            signal(run.pid(), SIGTERM);
        }
        scene.gets_its_turn(waiter);
        let code = if kill_monitor { 125 } else { 137 };
        assert_eq!(ended(&mut run).code(), Some(code));
        scene.assert_empty();
    }
}
