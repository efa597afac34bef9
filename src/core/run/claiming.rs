//! The directories of a run, before anything else.
//!
//! - They come first and the shared lock last, so that nobody waits for a directory while he holds
//!   the lock.
//! - One time, `wait`, covers the wait for both, and counts from where the run began.
//! - A run waits only where its class may, and for what may end by itself; else it ends at once.
//! - The shell tries, and waits for the end of what was in the way; then it is asked to try again.

use super::{Run, State};
use crate::config::plan::{OnConflict, Wait};
use crate::core::event::Action;
use crate::core::outcome::Reason;
use crate::core::time::Time;
use crate::core::timers::Timer;

impl Run {
    pub(super) fn dirs_got(&mut self, now: Time, out: &mut Vec<Action>) {
        if self.state == State::Claiming {
            self.timers.disarm(Timer::LockWait);
            if self.facts.wait.is_none() {
                self.locked_at = Some(now);
            }
            self.queue(now, out);
        }
    }

    pub(super) fn dir_busy(&mut self, now: Time, may_end: bool, out: &mut Vec<Action>) {
        if self.state != State::Claiming {
            return;
        }
        match self.facts.dirs {
            Some(OnConflict::Wait(wait)) if may_end => {
                self.leave.ages();
                if let Wait::AtMost(wait) = wait {
                    self.timers.arm(Timer::LockWait, self.queued_at + wait);
                }
                out.push(Action::AwaitDir);
            }
            Some(_) | None => self.finish(now, Reason::DirNotLocked, out),
        }
    }

    pub(super) fn dir_freed(&self, out: &mut Vec<Action>) {
        if self.state == State::Claiming {
            out.push(Action::LockDirs);
        }
    }

    pub(super) fn dir_failed(&mut self, now: Time, out: &mut Vec<Action>) {
        if self.state == State::Claiming {
            self.finish(now, Reason::DirNotLocked, out);
        }
    }
}
