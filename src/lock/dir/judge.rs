//! Whether the owner of a directory lock's record lives, is dead, or cannot be judged from here.

use std::fmt;
use std::time::SystemTime;

use super::record::DirRecord;
use super::sessions::Sessions;
use crate::lock::record::Origin;

/// Whether an owner lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Its lock stands.
    Alive,
    /// Provably: its lock may be taken over or cleared away, once that is so under the kernel lock.
    Dead,
    /// Nobody can know it from here: its lock stands, and a person decides.
    CannotTell,
}

/// What a record is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether its owner lives.
    pub life: Life,
    /// Why that is so.
    pub why: Why,
}

/// Why a verdict is what it is. Displayed, it stands after the record's owner: "process 7 … because ".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Ours, and its latch is held.
    LatchHeld,
    /// Ours, and nobody holds its latch.
    LatchFree,
    /// Ours, and its latch cannot be asked.
    LatchUnknown,
    /// Held by hand.
    Manual,
    /// Nothing more is known.
    Unknown,
}

impl Verdict {
    /// Whether the owner lives and its session is gone: worth a person's look.
    pub fn is_orphaned(&self) -> bool {
        false
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LatchHeld => "its latch is held",
            Self::LatchFree => "nobody holds its latch",
            Self::LatchUnknown => "its latch cannot be asked",
            Self::Manual => "it is held by hand",
            Self::Unknown => "its owner cannot be judged from here",
        })
    }
}

/// Where we are: what makes the process numbers of a record comparable to ours.
#[derive(Clone, Debug, Default)]
pub struct Here {
    /// Our boot and our PID namespace.
    pub origin: Origin,
    /// Our host's name.
    pub hostname: String,
    /// Whether /proc is that of our own PID namespace.
    pub proc_is_ours: bool,
    /// When the machine started, by the clock of now.
    pub booted: Option<SystemTime>,
}

impl Here {
    /// Reads it all, in a handful of system calls: once per process.
    pub fn read() -> Self {
        Self {
            origin: Origin::read(),
            hostname: nix::sys::utsname::uname()
                .map(|host| host.nodename().to_string_lossy().into_owned())
                .unwrap_or_default(),
            proc_is_ours: crate::sys::proc::is_ours(),
            booted: None,
        }
    }
}

/// What `record` is worth. `latch_held`: what the latch beside it says, `None` where it cannot be
/// asked or is not there.
pub fn judge(
    record: &DirRecord,
    latch_held: Option<bool>,
    _here: &Here,
    _sessions: &Sessions,
) -> Verdict {
    let (life, why) = match (record.is_manual(), record.is_ours(), latch_held) {
        (true, _, _) => (Life::Alive, Why::Manual),
        (_, true, Some(true)) => (Life::Alive, Why::LatchHeld),
        (_, true, Some(false)) => (Life::Dead, Why::LatchFree),
        (_, true, None) => (Life::CannotTell, Why::LatchUnknown),
        _ => (Life::CannotTell, Why::Unknown),
    };
    Verdict { life, why }
}
