//! The shared locks: where they lie, whether they can be opened, whether locks there exclude anybody,
//! who holds them and who waits; and the lock directories that are swept while one is held.

use std::io;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat};

use super::report::{About, Level, LockState, Report, count};
use super::{folder_of, quoted};
use crate::config::plan::{ClassPlan, LockPlan, SharedMount};
use crate::core::shell::Command;
use crate::lock::folders::claims_folder;
use crate::lock::listing::queue;
use crate::lock::pause;
use crate::lock::placement::{self, Severity};
use crate::lock::probe::{Exclusion, probe_exclusion};
use crate::lock::record::{Named, Record, State, holder_text};
use crate::lock::shared::{Fault, OpenError, SharedLock};
use crate::lock::unclaimed::{self, Effort};

/// Checks each lock that a class names. A folder among `told` is missing, and that has been said.
pub(super) fn check(classes: &[ClassPlan], told: &[PathBuf], report: &mut Report) {
    let mut done: Vec<&LockPlan> = Vec::new();
    for lock in classes.iter().filter_map(|class| class.kind.lock()) {
        let is_same =
            |other: &&LockPlan| other.path == lock.path && other.shared_mount == lock.shared_mount;
        if done.iter().any(is_same) {
            continue;
        }
        done.push(lock);
        let users = classes
            .iter()
            .filter(|class| class.kind.lock().is_some_and(|other| is_same(&other)));
        let users = users.map(|class| class.name.clone()).collect();
        let is_told = told.contains(&folder_of(&lock.path));
        let mut state = one(lock, users, is_told, report);
        let sweeps = classes
            .iter()
            .filter(|class| class.kind.lock().is_some_and(|other| is_same(&other)));
        for class in sweeps {
            swept(class, &mut state, report);
        }
        report.locks.push(state);
    }
}

/// What the runs of `class` sweep.
fn swept(class: &ClassPlan, state: &mut LockState, report: &mut Report) {
    let Some(sweep) = class.kind.sweep() else {
        return;
    };
    let names: Vec<String> = sweep.dirs.iter().map(quoted).collect();
    let refresh = humantime::format_duration(sweep.refresh);
    let when = if sweep.exclusive {
        format!(
            "at once if nobody else uses the login, else after {refresh} without a sign of life"
        )
    } else {
        format!("after {refresh} without a sign of life")
    };
    let text = format!(
        "what a killed job of class `{}` leaves of these lock directories is removed {when}: {}",
        class.name,
        names.join(", ")
    );
    report.say(Level::Ok, About::Lock, &class.name, text);
    for dir in &sweep.dirs {
        let dir = dir.display().to_string();
        if !state.lock_dirs.contains(&dir) {
            state.lock_dirs.push(dir);
        }
    }
}

fn one(lock: &LockPlan, classes: Vec<String>, is_told: bool, report: &mut Report) -> LockState {
    let path = lock.path.as_path();
    let mut state = LockState {
        path: path.display().to_string(),
        classes,
        shared_mount: lock.shared_mount,
        placed: true,
        exists: path.symlink_metadata().is_ok(),
        excludes: None,
        holders: Vec::new(),
        waiting: Vec::new(),
        lock_dirs: Vec::new(),
    };
    if is_told {
        return state;
    }
    let mut say = |level, text: String| report.say(level, About::Lock, path, text);
    if folder_of(path).is_dir() {
        state.placed = placed(lock, &mut say);
    }
    let can_open = openable(path);
    if let Err(error) = &can_open {
        say(Level::Error, error.to_string());
    } else if state.placed {
        state.excludes = excludes(path, &mut say);
    }
    let listing = queue(&claims_folder(path));
    let living = listing.claims.into_iter().filter(|(_, alive)| *alive);
    let living = living.map(|(record, _)| record);
    let batch = living.filter(|record| record.holds() || record.state == State::Waiting);
    (state.waiting, state.holders) = batch.partition(|record| record.state == State::Waiting);
    if listing.ignored > 0 {
        let what = count(listing.ignored, "file");
        let folder = quoted(claims_folder(path));
        say(
            Level::Warning,
            format!("{what} in {folder} cannot be read as claims: who else waits is not known"),
        );
    }
    let pauses = pause::pauses(path);
    for pause in &pauses.active {
        let text = format!(
            "no batch run on {} starts {pause}; to end that: {}",
            quoted(path),
            Command::on("lockkeeper pause end", path)
        );
        say(Level::Warning, text);
    }
    for (name, why) in &pauses.ignored {
        let text = format!(
            "{} is no pause and stops nobody: {why}; to remove it: {}",
            quoted(pause::folder(path).join(name)),
            Command::on("lockkeeper pause end", path)
        );
        say(Level::Warning, text);
    }
    if can_open.is_ok() && state.placed {
        say(Level::Ok, users(path, &state));
    }
    state
}

/// Opens the lock where it exists; where it does not, sees whether a run could make it.
fn openable(path: &Path) -> Result<(), OpenError> {
    let wrong = |fault| OpenError {
        path: path.to_owned(),
        fault,
    };
    let folder = folder_of(path);
    let errno = |error: io::Error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
    match path.symlink_metadata().map_err(errno) {
        Ok(_) => return SharedLock::open(path).map(drop),
        Err(Errno::ENOENT) => {}
        Err(Errno::ENOTDIR) => return Err(wrong(Fault::NotAFolder)),
        Err(Errno::EACCES) => return Err(wrong(Fault::Denied)),
        Err(Errno::ELOOP) => return Err(wrong(Fault::Loop)),
        Err(Errno::ENAMETOOLONG) => return Err(wrong(Fault::NameTooLong)),
        Err(errno) => return Err(wrong(Fault::Other(errno))),
    }
    let needed = AccessFlags::W_OK | AccessFlags::X_OK;
    match faccessat(AT_FDCWD, &folder, needed, AtFlags::AT_EACCESS) {
        Ok(()) => Ok(()),
        Err(Errno::ENOENT) => Err(wrong(Fault::MissingFolder(folder))),
        Err(Errno::EROFS) => Err(wrong(Fault::ReadOnly)),
        Err(Errno::EACCES | Errno::EPERM) => Err(wrong(Fault::CreateDenied)),
        Err(errno) => Err(wrong(Fault::Other(errno))),
    }
}

fn placed(lock: &LockPlan, say: &mut impl FnMut(Level, String)) -> bool {
    let verdict = match placement::check(&lock.path, lock.shared_mount) {
        Ok(verdict) => verdict,
        Err(refusal) => {
            say(Level::Error, refusal.to_string());
            return false;
        }
    };
    if verdict.remarks.is_empty() {
        let path = quoted(&lock.path);
        let text = match lock.shared_mount {
            SharedMount::Off => format!(
                "the lock {path} may lie anywhere: shared_mount = \"off\" asks nothing of its place"
            ),
            SharedMount::Auto | SharedMount::Require => format!(
                "the lock {path} lies on a mount of its own: containers that mount the same \
                 folder share it"
            ),
        };
        say(Level::Ok, text);
    }
    for remark in verdict.remarks {
        let level = match remark.severity {
            Severity::Info => Level::Ok,
            Severity::Warning => Level::Warning,
        };
        say(level, remark.text);
    }
    true
}

fn excludes(path: &Path, say: &mut impl FnMut(Level, String)) -> Option<bool> {
    match probe_exclusion(&folder_of(path)) {
        Ok(Exclusion::Excludes) => Some(true),
        Ok(Exclusion::ExcludesNobody) => {
            say(
                Level::Error,
                format!(
                    "the lock {} would exclude nobody: tried out beside it, one lock was given \
                     to two; put it on a local file system",
                    quoted(path)
                ),
            );
            Some(false)
        }
        Err(error) => {
            say(Level::Warning, error.to_string());
            None
        }
    }
}

/// Who holds it and who waits, as far as claims and the kernel's table say: a plain flock(1) leaves no claim.
fn users(path: &Path, state: &LockState) -> String {
    let lock = format!("the lock {}", quoted(path));
    let claims = |records: &[Record]| -> Vec<(Record, bool)> {
        records
            .iter()
            .map(|record| (record.clone(), true))
            .collect()
    };
    let waiting: Vec<String> = state
        .waiting
        .iter()
        .map(|record| Named(record).to_string())
        .collect();
    let unclaimed = || {
        let living: Vec<&Record> = state.holders.iter().chain(&state.waiting).collect();
        let holder = unclaimed::look(path, &living, Effort::Table)
            .into_iter()
            .next()?;
        Some(holder.in_full())
    };
    let holder = holder_text(&claims(&state.holders), None, unclaimed);
    let mut text = match (holder, state.exists) {
        (Some(holder), _) => format!("{lock} is held by {holder}"),
        (None, _) if !waiting.is_empty() => {
            format!(
                "{lock} is held by a process that leaves no claim (flock(1), or a run that has just begun)"
            )
        }
        (None, true) => format!("{lock} can be opened, and no run claims it"),
        (None, false) => format!("{lock} does not exist yet: the first run makes it"),
    };
    if !waiting.is_empty() {
        text.push_str("; waiting, in this order: ");
        text.push_str(&waiting.join(", "));
    }
    text
}
