//! The directories that a run locks, and what their records say of it.
//!
//! The guard opens them before it forks the monitor, so that both own one open file description of
//! each latch, and a lock outlives either of them; the monitor takes and releases them.
//!
//! Invariant: sorted by real path and each directory once, in whatever order and by however many
//! names they were given. All runs take theirs in this order, so that no two wait for each other,
//! where they see the directories in the same places. Two mount namespaces in which the same two
//! directories are mounted in swapped order break that: two runs that want both may each wait with
//! one in hand, until `wait` is over. (An order of inodes would not break, and would bring circles with
//! the locks that cover the folders below: `crate::lock::dir::subtree`.)

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::claims::Owner;
use super::errand::Errand;
use crate::core::order;
use crate::lock::dir::claim::DirLock;
use crate::lock::dir::conflict::DirError;
use crate::lock::dir::record::{self, DirRecord};
use crate::lock::record::{Origin, State, start_time};
use crate::sys::clock;

/// How long the end of a run waits until its directories are given back: what is kept from us for the
/// second that each may take, or a file system that no longer answers, must not keep its exit code.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// The open directory locks of one run.
#[derive(Debug, Default)]
pub struct Dirs {
    locks: Vec<DirLock>,
}

impl Dirs {
    /// Opens the locks of the directories that the plan of `owner` names; `started_in` is the working
    /// directory of a command whose plan names none, where that is not our own.
    pub fn open(owner: Owner<'_>, started_in: Option<&Path>) -> Result<Self, DirError> {
        let plan = owner.plan;
        let here = || plan.dir.as_deref().or(started_in).unwrap_or(Path::new("."));
        let own = plan.dirs.own.then(here);
        let also = plan.dirs.also.iter().map(AsRef::as_ref);
        let mut locks = Vec::new();
        for dir in own.into_iter().chain(also) {
            let lock = DirLock::open(dir)?;
            let same = |other: &DirLock| {
                other.dir() == lock.dir()
                    || (lock.identity().is_some() && other.identity() == lock.identity())
            };
            if !locks.iter().any(same) {
                locks.push(lock);
            }
        }
        order::sort_by(&mut locks, |one, other| one.dir().cmp(other.dir()));
        Ok(Self { locks })
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.locks.is_empty()
    }

    /// Each lock, in the order of taking.
    pub fn locks(&self) -> &[DirLock] {
        &self.locks
    }

    /// Whether all latches still bear their names.
    pub fn are_current(&self) -> bool {
        self.locks.iter().all(DirLock::is_current)
    }

    /// Gives all back, in reverse: before new ones are opened in their place. What cannot be removed
    /// is dead, at least.
    pub fn release(&self) {
        for lock in self.locks.iter().rev() {
            let _ = lock.release();
        }
    }

    /// The same in a thread, awaited for [`PATIENCE`]; for the guard whose monitor has died. Whether all
    /// are given back; the rest is free and dead when the process has ended.
    pub fn release_in_time(self: Arc<Self>) -> bool {
        if self.is_empty() {
            return true;
        }
        let due = clock::now() + PATIENCE;
        let errand = Errand::start(move |_| self.release());
        errand.is_ok_and(|errand| errand.ends_by(due))
    }
}

/// What the records say of the run of `owner`, whose command is, or will be, the process `pid`.
pub fn record_of(owner: Owner<'_>, state: State, pid: i32) -> DirRecord {
    let origin = Origin::read();
    let plan = owner.plan;
    let hostname = nix::sys::utsname::uname()
        .map(|host| host.nodename().to_string_lossy().into_owned())
        .unwrap_or_default();
    let cwd = plan.dir.as_deref().unwrap_or(Path::new("."));
    let cwd = std::path::absolute(cwd).ok();
    DirRecord {
        pid,
        acquired_at: record::now(),
        hostname,
        start_time: start_time(pid),
        boot_id: origin.boot_id,
        pid_ns: origin.pid_ns,
        container: owner.container.map(str::to_owned),
        job: Some(plan.job.clone()),
        class: Some(plan.class.clone()),
        run_id: Some(owner.run_id.to_owned()),
        cwd: cwd.map(|cwd| cwd.to_string_lossy().into_owned()),
        state: Some(state),
        subtree: plan.dirs.subtree,
        ..DirRecord::default()
    }
}
