//! A lane of a row: bars that do not touch, and the marks of their ends.

use super::super::label::{end, stamp};
use super::bar::Bar;
use super::size::{GAP, LEFT, Len, MARK, RIGHT, THIN, place};
use crate::core::timeline::{Mark, Ms, Run, Timeline};
use std::fmt::Write as _;

/// A lane of a row.
#[derive(Default)]
pub(super) struct Lane {
    /// When its last run ended.
    pub(super) until: Ms,
    pub(super) bars: Vec<Bar>,
    pub(super) flags: Vec<Flag>,
}

/// The end of a run.
#[derive(Clone, Debug)]
pub(in super::super) struct Flag {
    /// Its middle.
    pub(in super::super) x: Len,
    /// The lower edge.
    pub(in super::super) y: Len,
    pub(in super::super) mark: Mark,
    pub(in super::super) title: String,
    pub(super) label: String,
    pub(super) count: usize,
}

impl Lane {
    /// Adds a bar behind the others, or to the last one.
    pub(super) fn add(&mut self, mut bar: Bar) {
        let last = match self.bars.last_mut() {
            Some(last) if bar.from < last.to => last,
            _ => return self.bars.push(bar),
        };
        if bar.to >= last.to + THIN {
            bar.begin_at(last.to);
            self.bars.push(bar);
        } else {
            last.join(bar);
        }
    }

    /// Adds the mark of a run's end, or counts it with the last one.
    pub(super) fn flag(&mut self, timeline: &Timeline, run: &Run) {
        let mark = run.end.mark();
        if mark <= Mark::Good {
            return;
        }
        let x = place(timeline, run.last).clamp(LEFT + MARK / 2, RIGHT - MARK / 2);
        let label = end(run);
        let title = format!("{}: {label}", stamp(run.last));
        if let Some(last) = self.flags.last_mut()
            && last.x + MARK + GAP / 2 > x
        {
            last.count += 1;
            if last.label != label {
                "ends".clone_into(&mut last.label);
            }
            last.mark = last.mark.max(mark);
            // A title is read, not searched.
            if last.count <= 10 {
                let _ = write!(last.title, "\n{title}");
            }
            return;
        }
        self.flags.push(Flag {
            x,
            y: 0,
            mark,
            title,
            label,
            count: 1,
        });
    }
}
