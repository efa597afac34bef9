//! Containers in which little is there, or little is allowed.

use std::fs;

use crate::support::child::{output, text};
use crate::support::need::need;
use crate::support::page::Page;
use crate::support::podman::Run;
use crate::support::scene::Scene;
use crate::support::wait::until;
use crate::support::yard::{LOGIN, Yard};

/// Stands in the page, and leaves a daemon that only KILL ends.
const SCRIPT: &str =
    "mark PAGE 1 , child { mark PAGE 1 HERMIT , hang } , append DIR/ran x , exit 3";

/// As the entry point, with a file and without, the run does its work, gives its code, and leaves
/// nobody and no lock behind.
fn check(change: impl Fn(Run) -> Run) {
    let yard = Yard::new();
    let named = yard.run("--lock LOCK", SCRIPT);
    let derived = yard.init(&format!(
        "[classes.batch]
        identity = \"DIR\"
        [jobs.dev]
        class = \"batch\"
        script = {SCRIPT}"
    ));
    for run in [named, derived] {
        let output = yard.podman.run(&change(run));
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{told}");
        assert!(!told.contains("not written"), "claims are written: {told}");
        assert!(yard.scene.is_free());
        assert_eq!(yard.scene.claims(), []);
        yard.scene.assert_empty();
    }
    let ran = fs::read_to_string(yard.scene.path("ran")).unwrap();
    assert_eq!(ran, "x\nx\n");
}

#[test]
fn a_container_of_another_user_than_root_does_its_work() {
    need!("root", "podman", "crun", "buildah", "busybox", "static");
    check(|run| run.with(&["--user", "1000"]));
}

#[test]
fn containers_of_several_users_share_one_lock() {
    need!("root", "podman", "crun", "buildah", "busybox", "static");
    let yard = Yard::new();
    for user in ["1000", "0", "1001"] {
        let run = yard
            .run("--lock LOCK", "mark PAGE 1")
            .with(&["--user", user]);
        let output = yard.podman.run(&run);
        let told = text(&output.stderr);
        assert_eq!((output.status.code(), &*told), (Some(0), ""), "user {user}");
    }
    assert_eq!(yard.scene.page.marks(), (3, 0));
}

#[test]
fn a_container_with_a_read_only_root_does_its_work() {
    need!("root", "podman", "crun", "buildah", "busybox", "static");
    let read_only = ["--read-only", "--read-only-tmpfs=false"];
    check(|run| run.with(&read_only));
    check(|run| run.with(&read_only).with(&["--user", "1000"]));
}

#[test]
fn a_container_without_run_does_its_work() {
    need!("root", "podman", "crun", "buildah", "busybox", "static");
    // The engine puts a file or two into /run, so it can only be taken away from inside.
    let bare = "for file in /run/.[a-z]* /run/*; do umount $file; done 2>/dev/null
        rm -r /run && exec lockkeeper \"$@\"";
    let yard = Yard::new();
    let words = Scene::words_at(LOGIN.as_ref(), SCRIPT);
    let lock = format!("{LOGIN}/session.lock");
    let args = ["-c", bare, "sh", "run", "--lock", &lock, "--", "puppet"];
    let args: Vec<&str> = args
        .into_iter()
        .chain(words.iter().map(String::as_str))
        .collect();
    let run = yard
        .container(&args)
        .entrypoint("sh")
        .with(&["--cap-add", "SYS_ADMIN"]);
    let output = yard.podman.run(&run);
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    assert!(yard.scene.is_free());
    yard.scene.assert_empty();
}

#[test]
fn a_run_in_a_container_whose_proc_is_another_namespaces_ends_whole() {
    need!("root", "podman", "crun", "buildah", "busybox", "static");
    let yard = Yard::new();
    let others = Page::open(&yard.scene.path("others")).unwrap();
    // They have the numbers in there that the run's processes have in theirs: what /proc says of
    // one of these is about a stranger.
    let stranger = "child { mark DIR/others 9 , hang } , ".repeat(20);
    let script = Scene::words_at(LOGIN.as_ref(), &format!("{stranger} hang"));
    let script: Vec<&str> = script.iter().map(String::as_str).collect();
    let run = yard
        .container(&script)
        .entrypoint("puppet")
        .with(&["--privileged"]);
    let container = yard.podman.start(&run);
    until("all stand there", || others.alive().get(&9) == Some(&20));
    // No mount of a new /proc: it shows the processes of the container.
    let deaf = "LOCK puppet ignore TERM , mark PAGE 1 , child { mark PAGE 1 HERMIT , hang } , hang";
    let deaf = Scene::words_at(LOGIN.as_ref(), deaf);
    let nested = "lock=$1; shift; test \"$(readlink /proc/self)\" != $$ || exit 9
        lockkeeper run --lock $lock --timeout 1s --grace 200ms -- \"$@\"; echo $?";
    let mut args = vec!["unshare", "-p", "-f", "sh", "-c", nested, "sh"];
    args.extend(deaf.iter().map(String::as_str));
    let output = output(&mut container.exec(&args));
    let told = text(&output.stderr);
    assert_eq!(text(&output.stdout), "124\n", "{told}");
    assert!(
        !told.contains("still there:"),
        "they are found in time: {told}"
    );
    assert_eq!(yard.scene.page.marks(), (2, 0));
    assert!(yard.scene.page.alive().is_empty(), "the run ended its own");
    assert_eq!(others.alive(), [(9, 20)].into());
    assert!(yard.scene.is_free());
}
