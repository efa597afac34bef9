//! How a run ended, and the exit code that follows from it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::exit;

/// What wait(2) says of a process that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It called `exit` with this code.
    Exited(u8),
    /// This signal killed it.
    Killed(i32),
}

impl Status {
    /// The code as a shell reports it.
    pub const fn code(self) -> u8 {
        match self {
            Self::Exited(code) => code,
            Self::Killed(signo) => exit::by_signal(signo),
        }
    }
}

/// Why a run ended. The first reason stands: what comes later in the same run does not replace it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The command ended by itself.
    Ended,
    /// `timeout` was over.
    Timeout,
    /// No output for `idle_timeout`.
    IdleTimeout,
    /// The final line was there, and `grace` was over.
    Final {
        /// Whether that line said that the result is a failure.
        failed: bool,
    },
    /// A signal asked for the stop.
    Signal(i32),
    /// The guard of this run died.
    GuardLost,
    /// The init that started this run asked for the stop, or died.
    InitStop,
    /// The lock was not obtained within `wait`.
    WaitExpired,
    /// The command could not be started, with the errno.
    SpawnFailed {
        /// At which step.
        step: SpawnStep,
        /// The error number of that step.
        errno: i32,
    },
    /// lockkeeper itself failed.
    Failed,
}

impl Reason {
    /// The word for it in the journal's `REASON` and in `--report`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Timeout => "timeout",
            Self::IdleTimeout => "idle_timeout",
            Self::Final { failed: false } => "final",
            Self::Final { failed: true } => "final_failed",
            Self::Signal(_) => "signal",
            Self::GuardLost => "guard_lost",
            Self::InitStop => "init_stop",
            Self::WaitExpired => "wait_expired",
            Self::SpawnFailed { .. } => "spawn_failed",
            Self::Failed => "failed",
        }
    }
}

/// The steps between fork and exec, in which a start can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SpawnStep {
    /// `fork(2)`: out of processes or memory.
    Fork,
    /// Opening `/dev/null`, making the pipes.
    Stdio,
    /// setsid(2), TIOCSCTTY.
    Session,
    /// The groups and the user.
    User,
    /// The working directory.
    Dir,
    /// execve(2) itself.
    Exec,
}

/// How a run ended: what the caller, the journal and `--report` are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The exit code of the run.
    pub code: u8,
    /// Why it ended.
    pub reason: Reason,
    /// What the command itself returned, where it ever started.
    pub status: Option<Status>,
    /// Time in the queue of the lock.
    pub waited: Duration,
    /// Time from the lock obtained to the tree empty.
    pub held: Duration,
    /// Time from the command's start to the tree empty.
    pub ran: Duration,
}

/// The exit code that follows from a reason and the command's own status.
pub const fn code(reason: Reason, status: Option<Status>) -> u8 {
    match (reason, status) {
        (Reason::Timeout | Reason::IdleTimeout, _) => exit::WATCHDOG,
        (Reason::Final { failed: false }, _) => exit::OK,
        (Reason::Final { failed: true }, _) => exit::FINAL_FAILED,
        (Reason::WaitExpired, _) => exit::NOT_OBTAINED,
        (Reason::SpawnFailed { step, errno }, _) => spawn_code(step, errno),
        (
            Reason::Ended | Reason::Signal(_) | Reason::GuardLost | Reason::InitStop,
            Some(status),
        ) => status.code(),
        (Reason::Signal(signo), None) => exit::by_signal(signo),
        (Reason::InitStop, None) => exit::by_signal(15),
        (Reason::Failed, _) | (Reason::Ended | Reason::GuardLost, None) => exit::FAILED,
    }
}

const fn spawn_code(step: SpawnStep, errno: i32) -> u8 {
    // ENOENT is 2 on every Linux architecture (errno(3)).
    match step {
        SpawnStep::Exec if errno == 2 => exit::NOT_FOUND,
        SpawnStep::Exec => exit::CANNOT_EXECUTE,
        SpawnStep::User | SpawnStep::Dir => exit::CONFIG,
        SpawnStep::Fork | SpawnStep::Stdio | SpawnStep::Session => exit::FAILED,
    }
}
