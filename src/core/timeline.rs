//! From the journal's records to what was: who held a lock when, who waited, what was ended by whom.
//!
//! Signs are fed in the order in which they were told, one at a time ([`Builder::take`]); each changes the
//! one run that it is about. [`Builder::finish`] then knows what no single sign says:
//!
//! - **The window.** Where its edges are not given it begins with the first run that is known and ends with
//!   the last word of anybody. A run that began before it, or goes on behind it, is open at that edge.
//! - **What was before the first sign of a run.** The time that it waited or held stands in the sign that
//!   ends the wait or the hold; what no sign tells begins at the window's edge.
//! - **Runs without an end.** Nobody says that a run was killed with its container. It was, where the init of
//!   its container was started or ended since, or where another run has obtained its lock since the
//!   container was last heard of: then it counts until that last word of the container, and as *lost*. Any
//!   other one is still going.
//! - **Two holders.** Two containers may have a lock of the same path and not the same lock; both are shown
//!   as they were, and the time that they had in common ([`Overlap`]). Less than [`SAME`] is none: release
//!   and next claim are told by two processes, and either may be heard first.
//!
//! Holding is of the shared lock, from its `Obtained` to its `Released`; directories are waited for in the
//! same tone and held in that of running without a lock. Times are milliseconds since 1970, as the sender's
//! clock had them; where it was set back a run stands still. At most [`MOST_RUNS`] are remembered, the
//! newest; those that went are counted.

mod run;

use std::collections::BTreeMap;

pub use run::{End, Mark, Phase, Run, Span};

/// Milliseconds since 1970.
pub type Ms = u64;

/// How long two may seem to hold one lock because of the way of a note, in milliseconds.
pub const SAME: Ms = 1000;
/// How many runs are remembered.
pub const MOST_RUNS: usize = 20_000;
/// How many overlaps are told.
const MOST_OVERLAPS: usize = 100;

/// What a record says of a run or of its container; what else it says is beside it in [`Sign`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// It waits for a lock or a directory.
    Waits,
    /// It has the lock, after so many milliseconds.
    Obtained(Ms),
    /// It has a directory, likewise.
    DirObtained(Ms),
    /// A run that it is part of has the lock.
    Nested,
    /// Its command was started.
    Starts,
    /// Its command has been running.
    Runs,
    /// Its file system did not keep another holder away.
    Split,
    /// The kernel killed processes of it for want of memory.
    OutOfMemory,
    /// It, or what it left, is asked to go.
    Stops,
    /// The lock is free, after so many milliseconds.
    Released(Ms),
    /// It is over.
    Ended {
        /// The time that it waited.
        waited: Ms,
        /// The time that it held what it waited for.
        held: Ms,
        /// Whether its command ever ran.
        ran: bool,
    },
    /// It is over, and somebody else says so.
    Seen,
    /// Anything else about a run.
    Told,
    /// The init of the container begins, or ends: no earlier run lives on.
    Init,
}

/// One record, as far as it matters here. A text that is not there is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sign {
    /// When.
    pub at: Ms,
    /// `CONTAINER_NAME`.
    pub container: String,
    /// `JOB`.
    pub job: String,
    /// `JOB_CLASS`.
    pub class: String,
    /// `RUN_ID`.
    pub run_id: String,
    /// `LOCK`.
    pub lock: String,
    /// `HOLDER`.
    pub holder: String,
    /// `REASON`.
    pub reason: String,
    /// `SIGNAL`.
    pub signal: String,
    /// `RUN_CODE`.
    pub code: Option<u8>,
    /// What it says.
    pub fact: Fact,
}

/// All runs of one job of one container, in the order in which they began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The container.
    pub container: String,
    /// The job.
    pub job: String,
    /// Its runs; never none.
    pub runs: Vec<Run>,
}

/// Two runs had a lock of one path at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// The path.
    pub lock: String,
    /// Since when.
    pub from: Ms,
    /// Until when.
    pub to: Ms,
    /// The two, each as the number of its row and of its run there.
    pub who: [(usize, usize); 2],
}

/// What was, between `from` and `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Timeline {
    /// The left edge.
    pub from: Ms,
    /// The right edge, behind the left one.
    pub to: Ms,
    /// The rows, sorted by container and job.
    pub rows: Vec<Row>,
    /// Who held at once.
    pub overlaps: Vec<Overlap>,
    /// How many older runs are not here any more.
    pub forgotten: usize,
}

/// What is asked for; all that is `None` is not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Question {
    /// The left edge.
    pub from: Option<Ms>,
    /// The right edge.
    pub to: Option<Ms>,
    /// This job alone, as `JOB` or `CONTAINER/JOB`.
    pub job: Option<String>,
    /// The runs with the lock of this path alone.
    pub lock: Option<String>,
}

impl Question {
    fn wants(&self, run: &Run) -> bool {
        let is_job = |asked: &String| {
            let rest = asked.strip_suffix(&run.job);
            rest.is_some_and(|rest| {
                rest.is_empty() || rest.strip_suffix('/') == Some(&run.container)
            })
        };
        self.job.as_ref().is_none_or(is_job)
            && self.lock.as_ref().is_none_or(|lock| *lock == run.lock)
    }
}

/// The runs, as far as they were told.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    /// In the order in which they were first heard of.
    runs: BTreeMap<usize, Run>,
    /// Which of them has this container, job and id.
    known: BTreeMap<[String; 3], usize>,
    /// When each container was last heard of.
    heard: BTreeMap<String, Ms>,
    /// When each lock was last obtained, by which container.
    obtained: BTreeMap<String, (Ms, usize)>,
    next: usize,
    forgotten: usize,
}

impl Builder {
    /// Takes in the next sign.
    pub fn take(&mut self, sign: &Sign) {
        let heard = self.heard.entry(sign.container.clone()).or_default();
        let before = *heard;
        *heard = sign.at.max(before);
        if sign.fact == Fact::Init {
            let of_it = |run: &&mut Run| run.container == sign.container;
            for run in self.runs.values_mut().filter(of_it) {
                run.lose(before);
            }
        } else if !sign.run_id.is_empty() {
            let number = self.number_of(sign);
            if let Some(run) = self.runs.get_mut(&number) {
                run.take(sign);
            }
            if matches!(sign.fact, Fact::Obtained(_)) {
                self.obtained.insert(sign.lock.clone(), (sign.at, number));
            }
        }
    }

    fn number_of(&mut self, sign: &Sign) -> usize {
        let key = [&sign.container, &sign.job, &sign.run_id].map(String::clone);
        if let Some(number) = self.known.get(&key) {
            return *number;
        }
        if self.runs.len() >= MOST_RUNS
            && let Some((_, gone)) = self.runs.pop_first()
        {
            self.forgotten += 1;
            self.known.remove(&[gone.container, gone.job, gone.run_id]);
        }
        let number = self.next;
        self.next += 1;
        self.runs.insert(number, Run::new(sign));
        self.known.insert(key, number);
        number
    }

    /// What was, as far as it is asked for; `None`: nothing is known of that.
    pub fn finish(mut self, asked: &Question) -> Option<Timeline> {
        for (number, run) in &mut self.runs {
            let heard = self.heard.get(&run.container).copied().unwrap_or(0);
            let later = self.obtained.get(&run.lock);
            if run.holds() && later.is_some_and(|(at, by)| *at > heard && by != number) {
                run.lose(heard);
            }
        }
        self.runs.retain(|_, run| asked.wants(run));
        let runs = || self.runs.values();
        let to = asked.to.or_else(|| self.heard.values().copied().max())?;
        let begun = runs().map(Run::begin).filter(|begin| *begin <= to);
        let from = asked.from.or_else(|| begun.min())?;
        let to = to.max(from + 1);
        let mut rows: BTreeMap<[String; 2], BTreeMap<(Ms, usize), Run>> = BTreeMap::new();
        for (number, mut run) in self.runs {
            if run.cut(from, to) {
                let row = [run.container.clone(), run.job.clone()];
                let row = rows.entry(row).or_default();
                row.insert((run.from, number), run);
            }
        }
        let mut timeline = Timeline {
            from,
            to,
            rows: Vec::new(),
            overlaps: Vec::new(),
            forgotten: self.forgotten,
        };
        for ([container, job], runs) in rows {
            let runs = runs.into_values().collect();
            timeline.rows.push(Row {
                container,
                job,
                runs,
            });
        }
        timeline.overlap();
        Some(timeline)
    }
}

impl Timeline {
    /// Finds who held at once.
    fn overlap(&mut self) {
        let mut holds = BTreeMap::new();
        for (row, runs) in self.rows.iter().enumerate() {
            for (number, run) in runs.runs.iter().enumerate() {
                if let Some((from, to)) = run.held() {
                    holds.insert((&run.lock, from, row, number), to);
                }
            }
        }
        let mut before: Vec<(&String, Ms, (usize, usize))> = Vec::new();
        for ((lock, from, row, number), to) in holds {
            before.retain(|(other, end, _)| *other == lock && *end >= from + SAME);
            for (_, end, other) in &before {
                let to = to.min(*end);
                if to >= from + SAME && self.overlaps.len() < MOST_OVERLAPS {
                    self.overlaps.push(Overlap {
                        lock: lock.clone(),
                        from,
                        to,
                        who: [*other, (row, number)],
                    });
                }
            }
            before.push((lock, to, (row, number)));
        }
    }

    /// The parts of a run, by the numbers of its row and itself, that it was not the only holder.
    pub fn beside(&self, row: usize, number: usize) -> impl Iterator<Item = &Overlap> {
        let of_it = move |overlap: &&Overlap| overlap.who.contains(&(row, number));
        self.overlaps.iter().filter(of_it)
    }
}

#[cfg(test)]
mod tests;
