//! What a caller sees of a wait: one line on a terminal, gone without a trace; elsewhere one note when it
//! begins and one when it ends.

use std::fs::{self, File};
use std::process::Command;

use super::support::bin;
use super::support::child::{self, bare, output, text};
use super::support::locks::waiters;
use super::support::ns::children;
use super::support::pty::{CTRL_C, CTRL_Z, Pty};
use super::support::scene::{Scene, child_of};
use super::support::stat::descendants;
use super::support::wait::until;

const ERASE: &str = "\r\x1b[K";

/// A run on a terminal of its own that waits behind one of puppet's, and its line is there.
fn waiting(scene: &Scene) -> Pty {
    let mut pty = Pty::start(&mut scene.run_command("", "out through"), Command::spawn);
    pty.until("waiting ");
    pty.until("session.lock: held by puppet ");
    pty
}

/// A shell with job control on a terminal of its own, which knows the program and the lock.
fn shell(scene: &Scene) -> Pty {
    let mut command = Command::new("bash");
    bare(&mut command)
        .args(["--norc", "--noprofile", "--noediting", "-i"])
        .env("LK", bin::lockkeeper())
        .env("L", scene.lock())
        .env("PS1", "what now? ");
    let mut bash = Pty::start(&mut command, Command::spawn);
    bash.until("what now? ");
    bash
}

/// What is left on the screen of the last line.
fn last_line(seen: &str) -> &str {
    seen.rsplit(ERASE).next().unwrap_or_default()
}

#[test]
fn on_a_terminal_a_line_tells_of_the_wait_and_is_gone_before_the_command_says_a_word() {
    let scene = Scene::new();
    let mut holder = scene.begun("", "out begun , cat");
    let mut pty = waiting(&scene);
    // Drawn anew as time goes by.
    pty.until(&format!("{ERASE}waiting "));
    holder.hang_up();
    let seen = pty.until("through");
    assert_eq!(last_line(&seen), "through");
    assert!(!seen.contains("lockkeeper: "), "{seen}");
}

#[test]
fn a_line_is_gone_as_well_when_the_wait_ends_without_the_lock() {
    let scene = Scene::new();
    let _holder = scene.begun("", "out begun , cat");
    let mut pty = waiting(&scene);
    pty.keys(CTRL_C);
    let (code, seen) = pty.end();
    assert_eq!((code, last_line(&seen)), (Some(130), ""), "{seen}");
}

#[test]
fn a_run_in_the_background_draws_nothing_until_it_is_brought_to_the_front() {
    let scene = Scene::new();
    let mut holder = scene.begun("", "out begun , cat");
    let mut bash = shell(&scene);
    bash.line("$LK run --lock $L -- echo thr''ough &");
    until("it waits", || waiters(&scene.lock()) == 1);
    let monitor = child_of(*children(bash.pid()).last().expect("a job"));
    until("it would have drawn", || has_rested_often(monitor));
    bash.line("echo at''once; fg");
    let seen = bash.until("atonce");
    assert!(!seen.contains("waiting"), "{seen}");
    bash.until("session.lock: held by puppet ");
    holder.hang_up();
    let seen = bash.until("through");
    assert_eq!(last_line(&seen), "through");
}

#[test]
fn a_line_that_was_drawn_before_the_run_went_to_the_background_is_not_erased_there() {
    let scene = Scene::new();
    let mut holder = scene.begun("", "out begun , cat");
    let mut bash = shell(&scene);
    bash.line("$LK run --lock $L -- touch $L.through");
    bash.until("session.lock: held by puppet ");
    bash.keys(CTRL_Z);
    bash.until("Stopped");
    bash.until("what now? ");
    bash.line("bg");
    bash.until("what now? ");
    holder.hang_up();
    until("the command has run", || {
        scene.path("session.lock.through").exists()
    });
    bash.line("wait; echo that is a''ll");
    let seen = bash.until("that is all");
    assert!(!seen.contains(ERASE), "{seen:?}");
}

/// Whether the thread that draws has come to rest after it would have drawn: at its start it may rest once
/// before, besides for the moment that a line waits for.
fn has_rested_often(monitor: i32) -> bool {
    let tasks = fs::read_dir(format!("/proc/{monitor}/task"));
    let status = |task: fs::DirEntry| fs::read_to_string(task.path().join("status")).ok();
    let mut all = tasks.into_iter().flatten().flatten().filter_map(status);
    let line = all.find(|status| status.starts_with("Name:\tline\n"));
    let count = |status: &str| -> Option<u32> {
        let rests = status.split("\nvoluntary_ctxt_switches:\t").nth(1)?;
        rests.lines().next()?.parse().ok()
    };
    line.is_some_and(|status| count(&status) >= Some(3))
}

#[test]
fn without_a_terminal_one_note_begins_a_wait_and_one_ends_it() {
    let scene = Scene::new();
    for (options, count) in [("", 2), ("-q", 0)] {
        let mut holder = scene.begun("", "out begun , cat");
        let said = scene.path("said");
        let mut command = scene.run_command(options, "out through");
        let mut run = child::start(command.stderr(File::create(&said).unwrap()));
        until("it waits", || waiters(&scene.lock()) == 1);
        holder.hang_up();
        assert!(run.wait().success());
        let err = fs::read_to_string(said).unwrap();
        assert_eq!(err.lines().count(), count, "{err}");
        if count == 2 {
            let mut lines = err.lines();
            let begins = lines.next().unwrap_or_default();
            let ends = lines.next().unwrap_or_default();
            assert!(
                begins.contains("waiting for lock ") && begins.contains("held by job \"puppet\"")
            );
            assert!(ends.contains("session.lock\" obtained after "), "{err}");
        }
    }
    let free = output(&mut scene.run_command("", "out through"));
    assert_eq!(text(&free.stderr), "");
}

#[test]
fn nothing_is_left_of_a_run_that_was_waited_for() {
    let scene = Scene::new();
    let mut holder = scene.begun("", "out begun , cat");
    let pty = waiting(&scene);
    let leader = pty.pid();
    holder.hang_up();
    let (code, _) = pty.end();
    assert_eq!(code, Some(0));
    assert!(descendants(leader).is_empty());
}
