//! The picture, before anybody draws it: where each bar, mark and word is.
//!
//! All lengths are tenths of a pixel, so that nothing is rounded twice. From left to right: the names, the
//! plot, the sums. A row has a lane, and another one for each run that goes on beside an earlier one; a
//! lane has its bars below and the marks of their ends, with the reason, above.
//!
//! - No word leaves the picture or touches another one: its width is estimated before it is placed, more than
//!   any common monospaced font takes ([`ADVANCE`], [`ASCENT`], [`DESCENT`]), and what does not fit is cut, or
//!   left to the title that a pointer shows.
//! - No bar touches another one of its lane. A run that is shorter than [`THIN`] is as wide as that; where
//!   that is not free, it and its neighbour become one bar that tells of both.
//! - A mark that would touch another one is counted with it.

use std::fmt::Write as _;

use super::axis::ticks;
use super::label::{columns, cut, end, name, plain, stamp, window};
use crate::cli::verb::check::count;
use crate::core::text::took;
use crate::core::timeline::{Mark, Ms, Phase, Row, Run, Timeline};

/// Tenths of a pixel.
pub(super) type Len = i64;

/// The width of the picture.
pub(super) const WIDTH: Len = 10_000;
const MARGIN: Len = 160;
const NAMES: Len = 1800;
/// The plot, from and to.
pub(super) const LEFT: Len = 2040;
pub(super) const RIGHT: Len = 7960;
const SUMS: Len = 1760;
/// The first row.
const TOP: Len = 960;
/// A row's height beside its lanes', and a lane's.
const ROW: Len = 80;
const LANE: Len = 360;
/// From the top of a lane to its bars, and their height.
const ABOVE: Len = 210;
pub(super) const BAR: Len = 120;
/// The least width of a bar.
const THIN: Len = 12;
/// The width of a mark, and between things.
pub(super) const MARK: Len = 90;
const GAP: Len = 40;
/// How many lanes a row has, and how many rows there are.
const LANES: usize = 6;
const ROWS: usize = 200;

/// What a column of text takes, in hundredths of the size of its font. Of the fonts that are asked for none
/// takes more than 62.
const ADVANCE: Len = 64;
/// How far signs reach above and below the line, likewise.
#[cfg(test)]
const ASCENT: Len = 116;
#[cfg(test)]
const DESCENT: Len = 30;

/// The sizes of fonts.
pub(super) const TITLE: Len = 150;
pub(super) const NAME: Len = 120;
pub(super) const SMALL: Len = 110;

/// In what ink a text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    /// What is to be read.
    Full,
    /// What is to be found.
    Mute,
    /// What somebody must look at.
    Bad,
}

/// Which end of a text stands at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A line of text.
#[derive(Clone, Debug)]
pub(super) struct Text {
    pub(super) x: Len,
    /// The line that it stands on.
    pub(super) y: Len,
    pub(super) size: Len,
    pub(super) anchor: Anchor,
    pub(super) ink: Ink,
    /// In front of it, and mute.
    pub(super) lead: String,
    pub(super) words: String,
}

/// Left, top, right, bottom.
#[cfg(test)]
pub(super) type Area = [Len; 4];

#[cfg(test)]
impl Text {
    fn width(&self) -> Len {
        wide(columns(&self.lead) + columns(&self.words), self.size)
    }

    /// What it may cover.
    pub(super) fn area(&self) -> Area {
        let width = self.width();
        let left = match self.anchor {
            Anchor::Start => self.x,
            Anchor::Middle => self.x - width / 2,
            Anchor::End => self.x - width,
        };
        let (up, down) = (self.size * ASCENT / 100, self.size * DESCENT / 100);
        [left, self.y - up, left + width, self.y + down]
    }
}

fn wide(columns: usize, size: Len) -> Len {
    Len::try_from(columns).unwrap_or(Len::MAX / size / ADVANCE) * size * ADVANCE / 100
}

/// How many columns fit.
fn fit(width: Len, size: Len) -> usize {
    usize::try_from(width * 100 / (size * ADVANCE)).unwrap_or(0)
}

/// A part of a bar.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) phase: Phase,
    pub(super) from: Len,
    pub(super) to: Len,
}

/// A run, or several that are too near to each other.
#[derive(Clone, Debug)]
pub(super) struct Bar {
    /// The upper edge.
    pub(super) y: Len,
    pub(super) parts: Vec<Part>,
    /// It goes on beyond that edge.
    pub(super) open: [bool; 2],
    /// Where another one held the same lock.
    pub(super) twice: Vec<[Len; 2]>,
    pub(super) title: String,
    from: Len,
    to: Len,
    runs: usize,
    times: [Ms; 4],
    began: Ms,
    ended: Ms,
}

/// The end of a run.
#[derive(Clone, Debug)]
pub(super) struct Flag {
    /// Its middle.
    pub(super) x: Len,
    /// The lower edge.
    pub(super) y: Len,
    pub(super) mark: Mark,
    pub(super) title: String,
    label: String,
    count: usize,
}

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

/// Where a moment is.
fn place(timeline: &Timeline, at: Ms) -> Len {
    let (from, to) = (timeline.from, timeline.to);
    let width = (RIGHT - LEFT).unsigned_abs();
    let x = at.clamp(from, to).saturating_sub(from) * width / (to - from);
    LEFT + Len::try_from(x).unwrap_or(0)
}

/// A lane of a row.
#[derive(Default)]
struct Lane {
    /// When its last run ended.
    until: Ms,
    bars: Vec<Bar>,
    flags: Vec<Flag>,
}

impl Lane {
    /// Adds a bar behind the others, or to the last one.
    fn add(&mut self, mut bar: Bar) {
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
    fn flag(&mut self, timeline: &Timeline, run: &Run) {
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

impl Bar {
    fn of(timeline: &Timeline, row: usize, number: usize, run: &Run) -> Self {
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
    fn begin_at(&mut self, x: Len) {
        self.from = x;
        self.parts.retain(|part| part.to > x);
        for part in &mut self.parts {
            part.from = part.from.max(x);
        }
    }

    /// Takes another one in.
    fn join(&mut self, other: Self) {
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

#[cfg(test)]
mod tests;
