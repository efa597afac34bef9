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
    /// This signal killed it, and the kernel wrote its memory down (core(5)).
    Dumped(i32),
}

impl Status {
    /// The code as a shell reports it.
    pub const fn code(self) -> u8 {
        match self {
            Self::Exited(code) => code,
            Self::Killed(signo) | Self::Dumped(signo) => exit::by_signal(signo),
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
    /// It was not ready within `ready_timeout`.
    ReadyTimeout,
    /// No sign of life for `heartbeat`, or it gave up on itself, or hung in its own end.
    Heartbeat,
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
    /// The lock, or a directory, was not obtained within `wait`.
    WaitExpired,
    /// A directory is somebody else's, and was not waited for; or it could not be locked.
    DirNotLocked,
    /// A condition of its start did not hold.
    StartRefused,
    /// There is a pause for all who use its login.
    Paused,
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
            Self::ReadyTimeout => "ready_timeout",
            Self::Heartbeat => "heartbeat",
            Self::Final { failed: false } => "final",
            Self::Final { failed: true } => "final_failed",
            Self::Signal(_) => "signal",
            Self::GuardLost => "guard_lost",
            Self::InitStop => "init_stop",
            Self::WaitExpired => "wait_expired",
            Self::DirNotLocked => "dir_not_locked",
            Self::StartRefused => "start_refused",
            Self::Paused => "paused",
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
    /// Resource limits.
    Limits,
    /// The nice value.
    Nice,
    /// `oom_score_adj`.
    OomScore,
    /// `no_new_privs`.
    NoNewPrivs,
    /// The control group.
    Group,
    /// execve(2) itself.
    Exec,
    /// Making a terminal of its own.
    Terminal,
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
    /// Time until the directories and the lock were ours.
    pub waited: Duration,
    /// Time from the last of them obtained to its release: the tree is empty, lock directories are swept.
    pub held: Duration,
    /// Time from the command's start to the tree empty.
    pub ran: Duration,
}

/// The exit code that follows from a reason and the command's own status.
pub const fn code(reason: Reason, status: Option<Status>) -> u8 {
    match (reason, status) {
        (Reason::Timeout | Reason::IdleTimeout | Reason::ReadyTimeout | Reason::Heartbeat, _) => {
            exit::WATCHDOG
        }
        (Reason::Final { failed: false }, _) => exit::OK,
        (Reason::Final { failed: true }, _) => exit::FINAL_FAILED,
        (Reason::WaitExpired | Reason::DirNotLocked | Reason::StartRefused | Reason::Paused, _) => {
            exit::NOT_OBTAINED
        }
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
        // ENOENT, ENXIO, EACCES, ENODEV: the container has none to give.
        SpawnStep::Terminal if matches!(errno, 2 | 6 | 13 | 19) => exit::CONFIG,
        SpawnStep::User
        | SpawnStep::Dir
        | SpawnStep::Limits
        | SpawnStep::Nice
        | SpawnStep::OomScore
        | SpawnStep::NoNewPrivs
        | SpawnStep::Group => exit::CONFIG,
        SpawnStep::Fork | SpawnStep::Stdio | SpawnStep::Session | SpawnStep::Terminal => {
            exit::FAILED
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn spawn_failed(step: SpawnStep, errno: i32) -> Reason {
        Reason::SpawnFailed { step, errno }
    }

    #[test]
    fn every_reason_has_one_code_for_each_status() {
        let (exited, killed) = (Some(Status::Exited(42)), Some(Status::Killed(9)));
        // The reason; its code where the command exited with 42, was killed by 9, never ran.
        for (reason, codes) in [
            (Reason::Ended, [42, 137, 125]),
            (Reason::Timeout, [124, 124, 124]),
            (Reason::IdleTimeout, [124, 124, 124]),
            (Reason::ReadyTimeout, [124, 124, 124]),
            (Reason::Heartbeat, [124, 124, 124]),
            (Reason::Final { failed: false }, [0, 0, 0]),
            (Reason::Final { failed: true }, [1, 1, 1]),
            (Reason::Signal(15), [42, 137, 143]),
            (Reason::Signal(2), [42, 137, 130]),
            (Reason::Signal(1), [42, 137, 129]),
            (Reason::GuardLost, [42, 137, 125]),
            (Reason::InitStop, [42, 137, 143]),
            (Reason::WaitExpired, [75, 75, 75]),
            (Reason::DirNotLocked, [75, 75, 75]),
            (Reason::StartRefused, [75, 75, 75]),
            (Reason::Paused, [75, 75, 75]),
            (spawn_failed(SpawnStep::Exec, 2), [127, 127, 127]),
            (spawn_failed(SpawnStep::Exec, 13), [126, 126, 126]),
            (spawn_failed(SpawnStep::Exec, 8), [126, 126, 126]),
            (spawn_failed(SpawnStep::User, 1), [78, 78, 78]),
            (spawn_failed(SpawnStep::Dir, 2), [78, 78, 78]),
            (spawn_failed(SpawnStep::Limits, 1), [78, 78, 78]),
            (spawn_failed(SpawnStep::Nice, 13), [78, 78, 78]),
            (spawn_failed(SpawnStep::OomScore, 13), [78, 78, 78]),
            (spawn_failed(SpawnStep::NoNewPrivs, 22), [78, 78, 78]),
            (spawn_failed(SpawnStep::Group, 13), [78, 78, 78]),
            (spawn_failed(SpawnStep::Fork, 11), [125, 125, 125]),
            (spawn_failed(SpawnStep::Stdio, 24), [125, 125, 125]),
            (spawn_failed(SpawnStep::Session, 1), [125, 125, 125]),
            (spawn_failed(SpawnStep::Terminal, 2), [78, 78, 78]),
            (spawn_failed(SpawnStep::Terminal, 28), [125, 125, 125]),
            (Reason::Failed, [125, 125, 125]),
        ] {
            let got = [exited, killed, None].map(|status| code(reason, status));
            assert_eq!(got, codes, "{reason:?}");
        }
    }

    #[test]
    fn a_commands_own_status_is_its_code_whatever_it_is() {
        for n in 0..=255 {
            assert_eq!(code(Reason::Ended, Some(Status::Exited(n))), n);
        }
        for signo in 1..=64_u8 {
            let signal = i32::from(signo);
            for status in [Status::Killed(signal), Status::Dumped(signal)] {
                assert_eq!(code(Reason::Ended, Some(status)), 128 + signo);
            }
        }
    }
}
