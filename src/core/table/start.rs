//! What is due, and who has a place: runs begin here.
//!
//! All that is due at one look is served in the order in which it was due, and where that is the same
//! in the order of the table.

use std::path::PathBuf;
use std::time::Duration;

use super::event::{Action, Answer, JobIndex, RunId};
use super::row::{Due, Row, Run};
use super::{Table, run_id};
use crate::core::note::Note;
use crate::core::time::Time;

/// After a lock is freed, nobody of ours queues for it for so long: the kernel wakes the waiters
/// but does not hand them the lock, so a newcomer within that time overtakes them all.
const REQUEUE_AFTER: Duration = Duration::from_millis(1);

impl Table {
    pub(super) fn serve_due(&mut self, now: Time, out: &mut Vec<Action>) {
        self.freed.retain(|(_, at)| *at > now);
        self.serve_queued(now, out);
        let mut all = Vec::new();
        let mut latest = None;
        for (index, row) in self.rows.iter_mut().enumerate() {
            let Some(row) = row else { continue };
            let freed = freed_at(&self.freed, row);
            if let Some((since, due, late)) = row.take_due(now, freed) {
                latest = latest.max(late);
                all.push((since, index, due));
            }
        }
        all.sort_unstable();
        for (since, index, due) in all {
            match due {
                Due::Skip => {
                    let job = self.rows.get(index).and_then(Option::as_ref);
                    let job = job.map(|row| row.name().to_owned());
                    out.extend(job.map(|job| Action::Note(Note::TickSkipped { job })));
                }
                Due::Start => self.begin_or_queue(now, since, index, out),
            }
        }
        if let Some(late) = latest {
            out.push(Action::Note(Note::WokeLate { late }));
        }
    }

    /// Those that wait for a place, for as long as there are places.
    fn serve_queued(&mut self, now: Time, out: &mut Vec<Action>) {
        loop {
            let next = self.places.fronts().find(|front| {
                let row = self.rows.get(*front).and_then(Option::as_ref);
                row.and_then(|row| freed_at(&self.freed, row)).is_none()
            });
            let Some(index) = next else { return };
            let Some(Some(row)) = self.rows.get_mut(index) else {
                return;
            };
            row.queued = None;
            let class = row.class;
            self.places.pop(class);
            self.begin_run(now, index, out);
        }
    }

    /// From when on the first of those can be served that have a place.
    pub(super) fn front(&self) -> Option<Time> {
        let fronts = self.places.fronts();
        let at = fronts.filter_map(|front| {
            let row = self.rows.get(front)?.as_ref()?;
            Some(freed_at(&self.freed, row).unwrap_or_default())
        });
        at.min()
    }

    fn begin_or_queue(&mut self, now: Time, since: Time, index: usize, out: &mut Vec<Action>) {
        let Some(Some(row)) = self.rows.get_mut(index) else {
            return;
        };
        // What init was started for waits for nobody.
        if row.plan.main || self.places.has_room(row.class) {
            self.begin_run(now, index, out);
            return;
        }
        row.queued = Some(since);
        let (most, before) = (
            self.places.most(row.class),
            self.places.before(row.class, index),
        );
        row.answer_starts(&Answer::Queued { before }, out);
        out.push(Action::Note(Note::PlaceAwaited {
            job: row.name().to_owned(),
            class: row.plan.run.class.clone(),
            most,
            before,
        }));
        let class = row.class;
        self.places.queue(class, index, false);
    }

    fn begin_run(&mut self, now: Time, index: usize, out: &mut Vec<Action>) {
        let Some(Some(row)) = self.rows.get_mut(index) else {
            return;
        };
        self.runs_begun = self.runs_begun.wrapping_add(1);
        let run = run_id(self.facts.seed, self.runs_begun);
        row.given_up = false;
        row.by_hand = false;
        row.run = Some(Run {
            id: run,
            begun: now,
            lock: row.lock().cloned(),
            of: row.plan.run.class.clone(),
            class: row.class,
            ready: None,
            status: None,
            stopping: None,
        });
        self.places.enter(row.class);
        out.push(Action::Note(Note::RunStarting {
            job: row.name().to_owned(),
            run_id: run.to_string(),
        }));
        let job = JobIndex(index);
        out.push(Action::StartRun { job, run });
    }

    pub(super) fn run_begun(
        &mut self,
        now: Time,
        job: JobIndex,
        run: RunId,
        out: &mut Vec<Action>,
    ) {
        let Some(row) = self.living(job, run) else {
            return;
        };
        row.failed_starts = 0;
        row.answer_begun(run, out);
        if !std::mem::replace(&mut row.facts.started, true) {
            self.changed(now, job, out);
        }
    }

    pub(super) fn run_ready(
        &mut self,
        now: Time,
        job: JobIndex,
        run: RunId,
        out: &mut Vec<Action>,
    ) {
        let Some(row) = self.living(job, run) else {
            return;
        };
        if let Some(run) = &mut row.run {
            run.ready.get_or_insert(now);
        }
        if !std::mem::replace(&mut row.facts.ready, true) {
            self.changed(now, job, out);
        }
    }

    pub(super) fn lock_freed(&mut self, now: Time, lock: Option<PathBuf>) {
        let Some(lock) = lock else { return };
        self.freed.retain(|(other, at)| *at > now && *other != lock);
        self.freed.push((lock, now + REQUEUE_AFTER));
    }
}

/// From when on the lock of `row` may be queued for, where it was freed just now.
pub(super) fn freed_at(freed: &[(PathBuf, Time)], row: &Row) -> Option<Time> {
    let lock = row.lock().filter(|_| !freed.is_empty())?;
    let (_, at) = freed.iter().find(|(freed, _)| freed == lock)?;
    Some(*at)
}
