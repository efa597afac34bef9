//! A class, and how a job of it becomes a run.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{
    Conditions, DirPlan, Identity, Kind, Limits, OutputPlan, ProcessPlan, PtyPlan, RestartPlan,
    RunPlan, SignalMap, Stdin, StopPlan,
};

/// A class: what its jobs have in common, and all that a run without a job needs besides a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassPlan {
    /// Its name: `batch`, `interactive`, or one of the user's own.
    pub name: String,
    /// Batch or interactive, and what goes with it.
    pub kind: Kind,
    /// As in [`RunPlan`].
    pub dir: Option<PathBuf>,
    /// As in [`RunPlan`].
    pub user: Option<String>,
    /// As in [`RunPlan`].
    pub group: Option<String>,
    /// As in [`RunPlan`].
    pub env: Vec<(String, String)>,
    /// As in [`RunPlan`]; `None`: what suits the kind.
    pub stdin: Option<Stdin>,
    /// As in [`RunPlan`].
    pub pty: Option<PtyPlan>,
    /// As in [`RunPlan`].
    pub signals: SignalMap,
    /// As in [`RunPlan`].
    pub limits: Limits,
    /// As in [`RunPlan`].
    pub stop: StopPlan,
    /// As in [`RunPlan`].
    pub identity: Option<Identity>,
    /// As in [`RunPlan`].
    pub dirs: DirPlan,
    /// As in [`RunPlan`].
    pub output: OutputPlan,
    /// As in [`RunPlan`].
    pub notify: bool,
    /// As in [`super::JobPlan`].
    pub restart: RestartPlan,
    /// As in [`super::JobPlan`].
    pub max_parallel: Option<u64>,
    /// As in [`RunPlan`].
    pub conditions: Conditions,
    /// As in [`RunPlan`].
    pub process: ProcessPlan,
}

impl ClassPlan {
    /// A class of that kind in which nothing else is said.
    pub fn new(name: impl Into<String>, kind: Kind) -> Self {
        Self {
            name: name.into(),
            kind,
            dir: None,
            user: None,
            group: None,
            env: Vec::new(),
            stdin: None,
            pty: None,
            signals: SignalMap::default(),
            limits: Limits::default(),
            stop: StopPlan::default(),
            identity: None,
            dirs: DirPlan::default(),
            output: OutputPlan::default(),
            notify: false,
            restart: RestartPlan::NEVER,
            max_parallel: None,
            conditions: Conditions::default(),
            process: ProcessPlan::default(),
        }
    }

    /// Where standard input comes from.
    pub const fn stdin(&self) -> Stdin {
        match (self.stdin, self.pty, &self.kind) {
            (Some(stdin), ..) => stdin,
            (None, Some(_), _) => Stdin::Pty,
            (None, None, Kind::Interactive) => Stdin::Inherit,
            (None, None, Kind::Batch { .. }) => Stdin::Null,
        }
    }

    /// The plan of one run of this class.
    pub fn run(self, job: String, command: Vec<OsString>) -> RunPlan {
        let stdin = self.stdin();
        let signal = self.signals.of(self.stop.signal);
        let stop = StopPlan {
            signal: signal.unwrap_or(self.stop.signal),
            ..self.stop
        };
        RunPlan {
            job,
            class: self.name,
            kind: self.kind,
            command,
            dir: self.dir,
            user: self.user,
            group: self.group,
            env: self.env,
            stdin,
            pty: self.pty,
            signals: self.signals,
            limits: self.limits,
            stop,
            identity: self.identity,
            dirs: self.dirs,
            output: self.output,
            notify: self.notify,
            conditions: self.conditions,
            process: self.process,
        }
    }
}
