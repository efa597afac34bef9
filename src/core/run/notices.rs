//! What the command says of itself ([`Notice`]), and what follows when it says nothing: readiness,
//! heartbeat, status. The rules, after `sd_notify(3)`:
//!
//! - `ready_timeout` counts from the command's start to its first `READY=1`;
//! - `heartbeat` counts from the command's start, where there is a `ready_timeout` from `READY=1`, and
//!   anew from each `WATCHDOG=1`; `WATCHDOG_USEC=` sets it anew, or ends it;
//! - after `STOPPING=1` no sign of life is asked for any more: the command has `stop.grace` to go, and
//!   is stopped if it has not;
//! - `EXTEND_TIMEOUT_USEC=` moves what would end the command earlier than that, as long as it runs
//!   `ready_timeout`, `timeout` and the time after `STOPPING=1`, while it is being stopped `stop.grace`:
//!   never beyond what init has for the stop, and never by more than [`MOST`] at once, so that a command
//!   that hangs after it is ended nevertheless;
//! - woken late, as after a pause of the container, nobody was there to hear it: both count anew;
//! - of a status, others are told at most once a second, and the last one in the end, also while the run
//!   is being stopped, and before lock directories are watched.

use std::time::Duration;

use super::{LATE, Run, State};
use crate::core::event::Action;
use crate::core::note::Note;
use crate::core::notice::Notice;
use crate::core::outcome::Reason;
use crate::core::time::Time;
use crate::core::timers::Timer;

/// The longest time that one `EXTEND_TIMEOUT_USEC=` gives.
const MOST: Duration = Duration::from_hours(1);
/// A heartbeat of seconds is missed in a pause that is shorter than [`LATE`]: a quarter of it counts as
/// late, and never less than this, which a machine under load may take to wake us.
const BARELY_LATE: Duration = Duration::from_millis(100);
/// The shortest time between two words about the status.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// What the command has said so far.
#[derive(Clone, Debug)]
pub(super) struct Said {
    ready: bool,
    stopping: bool,
    /// The longest time between two signs of life.
    heartbeat: Option<Duration>,
    /// It was said that we woke late, and the command has given no sign of life since.
    late: bool,
    /// The last status.
    status: String,
    /// When others were last told of one.
    told_at: Option<Time>,
}

impl Said {
    pub(super) const fn nothing(heartbeat: Option<Duration>) -> Self {
        Self {
            ready: false,
            stopping: false,
            heartbeat,
            late: false,
            status: String::new(),
            told_at: None,
        }
    }
}

impl Run {
    /// The command has started: it has time to get ready, or to show that it lives.
    pub(super) fn listen(&mut self, now: Time) {
        match self.facts.limits.ready_timeout {
            Some(limit) => self.timers.arm(Timer::Ready, now + limit),
            None => self.await_heartbeat(now),
        }
    }

    pub(super) fn noticed(&mut self, now: Time, notice: &Notice, out: &mut Vec<Action>) {
        let Some(started_at) = self.started_at else {
            return;
        };
        if let Some(status) = &notice.status {
            self.status_said(now, status, out);
        }
        if let Some(interval) = notice.interval {
            self.said.heartbeat = (!interval.is_zero()).then_some(interval);
        }
        if self.state == State::Running {
            if notice.ready && !self.said.ready {
                self.said.ready = true;
                self.timers.disarm(Timer::Ready);
                let after = now.since(started_at);
                out.push(Action::Note(Note::Ready { after }));
                out.push(Action::TellReady);
                if self.facts.limits.ready_timeout.is_some() {
                    self.await_heartbeat(now);
                }
            }
            if notice.alive || notice.interval.is_some() {
                self.said.late = false;
                self.await_heartbeat(now);
            }
            if notice.stopping && !self.said.stopping {
                self.said.stopping = true;
                self.timers.disarm(Timer::Ready);
                self.timers.disarm(Timer::Heartbeat);
                self.timers.arm(Timer::Leave, now + self.facts.stop.grace);
            }
        }
        if let Some(time) = notice.extend {
            self.extend(now, now + time.min(MOST));
        }
        if notice.trigger && self.state == State::Running {
            self.stop(now, Reason::Heartbeat, out);
        }
    }

    /// The next sign of life is due one heartbeat from now, if one is asked for in this state.
    fn await_heartbeat(&mut self, now: Time) {
        let starts_up = self.facts.limits.ready_timeout.is_some() && !self.said.ready;
        if starts_up || self.said.stopping {
            return;
        }
        match self.said.heartbeat {
            Some(heartbeat) => self.timers.arm(Timer::Heartbeat, now + heartbeat),
            None => self.timers.disarm(Timer::Heartbeat),
        }
    }

    fn extend(&mut self, now: Time, until: Time) {
        match self.state {
            State::Running => {
                for timer in [Timer::Ready, Timer::Timeout, Timer::Leave] {
                    self.timers.put_off(timer, until);
                }
            }
            State::Stopping => {
                let leftover = self.leftover_cap.unwrap_or_default();
                let last = self.over_by.map_or(until, |by| by - leftover);
                self.timers
                    .put_off(Timer::StopGrace, until.min(last).max(now));
            }
            State::New
            | State::Checking
            | State::Claiming
            | State::Queued
            | State::Leftovers
            | State::Killing
            | State::Sweeping
            | State::Over => {}
        }
    }

    pub(super) fn heartbeat_due(&mut self, now: Time, due: Time, out: &mut Vec<Action>) {
        let late = now.since(due);
        let Some(heartbeat) = self.said.heartbeat else {
            return;
        };
        if late > (heartbeat / 4).clamp(BARELY_LATE, LATE) {
            self.await_heartbeat(now);
            if !std::mem::replace(&mut self.said.late, true) {
                out.push(Action::Note(Note::WokeLate { late }));
            }
        } else {
            self.stop(now, Reason::Heartbeat, out);
        }
    }

    pub(super) fn ready_due(&mut self, now: Time, due: Time, out: &mut Vec<Action>) {
        let late = now.since(due);
        match self.facts.limits.ready_timeout {
            Some(limit) if late > LATE => {
                self.timers.arm(Timer::Ready, now + limit);
                out.push(Action::Note(Note::WokeLate { late }));
            }
            Some(_) => self.stop(now, Reason::ReadyTimeout, out),
            None => {}
        }
    }

    fn status_said(&mut self, now: Time, status: &str, out: &mut Vec<Action>) {
        if self.said.status == status || self.state == State::Over {
            return;
        }
        status.clone_into(&mut self.said.status);
        match self.said.told_at {
            Some(at) if now.since(at) < STATUS_EVERY => {
                self.timers.arm(Timer::Status, at + STATUS_EVERY);
            }
            _ => self.tell_status(now, out),
        }
    }

    pub(super) fn tell_status(&mut self, now: Time, out: &mut Vec<Action>) {
        self.said.told_at = Some(now);
        let text = self.said.status.clone();
        out.push(Action::TellStatus { text });
    }
}
