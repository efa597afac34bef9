//! One row of the job table: when a job starts next, and whether it is busy.
//!
//! State: `next`, the tick or start that has not been served yet (`None`: never again by itself);
//! `asked`, that somebody wants a run as soon as there can be one; `run`, the run that this init
//! started; `found`, living runs that it did not start; `held`, that somebody has stopped the job.
//! Invariants: a row with a run or a found run starts nothing; a row without a rate loses its
//! `next` when it starts and gets one back only when no guard could be had; a row that is held
//! starts nothing by itself.

use std::path::PathBuf;
use std::time::Duration;

use super::ask::Client;
use super::event::RunId;
use crate::config::plan::{Every, JobPlan, Start};
use crate::core::outcome::Reason;
use crate::core::time::Time;

/// The shortest period: what a plan promises (`Every::period`), and what keeps a tick from
/// being due again at once if it does not.
const SHORTEST_PERIOD: Duration = Duration::from_secs(1);

/// A job and where it stands.
#[derive(Debug)]
pub(super) struct Row {
    /// What its next run will be; a living run keeps what it was started with.
    pub(super) plan: JobPlan,
    /// The file does not name it any more: it starts nothing, and is forgotten when nothing of it
    /// lives.
    pub(super) removed: bool,
    /// Somebody has stopped it: it starts nothing by itself.
    pub(super) held: bool,
    pub(super) next: Option<Time>,
    /// Somebody wants a run.
    pub(super) asked: bool,
    pub(super) run: Option<Run>,
    pub(super) found: Vec<String>,
    /// How often in a row no guard could be had; only counted without a rate.
    pub(super) failed_starts: u8,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Start a run.
    Start,
    /// The tick is lost: a run is still going or waiting.
    Skip,
}

impl Row {
    pub(super) const fn new(plan: JobPlan) -> Self {
        Self {
            plan,
            removed: false,
            held: false,
            next: None,
            asked: false,
            run: None,
            found: Vec::new(),
            failed_starts: 0,
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

    /// The lock that its next run queues for.
    pub(super) fn lock(&self) -> Option<&PathBuf> {
        self.plan.run.kind.lock().map(|lock| &lock.path)
    }

    /// Sets the first tick or the only start; `share` of 2^64 is the part of the jitter to wait.
    pub(super) fn begin(&mut self, now: Time, share: u64) {
        let spread = self.rate().map_or(Duration::ZERO, |rate| rate.jitter);
        let boot = self.plan.main || self.plan.start == Start::Boot;
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
        let first = next.into_iter().chain(asked).min()?;
        Some(freed.map_or(first, |freed| first.max(freed)))
    }

    /// Serves what is due, and sets the next tick strictly after `now`. Says, too, how late we are
    /// where whole ticks went by unseen: those are lost, never made up for.
    pub(super) fn take_due(
        &mut self,
        now: Time,
        freed: Option<Time>,
    ) -> Option<(Due, Option<Duration>)> {
        self.wake(freed).filter(|wake| *wake <= now)?;
        let mut late = None;
        if let Some(next) = self.next.filter(|next| *next <= now) {
            self.next = self.rate().map(|rate| {
                let (following, missed) = following(next, rate.period, now);
                late = missed.then(|| now.since(next));
                following
            });
        }
        if self.busy() {
            return Some((Due::Skip, late));
        }
        self.asked = false;
        Some((Due::Start, late))
    }

    /// Nothing starts by itself from here on.
    pub(super) const fn forgo(&mut self) {
        self.next = None;
        self.asked = false;
    }

    /// Whether nothing of ours runs and nothing ever will by itself. A job that would go on if
    /// nobody had stopped it is not over: who stops it may start it again.
    pub(super) const fn over(&self) -> bool {
        self.next.is_none() && !self.asked && self.run.is_none()
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

    pub(super) const fn busy(&self) -> bool {
        self.run.is_some() || !self.found.is_empty()
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
fn part(whole: Duration, share: u64) -> Duration {
    let nanos = u64::try_from(whole.as_nanos()).unwrap_or(u64::MAX);
    let part = (u128::from(nanos) * u128::from(share)) >> 64;
    Duration::from_nanos(u64::try_from(part).unwrap_or(nanos))
}
