//! What must hold before anything is started: the conditions of the plan.
//!
//! - They are asked before anything is claimed or queued for; and once more when directories and lock
//!   are ours, if the run had to wait for any of them: what held then may hold no more.
//! - One that does not hold ends the run. Whatever starts the job next asks again.
//! - The answer may lie on a file system that gives none: after [`PATIENCE`] that is a refusal. A stop is
//!   heard meanwhile, as in the queue, and so is the death of the guard.
//! - Woken late, we were not running ourselves, and perhaps nobody was who could answer: the time begins
//!   anew.

use std::time::Duration;

use super::{LATE, Run, State};
use crate::core::event::Action;
use crate::core::note::Note;
use crate::core::refusal::Refusal;
use crate::core::time::Time;
use crate::core::timers::Timer;

/// How long an answer is waited for: a file server that starts anew takes seconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// Whether the conditions were found to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// Nobody has said so.
    None,
    Given,
    /// The run has had to wait since.
    Old,
}

impl Leave {
    /// The run has to wait.
    pub(super) fn ages(&mut self) {
        if *self == Self::Given {
            *self = Self::Old;
        }
    }
}

impl Run {
    /// Asks whether the conditions hold.
    pub(super) fn check(&mut self, now: Time, out: &mut Vec<Action>) {
        self.state = State::Checking;
        self.timers.arm(Timer::Check, now + PATIENCE);
        out.push(Action::CheckStart);
    }

    pub(super) fn start_allowed(&mut self, now: Time, out: &mut Vec<Action>) {
        if self.state != State::Checking {
            return;
        }
        self.timers.disarm(Timer::Check);
        match std::mem::replace(&mut self.leave, Leave::Given) {
            Leave::None => self.claim(now, out),
            Leave::Given | Leave::Old => self.launch(out),
        }
    }

    pub(super) fn start_refused(&mut self, now: Time, refusal: &Refusal, out: &mut Vec<Action>) {
        if self.state != State::Checking {
            return;
        }
        out.push(Action::Note(Note::StartRefused(refusal.clone())));
        self.finish(now, refusal.reason(), out);
    }

    /// The answer is overdue.
    pub(super) fn check_due(&mut self, now: Time, due: Time, out: &mut Vec<Action>) {
        if now.since(due) > LATE {
            self.timers.arm(Timer::Check, now + PATIENCE);
        } else {
            out.push(Action::EndCheck);
        }
    }
}
