//! Between the empty tree and the end: lock directories that the run may have left are swept, while
//! the shared lock is still held.
//!
//! - what is dead is removed at once, and what is somebody else's left alone, without any delay;
//! - what is doubtful is watched for `refresh`, by which time a living owner has given a sign of life;
//! - who asks twice for the stop, or wants it over before that, has the doubtful left alone;
//! - woken late, we were not running ourselves, and perhaps nobody else was: the watch begins anew,
//!   once; late again, nothing is held against anybody.

use std::time::Duration;

use super::{Run, State};
use crate::core::event::{Action, Watched};
use crate::core::outcome::Reason;
use crate::core::time::Time;
use crate::core::timers::Timer;

/// Later than this, a watch proves nothing: owners may be as late as we are.
const LATE: Duration = Duration::from_millis(500);

impl Run {
    pub(super) fn sweep(&mut self, now: Time, out: &mut Vec<Action>) {
        self.state = State::Sweeping;
        if self.timers.due(Timer::Status).is_some() {
            self.tell_status(now, out);
        }
        self.timers.clear();
        out.push(Action::Sweep);
    }

    pub(super) fn swept(&mut self, now: Time, doubtful: bool, out: &mut Vec<Action>) {
        if self.state != State::Sweeping {
            return;
        }
        if !doubtful {
            self.finish(now, Reason::Failed, out);
        } else if self.timers.due(Timer::Refresh).is_none() {
            self.watch(now, out);
        }
    }

    /// The time of the watch is over.
    pub(super) fn watched(&mut self, now: Time, due: Time, out: &mut Vec<Action>) {
        if now.since(due) <= LATE {
            self.end_watch(now, Watched::ToTheEnd, out);
            return;
        }
        self.late_watches += 1;
        if self.late_watches == 1 {
            self.watch(now, out);
        } else {
            self.end_watch(now, Watched::Late, out);
        }
    }

    fn watch(&mut self, now: Time, out: &mut Vec<Action>) {
        let refresh = self.facts.sweep.unwrap_or_default();
        self.timers.arm(Timer::Refresh, now + refresh);
        self.keep_to_time(now, out);
    }

    /// Ends a watch that cannot be over in time.
    pub(super) fn keep_to_time(&mut self, now: Time, out: &mut Vec<Action>) {
        if let (Some(due), Some(by)) = (self.timers.due(Timer::Refresh), self.over_by)
            && due > by
        {
            self.end_watch(now, Watched::CutShort, out);
        }
    }

    fn end_watch(&mut self, now: Time, watched: Watched, out: &mut Vec<Action>) {
        out.push(Action::EndWatch(watched));
        self.finish(now, Reason::Failed, out);
    }
}
