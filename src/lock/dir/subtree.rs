//! Locks that cover the folders below: a parent's against a child's.
//!
//! Two directory locks conflict where one directory lies below the other and the *upper* lock says
//! `subtree`. There is no register of locks that both could look into, so each looks at the other's
//! record: the lower one at those above it, the upper one at all below it.
//!
//! Why of two that begin at once never both win: each writes its own record, and only then looks. A
//! lower one that saw no upper one's record had written its own before the upper one wrote that, and
//! so before the upper one looked. Where both see each other the lower one gives way: it lets go of
//! all that it has, and the upper one waits for that with its own record in place, so that nobody
//! new comes in. Who waits for a lock above himself holds nothing; so nobody waits in a circle.
//! (Where neither may wait, both may fail.)
//!
//! Folders in which nobody works ([`skip::DEFAULT`](crate::lock::scan::skip::DEFAULT)) are not looked
//! into from above; a lock inside one still respects those above itself.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::await_end::Until;
use super::claim::in_the_way;
use super::conflict::{Conflict, Kind};
use super::place::{Found, Place};
use super::record::DirRecord;
use crate::lock::scan::skip::Skip;
use crate::lock::scan::walk::walk;

/// A conflict, and what would be its end.
type Blocked = (Conflict, Until);

/// A lock above `dir` that covers it, and is not of the run `own`. Costs an open(2) for each folder
/// above.
pub(super) fn above(dir: &Path, own: Option<&str>, outer: &str) -> Option<Blocked> {
    dir.ancestors().skip(1).find_map(|upper| {
        let place = Place::existing(upper).ok()?;
        match place.read() {
            Found::Record(record, _) if record.subtree => look(place, dir, own, outer),
            _ => None,
        }
    })
}

/// A lock below `dir` that is not of the run `own`. Reads every folder below, in several threads.
pub(super) fn below(dir: &Path, own: Option<&str>, outer: &str) -> Option<Blocked> {
    let first = Mutex::new(None);
    let skip = Skip::new(true, &[]);
    // What cannot be read holds no lock that its owner could read either.
    let _ = walk(dir, &skip, &|found| {
        if found.path == dir || found.is_link {
            return;
        }
        let place = Place::existing(found.path).ok();
        if let Some(blocked) = place.and_then(|place| look(place, dir, own, outer)) {
            first
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get_or_insert(blocked);
        }
    });
    first.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// What stands at `place` against a lock of `dir`.
fn look(place: Place, dir: &Path, own: Option<&str>, outer: &str) -> Option<Blocked> {
    let latch = place.latch_to_ask();
    let found = place.read();
    // Asked after that: who lived when we read and is gone by now has removed his record.
    let held = place.latch_held();
    let (kind, record, until) = match found {
        // Taken this moment, and not yet said by whom: whoever does looks at us after that.
        Found::Nothing => return None,
        Found::Record(record, _) if own.is_some() && record.run_id.as_deref() == own => {
            return None;
        }
        Found::Record(_, stamp) if held == Some(false) && place.stamp() != Some(stamp) => {
            return None;
        }
        Found::Record(record, _)
            if record.is_ours() && !record.is_manual() && held != Some(false) =>
        {
            match (held, latch) {
                (Some(true), Some(latch)) => {
                    let kind = kind_of(&record, outer);
                    (kind, Some(record), Until::Other(latch))
                }
                _ => (
                    Kind::CannotTell(super::judge::Why::LatchUnknown),
                    Some(record),
                    Until::Never,
                ),
            }
        }
        found => in_the_way(found, &place)?,
    };
    let conflict = Conflict {
        dir: dir.to_owned(),
        at: place.dir().to_owned(),
        record,
        kind,
    };
    let until = match until {
        Until::Record(..) => Until::Elsewhere(Box::new((place, until))),
        other => other,
    };
    Some((conflict, until))
}

/// A run's lock, or that of one which we are a part of.
pub(super) fn kind_of(record: &DirRecord, outer: &str) -> Kind {
    let run_id = record.run_id.as_deref();
    let is_outer = run_id.is_some_and(|run| outer.split_whitespace().any(|id| id == run));
    if is_outer { Kind::Outer } else { Kind::Run }
}

#[cfg(test)]
mod tests;
