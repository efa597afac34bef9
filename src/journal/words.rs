//! The parts that the words of notes are made of.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use crate::core::outcome::{Reason, SpawnStep};

/// The reason in words that fit behind "ended by".
pub(super) fn cause(reason: Reason) -> Cow<'static, str> {
    match reason {
        Reason::Ended => "itself".into(),
        Reason::Timeout => "timeout".into(),
        Reason::IdleTimeout => "idle_timeout".into(),
        // Whether the result was a failure is in the exit code.
        Reason::Final { .. } => "final".into(),
        Reason::Signal(signal) => signal_name(signal),
        Reason::GuardLost => "the death of its guard".into(),
        Reason::InitStop => "the stop of init".into(),
        Reason::WaitExpired => "the lock was not obtained in time".into(),
        Reason::DirNotLocked => "a directory was not to be had".into(),
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

/// A duration in as few characters as a reader needs: `340ms`, `2.3s`, `1h 5m`.
pub(super) struct Short(pub(super) Duration);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        if millis < 1000 {
            return write!(f, "{millis}ms");
        }
        if millis < 60_000 {
            let (secs, tenths) = (millis / 1000, millis % 1000 / 100);
            return match tenths {
                0 => write!(f, "{secs}s"),
                _ => write!(f, "{secs}.{tenths}s"),
            };
        }
        let whole = Duration::from_secs(self.0.as_secs());
        write!(f, "{}", humantime::format_duration(whole))
    }
}
