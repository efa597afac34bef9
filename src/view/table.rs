//! The view for people: eighty columns, or as many as there are.
//!
//! Nothing of others reaches the terminal but by [`put`]: cut to its column, without a byte that a
//! terminal would obey.

use std::fmt::Write as _;

use super::model::{Job, Lock, View, shown};
use crate::core::text::{age, put};
use crate::lock::listing::survey::Odd;
use crate::lock::pause::Pause;
use crate::lock::record::Record;
use crate::lock::unclaimed::Holder;

/// The narrowest that is drawn for, but on a screen, which cuts lines off.
const NARROWEST: usize = 80;
/// From this width on, runs have their whole names, and there is more room for others.
const WIDE: usize = 100;
/// The letters of a run that eighty columns have room for.
const RUN: usize = 8;
/// The columns of times.
const TIME: usize = 6;

/// What it is drawn on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paper {
    /// How many columns there are.
    pub columns: usize,
    /// How many lines there are; what does not fit is counted. `None`: as many as it takes.
    pub lines: Option<usize>,
    /// Whether states have colours.
    pub colour: bool,
    /// Whether it says that no init answers, as nobody else does.
    pub alone: bool,
}

/// What was drawn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drawn {
    /// The text.
    pub text: String,
    /// After how many milliseconds a time in it reads otherwise; `None`: there is none.
    pub changes_in: Option<u64>,
}

/// Draws `view` as it is at `now`.
pub fn draw(view: &View, now: u64, paper: Paper) -> Drawn {
    let mut sheet = Sheet {
        second: whole(now),
        into_second: now % 1000,
        columns: match paper.lines {
            // A screen of its own shows no line twice, and none but what fits.
            Some(_) if paper.columns > 0 => paper.columns,
            _ => paper.columns.max(NARROWEST),
        },
        colour: paper.colour,
        drawn: Drawn::default(),
    };
    sheet.head(view, paper.alone);
    if !view.jobs.is_empty() || view.init.is_some() {
        sheet.jobs(&view.jobs);
    }
    for lock in &view.locks {
        sheet.lock(lock);
    }
    sheet.dirs(view);
    for (folder, odd) in &view.odd {
        let folder = shown(folder);
        sheet.odd(&folder, odd);
    }
    for text in &view.left_out {
        sheet.line(&[("left out:", 9, "33"), (text, usize::MAX, "")]);
    }
    sheet.cut(paper.lines);
    sheet.drawn
}

struct Sheet {
    /// The second that it is, and how much of it has gone by.
    second: u64,
    into_second: u64,
    columns: usize,
    colour: bool,
    drawn: Drawn,
}

/// A cell: its text, how many columns it has, and its colour.
type Cell<'a> = (&'a str, usize, &'a str);

impl Sheet {
    fn head(&mut self, view: &View, alone: bool) {
        if let Some(init) = &view.init {
            let stopping = if init.stopping { ", stopping" } else { "" };
            let text = format!(
                "{}: init is process {}{stopping}, lockkeeper {}",
                init.name, init.pid, init.version
            );
            self.line(&[(&text, usize::MAX, "")]);
        }
        if let Some(silent) = view.silent.as_ref().filter(|_| alone) {
            self.line(&[(silent, usize::MAX, "33")]);
        }
    }

    fn jobs(&mut self, jobs: &[Job]) {
        let widths = if self.is_wide() {
            [24, 16, 11, TIME, 16, TIME, usize::MAX]
        } else {
            [14, 11, 11, TIME, RUN, TIME, usize::MAX]
        };
        self.cells(
            ["JOB", "CLASS", "STATE", "SINCE", "RUN", "NEXT", "LAST"],
            widths,
            "",
        );
        for job in jobs {
            let state = job.state.replace('-', " ");
            let state = state.replace("waiting for after", "awaits jobs");
            let since = self.since(job.since);
            let next = self.until(job.next);
            let last = self.last(job);
            let run = job.run_id.as_deref().unwrap_or_default();
            let cells = [&job.name, &job.class, &state, &since, run, &next, &last];
            self.cells(cells, widths, colour(&job.state));
            let by_hand = job.by_hand.then_some("begun by hand");
            let again = (job.restarts > 0).then(|| format!("{} restarts", job.restarts));
            let status = job.status.as_deref();
            let more: Vec<&str> = [by_hand, again.as_deref(), status]
                .into_iter()
                .flatten()
                .collect();
            if !more.is_empty() {
                self.line(&[("", 3, ""), (&more.join(", "), usize::MAX, "2")]);
            }
        }
    }

    fn last(&mut self, job: &Job) -> String {
        let Some(last) = &job.last else {
            return String::new();
        };
        let reason = last.reason.as_deref().filter(|reason| *reason != "ended");
        let reason = reason.map_or_else(String::new, |reason| format!(" {reason}"));
        format!("{}{reason}, {} ago", last.code, self.since(Some(last.at)))
    }

    fn lock(&mut self, lock: &Lock) {
        let facts = &lock.facts;
        let path = shown(&facts.path);
        self.blank();
        let mut told = match (&*lock.holders, &*facts.unclaimed) {
            ([], []) if !facts.exists => "does not exist yet".to_owned(),
            ([], []) => "nobody says that he holds it".to_owned(),
            ([], held) => {
                let held: Vec<String> = held.iter().map(Holder::to_string).collect();
                format!("held by {}, without a claim", held.join(", "))
            }
            ([_], _) => "held".to_owned(),
            (many, _) => format!("{} say that they hold it", many.len()),
        };
        let _ = write!(told, ", {} waiting", lock.waiting.len());
        let _ = match facts.pauses.len() {
            0 => Ok(()),
            _ => write!(told, ", paused"),
        };
        // What stands at its end is what matters of a path, and the verdict more.
        let verdict = told.chars().count() + 7;
        let room = self.columns.saturating_sub(verdict);
        let length = path.chars().count();
        let path = match length.checked_sub(room) {
            Some(over) if over > 0 => {
                let end: String = path.chars().skip(over + 1).collect();
                format!("…{end}")
            }
            _ => path,
        };
        self.line(&[
            ("LOCK", 4, ""),
            (&format!("{path}: {told}"), usize::MAX, ""),
        ]);
        let widths = if self.is_wide() {
            [8, TIME, 24, 16, 24, usize::MAX]
        } else {
            [8, TIME, 14, 11, 20, RUN]
        };
        if lock.rows().next().is_some() || !facts.pauses.is_empty() {
            let names = ["", "SINCE", "JOB", "CLASS", "CONTAINER", "RUN"];
            self.cells_in(names, widths, "");
        }
        for pause in &facts.pauses {
            self.pause(pause, widths);
        }
        for (word, record) in lock.rows() {
            self.user(&word, record, widths);
        }
        for run_id in &facts.survey.unsaid {
            self.cells_in(["new", "", "?", "", "", run_id], widths, "");
        }
        for odd in facts.survey.odd.iter().chain(&facts.odd_pauses) {
            self.odd("", odd);
        }
        let more = facts.survey.more_odd;
        if more > 0 {
            let text = format!("{more} more files that are no claims");
            self.line(&[("  and", 5, ""), (&text, usize::MAX, "")]);
        }
        if facts.survey.truncated {
            let text = "more lies beside it than is looked at: some runs may be missing";
            self.line(&[("  left out:", 11, "33"), (text, usize::MAX, "")]);
        }
        if let Some(errno) = facts.survey.unread {
            self.line(&[("  not read:", 11, "31"), (errno.desc(), usize::MAX, "")]);
        }
    }

    fn user(&mut self, word: &str, record: &Record, widths: [usize; 6]) {
        let colour = match word {
            "held" => "32",
            "unclear" => "31",
            "passes" | "later" => "",
            _ => "33",
        };
        let since = self.since(Some(record.since_unix_ms).filter(|since| *since > 0));
        let container = record.container.as_deref().unwrap_or_default();
        let cells = [
            word,
            &since,
            &record.job,
            &record.class,
            container,
            &record.run_id,
        ];
        self.cells_in(cells, widths, colour);
    }

    fn pause(&mut self, pause: &Pause, widths: [usize; 6]) {
        let since = self.since(Some(pause.set));
        let word = |word: &Option<String>| word.clone().unwrap_or_default();
        let (class, container, run) = (
            word(&pause.class),
            word(&pause.container),
            word(&pause.run_id),
        );
        let cells = ["paused", &since, &pause.by, &class, &container, &run];
        self.cells_in(cells, widths, "33");
        let left = self.until(Some(pause.until));
        let text = format!("for {left} more: {}", pause.said);
        self.line(&[("", 10, ""), (&text, usize::MAX, "2")]);
    }

    fn dirs(&mut self, view: &View) {
        if view.dirs.is_empty() {
            return;
        }
        self.blank();
        let directory = self.columns.max(NARROWEST) - 7 - TIME - 14 - RUN - 4;
        let widths = [directory, 7, TIME, 14, RUN];
        self.cells(["DIRECTORY", "", "SINCE", "JOB", "RUN"], widths, "");
        for dir in &view.dirs {
            let since = self.since(dir.since);
            let (word, colour) = match dir.since {
                Some(_) => ("held", "32"),
                None => ("wanted", "33"),
            };
            let cells = [&shown(&dir.dir), word, &since, &dir.job, &*dir.run_id];
            self.cells(cells, widths, colour);
            if let Some(who) = &dir.in_way {
                self.line(&[("", 3, ""), (&format!("held by {who}"), usize::MAX, "2")]);
            }
        }
    }

    fn odd(&mut self, folder: &str, odd: &Odd) {
        let name = if folder.is_empty() {
            odd.name.clone()
        } else {
            format!("{folder}/{}", odd.name)
        };
        // The reason is never what is cut off.
        let room = self.columns.saturating_sub(15 + odd.why.chars().count());
        let mut text = String::new();
        put(&mut text, &name, room.max(16));
        let _ = write!(text, ": {}", odd.why);
        self.line(&[("  no claim:", 11, "31"), (&text, usize::MAX, "")]);
    }

    fn cells<const N: usize>(&mut self, texts: [&str; N], widths: [usize; N], colour: &str) {
        let is_state = |at: usize| (N == 7 && at == 2) || (N == 5 && at == 1);
        let cells: Vec<Cell<'_>> = texts
            .into_iter()
            .zip(widths)
            .enumerate()
            .map(|(at, (text, width))| (text, width, if is_state(at) { colour } else { "" }))
            .collect();
        self.line(&cells);
    }

    /// Two columns further in, the first with the colour.
    fn cells_in(&mut self, texts: [&str; 6], widths: [usize; 6], colour: &str) {
        let mut cells = vec![("", 1, "")];
        let each = texts.into_iter().zip(widths).enumerate();
        cells.extend(
            each.map(|(at, (text, width))| (text, width, if at == 0 { colour } else { "" })),
        );
        self.line(&cells);
    }

    /// A line of cells with a blank between them, the last one as wide as the line has room.
    fn line(&mut self, cells: &[Cell<'_>]) {
        let mut line = String::new();
        let mut room = self.columns;
        for (at, (text, width, colour)) in cells.iter().enumerate() {
            let mine = room.min(*width);
            // A run in few letters is cut off without a word: it is what people type.
            let text = if *width == RUN {
                text.get(..RUN).unwrap_or(text)
            } else {
                text
            };
            let coloured = self.colour && !colour.is_empty() && !text.is_empty();
            if coloured {
                let _ = write!(line, "\u{1b}[{colour}m");
            }
            let left = put(&mut line, text, mine);
            if coloured {
                line.push_str("\u{1b}[0m");
            }
            room = room.saturating_sub(mine + 1);
            if at + 1 < cells.len() {
                line.extend(std::iter::repeat_n(' ', left + 1));
            }
        }
        self.drawn.text.push_str(line.trim_end());
        self.drawn.text.push('\n');
    }

    fn blank(&mut self) {
        if !self.drawn.text.is_empty() {
            self.drawn.text.push('\n');
        }
    }

    const fn is_wide(&self) -> bool {
        self.columns >= WIDE
    }

    /// All times in whole seconds, so that they read otherwise all at once.
    fn since(&mut self, since: Option<u64>) -> String {
        since.map_or_else(String::new, |since| {
            let (text, changes) = age(self.second.saturating_sub(whole(since)));
            self.counts(changes);
            text
        })
    }

    fn until(&mut self, until: Option<u64>) -> String {
        until.map_or_else(String::new, |until| {
            let left = whole(until).saturating_sub(self.second);
            if left > 0 {
                self.counts(1000);
            }
            age(left).0
        })
    }

    fn counts(&mut self, changes: u64) {
        let changes = changes.saturating_sub(self.into_second);
        let first = self.drawn.changes_in.unwrap_or(u64::MAX);
        self.drawn.changes_in = Some(first.min(changes));
    }

    /// Leaves out what does not fit, and says how much that is.
    fn cut(&mut self, lines: Option<usize>) {
        let Some(lines) = lines else { return };
        let text = &self.drawn.text;
        let all = text.lines().count();
        if all <= lines {
            return;
        }
        let kept = lines.saturating_sub(1);
        let mut cut: String = text
            .lines()
            .take(kept)
            .flat_map(|line| [line, "\n"])
            .collect();
        put(
            &mut cut,
            &format!("… {} more lines", all - kept),
            self.columns,
        );
        cut.push('\n');
        self.drawn.text = cut;
    }
}

const fn whole(ms: u64) -> u64 {
    ms - ms % 1000
}

/// Of a state, as SGR has it.
fn colour(state: &str) -> &'static str {
    match state {
        "running" | "ready" => "32",
        "waiting" | "queued" | "stopping" | "backing-off" | "waiting-for-after" => "33",
        "given-up" => "31",
        _ => "2",
    }
}
