//! Whether, when and how often a job starts again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The time from a failure to the first restart.
pub const DEFAULT_RESTART_DELAY: Duration = Duration::from_secs(1);
/// The longest time to a restart.
pub const DEFAULT_MAX_DELAY: Duration = Duration::from_mins(5);
/// How long a command must have run for its failure to be a new one.
pub const DEFAULT_RESET_AFTER: Duration = Duration::from_mins(1);

/// Whether, when and how often a job starts again that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartPlan {
    /// After which ends.
    pub when: When,
    /// The time to the first restart in a row; it doubles with each one.
    pub delay: Duration,
    /// What it doubles up to.
    pub max_delay: Duration,
    /// A command that ran for so long was a good one, as one that succeeded: the row begins anew.
    pub reset_after: Duration,
    /// How many restarts there are; `None`: as many as it takes.
    pub limit: Option<u64>,
    /// The time in which they are counted; `None`: those in a row.
    pub within: Option<Duration>,
    /// What follows when there are no more.
    pub then: Then,
}

impl RestartPlan {
    /// No restart; the numbers hold where only `when` is said.
    pub const NEVER: Self = Self {
        when: When::Never,
        delay: DEFAULT_RESTART_DELAY,
        max_delay: DEFAULT_MAX_DELAY,
        reset_after: DEFAULT_RESET_AFTER,
        limit: None,
        within: None,
        then: Then::GiveUp,
    };
}

/// After which ends a job starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// After none.
    Never,
    /// When the exit code is not 0.
    OnFailure,
    /// After each; a job with a rate only when it failed, as its next tick is its next start.
    Always,
}

impl When {
    /// The words for it.
    pub const WORDS: &'static [&'static str] = &["never", "on-failure", "always"];

    /// What `word` means; `None`: it is none of [`Self::WORDS`].
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "never" => Some(Self::Never),
            "on-failure" => Some(Self::OnFailure),
            "always" => Some(Self::Always),
            _ => None,
        }
    }
}

/// What follows when a job has used up its restarts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    /// It has failed; the others go on.
    GiveUp,
    /// init stops all, and its exit code is that of the job.
    Exit,
}
