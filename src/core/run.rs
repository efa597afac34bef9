//! The life of one run, as a pure state machine.
//!
//! ```text
//! Claiming ──directories──┐
//!    │                    ▼
//!    │                 Queued ──lock──► Running ──leader gone, nobody left──────► Sweeping ──► Over
//!    │                    │               │ └────leader gone, some left──┐                  ▲
//!    │                    │               │ watchdog, stop               ▼                  │ nobody left
//!    │                    │               └──────► Stopping ──grace──► Leftovers ──grace──► Killing
//!    └──directory taken,──┴──wait over, stop──────────────────────────────────────────────► Over
//!       wait over, stop
//! ```
//!
//! Where conditions stand before the command there is one more state, `Checking`, before `Claiming`, and
//! again before `Running` where the run had to wait; what they mean is told in `checking`. What comes
//! before the queue of the lock is told in `claiming`; how a run is ended, the ladder, is told in
//! `ladder`; what the command says of itself, in `notices`; what a signal means, in `signals`; how a
//! second holder of the lock is found out, in `split`; what comes between the empty tree and the end
//! where lock directories are listed, in `sweep`.
//!
//! The shell (`crate::run::monitor`) turns what happens into an [`Event`], calls [`Run::handle`],
//! and performs the [`Action`]s in order. Spurious ticks are allowed and do nothing.

use std::time::Duration;

use super::event::{Action, Event, Facts};
use super::note::Note;
use super::outcome::{Outcome, Reason, Status, code};
use super::time::Time;
use super::timers::{ALL, Timer, Timers};
use crate::config::plan::Wait;

mod checking;
mod claiming;
mod ladder;
mod notices;
mod signals;
mod split;
mod sweep;

use checking::Leave;
use ladder::{KILL_RETRY, RESCAN};
use notices::Said;
use split::{Rival, TOUCH_EVERY};

/// A wake-up later than this after its deadline means that we were not running ourselves.
const LATE: Duration = Duration::from_secs(5);
/// When others are told that the command runs. Until then our latch says that somebody is there, and
/// the processor on which the command begins is the command's: writing takes longer than a fork.
const CLAIM_AFTER: Duration = Duration::from_millis(2);
/// The lock's file is watched from here on. A run that is over sooner compares it once, at its end:
/// the kernel takes milliseconds to end a watch, in which nobody could act on what it says anyway.
const WATCH_AFTER: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    New,
    /// Nobody has said yet whether the command may start.
    Checking,
    /// Not all directories are ours.
    Claiming,
    Queued,
    /// Forked or about to be; the command is wanted.
    Running,
    Stopping,
    Leftovers,
    Killing,
    /// The tree is empty; lock directories are swept.
    Sweeping,
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
    leave: Leave,
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
    /// Why it is to be over though its plan lets it go on: somebody has asked, or is no longer there.
    unwanted: Option<Reason>,
    /// Whoever asked for the stop wants it over by then.
    over_by: Option<Time>,
    /// Since when the tree is empty.
    empty_at: Option<Time>,
    /// How often a watch over lock directories has ended late.
    late_watches: u32,
    named: bool,
    said: Said,
    /// The other claims beside the lock, where its file system cannot be judged.
    rivals: Vec<Rival>,
}

impl Run {
    /// A run that has not begun.
    pub fn new(facts: Facts) -> Self {
        Self {
            said: Said::nothing(facts.limits.heartbeat),
            facts,
            state: State::New,
            timers: Timers::default(),
            queued_at: Time::default(),
            leave: Leave::None,
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
            unwanted: None,
            over_by: None,
            empty_at: None,
            late_watches: 0,
            named: false,
            rivals: Vec::new(),
        }
    }

    /// When [`Event::Tick`] is wanted next.
    pub fn next_deadline(&self) -> Option<Time> {
        self.timers.next()
    }

    /// Whether signals wait for the command's program to run, so that [`Event::Executed`] is wanted when
    /// it happens; else it is enough to have it before the next event.
    pub fn awaits_exec(&self) -> bool {
        !self.early.is_empty()
    }

    /// Whether somebody has asked for the stop, or the process above us has gone: then nobody who takes
    /// nothing of its output is waited for.
    pub const fn is_unwanted(&self) -> bool {
        self.unwanted.is_some()
    }

    /// What follows from `event` at `now`; the actions are appended to `out`.
    pub fn handle(&mut self, now: Time, event: &Event, out: &mut Vec<Action>) {
        if self.state == State::Over {
            return;
        }
        match *event {
            Event::Begin { queued_at } => self.begin(now, queued_at, out),
            Event::StartAllowed => self.start_allowed(now, out),
            Event::StartRefused { ref refusal } => self.start_refused(now, refusal, out),
            Event::DirsGot => self.dirs_got(now, out),
            Event::DirBusy { may_end } => self.dir_busy(now, may_end, out),
            Event::DirFreed => self.dir_freed(out),
            Event::DirReplaced => self.start_over(State::Claiming, out),
            Event::DirFailed => self.dir_failed(now, out),
            Event::LockBusy => self.lock_busy(),
            Event::LockGot => self.lock_got(now, out),
            Event::LockReplaced => self.start_over(State::Queued, out),
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
            Event::Noticed(ref notice) => self.noticed(now, notice, out),
            Event::CommandStopped => self.command_stopped(out),
            Event::FinalLine { failed } => self.final_line(now, failed, out),
            Event::LastOutput { at } => self.last_output(now, at, out),
            Event::Survivors { ref pids } => self.survivors(now, pids, out),
            Event::ClaimsSeen { ref stamps } => self.claims_seen(stamps, out),
            Event::Swept { doubtful } => self.swept(now, doubtful, out),
            Event::Signal { signo, kernel } => self.signal(now, signo, kernel, out),
            Event::StopWithin { within } => self.stop_within(now, within, out),
            Event::GuardLost => self.stop(now, Reason::GuardLost, out),
            Event::Tick => self.tick(now, out),
        }
    }

    fn begin(&mut self, now: Time, queued_at: Time, out: &mut Vec<Action>) {
        if self.state != State::New {
            return;
        }
        self.queued_at = queued_at;
        if self.facts.conditions {
            self.check(now, out);
        } else {
            self.claim(now, out);
        }
    }

    fn claim(&mut self, now: Time, out: &mut Vec<Action>) {
        if self.facts.dirs.is_some() {
            self.state = State::Claiming;
            out.push(Action::LockDirs);
        } else {
            self.queue(now, out);
        }
    }

    /// Directories first, the shared lock last: nobody waits for a directory while he holds the lock.
    fn queue(&mut self, now: Time, out: &mut Vec<Action>) {
        if self.facts.wait.is_some() {
            self.state = State::Queued;
            out.push(Action::Lock);
        } else {
            self.spawn(now, out);
        }
    }

    /// All is ours that it claims or queues for.
    fn spawn(&mut self, now: Time, out: &mut Vec<Action>) {
        if self.leave == Leave::Old {
            self.check(now, out);
        } else {
            self.launch(out);
        }
    }

    fn launch(&mut self, out: &mut Vec<Action>) {
        self.state = State::Running;
        if self.facts.sweep.is_some() {
            out.push(Action::LookAtLockDirs);
        }
        out.push(Action::Spawn);
    }

    fn lock_busy(&mut self) {
        if self.state != State::Queued {
            return;
        }
        self.leave.ages();
        if let Some(Wait::AtMost(wait)) = self.facts.wait {
            self.timers.arm(Timer::LockWait, self.queued_at + wait);
        }
    }

    fn lock_got(&mut self, now: Time, out: &mut Vec<Action>) {
        if self.state == State::Queued {
            self.locked_at = Some(now);
            self.timers.disarm(Timer::LockWait);
            self.timers.arm(Timer::Watch, now + WATCH_AFTER);
            if self.facts.unsure {
                self.timers.arm(Timer::Touch, now + TOUCH_EVERY);
            }
            self.spawn(now, out);
        }
    }

    /// What we waited for as `state` says was replaced under us.
    fn start_over(&mut self, state: State, out: &mut Vec<Action>) {
        if self.state == state {
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
        self.timers.arm(Timer::Claim, now + CLAIM_AFTER);
        if let Some(timeout) = self.facts.limits.timeout {
            self.timers.arm(Timer::Timeout, now + timeout);
        }
        if let Some(idle) = self.facts.limits.idle_timeout {
            self.timers.arm(Timer::Idle, now + idle);
        }
        self.listen(now);
    }

    fn spawn_failed(&mut self, now: Time, reason: Reason, forked: bool, out: &mut Vec<Action>) {
        if forked {
            // Its process exits by itself, so that nobody is asked to go; the reaping ends the run.
            self.command = Command::Failed;
            self.reason.get_or_insert(reason);
            if self.state == State::Running {
                self.wind_up(now, self.facts.stop.grace);
            }
        } else {
            self.finish(now, reason, out);
        }
    }

    fn reaped(&mut self, now: Time, command: Option<Status>, empty: bool, out: &mut Vec<Action>) {
        if let Some(status) = command {
            self.status = Some(status);
            self.reason.get_or_insert(Reason::Ended);
        }
        if empty && self.command != Command::Absent && self.state != State::Sweeping {
            self.over(now, out);
            return;
        }
        match self.state {
            State::Killing => out.push(Action::KillChildren),
            State::Running | State::Stopping if command.is_some() => {
                self.leftovers(now, false, out);
            }
            State::New
            | State::Checking
            | State::Claiming
            | State::Queued
            | State::Running
            | State::Stopping
            | State::Leftovers
            | State::Sweeping
            | State::Over => {}
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

    fn tick(&mut self, now: Time, out: &mut Vec<Action>) {
        for timer in ALL {
            let Some(due) = self.timers.take_due(timer, now) else {
                continue;
            };
            match timer {
                Timer::Check => self.check_due(now, due, out),
                Timer::LockWait => self.finish(now, Reason::WaitExpired, out),
                Timer::Claim => out.push(Action::Claim),
                Timer::Watch => out.push(Action::WatchLock),
                Timer::Touch => self.touch_due(now, out),
                Timer::Timeout => self.stop(now, Reason::Timeout, out),
                Timer::Idle => self.idle_due(now, due, out),
                Timer::FinalGrace => {
                    let failed = self.result_failed;
                    self.stop(now, Reason::Final { failed }, out);
                }
                Timer::Ready => self.ready_due(now, due, out),
                Timer::Heartbeat => self.heartbeat_due(now, due, out),
                Timer::Leave => self.stop(now, Reason::Heartbeat, out),
                Timer::Status => self.tell_status(now, out),
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
                Timer::Refresh => self.watched(now, due, out),
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

    /// Ends the run; `reason` counts where none stands yet.
    fn finish(&mut self, now: Time, reason: Reason, out: &mut Vec<Action>) {
        let reason = self.reason.unwrap_or(reason);
        self.state = State::Over;
        self.timers.clear();
        let waits = self.facts.wait.is_some() || self.facts.dirs.is_some();
        let waited = if waits {
            self.locked_at.unwrap_or(now).since(self.queued_at)
        } else {
            Duration::ZERO
        };
        let status = self.status.filter(|_| self.command != Command::Failed);
        let empty_at = self.empty_at.unwrap_or(now);
        out.push(Action::Finish(Outcome {
            code: code(reason, status),
            reason,
            status,
            waited,
            held: self.locked_at.map_or(Duration::ZERO, |at| now.since(at)),
            ran: self
                .started_at
                .map_or(Duration::ZERO, |at| empty_at.since(at)),
        }));
    }
}

#[cfg(test)]
mod tests;
