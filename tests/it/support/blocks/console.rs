//! What is typed and what it says: from a block to a script for a shell, and back.

use std::fmt::{self, Write as _};

/// What stands between the outputs: the record separator, which no program here writes.
const MARK: char = '\u{1e}';

/// Tells the status of a command; the next one finds it, too.
const MARKING: &str =
    r#"last_status=$?; printf '\036%s\036' "$last_status"; (exit "$last_status")"#;

/// A command of a `console` block with what it says.
#[derive(Debug, PartialEq)]
pub(crate) struct Exchange {
    /// Its line in the block, from 0 on.
    pub(crate) line: usize,
    pub(crate) command: String,
    pub(crate) expected: Vec<String>,
}

/// What a command said, and how it ended; no status: it has told none.
#[derive(Debug, PartialEq)]
pub(crate) struct Said {
    pub(crate) text: String,
    pub(crate) status: Option<i32>,
}

/// Where what was said is not what was expected.
#[derive(Debug, PartialEq)]
pub(crate) struct Difference {
    /// The expected line that nothing matched, from 0 on; as many as there are: something came behind.
    pub(crate) expected: usize,
    /// The line that came there, from 0 on; as many as there are: the end.
    pub(crate) got: usize,
    text: String,
}

/// The exchanges of a block. What stands before the first command belongs to none and is an error.
pub(crate) fn console(text: &str) -> Result<Vec<Exchange>, String> {
    let mut exchanges: Vec<Exchange> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if let Some(command) = line.strip_prefix("$ ") {
            exchanges.push(Exchange {
                line: at,
                command: command.to_owned(),
                expected: Vec::new(),
            });
            continue;
        }
        let Some(last) = exchanges.last_mut() else {
            return Err(format!("{line:?} stands before the first command (`$ …`)"));
        };
        match line.strip_prefix("> ") {
            Some(more) if last.expected.is_empty() => {
                last.command.push('\n');
                last.command += more;
            }
            _ => last.expected.push(line.to_owned()),
        }
    }
    Ok(exchanges)
}

/// A script that runs them in one shell, each as if it were typed, and marks what belongs to which.
pub(crate) fn session(exchanges: &[Exchange]) -> String {
    let mut script = "exec 2>&1\n".to_owned();
    for Exchange { command, .. } in exchanges {
        let quoted = command.replace('\'', "'\\''");
        writeln!(script, "eval '{quoted}'\n{MARKING}").unwrap();
    }
    script
}

/// What each command of the session said, and what came behind the last mark: nothing, or the words of
/// the command that ended the shell.
pub(crate) fn heard(output: &str) -> Vec<Said> {
    // Through a terminal lines end in another way.
    let output = output.replace("\r\n", "\n");
    let mut parts = output.split(MARK);
    let mut all = Vec::new();
    while let Some(text) = parts.next() {
        let status = parts.next().map(|status| status.parse().unwrap());
        let text = text.strip_suffix('\n').unwrap_or(text).to_owned();
        all.push(Said { text, status });
    }
    all
}

/// Whether lines that may have `…` in them stand for this text.
pub(crate) fn matches(expected: &[String], got: &str) -> Result<(), Difference> {
    let got: Vec<&str> = got.lines().collect();
    let mut furthest = (0, 0);
    if rest_matches(expected, &got, (0, 0), &mut furthest) {
        return Ok(());
    }
    let (at, got_at) = furthest;
    let text = side_by_side(expected, &got, furthest);
    Err(Difference {
        expected: at,
        got: got_at,
        text,
    })
}

/// A text of which times, names of runs and the width of gaps count for nothing.
pub(crate) fn varying(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let words: Vec<String> = line.split_whitespace().map(varying_word).collect();
        // `2h 11m` is one time.
        words.join(" ").replace("TIME TIME", "TIME")
    });
    lines.collect::<Vec<String>>().join("\n")
}

fn varying_word(word: &str) -> String {
    let inner = word.trim_matches(|c: char| !c.is_alphanumeric());
    let is_run = matches!(inner.len(), 8 | 16) && inner.bytes().all(|c| c.is_ascii_hexdigit());
    let kind = if is_time(inner) {
        "TIME"
    } else if is_run {
        "RUN"
    } else {
        return word.to_owned();
    };
    word.replacen(inner, kind, 1)
}

/// `3m2s`, `2.7s`, `2026-11-21T07:00:00Z`.
fn is_time(word: &str) -> bool {
    let date = |(at, c): (usize, char)| match at {
        4 | 7 => c == '-',
        10 => c == 'T',
        13 | 16 => c == ':',
        19 => c == 'Z',
        _ => c.is_ascii_digit(),
    };
    if word.len() == 20 && word.chars().enumerate().all(|(at, c)| date((at, c))) {
        return true;
    }
    let mut rest = word;
    while !rest.is_empty() {
        let unit = rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
        let units = ["ms", "us", "s", "m", "h", "d"];
        let next = units.iter().find_map(|name| unit.strip_prefix(name));
        match next {
            Some(next) if unit.len() < rest.len() => rest = next,
            _ => return false,
        }
    }
    !word.is_empty()
}

/// `at` is how far both have been matched, `furthest` the furthest of all attempts.
fn rest_matches(
    expected: &[String],
    got: &[&str],
    at: (usize, usize),
    furthest: &mut (usize, usize),
) -> bool {
    *furthest = at.max(*furthest);
    let (want, have) = (expected.get(at.0), got.get(at.1));
    match want {
        None => have.is_none(),
        Some(line) if line.trim() == "…" => {
            let rest = at.1..=got.len();
            rest.into_iter()
                .any(|from| rest_matches(expected, got, (at.0 + 1, from), furthest))
        }
        Some(line) => {
            have.is_some_and(|have| line_matches(line, have))
                && rest_matches(expected, got, (at.0 + 1, at.1 + 1), furthest)
        }
    }
}

/// White space at the end of a line is not seen, and not compared.
fn line_matches(expected: &str, got: &str) -> bool {
    let mut parts = expected.trim_end().split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = got.trim_end().strip_prefix(first) else {
        return false;
    };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

/// Both in full, with a mark at the first line that differs.
fn side_by_side(expected: &[String], got: &[&str], at: (usize, usize)) -> String {
    let mut text = String::new();
    let mut show = |title: &str, lines: &[&str], at: usize| {
        writeln!(text, "  {title}:").unwrap();
        for (line, number) in lines.iter().chain([&"(the end)"]).zip(0..) {
            let mark = if number == at { ">" } else { " " };
            if number < lines.len() || number == at {
                writeln!(text, "  {mark} {line}").unwrap();
            }
        }
    };
    let wanted: Vec<&str> = expected.iter().map(String::as_str).collect();
    show("expected", &wanted, at.0);
    show("said", got, at.1);
    text
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
