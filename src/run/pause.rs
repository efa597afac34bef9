//! The pauses of a run: whether one keeps it from starting, and the one that it sets itself.
//!
//! Asked in the monitor's own thread, where its claims are written too, and not in that of the
//! conditions: the folder is the one in which the guard has just taken the run's latch, and where no
//! pause was ever set the answer is one system call. A thread for each batch run would cost more than
//! all else that happens between the lock and the command.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;

use super::claims::Owner;
use crate::config::plan::RunPlan;
use crate::core::note::Note;
use crate::core::pause::end;
use crate::core::refusal::Refusal;
use crate::lock::pause::{self, Pause, Pauses, Setter};
use crate::sys::clock;
use crate::trouble;

/// How many entries that are no pauses are named.
const NAMED: usize = 3;

/// The pause that keeps a run of `plan` from starting, the longest of them. What lies there and is none
/// goes into `notes`.
pub fn of(plan: &RunPlan, notes: &mut Vec<Note>) -> Option<Refusal> {
    let found = plan.pause_locks().into_iter().filter_map(|lock| {
        let pauses = pause::pauses(&lock);
        pause::tidy(&lock, &pauses);
        notes.extend(ignored(&lock, &pauses));
        let longest = pauses.active.into_iter().next()?;
        Some((longest, lock))
    });
    let (longest, lock) = found.max_by_key(|(pause, _)| pause.until)?;
    Some(Refusal::Paused {
        lock,
        until: longest.until,
        set: longest.set,
        left: longest.left(),
        by: Setter(&longest).to_string(),
        said: longest.said,
    })
}

fn ignored<'a>(lock: &'a Path, pauses: &'a Pauses) -> impl Iterator<Item = Note> + 'a {
    let named = pauses.ignored.iter().take(NAMED);
    named.map(|(name, why)| Note::PauseIgnored {
        lock: lock.to_owned(),
        path: pause::folder(lock).join(name),
        why: (*why).to_owned(),
    })
}

/// The pause that a run has set.
#[derive(Debug)]
pub struct Own {
    lock: PathBuf,
    name: String,
}

impl Own {
    /// Sets a pause in the place of `former`, as a run has one, and says what to note. Where that fails
    /// the former one stands.
    pub fn set(
        owner: Owner<'_>,
        length: Duration,
        said: String,
        former: Option<Self>,
    ) -> (Option<Self>, Note) {
        let lock = owner.plan.pause_locks().into_iter().next();
        let lock = lock.unwrap_or_default();
        let now = clock::unix_ms();
        let record = Pause {
            until: end(now, length),
            set: now,
            by: owner.plan.job.clone(),
            class: Some(owner.plan.class.clone()),
            run_id: Some(owner.run_id.to_owned()),
            container: owner.container.map(str::to_owned),
            said,
        };
        match pause::set(&lock, &record) {
            Ok(name) => {
                if let Some(former) = &former {
                    pause::forget(&former.lock, &former.name);
                }
                let note = Note::PauseSet {
                    lock: lock.clone(),
                    until: record.until,
                    length,
                    by: None,
                    said: record.said,
                };
                (Some(Self { lock, name }), note)
            }
            Err(errno) => {
                let text = failed(&lock, errno);
                (former, Note::PauseFailed { lock, text })
            }
        }
    }
}

/// Why no pause could be set beside `lock`, and what to do.
pub fn failed(lock: &Path, errno: Errno) -> String {
    let why = trouble::why(errno);
    let what_to_do = match errno {
        Errno::EACCES | Errno::EPERM => "; make that folder writable for all (chmod 777)",
        Errno::ENOTDIR | Errno::ELOOP => "; remove what lies in its place",
        Errno::EROFS => "; mount it writable",
        _ => "",
    };
    let folder = pause::folder(lock);
    format!(
        "writing into \"{}\" failed: {why}{what_to_do}",
        folder.display()
    )
}
