//! A thread that does something in the directories of a run: write in their records, or remove them.
//!
//! Such a directory may lie on a file system that no longer answers, or another tool may keep its
//! record, and the watchdogs of a run, its end and its exit code must not wait for either. Nothing
//! cancels it but the end of its process.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError};

use super::waiter::Waiter;
use crate::core::note::Note;
use crate::core::time::Time;
use crate::sys::{clock, poll};

/// What an errand has to say: for the thread that owns the journal.
type Notes = Arc<Mutex<Vec<Note>>>;

/// Work that goes on, or has come to its end.
#[derive(Debug)]
pub struct Errand {
    waiter: Waiter,
    notes: Notes,
}

impl Errand {
    /// Begins to `work`; what it tells is kept for [`Errand::notes`].
    ///
    /// # Errors
    /// No thread was to be had; nothing is done.
    pub fn start(work: impl FnOnce(&dyn Fn(Note)) + Send + 'static) -> io::Result<Self> {
        let notes = Notes::default();
        let told = Arc::clone(&notes);
        let tell = move |note| {
            told.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(note);
        };
        let work = move || {
            work(&tell);
            Ok(())
        };
        let waiter = Waiter::start(Box::new(work))?;
        Ok(Self { waiter, notes })
    }

    /// What it has told since it was asked last.
    pub fn notes(&self) -> Vec<Note> {
        std::mem::take(&mut *self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits for its end until `due` at most; whether it has come.
    pub fn ends_by(&self, due: Time) -> bool {
        while self.waiter.answer().is_none() {
            poll::wait([Some(self.as_fd())], Some(due));
            if clock::now() >= due {
                break;
            }
        }
        self.waiter.answer().is_some()
    }
}

/// Readable once it has ended.
impl AsFd for Errand {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.waiter.as_fd()
    }
}
