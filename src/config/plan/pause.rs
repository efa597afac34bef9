//! A pause for all who use a login: what sets one, and whom it stops.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Identity, LOCK_NAME, RunPlan};

/// How long a pause lasts where nothing else is said.
pub const DEFAULT_PAUSE: Duration = Duration::from_hours(1);
/// The longest: what is still so then is said again by the first run after it.
pub const LONGEST_PAUSE: Duration = Duration::from_hours(24);

/// A line by which a command says that nobody who uses its login gets anything done for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PausePlan {
    /// The text that the line contains; never empty.
    pub line: String,
    /// How long the pause lasts; at most [`LONGEST_PAUSE`].
    pub length: Duration,
}

impl RunPlan {
    /// The locks beside which a pause stops a run of this plan: that of its login, and its own where
    /// that is another. The first is the one beside which it sets a pause itself, as nothing tells
    /// accounts apart so well. Without a lock, and so for an interactive run, there is none.
    pub fn pause_locks(&self) -> Vec<PathBuf> {
        let Some(own) = self.kind.lock() else {
            return Vec::new();
        };
        let of_login = match &self.identity {
            Some(Identity::Folder(folder)) => Some(folder.join(LOCK_NAME)),
            Some(Identity::Env(_)) | None => None,
        };
        let of_login = of_login.filter(|lock| *lock != own.path);
        of_login.into_iter().chain([own.path.clone()]).collect()
    }
}
