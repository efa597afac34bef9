//! `--report FD`: one JSON line that says how the run ended, for callers to whom the exit code is
//! not enough, as a command may use any code itself.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};

use serde::Serialize;

use super::monitor::orders::{stop_is_ordered, stop_is_pending};
use super::monitor::output::BRIEF;
use crate::config::plan::SignalMap;
use crate::core::outcome::{Outcome, Reason, Status};
use crate::core::time::Time;
use crate::sys::fd::Wire;
use crate::sys::signals::Signals;
use crate::sys::{clock, poll};

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

/// Where the line goes, and who may want it no more.
#[derive(Debug)]
pub struct Report<'a> {
    /// The descriptor.
    pub to: OwnedFd,
    /// The init that started the run.
    pub init: Option<&'a Wire>,
    /// What becomes of our signals.
    pub map: &'a SignalMap,
    /// Whether somebody has wanted the end, and was heard, however the run has ended.
    pub unwanted: bool,
}

/// Writes the line; a descriptor that cannot be written is the caller's loss. Whoever takes nothing is
/// waited for, as a reader of the command's output is: until somebody wants the end, and no longer than
/// `BRIEF` where somebody has wanted it already.
pub fn write(report: Report<'_>, run_id: &str, job: &str, outcome: &Outcome) {
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
    let Ok(mut text) = serde_json::to_vec(&line) else {
        return;
    };
    text.push(b'\n');
    let stopped = matches!(
        outcome.reason,
        Reason::Signal(_) | Reason::InitStop | Reason::GuardLost
    );
    let until = (report.unwanted || stopped).then(|| clock::now() + BRIEF);
    if report.is_taken(until) {
        // It is shorter than what a pipe with any room takes at once (pipe(7)).
        let _ = File::from(report.to).write_all(&text);
    }
}

impl Report<'_> {
    /// Waits until the line can be written without waiting; false: nobody wants it any more.
    fn is_taken(&self, until: Option<Time>) -> bool {
        let Ok(signals) = Signals::open() else {
            return true;
        };
        loop {
            let init = self.init.map(AsFd::as_fd);
            let (room, [signal, order]) =
                poll::wait_for_room_or(self.to.as_fd(), [Some(signals.as_fd()), init], until);
            if room {
                return true;
            }
            if (signal && stop_is_pending(&signals, self.map))
                || (order
                    && self
                        .init
                        .is_some_and(|init| stop_is_ordered(init, self.map)))
                || until.is_some_and(|until| until <= clock::now())
            {
                return false;
            }
        }
    }
}
