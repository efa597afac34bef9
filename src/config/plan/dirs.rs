//! The directories that a run locks.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Wait;

/// Which directories a run locks: each for one agent at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DirPlan {
    /// Whether its own working directory is one of them.
    pub own: bool,
    /// Others, or the only ones.
    pub also: Vec<PathBuf>,
    /// Whether a lock covers the folders below its directory.
    pub subtree: bool,
}

impl DirPlan {
    /// Whether it locks any directory.
    pub const fn any(&self) -> bool {
        self.own || !self.also.is_empty()
    }
}

/// What a run does where a directory that it wants is somebody else's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnConflict {
    /// It ends at once.
    Fail,
    /// It waits; the time is that for the shared lock, and both waits together have no more.
    Wait(Wait),
}
