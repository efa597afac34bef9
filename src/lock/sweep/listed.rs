//! The lock directories of one run: looked at before it, swept after it.
//!
//! State: for each, what lay there before the run, and what is doubtful after it. What is done about
//! one is [`super::judge`]'s to say, and for how long the doubtful are watched the run's policy
//! ([`crate::core::run`]).

use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;

use super::judge::{self, Moment, Seen, Verdict};
use super::remove::{recover, remove};
use super::watch::Watch;
use crate::config::plan::SweepPlan;
use crate::core::event::Watched;
use crate::core::note::{Dead, Fate, Note};
use crate::sys::clock;
use crate::sys::statx::{Stamp, stamp};

/// The lock directories of one run.
#[derive(Debug)]
pub struct Listed {
    plan: SweepPlan,
    dirs: Vec<Dir>,
    /// Since when we look at the clocks.
    since: Moment,
    watch: Option<Watch>,
}

#[derive(Debug)]
struct Dir {
    path: PathBuf,
    before: Before,
    /// As it was when the watch began.
    doubt: Option<Stamp>,
}

/// What lay in a place before the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Nothing,
    Seen(Seen),
    /// It could not be judged, or not be removed: it stays, whatever becomes of it.
    Left,
}

/// What lies in a place.
enum Look {
    Nothing,
    Directory(Stamp),
    Trouble(Fate),
}

impl Listed {
    /// Those of `plan`; `identity` is the folder of the login, if it is one.
    pub fn new(plan: &SweepPlan, identity: Option<&Path>) -> Self {
        let dir = |path: &PathBuf| Dir {
            path: as_made(path, identity),
            before: Before::Nothing,
            doubt: None,
        };
        Self {
            dirs: plan.dirs.iter().map(dir).collect(),
            plan: plan.clone(),
            since: moment(),
            watch: None,
        }
    }

    /// Before the run: remembers what is there, and removes the dead.
    ///
    /// `alone`: whether nobody else uses the login; only asked where the plan says that all who do
    /// can be known, and after the directories were looked at: who made one of them was known by then.
    pub fn look(&mut self, alone: &dyn Fn() -> bool) -> Vec<Note> {
        let mut notes = Vec::new();
        let (now, stale_after) = (moment(), self.plan.stale_after);
        let steady = now.is_steady_since(&self.since);
        self.since = now;
        for dir in &mut self.dirs {
            if steady {
                let fate = recover(&dir.path, &now, self.plan.refresh, stale_after);
                notes.extend(fate.map(|fate| dir.note(fate)));
            }
            let stamp = match look(&dir.path) {
                Look::Nothing => continue,
                Look::Directory(stamp) => stamp,
                Look::Trouble(fate) => {
                    dir.before = Before::Left;
                    notes.push(dir.note(fate));
                    continue;
                }
            };
            dir.before = Before::Seen(Seen {
                stamp,
                at: now.time,
            });
            if let Verdict::Dead(dead) = judge::before(&stamp, &now, steady, stale_after) {
                notes.extend(dir.remove_before(dead));
            }
        }
        let is_seen = |dir: &Dir| matches!(dir.before, Before::Seen(_));
        if self.plan.exclusive && self.dirs.iter().any(is_seen) && alone() {
            for dir in &mut self.dirs {
                notes.extend(dir.remove_before(Dead::Alone));
            }
        }
        notes
    }

    /// After the run: removes the dead, and begins to watch the doubtful. Whether there are any;
    /// `alone` as in [`Listed::look`].
    pub fn sweep(&mut self, alone: &dyn Fn() -> bool, notes: &mut Vec<Note>) -> bool {
        let (now, stale_after) = (moment(), self.plan.stale_after);
        let steady = now.is_steady_since(&self.since);
        for dir in &mut self.dirs {
            let known = match dir.before {
                Before::Nothing => None,
                Before::Seen(seen) => Some(seen),
                Before::Left => continue,
            };
            let stamp = match look(&dir.path) {
                Look::Nothing => continue,
                Look::Directory(stamp) => stamp,
                Look::Trouble(fate) => {
                    notes.push(dir.note(fate));
                    continue;
                }
            };
            match judge::after(known.as_ref(), &stamp, &now, steady, stale_after) {
                Verdict::Dead(dead) => notes.extend(dir.remove(&stamp, dead)),
                Verdict::Owned => notes.push(dir.note(Fate::Owned)),
                Verdict::Doubtful => dir.doubt = Some(stamp),
            }
        }
        if !self.is_doubtful() {
            return false;
        }
        if self.plan.exclusive && alone() {
            self.end_each(notes, |dir, stamp| dir.remove(stamp, Dead::Alone));
            return false;
        }
        self.watch(notes);
        self.is_doubtful()
    }

    fn watch(&mut self, notes: &mut Vec<Note>) {
        let mut watch = Watch::new();
        for (number, dir) in self.dirs.iter_mut().enumerate() {
            if dir.doubt.is_none() {
                continue;
            }
            let watched = match &mut watch {
                Ok(watch) => watch.add(&dir.path, number),
                Err(errno) => Err(*errno),
            };
            match watched {
                Ok(()) => {}
                Err(Errno::ENOENT | Errno::ENOTDIR) => dir.doubt = None,
                Err(errno) => notes.push(dir.note(Fate::Unwatched {
                    errno: errno as i32,
                })),
            }
        }
        self.watch = watch.ok();
    }

    /// Readable when an owner may have given a sign of life.
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        use std::os::fd::AsFd as _;
        self.watch.as_ref().map(Watch::as_fd)
    }

    /// Takes the signs of life that have come. Whether there are still doubtful ones.
    pub fn read_signs(&mut self, notes: &mut Vec<Note>) -> bool {
        let signs = self.watch.as_ref().map(Watch::drain).unwrap_or_default();
        for number in signs {
            let Some(dir) = self.dirs.get_mut(number) else {
                continue;
            };
            // One that is gone was removed by its owner; what is in its place is not of our run.
            if dir.doubt.take().is_some() && !matches!(look(&dir.path), Look::Nothing) {
                notes.push(dir.note(Fate::Refreshed));
            }
        }
        self.is_doubtful()
    }

    /// The watch is over.
    pub fn end_watch(&mut self, watched: Watched, notes: &mut Vec<Note>) {
        let refresh = self.plan.refresh;
        self.end_each(notes, |dir, stamp| match watched {
            Watched::ToTheEnd => dir.remove(stamp, Dead::Silent(refresh)),
            Watched::CutShort => Some(dir.note(Fate::CutShort)),
            Watched::Late => Some(dir.note(Fate::Late)),
        });
        self.watch = None;
    }

    fn end_each(&mut self, notes: &mut Vec<Note>, end: impl Fn(&Dir, &Stamp) -> Option<Note>) {
        for dir in &mut self.dirs {
            if let Some(stamp) = dir.doubt.take() {
                notes.extend(end(dir, &stamp));
            }
        }
    }

    fn is_doubtful(&self) -> bool {
        self.dirs.iter().any(|dir| dir.doubt.is_some())
    }
}

impl Dir {
    /// Removes what was seen before the run.
    fn remove_before(&mut self, dead: Dead) -> Option<Note> {
        let Before::Seen(seen) = self.before else {
            return None;
        };
        let note = self.remove(&seen.stamp, dead);
        self.before = match look(&self.path) {
            Look::Nothing => Before::Nothing,
            // It was said why.
            Look::Directory(_) | Look::Trouble(_) => Before::Left,
        };
        note
    }

    fn remove(&self, judged: &Stamp, dead: Dead) -> Option<Note> {
        match remove(&self.path, judged) {
            Ok(true) => Some(self.note(Fate::Removed(dead))),
            // Its owner was faster, or another sweep.
            Ok(false) => None,
            Err(fate) => Some(self.note(fate)),
        }
    }

    fn note(&self, fate: Fate) -> Note {
        Note::LockDir {
            path: self.path.clone(),
            fate,
        }
    }
}

fn look(path: &Path) -> Look {
    match stamp(AT_FDCWD, path) {
        Ok(stamp) if stamp.is_folder => Look::Directory(stamp),
        Ok(_) => Look::Trouble(Fate::NotAFolder),
        Err(Errno::ENOENT | Errno::ENOTDIR) => Look::Nothing,
        Err(errno) => Look::Trouble(Fate::Denied {
            errno: errno as i32,
        }),
    }
}

/// The lock directory beside the login's folder lies beside the real one, where the login's last name
/// is a symbolic link: proper-lockfile resolves it (its option `realpath`).
fn as_made(path: &Path, identity: Option<&Path>) -> PathBuf {
    let beside = |folder: &Path| {
        let mut name = folder.as_os_str().to_owned();
        name.push(".lock");
        PathBuf::from(name)
    };
    identity
        .filter(|folder| beside(folder) == path && folder.read_link().is_ok())
        .and_then(|folder| folder.canonicalize().ok())
        .map_or_else(|| path.to_owned(), |folder| beside(&folder))
}

fn moment() -> Moment {
    Moment {
        time: clock::now(),
        wall: clock::unix_nanos(),
    }
}

#[cfg(test)]
mod tests;
