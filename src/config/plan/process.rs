//! What a command's process is given: environment, limits, priorities, a control group.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Stands for no limit (`RLIM_INFINITY`, getrlimit(2)).
pub const UNLIMITED: u64 = u64::MAX;

/// The attributes of a command's process. What is absent is inherited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessPlan {
    /// Whether it finds nothing of our own environment but the variables in [`KEPT`].
    pub clear_env: bool,
    /// Files with variables, read when a run begins; a later one goes before an earlier one, and the
    /// plan's own variables before all.
    pub env_files: Vec<PathBuf>,
    /// Variables whose values are the contents of files, read when a run begins.
    pub env_from: Vec<(String, PathBuf)>,
    /// Resource limits.
    pub rlimits: Vec<Rlimit>,
    /// The file mode creation mask.
    pub umask: Option<u32>,
    /// The nice value.
    pub nice: Option<i32>,
    /// How soon the kernel kills it when memory runs out.
    pub oom_score_adj: Option<i32>,
    /// Whether no program that it executes gains privileges.
    pub no_new_privs: bool,
    /// The files of its control group and what is written into each; empty: none is made.
    pub cgroup: Vec<(String, String)>,
}

/// What `clear_env` leaves of our own environment.
pub const KEPT: &[&str] = &["PATH", "HOME", "USER", "LOGNAME", "TERM"];

impl ProcessPlan {
    /// Whether files must be read before it can start.
    pub const fn reads_files(&self) -> bool {
        !self.env_files.is_empty() || !self.env_from.is_empty()
    }
}

/// A resource limit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rlimit {
    /// Which: `nofile` for `RLIMIT_NOFILE`.
    pub name: String,
    /// The soft limit; `None`: as it is, or the hard one if that is lower.
    pub soft: Option<u64>,
    /// The hard limit; `None`: as it is.
    pub hard: Option<u64>,
}
