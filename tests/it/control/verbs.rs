//! start, stop, restart, health, status: what they do, say and return.

use std::process::Command;

use nix::sys::signal::Signal;

use super::{Asked, Desk, JOBS};
use crate::support::bin;
use crate::support::child::{bare, halt, output, signal};
use crate::support::need::need;
use crate::support::ns::own_run;
use crate::support::wait::until;

#[test]
fn a_job_starts_and_stops_for_who_asks_and_a_stop_comes_back_when_the_run_is_over() {
    need!("root");
    let desk = Desk::new(JOBS);
    assert_eq!(desk.ask(&["stop", "dev"]).out, "dev: no run to stop\n");
    let started = desk.ask(&["start", "dev"]);
    assert!(started.out.ends_with(" was started\n"), "{started:?}");
    until("it runs", || desk.scene.page.alive().get(&1) == Some(&1));
    let again = desk.ask(&["start", "dev"]);
    assert_eq!(
        again.out.replace("is going already", "was started"),
        started.out,
        "the same run"
    );
    let stopped = desk.ask(&["stop", "dev"]);
    assert_eq!(desk.scene.page.alive().get(&1), None, "it is over");
    assert_eq!(stopped.code, 0);
    assert!(
        stopped.out.starts_with("dev: its run is over, exit 143"),
        "{stopped:?}"
    );
    assert_eq!(desk.state("dev"), "stopped");
    assert_eq!(desk.lines("devs"), 1);
}

#[test]
fn a_restart_comes_back_with_the_new_run_and_no_wait_at_once() {
    need!("root");
    let desk = Desk::new(JOBS);
    until("it runs", || desk.scene.page.alive().get(&2) == Some(&1));
    let before = desk.row("chat")["run_id"].clone();
    assert_eq!(desk.ask(&["restart", "chat"]).code, 0);
    let after = desk.row("chat")["run_id"].clone();
    assert!(after.is_string() && before != after, "{before} {after}");
    // It is deaf to TERM: only the end of its grace ends it.
    let told = desk.ask(&["stop", "--no-wait", "chat"]);
    assert_eq!(told.out, "chat: its run was told to stop\n");
    until("it goes", || desk.state("chat") == "stopped");
    assert_eq!(
        desk.ask(&["stop", "--no-wait", "chat"]).out,
        "chat: no run to stop\n"
    );
}

#[test]
fn what_cannot_be_done_is_said_with_what_to_do() {
    need!("root");
    let desk = Desk::new(JOBS);
    for verb in ["start", "stop", "restart"] {
        let asked = desk.ask(&[verb, "dve"]);
        assert_eq!(asked.code, 78, "{asked:?}");
        assert!(asked.err.contains("did you mean \"dev\"?"), "{asked:?}");
    }
    let asked = desk.ask(&["health", "nobody"]);
    assert_eq!(asked.code, 1);
    assert!(asked.err.contains("no job of this name"), "{asked:?}");
}

#[test]
fn health_fails_where_a_job_has_failed_for_good_and_only_there() {
    need!("root");
    let failing = "[jobs.setup]\nclass = \"quick\"\nscript = exit 7\n";
    let desk = Desk::new(&format!("{JOBS}{failing}"));
    until("it has failed", || desk.state("setup") == "over");
    let health = desk.ask(&["health"]);
    assert_eq!(health.code, 1);
    assert_eq!(
        health.out,
        "setup: failed, exit 7, and does not start again\n"
    );
    assert_eq!(desk.ask(&["health", "setup"]).code, 1);
    assert_eq!(desk.ask(&["health", "chat"]).code, 0);
    assert_eq!(desk.ask(&["health", "-q"]).out, "");
}

#[test]
fn a_job_that_has_to_be_ready_is_not_well_before_it_has_said_so() {
    need!("root");
    let slow = "[jobs.slow]\nclass = \"quick\"\nready_timeout = \"30s\"\n\
                script = block USR1 , mark PAGE 9 , wait USR1 , notify READY=1 , hang\n";
    let desk = Desk::new(&format!("{JOBS}{slow}"));
    until("it waits", || desk.scene.page.alive().get(&9) == Some(&1));
    assert_eq!(desk.ask(&["health"]).out, "slow: not ready yet\n");
    for pid in desk.scene.living() {
        signal(pid, Signal::SIGUSR1);
    }
    until("it is ready", || desk.state("slow") == "ready");
    assert_eq!(desk.ask(&["health", "slow"]).out, "healthy\n");
}

#[test]
fn an_init_that_is_stopped_is_not_healthy_and_nobody_hangs_on_it() {
    need!("root");
    let desk = Desk::new(JOBS);
    halt(desk.pid());
    let health = desk.ask(&["health"]);
    let start = desk.ask(&["start", "dev"]);
    signal(desk.pid(), Signal::SIGCONT);
    assert_eq!((health.code, start.code), (1, 69));
    assert!(health.err.contains("does not answer"), "{health:?}");
    desk.is_well();
}

#[test]
fn without_an_init_each_verb_says_what_to_do() {
    need!("root");
    for (args, code) in [
        (&["status"][..], 69),
        (&["start", "dev"], 69),
        (&["stop", "dev"], 69),
        (&["restart", "dev"], 69),
        (&["reload"], 69),
        (&["health"], 1),
    ] {
        let mut command = Command::new(bin::lockkeeper());
        own_run(bare(&mut command)).args(args);
        let asked = Asked::of(&output(&mut command));
        // /dev/shm is the machine's, in which another user's init might be.
        assert_eq!(asked.code, code, "{args:?}: {asked:?}");
        assert!(asked.err.contains("no init answers here"), "{asked:?}");
        assert_eq!(asked.out, "");
    }
}
