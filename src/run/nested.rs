//! A run inside a run: whether one that we are a part of holds the shared lock for us.
//!
//! The environment names the runs round us, and who copies it, by an env file or through a server
//! that was started elsewhere, names them as well. So a run counts only if all of this is true:
//!
//! 1. its latch beside *this* lock is held, so it lives, and held whole, so it takes turns on this lock
//!    and does not only use the login there ([`crate::lock::latch::Part`]); as it has started what
//!    started us, it has the lock;
//! 2. its monitor is our parent or above it. Whatever a run starts stays below its monitor, a
//!    subreaper, also when what was in between has ended. So a true nested run is never taken for a
//!    stranger, which would wait for itself.
//!
//! Where 2 cannot be judged, 1 alone counts, as waiting for oneself is certain harm and a copied
//! environment rare: no record yet (it is written when the command has run for two milliseconds, and only
//! who is as quick as that can miss it), another PID namespace than the monitor's (a sandbox of the job's, a
//! container that it starts), a /proc that is hidden or foreign. A monitor that was killed is above
//! nobody: its guard is ending the run, and who is left of it may queue until it is ended.
//!
//! A run that could write no claim has none that counts. So where runs are named and none counts, the
//! kernel's table of locks is asked: a monitor above us that holds the lock holds it for us.

use std::path::Path;

use super::claims::ancestors;
use crate::core::note::Note;
use crate::lock::folders::claims_folder;
use crate::lock::kernel_table::{self, Place};
use crate::lock::listing::{lookup, takes_turns};
use crate::lock::record::{Origin, Record, State};
use crate::sys::proc;

/// What we are to a run that the environment names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// A part of it, as far as can be known, and it holds the lock.
    Part,
    /// It holds the lock, and we are no part of it.
    Stranger,
    /// It does not hold this lock.
    Nothing,
}

/// Whether a run that we are a part of holds `lock` for us; with what there is to say of that.
///
/// Not only the innermost counts: between it and us may be a run without a lock, or with another.
pub fn passes(lock: &Path, notes: &mut Vec<Note>) -> bool {
    let folder = claims_folder(lock);
    let lock = lock.to_owned();
    for run in ancestors().split_whitespace().rev() {
        let run_id = run.to_owned();
        match standing(&folder, run) {
            Standing::Nothing => {}
            Standing::Part => {
                notes.push(Note::Nested {
                    lock,
                    holder: run_id,
                });
                return true;
            }
            Standing::Stranger => notes.push(Note::NotNested {
                lock: lock.clone(),
                holder: run_id,
            }),
        }
    }
    let above = above_without_claim(&lock);
    if let Some(pid) = above {
        notes.push(Note::Nested {
            lock,
            holder: format!("of process {pid}"),
        });
    }
    above.is_some()
}

/// The monitor above us that holds `lock`; asked only where the environment names a run. Anybody may
/// read what a process is called, and only its own user what it executes.
fn above_without_claim(lock: &Path) -> Option<i32> {
    if ancestors().is_empty() {
        return None;
    }
    let name = |pid: &str| std::fs::read(format!("/proc/{pid}/comm")).ok();
    let own = name("self")?;
    let is_monitor = |pid: i32| name(&pid.to_string()).is_some_and(|name| name == own);
    let mut holders = kernel_table::holders(&Place::of(lock)?).into_iter();
    holders.find(|pid| is_monitor(*pid) && proc::is_above_us(*pid) == Some(true))
}

fn standing(folder: &Path, run_id: &str) -> Standing {
    if !takes_turns(folder, run_id) {
        return Standing::Nothing;
    }
    match lookup(folder, run_id) {
        Some(record) if is_above(&record) == Some(false) => Standing::Stranger,
        _ => Standing::Part,
    }
}

/// Whether the monitor of `record` is above us; `None`: nobody can tell from here. What the run wrote
/// while it waited may be from an earlier monitor, of the lock file that was replaced.
fn is_above(record: &Record) -> Option<bool> {
    let monitor = record.monitor.filter(|_| record.state == State::Running)?;
    if record.shares_pids_with(&Origin::read()) {
        proc::is_above_us(monitor)
    } else {
        None
    }
}
