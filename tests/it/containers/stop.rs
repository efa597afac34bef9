//! `podman stop`: TERM to PID 1, and KILL for all when its time is over.

use std::thread;

use crate::support::need::need;
use crate::support::podman::{Container, Run};
use crate::support::scene::Scene;
use crate::support::wait::until;
use crate::support::yard::{LOGIN, Yard};

/// A job that hears nothing, with a daemon that left everything and hears nothing either.
const DEAF: &str = "ignore TERM,HUP,INT , mark PAGE 1 , child { mark PAGE 1 HERMIT , hang } , hang";

#[test]
fn a_container_with_a_deaf_job_ends_inside_stop_within() {
    need!("root", "podman", "crun", "buildah", "busybox", "static");
    let yard = Yard::new();
    let container = yard.podman.start(&yard.init(&format!(
        "[init]
        stop_within = \"3s\"
        [classes.batch]
        identity = \"DIR\"
        [jobs.dev]
        class = \"batch\"
        script = {DEAF}"
    )));
    yard.await_alive(&[(1, 2)]);
    assert!(container.stop(10), "podman had to kill it");
    // The stop was asked for, and went as it should; 137 would be the KILL of PID 1.
    assert_eq!(container.wait(), 0, "{}", container.errors());
    let errors = container.errors();
    assert!(!errors.contains("overdue"), "{errors}");
    assert!(yard.scene.is_free());
    yard.scene.assert_empty();
}

#[test]
fn containers_with_a_deaf_main_command_end_inside_podmans_ten_seconds() {
    need!("root", "podman", "crun", "buildah", "busybox", "static");
    let yard = Yard::new();
    // All defaults: the command alone, and the one job of a file.
    let alone = "ignore TERM,HUP,INT , touch DIR/alone , child { ignore TERM , hang } , hang";
    let alone = Scene::words_at(LOGIN.as_ref(), &format!("-- puppet {alone}"));
    let alone: Vec<&str> = alone.iter().map(String::as_str).collect();
    let alone = yard.podman.start(&yard.container(&alone));
    let main = yard.podman.start(&yard.init(&format!(
        "[classes.batch]
        identity = \"DIR\"
        [jobs.dev]
        class = \"batch\"
        main = true
        script = {DEAF}"
    )));
    yard.await_alive(&[(1, 2)]);
    until("the other is deaf", || yard.scene.path("alone").exists());
    let stop = |container: &Container<'_>| {
        assert!(container.stop(10), "podman had to kill it");
        // Its command died of KILL, which is what its caller is told.
        assert_eq!(container.wait(), 137, "{}", container.errors());
    };
    thread::scope(|scope| {
        scope.spawn(|| stop(&alone));
        stop(&main);
    });
    assert!(yard.scene.is_free());
    yard.scene.assert_empty();
}

#[test]
fn a_container_with_a_deaf_pid_1_is_killed_by_podman() {
    need!("root", "podman", "crun", "buildah", "busybox", "static");
    // What the other tests would look like if PID 1 did nothing.
    let yard = Yard::new();
    let deaf = Run::new(&["ignore", "TERM", ",", "out", "deaf", ",", "hang"]);
    let container = yard.podman.start(&deaf.entrypoint("puppet"));
    until("it is deaf", || container.logs() == "deaf");
    assert!(!container.stop(1));
    assert_eq!(container.wait(), 137);
}
