//! The directories of a run: taken before the shared lock, waited for, told about, released after it.
//!
//! Owns `Monitor::claiming`. Each try happens here, in the loop; the thread only waits for the end of
//! what is in the way, and then it is tried again. Once there is a command, everything that touches a
//! directory happens in a thread: neither watchdogs nor the end of a run wait for a file system.
//!
//! The residue: a try may take a second where another tool keeps a record, the time that tmux has to
//! answer, or that of a walk over all folders below (`subtree`), and on a file system that does not
//! answer it does not end. A stop is heard after that. Nothing but latches is held then, and no command
//! runs: KILL to guard and monitor loses nothing.

use std::sync::Arc;
use std::time::Duration;

use super::Monitor;
use crate::core::event::Event;
use crate::core::note::Note;
use crate::core::outcome::{Outcome, Reason};
use crate::lock::dir::await_end::Until;
use crate::lock::dir::claim::{DirLock, Obstacle};
use crate::lock::dir::conflict::{Conflict, DirError, Owner as Named};
use crate::lock::dir::in_use;
use crate::lock::dir::record::DirRecord;
use crate::lock::record::{State, start_time};
use crate::run::claims;
use crate::run::dirs::{Dirs, PATIENCE, record_of};
use crate::run::errand::Errand;
use crate::run::waiter::Waiter;
use crate::run::waiting_line::Awaited;
use crate::sys::clock;
use crate::trouble::text_of;

/// How far the run is with its directories.
#[derive(Debug, Default)]
pub(super) struct Claiming {
    /// So many are ours, from the first on.
    taken: usize,
    /// What their records say.
    record: Option<DirRecord>,
    /// What keeps the next one from us.
    obstacle: Option<(Conflict, Until)>,
    pub(super) waiter: Option<Waiter>,
    /// Our records are about to name the command.
    pub(super) telling: Option<Errand>,
    /// A directory could not be given back in time: a thread may hang in the kernel.
    pub(super) hangs: bool,
}

impl Claiming {
    /// Whether something is in the way of one of them.
    pub(super) const fn is_blocked(&self) -> bool {
        self.obstacle.is_some()
    }

    /// Whether all of `dirs` are ours.
    pub(super) fn is_done(&self, dirs: &Dirs) -> bool {
        self.taken == dirs.locks().len()
    }
}

impl Monitor<'_> {
    /// Takes what is not ours yet, up to the first that is not free.
    pub(super) fn lock_dirs(&mut self) -> Event {
        let dirs = Arc::clone(&self.setup.dirs);
        let outer = claims::ancestors();
        let record = self.dir_record();
        self.claiming.obstacle = None;
        while let Some(lock) = dirs.locks().get(self.claiming.taken) {
            let dir = lock.dir().to_owned();
            let note = match lock.try_take(&record, &outer) {
                Ok(former) => {
                    self.claiming.taken += 1;
                    let former = former.map(|former| Named(&former).to_string());
                    let waited = clock::now().since(self.setup.queued_at);
                    let aloud = self.wait_ends();
                    self.setup.journal.note(Note::DirObtained {
                        dir,
                        waited,
                        former,
                        aloud,
                    });
                    continue;
                }
                Err(Obstacle::Replaced) => return Event::DirReplaced,
                Err(Obstacle::Failed(error)) => return self.dir_failed(&error),
                Err(Obstacle::Conflict(conflict, until)) => (*conflict, until),
            };
            // Who waits for a lock above holds nothing.
            if note.0.is_above() {
                self.give_way();
            }
            // A run inside a run may not wait: the outer one perhaps holds what the other one wants.
            let may_end = note.0.may_end() && outer.is_empty();
            self.claiming.obstacle = Some(note);
            return Event::DirBusy { may_end };
        }
        Event::DirsGot
    }

    /// Lets go of what is ours, to take it again from the first on.
    fn give_way(&mut self) {
        let taken = std::mem::take(&mut self.claiming.taken);
        let locks = self.setup.dirs.locks();
        for lock in locks.get(..taken).unwrap_or_default().iter().rev() {
            let _ = lock.release();
        }
    }

    fn dir_record(&mut self) -> DirRecord {
        if let Some(record) = &self.claiming.record {
            return record.clone();
        }
        // The guard's, or ours where there is none: the command has no number yet.
        let pid = match &self.setup.guard {
            Some(_) => nix::unistd::getppid(),
            None => nix::unistd::getpid(),
        };
        let record = record_of(self.owner(), State::Waiting, pid.as_raw());
        self.claiming.record.insert(record).clone()
    }

    /// Waits for the end of what is in the way, in a thread.
    pub(super) fn await_dir(&mut self) -> Option<Event> {
        let (conflict, until) = self.claiming.obstacle.take()?;
        let (dir, holder) = (conflict.dir.clone(), conflict.holder());
        let aloud = self.wait_begins(Awaited::Dir {
            path: dir.clone(),
            holder: holder.clone(),
        });
        self.setup
            .journal
            .note(Note::DirWaiting { dir, holder, aloud });
        let mut claims = std::mem::take(&mut self.setup.claims);
        let trouble = claims.waiting_for_dir(self.owner());
        self.setup.claims = claims;
        self.note_all(trouble);
        let dirs = Arc::clone(&self.setup.dirs);
        let index = self.claiming.taken;
        let wait = move || match dirs.locks().get(index) {
            Some(lock) => lock.await_end(&until).map_err(|error| error.to_string()),
            None => Ok(()),
        };
        self.claiming.obstacle = Some((conflict, Until::Never));
        match Waiter::start(Box::new(wait)) {
            Ok(waiter) => self.claiming.waiter = Some(waiter),
            Err(error) => {
                let text = format!("cannot wait for a directory: {}", text_of(&error));
                return Some(self.dir_refused(text));
            }
        }
        if self.prepared.is_none() {
            self.prepared = Some(self.prepare());
        }
        None
    }

    pub(super) fn dir_freed(&mut self) {
        let answer = self.claiming.waiter.as_ref().and_then(Waiter::answer);
        let Some(answer) = answer else { return };
        self.claiming.waiter = None;
        let event = match answer {
            Ok(()) => Event::DirFreed,
            Err(text) => self.dir_refused(text),
        };
        self.step(event);
    }

    fn dir_failed(&mut self, error: &DirError) -> Event {
        self.dir_refused(error.to_string())
    }

    /// Says why the next directory is not ours.
    fn dir_refused(&mut self, text: String) -> Event {
        self.claiming.obstacle = None;
        self.note_refused(text, None);
        Event::DirFailed
    }

    fn note_refused(&self, text: String, waited: Option<Duration>) {
        let next = self.setup.dirs.locks().get(self.claiming.taken);
        if let Some(lock) = next {
            let dir = lock.dir().to_owned();
            self.setup
                .journal
                .note(Note::DirRefused { dir, text, waited });
        }
    }

    /// The run ends while something is in the way of a directory. Where that is why it ends, it says
    /// who has it, and who works there whatever he has.
    pub(super) fn dir_not_obtained(&mut self, outcome: &Outcome) {
        let Some((conflict, _)) = self.claiming.obstacle.take() else {
            return;
        };
        let waited = match outcome.reason {
            Reason::WaitExpired => Some(outcome.waited),
            Reason::DirNotLocked => None,
            _ => return,
        };
        let mut text = conflict.to_string();
        if waited.is_none() && conflict.may_end() && !claims::ancestors().is_empty() {
            text.push_str("; a run inside another one waits for no directory");
        }
        if let Ok(mut there) = in_use::look(&conflict.at) {
            let guard = nix::unistd::getppid().as_raw();
            there.inside.retain(|worker| worker.pid != guard);
            text.push_str("; ");
            text.push_str(&there.to_string());
        }
        self.note_refused(text, waited);
    }

    /// The command runs as `pid`: the records name it from here on. Said in a thread, as the watchdogs
    /// run from now on.
    pub(super) fn dirs_running(&mut self, pid: i32) {
        let Some(mut record) = self.claiming.record.take() else {
            return;
        };
        record.pid = pid;
        record.start_time = start_time(pid);
        record.state = Some(State::Running);
        let dirs = Arc::clone(&self.setup.dirs);
        let update = move |tell: &dyn Fn(Note)| {
            for lock in dirs.locks() {
                let text = match lock.update(&record) {
                    Ok(true) => continue,
                    Ok(false) => "another tool has replaced its record; \
                                  an agent that knows only the record may come in"
                        .to_owned(),
                    Err(error) => error.to_string(),
                };
                tell(trouble(lock, text));
            }
        };
        match Errand::start(update) {
            Ok(telling) => self.claiming.telling = Some(telling),
            Err(error) => {
                let text = format!("cannot name its process: {}", text_of(&error));
                let first = self.setup.dirs.locks().first();
                self.note_all(first.map(|lock| trouble(lock, text)));
            }
        }
    }

    /// The records name the command, or it was said why they do not.
    pub(super) fn dirs_told(&mut self) {
        let telling = self.claiming.telling.take();
        self.note_all(telling.iter().flat_map(Errand::notes));
    }

    /// Gives back what is ours, in reverse; within [`PATIENCE`], as the file system may have died. What is
    /// left then is free and dead as soon as this process and its guard have ended.
    pub(super) fn release_dirs(&mut self) {
        let taken = std::mem::take(&mut self.claiming.taken);
        let dirs = Arc::clone(&self.setup.dirs);
        let covers = self.setup.plan.dirs.subtree;
        if taken == 0 && !covers {
            return;
        }
        let due = clock::now() + PATIENCE;
        // First: it may be writing still.
        let told = self
            .claiming
            .telling
            .as_ref()
            .is_none_or(|telling| telling.ends_by(due));
        self.dirs_told();
        let release = move |tell: &dyn Fn(Note)| {
            // One that would cover others waits for them with its record in place.
            if let Some(lock) = dirs.locks().get(taken).filter(|_| covers) {
                let _ = lock.release();
            }
            let ours = dirs.locks().get(..taken).unwrap_or_default();
            ours.iter().rev().for_each(|lock| give_back(lock, tell));
        };
        let errand = told.then(|| Errand::start(release));
        let mut given_back = Vec::new();
        if let Some(Ok(errand)) = errand {
            let all = errand.ends_by(due);
            given_back = errand.notes();
            if all {
                self.note_all(given_back);
                return;
            }
        }
        self.claiming.hangs = true;
        let locks = self.setup.dirs.locks();
        let left = locks.get(..taken).unwrap_or_default().iter().rev();
        let is_told = |lock: &&DirLock| {
            let tells =
                |note: &Note| matches!(note, Note::DirReleased { dir } if dir == lock.dir());
            given_back.iter().any(tells)
        };
        let text = "its record was not removed in time, as its file system does not answer or \
                    another tool keeps it; it is dead as soon as this run has ended";
        let left: Vec<Note> = left
            .filter(|lock| !is_told(lock))
            .map(|lock| trouble(lock, text.to_owned()))
            .collect();
        self.note_all(given_back.into_iter().chain(left));
    }
}

fn give_back(lock: &DirLock, tell: &dyn Fn(Note)) {
    if !lock.is_current() {
        let text = "its latch was removed while we held it: others may have taken the \
                    directory; find out who clears .runtime away";
        tell(trouble(lock, text.to_owned()));
    }
    tell(match lock.release() {
        Ok(()) => Note::DirReleased {
            dir: lock.dir().to_owned(),
        },
        Err(error) => trouble(lock, error.to_string()),
    });
}

fn trouble(lock: &DirLock, text: String) -> Note {
    let dir = lock.dir().to_owned();
    Note::DirTrouble { dir, text }
}
