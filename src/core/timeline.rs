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

use std::collections::BinaryHeap;

pub use run::{End, Mark, Phase, Run, Span};

/// Milliseconds since 1970.
pub type Ms = u64;

/// How long two may seem to hold one lock because of the way of a note, in milliseconds.
pub const SAME: Ms = 1000;
/// How many runs are remembered.
pub const MOST_RUNS: usize = 20_000;
/// How many more, until that many are forgotten at once.
const SPARE: usize = 1000;
/// How many containers and locks are known by name.
const MOST_NAMES: usize = 1000;
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

/// Which of two or more things was last, by a name.
#[derive(Clone, Debug)]
struct Last {
    name: String,
    at: Ms,
    /// The number of a run.
    by: usize,
}

/// The runs, as far as they were told.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    /// In the order in which they were first heard of.
    runs: Vec<Run>,
    /// What tells most of them apart: a number made of container, job and id.
    sums: Vec<u64>,
    /// When each container was last heard of.
    heard: Vec<Last>,
    /// When each lock was last obtained, and by which run.
    obtained: Vec<Last>,
    forgotten: usize,
}

impl Builder {
    /// Takes in the next sign.
    pub fn take(&mut self, sign: &Sign) {
        let mut before = sign.at;
        if let Some(heard) = last(&mut self.heard, &sign.container) {
            before = heard.at;
            heard.at = before.max(sign.at);
        }
        if sign.fact == Fact::Init {
            for run in &mut self.runs {
                if run.container == sign.container {
                    run.lose(before);
                }
            }
            return;
        }
        if sign.run_id.is_empty() {
            return;
        }
        let place = self.place_of(sign);
        if let Some(run) = self.runs.get_mut(place) {
            run.take(sign);
        }
        if matches!(sign.fact, Fact::Obtained(_))
            && let Some(obtained) = last(&mut self.obtained, &sign.lock)
        {
            obtained.at = sign.at;
            obtained.by = place + self.forgotten;
        }
    }

    /// The place of the run that a sign is about, at the end if it is new.
    fn place_of(&mut self, sign: &Sign) -> usize {
        let sum = sum([&sign.container, &sign.job, &sign.run_id]);
        // Who was heard of last is heard of next.
        for (place, (known, run)) in self.sums.iter().zip(&self.runs).enumerate().rev() {
            if *known == sum && run.is_of(sign) {
                return place;
            }
        }
        if self.runs.len() >= MOST_RUNS + SPARE {
            self.forget(SPARE);
        }
        self.sums.push(sum);
        self.runs.push(Run::new(sign));
        self.runs.len() - 1
    }

    fn forget(&mut self, count: usize) {
        self.runs.drain(..count);
        self.sums.drain(..count);
        self.forgotten += count;
    }

    /// What was, as far as it is asked for; `None`: nothing is known of that.
    pub fn finish(mut self, asked: &Question) -> Option<Timeline> {
        self.forget(self.runs.len().saturating_sub(MOST_RUNS));
        for (place, run) in self.runs.iter_mut().enumerate() {
            let number = place + self.forgotten;
            let heard = last(&mut self.heard, &run.container).map_or(0, |heard| heard.at);
            let later = last(&mut self.obtained, &run.lock);
            let later = later.is_some_and(|later| later.at > heard && later.by != number);
            if later && run.holds() {
                run.lose(heard);
            }
        }
        self.runs.retain(|run| asked.wants(run));
        let to = self.heard.iter().map(|heard| heard.at).max();
        let to = asked.to.or(to)?;
        let begun = self.runs.iter().map(Run::begin);
        let begun = begun.filter(|begin| *begin <= to);
        let from = asked.from.or_else(|| begun.min())?;
        let to = to.max(from + 1);
        self.runs.retain_mut(|run| run.cut(from, to));
        let mut timeline = Timeline {
            from,
            to,
            rows: rows(self.runs),
            overlaps: Vec::new(),
            forgotten: self.forgotten,
        };
        timeline.overlap();
        Some(timeline)
    }
}

/// The runs in rows.
fn rows(runs: Vec<Run>) -> Vec<Row> {
    let key = |run: &Run| format!("{}\0{}\0{:016x}", run.container, run.job, run.from);
    let order = order(&runs.iter().map(key).collect::<Vec<_>>());
    let mut runs: Vec<Option<Run>> = runs.into_iter().map(Some).collect();
    let mut rows: Vec<Row> = Vec::new();
    for place in order {
        let Some(run) = runs.get_mut(place).and_then(Option::take) else {
            continue;
        };
        match rows.last_mut() {
            Some(row) if row.container == run.container && row.job == run.job => row.runs.push(run),
            _ => rows.push(Row {
                container: run.container.clone(),
                job: run.job.clone(),
                runs: vec![run],
            }),
        }
    }
    rows
}

/// The places of these keys, sorted. By a heap of pairs, as the names of a file are: a sort of its own for each
/// thing that is to be sorted would be much of this program.
pub fn order(keys: &[String]) -> Vec<usize> {
    let pairs: Vec<(&str, usize)> = keys.iter().map(String::as_str).zip(0..).collect();
    let sorted = BinaryHeap::from(pairs).into_sorted_vec();
    sorted.into_iter().map(|(_, place)| place).collect()
}

/// The one of this name, new if there is none; `None`: there are enough of them, and the least of them matters
/// as much.
fn last<'l>(all: &'l mut Vec<Last>, name: &str) -> Option<&'l mut Last> {
    let known = all.iter().position(|last| last.name == name);
    let place = known.unwrap_or(all.len());
    if known.is_none() && all.len() < MOST_NAMES {
        let name = name.to_owned();
        all.push(Last { name, at: 0, by: 0 });
    }
    all.get_mut(place)
}

/// FNV-1a, which is short.
fn sum(texts: [&String; 3]) -> u64 {
    let mut sum = 0xcbf2_9ce4_8422_2325;
    for byte in texts.into_iter().flat_map(|text| text.bytes().chain([0])) {
        sum = (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    sum
}

impl Timeline {
    /// Finds who held at once.
    fn overlap(&mut self) {
        let (mut keys, mut holds) = (Vec::new(), Vec::new());
        for (row, runs) in self.rows.iter().enumerate() {
            for (number, run) in runs.runs.iter().enumerate() {
                if let Some((from, to)) = run.held() {
                    keys.push(format!("{}\0{from:016x}", run.lock));
                    holds.push((&run.lock, from, to, (row, number)));
                }
            }
        }
        // Those that began before, and may go on.
        let mut before: Vec<&(&String, Ms, Ms, (usize, usize))> = Vec::new();
        for place in order(&keys) {
            let Some(hold) = holds.get(place) else {
                continue;
            };
            let (lock, from, to, who) = *hold;
            before.retain(|(other, _, end, _)| *other == lock && *end > from);
            for (_, _, end, other) in &before {
                let to = to.min(*end);
                if to >= from + SAME && self.overlaps.len() < MOST_OVERLAPS {
                    self.overlaps.push(Overlap {
                        lock: lock.clone(),
                        from,
                        to,
                        who: [*other, who],
                    });
                }
            }
            before.push(hold);
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
