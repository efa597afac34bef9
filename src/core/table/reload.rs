//! A new plan for a table at work.
//!
//! Jobs are known by their names, and a slot belongs to a name.
//!
//! | a job that | does |
//! | --- | --- |
//! | has not changed | goes on: its next tick, its run, its restarts, who waits for it |
//! | has changed | has the new plan from its next start on; a living run keeps the old one to its end |
//! | … and had failed | is tried at once, as what was wrong may be what has changed |
//! | … its `every` or `jitter` | ticks first when one period is over, on a grid of its own |
//! | … and starts by itself now | begins as at boot |
//! | … its class | counts in the new class from its next start on |
//! | is new | begins as at boot |
//! | is gone | starts nothing more; it is forgotten when its last run is over |
//! | is back before that | has run: it is not begun anew, and its `every` is a new one |
//! | is the main command | stays what it is, and none becomes one: a container is its main command |
//!
//! A job that has run once and ended does not run again because its plan has changed: who wants that
//! says `restart`. `after` is asked of those that have not been begun yet.

use super::ask::refused;
use super::event::{Action, JobIndex};
use super::row::{Row, part};
use super::{Phase, Table, share};
use crate::config::names::Names;
use crate::config::plan::{JobPlan, Plan, When};
use crate::core::note::Note;
use crate::core::time::Time;

/// What is not the same in two plans: the names of jobs, each list in the order of its plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    /// Only the new one has them.
    pub added: Vec<String>,
    /// Only the old one has them.
    pub removed: Vec<String>,
    /// Both have them, and not the same.
    pub changed: Vec<String>,
}

impl Diff {
    /// Whether no job differs.
    pub const fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

/// What `new` changes in `old`.
pub fn diff<'p>(
    old: impl IntoIterator<Item = &'p JobPlan>,
    new: impl IntoIterator<Item = &'p JobPlan>,
) -> Diff {
    let mut diff = Diff::default();
    let mut old: Vec<Option<&JobPlan>> = old.into_iter().map(Some).collect();
    let names = old.iter().flatten().map(|job| job.run.job.as_str());
    let names = Names::of(names.zip(0..).collect());
    for job in new {
        let name = &job.run.job;
        let at = names.find(name).and_then(|at| old.get_mut(at));
        match at.and_then(Option::take) {
            None => diff.added.push(name.clone()),
            Some(old) if old != job => diff.changed.push(name.clone()),
            Some(_) => {}
        }
    }
    let gone = old.into_iter().flatten();
    diff.removed = gone.map(|job| job.run.job.clone()).collect();
    diff
}

impl Table {
    /// What `plan` would change here.
    pub fn difference(&self, plan: &Plan) -> Diff {
        let known = self
            .rows()
            .filter(|row| !row.removed && !self.is_typed(row));
        diff(known.map(|row| &row.plan), &plan.jobs)
    }

    /// Whether this is the main command of the command line, which no file names.
    fn is_typed(&self, row: &Row) -> bool {
        row.plan.main && self.facts.main_typed
    }

    pub(super) fn reload(&mut self, now: Time, plan: Plan, out: &mut Vec<Action>) {
        if !matches!(self.phase, Phase::Going { .. }) {
            return;
        }
        let Diff {
            added,
            removed,
            changed,
        } = self.difference(&plan);
        self.init = plan.init;
        let known = self.names(|row| !self.is_typed(row));
        let mut gone: Vec<bool> = vec![false; self.rows.len()];
        for (_, at) in &known {
            gone.get_mut(*at).into_iter().for_each(|gone| *gone = true);
        }
        let known = Names::of(known);
        let find = |job: &JobPlan| known.find(&job.run.job);
        let places: Vec<Option<usize>> = plan.jobs.iter().map(find).collect();
        let mut to_begin = Vec::new();
        let mut new = Vec::new();
        let mut vacant = 0;
        for (mut job, place) in plan.jobs.into_iter().zip(places) {
            let row = place.and_then(|place| self.rows.get(place)?.as_ref());
            let stays = row.is_some_and(|row| row.plan.main);
            if job.main != stays {
                out.push(Action::Note(main_stays(&job.run.job)));
                job.main = stays;
            }
            if let Some(place) = place {
                gone.get_mut(place)
                    .into_iter()
                    .for_each(|gone| *gone = false);
                to_begin.extend(self.replan(now, JobIndex(place), job));
            } else {
                new.push(self.add(job, &mut vacant));
            }
        }
        for (index, _) in gone.into_iter().enumerate().filter(|(_, gone)| *gone) {
            self.remove(JobIndex(index), out);
        }
        to_begin.extend(&new);
        let waited = self.rows.iter().enumerate();
        let waited = waited.filter(|(_, row)| row.as_ref().is_some_and(|row| row.gate.is_shut()));
        // Where the gate is still shut nothing begins.
        to_begin.extend(waited.map(|(index, _)| JobIndex(index)));
        self.link(|row| row.gate.is_shut() || !row.was_begun());
        self.place();
        for index in new {
            for run_id in self.take_outside(index) {
                self.run_found(now, index, run_id, out);
            }
        }
        for index in to_begin {
            self.begin_row(now, index);
        }
        for job in (0..self.rows.len()).map(JobIndex) {
            self.forget(job);
            self.changed(now, job, out);
        }
        out.push(Action::Note(Note::Reloaded {
            added,
            removed,
            changed,
        }));
        self.to_serve = true;
    }

    /// Gives a row its new plan; its place if it is to begin as at boot.
    fn replan(&mut self, now: Time, index: JobIndex, plan: JobPlan) -> Option<JobIndex> {
        let seed = self.facts.seed;
        let row = self.row_mut(index)?;
        let was_removed = std::mem::replace(&mut row.removed, false);
        if row.plan == plan && !was_removed {
            return None;
        }
        let (rate, by_itself) = (row.rate(), row.starts_by_itself());
        let when = row.plan.restart.when;
        row.plan = plan;
        let failed = row.given_up || row.again.is_some();
        row.given_up = false;
        row.failed_starts = 0;
        row.backoff.reset();
        if !row.starts_by_itself() {
            row.next = None;
            row.again = None;
            if !row.by_hand {
                row.forgo();
            }
            return None;
        }
        if when != row.plan.restart.when && row.plan.restart.when == When::Never {
            row.again = None;
        } else if failed && !row.held {
            // What was wrong may be what has changed.
            row.again = Some(now);
        }
        // What is due starts once, with the new plan.
        let due = row.asked || row.queued.is_some();
        if !due && (!by_itself || !row.was_begun()) {
            return Some(index);
        }
        if was_removed || !by_itself || rate != row.rate() {
            // It has begun, and its first tick is behind it.
            row.next = row.rate().map(|rate| {
                let share = share(seed, row.name());
                now + rate.period + part(rate.jitter, share)
            });
        }
        None
    }

    fn add(&mut self, plan: JobPlan, vacant: &mut usize) -> JobIndex {
        let row = Some(Row::new(plan));
        while self.rows.get(*vacant).is_some_and(Option::is_some) {
            *vacant += 1;
        }
        match self.rows.get_mut(*vacant) {
            Some(slot) => *slot = row,
            None => self.rows.push(row),
        }
        JobIndex(*vacant)
    }

    fn begin_row(&mut self, now: Time, index: JobIndex) {
        let seed = self.facts.seed;
        let row = self.row_mut(index);
        if let Some(row) = row.filter(|row| !row.gate.is_shut()) {
            let share = share(seed, row.name());
            row.begin(now, share);
        }
    }

    fn remove(&mut self, index: JobIndex, out: &mut Vec<Action>) {
        let Some(row) = self.row_mut(index) else {
            return;
        };
        if row.plan.main {
            out.push(Action::Note(main_stays(row.name())));
            return;
        }
        row.removed = true;
        row.forgo();
        row.answer_starts(&refused("the job was taken out of the file"), out);
    }

    /// Frees the slot of a job that the file does not name and of which nothing lives.
    pub(super) fn forget(&mut self, index: JobIndex) {
        if let Some(slot) = self.rows.get_mut(index.0)
            && slot.as_ref().is_some_and(|row| row.removed && !row.lives())
        {
            *slot = None;
        }
    }
}

fn main_stays(job: &str) -> Note {
    Note::ConfigWarning {
        text: format!(
            "which job is the main command changes only with the container: \"{job}\" stays what it \
             was until that is started anew"
        ),
    }
}
