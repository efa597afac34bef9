//! Lock directories, which are swept while a lock is held.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long a new lock directory is watched: longer than its owner takes to refresh it.
pub const DEFAULT_REFRESH: Duration = Duration::from_secs(6);
/// After how long without a sign of life the owner of a lock directory is dead.
pub const DEFAULT_STALE_AFTER: Duration = Duration::from_mins(1);

/// Lock directories, which a killed agent leaves and the next one waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepPlan {
    /// The directories; never empty.
    pub dirs: Vec<PathBuf>,
    /// How long a new one is watched for a sign of life after the run.
    pub refresh: Duration,
    /// One without a sign of life for so long is dead; longer than `refresh`.
    pub stale_after: Duration,
    /// Whether all who use the login run under lockkeeper.
    pub exclusive: bool,
}

impl SweepPlan {
    /// The lock directories that Claude Code makes for the login in `identity`, as strace(1) shows
    /// (2.1.197): `.oauth_refresh.lock` in it, and an older one beside it; that of `.claude.json`,
    /// which lies in `$CLAUDE_CONFIG_DIR`, and without that variable beside `~/.claude`.
    pub fn dirs_of(identity: &Path) -> Vec<PathBuf> {
        let mut beside = identity.as_os_str().to_owned();
        beside.push(".lock");
        let mut dirs = vec![
            identity.join(".oauth_refresh.lock"),
            beside.into(),
            identity.join(".claude.json.lock"),
        ];
        // Beside a login of another name it is that of another login.
        if identity.ends_with(".claude") {
            dirs.push(identity.with_file_name(".claude.json.lock"));
        }
        dirs
    }
}
