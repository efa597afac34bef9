//! The subject's way from system call to system call, up to its kill.

use std::collections::BTreeSet;

use lockkeeper::lock::listing::{list, takes_turns};

use super::phase::{Phase, Tracker};
use super::plan::{Aim, SUBJECT};
use super::replay::log_in;
use super::round::{Round, kill};
use super::space::Handle;
use super::tally::Victim;
use super::tracer::{self, At, Pace, Told};

/// The subject under the tracer.
#[derive(Default)]
pub(super) struct Trace {
    pub(super) monitor: Option<i32>,
    pub(super) command: Option<i32>,
    pub(super) tracker: Option<Tracker>,
    /// The process that goes step by step.
    pub(super) stepped: i32,
    /// Stops in the phase that is aimed at.
    pub(super) stops: u32,
    /// Where the kill falls among them.
    pub(super) place: u32,
    pub(super) killed: Option<Phase>,
    pub(super) live: BTreeSet<i32>,
    /// Children that stopped before their parent's fork was told.
    pub(super) early: BTreeSet<i32>,
}

impl Round<'_, '_> {
    /// Handles what happens while `go_on` says so.
    pub(super) fn pump(&mut self, go_on: impl Fn(&Self) -> bool) {
        while go_on(self) {
            let Some((pid, told)) = tracer::wait() else {
                return;
            };
            match told {
                Told::Ended(code) => self.ended(pid, code),
                Told::Forked(child) => self.forked(pid, child),
                Told::AtCall => self.at_call(pid),
                Told::Signal(0) if !self.trace.live.contains(&pid) => {
                    self.trace.early.insert(pid);
                }
                Told::Signal(0) => self.begins(pid),
                Told::Signal(signal) => tracer::go_on(pid, self.pace(pid), signal),
            }
        }
    }

    fn pace(&self, pid: i32) -> Pace {
        if pid == self.trace.stepped && self.trace.killed.is_none() {
            Pace::Step
        } else {
            Pace::Run
        }
    }

    /// A traced process stands before its first instruction.
    fn begins(&mut self, pid: i32) {
        if self.trace.tracker.is_none() {
            tracer::follow(pid);
            self.trace.tracker = Some(Tracker::new(Phase::Starting));
        }
        if self.trace.command == Some(pid) {
            self.trace.live.remove(&pid);
            tracer::go_on(pid, Pace::Leave, 0);
        } else {
            tracer::go_on(pid, self.pace(pid), 0);
        }
    }

    fn forked(&mut self, parent: i32, child: i32) {
        self.trace.live.insert(child);
        if self.trace.monitor.is_none() {
            self.trace.monitor = Some(child);
            self.trace.stepped = child;
            self.trace.tracker = Some(Tracker::new(Phase::Starting));
        } else {
            self.trace.command = Some(child);
            if let Some(tracker) = &mut self.trace.tracker {
                tracker.forked();
            }
        }
        if self.trace.early.remove(&child) {
            self.begins(child);
        }
        tracer::go_on(parent, self.pace(parent), 0);
    }

    fn at_call(&mut self, pid: i32) {
        if let (Some(tracker), true) = (&mut self.trace.tracker, pid == self.trace.stepped) {
            match tracer::at(pid) {
                Some(At::Entry(call)) => {
                    tracker.enter(call, |address, length| tracer::memory(pid, address, length));
                }
                Some(At::Exit(result)) => tracker.leave(result),
                None => {}
            }
            let now = tracker.phase();
            self.consider(now);
        }
        tracer::go_on(pid, self.pace(pid), 0);
    }

    /// Kills here, if this is the place.
    fn consider(&mut self, now: Phase) {
        let Aim::At { phase, victim } = self.plan.aim else {
            return;
        };
        if now != phase || self.trace.killed.is_some() {
            return;
        }
        self.trace.stops += 1;
        if self.trace.stops <= self.trace.place {
            return;
        }
        if now.is_claimed() {
            self.check_claim(now);
        }
        let guard = self.pid_of(SUBJECT);
        let command = self.trace.monitor.zip(self.trace.command);
        let command = command.and_then(|(parent, pid)| Handle::of(pid, parent));
        let (victim, done) = match (victim, command, self.trace.monitor) {
            (Victim::Command, Some(command), _) => (Victim::Command, command.signal(libc::SIGKILL)),
            (Victim::Command | Victim::Monitor, _, Some(monitor)) => {
                (Victim::Monitor, kill(Some(monitor)))
            }
            _ => (Victim::Guard, kill(guard)),
        };
        self.trace.killed = Some(now);
        if done {
            self.victim = Some(victim);
            self.tally.killed(now, victim, true);
        } else {
            self.tally.missed += 1;
        }
    }

    /// The subject lives, and its claims must say so to everybody.
    fn check_claim(&mut self, now: Phase) {
        let Some(log) = log_in(&self.lane.logs(self.number, SUBJECT)) else {
            return;
        };
        let name = log.file_stem().unwrap_or_default().to_string_lossy();
        let folder = self.lane.claims();
        let recorded = self
            .trace
            .tracker
            .as_ref()
            .is_some_and(Tracker::has_recorded);
        let alive = if recorded {
            let mut claims = list(&folder).claims.into_iter();
            claims.any(|(record, alive)| alive && record.run_id == name)
        } else {
            takes_turns(&folder, &name)
        };
        self.tally.claims_seen += 1;
        if !alive {
            self.tally.claims_lost += 1;
            let round = self.number;
            self.tally.tell(format!(
                "round {round}: no living claim of the run {}",
                now.name()
            ));
        }
    }
}
