//! The end of a run, and what follows: a restart, a failure, an answer.
//!
//! - A run that was asked to stop has not failed, and nothing follows but what somebody has asked for.
//! - Where the plan says so another run follows, after the time that [`Backoff`](super::backoff) names;
//!   with a rate, the next tick comes in between if it is earlier, and the row of restarts begins anew.
//! - A run that a pause kept from starting is no failure of its job: it is tried again after `max_delay`,
//!   and not counted.
//! - When there were enough, the job has failed: with a rate until its next tick, else for good.
//! - No guard to be had is a failure as well. A job that is not restarted is tried again at its next
//!   tick, or without a rate after a second, a few times.

use std::time::Duration;

use super::ask::refused;
use super::event::{Action, JobIndex, RunId};
use super::row::Last;
use super::{Phase, Table};
use crate::config::plan::Then;
use crate::core::note::Note;
use crate::core::outcome::Reason;
use crate::core::time::Time;
use crate::exit;

/// How long after a guard could not be had a job without a rate is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// How many guards such a job is refused before it counts as failed.
const RETRIES: u8 = 5;

impl Table {
    pub(super) fn run_ended(
        &mut self,
        now: Time,
        (job, run): (JobIndex, RunId),
        (code, reason, ran): (u8, Option<Reason>, Option<Duration>),
        out: &mut Vec<Action>,
    ) {
        let Some(row) = self.living(job, run) else {
            return;
        };
        let Some(ended) = row.run.take() else { return };
        let last = Last {
            code,
            reason,
            at: now,
        };
        row.last = Some(last);
        let stopped = ended.stopping.is_some();
        row.facts.succeeded |= code == exit::OK && !stopped;
        let main = row.plan.main;
        out.push(Action::Note(Note::RunEnded {
            job: row.name().to_owned(),
            run_id: run.to_string(),
            code,
            reason,
        }));
        row.answer_ended(last, out);
        if !row.asked {
            // Who waits for a run to begin has had it.
            row.answer_begun(run, out);
        }
        // Where somebody waits for a new run, it has the place of this one.
        let anew =
            row.asked && row.found.is_empty() && row.class.is_some() && row.class == ended.class;
        if anew {
            row.asked = false;
            row.queued = Some(now);
        }
        let class = row.class;
        self.to_serve |= row.asked || ended.class.is_some();
        self.places.leave(ended.class);
        if anew {
            // Before all others, since whenever they wait.
            self.places.queue(class, job.0, Time(0));
        }
        self.lock_freed(now, ended.lock);
        let ran = ran.unwrap_or_else(|| now.since(ended.begun));
        if main {
            self.count(true, code);
        } else if !stopped {
            self.follow(now, job, (code, reason, ran), out);
        }
        self.forget(job);
        self.changed(now, job, out);
    }

    /// What follows on a run that nobody has stopped.
    fn follow(
        &mut self,
        now: Time,
        job: JobIndex,
        (code, reason, ran): (u8, Option<Reason>, Duration),
        out: &mut Vec<Action>,
    ) {
        let going = matches!(self.phase, Phase::Going { .. });
        let Some(row) = self.row_mut(job) else { return };
        // Who asked for a run gets that one.
        if !going || row.asked || row.queued.is_some() || !row.restarts_after(code) {
            self.count(false, code);
            return;
        }
        let plan = row.plan.restart;
        let name = row.name().to_owned();
        let again = match reason {
            // Nothing was tried that could have failed.
            Some(Reason::Paused) => Some(plan.max_delay),
            _ => row.backoff.again(&plan, now, (code, ran)),
        };
        if let Some(delay) = again {
            row.again = Some(now + delay);
            out.push(Action::Note(Note::Restarting {
                job: name,
                code,
                delay,
                row: row.backoff.row(),
            }));
            return;
        }
        row.given_up = row.rate().is_none();
        out.push(Action::Note(Note::GivenUp {
            job: name,
            code,
            limit: plan.limit.unwrap_or_default(),
            within: plan.within,
            exits: plan.then == Then::Exit,
        }));
        self.count(false, code);
        if plan.then == Then::Exit {
            self.fatal.get_or_insert(code);
        }
    }

    pub(super) fn guard_failed(
        &mut self,
        now: Time,
        job: JobIndex,
        run: RunId,
        text: String,
        out: &mut Vec<Action>,
    ) {
        let going = matches!(self.phase, Phase::Going { .. });
        let Some(row) = self.living(job, run) else {
            return;
        };
        let Some(ended) = row.run.take() else { return };
        let by_hand = row.answer_starts(&refused(&text), out);
        let (code, reason) = (exit::FAILED, Some(Reason::Failed));
        let last = Last {
            code,
            reason,
            at: now,
        };
        row.answer_ended(last, out);
        out.push(Action::Note(Note::GuardFailed {
            job: row.name().to_owned(),
            text,
        }));
        self.places.leave(ended.class);
        self.retry(now, job, run, by_hand, going, out);
        self.forget(job);
        self.changed(now, job, out);
        self.to_serve |= ended.class.is_some();
    }

    fn retry(
        &mut self,
        now: Time,
        job: JobIndex,
        run: RunId,
        by_hand: bool,
        going: bool,
        out: &mut Vec<Action>,
    ) {
        let Some(row) = self.row_mut(job) else { return };
        row.failed_starts = row.failed_starts.saturating_add(1);
        if going && row.restarts_after(exit::FAILED) {
            let ended = (exit::FAILED, Some(Reason::Failed), Duration::ZERO);
            self.follow(now, job, ended, out);
            return;
        }
        if row.rate().is_some() || by_hand || row.removed {
            return;
        }
        if going && row.failed_starts < RETRIES {
            row.next = Some(now + RETRY_AFTER);
            return;
        }
        row.given_up = true;
        let (name, main) = (row.name().to_owned(), row.plan.main);
        out.push(Action::Note(Note::RunEnded {
            job: name,
            run_id: run.to_string(),
            code: exit::FAILED,
            reason: Some(Reason::Failed),
        }));
        self.count(main, exit::FAILED);
    }

    pub(super) fn run_found(
        &mut self,
        now: Time,
        job: JobIndex,
        run_id: String,
        out: &mut Vec<Action>,
    ) {
        let Some(row) = self.row_mut(job) else {
            return;
        };
        if !row.add_found(&run_id) {
            return;
        }
        let class = row.class;
        // Nothing of it starts beside that one; what was due is, when that has gone.
        row.asked |= row.queued.take().is_some();
        row.facts.started = true;
        let name = row.name().to_owned();
        out.push(Action::Note(Note::RunFound { job: name, run_id }));
        self.places.give_up(class, job.0);
        self.places.enter(class);
        self.changed(now, job, out);
    }

    pub(super) fn found_gone(&mut self, now: Time, job: JobIndex, run_id: &str) {
        let Some(row) = self.row_mut(job) else {
            return;
        };
        if row.remove_found(run_id) {
            let (lock, class) = (row.lock().cloned(), row.class);
            self.to_serve |= row.asked;
            self.places.leave(class);
            self.lock_freed(now, lock);
            self.forget(job);
            self.to_serve |= class.is_some();
        }
    }
}
