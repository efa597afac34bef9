//! What init does between two starts of a job that fails at once: it sleeps.

use std::fs;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal::{SIGINT, SIGKILL, SIGTERM};

use super::{job, staying};
use crate::support::child::{self, signal};
use crate::support::need::need;
use crate::support::rest::look;
use crate::support::scene::ended;
use crate::support::stat::descendants;
use crate::support::wait::until;

/// The lines of strace, each behind the number of its thread.
fn calls(log: &Path) -> Vec<String> {
    let text = fs::read_to_string(log).unwrap();
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    lines
        .map(|(_, call)| call.trim_start().to_owned())
        .collect()
}

/// A thread was woken by a time that was over, and by nothing that happened.
fn is_timeout(call: &str) -> bool {
    call.ends_with("(Timeout)") || call.contains("ETIMEDOUT") || call.contains("nanosleep")
}

#[test]
fn between_two_starts_of_a_job_that_fails_at_once_init_wakes_for_the_next_start_alone() {
    need!("root", "strace");
    let keys = "restart = { when = \"always\", delay = \"200ms\", max_delay = \"1600ms\" }";
    let desk = staying(&[job("a", keys, "append DIR/order x , exit 3")]);
    until("it has begun", || desk.lines("order") >= 1);
    let log = desk.scene.path("strace");
    // All threads of init, and none of what they start.
    let mut command = Command::new("strace");
    command.args(["-qq", "-o"]).arg(&log);
    let tasks = format!("/proc/{}/task", desk.pid());
    for task in fs::read_dir(&tasks).unwrap() {
        command.arg("-p").arg(task.unwrap().file_name());
    }
    let mut strace = child::start(&mut command);
    until("it looks", || {
        let mut tasks = fs::read_dir(&tasks).unwrap().flatten();
        tasks.all(|task| {
            let status = fs::read_to_string(task.path().join("status"));
            status.is_ok_and(|status| !status.contains("TracerPid:\t0\n"))
        })
    });
    let runs = desk.lines("order");
    until("five starts", || desk.lines("order") >= runs + 5);
    signal(strace.pid(), SIGINT);
    strace.wait();

    let calls = calls(&log);
    let first = calls.iter().position(|call| is_timeout(call)).unwrap();
    let last = calls.iter().rposition(|call| is_timeout(call)).unwrap();
    let between = &calls[first..last];
    // In turns: no time is over without a start, and what else wakes init is a word of the run.
    let turns: String = between
        .iter()
        .filter_map(|call| match call {
            call if is_timeout(call) => Some('t'),
            // Not the thread that looks at the claim of a run that lasts long enough to have one.
            call if call.starts_with("clone") && !call.contains("CLONE_THREAD") => Some('s'),
            _ => None,
        })
        .collect();
    let starts = turns.len() / 2;
    assert!(
        starts >= 3 && turns == "ts".repeat(starts),
        "{turns}: {between:#?}"
    );
    let woken = between.iter().filter(|call| call.contains("ppoll")).count();
    assert!(
        woken <= 20 * starts,
        "{woken} for {starts} starts: {between:#?}"
    );
}

#[test]
fn who_may_open_fewer_files_than_it_waits_for_rests_nevertheless_and_stops_in_order() {
    need!("root", "prlimit");
    let jobs: Vec<String> = (0..12)
        .map(|n| job(&format!("j{n}"), "", "mark PAGE 1 , hang"))
        .collect();
    let mut desk = staying(&jobs);
    let run = || desk.scene.page.alive().get(&1).copied().unwrap_or(0);
    until("they run", || run() == 12);
    let pid = desk.pid().to_string();
    let limit = ["--pid", pid.as_str(), "--nofile=8"];
    child::read(Command::new("prlimit").args(limit));
    // One of those that it does not wait for ends, and is seen to.
    let one = *desk.scene.living().last().unwrap();
    signal(one, SIGKILL);
    until("it is over", || desk.said("over, exit 137") == 1);
    let pids = [desk.pid()];
    until("it rests", || {
        let first = look(&pids);
        let runs = descendants(desk.pid()).len();
        let again = || look(&pids).filter(|_| descendants(desk.pid()).len() == runs);
        first.is_some() && (0..100).all(|_| again() == first)
    });
    signal(desk.pid(), SIGTERM);
    assert_eq!(ended(&mut desk.init.process).code(), Some(0));
    assert_eq!(desk.said("overdue"), 0, "{}", desk.errors());
    desk.scene.assert_empty();
}
