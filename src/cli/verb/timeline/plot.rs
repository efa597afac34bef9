//! The picture, before anybody draws it: where each bar, mark and word is.
//!
//! All lengths are tenths of a pixel, so that nothing is rounded twice. From left to right: the names, the
//! plot, the sums. A row has a lane, and another one for each run that goes on beside an earlier one; a
//! lane has its bars below and the marks of their ends, with the reason, above.
//!
//! - No word leaves the picture or touches another one: its width is estimated before it is placed, more than
//!   any common monospaced font takes (`words`), and what does not fit is cut, or left to the title that a
//!   pointer shows.
//! - No bar touches another one of its lane. A run that is shorter than [`size::THIN`] is as wide as that; where
//!   that is not free, it and its neighbour become one bar that tells of both.
//! - A mark that would touch another one is counted with it.

mod bar;
mod lane;
mod size;
mod words;

use std::fmt::Write as _;

use super::axis::ticks;
use super::label::{columns, cut, name, window};
use crate::cli::verb::check::count;
use crate::core::text::took;
use crate::core::timeline::{Mark, Ms, Phase, Row, Run, Timeline};

pub(super) use bar::Bar;
pub(super) use lane::Flag;
use lane::Lane;
use size::{ABOVE, GAP, LANE, LANES, MARGIN, NAMES, ROW, ROWS, SUMS, TOP, place};
pub(super) use size::{BAR, LEFT, Len, MARK, RIGHT, WIDTH};
pub(super) use words::{Anchor, Ink, NAME, Text};
use words::{SMALL, TITLE, fit, wide};

/// What a line of the legend explains.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sample {
    Phase(Phase),
    Mark(Mark),
    Twice,
}

/// The picture.
#[derive(Debug, Default)]
pub(super) struct Plot {
    pub(super) title: String,
    pub(super) height: Len,
    pub(super) texts: Vec<Text>,
    pub(super) bars: Vec<Bar>,
    pub(super) flags: Vec<Flag>,
    /// Each with its left edge and the line of its text.
    pub(super) samples: Vec<(Sample, Len, Len)>,
    /// The lines of the axis.
    pub(super) ticks: Vec<Len>,
    /// The lines between rows, and the end of the last one.
    pub(super) rules: Vec<Len>,
}

/// Lays it out.
pub(super) fn plot(timeline: &Timeline) -> Plot {
    let mut plot = Plot {
        title: format!(
            "lockkeeper timeline, {}",
            window(timeline.from, timeline.to)
        ),
        ..Plot::default()
    };
    plot.head(timeline);
    let mut y = TOP;
    plot.rules.push(y);
    for (number, row) in timeline.rows.iter().enumerate().take(ROWS) {
        y += plot.row(timeline, number, row, y);
        plot.rules.push(y);
    }
    y = plot.foot(timeline, y);
    plot.legend(y);
    plot
}

impl Plot {
    fn text(&mut self, [x, y]: [Len; 2], size: Len, anchor: Anchor, ink: Ink, text: String) {
        self.texts.push(Text {
            x,
            y,
            size,
            anchor,
            ink,
            lead: String::new(),
            words: text,
        });
    }

    fn head(&mut self, timeline: &Timeline) {
        let name = "lockkeeper timeline".to_owned();
        self.text([MARGIN, 320], TITLE, Anchor::Start, Ink::Full, name);
        let when = window(timeline.from, timeline.to);
        self.text([WIDTH - MARGIN, 320], NAME, Anchor::End, Ink::Full, when);
        let alarm = match timeline.overlaps.len() {
            0 => String::new(),
            1 => " · two held one lock at once".to_owned(),
            times => format!(" · two held one lock at once, {times} times"),
        };
        let room = fit(WIDTH - 2 * MARGIN, SMALL) - columns(&alarm);
        self.texts.push(Text {
            x: MARGIN,
            y: 560,
            size: SMALL,
            anchor: Anchor::Start,
            ink: Ink::Bad,
            lead: cut(&sums(timeline), room),
            words: alarm,
        });
        for tick in ticks(timeline.from, timeline.to, 6) {
            let x = place(timeline, tick.at);
            self.ticks.push(x);
            self.text([x, TOP - 80], SMALL, Anchor::Middle, Ink::Mute, tick.label);
        }
    }

    /// Draws a row and tells its height.
    fn row(&mut self, timeline: &Timeline, number: usize, row: &Row, y: Len) -> Len {
        let [lead, job] = name(&row.container, &row.job, fit(NAMES, NAME));
        self.texts.push(Text {
            x: MARGIN,
            y: y + 200,
            size: NAME,
            anchor: Anchor::Start,
            ink: Ink::Full,
            lead,
            words: job,
        });
        let last =
            |of: fn(&Run) -> &String| row.runs.iter().rev().map(of).find(|text| !text.is_empty());
        if let Some(class) = last(|run| &run.class) {
            let class = cut(class, fit(NAMES, SMALL));
            self.text([MARGIN, y + 370], SMALL, Anchor::Start, Ink::Mute, class);
        }
        let time_in = |phase| row.runs.iter().map(|run| run.time_in(phase)).sum::<Ms>();
        let held = row
            .runs
            .iter()
            .filter_map(Run::held)
            .map(|(from, to)| to - from);
        let held = match held.sum() {
            0 => String::new(),
            held => format!(" · held {}", took(held)),
        };
        let runs = count(row.runs.len(), "run") + &held;
        let at = [WIDTH - MARGIN, y + 200];
        self.text(
            at,
            SMALL,
            Anchor::End,
            Ink::Full,
            cut(&runs, fit(SUMS, SMALL)),
        );
        let waited = time_in(Phase::Waiting);
        if waited > 0 {
            let waited = cut(&format!("waited {}", took(waited)), fit(SUMS, SMALL));
            self.text([at[0], y + 370], SMALL, Anchor::End, Ink::Mute, waited);
        }
        ROW + LANE * self.lanes(timeline, number, row, y + ROW / 2)
    }

    /// Draws a row's runs and tells how many lanes they have.
    fn lanes(&mut self, timeline: &Timeline, row: usize, runs: &Row, y: Len) -> Len {
        let mut lanes: Vec<Lane> = Vec::new();
        for (number, run) in runs.runs.iter().enumerate() {
            let bar = Bar::of(timeline, row, number, run);
            let free = lanes.iter().position(|lane| lane.until <= run.from);
            let lane = match free {
                Some(lane) => lane,
                None if lanes.len() < LANES => {
                    lanes.push(Lane::default());
                    lanes.len() - 1
                }
                None => LANES - 1,
            };
            if let Some(lane) = lanes.get_mut(lane) {
                lane.until = lane.until.max(run.last);
                lane.add(bar);
                lane.flag(timeline, run);
            }
        }
        let mut top = y + ABOVE;
        for mut lane in lanes.drain(..) {
            for bar in &mut lane.bars {
                bar.y = top;
            }
            self.bars.append(&mut lane.bars);
            self.flags(lane.flags, top - GAP);
            top += LANE;
        }
        (top - y) / LANE
    }

    /// Puts up a lane's marks, and each one's reason where there is room.
    fn flags(&mut self, mut flags: Vec<Flag>, y: Len) {
        // How far to the left and to the right of each nothing stands.
        let mut free = LEFT;
        let mut next = flags.iter().map(|flag| flag.x - MARK / 2).skip(1);
        let mut places = Vec::new();
        for flag in &flags {
            let end = next.next().unwrap_or(RIGHT);
            let label = match flag.count {
                1 => flag.label.clone(),
                count => format!("{count} {}", flag.label),
            };
            let width = wide(columns(&label), SMALL);
            let (left, right) = (flag.x - MARK / 2 - GAP, flag.x + MARK / 2 + GAP);
            free = if right + width + GAP <= end {
                places.push((right, Anchor::Start, label));
                right + width + GAP
            } else {
                if left - width >= free {
                    places.push((left, Anchor::End, label));
                }
                right
            };
        }
        for (x, anchor, label) in places {
            self.text([x, y - 10], SMALL, anchor, Ink::Full, label);
        }
        for flag in &mut flags {
            flag.y = y;
        }
        self.flags.append(&mut flags);
    }

    /// Says what is not shown.
    fn foot(&mut self, timeline: &Timeline, mut y: Len) -> Len {
        let rows = timeline.rows.len();
        let line = match rows {
            0 => Some("no run is on record".to_owned()),
            rows if rows > ROWS => Some(format!(
                "{} more are not shown: name a job",
                count(rows - ROWS, "job")
            )),
            _ => None,
        };
        if let Some(line) = line {
            self.text([LEFT, y + 250], NAME, Anchor::Start, Ink::Full, line);
            y += 400;
            self.rules.push(y);
        }
        y
    }

    fn legend(&mut self, top: Len) {
        let samples = [
            (Sample::Phase(Phase::Waiting), "waits"),
            (Sample::Phase(Phase::Holding), "holds the lock"),
            (Sample::Phase(Phase::Stopping), "is being stopped"),
            (Sample::Phase(Phase::Running), "runs without the lock"),
            (Sample::Twice, "two hold it at once"),
            (Sample::Mark(Mark::Watchdog), "by a watchdog"),
            (Sample::Mark(Mark::Failed), "failed"),
            (Sample::Mark(Mark::NotRun), "not started"),
            (Sample::Mark(Mark::Stopped), "asked to stop"),
            (Sample::Mark(Mark::Final), "had its result"),
            (Sample::Mark(Mark::Lost), "no end told"),
        ];
        let (mut x, mut y) = (MARGIN, top + 280);
        for (sample, text) in samples {
            let width = 200 + wide(columns(text), SMALL);
            // The marks are a line of their own.
            let breaks = matches!(sample, Sample::Mark(Mark::Watchdog));
            if breaks || x + width > WIDTH - MARGIN {
                (x, y) = (MARGIN, y + 220);
            }
            self.samples.push((sample, x, y));
            self.text(
                [x + 200, y],
                SMALL,
                Anchor::Start,
                Ink::Mute,
                text.to_owned(),
            );
            x += width + 160;
        }
        self.height = y + 160;
    }
}

/// What is said of all rows.
fn sums(timeline: &Timeline) -> String {
    let runs = timeline.rows.iter().map(|row| row.runs.len()).sum();
    let mut containers: Vec<&String> = timeline.rows.iter().map(|row| &row.container).collect();
    containers.dedup();
    let mut sums = format!(
        "{}, {}, {}",
        count(containers.len(), "container"),
        count(timeline.rows.len(), "job"),
        count(runs, "run")
    );
    let of_all = || timeline.rows.iter().flat_map(|row| &row.runs);
    let mut locks = of_all()
        .map(|run| &run.lock)
        .filter(|lock| !lock.is_empty());
    if let Some(first) = locks.next() {
        let more = if locks.any(|lock| lock != first) {
            " and others"
        } else {
            ""
        };
        let _ = write!(sums, " · lock {}{more}", cut(first, 60));
    }
    if timeline.forgotten > 0 {
        let _ = write!(sums, " · {} older not shown", timeline.forgotten);
    }
    sums
}

#[cfg(test)]
mod tests;
