//! In which phase of its life a run is, read off what its monitor asks of the kernel and writes
//! into its event log. No hook in the program: what is killed is the program as it is shipped.

use lockkeeper::core::event::{Action, Event};
use lockkeeper::core::note::Note;
use lockkeeper::run::event_log::Entry;

/// A stretch of a run's life, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// From exec on: configuration, placement, opening the lock, the fork of the monitor.
    Starting,
    /// From the making of a claim's latch to its lock, and from that of its record's temporary file
    /// to the rename.
    Claim,
    /// In the queue of the lock.
    Waiting,
    /// The lock is held, the command not yet forked.
    Locked,
    /// The command is forked; the monitor has not said so yet.
    Spawning,
    /// The command runs, or is about to exec.
    Running,
    /// The first rung: the command was asked to stop.
    Stop,
    /// The second rung: every descendant was asked.
    Leftovers,
    /// The third rung.
    Kill,
    /// From the kernel's word that no child is left to the unlock.
    Empty,
    /// The lock is free again; the run reports and exits.
    Unlocked,
}

pub(crate) const PHASES: [Phase; 11] = [
    Phase::Starting,
    Phase::Claim,
    Phase::Waiting,
    Phase::Locked,
    Phase::Spawning,
    Phase::Running,
    Phase::Stop,
    Phase::Leftovers,
    Phase::Kill,
    Phase::Empty,
    Phase::Unlocked,
];

impl Phase {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Claim => "while a claim is written",
            Self::Waiting => "waiting",
            Self::Locked => "between lock and spawn",
            Self::Spawning => "between spawn and word of it",
            Self::Running => "running",
            Self::Stop => "rung 1: stop signal",
            Self::Leftovers => "rung 2: leftovers",
            Self::Kill => "rung 3: kill",
            Self::Empty => "between empty and unlock",
            Self::Unlocked => "after the unlock",
        }
    }

    /// Whether the claims of a run in this phase stand and say that it lives.
    pub(crate) fn is_claimed(self) -> bool {
        (Self::Waiting..=Self::Kill).contains(&self)
    }

    /// The phase after an entry of the event log was written.
    pub(crate) fn after(self, entry: &Entry) -> Self {
        let mut phase = match entry.event {
            Event::LockBusy => Self::Waiting,
            Event::LockGot => Self::Locked,
            Event::Forked { .. } => Self::Running,
            _ => self,
        };
        for action in &entry.actions {
            phase = match action {
                Action::Note(Note::Stopping { .. }) => Self::Stop,
                Action::Note(Note::Leftovers { .. }) => Self::Leftovers,
                Action::Note(Note::Killing) => Self::Kill,
                Action::Finish(_) => Self::Empty,
                _ => phase,
            };
        }
        phase
    }
}

/// A system call, as the tracer sees it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Call {
    pub(crate) number: i64,
    pub(crate) args: [u64; 6],
}

/// A part of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    Latch,
    Record,
}

/// Follows one process through its phases.
pub(crate) struct Tracker {
    phase: Phase,
    /// The phase to come back to when the claim is made or written, and what ends it.
    around: Option<(Phase, Written)>,
    recorded: bool,
    /// The command exists: no child left means an empty tree.
    forked: bool,
    polled: bool,
    call: Call,
    entry: Option<Entry>,
}

impl Tracker {
    pub(crate) fn new(phase: Phase) -> Self {
        Self {
            phase,
            around: None,
            recorded: false,
            forked: false,
            polled: false,
            call: Call::default(),
            entry: None,
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether the process has put a record into its claim.
    pub(crate) fn has_recorded(&self) -> bool {
        self.recorded
    }

    pub(crate) fn forked(&mut self) {
        self.forked = true;
        self.phase = Phase::Spawning;
    }

    /// A call begins; `memory` reads up to so many bytes of the process.
    pub(crate) fn enter(&mut self, call: Call, memory: impl Fn(u64, usize) -> Vec<u8>) {
        self.call = call;
        match call.number {
            libc::SYS_openat if self.around.is_none() => {
                let path = memory(call.args[1], 256);
                let path = path.split(|byte| *byte == 0).next().unwrap_or_default();
                let makes = call.args[2] & u64::from(libc::O_CREAT.unsigned_abs()) != 0;
                let part = match path {
                    path if path.ends_with(b".tmp") => Some(Written::Record),
                    path if path.ends_with(b".latch") => Some(Written::Latch),
                    _ => None,
                };
                if let Some(part) = part.filter(|_| makes) {
                    self.around = Some((self.phase, part));
                    self.phase = Phase::Claim;
                }
            }
            libc::SYS_write => {
                let length = usize::try_from(call.args[2]).unwrap_or(0).min(1 << 16);
                let text = memory(call.args[1], length);
                if text.starts_with(b"{\"at\":") {
                    self.entry = serde_json::from_slice(&text).ok();
                }
            }
            libc::SYS_fstat | libc::SYS_statx | libc::SYS_newfstatat
                if self.phase == Phase::Waiting && self.polled =>
            {
                self.phase = Phase::Locked;
            }
            #[cfg(target_arch = "x86_64")]
            libc::SYS_poll => self.polled |= self.phase == Phase::Waiting,
            libc::SYS_ppoll => self.polled |= self.phase == Phase::Waiting,
            _ => {}
        }
    }

    /// The call has come back with `result`, a negative error number where it failed.
    pub(crate) fn leave(&mut self, result: i64) {
        if let Some(entry) = self.entry.take() {
            self.phase = self.phase.after(&entry);
        }
        let part = match self.call.number {
            libc::SYS_renameat | libc::SYS_renameat2 => Some(Written::Record),
            libc::SYS_fcntl => Some(Written::Latch),
            _ => None,
        };
        if let Some((before, ends)) = self.around
            && part == Some(ends)
        {
            self.around = None;
            self.phase = before;
            self.recorded |= ends == Written::Record;
        }
        let exclusive = u64::from(libc::LOCK_EX.unsigned_abs() | libc::LOCK_NB.unsigned_abs());
        match (self.call.number, self.call.args[1]) {
            (libc::SYS_flock, how) if how == exclusive => {
                self.phase = if result == 0 {
                    Phase::Locked
                } else {
                    Phase::Waiting
                };
            }
            (libc::SYS_flock, how) if how == u64::from(libc::LOCK_UN.unsigned_abs()) => {
                self.phase = Phase::Unlocked;
            }
            (libc::SYS_wait4 | libc::SYS_waitid, _)
                if self.forked && result == -i64::from(libc::ECHILD) =>
            {
                self.phase = Phase::Empty;
            }
            _ => {}
        }
    }
}
