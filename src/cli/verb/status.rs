//! `lockkeeper status`, for people: a line a job, and below it what the job says of itself.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use super::ask::{number, shown, text};

/// The columns before the last, in characters, for all but long names.
const JOB: usize = 16;
const CLASS: usize = 12;
const STATE: usize = 12;
const SINCE: usize = 9;

/// The reply to `status`.
pub(super) fn table(reply: &Value) -> String {
    let mut said = String::new();
    if let Some(init) = reply.get("init") {
        let stopping = if is(init, "stopping") {
            ", stopping"
        } else {
            ""
        };
        let _ = writeln!(
            said,
            "{}: init is process {}{stopping}, lockkeeper {}",
            text(init, "name").unwrap_or_default(),
            number(init, "pid").unwrap_or_default(),
            text(init, "version").unwrap_or_default()
        );
    }
    row(&mut said, ["JOB", "CLASS", "STATE", "SINCE"], "WHAT ELSE");
    let rows = reply.get("jobs").and_then(Value::as_array);
    for job in rows.into_iter().flatten() {
        let word = |key| text(job, key).unwrap_or_default();
        let since = number(job, "since_ms").map_or_else(String::new, time);
        let state = word("state").replace('-', " ");
        row(
            &mut said,
            [word("job"), word("class"), &state, &since],
            &more(job),
        );
        if let Some(status) = text(job, "status") {
            let _ = writeln!(said, "    {}", status.replace('\n', " "));
        }
    }
    shown(&said)
}

fn row(to: &mut String, [job, class, state, since]: [&str; 4], more: &str) {
    let line = format!("{job:JOB$} {class:CLASS$} {state:STATE$} {since:SINCE$} {more}");
    let _ = writeln!(to, "{}", line.trim_end());
}

/// What else there is to say of a job.
fn more(job: &Value) -> String {
    let mut words = Vec::new();
    if let Some(run_id) = text(job, "run_id") {
        let by = if is(job, "outside") {
            ", begun by hand"
        } else {
            ""
        };
        words.push(format!("run {run_id}{by}"));
    }
    if let Some(next) = number(job, "next_ms") {
        words.push(format!("next in {}", time(next)));
    }
    if let Some(last) = job.get("last").filter(|last| last.is_object()) {
        let reason = text(last, "reason").map_or_else(String::new, |why| format!(" ({why})"));
        let code = number(last, "code").unwrap_or_default();
        let ago = time(number(last, "ago_ms").unwrap_or_default());
        words.push(format!("last exit {code}{reason} {ago} ago"));
    }
    let restarts = number(job, "restarts").filter(|restarts| *restarts > 0);
    words.extend(restarts.map(|restarts| format!("{restarts} restarts")));
    words.join(", ")
}

fn is(object: &Value, key: &str) -> bool {
    object.get(key).and_then(Value::as_bool) == Some(true)
}

/// To two units, as `2h 11m`.
fn time(ms: u64) -> String {
    let whole = humantime::format_duration(Duration::from_secs(ms / 1000)).to_string();
    let units: Vec<&str> = whole.split(' ').take(2).collect();
    units.join(" ")
}
