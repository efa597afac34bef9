//! The shared lock, seen from its run: taking it, waiting for it, watching its file, leaving a file
//! that was replaced.
//!
//! Owns `Monitor::waiter`, `Monitor::waited`, `Monitor::locked` and `Monitor::watch`. The lock is freed elsewhere, once and last, when
//! the run is over.

use std::time::Duration;

use super::{End, Monitor};
use crate::config::plan::Wait;
use crate::core::event::Event;
use crate::core::note::Note;
use crate::lock::shared::{Attempt, Watch};
use crate::run::waiter::Waiter;
use crate::run::waiting_line::Awaited;
use crate::sys::clock;
use crate::trouble;

impl Monitor<'_> {
    pub(super) fn take_lock(&mut self) -> Event {
        let Some(lock) = self.setup.lock.clone() else {
            return Event::LockGot;
        };
        match lock.try_lock() {
            Ok(Attempt::Got) => self.lock_got(),
            Ok(Attempt::Busy) => {
                let mut claims = std::mem::take(&mut self.setup.claims);
                let (holder, trouble) = claims.waiting(self.owner());
                self.setup.claims = claims;
                let path = lock.path().to_owned();
                // Who has no time to wait is told at once that it was not obtained.
                let wait = self.setup.plan.kind.lock().map(|lock| lock.wait);
                let waits = wait != Some(Wait::AtMost(Duration::ZERO));
                let aloud = waits
                    && self.wait_begins(Awaited::Lock {
                        path: path.clone(),
                        run_id: self.setup.run_id.to_owned(),
                    });
                self.setup.journal.note(Note::Waiting {
                    lock: path.clone(),
                    holder,
                    aloud,
                });
                self.note_all(trouble);
                let wait = move || lock.lock_blocking().map_err(|error| error.to_string());
                match Waiter::start(Box::new(wait)) {
                    Ok(waiter) => self.waiter = Some(waiter),
                    Err(error) => {
                        let why = trouble::text_of(&error);
                        let path = path.display();
                        return self
                            .lock_failed(&format!("cannot wait for the lock \"{path}\": {why}"));
                    }
                }
                // It is, where a directory was waited for; its control group is made once.
                if self.prepared.is_none() {
                    self.prepared = Some(self.prepare());
                }
                Event::LockBusy
            }
            Err(error) => self.lock_failed(&error.to_string()),
        }
    }

    pub(super) fn waiter_answered(&mut self) {
        let Some(answer) = self.waiter.as_ref().and_then(Waiter::answer) else {
            return;
        };
        self.waited = self.waiter.take();
        let event = match answer {
            Ok(()) => self.lock_got(),
            Err(text) => self.lock_failed(&text),
        };
        self.step(event);
    }

    /// The kernel gave us a lock; it is *the* lock only while its file still bears the name.
    fn lock_got(&mut self) -> Event {
        let Some(lock) = self.setup.lock.clone() else {
            return Event::LockGot;
        };
        match lock.is_current() {
            Ok(true) => {}
            Ok(false) => return Event::LockReplaced,
            Err(error) => return self.lock_failed(&error.to_string()),
        }
        self.locked = true;
        let waited = clock::now().since(self.setup.queued_at);
        let aloud = self.wait_ends();
        self.setup.journal.note(Note::Obtained {
            lock: lock.path().to_owned(),
            waited,
            aloud,
        });
        Event::LockGot
    }

    pub(super) fn watch_lock(&mut self) {
        let Some(lock) = self.setup.lock.clone() else {
            return;
        };
        match lock.watch() {
            Ok(watch) => self.watch = Some(watch),
            Err(errno) => {
                let path = lock.path().to_owned();
                self.setup.journal.note(Note::LockUnwatched {
                    lock: path,
                    errno: errno as i32,
                });
            }
        }
        // What happened before the watch began.
        self.check_file();
    }

    pub(super) fn file_changed(&mut self) {
        let changed = self.watch.as_ref().is_some_and(Watch::drain);
        if changed {
            self.check_file();
        }
    }

    /// Says, once, that others may hold a lock of the same name by now.
    pub(super) fn check_file(&mut self) {
        let Some(lock) = &self.setup.lock else { return };
        if self.replaced_said || matches!(lock.is_current(), Ok(true)) {
            return;
        }
        self.replaced_said = true;
        let lock = lock.path().to_owned();
        self.setup.journal.note(Note::LockReplacedHeld { lock });
    }

    fn lock_failed(&mut self, text: &str) -> Event {
        self.setup.journal.note(Note::LockFailed {
            text: text.to_owned(),
        });
        Event::LockFailed
    }

    pub(super) fn start_over(&mut self) {
        self.wait_ends();
        // Else it was the latch of a directory.
        let queued = self.claiming.is_done(&self.setup.dirs);
        if let Some(lock) = self.setup.lock.as_ref().filter(|_| queued) {
            let path = lock.path().to_owned();
            let _ = lock.unlock();
            self.setup
                .journal
                .note(Note::LockReplacedWaiting { lock: path });
        }
        self.leave_group();
        self.end = Some(End::StartOver);
    }
}
