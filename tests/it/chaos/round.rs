//! One round: three contenders for one lock in three namespaces, one kill, and what must be true
//! afterwards.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::Ordering::SeqCst;
use std::thread::sleep;
use std::time::{Duration, Instant};

use lockkeeper::lock::listing::{clear_dead, list};

use super::campaign::Program;
use super::lane::{Lane, SPACES};
use super::phase::{Phase, Tracker};
use super::plan::{Aim, PLAIN, Plan, SUBJECT};
use super::replay::{entries, log_in, replay};
use super::rng::Rng;
use super::space::{Handle, Space, hold};
use super::tally::{Tally, Victim};
use super::tracer::{self, At, Pace, Told};
use crate::support::ns::children;
use crate::support::page::Run;

/// Who takes part, by index of its work.
struct Contender {
    who: usize,
    run: Run,
    pid: i32,
    ended: bool,
}

/// The subject under the tracer.
#[derive(Default)]
struct Trace {
    monitor: Option<i32>,
    command: Option<i32>,
    tracker: Option<Tracker>,
    /// The process that goes step by step.
    stepped: i32,
    /// Stops in the phase that is aimed at.
    stops: u32,
    /// Where the kill falls among them.
    place: u32,
    killed: Option<Phase>,
    live: BTreeSet<i32>,
    /// Children that stopped before their parent's fork was told.
    early: BTreeSet<i32>,
}

struct Round<'l, 'a> {
    lane: &'l mut Lane<'a>,
    tally: &'l mut Tally,
    number: u32,
    plan: Plan,
    contenders: Vec<Contender>,
    trace: Trace,
    /// Who was killed, of the subject's processes.
    victim: Option<Victim>,
    /// A monitor without its guard: not our child.
    orphan: Option<Handle>,
    own_init: Option<Space>,
}

/// Plays round `number` and counts what it showed.
pub(crate) fn play(lane: &mut Lane<'_>, number: u32, tally: &mut Tally) {
    let options = lane.shared.options;
    let mut rng = Rng::of(options.seed, number);
    let traced = matches!(options.program, Program::Lockkeeper(_));
    let plan = Plan::draw(&mut rng, traced);
    let (overlaps, _) = lane.page.overlaps();
    lane.slot.fired.store(false, SeqCst);
    lane.slot.set(Some(Instant::now()));
    let mut trace = Trace::default();
    if let Aim::At { phase, .. } = plan.aim {
        let stops = lane.shared.stops[phase as usize].load(SeqCst);
        trace.place = plan.place % stops.max(1);
    }
    let mut round = Round {
        lane,
        tally,
        number,
        plan,
        contenders: Vec::new(),
        trace,
        victim: None,
        orphan: None,
        own_init: None,
    };
    round.start();
    round.strike();
    round.pump(|round| !round.is_over());
    round.judge(overlaps);
}

impl Round<'_, '_> {
    fn start(&mut self) {
        let traced = matches!(self.plan.aim, Aim::At { .. });
        for (place, who) in self.plan.order.into_iter().enumerate() {
            self.begin(who, traced && who == SUBJECT);
            // The first in the queue is there before the second is let in.
            if traced && who == SUBJECT && place == 0 {
                self.pump(|round| {
                    let phase = round.trace.tracker.as_ref().map(Tracker::phase);
                    let early = phase.is_none_or(|phase| phase < Phase::Waiting);
                    early && round.trace.killed.is_none() && !round.trace.live.is_empty()
                });
            }
        }
    }

    fn begin(&mut self, who: usize, traced: bool) {
        let run = self.lane.new_run();
        let own_init = who == SUBJECT && matches!(self.plan.aim, Aim::Init { own: true, .. });
        let space = if own_init { SPACES } else { who };
        let work = self.plan.work[who];
        let mut command = self
            .lane
            .contender(self.number, who, space, &work, run, own_init);
        let pid = if own_init {
            let space = Space::open(command, &self.lane.bind(space));
            let space = space.expect("root may make a namespace");
            let pid = space.pid1;
            self.lane.watch(Some(pid));
            self.own_init = Some(space);
            pid
        } else {
            let started = self.lane.spaces[space].start(&mut command, traced);
            started.expect("a contender can be started")
        };
        if traced {
            self.trace.live.insert(pid);
            self.trace.stepped = pid;
        }
        self.contenders.push(Contender {
            who,
            run,
            pid,
            ended: false,
        });
    }

    fn pid_of(&self, who: usize) -> Option<i32> {
        let found = self.contenders.iter().find(|it| it.who == who && !it.ended);
        found.map(|it| it.pid)
    }

    /// The kills that come by the clock.
    fn strike(&mut self) {
        match self.plan.aim {
            Aim::Nobody | Aim::At { .. } => {}
            Aim::After { victim, delay } => {
                sleep(delay);
                self.kill_by_chance(victim);
            }
            Aim::Plain { delay } => {
                sleep(delay);
                if kill(self.pid_of(PLAIN)) {
                    self.tally.plain_kills += 1;
                }
            }
            Aim::Init { own, delay } => {
                sleep(delay);
                let pid = match &self.own_init {
                    Some(space) => space.pid1,
                    None => self.lane.spaces[SUBJECT].pid1,
                };
                kill(Some(pid));
                if own {
                    self.tally.init_kills += 1;
                } else {
                    self.tally.space_kills += 1;
                }
            }
        }
    }

    fn kill_by_chance(&mut self, victim: Victim) {
        let Some((victim, handle)) = self.find(victim) else {
            self.tally.missed += 1;
            return;
        };
        if handle.signal(libc::SIGKILL) {
            self.victim = Some(victim);
            let phase = self.phase_in_log();
            self.tally.killed(phase, victim, false);
        } else {
            self.tally.missed += 1;
        }
    }

    /// The victim among the subject's processes, or the next above it that is there.
    fn find(&mut self, victim: Victim) -> Option<(Victim, Handle)> {
        let guard = self.pid_of(SUBJECT)?;
        let handle = Handle::of(guard, 0)?;
        // Stopped, so that it forks no monitor that nobody would wait for.
        if victim == Victim::Guard {
            handle.signal(libc::SIGSTOP);
            until_stopped(guard);
            let monitor = children(guard).first().copied();
            self.orphan = monitor.and_then(|pid| Handle::of(pid, guard));
            return Some((Victim::Guard, handle));
        }
        let monitor = children(guard).first().copied()?;
        if victim == Victim::Command
            && let Some(command) = children(monitor).first()
        {
            return Some((Victim::Command, Handle::of(*command, monitor)?));
        }
        Some((Victim::Monitor, Handle::of(monitor, guard)?))
    }

    /// As far as the subject's event log says; what it says after the last entry is not known.
    fn phase_in_log(&self) -> Phase {
        let log = log_in(&self.lane.logs(self.number, SUBJECT));
        let Some(Ok(Some((_, entries)))) = log.map(|log| entries(&log)) else {
            return Phase::Starting;
        };
        let phase = entries.iter().fold(Phase::Starting, Phase::after);
        // The unlock has no entry of its own.
        if phase == Phase::Empty {
            Phase::Unlocked
        } else {
            phase
        }
    }

    fn is_over(&self) -> bool {
        self.contenders.iter().all(|it| it.ended) && self.trace.live.is_empty()
    }

    /// Handles what happens while `go_on` says so.
    fn pump(&mut self, go_on: impl Fn(&Self) -> bool) {
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
        let listing = list(&self.lane.claims());
        let alive = listing
            .claims
            .iter()
            .any(|(record, alive)| *alive && record.run_id == name);
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

    fn ended(&mut self, pid: i32, code: i32) {
        self.trace.live.remove(&pid);
        self.trace.early.remove(&pid);
        let Some(contender) = self.contenders.iter_mut().find(|it| it.pid == pid) else {
            return;
        };
        contender.ended = true;
        let (who, run) = (contender.who, contender.run.get());
        let undisturbed = !matches!(self.plan.aim, Aim::Init { .. });
        if self.lane.slot.fired.load(SeqCst) || !undisturbed && who == SUBJECT {
            return;
        }
        let victim = self.victim.filter(|_| who == SUBJECT);
        if who == PLAIN {
            return;
        }
        let left = self.lane.page.alive().get(&run).copied().unwrap_or(0);
        if victim != Some(Victim::Guard) && left > 0 {
            self.tally.survivors += 1;
            self.tell(&format!("{left} processes outlive their run"));
        }
        let own = self.plan.work[who].status();
        let other = match victim {
            None => own,
            Some(Victim::Guard | Victim::Command) => 137,
            Some(Victim::Monitor) => 125,
        };
        self.tally.statuses += 1;
        if code != own && code != other {
            self.tally.wrong_statuses += 1;
            self.tell(&format!("exit {code} in place of {own} or {other}"));
        }
    }

    fn tell(&mut self, what: &str) {
        let (number, aim, work) = (self.number, self.plan.aim, self.plan.work[SUBJECT].job);
        let killed = self.trace.killed;
        self.tally.tell(format!(
            "round {number}: {what} ({aim:?}, the subject {work:?}, killed {killed:?})"
        ));
    }

    /// What must be true when all have ended.
    fn judge(mut self, overlaps_before: u32) {
        if let Some(orphan) = &self.orphan {
            orphan.await_end();
        }
        let held = hold(&self.lane.lock()).expect("the lock can be waited for");
        let stuck = self.lane.slot.fired.load(SeqCst);
        self.lane.slot.set(None);
        let alive = self.lane.page.alive();
        let left = !alive.is_empty();
        if stuck {
            self.tally.stuck += 1;
            self.tell("the lock did not become free, or a contender did not end");
        } else if left {
            self.tally.survivors += 1;
            self.tell(&format!("the lock is free and these live: {alive:?}"));
        }
        drop(held);
        let (overlaps, pairs) = self.lane.page.overlaps();
        let new = overlaps - overlaps_before;
        if new > 0 {
            let longest = self.lane.page.take_longest();
            match self.plan.aim {
                Aim::Init { own: true, .. } => self.tally.init_overlaps += 1,
                Aim::Init { own: false, .. } => self.tally.space_overlaps += 1,
                _ => self.tally.overlaps += 1,
            }
            if matches!(self.plan.aim, Aim::Init { .. }) {
                self.tally.longest = self.tally.longest.max(longest);
            }
            let last = pairs.last().copied();
            let runs = self.contenders.iter().map(|it| (it.who, it.run.get()));
            let runs: Vec<_> = runs.collect();
            self.tell(&format!(
                "{new} overlaps, up to {longest:?}, the last kept is {last:?} of {runs:?}"
            ));
        }
        self.judge_claims(stuck);
        self.tidy(stuck || left);
    }

    fn judge_claims(&mut self, stuck: bool) {
        let folder = self.lane.claims();
        let listing = list(&folder);
        if !stuck && let Some((record, _)) = listing.claims.iter().find(|(_, alive)| *alive) {
            self.tally.claims_stuck += 1;
            self.tell(&format!("a claim lives on: {record:?}"));
        }
        clear_dead(&folder);
    }

    /// `afresh`: with new namespaces, as something is left in them.
    fn tidy(mut self, afresh: bool) {
        if let Aim::At { phase, .. } = self.plan.aim
            && self.trace.killed.is_none()
        {
            self.tally.missed += 1;
            let stops = &self.lane.shared.stops[phase as usize];
            stops.fetch_max(self.trace.stops.min(300), SeqCst);
        }
        for who in [SUBJECT, 1] {
            let logs = self.lane.logs(self.number, who);
            replay(&logs, &mut self.tally.replayed);
            drop(fs::remove_dir_all(logs));
        }
        self.tally.rounds += 1;
        if afresh {
            self.lane.slot.kill();
        }
        if afresh || matches!(self.plan.aim, Aim::Init { .. }) {
            self.own_init = None;
            self.await_inits(afresh);
            self.lane.reopen();
        }
    }

    /// PID 1s that were killed are reaped before their numbers are looked at.
    fn await_inits(&mut self, all: bool) {
        let spaces = self.lane.spaces.iter().enumerate();
        let own = matches!(self.plan.aim, Aim::Init { own: true, .. });
        let mut dying: BTreeSet<i32> = spaces
            .filter(|(index, _)| all || *index == SUBJECT && !own)
            .map(|(_, space)| space.pid1)
            .collect();
        dying.retain(|pid| Handle::of(*pid, 0).is_some());
        while !dying.is_empty() {
            let Some((pid, _)) = tracer::wait() else {
                return;
            };
            dying.remove(&pid);
        }
    }
}

/// A child or tracee of ours that has not been waited for yet.
fn kill(pid: Option<i32>) -> bool {
    pid.and_then(|pid| Handle::of(pid, 0))
        .is_some_and(|handle| handle.signal(libc::SIGKILL))
}

fn until_stopped(pid: i32) {
    let stopped = || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = stat
            .rsplit(") ")
            .next()
            .and_then(|rest| rest.chars().next());
        !matches!(state, Some('R' | 'S' | 'D'))
    };
    while !stopped() {
        sleep(Duration::from_micros(50));
    }
}
