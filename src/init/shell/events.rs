//! Events: what init and its runs have noted, on its way to the command of `on_event`.
//!
//! Owns `Shell::hook` and `Shell::heard`.

use std::os::fd::AsFd as _;
use std::time::Duration;

use super::Shell;
use crate::config::plan::EventPlan;
use crate::core::hook::Event;
use crate::core::note::Note;
use crate::core::outcome::Status;
use crate::init::hook::Hook;
use crate::sys::{clock, poll};

/// How long what ends init may take to be told.
const LAST: Duration = Duration::from_secs(1);

impl Shell {
    /// Hands on what has been noted since, and lets the command have its time and no more.
    pub(super) fn tell_events(&mut self) {
        let mut events = std::mem::take(&mut self.heard);
        events.extend(self.journal.events());
        let Some(hook) = &mut self.hook else { return };
        let now = clock::now();
        let mut notes = Vec::new();
        for event in events {
            hook.step(now, Event::Said(event), &mut notes);
        }
        if hook.next_deadline().is_some_and(|due| due <= now) {
            hook.step(now, Event::Tick, &mut notes);
        }
        self.note_all(notes);
    }

    /// All runs are over, and so are we: what has not been told yet has a moment, and whoever asks for the
    /// end once more does not wait for it.
    pub(super) fn tell_last_events(&mut self) {
        let until = clock::now() + LAST;
        while let Some(hook) = self.hook.as_ref().filter(|hook| hook.is_going()) {
            let due = hook.next_deadline().map_or(until, |due| due.min(until));
            poll::wait([Some(self.signals.as_fd())], Some(due));
            let mut signals = std::iter::from_fn(|| self.signals.next().ok().flatten());
            let is_asked =
                signals.any(|signal| matches!(signal.signo, libc::SIGTERM | libc::SIGINT));
            self.reap();
            self.tell_events();
            if is_asked || clock::now() >= until {
                break;
            }
        }
        if let Some(hook) = &mut self.hook {
            hook.kill();
        }
    }

    /// A child of ours has ended; whether it was that command.
    pub(super) fn hook_reaped(&mut self, pid: i32, status: Status) -> bool {
        let mut notes = Vec::new();
        let now = clock::now();
        let hook = self.hook.as_mut();
        let is_it = hook.is_some_and(|hook| hook.reaped(now, pid, status, &mut notes));
        self.note_all(notes);
        is_it
    }

    /// From here on this is the command, and these the kinds: also for runs that begin later.
    pub(super) fn take_hook(&mut self, plan: Option<EventPlan>) {
        let kinds = plan.as_ref().map(|plan| plan.kinds.clone());
        self.journal.want(kinds.clone());
        self.guards.events = kinds;
        if self.hook.as_ref().map(Hook::plan) != plan.as_ref() {
            if let Some(mut former) = self.hook.take() {
                former.kill();
            }
            self.hook = plan.map(Hook::new);
        }
    }

    fn note_all(&self, notes: Vec<Note>) {
        for note in notes {
            self.journal.note(note);
        }
    }
}
