//! How long a run may take over what, and how it is stopped.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long a command gets between its stop signal and the next rung: a token refresh takes seconds.
pub const DEFAULT_GRACE: Duration = Duration::from_secs(15);
/// How long descendants that outlive their command get after their TERM.
pub const DEFAULT_LEFTOVER_GRACE: Duration = Duration::from_secs(1);
/// How long a command may take to go after its final line.
pub const DEFAULT_FINAL_GRACE: Duration = Duration::from_secs(30);

/// The watchdogs of a run. A limit that is absent never fires.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The longest a command may run, from its start.
    pub timeout: Option<Duration>,
    /// The longest it may be silent on both standard output and standard error.
    pub idle_timeout: Option<Duration>,
    /// The longest time between two signs of life (`WATCHDOG=1`, `sd_notify(3)`).
    pub heartbeat: Option<Duration>,
    /// The longest time from its start to `READY=1`.
    pub ready_timeout: Option<Duration>,
    /// The line after which it should go by itself.
    pub final_line: Option<FinalLine>,
}

/// A line on standard output that says: the result is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalLine {
    /// The text that the line contains; never empty.
    pub line: String,
    /// How long the command may take to go after it.
    pub grace: Duration,
    /// If the same line contains this text, the result is a failure.
    pub failed: Option<String>,
}

/// How a run is stopped: the rungs of the ladder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopPlan {
    /// The first signal; TERM where nothing else is said.
    pub signal: i32,
    /// How long the command has after it.
    pub grace: Duration,
    /// How long descendants have after their TERM.
    pub leftover_grace: Duration,
}

impl Default for StopPlan {
    fn default() -> Self {
        Self {
            signal: 15,
            grace: DEFAULT_GRACE,
            leftover_grace: DEFAULT_LEFTOVER_GRACE,
        }
    }
}
