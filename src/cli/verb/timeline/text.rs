//! What was, for a terminal of eighty columns: the chart, and the last runs one by one.
//!
//! A column of the chart is so much time, and shows what mattered most in it: a stop before a hold, a hold
//! before a wait, a wait before running without the lock. The end of a run that did not end by itself with 0
//! is a letter in its last column.

use std::env;
use std::fmt::Write as _;
use std::io::stdout;
use std::os::fd::AsFd as _;

use super::axis::ticks;
use super::label::{self, Moment, columns, cut, end, window};
use crate::cli::verb::check::{WIDTH, count, wrap};
use crate::core::text::took;
use crate::core::timeline::{Mark, Ms, Phase, Row, Run, Timeline, order};
use crate::sys::tty;

/// The columns of the names, and those of the chart.
const NAMES: usize = 22;
const CHART: usize = WIDTH - NAMES - 1;
/// How many runs are told one by one.
const TOLD: usize = 30;
/// The columns of a job in the list of them.
const JOB: usize = 24;

/// Whether standard output is a terminal that wants colours.
pub(super) fn colours() -> bool {
    let unwanted = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || env::var_os("TERM").is_some_and(|value| value == "dumb");
    !unwanted && tty::is_terminal(stdout().as_fd())
}

/// A sign of the chart, its colour, and what it means.
struct Sign(char, &'static str, &'static str);

const RUNNING: Sign = Sign('─', "2", "runs without the lock");
const WAITING: Sign = Sign('·', "33", "waits");
const HOLDING: Sign = Sign('█', "34", "holds the lock");
const STOPPING: Sign = Sign('▒', "35", "is being stopped");
const RESULT: Sign = Sign('r', "1", "had its result");
const STOPPED: Sign = Sign('s', "1", "asked to stop");
const NOT_RUN: Sign = Sign('o', "1;31", "not started");
const LOST: Sign = Sign('?', "1;31", "no end told");
const FAILED: Sign = Sign('x', "1;31", "failed");
const WATCHDOG: Sign = Sign('!', "1;31", "ended by a watchdog");

/// All of them, as the legend has them.
const SIGNS: [&Sign; 10] = [
    &WAITING, &HOLDING, &STOPPING, &RUNNING, &WATCHDOG, &FAILED, &NOT_RUN, &STOPPED, &RESULT, &LOST,
];

const fn of_phase(phase: Phase) -> &'static Sign {
    match phase {
        Phase::Running => &RUNNING,
        Phase::Waiting => &WAITING,
        Phase::Holding => &HOLDING,
        Phase::Stopping => &STOPPING,
    }
}

const fn of_mark(mark: Mark) -> Option<&'static Sign> {
    match mark {
        Mark::Open | Mark::Good => None,
        Mark::Final => Some(&RESULT),
        Mark::Stopped => Some(&STOPPED),
        Mark::NotRun => Some(&NOT_RUN),
        Mark::Lost => Some(&LOST),
        Mark::Failed => Some(&FAILED),
        Mark::Watchdog => Some(&WATCHDOG),
    }
}

/// Writes it.
pub(super) fn render(timeline: &Timeline, coloured: bool) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "{}\n", window(timeline.from, timeline.to));
    if timeline.rows.is_empty() {
        text.push_str("no run is on record\n");
        return text;
    }
    axis(&mut text, timeline);
    let mut used = String::new();
    for row in &timeline.rows {
        chart(&mut text, timeline, row, coloured, &mut used);
    }
    legend(&mut text, &used, coloured);
    overlaps(&mut text, timeline);
    runs(&mut text, timeline, coloured);
    text
}

fn place(timeline: &Timeline, at: Ms) -> usize {
    let (from, to) = (timeline.from, timeline.to);
    let along = at.clamp(from, to).saturating_sub(from);
    let at = along * (CHART as u64) / (to - from);
    usize::try_from(at).unwrap_or(0).min(CHART - 1)
}

fn axis(text: &mut String, timeline: &Timeline) {
    let mut line = " ".repeat(NAMES + 1);
    for tick in ticks(timeline.from, timeline.to, 6) {
        let at = NAMES + 1 + place(timeline, tick.at);
        let wide = columns(&tick.label) + 1;
        let used = columns(&line);
        if at >= used && at + wide <= WIDTH {
            let pad = at - used;
            let _ = write!(line, "{:pad$}|{}", "", tick.label);
        }
    }
    let _ = writeln!(text, "{}", line.trim_end());
}

fn name(row: &Row, most: usize) -> String {
    label::name(&row.container, &row.job, most).concat()
}

/// Draws a row; `used` gets the signs of it.
fn chart(text: &mut String, timeline: &Timeline, row: &Row, coloured: bool, used: &mut String) {
    let mut phases: [Option<Phase>; CHART] = [None; CHART];
    let mut marks: [Mark; CHART] = [Mark::Open; CHART];
    for run in &row.runs {
        for span in &run.spans {
            let (first, last) = (place(timeline, span.from), place(timeline, span.to - 1));
            for cell in phases.get_mut(first..=last).into_iter().flatten() {
                *cell = (*cell).max(Some(span.phase));
            }
        }
        let ends = place(timeline, run.last.saturating_sub(1));
        if let Some(mark) = marks.get_mut(ends) {
            *mark = (*mark).max(run.end.mark());
        }
    }
    let name = name(row, NAMES);
    let mut blanks = NAMES + 1 - columns(&name);
    text.push_str(&name);
    let mut on = "";
    for (phase, mark) in phases.into_iter().zip(marks) {
        let Some(Sign(sign, colour, _)) = of_mark(mark).or_else(|| phase.map(of_phase)) else {
            blanks += 1;
            continue;
        };
        if on != *colour || blanks > 0 {
            switch(text, on, "");
            let _ = write!(text, "{:blanks$}", "");
            on = if coloured { colour } else { "" };
            switch(text, "", on);
            blanks = 0;
        }
        text.push(*sign);
        if !used.contains(*sign) {
            used.push(*sign);
        }
    }
    switch(text, on, "");
    text.push('\n');
}

/// From one colour to another one.
fn switch(text: &mut String, on: &str, wanted: &str) {
    if !on.is_empty() {
        text.push_str("\u{1b}[0m");
    }
    if !wanted.is_empty() {
        let _ = write!(text, "\u{1b}[{wanted}m");
    }
}

/// Explains the signs that were used.
fn legend(text: &mut String, used: &str, coloured: bool) {
    let mut width = WIDTH;
    for Sign(sign, colour, word) in SIGNS {
        if !used.contains(*sign) {
            continue;
        }
        let wide = columns(word) + 4;
        if width + wide > WIDTH + 2 {
            text.push('\n');
            width = 0;
        } else {
            text.push_str("  ");
        }
        width += wide;
        let on = if coloured { *colour } else { "" };
        switch(text, "", on);
        text.push(*sign);
        switch(text, on, "");
        let _ = write!(text, " {word}");
    }
    text.push('\n');
}

fn overlaps(text: &mut String, timeline: &Timeline) {
    for overlap in &timeline.overlaps {
        let names = overlap
            .who
            .map(|(row, _)| timeline.rows.get(row).map(|row| name(row, 60)));
        let [one, other] = names.map(Option::unwrap_or_default);
        let (when, lock) = (window(overlap.from, overlap.to), cut(&overlap.lock, 200));
        wrap(
            text,
            &format!("two at once: {one} and {other}, lock {lock}, {when}"),
            "    ",
        );
    }
}

/// Tells the last runs one by one.
fn runs(text: &mut String, timeline: &Timeline, coloured: bool) {
    let each = timeline.rows.iter();
    let each = each.flat_map(|row| row.runs.iter().map(move |run| (row, run)));
    let all: Vec<(&Row, &Run)> = each.collect();
    let began = |(_, run): &(&Row, &Run)| format!("{:016x}", run.from);
    let order = order(&all.iter().map(began).collect::<Vec<_>>());
    let left = all.len().saturating_sub(TOLD);
    text.push('\n');
    line(text, ["BEGIN", "JOB", "WAITED", "HELD", "END"], "");
    let last = order.into_iter().skip(left);
    for (row, run) in last.filter_map(|place| all.get(place)) {
        let began = Moment::of(run.from);
        let before = if run.open_left { "<" } else { "" };
        let began = format!("{before}{} {}", began.part(5, 10), began.time());
        let spent = |time: Ms| match time {
            0 => "-".to_owned(),
            time => took(time),
        };
        let waited = spent(run.time_in(Phase::Waiting));
        let held = match run.held() {
            None if run.held_briefly() => "<1ms".to_owned(),
            held => spent(held.map_or(0, |(from, to)| to - from)),
        };
        let on = of_mark(run.end.mark()).filter(|_| coloured);
        let on = on.map_or("", |Sign(_, colour, _)| colour);
        line(
            text,
            [&began, &name(row, JOB), &waited, &held, &end(run)],
            on,
        );
    }
    if left > 0 {
        let _ = writeln!(text, "{} before these; --json has them", count(left, "run"));
    }
    if timeline.forgotten > 0 {
        let _ = writeln!(text, "{} older left out; use --since", timeline.forgotten);
    }
}

/// A line of the list; its last column in colour.
fn line(text: &mut String, columns_of_it: [&str; 5], on: &str) {
    let mut used = 0;
    for (column, wide) in columns_of_it.into_iter().zip([15, JOB, 8, 8, WIDTH]) {
        let column = cut(column, wide.min(WIDTH - used));
        let pad = wide.saturating_sub(columns(&column)) + 1;
        used += wide + 1;
        if used > WIDTH {
            switch(text, "", on);
            text.push_str(&column);
            switch(text, on, "");
        } else {
            let _ = write!(text, "{column}{:pad$}", "");
        }
    }
    text.push('\n');
}
