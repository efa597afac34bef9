//! The parts that the words of notes are made of.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use crate::core::outcome::{Reason, SpawnStep};
use crate::core::pause::At;
use crate::core::text::took;

/// The reason in words that fit behind "ended by".
pub(super) fn cause(reason: Reason) -> Cow<'static, str> {
    match reason {
        Reason::Ended => "itself".into(),
        Reason::Timeout => "timeout".into(),
        Reason::IdleTimeout => "idle_timeout".into(),
        Reason::ReadyTimeout => "ready_timeout".into(),
        Reason::Heartbeat => "heartbeat".into(),
        // Whether the result was a failure is in the exit code.
        Reason::Final { .. } => "final".into(),
        Reason::Signal(signal) => signal_name(signal),
        Reason::GuardLost => "the death of its guard".into(),
        Reason::InitStop => "the stop of init".into(),
        Reason::WaitExpired => "the lock was not obtained in time".into(),
        Reason::DirNotLocked => "a directory was not to be had".into(),
        Reason::StartRefused => "a condition of its start did not hold".into(),
        Reason::Paused => "there is a pause for its login".into(),
        Reason::SpawnFailed { .. } => "the command could not be started".into(),
        Reason::Failed => "a failure of lockkeeper".into(),
    }
}

pub(super) const fn step_word(step: SpawnStep) -> &'static str {
    match step {
        SpawnStep::Fork => "fork",
        SpawnStep::Stdio => "stdio",
        SpawnStep::Session => "session",
        SpawnStep::User => "user",
        SpawnStep::Dir => "dir",
        SpawnStep::Limits => "rlimits",
        SpawnStep::Nice => "nice",
        SpawnStep::OomScore => "oom_score_adj",
        SpawnStep::NoNewPrivs => "no_new_privs",
        SpawnStep::Group => "cgroup",
        SpawnStep::Exec => "exec",
        SpawnStep::Terminal => "terminal",
    }
}

/// The step in words that fit behind "failed to" and before the folder, the user or the command.
pub(super) const fn step_verb(step: SpawnStep) -> &'static str {
    match step {
        SpawnStep::Fork => "fork for",
        SpawnStep::Stdio => "prepare input and output for",
        SpawnStep::Session => "make a session for",
        SpawnStep::User => "become the user",
        SpawnStep::Dir => "enter the folder",
        SpawnStep::Limits => "set the limit",
        SpawnStep::Nice => "set nice to",
        SpawnStep::OomScore => "set oom_score_adj to",
        SpawnStep::NoNewPrivs => "set no_new_privs for",
        SpawnStep::Group => "enter the control group of",
        SpawnStep::Exec => "execute",
        SpawnStep::Terminal => "make a terminal with",
    }
}

pub(super) fn signal_name(signal: i32) -> Cow<'static, str> {
    match signal_hook::low_level::signal_name(signal) {
        Some(name) => Cow::Borrowed(name),
        // The real-time signals have no names of their own (signal(7)).
        None => Cow::Owned(format!("signal {signal}")),
    }
}

pub(super) fn held_by(holder: Option<&str>) -> String {
    holder.map_or_else(String::new, |holder| format!(", held by {holder}"))
}

pub(super) fn plural(number: usize, word: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {word}{s}")
}

/// How many jobs, and which; `None`: none.
pub(super) fn listed(jobs: &[String], what: &str) -> Option<String> {
    /// A line that is read does not name more.
    const NAMED: usize = 8;
    let (named, rest) = jobs.split_at_checked(NAMED).unwrap_or((jobs, &[]));
    let more = match rest.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let number = plural(jobs.len(), "job");
    (!jobs.is_empty()).then(|| format!("{number} {what} ({}{more})", named.join(", ")))
}

/// When something ends, and how long that still is: `2026-11-21T07:00:00Z (58m 3s)`.
pub(super) fn until(unix_ms: u64, left: Duration) -> String {
    format!("{} ({})", At(unix_ms), Short(left))
}

/// A number of bytes in as few characters as a reader needs: `512M`, `1.5G`.
pub(super) struct Bytes(pub(super) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, shift) in [("G", 30), ("M", 20), ("k", 10)] {
            let whole = self.0 >> shift;
            if whole == 0 {
                continue;
            }
            let tenth = ((self.0 - (whole << shift)) * 10) >> shift;
            return match tenth {
                0 => write!(f, "{whole}{unit}"),
                _ => write!(f, "{whole}.{tenth}{unit}"),
            };
        }
        write!(f, "{} bytes", self.0)
    }
}

/// A duration in as few characters as a reader needs: `340ms`, `2.3s`, `1h 5m`.
pub(super) struct Short(pub(super) Duration);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        f.write_str(&took(millis))
    }
}
