//! From a TOML value to what its key asks for.
//!
//! Messages quote the file, never what a `${NAME}` in it stands for: that may be a secret, and
//! reports go into logs.

mod lists;
mod numbers;
mod tables;
mod words;

use super::expand::{Lookup, expand};
use super::findings::Findings;
use super::keys::{Key, Shape};
use super::plan::{After, Identity, Wait};
use super::text::{identity, mask, path, percent, signal, size, time, word};
use std::ffi::OsString;
use std::ops::Range;
use std::path::PathBuf;
use toml::Spanned;
use toml::de::DeValue;
pub(crate) use words::found;
use words::{mend, wanted};

/// A value that fits its key.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    /// The name, and how the file writes it.
    Name(String, String),
    Path(PathBuf),
    Paths(Vec<PathBuf>),
    Identity(Identity),
    Time(Wait),
    Flag(bool),
    Word(&'static str),
    Signal(i32),
    Signals(Vec<Rewrite>),
    Number(u64),
    Signed(i32),
    /// The soft and the hard limit, as far as they are said.
    Limit(Option<u64>, Option<u64>),
    Names(Vec<String>),
    Command(Vec<OsString>),
    Env(Vec<(String, Variable)>),
    After(Vec<Awaited>),
}

/// What a job waits for, and where the file says so.
#[derive(Clone, Debug)]
pub(crate) struct Awaited {
    pub(crate) after: After,
    pub(crate) span: Range<usize>,
}

/// Where the value of a variable comes from.
#[derive(Clone, Debug)]
pub(crate) enum Variable {
    /// The file says it.
    Text(String),
    /// It is what another file contains.
    File(PathBuf),
}

/// A signal, what stands in its place (`None`: nothing), and where that is said.
#[derive(Clone, Debug)]
pub(crate) struct Rewrite {
    pub(crate) from: i32,
    pub(crate) to: Option<i32>,
    pub(crate) span: Range<usize>,
}

/// What values are read with: the text they stand in, the environment, and where errors go.
pub(crate) struct Reader<'a> {
    pub(crate) text: &'a str,
    pub(crate) env: &'a Lookup<'a>,
    pub(crate) findings: Findings,
}

impl Reader<'_> {
    /// The value, if it fits; else the reason is among the findings.
    pub(crate) fn value(&mut self, key: &Key, value: &Spanned<DeValue<'_>>) -> Option<Value> {
        let span = value.span();
        match (key.shape, value.get_ref()) {
            (Shape::Flag | Shape::DirLock | Shape::FlagOr(_), DeValue::Boolean(flag)) => {
                Some(Value::Flag(*flag))
            }
            (Shape::Command, DeValue::Array(_)) => self.command(value),
            (Shape::Paths | Shape::DirLock | Shape::PathOrPaths, DeValue::Array(items)) => {
                self.paths(key, items)
            }
            (Shape::Names, DeValue::Array(items)) => self.names(key, items),
            (Shape::Kinds, DeValue::Array(items)) => self.kinds(items),
            (Shape::Count { least, most }, DeValue::Integer(number)) => {
                self.count(key, number.as_str(), least..=most, &span)
            }
            (Shape::Number { least, most }, DeValue::Integer(number)) => {
                self.number(key, number.as_str(), least..=most, &span)
            }
            (Shape::Limit(unit), value @ (DeValue::Integer(_) | DeValue::String(_))) => self
                .limit(key, unit, value, &span)
                .map(|limit| Value::Limit(Some(limit), Some(limit))),
            (Shape::Limit(unit), DeValue::Table(table)) if !table.is_empty() => {
                self.soft_and_hard(key, unit, table)
            }
            (Shape::Env, DeValue::Table(table)) => Some(self.variables(table)),
            (Shape::After, DeValue::Array(items)) => Some(self.awaited(items)),
            (Shape::After, DeValue::String(_)) => Some(self.awaited(std::slice::from_ref(value))),
            (Shape::Signal, DeValue::Integer(number)) => {
                let made = signal(number.as_str(), number.as_str());
                let told = |(message, help)| self.findings.error(&span, message, help);
                made.map_err(told).ok()
            }
            (Shape::Signals, DeValue::Table(table)) => Some(self.signals(table)),
            (
                Shape::Literal
                | Shape::Text
                | Shape::Name
                | Shape::Path
                | Shape::DirLock
                | Shape::Identity
                | Shape::Time { .. }
                | Shape::Word(_)
                | Shape::WordOrTable(..)
                | Shape::Size { .. }
                | Shape::Mask
                | Shape::Percent
                | Shape::PathOrPaths
                | Shape::Signal,
                DeValue::String(raw),
            ) => {
                let text = self.expanded(raw, &span, key.shape == Shape::Literal)?;
                self.text_value(key, raw, &text, &span)
            }
            (shape, other) => {
                let message = format!(
                    "`{}` must be {}, not {}",
                    key.name,
                    wanted(shape),
                    found(other)
                );
                self.findings.error(&span, message, mend(key, other));
                None
            }
        }
    }

    /// The text with its variables replaced, and nothing in it that no file name, variable or
    /// argument can hold.
    fn expanded(&mut self, raw: &str, span: &Range<usize>, bare: bool) -> Option<String> {
        match expand(raw, bare, self.env) {
            Ok(text) if text.contains('\0') => {
                let help = "no path, variable or argument can hold one";
                self.findings
                    .error(span, "the text contains a zero byte", help);
                None
            }
            Ok(text) => Some(text),
            Err(refused) => {
                let at = self.inside(raw, span, &refused.at);
                self.findings.error(&at, refused.message, refused.help);
                None
            }
        }
    }

    /// Where a piece of a text stands in the file; the whole text where escapes hide it.
    fn inside(&self, raw: &str, span: &Range<usize>, piece: &Range<usize>) -> Range<usize> {
        let quoted = self.text.get(span.start + 1..span.end.saturating_sub(1));
        if quoted == Some(raw) {
            span.start + 1 + piece.start..span.start + 1 + piece.end
        } else {
            span.clone()
        }
    }

    fn text_value(
        &mut self,
        key: &Key,
        raw: &str,
        text: &str,
        span: &Range<usize>,
    ) -> Option<Value> {
        let made = if text.is_empty() {
            Err((
                format!("`{}` is empty", key.name),
                "write a value, or take the key out".into(),
            ))
        } else {
            match key.shape {
                Shape::Time { least, forever } => time(key, raw, text, least, forever),
                Shape::Word(words) | Shape::WordOrTable(words, _) => word(key, raw, text, words),
                Shape::Signal => signal(raw, text),
                Shape::Size { least } => size(key, raw, text, least),
                Shape::Mask => mask(key, raw, text),
                Shape::Percent => percent(key, raw, text),
                Shape::Path | Shape::DirLock | Shape::PathOrPaths => {
                    path(key, raw, text).map(Value::Path)
                }
                Shape::Identity => identity(key, raw, text),
                Shape::Name => Ok(Value::Name(text.to_owned(), raw.to_owned())),
                _ => Ok(Value::Text(text.to_owned())),
            }
        };
        made.map_err(|(message, help)| self.findings.error(span, message, help))
            .ok()
    }
}
