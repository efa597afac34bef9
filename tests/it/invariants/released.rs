//! `released_after_end`: by each way in which a run can end, whoever waits gets the lock, and no
//! claim of the run is left alive.

use std::process::Command;

use nix::sys::signal::Signal::{self, SIGCONT, SIGKILL, SIGSTOP, SIGTERM, SIGUSR1};

use crate::support::bin;
use crate::support::child::{self, Tied, bare, signal};
use crate::support::scene::{Scene, child_of, ended, state, waits_in};
use crate::support::wait::until;

/// A command that stays, with a daemon that left everything.
const STAYS: &str = "mark PAGE 1 , child { mark PAGE 1 HERMIT , hang } , out begun , hang";

/// The run ends by itself or by `end`, its exit code is `code`, and everything is released.
#[track_caller]
fn check(scene: &Scene, mut run: Tied, end: impl FnOnce(&Tied), code: Option<i32>) {
    until("it is claimed", || scene.claims().len() == 1);
    let waiter = scene.waiter(2);
    end(&run);
    scene.gets_its_turn(waiter);
    assert_eq!(ended(&mut run).code(), code);
    assert_eq!(scene.claims(), []);
    scene.assert_empty();
}

#[test]
fn released_after_end_by_itself() {
    let scene = Scene::new();
    let script = "mark PAGE 1 , child { mark PAGE 1 HERMIT , hang } , wait USR1 , exit 3";
    let run = scene.begun("", &format!("block USR1 , out begun , {script}"));
    // Init and callers pass on what is no stop.
    check(&scene, run, |run| signal(run.pid(), SIGUSR1), Some(3));
}

#[test]
fn released_after_end_by_the_timeout() {
    let scene = Scene::new();
    let run = scene.begun("--timeout 1s --grace 100ms", STAYS);
    check(&scene, run, |_| (), Some(124));
}

#[test]
fn released_after_end_by_the_idle_timeout() {
    let scene = Scene::new();
    let run = scene.begun("--idle-timeout 1s --grace 100ms", STAYS);
    check(&scene, run, |_| (), Some(124));
}

#[test]
fn released_after_end_by_the_final_line() {
    let scene = Scene::new();
    let config = scene.config(
        "[classes.batch]
        lock = \"it\"
        final = { line = \"the result\", grace = \"1s\" }
        [locks.it]
        path = \"LOCK\"
        [jobs.dev]
        class = \"batch\"
        script = ignore TERM , mark PAGE 1 , child { mark PAGE 1 HERMIT , hang } , out begun , out the result , wait TERM",
    );
    let mut command = Command::new(bin::lockkeeper());
    let mut run = child::start(
        bare(&mut command)
            .args(["run", "-c"])
            .arg(config)
            .arg("dev"),
    );
    assert_eq!(run.line().as_deref(), Some("begun"));
    check(&scene, run, |_| (), Some(0));
}

#[test]
fn released_after_end_by_term_to_the_guard() {
    let scene = Scene::new();
    let run = scene.begun("--grace 100ms", STAYS);
    check(&scene, run, |run| signal(run.pid(), SIGTERM), Some(143));
}

#[test]
fn released_after_end_by_kill_of_the_monitor() {
    let scene = Scene::new();
    let run = scene.begun("", STAYS);
    check(
        &scene,
        run,
        |run| signal(child_of(run.pid()), SIGKILL),
        Some(125),
    );
}

#[test]
fn released_after_end_by_kill_of_the_guard() {
    let scene = Scene::new();
    let run = scene.begun("--grace 100ms", STAYS);
    check(&scene, run, |run| signal(run.pid(), SIGKILL), None);
}

#[test]
fn released_after_end_by_a_command_that_cannot_start() {
    let scene = Scene::new();
    // It queues before it fails.
    let held = scene.hold();
    let mut command = Command::new(bin::lockkeeper());
    bare(&mut command).args(["run", "--lock"]).arg(scene.lock());
    let run = child::start(command.args(["--", "/no/such/program"]));
    until("it waits", || scene.waiting() == 1);
    let waiter = scene.waiter(2);
    drop(held);
    let mut run = run;
    scene.gets_its_turn(waiter);
    assert_eq!(ended(&mut run).code(), Some(127));
    assert_eq!(scene.claims(), []);
}

#[test]
fn released_after_end_by_the_wait_expired() {
    let scene = Scene::new();
    let held = scene.hold();
    let mut run = scene.run("--wait 500ms", "mark PAGE 1");
    let waiter = scene.waiter(2);
    assert_eq!(ended(&mut run).code(), Some(75));
    assert_eq!(scene.claims(), []);
    drop(held);
    scene.gets_its_turn(waiter);
    assert_eq!(
        scene.page.marks().0,
        1,
        "the one whose wait expired never ran"
    );
}

#[test]
fn released_after_end_in_the_queue_by_kill_of_the_monitor_or_the_guard() {
    let scene = Scene::new();
    let held = scene.hold();
    let mut runs = [scene.run("", "mark PAGE 1"), scene.run("", "mark PAGE 3")];
    until("both wait", || scene.waiting() == 2);
    let monitors = runs.each_ref().map(|run| child_of(run.pid()));
    let waiter = scene.waiter(2);
    signal(monitors[0], SIGKILL);
    signal(runs[1].pid(), SIGKILL);
    assert_eq!(ended(&mut runs[0]).code(), Some(125));
    ended(&mut runs[1]);
    until("no claim lives", || scene.claims().is_empty());
    drop(held);
    scene.gets_its_turn(waiter);
    assert_eq!(scene.page.marks().0, 1, "neither ran");
}

#[test]
fn released_after_end_by_a_stop_that_comes_with_the_lock() {
    let scene = Scene::new();
    let held = scene.hold();
    let mut run = scene.run("", "mark PAGE 1");
    until("it waits", || scene.waiting() == 1);
    let waiter = scene.waiter(2);
    let monitor = child_of(run.pid());
    signal(monitor, SIGSTOP);
    until("the monitor is stopped", || state(monitor) == Some('T'));
    // While it can see neither, the lock becomes its own and the stop arrives.
    drop(held);
    signal(run.pid(), SIGTERM);
    until("the guard has passed it on", || {
        !has_pending(run.pid(), SIGTERM) && waits_in(run.pid(), libc::SYS_ppoll)
    });
    signal(monitor, SIGCONT);
    scene.gets_its_turn(waiter);
    assert_eq!(ended(&mut run).code(), Some(143));
    assert_eq!(scene.page.marks().0, 1, "it never ran");
}

/// Whether a signal for the whole process has not been taken yet (`proc_pid_status(5)`, `ShdPnd`).
fn has_pending(pid: i32, what: Signal) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let pending = status.lines().find_map(|line| line.strip_prefix("ShdPnd:"));
    let pending = u64::from_str_radix(pending.unwrap().trim(), 16).unwrap();
    pending & (1 << (what as i32 - 1)) != 0
}
