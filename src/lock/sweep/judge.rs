//! Whether the owner of a lock directory lives: a pure function of what was seen, and when.

use std::time::Duration;

use crate::core::note::Dead;
use crate::core::time::Time;
use crate::sys::statx::Stamp;

/// The clocks may differ by this and still count as going alike: reading both takes time.
const ALIKE: Duration = Duration::from_secs(1);

/// An instant on both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// On the monotonic clock, which nobody sets.
    pub time: Time,
    /// On the wall clock, by which owners write: nanoseconds since 1970.
    pub wall: i64,
}

impl Moment {
    /// Whether the wall clock went as the monotonic one from `earlier` to here: nobody has set it,
    /// and the machine has not slept.
    pub fn is_steady_since(&self, earlier: &Self) -> bool {
        let wall = i128::from(self.wall) - i128::from(earlier.wall);
        let monotonic = i128::from(self.time.0) - i128::from(earlier.time.0);
        (wall - monotonic).unsigned_abs() <= ALIKE.as_nanos()
    }
}

/// A directory as it was before the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// What it was.
    pub stamp: Stamp,
    /// When that was so.
    pub at: Time,
}

/// What is to be done about a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its owner is dead.
    Dead(Dead),
    /// It is somebody else's.
    Owned,
    /// Nobody can know yet: watch it.
    Doubtful,
}

/// Judges a directory before the run: everything that is there is somebody else's, unless its time
/// says that he is dead.
///
/// `steady`: whether the wall clock can be believed.
pub fn before(now: &Stamp, moment: &Moment, steady: bool, stale_after: Duration) -> Verdict {
    by_its_time(now, moment, steady, stale_after).map_or(Verdict::Owned, Verdict::Dead)
}

/// Judges a directory after the run, when no process of it lives; `known` is what lay in its place
/// before.
pub fn after(
    known: Option<&Seen>,
    now: &Stamp,
    moment: &Moment,
    steady: bool,
    stale_after: Duration,
) -> Verdict {
    if let Some(dead) = by_its_time(now, moment, steady, stale_after) {
        return Verdict::Dead(dead);
    }
    let Some(known) = known.filter(|known| known.stamp.is_same(now)) else {
        return Verdict::Doubtful;
    };
    let unchanged = moment.time.since(known.at);
    if known.stamp == *now && unchanged >= stale_after {
        return Verdict::Dead(Dead::Stale(unchanged));
    }
    Verdict::Owned
}

/// Whether its owner let more than `stale_after` pass, or nobody's clock can have written this.
fn by_its_time(now: &Stamp, moment: &Moment, steady: bool, stale_after: Duration) -> Option<Dead> {
    if !steady {
        return None;
    }
    let age = age(now, moment);
    if age.past > stale_after {
        Some(Dead::Stale(age.past))
    } else if age.ahead > stale_after {
        Some(Dead::Ahead(age.ahead))
    } else {
        None
    }
}

/// How long ago a directory was refreshed; one of the two is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Age {
    pub(super) past: Duration,
    /// How far in the future that lies.
    pub(super) ahead: Duration,
}

pub(super) fn age(stamp: &Stamp, moment: &Moment) -> Age {
    let nanos = |from: i64, to: i64| {
        let nanos = i128::from(to) - i128::from(from);
        Duration::from_nanos(u64::try_from(nanos.max(0)).unwrap_or(u64::MAX))
    };
    Age {
        past: nanos(stamp.modified, moment.wall),
        ahead: nanos(moment.wall, stamp.modified),
    }
}

#[cfg(test)]
mod tests;
