//! A second holder of the lock, where the file system does not keep two apart: our claim is touched,
//! the others' are looked at, and the two holders are named. Who is alive, `core::run::split` decides.
//!
//! Owns `Monitor::look`.

use super::Monitor;
use crate::core::event::Event;
use crate::core::note::Note;
use crate::run::look::Look;

impl Monitor<'_> {
    /// Begins a look, unless the last one still waits for the file system.
    pub(super) fn touch_claim(&mut self) {
        if self.look.is_none() {
            self.look = self.setup.claims.look(self.setup.run_id);
        }
    }

    pub(super) fn look_ended(&mut self) {
        let seen = self.look.take().and_then(Look::seen);
        if let Some(stamps) = seen {
            self.step(Event::ClaimsSeen { stamps });
        }
    }

    pub(super) fn report_split(&self, rival: &str) {
        let Some(lock) = &self.setup.lock else { return };
        let lock = lock.path().to_owned();
        let us = self.setup.run_id;
        let holders = [us, rival].map(|run_id| self.setup.claims.named(run_id));
        self.setup.journal.note(Note::Split { lock, holders });
    }
}
