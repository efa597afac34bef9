//! What was found, for people: a table of eighty columns, coloured on a terminal, and below each line
//! that needs somebody why, and what to do.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::SystemTime;

use super::super::check::{WIDTH, count, wrap};
use crate::cli::print;
use crate::core::order;
use crate::core::shell::Command;
use crate::core::text::took;
use crate::lock::dir::record::{DirRecord, Plain, time_of};
use crate::lock::fault::Quoted;
use crate::lock::scan::look::{Lock, State, words};
use crate::lock::scan::survey::Survey;
use crate::sys::clock;

/// The columns before the directory, in characters.
const STATE: usize = 11;
const SINCE: usize = 8;
const OWNER: usize = 24;
/// How many unreadable folders are named.
const UNREAD: usize = 10;

/// A lock's line.
pub(super) struct Row<'a> {
    lock: &'a Lock,
    word: &'static str,
    colour: &'static str,
    /// What stands below it.
    below: Option<String>,
}

impl<'a> Row<'a> {
    pub(super) fn of(lock: &'a Lock) -> Self {
        let colour = match lock.state {
            State::Collision | State::Corrupt | State::Orphaned => "31",
            State::Stale | State::CannotTell => "33",
            State::Manual | State::Foreign | State::Held => "32",
        };
        Self {
            lock,
            word: lock.state.word(),
            colour,
            below: lock.state.needs_a_person().then(|| advice(lock)),
        }
    }

    /// It went, or would: `word` says which.
    pub(super) fn removed(&mut self, word: &'static str) {
        self.word = word;
        self.below = Some(self.lock.why.clone());
    }

    /// It stays, for its own reason or for this.
    pub(super) fn left(&mut self, why: Option<String>) {
        let why = why.unwrap_or_else(|| self.below.take().unwrap_or_else(|| self.lock.why.clone()));
        self.below = Some(format!("left: {why}"));
    }
}

/// Why a lock needs a person, and what to do.
pub(super) fn advice(lock: &Lock) -> String {
    let why = &lock.why;
    let by_force = || Command::on("lockkeeper lock release --force", &lock.dir);
    match lock.state {
        State::Stale if lock.of_agentctl => format!("{why}; \"agentctl prune\" removes it"),
        State::CannotTell | State::Orphaned if lock.of_agentctl => {
            format!("{why}; it stands in agentctl's list: ask agentctl")
        }
        State::Stale => format!(
            "{why}; {} removes it",
            Command::on("lockkeeper lock clean", &lock.dir)
        ),
        State::Corrupt => format!(
            "{why}; look who wrote it, and remove it with {}",
            by_force()
        ),
        State::CannotTell if lock.record.is_some() => format!(
            "{why}; ask where it was made, and if its owner is gone: {}",
            by_force()
        ),
        State::Orphaned if lock.record.as_ref().is_some_and(DirRecord::is_ours) => {
            format!("{why}; end its process")
        }
        State::Orphaned => format!("{why}; end its process, or take up its session again"),
        State::Collision => {
            let others: Vec<String> = lock
                .collides_with
                .iter()
                .map(|other| Quoted(other).to_string())
                .collect();
            format!("{why}: {}; stop all but one", others.join(", "))
        }
        State::CannotTell | State::Manual | State::Foreign | State::Held => why.clone(),
    }
}

/// Whose a lock is, short.
fn owner(record: &DirRecord) -> String {
    let mut text = match (&record.by, &record.job) {
        (Some(by), _) => return Plain(by).to_string(),
        (_, Some(job)) => Plain(job).to_string(),
        _ => format!("process {}", record.pid),
    };
    let place = record.container.as_ref().unwrap_or(&record.hostname);
    if !place.is_empty() {
        let _ = write!(text, " in {}", Plain(place));
    }
    text
}

/// How long ago something was, to two units; `None`: it is no time.
pub(super) fn ago(time: &str) -> Option<String> {
    let then = time_of(time)?.duration_since(SystemTime::UNIX_EPOCH).ok()?;
    let now = clock::unix_ms() / 1000;
    let Some(secs) = now.checked_sub(then.as_secs()) else {
        return Some("to come".to_owned());
    };
    Some(took(secs.saturating_mul(1000)))
}

/// The table as it grows.
pub(super) struct Table {
    text: String,
    colour: bool,
    all: bool,
}

impl Table {
    /// `all`: with what is as it should be, and a line that counts.
    pub(super) fn new(all: bool) -> Self {
        Self {
            text: String::new(),
            colour: print::wants_colour(),
            all,
        }
    }

    pub(super) fn row(&mut self, row: &Row<'_>) {
        if self.text.is_empty() {
            self.line("STATE", "", "SINCE", "OWNER", "DIRECTORY");
        }
        let record = row.lock.record.as_ref();
        let since = record.and_then(|record| ago(&record.acquired_at));
        let owner = record.map(owner).unwrap_or_default();
        let dir = Quoted(&row.lock.dir).to_string();
        let since = since.unwrap_or_default();
        self.line(row.word, row.colour, &since, &owner, &dir);
        for also in &row.lock.also_at {
            let _ = writeln!(self.text, "    also at {}", Quoted(also));
        }
        if let Some(below) = &row.below {
            wrap(&mut self.text, &format!("    {below}"), "    ");
        }
    }

    fn line(&mut self, word: &str, colour: &str, since: &str, owner: &str, dir: &str) {
        let owner = if owner.chars().count() > OWNER {
            owner.chars().take(OWNER - 1).chain(['…']).collect()
        } else {
            owner.to_owned()
        };
        let (on, off) = if self.colour && !colour.is_empty() {
            (format!("\u{1b}[{colour}m"), "\u{1b}[0m")
        } else {
            (String::new(), "")
        };
        let pad = STATE.saturating_sub(word.len());
        let head = format!("{on}{word}{off}{:pad$} {since:SINCE$} {owner:OWNER$}", "");
        let width = STATE + SINCE + OWNER + 3 + dir.chars().count();
        if width > WIDTH {
            let _ = writeln!(self.text, "{}\n    {dir}", head.trim_end());
        } else {
            let _ = writeln!(self.text, "{head} {dir}");
        }
    }

    /// The whole text, with what could not be read and how many there are of what.
    pub(super) fn end(mut self, roots: &[PathBuf], survey: &Survey) -> String {
        for (path, errno) in survey.unread.iter().take(UNREAD) {
            let line = format!("not read: {}: {}", Quoted(path), words(*errno));
            wrap(&mut self.text, &line, "    ");
        }
        let more = survey.unread.len().saturating_sub(UNREAD) + survey.more_unread;
        if more > 0 {
            let _ = writeln!(self.text, "not read: {more} more");
        }
        for (path, why) in &survey.broken {
            let line = format!("not understood: {}: {why}", Quoted(path));
            wrap(&mut self.text, &line, "    ");
        }
        if !self.all {
            return self.text;
        }
        let mut counts: Vec<(State, usize)> = Vec::new();
        for lock in &survey.locks {
            match counts.iter_mut().find(|(state, _)| *state == lock.state) {
                Some((_, count)) => *count += 1,
                None => counts.push((lock.state, 1)),
            }
        }
        order::sort_by(&mut counts, Ord::cmp);
        let each: Vec<String> = counts
            .iter()
            .map(|(state, count)| format!("{count} {}", state.word()))
            .collect();
        let roots: Vec<String> = roots.iter().map(|root| Quoted(root).to_string()).collect();
        let mut line = format!(
            "{} below {}, {} read",
            count(survey.locks.len(), "lock"),
            roots.join(", "),
            match survey.directories {
                1 => "1 directory".to_owned(),
                many => format!("{many} directories"),
            }
        );
        if !each.is_empty() {
            let _ = write!(line, ": {}", each.join(", "));
        }
        wrap(&mut self.text, &line, "    ");
        self.text
    }
}
