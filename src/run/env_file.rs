//! Variables that a command gets from files: `env_file`, and values that are the content of one.
//!
//! They are read when a run begins, and kept nowhere but in its monitor's memory: not in the plan, no
//! claim, no event log. No message shows a value, nor a line that may be one.
//!
//! A line of an `env_file` is `NAME=value`, also with `export ` before it. Blank lines, and those that
//! begin with `#`, count for nothing. What stands behind `=` is the value as it is, but for white space
//! around it, and for one pair of quotes around all of it. Nothing is replaced, and nothing goes on in the
//! next line.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;

use crate::config::plan::RunPlan;
use crate::core::mask::names_a_secret;
use crate::core::refusal::Refusal;
use crate::trouble;

/// The longest file: an environment holds no more than a few times that (execve(2)).
const LONGEST: u64 = 1024 * 1024;

/// A name and its value.
type Variable = (String, OsString);

/// What was read. It does not show it.
#[derive(Default)]
pub struct FromFiles {
    /// Variables before which the plan's own go.
    pub(super) lines: Vec<Variable>,
    /// Variables of the plan whose values lie in files.
    pub(super) values: Vec<Variable>,
}

impl FromFiles {
    /// Reads all that `plan` names; `on` is told each path before its file system is asked.
    ///
    /// # Errors
    /// The first file that cannot be read or understood.
    pub fn read(plan: &RunPlan, on: &dyn Fn(&Path)) -> Result<Self, Refusal> {
        let mut read = Self::default();
        for path in &plan.process.env_files {
            on(path);
            let lines = of_env_file(path)?;
            read.lines.extend(lines);
        }
        for (name, path) in &plan.process.env_from {
            on(path);
            let value = value_in(name, path)?;
            read.values.push((name.clone(), value));
        }
        Ok(read)
    }

    /// The value that the command finds, unless the plan has one of its own.
    pub(super) fn value(&self, name: &str) -> Option<&OsString> {
        let all = self.lines.iter().chain(&self.values);
        all.rev()
            .find(|(set, _)| set == name)
            .map(|(_, value)| value)
    }

    /// What of it is shown nowhere: all that is the content of a file, and of the lines those whose
    /// names say so, here or in `redact`.
    pub(super) fn secrets(&self, redact: &[String]) -> Vec<Vec<u8>> {
        let is_secret = |name: &str| {
            names_a_secret(name) || redact.iter().any(|redacted| name == redacted.as_str())
        };
        let lines = self.lines.iter().filter(|(name, _)| is_secret(name));
        let all = lines.chain(&self.values);
        all.map(|(_, value)| value.as_bytes().to_vec()).collect()
    }
}

impl fmt::Debug for FromFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FromFiles({})", self.lines.len() + self.values.len())
    }
}

/// The variables of an `env_file`.
///
/// # Errors
/// It cannot be read, or one of its lines is none.
pub fn of_env_file(path: &Path) -> Result<Vec<(String, OsString)>, Refusal> {
    let fault = |line, why| Refusal::File {
        variable: None,
        path: path.to_owned(),
        line,
        why,
    };
    let text = content(path).map_err(|why| fault(None, why))?;
    lines(&text).map_err(|(line, why)| fault(Some(line), why.to_owned()))
}

/// The value of the variable `name`: what the file contains, but for one line break at its end.
///
/// # Errors
/// It cannot be read, is empty, or contains what no variable can hold.
pub fn value_in(name: &str, path: &Path) -> Result<OsString, Refusal> {
    let fault = |why| Refusal::File {
        variable: Some(name.to_owned()),
        path: path.to_owned(),
        line: None,
        why,
    };
    let mut value = content(path).map_err(fault)?;
    if value.last() == Some(&b'\n') {
        value.pop();
    }
    if value.is_empty() {
        return Err(fault("it is empty".to_owned()));
    }
    if value.contains(&0) {
        return Err(fault("it contains a zero byte".to_owned()));
    }
    Ok(OsString::from_vec(value))
}

fn content(path: &Path) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let file = File::open(path);
    let read = file.and_then(|file| file.take(LONGEST + 1).read_to_end(&mut text));
    read.map_err(|error| trouble::text_of(&error).to_ascii_lowercase())?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > LONGEST {
        return Err("it is longer than 1 MiB".to_owned());
    }
    Ok(text)
}

/// Each line's variable; else the number of the first that is none, from 1 on, and why.
fn lines(text: &[u8]) -> Result<Vec<Variable>, (u32, &'static str)> {
    let mut variables = Vec::new();
    for (line, number) in text.split(|byte| *byte == b'\n').zip(1..) {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        variables.push(variable(line).map_err(|why| (number, why))?);
    }
    Ok(variables)
}

fn variable(line: &[u8]) -> Result<Variable, &'static str> {
    if line.contains(&0) {
        return Err("it contains a zero byte");
    }
    let line = line
        .strip_prefix(b"export ")
        .map_or(line, <[u8]>::trim_ascii_start);
    let at = line.iter().position(|byte| *byte == b'=');
    let Some((name, value)) = at.and_then(|at| line.split_at_checked(at)) else {
        return Err("it has no `=`: write NAME=value");
    };
    if name.is_empty() {
        return Err("there is no name before `=`");
    }
    let Ok(name) = std::str::from_utf8(name) else {
        return Err("the name is no text");
    };
    if name.contains(char::is_whitespace) {
        return Err("there is white space in the name, or before `=`");
    }
    let value = value.get(1..).unwrap_or_default().trim_ascii_start();
    let value = unquoted(value)?;
    Ok((name.to_owned(), OsString::from_vec(value.to_vec())))
}

/// Without the quotes around all of it.
fn unquoted(value: &[u8]) -> Result<&[u8], &'static str> {
    match value {
        [quote @ (b'"' | b'\''), inner @ .., last] if quote == last => Ok(inner),
        [b'"' | b'\'', ..] => Err("a quote is not closed at the end of the line"),
        _ => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<(String, String)>, (u32, &'static str)> {
        let shown = |text: OsString| text.into_string().unwrap();
        let all = lines(text.as_bytes())?.into_iter();
        Ok(all.map(|(name, value)| (name, shown(value))).collect())
    }

    #[test]
    fn a_line_is_a_name_and_its_value_as_it_is_without_the_quotes_around_it() {
        let text = "# a comment\n\n  A=1\r\nexport B=two words \nC=\nD=\"a 'b' # c\"\nE='$HOME'\nF=x=y\nG= z\nH=\"\"\n";
        let expected = [
            ("A", "1"),
            ("B", "two words"),
            ("C", ""),
            ("D", "a 'b' # c"),
            ("E", "$HOME"),
            ("F", "x=y"),
            ("G", "z"),
            ("H", ""),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(read(text), Ok(expected.to_vec()));
    }

    #[test]
    fn a_line_that_is_none_is_told_by_its_number_and_not_by_its_text() {
        for (text, line) in [
            ("A=1\n\nSECRET\n", 3),
            ("=x\n", 1),
            ("A B=x", 1),
            ("A =x", 1),
            ("A=1\nB=\"x\nC=2", 2),
            ("A='x\" \n", 1),
            ("A=\"\n", 1),
            ("A=x\0y\n", 1),
        ] {
            assert_eq!(read(text).unwrap_err().0, line, "{text:?}");
        }
    }

    #[test]
    fn what_was_read_is_not_shown_by_debug() {
        let read = FromFiles {
            lines: vec![("A".into(), "sk-hidden".into())],
            values: vec![("B".into(), "sk-hidden".into())],
        };
        assert_eq!(format!("{read:?}"), "FromFiles(2)");
    }

    #[test]
    fn secrets_are_all_contents_and_of_the_lines_those_that_are_named_so() {
        let variable = |name: &str, value: &str| (name.into(), value.into());
        let read = FromFiles {
            lines: vec![
                variable("API_TOKEN", "one"),
                variable("PLAIN", "two"),
                variable("TOLD", "three"),
            ],
            values: vec![variable("WHATEVER", "four")],
        };
        let secrets = read.secrets(&["TOLD".to_owned()]);
        assert_eq!(secrets, [&b"one"[..], b"three", b"four"]);
    }
}
