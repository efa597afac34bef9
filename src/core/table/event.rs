//! What comes into the job table and what goes out of it: two closed enums that a log can hold.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::core::note::Note;
use crate::core::outcome::Reason;

/// A job, as its place in [`Plan::jobs`](crate::config::plan::Plan::jobs).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobIndex(pub usize);

/// A run that this init started; its text is the `RUN_ID` of the journal.
///
/// Unique within one init by construction, and between inits as far as their seeds differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub u64);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Everything that can happen to the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// init is ready: reaping, signals and the journal are at work, found runs were told.
    Begin,
    /// The time of [`Table::next_deadline`](super::Table::next_deadline) has come.
    Tick,
    /// The guard of this run has gone, and with it the run.
    RunEnded {
        /// The job.
        job: JobIndex,
        /// The run.
        run: RunId,
        /// Its exit code.
        code: u8,
        /// Why it ended, where the run could still say so.
        reason: Option<Reason>,
    },
    /// The run that was to start has no guard: fork(2) failed, out of memory, of descriptors.
    GuardFailed {
        /// The job.
        job: JobIndex,
        /// The run that never was.
        run: RunId,
        /// What failed, and why.
        text: String,
    },
    /// A signal for init. SIGCHLD is the reaper's and never comes here.
    Signal {
        /// The signal.
        signo: i32,
    },
    /// A run of this job lives that this init did not start; it counts as running.
    RunFound {
        /// The job.
        job: JobIndex,
        /// The run, as its claim names it.
        run_id: String,
    },
    /// The found run has gone.
    FoundGone {
        /// The job.
        job: JobIndex,
        /// The run, as in [`Event::RunFound`].
        run_id: String,
    },
}

/// Everything that the table asks of the shell, to be done in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Start a guard. Answered by [`Event::RunEnded`] or [`Event::GuardFailed`].
    StartRun {
        /// The job.
        job: JobIndex,
        /// The new run.
        run: RunId,
    },
    /// Tell this run's monitor to stop. May come twice for one run, the second time with zero.
    StopRun {
        /// The job.
        job: JobIndex,
        /// The run.
        run: RunId,
        /// The time from now until the ladder has sent its KILL, at the latest; the graces are
        /// cut to fit. Zero: KILL at once.
        within: Duration,
    },
    /// Pass this signal on to the main command; held by the shell until that has been executed.
    SignalMain {
        /// The signal.
        signo: i32,
    },
    /// Tell the journal.
    Note(Note),
    /// Kill whatever is left and end with this code. Always the last action.
    Exit {
        /// The exit code.
        code: u8,
    },
}
