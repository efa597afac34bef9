//! Why a command is not started now, although nobody is in its way: a condition of its plan does not
//! hold, or there is a pause for all who use its login. The next start of the job asks again.

use std::path::PathBuf;
use std::time::Duration;

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
    /// A file with variables cannot be read or understood.
    File {
        /// The variable whose value it is; `None`: it is an `env_file`.
        variable: Option<String>,
        /// The file.
        path: PathBuf,
        /// Which of its lines, from 1 on.
        line: Option<u32>,
        /// Why, without a word of what stands there.
        why: String,
    },
    /// `require_free_memory`: there is less.
    Memory {
        /// What is asked for, in bytes.
        wanted: u64,
        /// What is free.
        free: u64,
        /// The control group that has no more; `None`: the machine.
        group: Option<PathBuf>,
    },
    /// `create_dirs`: a folder can neither be used nor made.
    NoFolder {
        /// The folder.
        path: PathBuf,
        /// What is in the way, and why.
        why: String,
    },
    /// The file system of this path has not answered in time.
    Silent {
        /// The path.
        path: PathBuf,
    },
    /// No batch run that uses the login starts until then.
    Paused {
        /// The lock that the pause lies beside.
        lock: PathBuf,
        /// When it ends, in milliseconds since 1970.
        until: u64,
        /// Since when it lasts, likewise.
        set: u64,
        /// How long that still is.
        left: Duration,
        /// Who set it, in words.
        by: String,
        /// What he said.
        said: String,
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
            | Self::File { .. }
            | Self::Memory { .. }
            | Self::NoFolder { .. }
            | Self::Silent { .. }
            | Self::NotAsked { .. } => Reason::StartRefused,
            Self::Paused { .. } => Reason::Paused,
        }
    }

    /// The key of the plan whose condition it is.
    pub const fn key(&self) -> Option<&'static str> {
        match self {
            Self::NoPath { .. } => Some("require_path"),
            Self::NoVariable { .. } => Some("require_env"),
            Self::File { variable: None, .. } => Some("env_file"),
            Self::File { .. } => Some("env"),
            Self::Memory { .. } => Some("require_free_memory"),
            Self::NoFolder { .. } => Some("create_dirs"),
            Self::Paused { .. } => Some("pause"),
            Self::Silent { .. } | Self::NotAsked { .. } => None,
        }
    }
}
