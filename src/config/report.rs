//! What is wrong with a file, in the form that a person reads: place, source line, caret, way out.
//!
//! A file is foreign text: whatever of it is printed here is cut to a line's length and freed of
//! control characters, so that it can neither flood nor steer a terminal; a value behind the name of a
//! secret is shown nowhere. That line has no caret, which would stand below something else.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use crate::core::mask::Secrets;

/// The widest piece of a source line that is shown, in characters.
const WIDEST: usize = 100;
/// So many characters of a long line are shown before the caret.
const BEFORE: usize = 40;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// There is no plan.
    Error,
    /// There is a plan, but it does not do what was probably meant.
    Warning,
}

impl Severity {
    /// The word for it in a report.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The file, as it was named to us.
    pub file: String,
    /// Where in the file; `None`: the file as a whole.
    pub place: Option<Place>,
    /// What is wrong.
    pub message: String,
    /// What to do now; may have several lines.
    pub help: String,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Counted from 1.
    pub line: usize,
    /// Counted from 1, in characters.
    pub column: usize,
    /// The source line, or the piece of it round the place, made safe to print.
    pub text: String,
    /// The caret's distance from the start of `text`, in characters.
    indent: usize,
    /// How many characters the caret underlines; zero: there is none.
    width: usize,
}

impl Place {
    /// The place of a byte range. A range beyond the text is its end; one over several lines is
    /// shown by its first. Where `secrets` hides something of the line, it has no caret.
    pub fn new(source: &str, span: &Range<usize>, secrets: &Arc<Secrets>) -> Self {
        let start = floor(source, span.start);
        let end = floor(source, span.end).max(start);
        let (before, after) = source.split_at(start);
        let line = before.matches('\n').count() + 1;
        let head = before.rsplit('\n').next().unwrap_or_default();
        let tail = after.split('\n').next().unwrap_or_default();
        let tail = tail.strip_suffix('\r').unwrap_or(tail);
        let marked = tail.get(..(end - start).min(tail.len())).unwrap_or(tail);

        let column = head.chars().count() + 1;
        let whole = [head, tail].concat();
        let hidden = secrets.hide(&whole);
        if hidden != whole {
            return Self {
                line,
                column,
                text: hidden.chars().take(WIDEST).map(printable).collect(),
                indent: 0,
                width: 0,
            };
        }
        let fits = column + tail.chars().take(WIDEST).count() <= WIDEST;
        let skipped = if fits {
            0
        } else {
            column.saturating_sub(1 + BEFORE)
        };
        let cut_head = skipped > 0;
        let mut text: String = if cut_head { "…" } else { "" }.to_owned();
        text.extend(head.chars().skip(skipped).map(printable));
        let indent = text.chars().count();
        let room = WIDEST.saturating_sub(indent).max(1);
        text.extend(tail.chars().take(room).map(printable));
        if tail.chars().nth(room).is_some() {
            text.push('…');
        }
        Self {
            line,
            column,
            text: text.trim_end().to_owned(),
            indent,
            width: marked.chars().take(room).count().max(1),
        }
    }
}

impl Place {
    /// How many rows it takes in a report: the source line, and its caret.
    pub const fn rows(&self) -> usize {
        if self.width > 0 { 2 } else { 1 }
    }
}

/// The last character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    text.floor_char_boundary(at.min(text.len()))
}

/// A character that moves no cursor and turns no text round (tabs become one space, so that the
/// caret stands below its letter).
fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

/// A word from the file, in a message: safe to print, and no longer than a message's patience.
pub(crate) fn shown(word: &str) -> String {
    let mut text: String = word.chars().take(60).map(printable).collect();
    if word.chars().nth(60).is_some() {
        text.push('…');
    }
    text
}

impl Finding {
    /// The finding without the source line: for the journal.
    pub fn one_line(&self) -> String {
        let help = self.help.lines().next().unwrap_or_default();
        let join = if help.is_empty() { "" } else { "; " };
        format!("{}{}{join}{help}", self.position(), self.message)
    }

    fn position(&self) -> String {
        match &self.place {
            Some(place) => format!("{}:{}:{}: ", self.file, place.line, place.column),
            None => format!("{}: ", self.file),
        }
    }
}

impl fmt::Display for Finding {
    /// The finding with its source line; ends without a newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{}: {}",
            self.position(),
            self.severity.word(),
            self.message
        )?;
        let number = self.place.as_ref().map(|place| place.line.to_string());
        let gutter = number.as_ref().map_or(0, String::len);
        if let (Some(place), Some(number)) = (&self.place, &number) {
            write!(f, "\n {number} | {}", place.text)?;
            if place.width > 0 {
                let (indent, caret) = (" ".repeat(place.indent), "^".repeat(place.width));
                write!(f, "\n {:gutter$} | {indent}{caret}", "")?;
            }
        }
        for (i, line) in self.help.lines().enumerate() {
            let mark = if i == 0 { '=' } else { ' ' };
            let row = format!("\n {:gutter$} {mark} {line}", "");
            f.write_str(row.trim_end_matches(' '))?;
        }
        Ok(())
    }
}

/// All that is wrong with a file, in the order of its lines: why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    /// The errors, at least one.
    pub errors: Vec<Finding>,
    /// How many more errors were found than are kept here.
    pub more: usize,
}

impl fmt::Display for Problems {
    /// All findings with their source lines, and how many there are; ends without a newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.errors {
            writeln!(f, "{finding}\n")?;
        }
        if let Some(first) = self.errors.first() {
            let all = self.errors.len() + self.more;
            let plural = if all == 1 { "" } else { "s" };
            write!(f, "{}: {all} error{plural}", first.file)?;
            if self.more > 0 {
                write!(f, ", the first {} are shown", self.errors.len())?;
            }
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(source: &str, span: &Range<usize>) -> Place {
        Place::new(source, span, &Arc::default())
    }

    #[test]
    fn a_place_counts_lines_and_characters_from_one() {
        let source = "a = 1\r\nö = \"x\"\n";
        let at = source.find('"').unwrap();
        let place = place(source, &(at..at + 3));
        assert_eq!((place.line, place.column, place.width), (2, 5, 3));
        assert_eq!(place.text, "ö = \"x\"");
    }

    #[test]
    fn a_line_with_a_secret_in_it_is_shown_without_that() {
        let long = "x".repeat(3 * WIDEST);
        for source in [
            "a = 1\nenv = { GH_TOKEN = \"hunter22${NOPE}\", B = 1 }\n".to_owned(),
            format!("env = {{ GH_TOKEN = \"{long}hunter22${{NOPE}}\" }}"),
        ] {
            let at = source.find("${NOPE}").unwrap();
            let place = place(&source, &(at..at + 7));
            assert!(!place.text.contains("hunter22"), "{}", place.text);
            assert!(place.text.starts_with("env = { GH_TOKEN = \"***\""));
            // A caret would stand below something else.
            assert_eq!(place.rows(), 1);
        }
    }

    #[test]
    fn a_place_beyond_the_end_or_inside_a_character_is_no_panic() {
        for source in ["", "\n", "ö", "x\r\n"] {
            for start in 0..6 {
                for end in 0..6 {
                    let place = place(source, &(start..end));
                    assert!(place.line >= 1 && place.column >= 1 && place.width >= 1);
                }
            }
        }
    }

    #[test]
    fn a_huge_line_is_shown_by_the_piece_round_the_place() {
        let source = format!("{}HERE{}", "a".repeat(500_000), "b".repeat(500_000));
        let place = place(&source, &(500_000..500_004));
        assert_eq!(place.column, 500_001);
        assert!(place.text.chars().count() <= WIDEST + 2);
        let shown: String = place.text.chars().skip(place.indent).take(4).collect();
        assert_eq!(shown, "HERE");
    }

    #[test]
    fn what_a_file_says_cannot_steer_the_terminal() {
        let place = place("a = \"\u{1b}[2J\u{202e}\"", &(0..1));
        assert!(!place.text.contains(['\u{1b}', '\u{202e}']));
        assert!(!shown("\u{1b}[2J").contains('\u{1b}'));
    }
}
