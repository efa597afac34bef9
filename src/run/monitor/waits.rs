//! What the caller of a run is told while it waits, for the lock or for a directory: a line on its terminal,
//! or one note at the beginning and one at the end.
//!
//! Owns `Monitor::waits`.

use super::{Monitor, Telling};
use crate::run::waiting_line::{Awaited, WaitingLine};

/// What the caller has been told.
#[derive(Debug, Default)]
pub(super) struct Waits {
    line: Option<WaitingLine>,
    /// It was noted that we wait.
    noted: bool,
}

impl Monitor<'_> {
    /// The run waits, perhaps not for the first time; whether the note about it is for the caller.
    pub(super) fn wait_begins(&mut self, awaited: Awaited) -> bool {
        self.waits.line = None;
        if self.setup.telling == Telling::Nobody {
            return false;
        }
        if self.setup.telling == Telling::Line {
            self.waits.line = WaitingLine::start(awaited, self.setup.queued_at).ok();
        }
        let is_news = self.waits.line.is_none() && !self.waits.noted;
        self.waits.noted |= is_news;
        is_news
    }

    /// It does not any more; whether the note about that is for the caller.
    pub(super) fn wait_ends(&mut self) -> bool {
        self.waits.line = None;
        std::mem::take(&mut self.waits.noted)
    }
}
