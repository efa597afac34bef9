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

use super::super::dir::conflict::DirError;
use super::super::dir::judge::{Life, judge};
use super::super::dir::place::{Found, Place};
use super::look::{Judge, Lock};

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
    /// It is another one by now, and not that of a dead owner.
    NotDead,
    /// Another directory lies there by now.
    Moved,
    /// It could not be done.
    Failed(DirError),
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotDead => f.write_str("it is no longer that of a dead owner"),
            Self::Moved => f.write_str("another directory lies there by now"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

/// Removes the record of `found` if its owner is dead: as it is now, whatever was found.
pub fn clean(found: &Lock) -> Cleaned {
    match try_clean(found) {
        Ok(cleaned) => cleaned,
        Err(left) => Cleaned::Left(left),
    }
}

fn try_clean(found: &Lock) -> Result<Cleaned, Left> {
    let place = Place::existing(&found.dir).map_err(Left::Failed)?;
    // A folder on the way to it may have become a link out of the root.
    if place.identity() != Some(found.identity) {
        return Err(Left::Moved);
    }
    let _coordination = place.coordinate().map_err(Left::Failed)?;
    let (record, stamp) = match place.read() {
        Found::Nothing => return Ok(Cleaned::Gone),
        Found::Record(record, stamp) => (record, stamp),
        _ => return Err(Left::NotDead),
    };
    // Nothing that was known before: a session may have begun since.
    let by = Judge::new();
    let verdict = judge(
        &record,
        place.latch_held(),
        &|| place.is_unsure(),
        &by.here,
        &by.sessions,
    );
    // A tool that knows of no lock may have put another record there since.
    if verdict.life != Life::Dead || record.is_manual() || place.stamp() != Some(stamp) {
        return Err(Left::NotDead);
    }
    place.remove_record().map_err(Left::Failed)?;
    Ok(Cleaned::Removed)
}
