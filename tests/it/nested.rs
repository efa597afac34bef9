//! A run inside a run passes the lock that the outer one holds, and nobody else does who merely has
//! its environment.

use std::process::Command;

use lockkeeper::lock::record::State;

use super::support::bin;
use super::support::child::{self, Tied, bare, output, text};
use super::support::need::need;
use super::support::scene::Scene;
use super::support::wait::until;

const RUN_ID: &str = "LOCKKEEPER_RUN_ID";

/// A run of `line`, in which NESTED is a run on the same lock that does not wait.
fn outer(scene: &Scene, line: &str) -> Command {
    let nested = format!(
        "'{}' run --lock '{}' --wait 0s --",
        bin::lockkeeper().display(),
        scene.lock().display()
    );
    let mut command = Command::new(bin::lockkeeper());
    bare(&mut command)
        .args(["run", "--lock"])
        .arg(scene.lock())
        .args(["--", "sh", "-c", &line.replace("NESTED", &nested)]);
    command
}

#[track_caller]
fn passes(scene: &Scene, line: &str) {
    let output = output(&mut outer(scene, line));
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(
        (output.status.code(), out.trim()),
        (Some(0), "inside"),
        "{line}: {err}"
    );
}

/// A run that holds the lock, and its id.
fn holder(scene: &Scene) -> (Tied, String) {
    let mut holder = child::start(&mut outer(scene, "echo $LOCKKEEPER_RUN_ID; exec cat"));
    let id = holder.line().expect("it says its id");
    until("its record says that it runs", || {
        scene
            .claims()
            .iter()
            .any(|claim| claim.state == State::Running)
    });
    (holder, id)
}

#[test]
fn a_nested_run_passes_however_quick_it_is() {
    let scene = Scene::new();
    for _ in 0..20 {
        passes(&scene, "exec NESTED echo inside");
    }
}

#[test]
fn a_nested_run_passes_through_a_run_without_a_lock_and_through_another_nested_one() {
    let scene = Scene::new();
    let lk = bin::lockkeeper().display();
    passes(
        &scene,
        &format!("sleep 0.1; '{lk}' run -- NESTED NESTED echo inside"),
    );
}

#[test]
fn a_nested_run_whose_parents_have_gone_passes() {
    let scene = Scene::new();
    // The subshell tells its number and ends; the shell in a session of its own goes on when its
    // parent is another one than that.
    let line = "(setsid sh -c '\
            while read -r _ _ _ parent _ < /proc/$$/stat && [ $parent = $1 ]; do sleep 0.01; done; \
            NESTED echo inside; echo > DIR/end' sh $(exec sh -c 'echo $PPID') & ); \
        until [ -s DIR/end ]; do sleep 0.01; done";
    passes(
        &scene,
        &line.replace("DIR", &scene.folder().display().to_string()),
    );
}

#[test]
fn a_nested_run_passes_where_no_claim_could_be_written() {
    let scene = Scene::new();
    std::fs::write(format!("{}.d", scene.lock().display()), "").expect("room for a file");
    passes(&scene, "exec NESTED echo inside");
}

#[test]
fn who_has_the_environment_of_a_living_run_and_is_no_part_of_it_waits_for_the_lock() {
    let scene = Scene::new();
    let (holder, id) = holder(&scene);
    let output = output(scene.run_command("-v --wait 0s", "exit 0").env(RUN_ID, &id));
    let err = text(&output.stderr);
    assert_eq!(output.status.code(), Some(75), "{err}");
    assert!(err.contains("we are no part of it"), "{err}");
    drop(holder);
}

/// A run of class `login`, whose login's lock somebody else holds, and in it at once a run on that lock.
#[track_caller]
fn does_not_pass(class: &str) {
    let scene = Scene::new();
    let config = scene.config(&format!(
        "[classes.login]\n{class}\nidentity = \"DIR\"\n\
         [locks.other]\npath = \"DIR/other.lock\"\n\
         [jobs.outer]\nclass = \"login\"\n\
         command = [\"{}\", \"run\", \"--lock\", \"LOCK\", \"--wait\", \"0s\", \"--\", \"echo\", \"inside\"]",
        bin::lockkeeper().display()
    ));
    let held = scene.hold();
    // As quick as can be: its record may not be there yet.
    for _ in 0..50 {
        let mut outer = Command::new(bin::lockkeeper());
        bare(&mut outer)
            .args(["run", "-c"])
            .arg(&config)
            .arg("outer");
        let output = output(&mut outer);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(
            (output.status.code(), out.as_str()),
            (Some(75), ""),
            "{err}"
        );
    }
    drop(held);
}

#[test]
fn in_a_run_that_takes_another_lock_and_uses_the_same_login_a_run_waits_for_the_lock() {
    does_not_pass("kind = \"batch\"\nlock = \"other\"");
}

#[test]
fn in_an_interactive_run_of_the_same_login_a_run_waits_for_the_lock() {
    does_not_pass("kind = \"interactive\"");
}

#[test]
fn where_nobody_can_tell_who_is_above_a_nested_run_passes() {
    need!("root");
    let scene = Scene::new();
    for namespace in [
        "unshare --pid --fork --mount-proc",
        "unshare --pid --fork",
        "unshare --mount sh -c 'umount -l /proc; exec \"$@\"' sh",
    ] {
        passes(
            &scene,
            &format!("sleep 0.1; {namespace} NESTED echo inside"),
        );
    }
}
