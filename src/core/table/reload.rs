//! A new plan for a table at work.
//!
//! Jobs are known by their names. A job of which nothing has changed keeps its next tick, its run and
//! who waits for it. One that has changed keeps its living run, which has the old plan to its end; what
//! comes after has the new one. One that is gone starts nothing more, and is forgotten when its last
//! run is over. A new one begins as at boot. The main command is what the container is: it stays.

use std::collections::BTreeMap;

use super::ask::refused;
use super::event::{Action, JobIndex};
use super::row::Row;
use super::{Phase, Table, share};
use crate::config::plan::{JobPlan, Plan};
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
    let old: Vec<&JobPlan> = old.into_iter().collect();
    let mut before: BTreeMap<&str, &JobPlan> =
        old.iter().map(|job| (job.run.job.as_str(), *job)).collect();
    for job in new {
        match before.remove(job.run.job.as_str()) {
            None => diff.added.push(job.run.job.clone()),
            Some(old) if old != job => diff.changed.push(job.run.job.clone()),
            Some(_) => {}
        }
    }
    let gone = old.iter().map(|job| &job.run.job);
    let gone = gone.filter(|name| before.contains_key(name.as_str()));
    diff.removed = gone.cloned().collect();
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
        let mut known: BTreeMap<String, JobIndex> = BTreeMap::new();
        for (index, row) in self.rows.iter().enumerate() {
            if let Some(row) = row.as_ref().filter(|row| !self.is_typed(row)) {
                known.insert(row.name().to_owned(), JobIndex(index));
            }
        }
        for job in plan.jobs {
            match known.remove(&job.run.job) {
                Some(index) => self.replan(now, index, job),
                None => self.add(now, job),
            }
        }
        for index in known.into_values() {
            self.remove(index, out);
        }
        out.push(Action::Note(Note::Reloaded {
            added,
            removed,
            changed,
        }));
        self.serve_due(now, out);
    }

    fn replan(&mut self, now: Time, index: JobIndex, plan: JobPlan) {
        let seed = self.facts.seed;
        let Some(row) = self.row_mut(index) else {
            return;
        };
        let (rate, boot) = (row.rate(), (row.plan.start, row.removed));
        row.plan = plan;
        row.removed = false;
        if rate != row.rate() || boot != (row.plan.start, false) {
            let share = share(seed, row.name());
            row.begin(now, share);
        }
    }

    fn add(&mut self, now: Time, plan: JobPlan) {
        let share = share(self.facts.seed, &plan.run.job);
        let found = self.take_outside(&plan.run.job);
        let mut row = Row::new(plan);
        row.found = found;
        row.begin(now, share);
        match self.rows.iter_mut().find(|row| row.is_none()) {
            Some(vacant) => *vacant = Some(row),
            None => self.rows.push(Some(row)),
        }
    }

    fn remove(&mut self, index: JobIndex, out: &mut Vec<Action>) {
        let Some(row) = self.row_mut(index) else {
            return;
        };
        if row.plan.main {
            return;
        }
        row.removed = true;
        row.forgo();
        row.answer_starts(&refused("the job was taken out of the file"), out);
        self.forget(index);
    }

    /// Frees the slot of a job that the file does not name and of which nothing lives.
    pub(super) fn forget(&mut self, index: JobIndex) {
        if let Some(slot) = self.rows.get_mut(index.0)
            && slot.as_ref().is_some_and(|row| row.removed && !row.busy())
        {
            *slot = None;
        }
    }
}
