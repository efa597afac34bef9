//! Whether the command may start: whether there is a pause, at once; then its conditions, asked in a
//! thread and answered in the loop.
//!
//! Owns `Monitor::asking`, which is there from the question to the answer, and `Monitor::from_files`. One that nobody has answered
//! stays until the process ends, and with it the thread that may hang in the kernel.

use std::sync::Arc;

use nix::errno::Errno;

use super::Monitor;
use crate::core::event::Event;
use crate::core::refusal::Refusal;
use crate::run::conditions::{Answer, Asking};
use crate::run::pause;

impl Monitor<'_> {
    pub(super) fn check_start(&mut self) -> Option<Event> {
        let mut notes = Vec::new();
        let refusal = pause::of(self.setup.plan, &mut notes);
        self.note_all(notes);
        if let Some(refusal) = refusal {
            return Some(Event::StartRefused { refusal });
        }
        let plan = self.setup.plan;
        if !plan.conditions.any() && !plan.process.reads_files() {
            return Some(Event::StartAllowed);
        }
        match Asking::start(self.setup.plan, self.from_files.clone()) {
            Ok(asking) => {
                self.asking = Some(asking);
                None
            }
            Err(error) => {
                let errno = error.raw_os_error().unwrap_or(Errno::EAGAIN as i32);
                let refusal = Refusal::NotAsked { errno };
                Some(Event::StartRefused { refusal })
            }
        }
    }

    pub(super) fn check_answered(&mut self) {
        let Some(asking) = self.asking.take() else {
            return;
        };
        let event = match asking.answer() {
            Answer::Allowed(read) => {
                if let Some(read) = read {
                    let redact = &self.setup.plan.output.redact;
                    self.setup.secrets.learn(read.secrets(redact));
                    self.from_files = Some(Arc::new(read));
                }
                Event::StartAllowed
            }
            Answer::Refused(refusal) => Event::StartRefused { refusal },
        };
        self.step(event);
    }

    /// No answer is waited for any longer.
    pub(super) fn end_check(&self) -> Option<Event> {
        let refusal = self.asking.as_ref()?.silent();
        Some(Event::StartRefused { refusal })
    }
}
