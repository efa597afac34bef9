//! A thousand jobs in one file, of which a hundred run: all at rest, all in the status, all gone in time.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use nix::sys::signal::Signal::SIGTERM;
use serde_json::Value;

use super::{QUICK, job, staying};
use crate::control::Desk;
use crate::support::child::signal;
use crate::support::need::need;
use crate::support::rest::look;
use crate::support::scene::ended;
use crate::support::stat::descendants;
use crate::support::wait::{until, until_some};

const JOBS: usize = 1000;
const RUN: usize = 100;
const DEAF: usize = 7;

/// Every tenth job stays, and one of those is deaf to TERM. A ninth of the others have a tick at the start
/// and the next one in an hour, and the rest wait to be asked for.
fn file() -> String {
    let mut file = format!("[init]\nstop_within = \"9s\"\n{QUICK}");
    for n in 0..JOBS {
        let text = match n % 10 {
            0 if n / 10 == DEAF => job(&format!("j{n}"), "", "ignore TERM , mark PAGE 1 , hang"),
            0 => job(&format!("j{n}"), "", "mark PAGE 1 , hang"),
            1 => job(&format!("j{n}"), "every = \"1h\"", "append DIR/ticks x"),
            _ => job(&format!("j{n}"), "start = \"manual\"", "append DIR/asked x"),
        };
        write!(file, "{text}").unwrap();
    }
    file
}

fn rows(desk: &Desk) -> Vec<Value> {
    let status = desk.status();
    let jobs = status.get("jobs").and_then(Value::as_array);
    jobs.expect("a list").clone()
}

/// How many rows are in that state.
fn count(rows: &[Value], state: &str) -> usize {
    rows.iter().filter(|row| row["state"] == state).count()
}

#[test]
fn a_thousand_jobs_of_which_a_hundred_run_rest_are_all_shown_and_end_within_the_stop() {
    need!("root");
    let mut desk = Desk::new(&file());
    until("a hundred run", || {
        desk.scene.page.alive().get(&1) == Some(&RUN)
    });
    until("the others have had their tick", || {
        desk.lines("ticks") == JOBS / 10 && count(&rows(&desk), "running") == RUN
    });

    let shown = rows(&desk);
    assert_eq!((shown.len(), count(&shown, "idle")), (JOBS, JOBS - RUN));
    for (n, row) in shown.iter().enumerate() {
        assert_eq!(row["job"], format!("j{n}"), "in the order of the file");
        let (state, ticks) = match n % 10 {
            0 => ("running", false),
            1 => ("idle", true),
            _ => ("idle", false),
        };
        assert_eq!(row["state"], state, "{row}");
        assert_eq!(row["run_id"].is_string(), n % 10 == 0, "{row}");
        assert_eq!(row["next_ms"].is_u64(), ticks, "{row}");
        assert_eq!(row["last"]["code"].is_u64(), ticks, "{row}");
    }
    let runs: BTreeSet<&str> = shown
        .iter()
        .filter_map(|row| row["run_id"].as_str())
        .collect();
    assert_eq!(runs.len(), RUN, "each run has a name of its own");

    // One by one they start and stop as in a file of three.
    assert_eq!(desk.ask(&["start", "j999"]).code, 0);
    until("it has run", || {
        desk.lines("asked") == 1 && desk.row("j999")["last"]["code"] == 0
    });
    assert_eq!(desk.ask(&["stop", "j0"]).code, 0);
    assert_eq!(
        (desk.state("j0"), desk.state("j10")),
        ("stopped".into(), "running".into())
    );
    assert_eq!(desk.ask(&["start", "j0"]).code, 0);
    until("it runs again", || {
        desk.scene.page.alive().get(&1) == Some(&RUN)
    });
    drop(desk.ask(&["health"]));

    // All of init, of a hundred guards and of their monitors, while another init has three ticks.
    let puppets = desk.scene.living();
    let mut ours = vec![desk.pid()];
    ours.extend(
        descendants(desk.pid())
            .iter()
            .filter(|pid| !puppets.contains(pid)),
    );
    assert_eq!(ours.len(), 1 + 2 * RUN);
    let other = staying(&[job("tick", "every = \"1s\"", "append DIR/ticks x")]);
    let before = until_some("all rest", || {
        // A claim is written a moment after its command has started: at rest is who stays so.
        let first = look(&ours)?;
        let ticks = other.lines("ticks");
        until("a tick of the other", || other.lines("ticks") > ticks);
        (look(&ours)? == first).then_some(first)
    });
    let ticks = other.lines("ticks");
    until("three ticks of the other", || {
        other.lines("ticks") >= ticks + 3
    });
    assert_eq!(look(&ours), Some(before), "nobody has run meanwhile");

    signal(desk.pid(), SIGTERM);
    assert_eq!(ended(&mut desk.init.process).code(), Some(0), "in order");
    assert_eq!(desk.said("overdue"), 0, "{}", desk.errors());
    assert_eq!(
        desk.said("stop asked by SIGTERM: 100 runs to end within 9s"),
        1
    );
    let deaf = format!("job j{}: run ", DEAF * 10);
    let killed = |line: &&str| line.contains(&deaf) && line.contains("exit 137 (the stop of init)");
    assert_eq!(
        desk.errors().lines().filter(killed).count(),
        1,
        "{}",
        desk.errors()
    );
    desk.scene.assert_empty();
}
