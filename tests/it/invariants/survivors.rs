//! `no_survivors`: neither of a run nor of init's container, found by the page and by their program.

use std::process::Command;

use nix::sys::signal::Signal::{self, SIGINT, SIGKILL, SIGTERM};

use crate::support::bin;
use crate::support::child::{self, Tied, bare, signal};
use crate::support::need::need;
use crate::support::ns::{Ns, children};
use crate::support::scene::{Scene, child_of, ended};
use crate::support::wait::until;

/// Daemons that left everything, one in a tree of its own, one that is stopped, an orphan that
/// stayed in the session, and one whose main thread has ended.
const MANY: &str = "mark PAGE 1 \
    , child { mark PAGE 1 HERMIT , child { mark PAGE 1 HERMIT , hang } , child { mark PAGE 1 , hang } , hang } \
    , child { mark PAGE 1 HERMIT , stop-self , hang } \
    , child { child { mark PAGE 1 , ignore TERM , hang } } \
    , child { mark PAGE 1 HERMIT , child { zombie-leader , mark PAGE 1 , touch DIR/marked , hang } , hang }";

/// How many of them live.
const COUNT: usize = 7;

fn until_all_live(scene: &Scene, commands: usize) {
    until("all live", || {
        scene.path("marked").exists() && scene.page.alive().get(&1) == Some(&(COUNT + commands))
    });
}

#[test]
fn no_survivors_of_a_run_that_ends_by_itself() {
    let scene = Scene::new();
    let mut run = scene.begun("", &format!("{MANY} , out begun , cat"));
    until_all_live(&scene, 1);
    assert!(ended(&mut run).success());
    scene.assert_empty();
}

#[test]
fn no_survivors_of_a_run_that_is_stopped() {
    let scene = Scene::new();
    let mut run = scene.begun(
        "--grace 100ms",
        &format!("{MANY} , ignore TERM , out begun , hang"),
    );
    until_all_live(&scene, 1);
    signal(run.pid(), SIGTERM);
    assert_eq!(ended(&mut run).code(), Some(137));
    scene.assert_empty();
}

#[test]
fn no_survivors_of_a_run_whose_monitor_is_killed() {
    let scene = Scene::new();
    let mut run = scene.begun("", &format!("{MANY} , out begun , hang"));
    until_all_live(&scene, 1);
    signal(child_of(run.pid()), SIGKILL);
    assert_eq!(ended(&mut run).code(), Some(125));
    scene.assert_empty();
}

#[test]
fn no_survivors_of_a_run_whose_guard_is_killed() {
    let scene = Scene::new();
    let mut run = scene.begun("--grace 100ms", &format!("{MANY} , out begun , hang"));
    until_all_live(&scene, 1);
    let monitor = child_of(run.pid());
    signal(run.pid(), SIGKILL);
    ended(&mut run);
    until("the monitor ends", || {
        !std::fs::exists(format!("/proc/{monitor}")).unwrap_or(true)
    });
    scene.assert_empty();
}

#[test]
fn no_survivors_of_a_run_without_a_lock() {
    let scene = Scene::new();
    let mut command = Command::new(bin::lockkeeper());
    bare(&mut command)
        .args(["run", "--grace", "100ms", "--"])
        .arg(scene.puppet());
    let mut run = child::start(command.args(scene.words(&format!("{MANY} , cat"))));
    until_all_live(&scene, 1);
    assert!(ended(&mut run).success());
    scene.assert_empty();
}

/// Two batch jobs with a lock each, and an interactive one.
const CONFIG: &str = "[init]
    name = \"DIR\"
    stop_within = \"4s\"
    [classes.one]
    kind = \"batch\"
    lock = \"one\"
    stop = { grace = \"100ms\", leftover_grace = \"100ms\" }
    [classes.interactive]
    stdin = \"null\"
    stop = { grace = \"100ms\", leftover_grace = \"100ms\" }
    [locks.one]
    path = \"LOCK\"
    [jobs.batch]
    class = \"one\"
    script = MANY , hang
    [jobs.chat]
    class = \"interactive\"
    script = mark PAGE 1 , ignore TERM , hang";

fn config(scene: &Scene) -> String {
    scene
        .config(&CONFIG.replace("MANY", MANY))
        .display()
        .to_string()
}

/// Init that is a child of the test's, and so a subreaper.
fn subreaper(config: &str) -> Tied {
    let mut command = Command::new(bin::lockkeeper());
    child::start(bare(&mut command).args(["init", "-c", config]))
}

#[test]
fn no_survivors_of_init_as_pid_1() {
    need!("root");
    for stop in [SIGTERM, SIGINT, SIGKILL] {
        let scene = Scene::new();
        let mut inside = Ns::root()
            .shell("mount -t tmpfs tmpfs /run")
            .start(bin::lockkeeper(), &["init", "-c", &config(&scene)]);
        until_all_live(&scene, 2);
        // And what somebody started by `exec`.
        let exec = scene.words("child { mark PAGE 1 HERMIT , hang }");
        child::read(inside.enter(scene.puppet()).args(exec));
        until_all_live(&scene, 3);
        signal(inside.pid1(), stop);
        ended(&mut inside.process);
        scene.assert_empty();
    }
}

#[test]
fn no_survivors_of_init_as_a_subreaper() {
    for stop in [SIGTERM, SIGINT] {
        let scene = Scene::new();
        let mut init = subreaper(&config(&scene));
        until_all_live(&scene, 2);
        signal(init.pid(), stop);
        ended(&mut init);
        scene.assert_empty();
    }
}

#[test]
fn no_survivors_of_a_killed_init_that_is_a_subreaper() {
    let scene = Scene::new();
    let mut init = subreaper(&config(&scene));
    until_all_live(&scene, 2);
    let guards = children(init.pid());
    signal(init.pid(), SIGKILL);
    ended(&mut init);
    // Nobody is above them any more: the guards see that, and stop their runs.
    until("the guards end", || {
        guards
            .iter()
            .all(|guard| !std::fs::exists(format!("/proc/{guard}")).unwrap_or(true))
    });
    scene.assert_empty();
}

#[test]
fn no_survivors_of_an_init_whose_guard_and_monitor_were_killed_at_once() {
    let scene = Scene::new();
    let mut init = subreaper(&config(&scene));
    until_all_live(&scene, 2);
    let guards = children(init.pid());
    // Neither can see the other's end.
    let pairs: Vec<i32> = guards
        .iter()
        .flat_map(|&guard| [guard, child_of(guard)])
        .collect();
    for end in [Signal::SIGSTOP, SIGKILL] {
        for &pid in &pairs {
            signal(pid, end);
        }
    }
    // No job is left that could run, and what was left behind is init's own.
    ended(&mut init);
    scene.assert_empty();
}
