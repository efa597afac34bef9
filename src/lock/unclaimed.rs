//! Who holds a lock and leaves no claim, as flock(1) does: by the kernel's table, and by /proc what he calls
//! himself.
//!
//! Information for people, and never a reason to end anybody: a process gives itself its name, and its
//! number may be another's a moment later. What is read is bounded, and nothing of it waits: the kernel
//! prints it without asking a file system.
//!
//! Who took the lock may have ended and left it to whom he left its descriptor to, as in
//! `(flock 9; …) 9>lock`. In the first PID namespace the table has the dead one's number then, elsewhere
//! nothing; the living one is found by looking through all descriptors that we may see ([`Effort::All`]).

use std::fmt;
use std::path::Path;

use super::dir::in_use::{Reach, reach};
use super::kernel_table::{self, Place};
use super::record::{Origin, Plain, Record, State};
use crate::sys::{proc, process};

/// So many descriptors are looked at: some ten milliseconds.
const MOST: usize = 8192;

/// A process that holds a lock without a claim. Displayed, it is a part of a sentence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Holder {
    /// Its number here.
    pub pid: i32,
    /// Its name, of at most 15 bytes (`proc_pid_comm(5)`), as it gave it itself; `None`: not known.
    pub name: Option<String>,
    /// It took the lock, has ended or let go of it, and who has it now is not seen.
    pub has_left: bool,
}

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// The table, and the process that it names.
    Table,
    /// Everybody's descriptors too, where the table names nobody who has the lock.
    All,
}

/// Who holds `lock` without a claim, where none of the `living` says that he holds it. One at most,
/// but for a table that was read while the lock went from hand to hand.
pub fn look(lock: &Path, living: &[&Record], effort: Effort) -> Vec<Holder> {
    if living.iter().any(|record| record.holds()) {
        return Vec::new();
    }
    look_beside(lock, &monitors(living), effort)
}

/// The monitors of those that wait, as far as their numbers mean something here: who has just got the
/// lock from the queue has not said so yet.
pub fn monitors(living: &[&Record]) -> Vec<i32> {
    let here = Origin::read();
    let waiting = living
        .iter()
        .filter(|it| it.state == State::Waiting && it.shares_pids_with(&here));
    waiting.filter_map(|record| record.monitor).collect()
}

/// [`look`], where nobody says that he holds it, and those are the `monitors` of the waiting.
pub fn look_beside(lock: &Path, monitors: &[i32], effort: Effort) -> Vec<Holder> {
    let Some(place) = Place::of(lock).filter(|_| proc::is_ours()) else {
        return Vec::new();
    };
    let mut pids = kernel_table::holders(&place);
    if pids.is_empty() && effort == Effort::All {
        return heir(&place, monitors).into_iter().collect();
    }
    pids.retain(|pid| !monitors.contains(pid));
    let all = pids.into_iter().map(|pid| {
        let holder = named(pid, &place);
        let has_left = holder.has_left && effort == Effort::All;
        let heir = if has_left {
            heir(&place, monitors)
        } else {
            None
        };
        heir.unwrap_or(holder)
    });
    all.collect()
}

/// In words that fit behind "held by", for a lock that is held. `None`: there is nobody to name, and no
/// reason why he could not be seen.
pub fn words(lock: &Path, living: &[&Record], effort: Effort) -> Option<String> {
    let holder = look(lock, living, effort).into_iter().next();
    let unseen = || {
        (reach() != Reach::Machine).then(|| {
            "a process that leaves no claim (flock(1), or a run that has just begun) and cannot be seen from \
             here, as one of another container"
                .to_owned()
        })
    };
    holder.map(|holder| holder.in_full()).or_else(unseen)
}

impl Holder {
    /// Whether it holds the lock still.
    pub fn still_has(&self, lock: &Path) -> bool {
        let place = Place::of(lock);
        place.is_some_and(|place| {
            kernel_table::has(self.pid, &place, &mut { MOST }) == Some(true) && !self.has_left
        })
    }

    /// With what it lacks.
    pub fn in_full(&self) -> String {
        // The name says nothing for certain; but a run has the lock milliseconds before it has a record.
        let is_run = self.name.is_some() && self.name == proc::name(process::own_pid());
        if is_run {
            format!("{self}, which has not said yet what it runs")
        } else if self.has_left {
            format!("{self}, and leaves no claim")
        } else {
            format!("{self}, which leaves no claim")
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pid = self.pid;
        match &self.name {
            _ if self.has_left => {
                write!(
                    f,
                    "a process that has it from process {pid}, which has gone"
                )
            }
            Some(name) => write!(f, "process {pid} ({})", Plain(name)),
            None => write!(f, "process {pid}"),
        }
    }
}

/// The process that took the lock.
fn named(pid: i32, place: &Place) -> Holder {
    // Before: who has the lock afterwards had it under this name.
    let name = proc::name(pid);
    let has_left = kernel_table::has(pid, place, &mut { MOST }) == Some(false);
    Holder {
        pid,
        name: name.filter(|_| !has_left),
        has_left,
    }
}

/// The first process but us and the `monitors` with a descriptor that has the lock.
fn heir(place: &Place, monitors: &[i32]) -> Option<Holder> {
    let own = process::own_pid();
    let mut room = MOST;
    for pid in proc::all().filter(|pid| *pid != own && !monitors.contains(pid)) {
        room = room.checked_sub(1)?;
        let name = proc::name(pid);
        if kernel_table::has(pid, place, &mut room) == Some(true) {
            return Some(Holder {
                pid,
                name,
                has_left: false,
            });
        }
    }
    None
}
