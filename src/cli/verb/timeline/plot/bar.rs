//! A run as a bar, or several of one lane that are too near to each other.

use super::super::label::{cut, end, name, plain, stamp};
use super::size::{Len, RIGHT, THIN, place};
use crate::cli::verb::check::count;
use crate::core::text::took;
use crate::core::timeline::{Mark, Ms, Phase, Run, Timeline};
use std::fmt::Write as _;

/// A run, or several that are too near to each other.
#[derive(Clone, Debug)]
pub(in super::super) struct Bar {
    /// The upper edge.
    pub(in super::super) y: Len,
    pub(in super::super) parts: Vec<Part>,
    /// It goes on beyond that edge.
    pub(in super::super) open: [bool; 2],
    /// Where another one held the same lock.
    pub(in super::super) twice: Vec<[Len; 2]>,
    pub(in super::super) title: String,
    pub(super) from: Len,
    pub(super) to: Len,
    runs: usize,
    times: [Ms; 4],
    began: Ms,
    ended: Ms,
}

/// A part of a bar.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Part {
    pub(in super::super) phase: Phase,
    pub(in super::super) from: Len,
    pub(in super::super) to: Len,
}

impl Bar {
    pub(super) fn of(timeline: &Timeline, row: usize, number: usize, run: &Run) -> Self {
        let from = place(timeline, run.from).min(RIGHT - THIN);
        let to = place(timeline, run.last).max(from + THIN);
        let mut parts: Vec<Part> = Vec::new();
        for span in &run.spans {
            let part = Part {
                phase: span.phase,
                from: place(timeline, span.from),
                to: place(timeline, span.to),
            };
            if part.from < part.to {
                parts.push(part);
            }
        }
        let twice = timeline.beside(row, number);
        let twice = twice.map(|overlap| {
            let from = place(timeline, overlap.from).min(to - THIN);
            [from, place(timeline, overlap.to).max(from + THIN)]
        });
        let times = PHASES.map(|phase| run.time_in(phase));
        if parts.is_empty() {
            // A hold of less than a millisecond is one all the same.
            let held = times == [0; 4] && !run.lock.is_empty() && run.end.mark() != Mark::NotRun;
            let phase = if held { Phase::Holding } else { longest(times) };
            parts.push(Part { phase, from, to });
        }
        // What is thin is widened at its end.
        if let Some(last) = parts.last_mut() {
            last.to = last.to.max(last.from + THIN).min(RIGHT);
        }
        Self {
            y: 0,
            open: [run.open_left, run.end.mark() == Mark::Open],
            twice: twice.collect(),
            title: told(run),
            from,
            to: parts.last().map_or(to, |part| part.to.max(to)),
            parts,
            runs: 1,
            times,
            began: run.from,
            ended: run.last,
        }
    }

    /// Leaves what is before `x` to another one.
    pub(super) fn begin_at(&mut self, x: Len) {
        self.from = x;
        self.parts.retain(|part| part.to > x);
        for part in &mut self.parts {
            part.from = part.from.max(x);
        }
    }

    /// Takes another one in.
    pub(super) fn join(&mut self, other: Self) {
        self.to = self.to.max(other.to);
        self.runs += other.runs;
        for (time, more) in self.times.iter_mut().zip(other.times) {
            *time += more;
        }
        self.began = self.began.min(other.began);
        self.ended = self.ended.max(other.ended);
        self.open = [self.open[0] || other.open[0], self.open[1] || other.open[1]];
        self.twice.extend(other.twice);
        let phase = longest(self.times);
        let (from, to) = (self.from, self.to);
        self.parts = vec![Part { phase, from, to }];
        let mut title = count(self.runs, "run");
        let _ = write!(title, "\n{} to {}", stamp(self.began), stamp(self.ended));
        times(&mut title, self.times);
        self.title = title;
    }
}

/// Every phase, in the order of the legend.
const PHASES: [Phase; 4] = [
    Phase::Waiting,
    Phase::Holding,
    Phase::Stopping,
    Phase::Running,
];

fn longest(times: [Ms; 4]) -> Phase {
    let each = PHASES.into_iter().zip(times);
    each.max_by_key(|(_, time)| *time)
        .map_or(Phase::Running, |(phase, _)| phase)
}

fn times(to: &mut String, times: [Ms; 4]) {
    for (phase, time) in PHASES.into_iter().zip(times) {
        if time > 0 {
            let _ = write!(to, "\n{} {}", phase.word(), took(time));
        }
    }
}

/// All that is known of a run.
fn told(run: &Run) -> String {
    let mut told = name(&run.container, &run.job, 200).concat();
    let _ = write!(told, ", run {}", cut(&run.run_id, 40));
    let before = if run.open_left { "before " } else { "" };
    let _ = write!(told, "\n{before}{} to {}", stamp(run.from), stamp(run.last));
    times(&mut told, PHASES.map(|phase| run.time_in(phase)));
    if !run.lock.is_empty() {
        let _ = write!(told, "\nlock {}", plain(&run.lock));
    }
    if run.nested {
        told.push_str(", held by a run that it is part of");
    } else if !run.holder.is_empty() {
        let _ = write!(told, "\nwaited for {}", plain(&run.holder));
    }
    if run.split {
        told.push_str("\nits file system did not keep another holder away");
    }
    let _ = write!(told, "\n{}", end(run));
    told
}
