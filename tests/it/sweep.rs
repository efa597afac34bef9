//! Lock directories: what a killed agent leaves goes, and what a living one has stays.
//!
//! `desk` is a login with lock directories of a test's own; `peers` plays the real proper-lockfile
//! against the sweep, `agent` the real agent.

mod agent;
pub(crate) mod desk;
mod peers;

use std::fs;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal::{SIGKILL, SIGTERM};

use crate::support::bin;
use crate::support::child::{bare, output, signal, text};
use crate::support::need::need;
use crate::support::scene::{child_of, ended};
use crate::support::wait::until;
use desk::Desk;

/// Leaves a lock directory as one does that is killed.
const LEAVES: &str = "mkdir LOGIN/.oauth_refresh.lock";

#[test]
fn what_the_run_left_goes_after_its_watch_and_before_the_lock_is_free() {
    let desk = Desk::new("refresh = \"900ms\"", LEAVES);
    let mut run = desk.start();
    until("it is left", || desk.has(".oauth_refresh.lock"));
    assert!(!desk.is_free(), "the lock is held while the watch goes on");
    assert!(ended(&mut run).success());
    assert_eq!(desk.lock_dirs(), [""; 0]);
    assert!(desk.is_free());
}

#[test]
fn where_nobody_else_uses_the_login_it_goes_at_once() {
    // A watch would last longer than any test.
    let desk = Desk::new(
        "exclusive = true\nrefresh = \"5m\"\nstale_after = \"10m\"",
        LEAVES,
    );
    let told = desk.run();
    assert!(told.contains("nobody else uses the login"), "{told}");
    assert_eq!(desk.lock_dirs(), [""; 0]);
}

#[test]
fn an_interactive_run_on_the_same_login_is_somebody_else() {
    let desk = Desk::new("exclusive = true\nrefresh = \"300ms\"", LEAVES);
    let chat = desk.chat();
    let told = desk.run();
    assert!(told.contains("no sign of life for 300ms"), "{told}");
    assert_eq!(desk.lock_dirs(), [""; 0]);
    drop(chat);
    until("its claim is dead", || desk.users() == 0);
    let told = desk.run();
    assert!(told.contains("nobody else uses the login"), "{told}");
}

#[test]
fn one_that_is_touched_stays_and_ends_the_watch() {
    let desk = Desk::new("refresh = \"5m\"\nstale_after = \"10m\"", LEAVES);
    let mut run = desk.start();
    until("it is left", || desk.has(".oauth_refresh.lock"));
    until("the job has gone, and a sign of life was seen", || {
        desk.touch(".oauth_refresh.lock", Duration::ZERO);
        run.try_wait().is_some()
    });
    assert!(ended(&mut run).success());
    assert_eq!(desk.lock_dirs(), [".oauth_refresh.lock"]);
}

#[test]
fn one_dead_for_stale_after_and_one_from_the_future_go_before_the_next_command_starts() {
    // The command itself sees that they are gone.
    let gone = "! ls -d LOGIN/.*.lock LOGIN.lock";
    let desk = Desk::new("", gone);
    for (name, secs) in [(".oauth_refresh.lock", 61), (".claude.json.lock", 7200)] {
        desk.make(name);
        desk.touch(name, Duration::from_secs(secs));
    }
    desk.make("../login.lock");
    desk.touch_ahead("../login.lock", Duration::from_hours(4));
    let told = desk.run();
    assert_eq!(
        told.matches(" removed: not refreshed for ").count(),
        2,
        "{told}"
    );
    assert!(told.contains("removed: its time lies 3h 59m"), "{told}");
    assert_eq!(desk.lock_dirs(), [""; 0]);
}

#[test]
fn one_that_was_there_before_stays_while_it_is_young() {
    for (keys, chat) in [("", false), ("exclusive = true", true)] {
        let desk = Desk::new(keys, "true");
        desk.make(".oauth_refresh.lock");
        desk.touch_ahead(".oauth_refresh.lock", Duration::from_millis(1005));
        desk.make(".claude.json.lock");
        desk.touch(".claude.json.lock", Duration::from_secs(40));
        let chat = chat.then(|| desk.chat());
        let told = desk.run();
        assert!(!told.contains("removed"), "{told}");
        let both = [".claude.json.lock", ".oauth_refresh.lock"];
        assert_eq!(desk.lock_dirs(), both);
        if let Some(chat) = chat {
            drop(chat);
            until("it has gone", || desk.users() == 0);
            let told = desk.run();
            assert_eq!(
                told.matches("removed: nobody else uses the login").count(),
                2,
                "{told}"
            );
            assert_eq!(desk.lock_dirs(), [""; 0]);
        }
    }
}

#[test]
fn a_second_stop_cuts_the_watch_short_and_leaves_the_doubtful_alone() {
    let desk = Desk::new("refresh = \"5m\"\nstale_after = \"10m\"", LEAVES);
    let mut run = desk.start();
    until("it is watched", || desk.is_watching(run.pid()));
    until("it is over", || {
        signal(run.pid(), SIGTERM);
        run.try_wait().is_some()
    });
    // The command itself had ended well.
    assert!(ended(&mut run).success());
    assert_eq!(desk.lock_dirs(), [".oauth_refresh.lock"]);
    assert!(desk.is_free());
}

#[test]
fn a_guard_without_its_monitor_sweeps_nothing() {
    let desk = Desk::new("refresh = \"5m\"\nstale_after = \"10m\"", LEAVES);
    let mut run = desk.start();
    until("it is watched", || desk.is_watching(run.pid()));
    signal(child_of(run.pid()), SIGKILL);
    assert_eq!(ended(&mut run).code(), Some(125));
    assert_eq!(desk.lock_dirs(), [".oauth_refresh.lock"]);
    assert!(desk.is_free());
}

#[test]
fn a_monitor_without_its_guard_goes_on_watching() {
    let desk = Desk::new("refresh = \"2s\"", LEAVES);
    let run = desk.start();
    until("it is watched", || desk.is_watching(run.pid()));
    signal(run.pid(), SIGKILL);
    until("it is removed", || desk.lock_dirs().is_empty());
    until("the lock is free", || desk.is_free());
}

#[test]
fn a_sweep_that_is_killed_between_moving_and_removing_is_finished_by_the_next() {
    need!("strace");
    // Old by its own time, so that it is dead at once.
    let leaves =
        "mkdir LOGIN/.oauth_refresh.lock && touch -d '100 seconds ago' LOGIN/.oauth_refresh.lock";
    let desk = Desk::new("", leaves);
    let mut command = Command::new("strace");
    bare(&mut command)
        .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=unlinkat"])
        .args(["-e", "inject=unlinkat:signal=KILL"])
        .arg(bin::lockkeeper())
        .args(desk.args("dev"));
    output(&mut command);
    assert_eq!(desk.lock_dirs(), [".oauth_refresh.lock.lockkeeper"]);
    let told = output(desk.job("look"));
    let told = text(&told.stderr);
    assert!(told.contains("removed for good"), "{told}");
    assert_eq!(desk.lock_dirs(), [""; 0]);
}

#[test]
fn a_lock_that_git_left_in_the_jobs_folder_is_named_and_stays() {
    let desk = Desk::new("", "mkdir .git && touch .git/index.lock");
    let told = desk.run();
    assert!(told.contains(".git/index.lock\" is still there"), "{told}");
    assert!(fs::exists(desk.work().join(".git/index.lock")).unwrap());
}
