//! All that one run needs to know.

use std::ffi::OsString;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{
    Conditions, DirPlan, Identity, Kind, Limits, OutputPlan, ProcessPlan, PtyPlan, SignalMap,
    Stdin, StopPlan, shared_lock,
};

/// All that one run needs to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunPlan {
    /// The job's name; the command's base name where there is no file.
    pub job: String,
    /// The class's name, as users see it.
    pub class: String,
    /// Batch or interactive, and what goes with it.
    pub kind: Kind,
    /// The command and its arguments; never empty.
    pub command: Vec<OsString>,
    /// The working directory; `None`: the one that lockkeeper was started in.
    pub dir: Option<PathBuf>,
    /// The user to run as; `None`: ours.
    pub user: Option<String>,
    /// The group to run as; `None`: the user's own, or ours.
    pub group: Option<String>,
    /// Variables that are added to, or replace, those that we were started with.
    pub env: Vec<(String, String)>,
    /// Where standard input comes from.
    pub stdin: Stdin,
    /// A terminal of its own for the command.
    pub pty: Option<PtyPlan>,
    /// What the command is sent in a signal's place; one that is dropped the run does not hear either.
    pub signals: SignalMap,
    /// The watchdogs.
    pub limits: Limits,
    /// How the run is stopped; its signal is what `signals` says.
    pub stop: StopPlan,
    /// The folder whose tokens rotate, or the variable that holds a login of its own.
    pub identity: Option<Identity>,
    /// The directories that it locks.
    pub dirs: DirPlan,
    /// Where its output goes, and what must not be shown.
    pub output: OutputPlan,
    /// Whether somebody waits for its `READY=1` or shows its `STATUS=`.
    pub notify: bool,
    /// What must hold before it starts.
    pub conditions: Conditions,
    /// What its process is given.
    pub process: ProcessPlan,
}

impl RunPlan {
    /// [`shared_lock`] of its runs.
    pub fn shared_lock(&self) -> Option<PathBuf> {
        shared_lock(&self.kind, self.identity.as_ref())
    }

    /// Whether the command gets a `NOTIFY_SOCKET`: only where something is done with what it says.
    pub const fn listens(&self) -> bool {
        self.notify || self.limits.heartbeat.is_some() || self.limits.ready_timeout.is_some()
    }
}
