//! `after`: who starts only when something has come true of others.
//!
//! - What has come true of a job stays true for as long as init knows the job: a run was begun, one
//!   has ended with 0 and not because somebody stopped it, one has said that it is ready.
//! - A gate is shut until all that its job waits for is true, and then open for ever: it is about the
//!   first start, not about ticks and restarts after it. With a rate the grid begins at the opening.
//! - What a job waits for is out of reach when the other job is over without it. Then its own start is
//!   out of reach too, and so on down the line; said once for each, where that was a failure and not
//!   just nobody who asked. It comes back into reach when somebody starts the other job by hand.
//! - A job that waits for what is out of reach keeps nobody: init ends as if it were over. One that
//!   does so because of a failure counts as failed.
//!
//! State: a gate in each row, and in each row the rows that wait for it, made anew by
//! [`Table::link`] when the plan changes. Nothing is looked at but what waits for a row that changed.

use std::collections::BTreeMap;

use super::event::{Action, JobIndex};
use super::row::Row;
use super::{Phase, Table, share};
use crate::config::plan::{After, Want};
use crate::core::note::Note;
use crate::core::time::Time;
use crate::exit;

/// What has come true of a job.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Facts {
    pub(super) started: bool,
    pub(super) succeeded: bool,
    pub(super) ready: bool,
}

impl Facts {
    const fn has(self, want: Want) -> bool {
        match want {
            Want::Started => self.started,
            Want::Succeeded => self.succeeded,
            Want::Ready => self.ready,
        }
    }
}

/// What a job waits for.
#[derive(Debug, Default)]
pub(super) struct Gate {
    waits: Vec<Wait>,
    said: bool,
}

#[derive(Debug)]
struct Wait {
    /// `None`: no job has that name.
    on: Option<usize>,
    after: After,
    out_of_reach: bool,
}

impl Gate {
    pub(super) const fn is_shut(&self) -> bool {
        !self.waits.is_empty()
    }

    /// Whether all that is waited for can still come.
    pub(super) fn has_hope(&self) -> bool {
        self.waits.iter().all(|wait| !wait.out_of_reach)
    }

    /// What is waited for first.
    pub(super) fn first(&self) -> Option<&After> {
        self.waits.first().map(|wait| &wait.after)
    }

    /// Whether it was said that it never opens.
    pub(super) const fn is_lost(&self) -> bool {
        self.said
    }
}

impl Table {
    /// Finds out anew who waits for whom, and which classes have a limit. What a row has waited for
    /// long enough is not asked of it again.
    pub(super) fn link(&mut self, shut: impl Fn(&Row) -> bool) {
        let mut names: BTreeMap<&str, usize> = BTreeMap::new();
        let rows = self.rows.iter().enumerate();
        for (at, row) in rows.filter_map(|(at, row)| Some((at, row.as_ref()?))) {
            if !row.removed {
                names.entry(row.name()).or_insert(at);
            }
        }
        let mut edges: Vec<(usize, usize)> = Vec::new();
        let mut gates: Vec<(usize, Gate)> = Vec::new();
        for (at, row) in self.rows.iter().enumerate() {
            let Some(row) = row.as_ref().filter(|row| shut(row)) else {
                continue;
            };
            let mut gate = Gate {
                waits: Vec::new(),
                said: row.gate.said,
            };
            for after in &row.plan.after {
                let on = names.get(after.job.as_str()).copied();
                let facts = on.and_then(|on| Some(self.rows.get(on)?.as_ref()?.facts));
                if facts.is_some_and(|facts| facts.has(after.want)) {
                    continue;
                }
                gate.waits.push(Wait {
                    on,
                    after: after.clone(),
                    out_of_reach: on.is_none(),
                });
                edges.extend(on.map(|on| (on, at)));
            }
            gates.push((at, gate));
        }
        for row in self.rows.iter_mut().flatten() {
            row.dependents.clear();
        }
        for (at, gate) in gates {
            if let Some(row) = self.row_mut(JobIndex(at)) {
                row.gate = gate;
                if row.gate.is_shut() && !row.by_hand {
                    row.forgo();
                }
            }
        }
        for (on, at) in edges {
            if let Some(row) = self.row_mut(JobIndex(on)) {
                row.dependents.push(at);
            }
        }
    }

    /// Something has come true of that row, or it is over, or it is not any more: those that wait for
    /// it are looked at, and those that wait for them.
    pub(super) fn changed(&mut self, now: Time, JobIndex(on): JobIndex, out: &mut Vec<Action>) {
        if !matches!(self.phase, Phase::Going { .. }) {
            return;
        }
        let mut stack = vec![on];
        while let Some(on) = stack.pop() {
            let Some(Some(row)) = self.rows.get_mut(on) else {
                continue;
            };
            let news = News {
                on,
                facts: row.facts,
                over: row.over(),
                failed: row.last.is_some() || row.given_up || row.gate.is_lost(),
                code: row.last.map(|last| last.code),
            };
            let dependents = std::mem::take(&mut row.dependents);
            for at in &dependents {
                if self.hear(now, *at, &news, out) {
                    stack.push(*at);
                }
            }
            if let Some(Some(row)) = self.rows.get_mut(on) {
                row.dependents = dependents;
            }
        }
    }

    /// Tells one row of another; whether others may wait for what that changes.
    fn hear(&mut self, now: Time, at: usize, news: &News, out: &mut Vec<Action>) -> bool {
        let seed = self.facts.seed;
        let Some(Some(row)) = self.rows.get_mut(at) else {
            return false;
        };
        if !row.gate.is_shut() {
            return false;
        }
        let before = row.over();
        let mut lost = None;
        row.gate.waits.retain_mut(|wait| {
            if wait.on != Some(news.on) {
                return true;
            }
            wait.out_of_reach = news.over;
            let met = news.facts.has(wait.after.want);
            if news.over && !met {
                lost = Some(wait.after.clone());
            }
            !met
        });
        if !row.gate.is_shut() {
            row.gate.said = false;
            row.begin(now, share(seed, row.name()));
            self.to_serve = true;
        }
        let after = row.over();
        if let Some(lost) = lost.filter(|_| news.failed && !row.gate.said && row.starts_by_itself())
        {
            row.gate.said = true;
            let (main, code) = (row.plan.main, news.code.filter(|code| *code != exit::OK));
            out.push(Action::Note(Note::NeverStarts {
                job: row.name().to_owned(),
                after: lost.job,
                want: lost.want,
                code: news.code,
            }));
            self.count(main, code.unwrap_or(exit::FAILED));
            return true;
        }
        before != after
    }
}

/// What is told of a row to those that wait for it.
struct News {
    on: usize,
    facts: Facts,
    over: bool,
    /// Whether it is over because something failed.
    failed: bool,
    code: Option<u8>,
}
