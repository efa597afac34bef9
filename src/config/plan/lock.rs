//! Who takes turns with whom: the kind, the login, and the lock that follows from them.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{OnConflict, PausePlan, SweepPlan};

/// How long a batch run waits in the queue of its lock.
pub const DEFAULT_WAIT: Duration = Duration::from_mins(10);
/// The lock's name in the folder of an identity.
pub const LOCK_NAME: &str = "session.lock";

/// The two kinds of classes. Only one of them can name a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Somebody waits at it: it never opens, waits for or holds a shared lock.
    Interactive,
    /// It takes its turn on the lock, where one is named.
    Batch {
        /// The shared lock; `None` where the identity needs none (nothing rotates).
        lock: Option<LockPlan>,
        /// What it does where a directory is locked. An interactive kind can only fail.
        on_conflict: OnConflict,
    },
}

impl Kind {
    /// A batch kind that waits for directories as long as for its lock.
    pub fn batch(lock: Option<LockPlan>) -> Self {
        let wait = lock
            .as_ref()
            .map_or(Wait::AtMost(DEFAULT_WAIT), |lock| lock.wait);
        let on_conflict = OnConflict::Wait(wait);
        Self::Batch { lock, on_conflict }
    }

    /// What a run of this kind does where a directory is locked.
    pub const fn on_conflict(&self) -> OnConflict {
        match self {
            Self::Interactive => OnConflict::Fail,
            Self::Batch { on_conflict, .. } => *on_conflict,
        }
    }

    /// The word for it in files and in the journal.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Interactive => "interactive",
            Self::Batch { .. } => "batch",
        }
    }

    /// The shared lock, which only a batch kind can have.
    pub const fn lock(&self) -> Option<&LockPlan> {
        match self {
            Self::Interactive => None,
            Self::Batch { lock, .. } => lock.as_ref(),
        }
    }

    /// The lock directories to sweep, which only a run with a shared lock can have.
    pub fn sweep(&self) -> Option<&SweepPlan> {
        self.lock()?.sweep.as_ref()
    }
}

/// Which login the jobs of a class use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// A folder whose tokens rotate on use.
    Folder(PathBuf),
    /// A variable that holds a key or a long-lived token: nothing rotates.
    Env(String),
}

/// The lock beside which runs of such a class claim: their own, or else the one of their login, which
/// they pass.
pub fn shared_lock(kind: &Kind, identity: Option<&Identity>) -> Option<PathBuf> {
    let own = kind.lock().map(|lock| lock.path.clone());
    own.or_else(|| match identity? {
        Identity::Folder(folder) => Some(folder.join(LOCK_NAME)),
        Identity::Env(_) => None,
    })
}

/// A shared lock and how long to queue for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockPlan {
    /// The lock file; absolute in a plan.
    pub path: PathBuf,
    /// How much is asked of the place it lies in.
    pub shared_mount: SharedMount,
    /// The time in the queue.
    pub wait: Wait,
    /// What is swept before and after each run, while the lock is held; `None`: nothing.
    pub sweep: Option<SweepPlan>,
    /// What sets a pause for all who use the login; `None`: nothing does.
    pub pause: Option<PausePlan>,
}

/// How much is asked of the mount that a lock lies on (crate documentation, placement).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SharedMount {
    /// Refuse a lock that is private to this container; say so where it is private to this machine.
    Auto,
    /// Refuse whatever is not a mount of its own.
    Require,
    /// Ask nothing.
    Off,
}

/// The time that a run may spend in the queue of its lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wait {
    /// At most this long.
    AtMost(Duration),
    /// As long as it takes.
    Forever,
}
