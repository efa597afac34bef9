//! Runs in this container that this init did not start: those that live on from an earlier init of the
//! same container, or of the same `[init] name` on a machine, and those that somebody begins by hand
//! (`lockkeeper run`, in a script or by `docker exec`). Until they are over their job counts as running.
//!
//! A run is claimed among those of the container, so a new one is a record that is moved to its name
//! (inotify), and its end is that of its latch, which a thread of its own awaits in the kernel. The same
//! thread reads the record first: the folder may lie where reading hangs. init reads nothing but names.
//! A run is seen when its record is written, a few milliseconds after its command has started; a command
//! of no job is claimed no sooner.
//!
//! State: `known`, the runs for which a thread is at work, at most `MOST`. The folder may be shared with
//! other containers (`--ipc=host`, a mounted /run) and, on a machine, with other inits; which of the
//! runs are ours is told by `Ours`. Those that init started itself are passed over by their names.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::lock::listing::{await_end, list, lookup};
use crate::lock::record::{By, Origin, Record};
use crate::sys::{process, thread};

const STACK: usize = 32 * 1024;
/// So many are known at a time; others are not seen.
const MOST: usize = 256;

/// The runs that were found.
#[derive(Debug)]
pub struct Found {
    folder: Option<PathBuf>,
    ours: Arc<Ours>,
    watch: Option<Inotify>,
    known: Vec<String>,
    mail: Option<Arc<Mail>>,
}

/// What the threads tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// This run lives, and is of this container.
    Lives(Box<Record>),
    /// This one has gone, if it ever was.
    Gone(String),
    /// Names were lost: here is one that was there.
    Named(String),
}

/// Which runs are of this container.
#[derive(Debug)]
struct Ours {
    origin: Origin,
    name: String,
    pid1: bool,
}

#[derive(Debug)]
struct Mail {
    news: Mutex<Vec<News>>,
    here: EventFd,
}

impl Found {
    /// Watches for runs among the claims in `folder`, for the container `name`; says which live already.
    pub fn look(folder: Option<&Path>, name: &str) -> (Self, Vec<Record>) {
        let mut found = Self {
            folder: folder.map(Path::to_owned),
            ours: Arc::new(Ours {
                origin: Origin::read(),
                name: name.to_owned(),
                pid1: process::own_pid() == 1,
            }),
            // Before the look: what comes in between is seen twice rather than never.
            watch: folder.and_then(|folder| watched(folder).ok()),
            known: Vec::new(),
            mail: None,
        };
        let Some(folder) = folder else {
            return (found, Vec::new());
        };
        let claims = list(folder).claims.into_iter();
        let living = claims.filter(|(record, lives)| *lives && found.ours.has(record));
        let living: Vec<Record> = living.map(|(record, _)| record).collect();
        let awaited = |record: &Record| found.follow(&record.run_id, Some(record.clone()));
        let living = living.into_iter().filter(awaited).collect();
        (found, living)
    }

    /// What to poll: new names, and what the threads tell.
    pub fn fds(&self) -> [Option<BorrowedFd<'_>>; 2] {
        let mail = self.mail.as_ref().map(|mail| mail.here.as_fd());
        [self.watch.as_ref().map(AsFd::as_fd), mail]
    }

    /// Has threads look at the new names but those of our `own` runs.
    pub fn read_names(&mut self, own: impl Fn(&str) -> bool) {
        let Some(events) = self.watch.as_ref().map(Inotify::read_events) else {
            return;
        };
        for event in events.unwrap_or_default() {
            if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                self.look_again();
                continue;
            }
            let name = event.name.as_ref().and_then(|name| name.to_str());
            let run_id = name.and_then(|name| name.strip_suffix(".json"));
            if let Some(run_id) = run_id.filter(|run_id| !own(run_id)) {
                self.follow(run_id, None);
            }
        }
    }

    /// What the threads have told since this was last asked.
    pub fn news(&mut self, own: impl Fn(&str) -> bool) -> Vec<News> {
        let Some(mail) = &self.mail else {
            return Vec::new();
        };
        let _ = mail.here.read();
        let mut told = mail.take();
        told.retain(|news| match news {
            News::Lives(_) => true,
            News::Gone(run_id) => {
                self.known.retain(|known| known != run_id);
                true
            }
            News::Named(run_id) => {
                if !own(run_id) {
                    self.follow(run_id, None);
                }
                false
            }
        });
        told
    }

    /// A thread for this run: reads its record, unless that is `read` already, and awaits its end.
    fn follow(&mut self, run_id: &str, read: Option<Record>) -> bool {
        if self.known.iter().any(|known| known == run_id) || self.known.len() >= MOST {
            return false;
        }
        let (Some(folder), Some(mail)) = (self.folder.clone(), self.mail()) else {
            return false;
        };
        let (ours, run_id) = (Arc::clone(&self.ours), run_id.to_owned());
        let id = run_id.clone();
        let started = thread::start("found", STACK, move || {
            let lives = read.is_some() || {
                let record = lookup(&folder, &run_id).filter(|record| ours.comes_to(record));
                let lives = record.is_some();
                if let Some(record) = record {
                    mail.put(News::Lives(Box::new(record)));
                }
                lives
            };
            if lives {
                await_end(&folder, &run_id);
            }
            mail.put(News::Gone(run_id));
        });
        if started.is_ok() {
            self.known.push(id);
        }
        started.is_ok()
    }

    /// The kernel has lost names, as too many came at once.
    fn look_again(&mut self) {
        let (Some(folder), Some(mail)) = (self.folder.clone(), self.mail()) else {
            return;
        };
        // Without a thread the next name is the next chance.
        let _ = thread::start("found", STACK, move || {
            for (record, lives) in list(&folder).claims {
                if lives {
                    mail.put(News::Named(record.run_id));
                }
            }
        });
    }

    fn mail(&mut self) -> Option<Arc<Mail>> {
        if self.mail.is_none() {
            let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
            let here = EventFd::from_flags(flags).ok()?;
            let news = Mutex::default();
            self.mail = Some(Arc::new(Mail { news, here }));
        }
        self.mail.clone()
    }
}

impl Ours {
    /// In the PID namespace of a container whose PID 1 we are there is nobody else's; on a machine the
    /// name tells.
    fn has(&self, record: &Record) -> bool {
        let named = || record.container.as_deref() == Some(self.name.as_str());
        record.shares_pids_with(&self.origin) && (self.pid1 || named())
    }

    /// The same for one that begins while we are at work: what an init begins now, another one does.
    fn comes_to(&self, record: &Record) -> bool {
        matches!(record.by, By::Hand | By::Command) && self.has(record)
    }
}

impl Mail {
    fn put(&self, news: News) {
        let mut all = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(news);
        let _ = self.here.write(1);
    }

    fn take(&self) -> Vec<News> {
        let mut all = self.news.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut all)
    }
}

/// Names that a record is moved to, in this folder.
fn watched(folder: &Path) -> nix::Result<Inotify> {
    let watch = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    watch.add_watch(
        folder,
        AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_ONLYDIR,
    )?;
    Ok(watch)
}
