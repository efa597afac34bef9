//! Runs that live on from an earlier init of the same container, or of the same `[init] name` on a
//! machine: their guards have seen its end and stop them, and until they have, the job counts as
//! running.
//!
//! A claim is true as long as its latch is held, so the end of a run is awaited in the kernel: a
//! thread waits for the latch of each, and tells through a descriptor.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::config::plan::Plan;
use crate::core::table::JobIndex;
use crate::lock::listing::{await_end, list};
use crate::lock::record::{Origin, Record};
use crate::sys::thread;

const STACK: usize = 32 * 1024;

/// The runs that were found, and those of them that have gone since.
#[derive(Debug)]
pub struct Found {
    living: Vec<(JobIndex, String)>,
    news: Option<Arc<EventFd>>,
    gone: Arc<Mutex<Vec<(JobIndex, String)>>>,
}

impl Found {
    /// Looks for living runs of the plan's jobs among the claims in `folder`.
    pub fn look(folder: Option<&Path>, plan: &Plan) -> Self {
        let mut found = Self {
            living: Vec::new(),
            news: None,
            gone: Arc::default(),
        };
        let Some(folder) = folder else { return found };
        // The folder may be shared with other containers (`--ipc=host`, a mounted /run) and, on a
        // machine, with other inits.
        let origin = Origin::read();
        let ours = |record: &Record| {
            record.shares_pids_with(&origin)
                && record.container.as_deref() == Some(plan.init.name.as_str())
        };
        let claims = list(folder).claims.into_iter();
        for (record, _) in claims.filter(|(record, lives)| *lives && ours(record)) {
            let Some(index) = plan.jobs.iter().position(|job| job.run.job == record.job) else {
                continue;
            };
            let run = (JobIndex(index), record.run_id);
            let Ok(news) = found.news() else { continue };
            let (folder, tell, told) = (folder.to_owned(), Arc::clone(&found.gone), run.clone());
            let waits = thread::start("found", STACK, move || {
                await_end(&folder, &told.1);
                tell.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(told);
                let _ = news.write(1);
            });
            if waits.is_ok() {
                found.living.push(run);
            }
        }
        found
    }

    fn news(&mut self) -> nix::Result<Arc<EventFd>> {
        if let Some(news) = &self.news {
            return Ok(Arc::clone(news));
        }
        let news = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Arc::clone(self.news.insert(Arc::new(news))))
    }

    /// Those that lived when they were looked for.
    pub fn living(&self) -> Vec<(JobIndex, String)> {
        self.living.clone()
    }

    /// Those that have gone since this was last asked.
    pub fn gone(&self) -> Vec<(JobIndex, String)> {
        if let Some(news) = &self.news {
            let _ = news.read();
        }
        let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut gone)
    }

    /// Readable when one has gone; `None`: none was found.
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.news.as_ref().map(AsFd::as_fd)
    }
}
