//! What the command's output tells its run: a final line and what it says, trouble with where it goes;
//! and the end of it.

use std::os::fd::AsFd;
use std::time::Duration;

use super::Monitor;
use super::orders::{stop_is_ordered, stop_is_pending};
use crate::core::event::Event;
use crate::core::note::Note;
use crate::core::time::Time;
use crate::run::output::Output;
use crate::sys::{clock, poll};

/// How long a journal or a file that takes nothing is waited for when the tree is empty.
const STALLED: Duration = Duration::from_secs(1);
/// The same of any reader, where somebody wants the run over: twice that is less than init has left.
pub(in crate::run) const BRIEF: Duration = Duration::from_millis(250);

impl Monitor<'_> {
    /// Hears what the threads of the output have to say.
    pub(super) fn output_told(&mut self) {
        let Some((found, said, notes)) = self.output.as_ref().map(Output::told) else {
            return;
        };
        self.note_all(notes);
        if let Some(said) = said {
            self.pause_said(&said);
        }
        let Some(found) = found else { return };
        self.result = found.result;
        if let Some(session) = &mut self.result.session {
            *session = self.setup.secrets.hide(session);
        }
        self.step(Event::FinalLine {
            failed: found.failed,
        });
    }

    /// Waits until the last output is written on. A request to stop, or the end of our guard, cuts it
    /// off, and one that has come before leaves it the time that somebody who reads needs; where it is
    /// kept, a journal or a file that takes nothing cuts it off, too; and where `limit` says so, any reader.
    /// Says whether no request has: it is heard once.
    pub(super) fn drain_output(&mut self, limit: Option<Duration>) -> bool {
        let begun = clock::now();
        let over_at = limit.map(|limit| begun + limit);
        loop {
            self.output_told();
            let Some(output) = &self.output else {
                return true;
            };
            if output.is_finished() {
                // One more look: a thread speaks before it ends.
                self.output_told();
                return true;
            }
            let patience = match (self.run.is_unwanted(), output.is_kept()) {
                (true, _) => Some(BRIEF),
                (false, true) => Some(STALLED),
                (false, false) => None,
            };
            let stalled_at = patience.map(|patience| output.last_taken().max(begun) + patience);
            let is_over = |at: Option<Time>| at.is_some_and(|at| at <= clock::now());
            if is_over(over_at) || (limit.is_some() && is_over(stalled_at)) {
                return true;
            }
            if is_over(stalled_at) {
                let text = "the end of it is lost, as nothing takes it".to_owned();
                self.setup.journal.note(Note::OutputTrouble { text });
                return true;
            }
            let until = [stalled_at, over_at].into_iter().flatten().min();
            let (above, map) = (self.above(), &self.setup.plan.signals);
            let [_, signal, order] = poll::wait(
                [
                    Some(output.as_fd()),
                    Some(self.signals.as_fd()),
                    above.map(AsFd::as_fd),
                ],
                until,
            );
            if (signal && stop_is_pending(&self.signals, map))
                || (order && above.is_some_and(|above| stop_is_ordered(above, map)))
            {
                return false;
            }
        }
    }
}
