//! `max_parallel`: how many runs of a class go at once, and who waits for a place.
//!
//! A run has its place from its start to its end, whatever is read from the file meanwhile; a found
//! run has one as well. Who is due and finds none queues: in the order in which they were due, one run
//! a job. Who is restarted by hand goes first, as the place was his.
//!
//! Invariants: more runs than `most` go only where the main command, found runs or a smaller `most`
//! brought them; nobody queues where there is a place, but for the millisecond in which a freed lock
//! is left to others.

use std::collections::VecDeque;

use super::Table;

/// A class with a limit.
#[derive(Debug)]
struct Class {
    name: String,
    most: u64,
    going: u64,
    queue: VecDeque<usize>,
}

/// The classes that have a limit. A job knows its class by the place here.
#[derive(Debug, Default)]
pub(super) struct Places {
    classes: Vec<Class>,
}

impl Places {
    /// The class of that name, made where it is not known.
    fn class(&mut self, name: &str, most: u64) -> usize {
        if let Some(at) = self.find(name) {
            return at;
        }
        self.classes.push(Class {
            name: name.to_owned(),
            most,
            going: 0,
            queue: VecDeque::new(),
        });
        self.classes.len() - 1
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.classes.iter().position(|class| class.name == name)
    }

    /// Whether a run can begin without overtaking anybody.
    pub(super) fn has_room(&self, class: Option<usize>) -> bool {
        self.of(class)
            .is_none_or(|class| class.queue.is_empty() && class.going < class.most)
    }

    /// How many of the class go at once.
    pub(super) fn most(&self, class: Option<usize>) -> u64 {
        self.of(class).map_or(u64::MAX, |class| class.most)
    }

    /// How many wait before that job, which need not wait itself yet.
    pub(super) fn before(&self, class: Option<usize>, job: usize) -> usize {
        let Some(class) = self.of(class) else {
            return 0;
        };
        let at = class.queue.iter().position(|queued| *queued == job);
        at.unwrap_or(class.queue.len())
    }

    /// A run begins, or was found.
    pub(super) fn enter(&mut self, class: Option<usize>) {
        if let Some(class) = self.of_mut(class) {
            class.going = class.going.saturating_add(1);
        }
    }

    /// A run is over.
    pub(super) fn leave(&mut self, class: Option<usize>) {
        if let Some(class) = self.of_mut(class) {
            class.going = class.going.saturating_sub(1);
        }
    }

    pub(super) fn queue(&mut self, class: Option<usize>, job: usize, first: bool) {
        match self.of_mut(class) {
            Some(class) if first => class.queue.push_front(job),
            Some(class) => class.queue.push_back(job),
            None => {}
        }
    }

    /// The first one does not wait any more.
    pub(super) fn pop(&mut self, class: Option<usize>) {
        if let Some(class) = self.of_mut(class) {
            class.queue.pop_front();
        }
    }

    /// That job does not wait any more.
    pub(super) fn give_up(&mut self, class: Option<usize>, job: usize) {
        if let Some(class) = self.of_mut(class) {
            class.queue.retain(|queued| *queued != job);
        }
    }

    /// Who comes next in each class that has a place for him.
    pub(super) fn fronts(&self) -> impl Iterator<Item = usize> + '_ {
        self.classes
            .iter()
            .filter(|class| class.going < class.most)
            .filter_map(|class| class.queue.front().copied())
    }

    /// All who wait, class by class, each in its order.
    fn queued(self) -> impl Iterator<Item = usize> {
        self.classes.into_iter().flat_map(|class| class.queue)
    }

    #[cfg(test)]
    pub(super) fn fits(&self, most: usize) -> bool {
        let queued = self
            .classes
            .iter()
            .all(|class| class.queue.len() <= most * 16);
        self.classes.len() <= most && queued
    }

    fn of(&self, class: Option<usize>) -> Option<&Class> {
        self.classes.get(class?)
    }

    fn of_mut(&mut self, class: Option<usize>) -> Option<&mut Class> {
        self.classes.get_mut(class?)
    }
}

impl Table {
    /// Gives out the places anew, as the plan has it now. Nobody loses his place in a queue that is
    /// still there; where there is none any more he is due.
    pub(super) fn place(&mut self) {
        let before = std::mem::take(&mut self.places);
        for row in self.rows.iter_mut().flatten() {
            let name = &row.plan.run.class;
            // What the others have is from an older plan, or counts for nothing.
            let limit = row
                .plan
                .max_parallel
                .filter(|_| !row.removed && !row.plan.main);
            row.class = limit.map(|most| self.places.class(name, most));
        }
        for row in self.rows.iter_mut().flatten() {
            if row.removed || row.plan.main {
                row.class = self.places.find(&row.plan.run.class);
            }
            if let Some(run) = &mut row.run {
                run.class = self.places.find(&run.of);
                self.places.enter(run.class);
            }
            for _ in &row.found {
                self.places.enter(row.class);
            }
        }
        for job in before.queued() {
            let row = self.rows.get_mut(job).and_then(Option::as_mut);
            let Some(row) = row.filter(|row| row.queued.is_some()) else {
                continue;
            };
            if row.class.is_some() {
                self.places.queue(row.class, job, false);
            } else {
                row.queued = None;
                row.asked = true;
            }
        }
    }
}
