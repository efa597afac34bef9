//! `--report FD`: one JSON line that says how the run ended, for callers to whom the exit code is
//! not enough, as a command may use any code itself.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;

use serde::Serialize;

use crate::core::outcome::{Outcome, Reason, Status};

/// The line. Its fields only grow; `v` changes when one changes its meaning.
#[derive(Debug, Serialize)]
struct Line<'a> {
    v: u32,
    run_id: &'a str,
    job: &'a str,
    /// The exit code of lockkeeper itself.
    code: u8,
    /// Whose code that is.
    by: &'static str,
    reason: &'static str,
    /// What the command itself returned.
    exit: Option<u8>,
    /// The signal that killed the command.
    signal: Option<i32>,
    waited_ms: u128,
    held_ms: u128,
    ran_ms: u128,
}

/// Writes the line; a descriptor that cannot be written is the caller's loss.
pub fn write(to: OwnedFd, run_id: &str, job: &str, outcome: &Outcome) {
    let (exit, signal) = match outcome.status {
        Some(Status::Exited(code)) => (Some(code), None),
        Some(Status::Killed(signo) | Status::Dumped(signo)) => (None, Some(signo)),
        None => (None, None),
    };
    let own = !matches!(
        (outcome.reason, outcome.status),
        (
            Reason::Ended | Reason::Signal(_) | Reason::InitStop | Reason::GuardLost,
            Some(_)
        )
    );
    let line = Line {
        v: 1,
        run_id,
        job,
        code: outcome.code,
        by: if own { "lockkeeper" } else { "command" },
        reason: outcome.reason.word(),
        exit,
        signal,
        waited_ms: outcome.waited.as_millis(),
        held_ms: outcome.held.as_millis(),
        ran_ms: outcome.ran.as_millis(),
    };
    if let Ok(mut text) = serde_json::to_vec(&line) {
        text.push(b'\n');
        let _ = File::from(to).write_all(&text);
    }
}
