//! Directory locks by hand: a record that says so and needs no process.
//!
//! A manual claim is judged by its mark and not by the latch: it stands until it is released by
//! hand, over the end of every process and every reboot, and is never taken over. Latch and record
//! are locked while it is written, so that it falls on no living run.
//!
//! Its `pid` is 1, the process that lives as long as there is anybody to ask: gastown's reader,
//! which knows no marks, would take a claim without a process for a stale one.

use std::fmt;
use std::path::Path;

use nix::errno::Errno;

use super::claim::{DirLock, Obstacle};
use super::conflict::{Conflict, DirError, Doing, Kind};
use super::judge::{Here, Life, Verdict, judge};
use super::place::{Found, Place};
use super::record::{self, Corrupt, DirRecord};
use super::sessions::Sessions;
use crate::lock::latch;

/// Claims `dir` by hand, in the name of `by`, for `reason`; says what now stands there.
///
/// # Errors
/// Somebody has it, be it a run that waits for it; or it cannot be written. Nothing has changed then.
pub fn hold(dir: &Path, by: &str, reason: Option<&str>) -> Result<DirRecord, Obstacle> {
    let claim = DirRecord {
        pid: 1,
        acquired_at: record::now(),
        hostname: Here::read().hostname,
        cwd: Some(dir.to_string_lossy().into_owned()),
        by: Some(by.to_owned()),
        reason: reason.map(str::to_owned),
        ..DirRecord::default()
    };
    // Dropped at the end, which frees the latch and leaves the record.
    let _lock = DirLock::take(dir, &claim)?;
    Ok(claim)
}

/// What [`release`] removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Released {
    /// A person's claim.
    Manual(Box<DirRecord>),
    /// A claim whose owner is dead.
    Dead(Box<DirRecord>),
    /// By force: a record whose owner is not known to be dead, another tool's or one that cannot be
    /// judged from here, and what was known of its owner.
    Foreign(Box<DirRecord>, Verdict),
    /// By force: a file that is no record.
    Corrupt(Corrupt),
    /// By force: something that is no file, or that we may not read: "a symbolic link", …
    NoRecord(&'static str),
}

/// Why [`release`] removed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody has locked the directory.
    NotLocked,
    /// It is a living run's, or what it is needs `--force`: as the conflict says.
    Conflict(Box<Conflict>),
    /// It could not be done.
    Failed(DirError),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotLocked => f.write_str("nobody has locked it"),
            Self::Conflict(conflict) => conflict.fmt(f),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

/// Gives `dir` back: a person's claim, and one whose owner is dead. With `force` also a record of
/// another tool, one that cannot be judged from here, or a file that is no record; never the claim of
/// a living run or of what is left of one, which is to be stopped
/// instead.
pub fn release(dir: &Path, force: bool) -> Result<Released, Refusal> {
    let place = match Place::existing(dir) {
        Ok(place) => place,
        Err(DirError {
            doing: Doing::Folder,
            errno: Errno::ENOENT,
            ..
        }) => return Err(Refusal::NotLocked),
        Err(error) => return Err(Refusal::Failed(error)),
    };
    // A run that waits for the end of a manual claim holds the latch meanwhile, and writes nothing
    // before the claim is gone; a dead run's record is removed only with its latch in our hands.
    let mut latch = None;
    let _coordination = place.coordinate().map_err(Refusal::Failed)?;
    let conflict = |kind, record| {
        let (dir, at) = (place.dir().to_owned(), place.dir().to_owned());
        Err(Refusal::Conflict(Box::new(Conflict {
            dir,
            at,
            record,
            kind,
        })))
    };
    let worth = |record: &DirRecord, latch_held| {
        let unsure = || place.is_unsure();
        judge(record, latch_held, &unsure, &Here::read(), &Sessions::new())
    };
    let released = match place.read() {
        Found::Nothing if place.latch_held() == Some(true) => return conflict(Kind::Run, None),
        Found::Nothing => return Err(Refusal::NotLocked),
        Found::Record(record, _) if record.is_manual() => Released::Manual(record),
        Found::Record(record, _) if record.is_ours() => {
            let open = place.open_latch().map_err(Refusal::Failed)?;
            match latch::try_lock_beside_readers(&open) {
                Ok(true) if place.is_latch(&open) => latch = Some(open),
                Ok(true) => return Err(Refusal::Failed(place.error(Doing::Latch, Errno::EBUSY))),
                Ok(false) => return conflict(Kind::Run, Some(record)),
                Err(errno) => return Err(Refusal::Failed(place.error(Doing::Locking, errno))),
            }
            let verdict = worth(&record, Some(false));
            match verdict.life {
                Life::Dead => Released::Dead(record),
                Life::CannotTell if force => Released::Foreign(record, verdict),
                Life::CannotTell => return conflict(Kind::CannotTell(verdict.why), Some(record)),
                Life::Alive => return conflict(Kind::Unguarded, Some(record)),
            }
        }
        Found::Record(record, _) => {
            let verdict = worth(&record, None);
            match verdict.life {
                Life::Dead => Released::Dead(record),
                _ if force => Released::Foreign(record, verdict),
                Life::Alive => return conflict(Kind::Foreign(verdict.why), Some(record)),
                Life::CannotTell => return conflict(Kind::CannotTell(verdict.why), Some(record)),
            }
        }
        Found::Corrupt(corrupt) if force => Released::Corrupt(corrupt),
        Found::Corrupt(corrupt) => return conflict(Kind::Corrupt(corrupt), None),
        Found::NoFile(what) if force => Released::NoRecord(what),
        Found::NoFile(what) => return conflict(Kind::NoFile(what), None),
        Found::Closed(_) if force => Released::NoRecord("a file that we may not read"),
        Found::Closed(errno) => return conflict(Kind::Closed(errno), None),
    };
    let removed = place.remove_record();
    drop(latch);
    removed.map(|()| released).map_err(Refusal::Failed)
}

#[cfg(test)]
mod tests;
