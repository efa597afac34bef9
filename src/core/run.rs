//! The life of one run, as a pure state machine.
//!
//! ```text
//! Queued ──lock──► Running ──leader gone, nobody left──────────────► Over
//!    │               │ └────leader gone, some left──┐                  ▲
//!    │               │ watchdog, stop               ▼                  │ nobody left
//!    │               └──────► Stopping ──grace──► Leftovers ──grace──► Killing
//!    └──wait over, stop──────────────────────────────────────────────► Over
//! ```
//!
//! The ladder, in rules:
//! - the first reason for a stop stands; what comes later can only shorten what is left;
//! - the stop signal and CONT go to the command, CONT because a stopped process never hears TERM;
//! - when the command has gone, or its grace is over, every descendant is asked once;
//! - when that grace is over too, KILL goes to our children, level by level, until none is left;
//! - a second request counts from one second after the first, and goes to KILL at once: wrappers
//!   and terminals deliver one request twice within milliseconds;
//! - the run is over when its tree is empty, not when the command has gone.
//!
//! The shell (`crate::run::monitor`) turns what happens into an [`Event`], calls [`Run::handle`],
//! and performs the [`Action`]s in order. Spurious ticks are allowed and do nothing.

use std::time::Duration;

use super::event::{Action, Event, Facts, Target};
use super::note::Note;
use super::outcome::{Outcome, Reason, Status, code};
use super::time::Time;
use super::timers::{ALL, Timer, Timers};
use crate::config::plan::{StopPlan, Wait};

// The numbers that are the same on every architecture Linux runs on, but for MIPS and SPARC, which
// `sys::signals` refuses to build for (signal(7)).
const SIGHUP: i32 = 1;
const SIGINT: i32 = 2;
const SIGQUIT: i32 = 3;
const SIGTERM: i32 = 15;
const SIGCHLD: i32 = 17;
const SIGCONT: i32 = 18;
const SIGSTOP: i32 = 19;
const SIGTSTP: i32 = 20;
const SIGTTIN: i32 = 21;
const SIGTTOU: i32 = 22;
/// From here on signals are real-time ones: each that is sent arrives (signal(7)).
const FIRST_REAL_TIME: i32 = 32;

/// A wake-up later than this after its deadline means that we were not running ourselves.
const LATE: Duration = Duration::from_secs(5);
/// A second stop request counts from here on.
const SECOND_STOP: Duration = Duration::from_secs(1);
/// How often new descendants are looked for while leftovers have their grace.
const RESCAN: Duration = Duration::from_millis(100);
/// The lock's file is watched from here on. A run that is over sooner compares it once, at its end:
/// the kernel takes milliseconds to end a watch, in which nobody could act on what it says anyway.
const WATCH_AFTER: Duration = Duration::from_secs(1);
/// When survivors of KILL are named, and how often KILL is sent anew.
const KILL_RETRY: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    New,
    Queued,
    /// Forked or about to be; the command is wanted.
    Running,
    Stopping,
    Leftovers,
    Killing,
    Over,
}

/// How far the command's process has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Absent,
    /// It exists, and may not have entered its session or program yet.
    Forked,
    /// Its program runs.
    Executed,
    /// Its program never ran; what it exits with is our own doing.
    Failed,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Run {
    facts: Facts,
    state: State,
    timers: Timers,
    queued_at: Time,
    locked_at: Option<Time>,
    started_at: Option<Time>,
    command: Command,
    /// The last final line said: failed.
    result_failed: bool,
    /// Signals for the command that came before its program ran.
    early: Vec<i32>,
    reason: Option<Reason>,
    status: Option<Status>,
    /// init's order left this much for descendants.
    leftover_cap: Option<Duration>,
    /// A stop of job control went to the command's session, and the command's own stop has not
    /// answered it yet.
    stop_passed: bool,
    stop_asked_at: Option<Time>,
    named: bool,
}

impl Run {
    /// A run that has not begun.
    pub fn new(facts: Facts) -> Self {
        Self {
            facts,
            state: State::New,
            timers: Timers::default(),
            queued_at: Time::default(),
            locked_at: None,
            started_at: None,
            command: Command::Absent,
            result_failed: false,
            early: Vec::new(),
            reason: None,
            status: None,
            leftover_cap: None,
            stop_passed: false,
            stop_asked_at: None,
            named: false,
        }
    }

    /// When [`Event::Tick`] is wanted next.
    pub fn next_deadline(&self) -> Option<Time> {
        self.timers.next()
    }

    /// What follows from `event` at `now`; the actions are appended to `out`.
    pub fn handle(&mut self, now: Time, event: &Event, out: &mut Vec<Action>) {
        if self.state == State::Over {
            return;
        }
        match *event {
            Event::Begin { queued_at } => self.begin(queued_at, out),
            Event::LockBusy => self.lock_busy(),
            Event::LockGot => self.lock_got(now, out),
            Event::LockReplaced => self.lock_replaced(out),
            Event::LockFailed => self.lock_failed(now, out),
            Event::Forked { pid } => self.forked(now, pid, out),
            Event::Executed => self.executed(out),
            Event::SpawnFailed {
                step,
                errno,
                forked,
            } => {
                self.spawn_failed(now, Reason::SpawnFailed { step, errno }, forked, out);
            }
            Event::Reaped { command, empty } => self.reaped(now, command, empty, out),
            Event::CommandStopped => self.command_stopped(out),
            Event::FinalLine { failed } => self.final_line(now, failed, out),
            Event::LastOutput { at } => self.last_output(now, at, out),
            Event::Survivors { ref pids } => self.survivors(now, pids, out),
            Event::Signal { signo, kernel } => self.signal(now, signo, kernel, out),
            Event::StopWithin { within } => self.stop_within(now, within, out),
            Event::GuardLost => self.stop(now, Reason::GuardLost, out),
            Event::Tick => self.tick(now, out),
        }
    }

    fn begin(&mut self, queued_at: Time, out: &mut Vec<Action>) {
        if self.state != State::New {
            return;
        }
        self.queued_at = queued_at;
        if self.facts.wait.is_some() {
            self.state = State::Queued;
            out.push(Action::Lock);
        } else {
            self.spawn(out);
        }
    }

    fn spawn(&mut self, out: &mut Vec<Action>) {
        self.state = State::Running;
        out.push(Action::Spawn);
    }

    fn lock_busy(&mut self) {
        if self.state == State::Queued
            && let Some(Wait::AtMost(wait)) = self.facts.wait
        {
            self.timers.arm(Timer::LockWait, self.queued_at + wait);
        }
    }

    fn lock_got(&mut self, now: Time, out: &mut Vec<Action>) {
        if self.state == State::Queued {
            self.locked_at = Some(now);
            self.timers.disarm(Timer::LockWait);
            self.timers.arm(Timer::Watch, now + WATCH_AFTER);
            self.spawn(out);
        }
    }

    fn lock_replaced(&mut self, out: &mut Vec<Action>) {
        if self.state == State::Queued {
            self.state = State::Over;
            self.timers.clear();
            out.push(Action::StartOver);
        }
    }

    fn lock_failed(&mut self, now: Time, out: &mut Vec<Action>) {
        if self.state == State::Queued {
            self.finish(now, Reason::Failed, out);
        }
    }

    fn forked(&mut self, now: Time, pid: i32, out: &mut Vec<Action>) {
        self.command = Command::Forked;
        self.started_at = Some(now);
        out.push(Action::Note(Note::Started { pid }));
        if self.state != State::Running {
            return;
        }
        if let Some(timeout) = self.facts.limits.timeout {
            self.timers.arm(Timer::Timeout, now + timeout);
        }
        if let Some(idle) = self.facts.limits.idle_timeout {
            self.timers.arm(Timer::Idle, now + idle);
        }
    }

    fn spawn_failed(&mut self, now: Time, reason: Reason, forked: bool, out: &mut Vec<Action>) {
        if forked {
            // Its process exits by itself; the reaping ends the run.
            self.command = Command::Failed;
            self.reason.get_or_insert(reason);
        } else {
            self.finish(now, reason, out);
        }
    }

    fn reaped(&mut self, now: Time, command: Option<Status>, empty: bool, out: &mut Vec<Action>) {
        if let Some(status) = command {
            self.status = Some(status);
            self.reason.get_or_insert(Reason::Ended);
        }
        if empty && self.command != Command::Absent {
            self.over(now, out);
            return;
        }
        match self.state {
            State::Killing => out.push(Action::KillChildren),
            State::Running | State::Stopping if command.is_some() => {
                self.leftovers(now, false, out);
            }
            State::New
            | State::Queued
            | State::Running
            | State::Stopping
            | State::Leftovers
            | State::Over => {}
        }
    }

    /// Whoever stops a command in a session of its own behind our back continues it there, too, and
    /// nobody would continue us: the lock would stay held by two stopped processes for ever.
    fn command_stopped(&mut self, out: &mut Vec<Action>) {
        let through_us = std::mem::take(&mut self.stop_passed) || !self.facts.own_session;
        if through_us && self.facts.job_control && self.state == State::Running {
            out.push(Action::StopSelf);
        }
    }

    fn final_line(&mut self, now: Time, failed: bool, out: &mut Vec<Action>) {
        let Some(line) = &self.facts.limits.final_line else {
            return;
        };
        if self.state != State::Running {
            return;
        }
        // An agent that goes on and prints another result is alive: the last one counts.
        let grace = line.grace;
        self.timers.arm(Timer::FinalGrace, now + grace);
        self.result_failed = failed;
        out.push(Action::Note(Note::FinalSeen { failed, grace }));
    }

    fn last_output(&mut self, now: Time, at: Time, out: &mut Vec<Action>) {
        let Some(idle) = self.facts.limits.idle_timeout else {
            return;
        };
        if self.state != State::Running {
            return;
        }
        if now.since(at) >= idle {
            self.stop(now, Reason::IdleTimeout, out);
        } else {
            self.timers.arm(Timer::Idle, at + idle);
        }
    }

    fn survivors(&mut self, now: Time, pids: &[i32], out: &mut Vec<Action>) {
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

    fn executed(&mut self, out: &mut Vec<Action>) {
        self.command = Command::Executed;
        let to = self.target();
        out.extend(
            self.early
                .drain(..)
                .map(|signo| Action::Signal { to, signo }),
        );
    }

    /// Before its program runs, the command may not lead its group yet.
    const fn target(&self) -> Target {
        if self.facts.own_session && matches!(self.command, Command::Executed) {
            Target::Group
        } else {
            Target::Command
        }
    }

    fn signal(&mut self, now: Time, signo: i32, kernel: bool, out: &mut Vec<Action>) {
        // What a terminal sends, it sends to the whole foreground group: the command has it already.
        let command_has_it = kernel && !self.facts.own_session;
        match signo {
            SIGCHLD => {}
            SIGTERM | SIGINT | SIGHUP if self.facts.ignored.contains(&signo) => {}
            SIGINT if command_has_it => {}
            SIGHUP if !self.facts.hup_stops => self.pass(signo, out),
            SIGTERM | SIGINT | SIGHUP => self.stop_asked(now, Reason::Signal(signo), out),
            _ if command_has_it => {}
            SIGQUIT if self.state == State::Queued => {
                self.finish(now, Reason::Signal(signo), out);
            }
            SIGTSTP | SIGTTIN | SIGTTOU if self.facts.own_session => self.suspend(out),
            _ => self.pass(signo, out),
        }
    }

    /// The command's session has no shell that could continue it: its group is orphaned, and only
    /// SIGSTOP stops an orphaned group. Where a shell can continue us we stop once the command has; in
    /// the queue at once, and lose our place to those who want the lock now.
    fn suspend(&mut self, out: &mut Vec<Action>) {
        match self.state {
            State::Queued if self.facts.job_control => out.push(Action::StopSelf),
            State::Running => {
                self.stop_passed = true;
                self.pass(SIGSTOP, out);
            }
            State::New
            | State::Queued
            | State::Stopping
            | State::Leftovers
            | State::Killing
            | State::Over => {}
        }
    }

    fn pass(&mut self, signo: i32, out: &mut Vec<Action>) {
        if self.command == Command::Executed {
            if self.status.is_none() {
                out.push(Action::Signal {
                    to: self.target(),
                    signo,
                });
            }
        } else if signo >= FIRST_REAL_TIME || !self.early.contains(&signo) {
            self.early.push(signo);
        }
    }

    fn stop_asked(&mut self, now: Time, reason: Reason, out: &mut Vec<Action>) {
        match self.stop_asked_at {
            None => {
                self.stop_asked_at = Some(now);
                self.stop(now, reason, out);
            }
            Some(first) if now.since(first) >= SECOND_STOP => self.kill(now, out),
            Some(_) => {}
        }
    }

    fn stop_within(&mut self, now: Time, within: Option<Duration>, out: &mut Vec<Action>) {
        self.stop(now, Reason::InitStop, out);
        let Some(within) = within else { return };
        if within.is_zero() {
            self.kill(now, out);
            return;
        }
        let leftover = (within / 4).min(self.facts.stop.leftover_grace);
        let cap = self.leftover_cap.map_or(leftover, |cap| cap.min(leftover));
        self.leftover_cap = Some(cap);
        match self.state {
            State::Stopping => {
                self.timers
                    .arm_by(Timer::StopGrace, now + within.saturating_sub(leftover));
            }
            State::Leftovers => self.timers.arm_by(Timer::LeftoverGrace, now + leftover),
            State::New | State::Queued | State::Running | State::Killing | State::Over => {}
        }
    }

    /// The first rung: the stop signal, and CONT.
    fn stop(&mut self, now: Time, reason: Reason, out: &mut Vec<Action>) {
        match self.state {
            State::New | State::Queued => self.finish(now, reason, out),
            State::Running => {
                let StopPlan { signal, grace, .. } = self.facts.stop;
                self.state = State::Stopping;
                self.reason.get_or_insert(reason);
                self.timers.clear();
                self.timers.arm(Timer::StopGrace, now + grace);
                let to = self.target();
                out.push(Action::Note(Note::Stopping {
                    reason,
                    signal,
                    grace,
                }));
                out.push(Action::Signal { to, signo: signal });
                out.push(Action::Signal { to, signo: SIGCONT });
            }
            State::Stopping | State::Leftovers | State::Killing | State::Over => {}
        }
    }

    /// The second rung: every descendant is asked.
    fn leftovers(&mut self, now: Time, command_alive: bool, out: &mut Vec<Action>) {
        let grace = self.leftover_cap.unwrap_or(self.facts.stop.leftover_grace);
        self.state = State::Leftovers;
        self.timers.clear();
        self.timers.arm(Timer::Rescan, now + RESCAN);
        self.timers.arm(Timer::LeftoverGrace, now + grace);
        out.push(Action::Note(Note::Leftovers {
            command_alive,
            grace,
        }));
        out.push(Action::TermDescendants);
    }

    /// The third rung.
    fn kill(&mut self, now: Time, out: &mut Vec<Action>) {
        if matches!(self.state, State::Killing | State::Over) {
            return;
        }
        self.state = State::Killing;
        self.timers.clear();
        self.timers.arm(Timer::KillRetry, now + KILL_RETRY);
        out.push(Action::Note(Note::Killing));
        out.push(Action::KillChildren);
    }

    fn tick(&mut self, now: Time, out: &mut Vec<Action>) {
        for timer in ALL {
            let Some(due) = self.timers.take_due(timer, now) else {
                continue;
            };
            match timer {
                Timer::LockWait => self.finish(now, Reason::WaitExpired, out),
                Timer::Watch => out.push(Action::WatchLock),
                Timer::Timeout => self.stop(now, Reason::Timeout, out),
                Timer::Idle => self.idle_due(now, due, out),
                Timer::FinalGrace => {
                    let failed = self.result_failed;
                    self.stop(now, Reason::Final { failed }, out);
                }
                Timer::StopGrace => self.leftovers(now, self.status.is_none(), out),
                Timer::Rescan => {
                    self.timers.arm(Timer::Rescan, now + RESCAN);
                    out.push(Action::TermDescendants);
                }
                Timer::LeftoverGrace => self.kill(now, out),
                Timer::KillRetry => {
                    self.timers.arm(Timer::KillRetry, now + KILL_RETRY);
                    out.push(Action::KillChildren);
                    out.push(Action::AskSurvivors);
                }
            }
        }
    }

    fn idle_due(&mut self, now: Time, due: Time, out: &mut Vec<Action>) {
        let late = now.since(due);
        match self.facts.limits.idle_timeout {
            Some(idle) if late > LATE => {
                self.timers.arm(Timer::Idle, now + idle);
                out.push(Action::Note(Note::WokeLate { late }));
            }
            Some(_) => out.push(Action::AskOutput),
            None => {}
        }
    }

    fn over(&mut self, now: Time, out: &mut Vec<Action>) {
        if self.named {
            out.push(Action::Note(Note::UnkillableGone));
        }
        self.finish(now, Reason::Failed, out);
    }

    /// Ends the run; `reason` counts where none stands yet.
    fn finish(&mut self, now: Time, reason: Reason, out: &mut Vec<Action>) {
        let reason = self.reason.unwrap_or(reason);
        self.state = State::Over;
        self.timers.clear();
        let waited = match self.facts.wait {
            Some(_) => self.locked_at.unwrap_or(now).since(self.queued_at),
            None => Duration::ZERO,
        };
        let status = self.status.filter(|_| self.command != Command::Failed);
        out.push(Action::Finish(Outcome {
            code: code(reason, status),
            reason,
            status,
            waited,
            held: self.locked_at.map_or(Duration::ZERO, |at| now.since(at)),
            ran: self.started_at.map_or(Duration::ZERO, |at| now.since(at)),
        }));
    }
}

#[cfg(test)]
mod tests;
