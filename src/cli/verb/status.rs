//! `lockkeeper status`, for people: a line a job, and below it what the job says of itself.

use std::fmt::Write as _;
use std::time::Duration;

use super::ask::shown;
use crate::core::table::{RowState, RowView};
use crate::init::control::words::Reply;

/// The columns before the last, in characters, for all but long names.
const JOB: usize = 16;
const CLASS: usize = 12;
const STATE: usize = 12;
const SINCE: usize = 9;

/// The reply to `status`.
pub(super) fn table(reply: &Reply) -> String {
    let mut text = String::new();
    if let Some(init) = &reply.init {
        let stopping = if init.stopping { ", stopping" } else { "" };
        let _ = writeln!(
            text,
            "{}: init is process {}{stopping}, lockkeeper {}",
            init.name, init.pid, init.version
        );
    }
    let _ = writeln!(
        text,
        "{:JOB$} {:CLASS$} {:STATE$} {:SINCE$} WHAT ELSE",
        "JOB", "CLASS", "STATE", "SINCE"
    );
    for row in reply.jobs.as_deref().unwrap_or_default() {
        let since = row.since_ms.map_or_else(String::new, time);
        let line = format!(
            "{:JOB$} {:CLASS$} {:STATE$} {since:SINCE$} {}",
            row.job,
            row.class,
            word(row.state),
            more(row)
        );
        let _ = writeln!(text, "{}", line.trim_end());
        if let Some(status) = &row.status {
            let _ = writeln!(text, "    {}", status.replace('\n', " "));
        }
    }
    shown(&text)
}

/// What else there is to say of a job.
fn more(row: &RowView) -> String {
    let mut words = Vec::new();
    if let Some(run_id) = &row.run_id {
        let by = if row.outside { ", begun by hand" } else { "" };
        words.push(format!("run {run_id}{by}"));
    }
    if let Some(next) = row.next_ms {
        words.push(format!("next in {}", time(next)));
    }
    if let Some(last) = &row.last {
        let reason = last.reason.as_ref();
        let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
        words.push(format!(
            "last exit {}{reason} {} ago",
            last.code,
            time(last.ago_ms)
        ));
    }
    if row.restarts > 0 {
        words.push(format!("{} restarts", row.restarts));
    }
    words.join(", ")
}

/// A state in one or two words.
const fn word(state: RowState) -> &'static str {
    match state {
        RowState::Idle => "idle",
        RowState::WaitingForAfter => "waiting",
        RowState::Queued => "queued",
        RowState::Running => "running",
        RowState::Ready => "ready",
        RowState::Stopping => "stopping",
        RowState::BackingOff => "backing off",
        RowState::GivenUp => "given up",
        RowState::Stopped => "stopped",
        RowState::Over => "over",
    }
}

/// To two units, as `2h 11m`.
fn time(ms: u64) -> String {
    let whole = humantime::format_duration(Duration::from_secs(ms / 1000)).to_string();
    let units: Vec<&str> = whole.split(' ').take(2).collect();
    units.join(" ")
}
