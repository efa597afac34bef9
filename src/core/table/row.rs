//! One row of the job table: when a job starts next, and whether it is busy.
//!
//! State: `next`, the tick or start that has not been served yet (`None`: never again by itself);
//! `run`, the run that this init started; `found`, living runs that it did not start.
//! Invariants: a row with a run or a found run starts nothing; a row without a rate loses its
//! `next` when it starts and gets one back only when no guard could be had.

use std::path::PathBuf;
use std::time::Duration;

use super::event::RunId;
use crate::config::plan::{Every, JobPlan, Start};
use crate::core::time::Time;

/// After a lock is freed, nobody of ours queues for it for so long: the kernel wakes the waiters
/// but does not hand them the lock, so a newcomer within that time overtakes them all.
pub(super) const REQUEUE_AFTER: Duration = Duration::from_millis(1);

/// The shortest period: what a plan promises (`Every::period`), and what keeps a tick from
/// being due again at once if it does not.
const SHORTEST_PERIOD: Duration = Duration::from_secs(1);

/// A job and where it stands.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) name: String,
    pub(super) main: bool,
    lock: Option<PathBuf>,
    boot: bool,
    rate: Option<Every>,
    next: Option<Time>,
    not_before: Time,
    pub(super) run: Option<RunId>,
    found: Vec<String>,
    /// How often in a row no guard could be had; only counted without a rate.
    pub(super) failed_starts: u8,
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
    pub(super) fn new(plan: &JobPlan) -> Self {
        Self {
            name: plan.run.job.clone(),
            main: plan.main,
            lock: plan.run.kind.lock().map(|lock| lock.path.clone()),
            // The main command is what init was started for: it starts, and it runs once.
            boot: plan.main || plan.start == Start::Boot,
            rate: plan.every.filter(|_| !plan.main),
            next: None,
            not_before: Time(0),
            run: None,
            found: Vec::new(),
            failed_starts: 0,
        }
    }

    /// Sets the first tick or the only start; `share` of 2^64 is the part of the jitter to wait.
    pub(super) fn begin(&mut self, now: Time, share: u64) {
        let spread = self.rate.map_or(Duration::ZERO, |rate| rate.jitter);
        self.next = self.boot.then(|| now + part(spread, share));
    }

    /// When this row has to be looked at again.
    pub(super) fn wake(&self) -> Option<Time> {
        match self.next {
            // A tick that finds the job busy is said to be skipped at its own time.
            Some(next) if self.busy() => self.rate.map(|_| next),
            Some(next) => Some(next.max(self.not_before)),
            None => None,
        }
    }

    /// Serves the tick or start that is due, and sets the next one strictly after `now`. Says,
    /// too, how late we are where whole ticks went by unseen: those are lost, never made up for.
    pub(super) fn take_due(&mut self, now: Time) -> Option<(Due, Option<Duration>)> {
        self.wake().filter(|wake| *wake <= now)?;
        let next = self.next?;
        let (following, late) = match self.rate {
            Some(rate) => {
                let (following, missed) = following(next, rate.period, now);
                (Some(following), missed.then(|| now.since(next)))
            }
            None => (None, None),
        };
        self.next = following;
        let due = if self.busy() { Due::Skip } else { Due::Start };
        Some((due, late))
    }

    /// A guard could not be had. With a rate the next tick tries again; without, `retry` says when.
    pub(super) fn guard_failed(&mut self, retry: Option<Time>) {
        self.run = None;
        self.failed_starts = self.failed_starts.saturating_add(1);
        if self.rate.is_none() {
            self.next = retry;
        }
    }

    /// Whether ticks come for ever.
    pub(super) const fn has_rate(&self) -> bool {
        self.rate.is_some()
    }

    /// Nothing starts by itself from here on.
    pub(super) const fn forgo(&mut self) {
        self.next = None;
    }

    /// Whether nothing of ours runs and nothing ever will by itself.
    pub(super) const fn over(&self) -> bool {
        self.next.is_none() && self.run.is_none()
    }

    /// Whether both queue for the same lock.
    pub(super) fn shares_lock(&self, lock: Option<&PathBuf>) -> bool {
        lock.is_some() && self.lock.as_ref() == lock
    }

    pub(super) fn lock(&self) -> Option<PathBuf> {
        self.lock.clone()
    }

    /// The lock was freed now.
    pub(super) fn lock_freed(&mut self, now: Time) {
        self.not_before = now + REQUEUE_AFTER;
    }

    /// Whether that run was not known yet.
    pub(super) fn add_found(&mut self, run_id: &str) -> bool {
        let new = !self.found.iter().any(|known| known == run_id);
        if new {
            self.found.push(run_id.to_owned());
        }
        new
    }

    /// Whether that run was known.
    pub(super) fn remove_found(&mut self, run_id: &str) -> bool {
        let before = self.found.len();
        self.found.retain(|known| known != run_id);
        self.found.len() < before
    }

    fn busy(&self) -> bool {
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
