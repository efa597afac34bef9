//! The shared lock between containers, by the real mount that they share.

use std::fs;

use nix::sys::signal::Signal::{SIGKILL, SIGUSR1};

use crate::support::need::need;
use crate::support::wait::until;
use crate::support::yard::Yard;

/// Leaves a daemon that left everything, and does not end before USR1 (`hang` where it is to stay).
const HOLDS: &str = "block USR1 , mark PAGE 1 , append DIR/order 1 , child { mark PAGE 1 HERMIT , hang } , wait USR1";

/// One batch job that takes its turn on the login's lock, and does `script`.
fn batch(script: &str) -> String {
    format!(
        "[classes.batch]
        identity = \"DIR\"
        stop = {{ grace = \"100ms\", leftover_grace = \"100ms\" }}
        [jobs.dev]
        class = \"batch\"
        script = {script}"
    )
}

#[test]
fn four_containers_take_turns_in_the_order_of_their_arrival() {
    need!("root", "podman", "crun", "buildah", "busybox", "static");
    let yard = Yard::new();
    let takes = |run: u32| {
        format!(
            "mark PAGE {run} , append DIR/order {run} , child {{ mark PAGE {run} HERMIT , hang }}"
        )
    };
    let first = yard.podman.start(&yard.run("--lock LOCK", HOLDS));
    yard.await_alive(&[(1, 2)]);
    // With a file and without: the lock that follows from the login is the one that is named.
    let second = yard.start_queueing(&yard.init(&batch(&takes(2))));
    let third = yard.start_queueing(&yard.run("--lock LOCK", &takes(3)));
    let fourth = yard.start_queueing(&yard.init(&batch(&takes(4))));
    assert_eq!(yard.scene.page.alive(), [(1, 2)].into());
    first.kill(SIGUSR1);
    for container in [first, second, third, fourth] {
        assert_eq!(container.wait(), 0, "{}", container.errors());
    }
    let order = fs::read_to_string(yard.scene.path("order")).unwrap();
    assert_eq!(order, "1\n2\n3\n4\n");
    assert_eq!(yard.scene.page.overlaps(), (0, vec![]));
    assert_eq!(yard.scene.page.marks(), (8, 0));
    assert_eq!(yard.scene.claims(), []);
    yard.scene.assert_empty();
}

#[test]
fn an_interactive_container_passes_the_queue_and_ends_with_its_commands_code() {
    need!("root", "podman", "crun", "buildah", "busybox", "static");
    let yard = Yard::new();
    let holder = yard.podman.start(&yard.init(&batch(HOLDS)));
    yard.await_alive(&[(1, 2)]);
    let waits = yard.start_queueing(&yard.init(&batch("mark PAGE 2")));
    // The same login, which is unwise but must not make anybody wait.
    let chat = yard.init(
        "[classes.interactive]
        identity = \"DIR\"
        [jobs.chat]
        class = \"interactive\"
        main = true
        script = out here , exit 7",
    );
    let bare = yard.container(&["--", "puppet", "out", "here", ",", "exit", "7"]);
    for run in [chat, bare] {
        let container = yard.podman.start(&run);
        until("it ends", || container.pid() == 0);
        assert_eq!(container.wait(), 7, "{}", container.errors());
        assert_eq!(container.logs(), "here");
    }
    assert_eq!(
        yard.scene.page.alive(),
        [(1, 2)].into(),
        "it held all the while"
    );
    assert_eq!(yard.scene.waiting(), 1);
    drop((waits, holder));
}

#[test]
fn a_container_that_is_killed_hands_the_lock_over() {
    need!("root", "podman", "crun", "buildah", "busybox", "static");
    let yard = Yard::new();
    let holder = yard
        .podman
        .start(&yard.init(&batch("mark PAGE 1 , beat PAGE 1")));
    yard.await_alive(&[(1, 1)]);
    let second = yard.start_queueing(&yard.run("--lock LOCK", "mark PAGE 2 , beat PAGE 2"));
    let third = yard.start_queueing(&yard.init(&batch("mark PAGE 3")));
    holder.kill(SIGKILL);
    assert_eq!(holder.wait(), 137);
    yard.await_alive(&[(2, 1)]);
    // And the container of `run` alone, whose PID 1 is the guard.
    second.kill(SIGKILL);
    assert_eq!(
        (second.wait(), third.wait()),
        (137, 0),
        "{}",
        third.errors()
    );
    // All of a container are killed in one go, and the kernel may still be ending one when the lock is
    // free: what counts is that it executes nothing more.
    assert_eq!(yard.scene.page.beating(), 0, "the lock was free too early");
    assert_eq!(yard.scene.page.marks(), (3, 0));
    yard.scene.assert_empty();
}

#[test]
fn containers_with_the_lock_beside_the_mounted_folder_exclude_nobody() {
    need!("root", "podman", "crun", "buildah", "busybox", "static");
    // What the refusal of such a place prevents; and the page is seen to notice it.
    let yard = Yard::new();
    let file = |run: u32| {
        format!(
            "[classes.batch]
            lock = \"beside\"
            [locks.beside]
            path = \"DIR.lock\"
            shared_mount = \"off\"
            [jobs.dev]
            class = \"batch\"
            script = mark PAGE {run} , hang"
        )
    };
    let _first = yard.podman.start(&yard.init(&file(1)));
    yard.await_alive(&[(1, 1)]);
    let _second = yard.podman.start(&yard.init(&file(2)));
    yard.await_alive(&[(1, 1), (2, 1)]);
    assert_eq!(yard.scene.page.overlaps().0, 1);
}
