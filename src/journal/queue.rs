//! The queue between a process and its log thread.
//!
//! Invariants:
//! - [`Journal::note`] waits for nobody but the other side of a mutex that is held for the length
//!   of a push or a pop, never across a write.
//! - At most [`CAPACITY`] notes wait. What comes then is counted, and the count is a note itself
//!   as soon as half of the queue is free again.
//! - No note is lost without being counted, and no count without being told, as long as anybody
//!   takes anything: what the journal has not taken at the end goes to standard error.
//! - The thread starts with the first note that goes anywhere; idle, it sleeps in the kernel
//!   without a time-out.
//!
//! A deque behind a mutex rather than a channel: std's bounded channel touches all its slots when
//! it is made, more memory than the rest of a waiting run; this one grows with what waits in it,
//! and keeps it where no thread can be started (out of processes) until one can, or until the end.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::kind::{Level, heard, kind, name};
use super::line::{Out, event, line};
use super::render::render;
use super::route::{Context, Route, Speaker, Surroundings, Verbosity, surroundings, takes};
use super::sink::Sink;
use crate::core::note::Note;
use crate::sys::thread;

/// The most notes that wait for the log thread.
pub const CAPACITY: usize = 1024;

/// The stack of the log thread, in bytes.
const STACK: usize = 64 * 1024;

/// The longest that a thread takes to come to run on the busiest of machines.
const STARTING: Duration = Duration::from_secs(5);

/// Where a process puts its notes. For one thread: the one that does everything else, too.
#[derive(Debug)]
pub struct Journal {
    shared: Arc<Shared>,
    way: OnceCell<(Surroundings, Route)>,
    running: Cell<bool>,
    /// Which kinds of notes are events, by name, where any are; none: all warnings and errors.
    wanted: RefCell<Option<Vec<String>>>,
    /// Events that nobody has fetched yet.
    events: RefCell<Vec<String>>,
}

#[derive(Debug)]
struct Shared {
    context: Mutex<Arc<Context>>,
    speaker: Speaker,
    verbosity: Verbosity,
    out: Out,
    state: Mutex<State>,
    /// There is something to take, or the journal was closed.
    filled: Condvar,
    /// All that was taken is written, and nothing waits.
    drained: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Note>,
    /// The one that the thread has taken and is writing.
    writing: Option<Note>,
    /// Whether the thread has come to run.
    begun: bool,
    /// Notes that found the queue full and are not reported yet.
    lost: u64,
    closed: bool,
}

impl State {
    /// How many notes nobody has read yet and nobody has been told of.
    fn left(&self) -> u64 {
        let here = self.waiting.len() + usize::from(self.writing.is_some());
        u64::try_from(here)
            .unwrap_or(u64::MAX)
            .saturating_add(self.lost)
    }

    fn put(&mut self, note: Note) {
        if self.waiting.len() < CAPACITY {
            self.waiting.push_back(note);
        } else {
            self.lost = self.lost.saturating_add(1);
        }
    }

    fn take(&mut self) -> Option<Note> {
        if self.lost > 0 && self.waiting.len() <= CAPACITY / 2 {
            let count = std::mem::take(&mut self.lost);
            self.waiting.push_back(Note::NotesLost { count });
        }
        self.waiting.pop_front()
    }
}

impl Journal {
    /// A journal that nothing has been written to. Neither thread nor system call yet.
    pub fn new(context: Context, verbosity: Verbosity) -> Self {
        Self::with_out(context, verbosity, Out::stderr())
    }

    /// The same, with `fd` in the place of standard error.
    pub fn onto(context: Context, verbosity: Verbosity, fd: OwnedFd) -> Self {
        Self::with_out(context, verbosity, Out::Other(fd))
    }

    fn with_out(context: Context, verbosity: Verbosity, out: Out) -> Self {
        let shared = Shared {
            speaker: context.speaker,
            context: Mutex::new(Arc::new(context)),
            verbosity,
            out,
            state: Mutex::default(),
            filled: Condvar::new(),
            drained: Condvar::new(),
        };
        Self {
            shared: Arc::new(shared),
            way: OnceCell::new(),
            running: Cell::new(false),
            wanted: RefCell::default(),
            events: RefCell::default(),
        }
    }

    /// From here on notes of these kinds are kept as events until they are fetched; none in the list: all
    /// warnings and errors.
    pub fn want(&self, kinds: Option<Vec<String>>) {
        self.wanted.replace(kinds);
    }

    /// The events since this was last asked, each as JSON.
    pub fn events(&self) -> Vec<String> {
        self.events.take()
    }

    /// The command that is told of events is not told of itself.
    fn keep_event(&self, note: &Note) {
        let wanted = self.wanted.borrow();
        let Some(kinds) = &*wanted else { return };
        let (id, level) = kind(note);
        let is_wanted = match kinds.as_slice() {
            [] => level <= Level::Warning,
            kinds => kinds.contains(&name(id)),
        };
        if is_wanted && !matches!(note, Note::EventFailed { .. }) {
            let context = self.shared.context();
            let mut record = render(note, &context);
            self.events.borrow_mut().push(event(&mut record));
        }
    }

    /// Changes what is known of this process, as a reload of the file does: for what is written from
    /// here on.
    pub fn know(&self, change: impl FnOnce(&mut Context)) {
        let context = self.shared.context.lock();
        let mut context = context.unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut context));
    }

    /// Says `note` to whoever is to hear it. Never waits for a reader; when [`CAPACITY`] notes
    /// wait already, this one is lost and counted.
    pub fn note(&self, note: Note) {
        self.keep_event(&note);
        let (around, route) = self.way();
        let (_, level) = kind(&note);
        if !route.takes(level) && !takes(route.stderr, heard(&note)) {
            return;
        }
        self.shared.lock().put(note);
        self.shared.filled.notify_one();
        self.start(around);
    }

    /// Waits until all notes are written, `within` at the longest from when the log thread has come
    /// to run: on a busy machine it has yet to, and no reader is to blame for that. Returns how many
    /// were not: those that wait, and those that were lost and not yet reported.
    pub fn flush(&self, within: Duration) -> u64 {
        let Some(&(around, route)) = self.way.get() else {
            return 0;
        };
        let mut state = self.shared.lock();
        if state.left() == 0 {
            return 0;
        }
        if !self.running.get() {
            drop(state);
            self.start(around);
            state = self.shared.lock();
        }
        if !self.running.get() {
            drop(state);
            return self.shared.last_words(around, route);
        }
        let wait = |state, limit, goes_on: fn(&mut State) -> bool| {
            let waited = self
                .shared
                .drained
                .wait_timeout_while(state, limit, goes_on);
            waited.unwrap_or_else(PoisonError::into_inner).0
        };
        let state = wait(state, STARTING, |state| !state.begun);
        wait(state, within, |state| state.left() > 0).left()
    }

    /// The end: [`Self::flush`], and what nobody has taken by then goes to standard error, as far as
    /// that takes it at once; how much nobody has seen at all is its last line. Nothing can be said
    /// afterwards.
    pub fn finish(&self, within: Duration) {
        if self.flush(within) > 0
            && let Some(&(around, route)) = self.way.get()
        {
            self.shared.last_words(around, route);
        }
    }

    fn way(&self) -> (Surroundings, Route) {
        *self.way.get_or_init(|| {
            let around = surroundings(self.shared.out.as_fd());
            let shared = &self.shared;
            let route = around.route(shared.speaker, shared.verbosity);
            (around, route)
        })
    }

    /// Starts the log thread, unless it runs. Where none can be had the notes stay in the queue,
    /// and the next one tries again.
    fn start(&self, around: Surroundings) {
        if self.running.get() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let started = thread::start(thread::LOG, STACK, move || shared.write_all(around));
        self.running.set(started.is_ok());
    }
}

impl Drop for Journal {
    /// Lets the thread go when it has written what waits; waits for nothing.
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.filled.notify_one();
    }
}

impl Shared {
    fn context(&self) -> Arc<Context> {
        Arc::clone(&self.context.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log thread: one note after the other, until the journal is closed and empty.
    fn write_all(&self, around: Surroundings) {
        self.lock().begun = true;
        self.drained.notify_all();
        let mut sink = Sink::open(self.context(), self.verbosity, around, &self.out);
        while let Some(note) = self.next() {
            sink.know(self.context());
            sink.put(&note);
        }
    }

    /// At the end, from the thread that must not wait: what nobody has taken goes to standard error,
    /// whatever its way would have been, as long as that takes it at once. Says how many are left that
    /// nobody will ever see.
    fn last_words(&self, around: Surroundings, route: Route) -> u64 {
        let context = self.context();
        let mut state = self.lock();
        state.closed = true;
        let mut lost = std::mem::take(&mut state.lost);
        // Its line was written before the journal was tried, unless it is too long for that; or standard
        // error is what is stuck.
        let begun = state.writing.take().filter(|note| {
            let record = render(note, &context);
            let line = || line(&record, around, context.format);
            !takes(route.stderr, record.heard) || line().len() > libc::PIPE_BUF
        });
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        let here = around.without_journal().route(self.speaker, self.verbosity);
        let say = |note: &Note| {
            let record = render(note, &context);
            let line = || line(&record, around, context.format);
            takes(here.stderr, record.heard) && self.out.put_at_once(&line())
        };
        for note in begun.into_iter().chain(waiting) {
            if !say(&note) {
                lost = lost.saturating_add(1);
            }
        }
        if lost > 0 && say(&Note::NotesLost { count: lost }) {
            return 0;
        }
        lost
    }

    /// Reports the last note as written, and waits for the next.
    fn next(&self) -> Option<Note> {
        let mut state = self.lock();
        state.writing = None;
        loop {
            if let Some(note) = state.take() {
                state.writing = Some(note.clone());
                return Some(note);
            }
            self.drained.notify_all();
            if state.closed {
                return None;
            }
            state = self
                .filled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests;
