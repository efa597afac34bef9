//! Why a command is not started now, although nobody is in its way: a condition of its plan does not
//! hold. The next start of the job asks again.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::outcome::Reason;

/// What does not hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// `require_path`: it is not there, or nobody can see it.
    NoPath {
        /// The path.
        path: PathBuf,
        /// The error number.
        errno: i32,
    },
    /// `require_env`: the command would find this variable empty, or not at all.
    NoVariable {
        /// Its name.
        name: String,
    },
    /// The file system of this path has not answered in time.
    Silent {
        /// The path.
        path: PathBuf,
    },
    /// Nobody could be asked.
    NotAsked {
        /// The error number.
        errno: i32,
    },
}

impl Refusal {
    /// The reason for which the run is over.
    pub const fn reason(&self) -> Reason {
        match self {
            Self::NoPath { .. }
            | Self::NoVariable { .. }
            | Self::Silent { .. }
            | Self::NotAsked { .. } => Reason::StartRefused,
        }
    }

    /// The key of the plan whose condition it is.
    pub const fn key(&self) -> Option<&'static str> {
        match self {
            Self::NoPath { .. } => Some("require_path"),
            Self::NoVariable { .. } => Some("require_env"),
            Self::Silent { .. } | Self::NotAsked { .. } => None,
        }
    }
}
