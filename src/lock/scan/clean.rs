//! Removing the record of a dead owner, and of no other.
//!
//! Whoever writes a record, gastown's tools and ours alike, holds `agent.lock.flock` meanwhile. So
//! do we: under it the record is read and judged again, and what is still dead is removed. An owner of
//! ours who has just taken the latch and waits for that file to write his record is not disturbed:
//! the latch is asked and never taken, so that nobody is refused because somebody cleans.
//!
//! Invariants: a record is removed only if it is judged dead under the lock, and only if the name
//! still leads to the very file that was read. The latch and the flock file are never removed.

use std::fmt;
use std::fs::File;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::super::claim::FLAGS;
use super::super::dir::judge::{Life, judge};
use super::super::fault::Why;
use super::depth;
use super::look::{self, Content, Judge, Lock, RECORD, latch_held, named, read};
use super::walk::RUNTIME;

/// The file that gastown's tools hold while they read and write a record.
const FLOCK: &str = "agent.lock.flock";
/// As gastown creates it.
const FLOCK_MODE: Mode = Mode::from_bits_truncate(0o644);

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cleaned {
    /// It is removed.
    Removed,
    /// Somebody else removed it.
    Gone,
    /// It stands, because of this.
    Left(Left),
}

/// Why a record was left. Displayed, it is part of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// Somebody reads or writes it at this moment.
    Busy,
    /// It is another one by now, and not that of a dead owner.
    NotDead,
    /// Another directory lies there by now.
    Moved,
    /// A system call failed: what was tried, and what the kernel said.
    Kernel(&'static str, Errno),
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("somebody reads or writes it right now; try again"),
            Self::NotDead => f.write_str("it is no longer that of a dead owner"),
            Self::Moved => f.write_str("another directory lies there by now"),
            Self::Kernel(tried, errno) => write!(f, "{tried}: {}", Why(*errno)),
        }
    }
}

/// Removes the record of `lock` if its owner is dead.
pub fn clean(lock: &Lock, by: &Judge) -> Cleaned {
    match try_clean(lock, by) {
        Ok(cleaned) => cleaned,
        Err(left) => Cleaned::Left(left),
    }
}

fn try_clean(found: &Lock, by: &Judge) -> Result<Cleaned, Left> {
    let kernel = |tried| move |errno| Left::Kernel(tried, errno);
    let at = nix::fcntl::AT_FDCWD;
    let dir = openat(at, &found.dir, depth::FLAGS, Mode::empty())
        .map_err(kernel("its directory cannot be opened"))?;
    // A folder on the way to it may have become a link out of the root.
    let stat = fstat(&dir).map_err(kernel("its directory"))?;
    if look::identity(&stat) != found.identity {
        return Err(Left::Moved);
    }
    let runtime = openat(&dir, RUNTIME, depth::FLAGS, Mode::empty())
        .map_err(kernel("its .runtime cannot be opened"))?;
    // Held until the end, and freed by its close.
    let _flock = lock(&runtime)?;
    let (identity, record) = match read(&runtime) {
        Content::Nothing => return Ok(Cleaned::Gone),
        Content::Record(identity, Ok(record)) => (identity, record),
        _ => return Err(Left::NotDead),
    };
    let held = if record.is_ours() {
        latch_held(&runtime)
    } else {
        None
    };
    let verdict = judge(&record, held, &by.here, &by.sessions);
    if verdict.life != Life::Dead || record.is_manual() {
        return Err(Left::NotDead);
    }
    // A tool that knows of no lock may have put another record there since.
    if named(&runtime) != Some(identity) {
        return Err(Left::NotDead);
    }
    match unlinkat(&runtime, RECORD, UnlinkatFlags::NoRemoveDir) {
        Ok(()) => Ok(Cleaned::Removed),
        Err(Errno::ENOENT) => Ok(Cleaned::Gone),
        Err(errno) => Err(Left::Kernel("it cannot be removed", errno)),
    }
}

/// Takes gastown's lock, without waiting.
fn lock(runtime: &OwnedFd) -> Result<File, Left> {
    let flags = FLAGS | OFlag::O_RDWR;
    let flock = match openat(runtime, FLOCK, flags, Mode::empty()) {
        Err(Errno::ENOENT) => openat(runtime, FLOCK, flags | OFlag::O_CREAT, FLOCK_MODE),
        opened => opened,
    }
    .map_err(|errno| Left::Kernel("its agent.lock.flock cannot be opened", errno))?;
    let stat = fstat(&flock).map_err(|errno| Left::Kernel("its agent.lock.flock", errno))?;
    if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
        return Err(Left::Kernel(
            "its agent.lock.flock is no file",
            Errno::EINVAL,
        ));
    }
    let file = File::from(flock);
    match fs2::FileExt::try_lock_exclusive(&file) {
        Ok(()) => Ok(file),
        Err(error) if error.raw_os_error() == fs2::lock_contended_error().raw_os_error() => {
            Err(Left::Busy)
        }
        Err(error) => Err(Left::Kernel(
            "its agent.lock.flock cannot be locked",
            error.raw_os_error().map_or(Errno::EIO, Errno::from_raw),
        )),
    }
}
