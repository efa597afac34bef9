//! The directory lock: one agent per working copy.
//!
//! The lock is the latch ([`crate::lock::latch`]): the kernel frees it when the last process that
//! shares its open file description is gone. The record beside it tells people and other tools who
//! has it, and a record of another tool is respected as long as its owner may live.
//!
//! State: the open place, the open latch, and the token that makes a record ours. Opened before the
//! fork, so that guard and monitor own one open file description; taken by the monitor.
//!
//! The steps of taking it, each of which a kill may follow:
//! 1. lock the latch, compare it with what bears its name: others may have cleared the folder away;
//! 2. under gastown's own lock, read the record and judge it: only a dead one is taken over;
//! 3. remove what dead takers left half written, write our record whole, in place of the dead one.
//!
//! Invariants:
//! - Nobody is asked by taking his latch; a record is replaced or removed only by who holds the
//!   latch, and only if it is his own or provably dead.
//! - Killed at any step, a taker leaves a latch that nobody holds and a record that is absent, the
//!   former one or his own: each is dead, and the next taker succeeds.
//! - A lock that cannot say whose it is, for want of room perhaps, is not taken: other tools see
//!   nothing but the record.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::await_end::Until;
use super::conflict::{Conflict, DirError, Doing, Kind};
use super::judge::{Here, Life, Why, judge};
use super::place::{Found, LATCH, Place};
use super::record::DirRecord;
use super::sessions::Sessions;
use super::{step, subtree};
use crate::lock::latch;
use crate::sys::pidfd::PidFd;
use crate::sys::{clock, poll, process};

/// A directory lock, open and perhaps ours. Dropping it only closes descriptors: the claim becomes a
/// dead one when the last process that shares them is gone. A run that ends in order calls
/// [`DirLock::release`].
#[derive(Debug)]
pub struct DirLock {
    place: Place,
    latch: OwnedFd,
    token: String,
}

/// Why a lock was not taken.
#[derive(Debug)]
pub enum Obstacle {
    /// Somebody else has it, and this would be the end of that. Where there is something to wait for
    /// the latch, if it is ours already, stays ours: who comes later is behind us.
    Conflict(Box<Conflict>, Until),
    /// The latch was removed or replaced: open the lock anew.
    Replaced,
    /// It could not be done; nothing is left of the attempt.
    Failed(DirError),
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict(conflict, _) => conflict.fmt(f),
            Self::Replaced => f.write_str("its latch was replaced; try again"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl DirLock {
    /// Opens the lock of `dir`, and makes its files where they are missing. Takes nothing.
    pub fn open(dir: &Path) -> Result<Self, DirError> {
        let place = Place::open(dir)?;
        let latch = place.open_latch()?;
        let token = process::random_hex::<16>();
        Ok(Self {
            place,
            latch,
            token,
        })
    }

    /// [`DirLock::open`] and [`DirLock::try_take`] in one.
    pub fn take(dir: &Path, record: &DirRecord) -> Result<Self, Obstacle> {
        loop {
            let lock = Self::open(dir).map_err(Obstacle::Failed)?;
            match lock.try_take(record, "") {
                Ok(_) => return Ok(lock),
                Err(Obstacle::Replaced) => {}
                Err(obstacle) => return Err(obstacle),
            }
        }
    }

    /// Takes the lock if it is free, and never waits; says whose dead claim it took over. `record`
    /// tells others of us; `outer` names the runs that we are a part of, with blanks in between.
    pub fn try_take(
        &self,
        record: &DirRecord,
        outer: &str,
    ) -> Result<Option<Box<DirRecord>>, Obstacle> {
        match latch::try_lock_beside_readers(&self.latch) {
            Ok(true) => {}
            Ok(false) => return Err(self.peer(outer)),
            Err(errno) => return Err(Obstacle::Failed(self.place.error(Doing::Locking, errno))),
        }
        step::point();
        if !self.is_current() {
            let _ = latch::unlock(&self.latch);
            return Err(Obstacle::Replaced);
        }
        let taken = self
            .take_record(record)
            .and_then(|former| self.look_around(record, outer).map(|()| former));
        let waits = matches!(&taken, Err(Obstacle::Conflict(conflict, _)) if conflict.may_end());
        if taken.is_err() && !waits {
            let _ = latch::unlock(&self.latch);
        }
        taken
    }

    /// The latch is ours; now the record.
    fn take_record(&self, record: &DirRecord) -> Result<Option<Box<DirRecord>>, Obstacle> {
        let _coordination = match self.place.coordinate() {
            Ok(coordination) => coordination,
            Err(error) if error.errno == Errno::EWOULDBLOCK => {
                return Err(self.conflict(Kind::Kept, None, Until::Coordination));
            }
            Err(error) => return Err(Obstacle::Failed(error)),
        };
        let found = self.place.read();
        let former = match &found {
            Found::Record(former, _) if !self.is_own(former) => Some(former.clone()),
            _ => None,
        };
        let is_own = former.is_none() && matches!(found, Found::Record(..));
        if !is_own && let Some((kind, record, until)) = in_the_way(found, &self.place) {
            return Err(self.conflict(kind, record, until));
        }
        self.place.clear_temporaries();
        self.place.ignore(&self.token);
        self.write(record).map_err(Obstacle::Failed)?;
        Ok(former)
    }

    /// Our record stands; now those above and below. Who meets a lock above gives way.
    fn look_around(&self, record: &DirRecord, outer: &str) -> Result<(), Obstacle> {
        let own = record.run_id.as_deref();
        if let Some((conflict, until)) = subtree::above(self.dir(), own, outer) {
            let _ = self.release();
            return Err(Obstacle::Conflict(Box::new(conflict), until));
        }
        if record.subtree
            && let Some((conflict, until)) = subtree::below(self.dir(), own, outer)
        {
            if !conflict.may_end() {
                let _ = self.release();
            }
            return Err(Obstacle::Conflict(Box::new(conflict), until));
        }
        Ok(())
    }

    /// Says something new. `false`: the record is no longer ours, as another tool has replaced it.
    ///
    /// # Errors
    /// The former record stands.
    pub fn update(&self, record: &DirRecord) -> Result<bool, DirError> {
        let _coordination = self.place.coordinate()?;
        match self.place.read() {
            Found::Record(there, _) if self.is_own(&there) => self.write(record).map(|()| true),
            _ => Ok(false),
        }
    }

    /// Gives the lock back, for every process that shares it. Removes the record only if it is ours;
    /// where the lock never was ours, this changes nothing.
    ///
    /// # Errors
    /// The record is left, and dead: the next taker takes it over.
    pub fn release(&self) -> Result<(), DirError> {
        let removed = self.place.coordinate().and_then(|_coordination| {
            self.place.remove_temporary(&self.token);
            match self.place.read() {
                Found::Record(there, _) if self.is_own(&there) => self.place.remove_record(),
                _ => Ok(()),
            }
        });
        let _ = latch::unlock(&self.latch);
        removed
    }

    /// Whether the latch's name still leads to what is open here.
    pub fn is_current(&self) -> bool {
        self.place.is_latch(&self.latch)
    }

    /// The directory, by its real path.
    pub fn dir(&self) -> &Path {
        self.place.dir()
    }

    /// The latch, by its path.
    pub fn latch_path(&self) -> PathBuf {
        self.place.folder_path().join(LATCH)
    }

    /// Device and inode of the directory.
    pub fn identity(&self) -> Option<(u64, u64)> {
        self.place.identity()
    }

    /// Waits until what was in the way may have ended, without a limit of time: for a thread of its
    /// own. Then try again.
    pub fn await_end(&self, until: &Until) -> Result<(), DirError> {
        until.wait(&self.place, &self.latch)
    }

    fn write(&self, record: &DirRecord) -> Result<(), DirError> {
        let mut record = record.clone();
        record.token = Some(self.token.clone());
        self.place.write(&record, &self.token)
    }

    fn is_own(&self, record: &DirRecord) -> bool {
        record.token.as_deref() == Some(self.token.as_str())
    }

    /// The run that holds the latch, as its record names it; or the person whose claim it waits for. Any
    /// other record is of somebody before it: it has not written its own yet.
    fn peer(&self, outer: &str) -> Obstacle {
        let record = match self.place.read() {
            Found::Record(record, _) if record.is_ours() || record.is_manual() => Some(record),
            _ => None,
        };
        let kind = record.as_ref().map_or(Kind::Run, |record| {
            if record.is_manual() {
                Kind::Manual
            } else {
                subtree::kind_of(record, outer)
            }
        });
        self.conflict(kind, record, Until::Latch)
    }

    fn conflict(&self, kind: Kind, record: Option<Box<DirRecord>>, until: Until) -> Obstacle {
        let conflict = Conflict {
            dir: self.dir().to_owned(),
            at: self.dir().to_owned(),
            record,
            kind,
        };
        Obstacle::Conflict(Box::new(conflict), until)
    }
}

/// What is in the way of a taker who finds this at `place`, and holds the latch or knows that nobody does;
/// `None`: nothing that lives.
pub(super) fn in_the_way(
    found: Found,
    place: &Place,
) -> Option<(Kind, Option<Box<DirRecord>>, Until)> {
    let kind = match found {
        Found::Nothing => return None,
        Found::Record(record, stamp) => {
            // Before it is judged: an end that comes after that is not missed.
            let process = to_await(record.pid);
            let (here, sessions) = (Here::read(), Sessions::new());
            let unsure = || place.is_unsure();
            let verdict = judge(&record, Some(false), &unsure, &here, &sessions);
            let kind = match verdict.life {
                Life::Dead => return None,
                Life::Alive if record.is_manual() => Kind::Manual,
                Life::Alive if verdict.why == Why::Unguarded => Kind::Unguarded,
                Life::Alive => Kind::Foreign(verdict.why),
                Life::CannotTell => Kind::CannotTell(verdict.why),
            };
            let process = process.filter(|_| kind != Kind::Manual);
            return Some((kind, Some(record), Until::Record(stamp, process)));
        }
        Found::Corrupt(corrupt) => Kind::Corrupt(corrupt),
        Found::NoFile(what) => Kind::NoFile(what),
        Found::Closed(errno) => Kind::Closed(errno),
    };
    Some((kind, None, Until::Never))
}

/// The process `pid`, if its end is to come. One that has ended and was not reaped yet would end each
/// wait at once, where its session lives.
fn to_await(pid: i32) -> Option<PidFd> {
    let process = PidFd::open(pid).ok()?;
    let [ended] = poll::wait([Some(process.as_fd())], Some(clock::now()));
    (!ended).then_some(process)
}

/// The latch: what guard and monitor share.
impl AsFd for DirLock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.latch.as_fd()
    }
}

#[cfg(test)]
mod tests;
