//! What a configuration means, whole and valid: the types that the rest of the program runs on.
//!
//! Rules that a type can carry stand in the type: an interactive class has no lock ([`Kind`]), a
//! lock without a file does not exist. A [`RunPlan`] is all that one run needs to know; init hands
//! it to the guard, so that a running run keeps its plan whatever happens to the file.

use serde::{Deserialize, Serialize};

mod class;
mod conditions;
mod dirs;
mod init;
mod job;
mod limits;
mod lock;
mod pause;
mod process;
mod restart;
mod run;
mod streams;
mod sweep;

pub use super::signals::SignalMap;
pub use class::ClassPlan;
pub use conditions::Conditions;
pub use dirs::{DirPlan, OnConflict};
pub use init::{DEFAULT_EVENT_TIMEOUT, DEFAULT_STOP_WITHIN, EventPlan, Format, InitPlan};
pub use job::{After, Every, JobPlan, Start, Want};
pub use limits::{
    DEFAULT_FINAL_GRACE, DEFAULT_GRACE, DEFAULT_LEFTOVER_GRACE, FinalLine, Limits, StopPlan,
};
pub use lock::{DEFAULT_WAIT, Identity, Kind, LOCK_NAME, LockPlan, SharedMount, Wait, shared_lock};
pub use pause::{DEFAULT_PAUSE, LONGEST_PAUSE, PausePlan};
pub use process::{KEPT, ProcessPlan, Rlimit, UNLIMITED};
pub use restart::{
    DEFAULT_MAX_DELAY, DEFAULT_RESET_AFTER, DEFAULT_RESTART_DELAY, RestartPlan, Then, When,
};
pub use run::RunPlan;
pub use streams::{LEAST_SECRET, OutputPlan, PtyPlan, Stdin};
pub use sweep::{DEFAULT_REFRESH, DEFAULT_STALE_AFTER, SweepPlan};

/// A whole configuration file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// The `[init]` table.
    pub init: InitPlan,
    /// The jobs, in the order of the file.
    pub jobs: Vec<JobPlan>,
}
