//! The pause that the command's output asks for.
//!
//! Owns `Monitor::course` and `Monitor::pause`. Killed before the record is in its place, the run has set
//! none; killed after, it stands, as it should.

use super::Monitor;
use crate::core::pause::{Said, shown};
use crate::run::pause::Own;
use crate::sys::clock;

impl Monitor<'_> {
    /// The command has said the line.
    pub(super) fn pause_said(&mut self, said: &Said) {
        let lock = self.setup.plan.kind.lock();
        let Some(plan) = lock.and_then(|lock| lock.pause.as_ref()) else {
            return;
        };
        if !self.course.said(clock::now()) {
            return;
        }
        let said = shown(said, &plan.line, &self.setup.secrets);
        let former = self.pause.take();
        let (own, note) = Own::set(self.owner(), plan.length, said, former);
        self.pause = own;
        self.setup.journal.note(note);
    }

    /// Whether the command's output can ask for a pause.
    pub(super) fn may_pause(&self) -> bool {
        let lock = self.setup.plan.kind.lock();
        self.output.is_some() && lock.is_some_and(|lock| lock.pause.is_some())
    }
}
