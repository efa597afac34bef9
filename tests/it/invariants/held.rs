//! `held_until_tree_empty`: by a job whose daemon left everything, and whichever of our processes
//! is killed.

use nix::sys::signal::Signal::{SIGCONT, SIGKILL, SIGSTOP};

use crate::support::child::signal;
use crate::support::ns::children;
use crate::support::scene::{Scene, child_of, ended, state};
use crate::support::wait::until;

/// A daemon that left everything, and a command that goes at once.
const LEAVES: &str = "mark PAGE 1 , child { mark PAGE 1 HERMIT , hang }";
/// The same, and the command stays.
const STAYS: &str = "mark PAGE 1 , child { mark PAGE 1 HERMIT , hang } , out begun , hang";

#[test]
fn held_until_tree_empty_after_the_command_has_gone() {
    let scene = Scene::new();
    let mut run = scene.begun("", &format!("{LEAVES} , out begun , cat"));
    let waiter = scene.waiter(2);
    assert!(ended(&mut run).success());
    scene.gets_its_turn(waiter);
    scene.assert_empty();
}

#[test]
fn held_until_tree_empty_when_the_monitor_is_killed() {
    let scene = Scene::new();
    let mut run = scene.begun("", STAYS);
    let monitor = child_of(run.pid());
    // The guard can do nothing yet, so that this is a look at the lock and not a race.
    signal(run.pid(), SIGSTOP);
    until("the guard is stopped", || state(run.pid()) == Some('T'));
    signal(monitor, SIGKILL);
    until("the monitor is dead", || state(monitor) == Some('Z'));
    assert_eq!(scene.page.alive().get(&1), Some(&2), "the tree lives");
    assert!(!scene.is_free(), "the lock died with the monitor");
    let waiter = scene.waiter(2);
    signal(run.pid(), SIGCONT);
    scene.gets_its_turn(waiter);
    assert_eq!(ended(&mut run).code(), Some(125));
    scene.assert_empty();
}

#[test]
fn held_until_tree_empty_when_the_guard_is_killed() {
    let scene = Scene::new();
    let mut run = scene.begun("--grace 100ms", STAYS);
    let monitor = child_of(run.pid());
    signal(monitor, SIGSTOP);
    until("the monitor is stopped", || state(monitor) == Some('T'));
    signal(run.pid(), SIGKILL);
    ended(&mut run);
    assert_eq!(scene.page.alive().get(&1), Some(&2), "the tree lives");
    assert!(!scene.is_free(), "the lock died with the guard");
    let waiter = scene.waiter(2);
    signal(monitor, SIGCONT);
    scene.gets_its_turn(waiter);
    until("the monitor ends", || {
        state(monitor).is_none_or(|state| state == 'Z')
    });
    scene.assert_empty();
}

#[test]
fn held_until_tree_empty_when_the_command_is_killed() {
    let scene = Scene::new();
    let mut run = scene.begun("", STAYS);
    let waiter = scene.waiter(2);
    signal(child_of(child_of(run.pid())), SIGKILL);
    scene.gets_its_turn(waiter);
    assert_eq!(ended(&mut run).code(), Some(137));
    scene.assert_empty();
}

#[test]
fn held_until_tree_empty_whatever_the_job_unlocks() {
    let scene = Scene::new();
    let mut run = scene.begun(
        "--grace 100ms",
        "mark PAGE 1 , unlock-all , out begun , hang",
    );
    assert!(!scene.is_free(), "the job could free our lock");
    let waiter = scene.waiter(2);
    signal(run.pid(), nix::sys::signal::Signal::SIGTERM);
    scene.gets_its_turn(waiter);
    ended(&mut run);
    scene.assert_empty();
}

#[test]
fn held_until_tree_empty_of_a_leader_that_is_a_zombie_with_a_living_thread() {
    let scene = Scene::new();
    let script = "child { ignore TERM , zombie-leader , mark PAGE 1 , touch DIR/marked , hang } , \
        out begun , cat";
    let mut run = scene.begun("", script);
    until("the thread stands in the page", || {
        scene.path("marked").exists()
    });
    let command = child_of(child_of(run.pid()));
    let leader = children(command)[0];
    until("the leader is a zombie", || state(leader) == Some('Z'));
    let waiter = scene.waiter(2);
    assert!(ended(&mut run).success());
    scene.gets_its_turn(waiter);
    scene.assert_empty();
}
