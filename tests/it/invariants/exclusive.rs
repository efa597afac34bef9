//! `exclusive`: runs in several PID namespaces over one bind-mounted lock, a plain user of
//! flock(1) among them, and KILL for one process in the middle of it.
//!
//! The first container holds the lock, with a daemon that left everything; the second and
//! flock(1) wait. Whoever is killed, those that are left run one after the other, and nobody beside
//! anybody.

use std::process::Command;

use nix::sys::signal::Signal::{SIGKILL, SIGTERM};

use crate::support::bin;
use crate::support::child::{self, Tied, signal};
use crate::support::dir::Dir;
use crate::support::need::need;
use crate::support::ns::{Inside, Ns};
use crate::support::page::Overlap;
use crate::support::scene::{Scene, child_of, ended, waits_in};
use crate::support::wait::until;

/// Init in a container of its own that mounts the scene's folder, with a batch job that does
/// `script`.
fn container(scene: &Scene, place: &Dir, script: &str) -> Inside {
    let toml = Scene::toml_at(
        place,
        &format!(
            "[init]
            stop_within = \"5s\"
            [classes.batch]
            lock = \"it\"
            stop = {{ grace = \"100ms\", leftover_grace = \"100ms\" }}
            [locks.it]
            path = \"LOCK\"
            [jobs.dev]
            class = \"batch\"
            script = {script}"
        ),
    );
    // Written where it will be seen: what lies in the place is hidden by the mount.
    let name = format!("{}.toml", place.file_name().unwrap().display());
    std::fs::write(scene.path(&name), toml).unwrap();
    let config = place.join(name).display().to_string();
    Ns::root()
        .bind(scene.folder(), place)
        // Each container has its own.
        .shell("mount -t tmpfs tmpfs /run")
        .start(bin::lockkeeper(), &["init", "-c", &config])
}

/// A run by util-linux.
fn flock(scene: &Scene, script: &str) -> Tied {
    let mut command = Command::new("flock");
    command.arg(scene.lock()).arg(scene.puppet());
    let mut user = child::start(command.args(scene.words(script)));
    until("it queues", || {
        waits_in(user.pid(), libc::SYS_flock) || user.try_wait().is_some()
    });
    user
}

struct Stage {
    scene: Scene,
    _places: [Dir; 2],
    first: Inside,
    second: Inside,
    plain: Tied,
}

impl Stage {
    fn set() -> Self {
        Self::with("hang")
    }

    /// With a daemon that does this while it holds the lock.
    fn with(daemon: &str) -> Self {
        let scene = Scene::new();
        let places = [Dir::new(), Dir::new()];
        let holds = format!("mark PAGE 1 , child {{ mark PAGE 1 HERMIT , {daemon} }} , hang");
        let first = container(&scene, &places[0], &holds);
        until("the first runs", || scene.page.alive().get(&1) == Some(&2));
        let second = container(
            &scene,
            &places[1],
            "mark PAGE 2 , child { mark PAGE 2 HERMIT , hang }",
        );
        until("the second waits", || scene.waiting() == 1);
        let plain = flock(
            &scene,
            "mark PAGE 3 , child { mark PAGE 3 , sleep 50 } , reap",
        );
        Self {
            scene,
            _places: places,
            first,
            second,
            plain,
        }
    }

    /// All that was not killed runs, and nothing ever ran beside anything.
    fn plays_to_its_end(self, marks: u64) {
        assert_eq!(self.play(marks), []);
    }

    /// The overlaps, once all that was not killed has run.
    fn play(mut self, marks: u64) -> Vec<Overlap> {
        assert!(ended(&mut self.plain).success());
        ended(&mut self.second.process);
        ended(&mut self.first.process);
        assert_eq!(self.scene.page.marks(), (marks, 0));
        self.scene.assert_empty();
        self.scene.page.overlaps().1
    }

    fn guard(inside: &Inside) -> i32 {
        child_of(inside.pid1())
    }
}

#[test]
fn exclusive_when_the_holding_guard_is_killed() {
    need!("root", "flock");
    let stage = Stage::set();
    signal(Stage::guard(&stage.first), SIGKILL);
    stage.plays_to_its_end(6);
}

#[test]
fn exclusive_when_the_holding_monitor_is_killed() {
    need!("root", "flock");
    let stage = Stage::set();
    signal(child_of(Stage::guard(&stage.first)), SIGKILL);
    stage.plays_to_its_end(6);
}

#[test]
fn exclusive_when_the_holding_command_is_killed() {
    need!("root", "flock");
    let stage = Stage::set();
    signal(child_of(child_of(Stage::guard(&stage.first))), SIGKILL);
    stage.plays_to_its_end(6);
}

#[test]
fn exclusive_when_the_holding_init_is_killed() {
    need!("root", "flock");
    // It never rests, so that it would see the next holder if it ran on beside him.
    let stage = Stage::with("watch PAGE 1");
    signal(stage.first.pid1(), SIGKILL);
    // The kernel kills the namespace and frees the lock as it goes: one that has its KILL, and runs
    // no more, may still stand in the page. Only what one of them sees is an overlap.
    let overlaps = stage.play(6);
    assert!(
        overlaps.iter().all(|pair| pair.newcomer != 1),
        "it ran on: {overlaps:?}"
    );
}

#[test]
fn exclusive_when_the_first_waiter_is_killed() {
    need!("root", "flock");
    let stage = Stage::set();
    signal(child_of(Stage::guard(&stage.second)), SIGKILL);
    signal(stage.first.pid1(), SIGTERM);
    stage.plays_to_its_end(4);
}

#[test]
fn exclusive_when_the_waiting_init_is_killed() {
    need!("root", "flock");
    let stage = Stage::set();
    signal(stage.second.pid1(), SIGKILL);
    signal(stage.first.pid1(), SIGTERM);
    stage.plays_to_its_end(4);
}

#[test]
fn exclusive_when_the_waiting_flock_is_killed() {
    need!("root", "flock");
    let mut stage = Stage::set();
    signal(stage.plain.pid(), SIGKILL);
    ended(&mut stage.plain);
    stage.plain = flock(&stage.scene, "mark PAGE 4");
    signal(stage.first.pid1(), SIGTERM);
    stage.plays_to_its_end(5);
}

#[test]
fn exclusive_when_nobody_is_killed() {
    need!("root", "flock");
    let stage = Stage::set();
    signal(stage.first.pid1(), SIGTERM);
    stage.plays_to_its_end(6);
}
