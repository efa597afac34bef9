//! The classic mistake: a lock that each container has for itself.

use std::process::Output;

use crate::support::child::text;
use crate::support::need::need;
use crate::support::podman::{Podman, Run};
use crate::support::yard::{LOGIN, Yard};

/// Nothing ran, the code says "configuration", and the message says all of `words`.
#[track_caller]
fn refused(output: &Output, words: &[&str]) {
    let (said, told) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(78), "{said}{told}");
    assert_eq!(said, "", "the command did not run");
    for word in words {
        assert!(told.contains(word), "\"{word}\" is not in: {told}");
    }
}

#[test]
fn a_lock_beside_the_mounted_folder_is_refused_and_the_folder_is_named() {
    need!("root", "podman", "crun", "buildah", "busybox", "static");
    let yard = Yard::new();
    let beside = format!("{LOGIN}.lock");
    let into = format!("put it inside the mounted folder, \"{LOGIN}/session.lock\"");
    let words = [&*beside, "the container's own overlay", &into];
    let output = yard
        .podman
        .run(&yard.run(&format!("--lock {beside}"), "out ran"));
    refused(&output, &words);
    let toml = "[classes.batch]
        lock = \"beside\"
        [locks.beside]
        path = \"DIR.lock\"
        [jobs.dev]
        class = \"batch\"
        script = out ran";
    refused(&yard.podman.run(&yard.init(toml)), &words);
    let file = yard.file(toml);
    let checked = yard.podman.run(&yard.container(&["check", "-c", &file]));
    assert_eq!(checked.status.code(), Some(78));
    let report = text(&checked.stdout) + &text(&checked.stderr);
    assert!(
        report.contains(&format!("{LOGIN}/session.lock")),
        "{report}"
    );
}

#[test]
fn a_lock_in_a_container_without_mounts_is_refused_and_the_mount_to_add_is_named() {
    need!("root", "podman", "crun", "buildah", "busybox", "static");
    let podman = Podman::ready();
    let lock = format!("{LOGIN}/session.lock");
    let args = ["run", "--lock", &lock, "--", "puppet", "out", "ran"];
    let output = podman.run(&Run::new(&args));
    let add = format!("-v HOST_FOLDER:{LOGIN}");
    refused(&output, &["the container's own overlay", &add]);
    // The command that it names says why, though nobody has made the lock.
    let more = format!("to see more: `lockkeeper lock show {lock}`");
    refused(&output, &[&more]);
    let shown = podman.run(&Run::new(&["lock", "show", &lock]));
    assert_eq!(shown.status.code(), Some(1), "{shown:?}");
    assert!(text(&shown.stdout).contains("container's own"), "{shown:?}");
    // A folder over which nobody should mount another.
    let args = ["run", "--lock", "/tmp/x.lock", "--", "puppet", "out", "ran"];
    let output = podman.run(&Run::new(&args));
    refused(&output, &["-v HOST_FOLDER:/locks", "\"/locks/x.lock\""]);
}

#[test]
fn a_lock_on_a_tmpfs_made_in_the_container_is_refused_and_the_mount_to_add_is_named() {
    need!("root", "podman", "crun", "buildah", "busybox", "static");
    let podman = Podman::ready();
    let lock = format!("{LOGIN}/session.lock");
    let args = ["run", "--lock", &lock, "--", "puppet", "out", "ran"];
    let output = podman.run(&Run::new(&args).with(&["--tmpfs", LOGIN]));
    let point = format!("a tmpfs at \"{LOGIN}\" that was made in this container");
    let add = format!("-v HOST_FOLDER:{LOGIN}");
    refused(&output, &[&point, &add]);
}
