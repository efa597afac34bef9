//! One round: three contenders for one lock in three namespaces, one kill, and what must be true
//! afterwards.

use std::fs;
use std::sync::atomic::Ordering::SeqCst;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::campaign::Program;
use super::lane::{Lane, SPACES};
use super::phase::{Phase, Tracker};
use super::plan::{Aim, Init, OTHER, PLAIN, Plan, SUBJECT};
use super::replay::{entries, log_in};
use super::rng::Rng;
use super::space::{Handle, Space};
use super::stepping::Trace;
use super::tally::{Tally, Victim};
use crate::support::ns::children;
use crate::support::page::Run;

/// Who takes part, by index of its work.
pub(super) struct Contender {
    pub(super) who: usize,
    pub(super) run: Run,
    pub(super) pid: i32,
    pub(super) ended: bool,
}

/// A round under way.
pub(super) struct Round<'l, 'a> {
    pub(super) lane: &'l mut Lane<'a>,
    pub(super) tally: &'l mut Tally,
    pub(super) number: u32,
    pub(super) plan: Plan,
    pub(super) contenders: Vec<Contender>,
    pub(super) trace: Trace,
    /// Who was killed, of the subject's processes.
    pub(super) victim: Option<Victim>,
    /// A monitor without its guard: not our child.
    pub(super) orphan: Option<Handle>,
    pub(super) own_init: Option<Space>,
}

/// Plays round `number` and counts what it showed.
pub(crate) fn play(lane: &mut Lane<'_>, number: u32, tally: &mut Tally) {
    let options = lane.shared.options;
    let mut rng = Rng::of(options.seed, number);
    let traced = matches!(options.program, Program::Lockkeeper(_));
    let plan = Plan::draw(&mut rng, traced);
    let before = (lane.page.overlaps().0, lane.page.beating());
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
    round.judge(before);
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
        let own_init = who == SUBJECT && self.has_own_init();
        let as_init = who == SUBJECT && self.plan.aim.is_own();
        let space = if own_init { SPACES } else { who };
        let work = self.plan.work[who];
        let mut command = self
            .lane
            .contender(self.number, who, space, &work, run, as_init);
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

    pub(super) fn pid_of(&self, who: usize) -> Option<i32> {
        let found = self.contenders.iter().find(|it| it.who == who && !it.ended);
        found.map(|it| it.pid)
    }

    /// The kills that come by the clock.
    fn strike(&mut self) {
        if let Some(delay) = self.plan.ask_other {
            sleep(delay);
            let other = self.pid_of(OTHER).and_then(|pid| Handle::of(pid, 0));
            if other.is_some_and(|other| other.signal(libc::SIGTERM)) {
                self.tally.asked += 1;
            }
        }
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
            Aim::Init { kind, delay } => {
                sleep(delay);
                self.kill_init(kind);
            }
        }
    }

    pub(super) fn has_own_init(&self) -> bool {
        matches!(
            self.plan.aim,
            Aim::Init {
                kind: Init::Own,
                ..
            }
        )
    }

    fn kill_init(&mut self, kind: Init) {
        let pid = match kind {
            Init::Own => self.pid_of(SUBJECT),
            Init::Stranger => Some(self.lane.spaces[SUBJECT].pid1),
            // Its guard is like a monitor without a guard: somebody else's child from now on.
            Init::Subreaper => {
                let found = self.find(Victim::Guard).is_some();
                self.pid_of(SUBJECT).filter(|_| found)
            }
        };
        if kill(pid) {
            match kind {
                Init::Own => self.tally.init_kills += 1,
                Init::Stranger => self.tally.space_kills += 1,
                Init::Subreaper => self.tally.subreaper_kills += 1,
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
        let monitor = child_of(guard)?;
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
}

/// Kills a child or tracee of ours that has not been waited for yet.
pub(super) fn kill(pid: Option<i32>) -> bool {
    pid.and_then(|pid| Handle::of(pid, 0))
        .is_some_and(|handle| handle.signal(libc::SIGKILL))
}

/// The first child of `parent`: it may be about to come, or may never come.
fn child_of(parent: i32) -> Option<i32> {
    (0..30).find_map(|_| {
        let child = children(parent).first().copied();
        if child.is_none() {
            sleep(Duration::from_millis(1));
        }
        child
    })
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
