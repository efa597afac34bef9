//! Reading the claims of others, and clearing away the dead.
//!
//! Invariants: reading disturbs nobody, never blocks and is bounded, whatever somebody put into the
//! folder; a record counts as alive only while the kernel says that its latch is held; only files
//! whose latch *we* hold are removed, and the latch last.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{Mode, SFlag, fstat, fstatat};

use super::claim::{FLAGS, MAX_RECORD, NO_FOLLOW, Names, remove, take_latch};
use super::folders::open_existing;
use super::latch::{self, Part};
use super::record::{Record, State};
use crate::core::order;

pub mod survey;

/// How many entries of a claims folder are looked at.
pub const MAX_ENTRIES: usize = 4096;

/// What lies in a claims folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Each record, and whether its owner lives; in the order of `since_unix_ms`.
    pub claims: Vec<(Record, bool)>,
    /// How many records were not believed: unreadable, too long, no JSON, of another run, of another user
    /// than the latch, or with a latch that we may not ask about.
    pub ignored: usize,
    /// Whether there were more than [`MAX_ENTRIES`] entries: the rest was not looked at.
    pub truncated: bool,
}

/// Reads all claims in `folder`. A folder that is missing or unreadable has none.
pub fn list(folder: &Path) -> Listing {
    list_by(folder, IS_HELD)
}

/// [`list`] for who asks after the lock that `folder` lies beside: who has the same login and another lock,
/// or none, counts as little as the dead.
pub fn queue(folder: &Path) -> Listing {
    list_by(folder, |latch| latch::is_held_whole(latch))
}

/// Whether a latch is held as somebody wants it to be.
type Asked = fn(&OwnedFd) -> Result<bool, Errno>;

const IS_HELD: Asked = |latch| latch::is_held(latch);

fn list_by(folder: &Path, asked: Asked) -> Listing {
    let mut listing = Listing::default();
    let Ok(dir) = open_existing(folder) else {
        return listing;
    };
    let Ok(entries) = std::fs::read_dir(folder) else {
        return listing;
    };
    for (number, entry) in entries.flatten().enumerate() {
        if number >= MAX_ENTRIES {
            listing.truncated = true;
            break;
        }
        let name = entry.file_name();
        let Some(run_id) = name.to_str().and_then(|name| name.strip_suffix(".json")) else {
            continue;
        };
        match Names::of(run_id).and_then(|names| read(&dir, &names, asked)) {
            Some(claim) => listing.claims.push(claim),
            None => listing.ignored += 1,
        }
    }
    order::sort_by(&mut listing.claims, |(a, _), (b, _)| {
        (a.since_unix_ms, &a.run_id).cmp(&(b.since_unix_ms, &b.run_id))
    });
    listing
}

/// The record of one run, if its owner lives. `None` also where that cannot be known.
pub fn lookup(folder: &Path, run_id: &str) -> Option<Record> {
    let names = Names::of(run_id)?;
    let dir = open_existing(folder).ok()?;
    match read(&dir, &names, IS_HELD)? {
        (record, true) => Some(record),
        _ => None,
    }
}

/// Whether the owner of this run's claim lives and takes turns on the lock that `folder` lies beside,
/// whatever its record says, or if it has none yet. `false` also where that cannot be known.
pub fn takes_turns(folder: &Path, run_id: &str) -> bool {
    let Some(names) = Names::of(run_id) else {
        return false;
    };
    open_existing(folder).is_ok_and(|dir| takes_turns_in(&dir, &names))
}

fn takes_turns_in(dir: &OwnedFd, names: &Names) -> bool {
    openat(dir, names.latch.as_str(), FLAGS, Mode::empty())
        .and_then(latch::is_held_whole)
        .unwrap_or(false)
}

/// Whether any run but `run_id` is at work on what `folder` is about: alive, and not waiting in the
/// queue. A run that has not said yet what it is counts, too. `None`: it cannot be known.
pub fn has_other_user(folder: &Path, run_id: &str) -> Option<bool> {
    let dir = open_existing(folder).ok()?;
    for (number, entry) in std::fs::read_dir(folder).ok()?.enumerate() {
        let name = entry.ok()?.file_name();
        if number >= MAX_ENTRIES {
            return None;
        }
        // The latch is there before the command, and the record after it.
        let other = name.to_str().and_then(|name| name.strip_suffix(".latch"));
        let Some(names) = other.filter(|other| *other != run_id).and_then(Names::of) else {
            continue;
        };
        if owner_lives(&dir, &names)? {
            let waits = |(record, _): &(Record, bool)| record.state == State::Waiting;
            // Who waits for this very lock waits as long as we hold it; who waits for another may have
            // it already, and not have said so yet.
            let turn = takes_turns_in(&dir, &names);
            if !(turn && read(&dir, &names, IS_HELD).as_ref().is_some_and(waits)) {
                return Some(true);
            }
        }
    }
    Some(false)
}

/// Waits in the kernel until the owner of this run's claim has gone, without a time limit: for a
/// thread of its own. Comes back at once where there is no such claim, or none that we may ask about.
pub fn await_end(folder: &Path, run_id: &str) {
    let Some(names) = Names::of(run_id) else {
        return;
    };
    let Ok(dir) = open_existing(folder) else {
        return;
    };
    if let Some(latch) = open_regular(&dir, &names.latch) {
        let _ = latch::await_free(&latch);
    }
}

/// Removes what dead owners left in `folder`, and returns how many claims that were. What is not
/// ours to remove stays, and nothing is said about it.
///
/// Worth its readdir where time does not matter: when a wait begins, when init starts, on demand.
pub fn clear_dead(folder: &Path) -> usize {
    let Ok(dir) = open_existing(folder) else {
        return 0;
    };
    let Ok(entries) = std::fs::read_dir(folder) else {
        return 0;
    };
    let names = entries.flatten().take(MAX_ENTRIES);
    let mut runs: Vec<String> = names
        .filter_map(|entry| Some(Names::of_file(entry.file_name().to_str()?)?.run_id))
        .collect();
    order::sort_by(&mut runs, Ord::cmp);
    runs.dedup();
    let runs = runs.iter().filter_map(|run_id| Names::of(run_id));
    runs.filter(|names| clear_one(&dir, names)).count()
}

fn clear_one(dir: &OwnedFd, names: &Names) -> bool {
    // Asked first, so that the living are not even opened for writing.
    if owner_lives(dir, names) != Some(false) {
        return false;
    }
    let Ok(_latch) = take_latch(dir, names, Part::Whole) else {
        return false;
    };
    let _ = remove(dir, &names.temporary);
    let _ = remove(dir, &names.record);
    if is_socket(dir, &names.run_id) {
        let _ = remove(dir, &names.run_id);
    }
    // Last: as long as the latch is there, whoever wants the name meets our lock on it.
    remove(dir, &names.latch).is_ok()
}

/// An init claims its control socket by the socket's own name.
fn is_socket(dir: &OwnedFd, name: &str) -> bool {
    let kind = |mode| SFlag::from_bits_truncate(mode) & SFlag::S_IFMT;
    let is_named = Path::new(name).extension().is_some_and(|end| end == "sock");
    is_named
        && fstatat(dir, name, NO_FOLLOW).is_ok_and(|stat| kind(stat.st_mode) == SFlag::S_IFSOCK)
}

/// The record first and its latch afterwards: an owner that is alive now was alive when we read.
fn read(dir: &OwnedFd, names: &Names, asked: Asked) -> Option<(Record, bool)> {
    let file = open_regular(dir, &names.record)?;
    let owner = file.metadata().ok()?.uid();
    // Room for a usual record, so that it takes two reads.
    let mut text = Vec::with_capacity(2048);
    let limit = u64::try_from(MAX_RECORD).ok()?;
    file.take(limit + 1).read_to_end(&mut text).ok()?;
    if text.len() > MAX_RECORD {
        return None;
    }
    let record: Record = serde_json::from_slice(&text).ok()?;
    let latch = held_by(dir, names, asked)?;
    // Who may write here may have been faster with a record than the run, which has its latch first.
    let is_own = latch.is_none_or(|user| user == owner);
    (is_own && record.run_id == names.run_id).then_some((record, latch.is_some()))
}

/// `None`: it cannot be known.
fn owner_lives(dir: &OwnedFd, names: &Names) -> Option<bool> {
    held_by(dir, names, IS_HELD).map(|user| user.is_some())
}

/// The user whose latch of this run is held; `Some(None)`: none is. `None`: it cannot be known.
#[expect(
    clippy::option_option,
    reason = "not to be known is not the same as nobody"
)]
fn held_by(dir: &OwnedFd, names: &Names, asked: Asked) -> Option<Option<u32>> {
    let latch = match openat(dir, names.latch.as_str(), FLAGS, Mode::empty()) {
        Ok(latch) => latch,
        Err(Errno::ENOENT) => return Some(None),
        Err(_) => return None,
    };
    if asked(&latch).ok()? {
        Some(Some(fstat(&latch).ok()?.st_uid))
    } else {
        Some(None)
    }
}

/// A FIFO opens at once with `O_NONBLOCK`, and a device is not read.
fn open_regular(dir: &OwnedFd, name: &str) -> Option<File> {
    let fd = openat(dir, name, FLAGS | OFlag::O_RDONLY, Mode::empty()).ok()?;
    let file = File::from(fd);
    file.metadata()
        .is_ok_and(|meta| meta.is_file())
        .then_some(file)
}

#[cfg(test)]
mod tests;
