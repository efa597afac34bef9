//! What comes into the job table and what goes out of it: two closed enums that a log can hold.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::outside::Outside;
use crate::config::plan::Plan;
use crate::core::note::Note;
use crate::core::outcome::Reason;

/// A job, as its slot in the table. It stays the same for as long as the job is known, also over
/// reloads; the slot of a job that was removed is given to another one when its last run is over.
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

/// Somebody who asks init for something and may wait for the answer; the shell gives the number, and
/// gives none twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClientId(pub u64);

/// What somebody asks for, by the name of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// A run of this job. Answered when it was begun, or cannot begin now.
    Start(String),
    /// The end of its run, and no other until somebody asks for one. Answered when it is over.
    Stop(String),
    /// The end of its run, and a new one after it. Answered when that was begun.
    Restart(String),
}

/// What comes of an [`Ask`]: one for each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// A run was begun.
    Started {
        /// The run.
        run_id: String,
    },
    /// A run was going already.
    Running {
        /// The run.
        run_id: String,
    },
    /// A run begins as soon as its class has a place for it (`max_parallel`).
    Queued {
        /// How many runs go before it.
        before: usize,
    },
    /// The run is over.
    Stopped {
        /// Its exit code.
        code: u8,
        /// Why it ended, where the run could still say so.
        reason: Option<Reason>,
    },
    /// There was no run to stop. What would have started by itself does not any more.
    NotRunning,
    /// No job has that name.
    NoSuchJob {
        /// The name that was perhaps meant.
        near: Option<String>,
    },
    /// init stops, and nothing starts any more.
    Ending,
    /// It cannot be done now.
    Refused {
        /// Why, and what to do.
        text: String,
    },
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
        /// From the command's start to its tree empty; zero if it never started. `None`: the run
        /// could not say so any more.
        ran: Option<Duration>,
    },
    /// The run has its guard.
    RunBegun {
        /// The job.
        job: JobIndex,
        /// The run.
        run: RunId,
    },
    /// The run says that it is ready (`READY=1`, `sd_notify(3)`).
    RunReady {
        /// The job.
        job: JobIndex,
        /// The run.
        run: RunId,
    },
    /// The run says how it stands (`STATUS=`, `sd_notify(3)`).
    RunStatus {
        /// The job.
        job: JobIndex,
        /// The run.
        run: RunId,
        /// Its words.
        text: String,
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
    /// A run that belongs to no job lives in this container.
    OutsideRun {
        /// Which.
        run: Outside,
    },
    /// It has gone.
    OutsideGone {
        /// The run, as in [`Event::OutsideRun`].
        run_id: String,
    },
    /// Somebody asks for something. Answered by one [`Action::Answer`], at once or later.
    Asked {
        /// Who.
        client: ClientId,
        /// What.
        ask: Ask,
    },
    /// The file was read again, and is valid.
    Reload {
        /// What it says now.
        plan: Plan,
    },
}

/// Everything that the table asks of the shell, to be done in this order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Start a guard with the plan that [`Table::plan`](super::Table::plan) gives. Answered at once
    /// by [`Event::RunBegun`] or [`Event::GuardFailed`], and the former later by [`Event::RunEnded`].
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
        /// cut to fit. Zero: KILL at once; `None`: the run has its own graces.
        within: Option<Duration>,
    },
    /// Answer this client, if it is still there.
    Answer {
        /// Who asked.
        client: ClientId,
        /// What came of it.
        answer: Answer,
    },
    /// Read the file again. Answered by [`Event::Reload`], or not at all where it is not valid.
    ReadFile,
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
