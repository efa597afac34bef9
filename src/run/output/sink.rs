//! Where a stream goes: on to where ours goes, or line by line to the journal, to a file, to both.
//!
//! What can go to neither goes where ours goes, so that it is not lost; that is said when it begins.
//! A journald that is started anew is gone for a moment: for that long we wait. Where nobody reads what
//! ours goes to either, that is lost and said, and the command, whose output was to be kept, goes on.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::errno::Errno;

use super::lines::Lines;
use super::log_file::LogFile;
use super::record::Records;
use super::{Shared, Target};
use crate::journal::route::SOCKET;
use crate::sys::{clock, poll};
use crate::trouble;

/// How long a journald that has gone is waited for: less than its run has patience with us when the
/// tree is empty, so that what it does not take can still go elsewhere.
const PATIENCE: Duration = Duration::from_millis(800);
/// How long until it is tried again: its socket's folder is another mount, which need not tell.
const AGAIN: Duration = Duration::from_millis(50);

/// What a stream is given.
#[derive(Debug)]
pub(super) struct Place {
    /// Where ours goes.
    pub(super) own: File,
    /// The fields of its records, where it goes to the journal.
    pub(super) journal: Option<Vec<u8>>,
    /// The file, which both streams share, where it goes to one.
    pub(super) file: Option<Arc<Mutex<LogFile>>>,
    /// `stdout` or `stderr`.
    pub(super) stream: &'static str,
}

#[derive(Debug)]
pub(super) struct Sink {
    way: Way,
    lines: Lines,
    shared: Arc<Shared>,
}

/// Nobody takes it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

#[derive(Debug)]
struct Way {
    own: File,
    journal: Option<Records>,
    file: Option<Arc<Mutex<LogFile>>>,
    stream: &'static str,
    /// Whether the journal has taken nothing for so long that it is waited for no more.
    is_gone: bool,
}

impl Sink {
    pub(super) fn new(place: Place, shared: Arc<Shared>) -> Self {
        let stream = place.stream;
        let way = Way {
            own: place.own,
            journal: place.journal.map(|head| Records::new(head, stream)),
            file: place.file,
            stream,
            is_gone: false,
        };
        Self {
            way,
            lines: Lines::default(),
            shared,
        }
    }

    /// Writes on what has come, as far as it is complete. Blocks as long as nobody reads.
    pub(super) fn put(&mut self, piece: &[u8]) -> Result<(), Broken> {
        let (way, shared) = (&mut self.way, &self.shared);
        if way.journal.is_none() && way.file.is_none() {
            return way.put_own(piece);
        }
        self.lines.feed(piece, |batch| {
            way.put(batch, false, shared);
            Ok(())
        })
    }

    /// Writes the last line, if it has no end.
    pub(super) fn end(&mut self) {
        let last = self.lines.take();
        if !last.is_empty() {
            self.way.put(&last, true, &self.shared);
        }
        if let Some(file) = &self.way.file {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.end(self.way.stream);
        }
    }
}

impl Way {
    /// To the journal and to the file, whichever there are. What none of them takes goes to our own.
    fn put(&mut self, batch: &[u8], ended: bool, shared: &Shared) {
        let by_journal = self.put_journal(batch, ended, shared);
        let by_file = self.put_file(batch, shared);
        let rest = if by_file.len() < by_journal.len() {
            by_file
        } else {
            by_journal
        };
        if self.put_own(rest).is_err() {
            shared.note_once("lockkeeper's own takes nothing either", Target::Own);
        }
    }

    /// What the journal did not take.
    fn put_journal<'b>(&mut self, batch: &'b [u8], ended: bool, shared: &Shared) -> &'b [u8] {
        let Some(records) = &mut self.journal else {
            return batch;
        };
        let mut rest = batch;
        let mut patient_until = None;
        loop {
            let error = match records.send(rest, ended, || shared.moves()) {
                Ok(()) => {
                    self.is_gone = false;
                    return &[];
                }
                Err((error, left)) => {
                    rest = left;
                    error
                }
            };
            let now = clock::now();
            let until = *patient_until.get_or_insert(now + PATIENCE);
            if self.is_gone || now >= until {
                self.is_gone = true;
                let why = trouble::text_of(&error);
                shared.note_once(&format!("{SOCKET:?}: {why}"), Target::Journal);
                return rest;
            }
            poll::wait([None], Some(now + AGAIN));
        }
    }

    /// What the file did not take.
    fn put_file<'b>(&mut self, batch: &'b [u8], shared: &Shared) -> &'b [u8] {
        let Some(file) = &self.file else {
            return batch;
        };
        let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
        match file.append(self.stream, batch) {
            Ok(()) => &[],
            Err((error, done)) => {
                let why = trouble::text_of(&error);
                let path = file.path().display();
                shared.note_once(&format!("\"{path}\": {why}"), Target::File);
                batch.get(done..).unwrap_or_default()
            }
        }
    }

    /// Writes all of `piece`. Whoever shares our output may have made it non-blocking (the flag belongs
    /// to the open file description, open(2)): then room is waited for.
    fn put_own(&self, mut piece: &[u8]) -> Result<(), Broken> {
        while !piece.is_empty() {
            match nix::unistd::write(&self.own, piece) {
                Ok(done) => piece = piece.get(done..).unwrap_or_default(),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => poll::wait_for_room(self.own.as_fd()),
                Err(_) => return Err(Broken),
            }
        }
        Ok(())
    }
}
