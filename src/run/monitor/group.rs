//! The control group of the run, where its plan asks for one: made with the command, killed with the
//! last rung of the ladder, removed when the tree is empty.
//!
//! Owns `Monitor::group`.

use std::os::fd::OwnedFd;

use super::Monitor;
use crate::core::note::Note;
use crate::run::cgroup::group;
use crate::trouble;

impl Monitor<'_> {
    /// Makes the group, and says what of it is not to be had; the way into it.
    pub(super) fn make_group(&mut self) -> Option<OwnedFd> {
        let files = &self.setup.plan.process.cgroup;
        if files.is_empty() {
            return None;
        }
        let made = group::make(self.setup.run_id, files);
        self.group = made.group;
        if let Some(lacks) = made.lacks {
            let text = format!("not in force: {lacks}");
            self.setup.journal.note(Note::GroupTrouble { text });
        }
        match self.group.as_ref()?.door() {
            Ok(door) => Some(door),
            Err(error) => {
                let text = format!(
                    "the command is not in its group: opening it: {}",
                    trouble::text_of(&error)
                );
                self.setup.journal.note(Note::GroupTrouble { text });
                None
            }
        }
    }

    /// The tree is empty, or there never was one.
    pub(super) fn leave_group(&mut self) {
        let Some(group) = self.group.take() else {
            return;
        };
        let count = group.oom_kills();
        if count > 0 {
            self.setup.journal.note(Note::OutOfMemory { count });
        }
        if let Err(text) = group.remove() {
            self.setup.journal.note(Note::GroupTrouble { text });
        }
    }
}
