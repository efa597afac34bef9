//! The ladder: how a run is ended, in rules.
//!
//! - the first reason for a stop stands; what comes later can only shorten what is left;
//! - the stop signal and CONT go to the command, CONT because a stopped process never hears TERM;
//! - when the command has gone, or its grace is over, every descendant is asked once;
//! - when that grace is over too, KILL goes to our children, level by level, until none is left;
//! - a second request counts from one second after the first, and goes to KILL at once: wrappers
//!   and terminals deliver one request twice within milliseconds;
//! - the run is over when its tree is empty, not when the command has gone.

use std::time::Duration;

use super::signals::SIGCONT;
use super::{Run, State};
use crate::config::plan::StopPlan;
use crate::core::event::Action;
use crate::core::note::Note;
use crate::core::outcome::Reason;
use crate::core::time::Time;
use crate::core::timers::Timer;

/// A second stop request counts from here on.
const SECOND_STOP: Duration = Duration::from_secs(1);
/// How often new descendants are looked for while leftovers have their grace.
pub(super) const RESCAN: Duration = Duration::from_millis(100);
/// When survivors of KILL are named, and how often KILL is sent anew.
pub(super) const KILL_RETRY: Duration = Duration::from_secs(2);
/// What goes on while the run is being ended: the lock is still held, and others still read the status.
const KEPT: [Timer; 2] = [Timer::Touch, Timer::Status];

impl Run {
    pub(super) fn stop_asked(&mut self, now: Time, reason: Reason, out: &mut Vec<Action>) {
        match self.stop_asked_at {
            None => {
                self.stop_asked_at = Some(now);
                self.stop(now, reason, out);
            }
            Some(first) if now.since(first) >= SECOND_STOP => self.hurry(now, out),
            Some(_) => {}
        }
    }

    pub(super) fn stop_within(
        &mut self,
        now: Time,
        within: Option<Duration>,
        out: &mut Vec<Action>,
    ) {
        let Some(within) = within else {
            self.stop(now, Reason::InitStop, out);
            return;
        };
        let leftover = (within / 4).min(self.facts.stop.leftover_grace);
        let grace = within.saturating_sub(leftover);
        self.stop_with(now, Reason::InitStop, grace, out);
        if within.is_zero() {
            self.hurry(now, out);
            return;
        }
        self.over_by(now + within);
        let cap = self.leftover_cap.map_or(leftover, |cap| cap.min(leftover));
        self.leftover_cap = Some(cap);
        match self.state {
            State::Stopping => {
                self.timers.arm_by(Timer::StopGrace, now + grace);
            }
            State::Leftovers => self.timers.arm_by(Timer::LeftoverGrace, now + leftover),
            State::Sweeping => self.keep_to_time(now, out),
            State::New
            | State::Checking
            | State::Claiming
            | State::Queued
            | State::Running
            | State::Killing
            | State::Over => {}
        }
    }

    /// Whoever asks has no time left for graces.
    fn hurry(&mut self, now: Time, out: &mut Vec<Action>) {
        self.over_by(now);
        if self.state == State::Sweeping {
            self.keep_to_time(now, out);
        } else {
            self.kill(now, out);
        }
    }

    fn over_by(&mut self, by: Time) {
        self.over_by = Some(self.over_by.map_or(by, |earlier| earlier.min(by)));
    }

    /// The first rung: the stop signal, and CONT.
    pub(super) fn stop(&mut self, now: Time, reason: Reason, out: &mut Vec<Action>) {
        self.stop_with(now, reason, self.facts.stop.grace, out);
    }

    fn stop_with(&mut self, now: Time, reason: Reason, at_most: Duration, out: &mut Vec<Action>) {
        if matches!(
            reason,
            Reason::Signal(_) | Reason::InitStop | Reason::GuardLost
        ) {
            self.unwanted.get_or_insert(reason);
        }
        match self.state {
            State::New | State::Checking | State::Claiming | State::Queued => {
                self.finish(now, reason, out);
            }
            State::Running => {
                let StopPlan { signal, grace, .. } = self.facts.stop;
                let grace = grace.min(at_most);
                self.reason.get_or_insert(reason);
                self.wind_up(now, grace);
                let to = self.target();
                out.push(Action::Note(Note::Stopping {
                    reason,
                    signal,
                    grace,
                }));
                out.push(Action::Signal { to, signo: signal });
                out.push(Action::Signal { to, signo: SIGCONT });
            }
            State::Stopping | State::Leftovers | State::Killing | State::Sweeping | State::Over => {
            }
        }
    }

    /// The command has `grace` to go.
    pub(super) fn wind_up(&mut self, now: Time, grace: Duration) {
        self.state = State::Stopping;
        self.timers.clear_but(&KEPT);
        self.timers.arm(Timer::StopGrace, now + grace);
    }

    /// The second rung: every descendant is asked.
    pub(super) fn leftovers(&mut self, now: Time, command_alive: bool, out: &mut Vec<Action>) {
        let grace = self.leftover_cap.unwrap_or(self.facts.stop.leftover_grace);
        self.state = State::Leftovers;
        self.timers.clear_but(&KEPT);
        self.timers.arm(Timer::Rescan, now + RESCAN);
        self.timers.arm(Timer::LeftoverGrace, now + grace);
        out.push(Action::Note(Note::Leftovers {
            command_alive,
            grace,
        }));
        out.push(Action::TermDescendants);
    }

    /// The third rung.
    pub(super) fn kill(&mut self, now: Time, out: &mut Vec<Action>) {
        if matches!(self.state, State::Killing | State::Sweeping | State::Over) {
            return;
        }
        self.state = State::Killing;
        self.timers.clear_but(&KEPT);
        self.timers.arm(Timer::KillRetry, now + KILL_RETRY);
        out.push(Action::Note(Note::Killing));
        out.push(Action::KillChildren);
    }

    pub(super) fn survivors(&mut self, now: Time, pids: &[i32], out: &mut Vec<Action>) {
        if self.state != State::Killing {
            return;
        }
        if pids.is_empty() {
            self.over(now, out);
        } else if !self.named {
            self.named = true;
            out.push(Action::Note(Note::Unkillable {
                pids: pids.to_vec(),
            }));
        }
    }

    pub(super) fn over(&mut self, now: Time, out: &mut Vec<Action>) {
        if self.named {
            out.push(Action::Note(Note::UnkillableGone));
        }
        self.empty_at = Some(now);
        if self.facts.sweep.is_some() {
            self.sweep(now, out);
        } else {
            self.finish(now, Reason::Failed, out);
        }
    }
}
