//! What was found, as text for people and as JSON for programs.
//!
//! The JSON object, version 1. Fields are added and never change their meaning; `v` changes if one
//! must.
//!
//! | field | what it says |
//! | --- | --- |
//! | `v` | 1 |
//! | `file` | the file that was read; null: there is none |
//! | `errors`, `warnings` | how many; with errors the exit code is 78 |
//! | `checks` | each fact: `level` (`ok`, `warning`, `error`), `about` (`file`, `login`, `lock`, `job`, `journal`, `stop`, `here`), `text`; where it has them `subject` (a path or a name), `line`, `column`, `help` |
//! | `locks` | each lock: `path`, `classes`, `shared_mount`, `placed` (false: refused), `exists`, `excludes` (null: not tried), `holders` and `waiting` (the records of living claims, the queue in its order), `lock_dirs` (the lock directories that are swept while it is held) |
//! | `sketch` | without a file: the smallest one that fits |
//!
//! As text the facts are sorted: what hinders, what warns, what is as it should be.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;

use crate::config::plan::SharedMount;
use crate::core::mask::Secrets;
use crate::core::text::plain;
use crate::lock::record::Record;

/// The version of the JSON object.
const VERSION: u32 = 1;
/// The widest line of text, in characters.
pub(in crate::cli::verb) const WIDTH: usize = 80;

/// All that was found.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    v: u32,
    file: Option<String>,
    /// How many facts are errors.
    pub(super) errors: usize,
    warnings: usize,
    checks: Vec<Fact>,
    /// The locks.
    pub(super) locks: Vec<LockState>,
    /// The smallest file that fits, where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sketch: Option<String>,
    /// What no fact shows.
    #[serde(skip)]
    pub(super) secrets: Arc<Secrets>,
}

/// One fact.
#[derive(Debug, Serialize)]
pub(super) struct Fact {
    pub(super) level: Level,
    pub(super) about: About,
    /// The path or the name that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<String>,
    /// One sentence.
    pub(super) text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) line: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) column: Option<usize>,
    /// What to do, of a finding in a file; of its lines only those before the first blank one are
    /// prose.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) help: Option<String>,
    /// The source line and its caret, ready to print.
    #[serde(skip)]
    pub(super) excerpt: Vec<String>,
}

/// How good or bad a fact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Level {
    /// As it should be, or worth knowing.
    Ok,
    /// It works, but perhaps not as meant.
    Warning,
    /// A run would not start.
    Error,
}

/// What a fact is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum About {
    /// The configuration file.
    File,
    /// A login that classes use.
    Login,
    /// A shared lock.
    Lock,
    /// A job's user, folder and command.
    Job,
    /// The way to the journal.
    Journal,
    /// The time for an orderly stop.
    Stop,
    /// The surroundings, where there is no file.
    Here,
}

/// One lock.
#[derive(Debug, Serialize)]
pub(super) struct LockState {
    pub(super) path: String,
    pub(super) classes: Vec<String>,
    pub(super) shared_mount: SharedMount,
    pub(super) placed: bool,
    pub(super) exists: bool,
    pub(super) excludes: Option<bool>,
    pub(super) holders: Vec<Record>,
    pub(super) waiting: Vec<Record>,
    pub(super) lock_dirs: Vec<String>,
}

impl Report {
    /// An empty one about `file`, or about the surroundings.
    pub(super) fn new(file: Option<&Path>) -> Self {
        Self {
            v: VERSION,
            file: file.map(|path| path.display().to_string()),
            errors: 0,
            warnings: 0,
            checks: Vec::new(),
            locks: Vec::new(),
            sketch: None,
            secrets: Arc::default(),
        }
    }

    /// Adds a fact.
    pub(super) fn add(&mut self, mut fact: Fact) {
        if !self.secrets.is_empty() {
            fact.text = self.secrets.hide(&fact.text);
            for text in [&mut fact.subject, &mut fact.help].into_iter().flatten() {
                *text = self.secrets.hide(text);
            }
        }
        match fact.level {
            Level::Ok => {}
            Level::Warning => self.warnings += 1,
            Level::Error => self.errors += 1,
        }
        self.checks.push(fact);
    }

    /// Adds a fact that is one sentence about `subject`.
    pub(super) fn say(
        &mut self,
        level: Level,
        about: About,
        subject: impl AsRef<Path>,
        text: impl Into<String>,
    ) {
        let subject = subject.as_ref().display().to_string();
        self.add(Fact {
            level,
            about,
            subject: Some(subject).filter(|subject| !subject.is_empty()),
            text: text.into(),
            line: None,
            column: None,
            help: None,
            excerpt: Vec::new(),
        });
    }

    /// As one JSON object on one line.
    pub(super) fn json(&self) -> String {
        // Only a map with keys that are no text, or a failing Serialize, could fail: none is here.
        let mut text = serde_json::to_string(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// As text; `all`: with what is as it should be; `colour`: for a terminal.
    pub(super) fn text(&self, all: bool, colour: bool) -> String {
        let mut text = String::new();
        for level in [Level::Error, Level::Warning, Level::Ok] {
            let facts = self.checks.iter().filter(|fact| fact.level == level);
            facts
                .filter(|_| all || level != Level::Ok)
                .for_each(|fact| fact.print(colour, &mut text));
        }
        if let Some(sketch) = self.sketch.as_deref().filter(|_| all) {
            let _ = write!(text, "\n{sketch}");
        }
        if let Some(file) = self.file.as_deref().map(plain)
            && (all || self.errors + self.warnings > 0)
        {
            let _ = match (self.errors, self.warnings) {
                (0, 0) => writeln!(text, "\n{file}: clean"),
                (0, warnings) => writeln!(text, "\n{file}: {}", count(warnings, "warning")),
                (errors, 0) => writeln!(text, "\n{file}: {}", count(errors, "error")),
                (errors, warnings) => writeln!(
                    text,
                    "\n{file}: {}, {}",
                    count(errors, "error"),
                    count(warnings, "warning")
                ),
            };
        }
        text
    }
}

impl Fact {
    fn print(&self, colour: bool, text: &mut String) {
        // Those of `status`: dark enough on white, light enough on black.
        let (word, tone) = match self.level {
            Level::Ok => ("ok", "32"),
            Level::Warning => ("warning", "33"),
            Level::Error => ("error", "31"),
        };
        let at = text.len();
        wrap(text, &format!("{word}: {}", self.text), "    ");
        if colour {
            text.insert_str(at + word.len(), "\u{1b}[0m");
            text.insert_str(at, &format!("\u{1b}[{tone}m"));
        }
        for line in &self.excerpt {
            let _ = writeln!(text, "   {line}");
        }
        let mut lines = self.help.iter().flat_map(|help| help.lines());
        let prose: Vec<&str> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
        if !prose.is_empty() {
            wrap(text, &format!("    = {}", prose.join(" ")), "      ");
        }
        for line in lines {
            let _ = writeln!(text, "      {line}");
        }
    }
}

/// `1 error`, `2 errors`.
pub(in crate::cli::verb) fn count(number: usize, word: &str) -> String {
    let s = if number == 1 { "" } else { "s" };
    format!("{number} {word}{s}")
}

/// The words of `line`; a command between backticks is one, as a break would change what it means.
fn words(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let command = line.strip_prefix('`').and_then(|it| it.find('`'));
        let from = command.map_or(0, |length| length + 1);
        let end = line.get(from..).and_then(|it| it.find(' '));
        let (word, after) = match end {
            Some(end) => (line.get(..from + end), line.get(from + end + 1..)),
            None => (Some(line), None),
        };
        rest = after;
        word
    })
}

/// Breaks `line` between words, so that none is wider than [`WIDTH`] that has a blank in it.
pub(in crate::cli::verb) fn wrap(text: &mut String, line: &str, indent: &str) {
    let mut width = 0;
    // The blanks at the front are the first line's own.
    let (front, line) = line.split_at(line.len() - line.trim_start().len());
    text.push_str(front);
    width += front.len();
    for (number, word) in words(line).enumerate() {
        let length = word.chars().count();
        if number > 0 && width + 1 + length > WIDTH {
            text.push('\n');
            text.push_str(indent);
            width = indent.len();
        } else if number > 0 {
            text.push(' ');
            width += 1;
        }
        text.push_str(word);
        width += length;
    }
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(line: &str) -> String {
        let mut text = String::new();
        wrap(&mut text, line, "    ");
        text
    }

    #[test]
    fn no_line_is_wider_than_a_terminal_but_for_a_single_long_word() {
        let long = format!("ok: {}", "word ".repeat(60));
        for line in wrapped(long.trim_end()).lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
        let path = "x".repeat(100);
        let text = wrapped(&format!("ok: the lock {path} is free"));
        assert_eq!(text, format!("ok: the lock\n    {path}\n    is free\n"));
    }

    #[test]
    fn a_command_is_not_broken() {
        let long = "x".repeat(60);
        let text = wrapped(&format!("ok: {long} run `a 'b  c' \"d e f g h\"`, then"));
        assert_eq!(
            text,
            format!("ok: {long} run\n    `a 'b  c' \"d e f g h\"`, then\n")
        );
        let odd = wrapped("`a b c");
        assert_eq!(odd, "`a b c\n");
    }

    #[test]
    fn a_line_that_fits_stays_as_it_is() {
        let just = "x".repeat(WIDTH);
        assert_eq!(wrapped(&just), format!("{just}\n"));
        assert_eq!(wrapped("  = a b"), "  = a b\n");
    }

    #[test]
    fn errors_and_warnings_are_counted_and_quiet_text_has_nothing_else() {
        let mut report = Report::new(Some(Path::new("/f")));
        report.say(Level::Ok, About::Stop, "", "fine");
        assert_eq!(report.text(true, false), "ok: fine\n\n/f: clean\n");
        assert_eq!(report.text(false, false), "");
        report.say(Level::Warning, About::Stop, "", "odd");
        report.say(Level::Error, About::Stop, "", "bad");
        assert_eq!(
            report.text(false, false),
            "error: bad\nwarning: odd\n\n/f: 1 error, 1 warning\n"
        );
    }
}
