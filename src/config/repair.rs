//! Reading on behind a syntax error.
//!
//! The parser loses its way at the first one: what follows is silently missing, or one bracket that
//! was never closed makes a dozen errors. So each statement that cannot be parsed is reported once,
//! replaced by as many blanks, so that every place in the file stays the same, and the rest parsed
//! again. A broken header takes its section with it, else its keys would fall to the table before.

use std::ops::Range;

use toml::de::{DeTable, Error};

use super::findings::Findings;
use super::keys::TABLES;
use super::report::shown;
use crate::core::order;

/// After so many rounds the rest is left for when these are mended.
const ROUNDS: usize = 20;

/// A key with its value, or a header, with all their lines.
#[derive(Debug, PartialEq, Eq)]
struct Statement {
    range: Range<usize>,
    is_header: bool,
    /// The bracket or quote that is never closed.
    open: Option<Range<usize>>,
}

/// The text with all that cannot be parsed blanked out, and an error for each; `None` where there
/// is nothing to repair.
pub(crate) fn repair(text: &str, findings: &mut Findings) -> Option<String> {
    let (_, mut errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return None;
    }
    let statements = statements(text);
    let mut readable = text.to_owned();
    let mut told = vec![false; statements.len()];
    for (at, statement) in statements.iter().enumerate() {
        if let (Some(open), Some(told)) = (&statement.open, told.get_mut(at)) {
            let sign = text.get(open.clone()).unwrap_or_default();
            let help = match sign {
                "[" => "close the list with `]`",
                "{" => "close the table with `}`",
                _ => "close the text with the same quotes",
            };
            findings.syntax(
                open.clone(),
                format!("`{sign}` is never closed"),
                help.to_owned(),
            );
            *told = true;
            blank(&mut readable, &extent(&statements, at));
        }
    }
    for _ in 0..ROUNDS {
        (_, errors) = DeTable::parse_recoverable(&readable);
        order::sort_by_key(&mut errors, |error| {
            error.span().map_or(text.len(), |span| span.start)
        });
        let mut any = false;
        for error in &errors {
            let span = error.span().unwrap_or(text.len()..text.len());
            let at = statements.partition_point(|statement| statement.range.start <= span.start);
            let at = at.saturating_sub(1);
            let Some(told @ false) = told.get_mut(at) else {
                continue;
            };
            *told = true;
            any = true;
            let (message, help) = in_words(error, text, &span);
            findings.syntax(span, message, help);
            blank(&mut readable, &extent(&statements, at));
        }
        if !any {
            // An error in a section that was blanked only after the parse is gone with it.
            break;
        }
    }
    if findings.no_syntax() {
        // The parser complains about a place that no statement has.
        let span = errors.first().and_then(Error::span).unwrap_or(0..0);
        findings.syntax(span, "this is no TOML".to_owned(), String::new());
    }
    Some(readable)
}

/// The bytes that go with a statement: its own, or for a header its whole section.
fn extent(statements: &[Statement], at: usize) -> Range<usize> {
    let Some(statement) = statements.get(at) else {
        return 0..0;
    };
    let section = statements
        .iter()
        .skip(at + 1)
        .take_while(|next| !next.is_header);
    let last = if statement.is_header {
        section.last()
    } else {
        None
    };
    statement.range.start..last.unwrap_or(statement).range.end
}

fn blank(text: &mut String, range: &Range<usize>) {
    let Some(piece) = text.get(range.clone()) else {
        return;
    };
    let keep = |byte: u8| match byte {
        b'\n' | b'\r' => char::from(byte),
        _ => ' ',
    };
    let blanks: String = piece.bytes().map(keep).collect();
    text.replace_range(range.clone(), &blanks);
}

/// A bracket or quote that is not closed yet.
#[derive(Clone, Debug)]
struct Open {
    at: usize,
    sign: &'static str,
}

/// The statements of a text, whether they can be parsed or not, in its order and without gaps.
fn statements(text: &str) -> Vec<Statement> {
    let mut all = Vec::new();
    let mut open: Vec<Open> = Vec::new();
    let mut start = 0;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let inside_text = open.last().is_some_and(|open| open.sign.len() == 3);
        // A header is no value: whatever is open before one was forgotten.
        if !open.is_empty() && !inside_text && is_known_header(line) {
            all.push(statement(text, start..at, open.first()));
            open.clear();
            start = at;
        }
        if !(open.is_empty() && is_header(line)) {
            follow(line, at, &mut open);
        }
        at += line.len();
        if open.is_empty() {
            all.push(statement(text, start..at, None));
            start = at;
        }
    }
    if start < at {
        all.push(statement(text, start..at, open.first()));
    }
    all
}

fn statement(text: &str, range: Range<usize>, open: Option<&Open>) -> Statement {
    Statement {
        is_header: text.get(range.clone()).is_some_and(is_header),
        range,
        open: open.map(|open| open.at..open.at + open.sign.len()),
    }
}

fn is_header(line: &str) -> bool {
    line.trim_start_matches('\u{feff}')
        .trim_start()
        .starts_with('[')
}

/// `[jobs.…`, `[init]`: bare words in brackets are a value nowhere.
fn is_known_header(line: &str) -> bool {
    let name = line.trim_start().trim_start_matches('[');
    let is_table = |table: &str| {
        name.strip_prefix(table)
            .is_some_and(|rest| rest.starts_with(['.', ']']))
    };
    is_header(line) && TABLES.iter().any(|(table, _, _)| is_table(table))
}

/// Follows brackets and quotes through one line, which begins at byte `at`; what is not closed at
/// its end stays in `open`. Only a text in three quotes goes on in the next line.
fn follow(line: &str, at: usize, open: &mut Vec<Open>) {
    let mut rest = line;
    while let Some(next) = rest.chars().next() {
        let here = at + line.len() - rest.len();
        let long = ["\"\"\"", "'''"];
        let skip = if let Some(sign) = open.last().map(|open| open.sign).filter(|s| s.len() == 3) {
            let Some(end) = end_of_text(rest, sign) else {
                return;
            };
            open.pop();
            end
        } else if let Some(sign) = long.into_iter().find(|sign| rest.starts_with(sign)) {
            open.push(Open { at: here, sign });
            sign.len()
        } else {
            match next {
                '#' => return,
                '"' | '\'' => {
                    let sign = if next == '"' { "\"" } else { "'" };
                    let text = rest.get(1..).unwrap_or_default();
                    let Some(end) = end_of_text(text, sign) else {
                        return;
                    };
                    end + 1
                }
                '[' | '{' => {
                    let sign = if next == '[' { "[" } else { "{" };
                    open.push(Open { at: here, sign });
                    1
                }
                ']' | '}' => {
                    open.pop();
                    1
                }
                other => other.len_utf8(),
            }
        };
        rest = rest.get(skip..).unwrap_or_default();
    }
}

/// Where the text that `inside` begins with ends, behind its closing quotes.
fn end_of_text(inside: &str, quotes: &str) -> Option<usize> {
    let mut at = 0;
    while let Some(rest) = inside.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with(quotes) {
            // One or two quotes right before the closing three belong to the text (TOML, string).
            let quote = quotes.chars().next()?;
            let run = rest.chars().take_while(|c| *c == quote).count();
            return Some(at + if quotes.len() == 3 { run.min(5) } else { 1 });
        }
        let mut chars = rest.chars();
        let first = chars.next()?;
        at += first.len_utf8();
        if first == '\\' && quotes.starts_with('"') {
            at += chars.next().map_or(0, char::len_utf8);
        }
    }
    None
}

/// What the parser says, and what to do about it.
fn in_words(error: &Error, text: &str, span: &Range<usize>) -> (String, String) {
    let whole = error.message();
    let (short, _) = whole.split_once(", expected").unwrap_or((whole, ""));
    let found = shown(text.get(span.clone()).unwrap_or_default());
    let before = text.get(..span.start).unwrap_or_default();
    let line = before.rsplit('\n').next().unwrap_or_default();
    let name = shown(line.split('=').next().unwrap_or_default().trim());
    let help = match short {
        "string values must be quoted" if found.is_empty() => {
            let help = "write one behind the `=`, or take the line out";
            return (format!("`{name}` has no value"), help.to_owned());
        }
        "string values must be quoted" => format!("put it in quotes: \"{found}\""),
        "duplicate key" => {
            let message = format!("`{found}` stands here for the second time");
            return (message, "join the two, or take one out".to_owned());
        }
        "key with no value" => "write NAME = VALUE, or take the line out".to_owned(),
        "missing comma between array elements" | "missing comma between key-value pairs" => {
            "put a comma between the two".to_owned()
        }
        "unclosed table" | "unclosed array table" => "close the header with `]`".to_owned(),
        "unexpected key or value" => {
            "each key has a line of its own, and a text one pair of quotes".to_owned()
        }
        "invalid unquoted key" => {
            "a name without quotes has letters, digits, `-` and `_`".to_owned()
        }
        "cannot recurse further; max recursion depth met" | "recursion limit" => {
            let help = "no value here is that deep".to_owned();
            return ("this is nested too deeply".to_owned(), help);
        }
        "invalid basic string" | "invalid literal string" => {
            let next = text.get(span.start..).and_then(|rest| rest.chars().next());
            return match next {
                Some(c) if c.is_control() && !"\r\n".contains(c) => (
                    "a text contains a control character".to_owned(),
                    "write it as \\u and its number, in double quotes".to_owned(),
                ),
                _ => (
                    "this text is never closed".to_owned(),
                    "close it with the same quote, in the same line".to_owned(),
                ),
            };
        }
        "missing escaped value" => {
            "in double quotes `\\` begins an escape: write `\\\\`, or use single quotes".to_owned()
        }
        _ if found.starts_with(|c: char| c.is_ascii_digit()) => {
            let behind = text.get(span.start..).unwrap_or_default();
            let ends = |c: char| c.is_whitespace() || ",]}#".contains(c);
            let value = shown(behind.split(ends).next().unwrap_or_default());
            format!("if it is a text or a time, put it in quotes: \"{value}\"")
        }
        _ => {
            return (
                whole.to_owned(),
                "https://toml.io shows how TOML is written".to_owned(),
            );
        }
    };
    (short.to_owned(), help)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str) -> Vec<(&str, bool)> {
        let all = statements(text);
        all.into_iter()
            .map(|s| (&text[s.range], s.open.is_some()))
            .collect()
    }

    #[test]
    fn statements_end_where_their_brackets_and_quotes_close() {
        let whole = [
            "a = 1\n",
            "b = [ # ]\n 1,\n [2],\n]\n",
            "c = \"[\" # \"\n",
            "d = '[\\'\n",
            "e = \"\"\"\n[jobs.x]\n\\\"\"\" \"\"\"\"\"\n",
            "f = '''\n\\''''\n",
            "g = { h = [\n] }\n",
            "[jobs.x]\n",
            "[broken\n",
            "i = \"never closed [\n",
            "j = 1",
        ];
        let expected: Vec<_> = whole.iter().map(|piece| (*piece, false)).collect();
        assert_eq!(pieces(&whole.concat()), expected);
    }

    #[test]
    fn what_is_never_closed_ends_at_the_next_header() {
        let text = "a = [1,\nb = 2\n[jobs.x]\nc = {\n";
        let expected = [
            ("a = [1,\nb = 2\n", true),
            ("[jobs.x]\n", false),
            ("c = {\n", true),
        ];
        assert_eq!(pieces(text), expected);
    }

    #[test]
    fn blanks_keep_every_place() {
        let mut text = "aé\r\nb\n".to_owned();
        let length = text.len();
        blank(&mut text, &(0..length));
        assert_eq!(text, "   \r\n \n");
    }
}
