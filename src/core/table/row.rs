//! One row of the job table: when a job starts next, and whether it is busy.
//!
//! State: `next`, the tick or start that has not been served yet (`None`: never again by itself);
//! `again`, a restart to come; `asked`, that somebody wants a run as soon as there can be one;
//! `queued`, that it is due and waits for a place; `run`, the run that this init started; `found`,
//! living runs that it did not start; `held`, that somebody has stopped the job; `gate`, what it waits
//! for before it starts for the first time.
//! Invariants: a row with a run or a found run starts nothing; a row without a rate loses its
//! `next` when it starts and gets one back only when no guard could be had; a row that is held
//! starts nothing by itself.

use std::path::PathBuf;
use std::time::Duration;

use super::after::{Facts, Gate};
use super::ask::Client;
use super::backoff::Backoff;
use super::event::RunId;
use crate::config::plan::{Every, JobPlan, Start, When};
use crate::core::outcome::Reason;
use crate::core::time::Time;
use crate::exit;

/// The shortest period: what a plan promises (`Every::period`), and what keeps a tick from
/// being due again at once if it does not.
const SHORTEST_PERIOD: Duration = Duration::from_secs(1);

/// A job and where it stands.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and most of them may be true together"
)]
pub(super) struct Row {
    /// What its next run will be; a living run keeps what it was started with.
    pub(super) plan: JobPlan,
    /// The file does not name it any more: it starts nothing, and is forgotten when nothing of it
    /// lives.
    pub(super) removed: bool,
    /// Somebody has stopped it: it starts nothing by itself.
    pub(super) held: bool,
    /// And it would have gone on if nobody had.
    pub(super) missed: bool,
    /// It failed, and nothing follows.
    pub(super) given_up: bool,
    pub(super) next: Option<Time>,
    pub(super) again: Option<Time>,
    /// Somebody wants a run.
    pub(super) asked: bool,
    /// Whether its next start is somebody's wish, and not its plan's.
    pub(super) by_hand: bool,
    /// Since when it waits for a place.
    pub(super) queued: Option<Time>,
    pub(super) run: Option<Run>,
    pub(super) found: Vec<String>,
    /// How often in a row no guard could be had.
    pub(super) failed_starts: u8,
    pub(super) backoff: Backoff,
    pub(super) gate: Gate,
    /// What has come true of it, for those that wait for it.
    pub(super) facts: Facts,
    /// The rows that wait for it.
    pub(super) dependents: Vec<usize>,
    /// Its class among those that have a limit.
    pub(super) class: Option<usize>,
    /// Who waits for something of this job.
    pub(super) clients: Vec<Client>,
    pub(super) last: Option<Last>,
}

/// A living run, and what of its plan still counts when it ends.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) id: RunId,
    pub(super) begun: Time,
    pub(super) lock: Option<PathBuf>,
    /// The name of its class, and that among those that have a limit.
    pub(super) of: String,
    pub(super) class: Option<usize>,
    /// Since when it has said that it is ready.
    pub(super) ready: Option<Time>,
    /// What it has said of itself.
    pub(super) status: Option<String>,
    /// Since when it has been asked to stop.
    pub(super) stopping: Option<Time>,
}

/// How the last run ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Last {
    pub(super) code: u8,
    pub(super) reason: Option<Reason>,
    pub(super) at: Time,
}

/// What a row wants done at its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    /// Start a run.
    Start,
    /// The tick is lost: a run is still going or waiting.
    Skip,
}

impl Row {
    pub(super) fn new(plan: JobPlan) -> Self {
        Self {
            plan,
            removed: false,
            held: false,
            missed: false,
            given_up: false,
            next: None,
            again: None,
            asked: false,
            by_hand: false,
            queued: None,
            run: None,
            found: Vec::new(),
            failed_starts: 0,
            backoff: Backoff::default(),
            gate: Gate::default(),
            facts: Facts::default(),
            dependents: Vec::new(),
            class: None,
            clients: Vec::new(),
            last: None,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.plan.run.job
    }

    /// At which rate it starts. The main command is what init was started for: it runs once.
    pub(super) fn rate(&self) -> Option<Every> {
        self.plan.every.filter(|_| !self.plan.main)
    }

    /// Whether it starts without being asked.
    pub(super) fn starts_by_itself(&self) -> bool {
        self.plan.main || self.plan.start == Start::Boot
    }

    /// Whether a run that ended with that code is followed by another one.
    pub(super) fn restarts_after(&self, code: u8) -> bool {
        let wanted = match self.plan.restart.when {
            When::Never => false,
            When::OnFailure => code != exit::OK,
            When::Always => code != exit::OK || self.rate().is_none(),
        };
        wanted && !self.plan.main && !self.removed && !self.held
    }

    /// The lock that its next run queues for.
    pub(super) fn lock(&self) -> Option<&PathBuf> {
        self.plan.run.kind.lock().map(|lock| &lock.path)
    }

    /// Sets the first tick or the only start; `share` of 2^64 is the part of the jitter to wait.
    pub(super) fn begin(&mut self, now: Time, share: u64) {
        let spread = self.rate().map_or(Duration::ZERO, |rate| rate.jitter);
        let boot = self.starts_by_itself() && !self.removed;
        self.next = boot.then(|| now + part(spread, share));
    }

    /// When this row has to be looked at again, if its lock can be queued for from `freed` on.
    pub(super) fn wake(&self, freed: Option<Time>) -> Option<Time> {
        let next = self.next.filter(|_| !self.held);
        if self.busy() {
            // A tick that finds the job busy is said to be skipped at its own time.
            return next.filter(|_| self.rate().is_some());
        }
        let asked = self.asked.then_some(Time(0));
        let first = next.into_iter().chain(self.again).chain(asked).min()?;
        Some(freed.map_or(first, |freed| first.max(freed)))
    }

    /// Serves what is due, and sets the next tick strictly after `now`. Says since when it is due, and
    /// how late we are where whole ticks went by unseen: those are lost, never made up for.
    pub(super) fn take_due(
        &mut self,
        now: Time,
        freed: Option<Time>,
    ) -> Option<(Time, Due, Option<Duration>)> {
        self.wake(freed).filter(|wake| *wake <= now)?;
        let mut late = None;
        let tick = self.next.filter(|next| *next <= now);
        if let (Some(tick), Some(rate)) = (tick, self.rate()) {
            let (following, missed) = following(tick, rate.period, now);
            late = missed.then(|| now.since(tick));
            self.next = Some(following);
        }
        let due = tick.into_iter().chain(self.again).min();
        let due = due.map_or(now, |due| due.min(now));
        if self.busy() {
            return Some((due, Due::Skip, late));
        }
        if self.rate().is_none() {
            self.next = None;
        } else if tick.is_some() {
            self.backoff.reset();
        }
        self.again = None;
        self.asked = false;
        Some((due, Due::Start, late))
    }

    /// It starts by itself again. The ticks of the meantime were nobody's, and are not told.
    pub(super) fn release(&mut self, now: Time) {
        let held = std::mem::replace(&mut self.held, false);
        self.missed = false;
        if let (true, Some(next), Some(rate)) = (held, self.next, self.rate())
            && next <= now
        {
            self.next = Some(following(next, rate.period, now).0);
        }
    }

    /// It starts nothing by itself until somebody says so.
    pub(super) fn hold(&mut self) {
        let restarts = self.plan.restart.when != When::Never && !self.plan.main;
        self.missed |= !self.over() && (self.run.is_none() || self.rate().is_some() || restarts);
        self.held = true;
        self.asked = false;
        self.by_hand = false;
        self.again = None;
        self.queued = None;
    }

    /// Nothing starts by itself from here on.
    pub(super) const fn forgo(&mut self) {
        self.next = None;
        self.again = None;
        self.queued = None;
        self.asked = false;
    }

    /// Whether nothing of ours runs and nothing ever will by itself. A job that would go on if
    /// nobody had stopped it is not over: who stops it may start it again.
    pub(super) fn over(&self) -> bool {
        let comes = self.next.is_some() || self.again.is_some() || self.queued.is_some();
        let held = self.held && self.missed;
        let waits = self.gate.is_shut() && self.gate.has_hope() && self.starts_by_itself();
        self.removed && self.run.is_none()
            || !comes && !self.asked && self.run.is_none() && !held && !waits
    }

    /// Whether that run was not known yet.
    pub(super) fn add_found(&mut self, run_id: &str) -> bool {
        let new = !self.found.iter().any(|known| known == run_id);
        if new {
            self.found.push(run_id.to_owned());
        }
        new
    }

    /// Whether that run is known.
    pub(super) fn has_found(&self, run_id: &str) -> bool {
        self.found.iter().any(|known| known == run_id)
    }

    /// Whether that run was known.
    pub(super) fn remove_found(&mut self, run_id: &str) -> bool {
        let before = self.found.len();
        self.found.retain(|known| known != run_id);
        self.found.len() < before
    }

    /// Whether it has ever started, or been tried.
    pub(super) const fn was_begun(&self) -> bool {
        self.facts.started || self.last.is_some() || self.run.is_some() || self.failed_starts > 0
    }

    /// Whether a run of it lives.
    pub(super) const fn lives(&self) -> bool {
        self.run.is_some() || !self.found.is_empty()
    }

    /// Whether it can start no run now.
    pub(super) const fn busy(&self) -> bool {
        self.lives() || self.queued.is_some()
    }
}

/// The first tick after `now` on the grid that `tick` lies on, and whether others lie in between.
fn following(tick: Time, period: Duration, now: Time) -> (Time, bool) {
    let period = u64::try_from(period.max(SHORTEST_PERIOD).as_nanos()).unwrap_or(u64::MAX);
    let missed = now
        .0
        .saturating_sub(tick.0)
        .checked_div(period)
        .unwrap_or(0);
    let ahead = period.saturating_mul(missed.saturating_add(1));
    (Time(tick.0.saturating_add(ahead)), missed > 0)
}

/// `share` of 2^64 parts of `whole`.
pub(super) fn part(whole: Duration, share: u64) -> Duration {
    let nanos = u64::try_from(whole.as_nanos()).unwrap_or(u64::MAX);
    let part = (u128::from(nanos) * u128::from(share)) >> 64;
    Duration::from_nanos(u64::try_from(part).unwrap_or(nanos))
}
