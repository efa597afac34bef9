//! From a TOML value to what its key asks for.
//!
//! Messages quote the file, never what a `${NAME}` in it stands for: that may be a secret, and
//! reports go into logs.

use std::ffi::OsString;
use std::ops::{Range, RangeInclusive};
use std::path::PathBuf;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::expand::{Lookup, expand};
use super::findings::Findings;
use super::keys::{Key, Scope, Shape, Unit};
use super::nearest::nearest;
use super::plan::{After, Identity, UNLIMITED, Wait, Want};
use super::report::shown;
use super::text::{
    absolute, example, example_size, identity, limit, mask, path, percent, quoted, replacement,
    rewritten, signal, size, time, unfit_name, word,
};
use crate::journal::kind;

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

    /// A command is passed on as it stands: `${…}` in it belongs to the command.
    fn command(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Value> {
        let items = value.get_ref().as_array()?;
        let mut words = Vec::with_capacity(items.len());
        for item in items {
            match item.get_ref().as_str() {
                Some(word) if !word.contains('\0') => words.push(OsString::from(word)),
                Some(_) => {
                    let help = "no argument can hold one";
                    self.findings
                        .error(&item.span(), "the argument contains a zero byte", help);
                }
                None => {
                    let message = format!(
                        "`command` must be a list of texts, and this is {}",
                        found(item.get_ref())
                    );
                    self.findings
                        .error(&item.span(), message, "put it in quotes");
                }
            }
        }
        if items.is_empty() || words.first().is_some_and(|word| word.is_empty()) {
            let help = "name the program first: command = [\"claude\", \"-p\", \"…\"]";
            self.findings
                .error(&value.span(), "`command` names no program", help);
        }
        (words.len() == items.len() && !words.is_empty()).then_some(Value::Command(words))
    }

    /// All of them, or none where one is wrong.
    fn paths(&mut self, key: &Key, items: &[Spanned<DeValue<'_>>]) -> Option<Value> {
        let mut paths = Vec::with_capacity(items.len());
        for item in items {
            let span = item.span();
            let Some(raw) = item.get_ref().as_str() else {
                let message = format!(
                    "`{}` must be a list of texts, and this is {}",
                    key.name,
                    found(item.get_ref())
                );
                self.findings.error(&span, message, "write \"/…\"");
                continue;
            };
            let Some(text) = self.expanded(raw, &span, false) else {
                continue;
            };
            match path(key, raw, &text) {
                Ok(path) if path.file_name().is_none() && key.name == "lock_dirs" => {
                    let message = format!("`{}` has a path without a name at its end", key.name);
                    let help = "name the lock directory itself";
                    self.findings.error(&span, message, help);
                }
                // Without a slash at its end, which would follow a symbolic link.
                Ok(path) => paths.push(path.components().collect()),
                Err((message, help)) => self.findings.error(&span, message, help),
            }
        }
        (paths.len() == items.len()).then_some(Value::Paths(paths))
    }

    /// The names of variables: all of them, or none where one is wrong.
    fn names(&mut self, key: &Key, items: &[Spanned<DeValue<'_>>]) -> Option<Value> {
        let mut names = Vec::with_capacity(items.len());
        for item in items {
            let wrong = match item.get_ref().as_str() {
                Some(name) if name.starts_with('$') => {
                    let bare = name.trim_matches(['$', '{', '}']);
                    let message = format!("`{}` wants the name, not the value", key.name);
                    Some((message, format!("write \"{}\"", shown(bare))))
                }
                Some(name) => {
                    names.push(name.to_owned());
                    unfit_name(name)
                }
                None => Some((
                    format!("`{}` must be a list of texts", key.name),
                    "write the names of variables, in quotes".to_owned(),
                )),
            };
            if let Some((message, help)) = wrong {
                self.findings.error(&item.span(), message, help);
                names.clear();
            }
        }
        (names.len() == items.len()).then_some(Value::Names(names))
    }

    /// The kinds of notes: all of them, or none where one is wrong.
    fn kinds(&mut self, items: &[Spanned<DeValue<'_>>]) -> Option<Value> {
        let mut kinds = Vec::with_capacity(items.len());
        for item in items {
            let word = item.get_ref().as_str().unwrap_or_default();
            if let Some(name) = kind::named(word) {
                kinds.push(name);
                continue;
            }
            let message = if item.get_ref().as_str().is_some() {
                format!("there is no kind of note named \"{}\"", shown(word))
            } else {
                format!(
                    "`kinds` must be a list of texts, and this is {}",
                    found(item.get_ref())
                )
            };
            let all: Vec<String> = kind::names().collect();
            let help = match nearest(&word.to_ascii_lowercase(), all.iter().map(String::as_str)) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => {
                    "packaging/journal.md has all kinds; \"ended\" is the end of a run".to_owned()
                }
            };
            self.findings.error(&item.span(), message, help);
        }
        (kinds.len() == items.len()).then_some(Value::Names(kinds))
    }

    /// The jobs that are waited for; those that are right where one is wrong, to be looked at as well.
    fn awaited(&mut self, items: &[Spanned<DeValue<'_>>]) -> Value {
        let mut all = Vec::with_capacity(items.len());
        for item in items {
            let span = item.span();
            let Some(text) = item.get_ref().as_str() else {
                let message = format!(
                    "`after` must be a list of texts, and this is {}",
                    found(item.get_ref())
                );
                let help = "write the names of jobs, in quotes";
                self.findings.error(&span, message, help);
                continue;
            };
            let (job, word) = text.split_once(':').unwrap_or((text, "started"));
            let Some(want) = Want::of(word) else {
                let message = format!("a job is never \"{}\"", shown(word));
                let help = match nearest(word, Want::WORDS.iter().copied()) {
                    Some(near) => format!("did you mean \"{}:{near}\"?", shown(job)),
                    None => format!("behind the colon stands one of {}", quoted(Want::WORDS)),
                };
                self.findings.error(&span, message, help);
                continue;
            };
            let job = job.to_owned();
            let after = After { job, want };
            all.push(Awaited { after, span });
        }
        Value::After(all)
    }

    fn count(
        &mut self,
        key: &Key,
        number: &str,
        bounds: RangeInclusive<u64>,
        span: &Range<usize>,
    ) -> Option<Value> {
        let count = number.replace('_', "").parse::<u64>().ok();
        let fits = count.filter(|count| bounds.contains(count));
        if fits.is_none() {
            let message = format!("`{}` cannot be {}", key.name, shown(number));
            let help = format!("write a number from {} to {}", bounds.start(), bounds.end());
            self.findings.error(span, message, help);
        }
        fits.map(Value::Number)
    }

    fn variables(&mut self, table: &DeTable<'_>) -> Value {
        let mut variables = Vec::new();
        for (name, value) in table {
            let span = value.span();
            if let Some((message, help)) = unfit_name(name.get_ref()) {
                self.findings.error(&name.span(), message, help);
            } else if let Some(raw) = value.get_ref().as_str() {
                let text = self.expanded(raw, &span, false);
                let name = name.get_ref().to_string();
                variables.extend(text.map(|text| (name, Variable::Text(text))));
            } else if let Some(table) = value.get_ref().as_table() {
                let file = self.file_of_variable(name.get_ref(), table, &span);
                let name = name.get_ref().to_string();
                variables.extend(file.map(|file| (name, Variable::File(file))));
            } else {
                let message = format!(
                    "the variable {} must be a text in quotes, not {}",
                    shown(name.get_ref()),
                    found(value.get_ref())
                );
                let source = self.text.get(span.clone()).map(shown).unwrap_or_default();
                let help = match value.get_ref() {
                    DeValue::Array(_) => "a variable has one value".to_owned(),
                    _ => format!("write \"{source}\""),
                };
                self.findings.error(&span, message, help);
            }
        }
        Value::Env(variables)
    }

    fn signals(&mut self, table: &DeTable<'_>) -> Value {
        let mut rewrites: Vec<Rewrite> = Vec::new();
        for (name, value) in table {
            let from = rewritten(name.get_ref()).and_then(|from| {
                if rewrites.iter().any(|earlier| earlier.from == from) {
                    let message = format!("`{}` is said twice", shown(name.get_ref()));
                    return Err((message, "take one of the two out".to_owned()));
                }
                Ok(from)
            });
            let to = match value.get_ref() {
                DeValue::String(raw) => match self.expanded(raw, &value.span(), false) {
                    Some(text) => replacement(raw, &text),
                    None => continue,
                },
                DeValue::Integer(number) => replacement(number.as_str(), number.as_str()),
                other => Err((
                    format!(
                        "what stands for {} must be a signal in quotes, not {}",
                        shown(name.get_ref()),
                        found(other)
                    ),
                    "write the name of a signal, or \"drop\"".to_owned(),
                )),
            };
            for (span, wrong) in [
                (name.span(), from.as_ref().err()),
                (value.span(), to.as_ref().err()),
            ] {
                if let Some((message, help)) = wrong {
                    self.findings.error(&span, message, help);
                }
            }
            if let (Ok(from), Ok(to)) = (from, to) {
                let span = value.span();
                rewrites.push(Rewrite { from, to, span });
            }
        }
        Value::Signals(rewrites)
    }
}

/// The readers of what a process is given.
impl Reader<'_> {
    fn number(
        &mut self,
        key: &Key,
        number: &str,
        bounds: RangeInclusive<i32>,
        span: &Range<usize>,
    ) -> Option<Value> {
        let fits = number.replace('_', "").parse::<i32>().ok();
        let fits = fits.filter(|number| bounds.contains(number));
        if fits.is_none() {
            let message = format!("`{}` cannot be {}", key.name, shown(number));
            let help = format!("write a number from {} to {}", bounds.start(), bounds.end());
            self.findings.error(span, message, help);
        }
        fits.map(Value::Signed)
    }

    /// One limit.
    fn limit(
        &mut self,
        key: &Key,
        unit: Unit,
        value: &DeValue<'_>,
        span: &Range<usize>,
    ) -> Option<u64> {
        let wrong = match value {
            DeValue::Integer(number) => {
                let number = number.as_str();
                match number.replace('_', "").parse::<u64>() {
                    Ok(limit) if limit < UNLIMITED => return Some(limit),
                    _ => {
                        let message = format!("`{}` cannot be {}", key.name, shown(number));
                        (
                            message,
                            "write a number from 0 on, or \"unlimited\"".to_owned(),
                        )
                    }
                }
            }
            DeValue::String(raw) => {
                let text = self.expanded(raw, span, false)?;
                match limit(key, unit, raw, &text) {
                    Ok(limit) => return Some(limit),
                    Err(wrong) => wrong,
                }
            }
            other => {
                let (wanted, found) = (wanted(Shape::Limit(unit)), found(other));
                let message = format!("`{}` must be {wanted}, not {found}", key.name);
                (message, mend(key, other))
            }
        };
        self.findings.error(span, wrong.0, wrong.1);
        None
    }

    fn soft_and_hard(&mut self, key: &Key, unit: Unit, table: &DeTable<'_>) -> Option<Value> {
        let (mut soft, mut hard, mut good) = (None, None, true);
        for (name, value) in table {
            let which = match &**name.get_ref() {
                "soft" => &mut soft,
                "hard" => &mut hard,
                other => {
                    let message = format!("unknown key `{}` in `{}`", shown(other), key.name);
                    let help = "a limit has `soft` and `hard`";
                    self.findings.error(&name.span(), message, help);
                    good = false;
                    continue;
                }
            };
            *which = self.limit(key, unit, value.get_ref(), &value.span());
            good &= which.is_some();
            if let (Some(low), Some(high)) = (soft, hard)
                && low > high
            {
                let message = format!("the soft limit of `{}` is above the hard one", key.name);
                let help = "the kernel refuses that: write the larger one as `hard`";
                self.findings.error(&value.span(), message, help);
                good = false;
            }
        }
        good.then_some(Value::Limit(soft, hard))
    }

    /// The file of `NAME = { file = "/…" }`.
    fn file_of_variable(
        &mut self,
        name: &str,
        table: &DeTable<'_>,
        span: &Range<usize>,
    ) -> Option<PathBuf> {
        let value = table.get("file").filter(|_| table.len() == 1);
        let Some(value) = value else {
            let name = shown(name);
            let message = format!("the variable {name} is a table, and not one of a file");
            let help = format!("write {name} = {{ file = \"/run/secrets/…\" }}");
            self.findings.error(span, message, help);
            return None;
        };
        let at = value.span();
        let Some(raw) = value.get_ref().as_str() else {
            let found = found(value.get_ref());
            let message = format!("`file` must be an absolute path in quotes, not {found}");
            self.findings
                .error(&at, message, "write file = \"/run/secrets/…\"");
            return None;
        };
        let text = self.expanded(raw, &at, false)?;
        absolute("file", raw, &text)
            .map_err(|(message, help)| self.findings.error(&at, message, help))
            .ok()
    }
}

/// What a shape asks for, in words.
fn wanted(shape: Shape) -> String {
    match shape {
        Shape::Literal | Shape::Text | Shape::Name => "a text in quotes".to_owned(),
        Shape::Path => "an absolute path in quotes".to_owned(),
        Shape::DirLock => "true, an absolute path in quotes, or a list of them".to_owned(),
        Shape::Identity => "an absolute path or env:NAME, in quotes".to_owned(),
        Shape::Time { .. } => "a time in quotes, such as \"90s\" or \"2h\"".to_owned(),
        Shape::Flag => "true or false".to_owned(),
        Shape::Word(words) => format!("one of {}", quoted(words)),
        Shape::WordOrTable(words, _) => format!("one of {}, or a table", quoted(words)),
        Shape::After => "a list of the names of jobs".to_owned(),
        Shape::Signal => "the name of a signal in quotes, such as \"TERM\"".to_owned(),
        Shape::Size { .. } => "a size in quotes, such as \"10M\"".to_owned(),
        Shape::Count { .. } | Shape::Number { .. } => "a whole number".to_owned(),
        Shape::Limit(unit) => {
            let one = match unit {
                Unit::Each => "a whole number",
                Unit::Bytes => "a size in quotes",
                Unit::Seconds => "a time in quotes",
            };
            format!("{one}, \"unlimited\", or both limits as {{ soft, hard }}")
        }
        Shape::Mask => "an octal number in quotes, such as \"022\"".to_owned(),
        Shape::Percent => "a percentage in quotes, such as \"50%\"".to_owned(),
        Shape::PathOrPaths => "an absolute path in quotes, or a list of them".to_owned(),
        Shape::Names => "a list of the names of variables".to_owned(),
        Shape::Kinds => "a list of the kinds of notes".to_owned(),
        Shape::Command => "a list of texts".to_owned(),
        Shape::Paths => "a list of absolute paths".to_owned(),
        Shape::Env => "a table of variables".to_owned(),
        Shape::Signals => "a table of signals".to_owned(),
        Shape::Table(_) => "a table".to_owned(),
        Shape::FlagOr(_) => "true, false or a table".to_owned(),
        Shape::NotBuilt => "left out".to_owned(),
    }
}

/// What stands there, in words.
pub(crate) fn found(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(true) => "true",
        DeValue::Boolean(false) => "false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// How to write it instead.
fn mend(key: &Key, value: &DeValue<'_>) -> String {
    let name = key.name;
    match (key.shape, value) {
        (Shape::Time { .. }, DeValue::Integer(number)) => {
            format!(
                "if these are seconds, write {name} = \"{}s\"",
                shown(number.as_str())
            )
        }
        (Shape::Time { forever: true, .. }, DeValue::Boolean(false)) => {
            format!("for no limit write {name} = \"forever\"")
        }
        (Shape::Time { .. }, _) => format!("write {name} = \"{}\"", example(key)),
        (Shape::Size { .. }, DeValue::Integer(number)) => {
            format!(
                "if these are bytes, write {name} = \"{}\"",
                shown(number.as_str())
            )
        }
        (Shape::Size { .. }, _) => format!("write {name} = \"{}\"", example_size(key)),
        (
            Shape::Count { .. } | Shape::Number { .. } | Shape::Limit(Unit::Each),
            DeValue::String(text),
        ) if text.parse::<i64>().is_ok() => {
            format!("write {name} = {}, without quotes", shown(text))
        }
        (Shape::Count { least, .. }, _) => {
            let number = match key.default {
                "none" => 100,
                default => default.parse().unwrap_or(least.max(3)),
            };
            format!("write {name} = {number}")
        }
        (Shape::Number { most, .. }, _) => format!("write {name} = {}", most / 2),
        (Shape::Limit(Unit::Each), _) => format!("write {name} = 1024"),
        (Shape::Limit(Unit::Bytes), _) => format!("write {name} = \"1G\""),
        (Shape::Limit(Unit::Seconds), _) => format!("write {name} = \"10m\""),
        (Shape::Mask, DeValue::Integer(number)) => {
            let number = shown(number.as_str());
            format!("write {name} = \"{number:0>3}\", in quotes: it is octal")
        }
        (Shape::Mask, _) => format!("write {name} = \"022\""),
        (Shape::Percent, DeValue::Integer(number)) => {
            format!("write {name} = \"{}%\"", shown(number.as_str()))
        }
        (Shape::Percent, _) => format!("write {name} = \"50%\""),
        (Shape::PathOrPaths, _) => format!("write {name} = \"/…\""),
        (Shape::Flag, DeValue::String(text)) => {
            let flag = ["true", "yes", "on", "1"].contains(&text.to_ascii_lowercase().as_str());
            format!("write {name} = {flag}, without quotes")
        }
        (Shape::Flag | Shape::FlagOr(_), _) => format!("write {name} = true"),
        (Shape::Signal, _) => format!("write {name} = \"TERM\""),
        (Shape::Command, DeValue::String(text)) => format!("write command = {}", as_list(text)),
        (Shape::Command, _) => "write command = [\"claude\", \"-p\", \"…\"]".to_owned(),
        (Shape::Paths | Shape::Names | Shape::Kinds, DeValue::String(text)) => {
            format!("write {name} = [\"{}\"]", shown(text))
        }
        (Shape::After, _) => "write after = [\"JOB\", \"OTHER:succeeded\"]".to_owned(),
        (Shape::WordOrTable(..), DeValue::Boolean(flag)) => {
            let word = if *flag { "always" } else { "never" };
            format!("write {name} = \"{word}\"")
        }
        (Shape::WordOrTable(..), _) => {
            format!("write {name} = \"on-failure\", or {name} = {{ delay = \"1s\", limit = 5 }}")
        }
        (Shape::Names, _) => format!("write {name} = [\"NAME\"]"),
        (Shape::Kinds, _) => format!("write {name} = [\"ended\", \"wait_expired\"]"),
        (Shape::Paths, _) => format!("write {name} = [\"/…\"]"),
        (Shape::Env, _) => format!("write {name} = {{ NAME = \"value\" }}"),
        (Shape::Signals, _) => format!("write {name} = {{ TERM = \"INT\", HUP = \"drop\" }}"),
        (Shape::Table(Scope::Final), _) => {
            "write final = { line = '\"type\":\"result\"', grace = \"30s\" }".to_owned()
        }
        (Shape::Table(Scope::OnEvent), _) => {
            "write on_event = { command = [\"…\"], kinds = [\"ended\"] }".to_owned()
        }
        (Shape::Table(Scope::Pause), _) => {
            "write pause = { line = \"usage limit reached\", for = \"1h\" }".to_owned()
        }
        (Shape::Table(Scope::Rlimits), _) => "write rlimits = { nofile = 1024 }".to_owned(),
        (Shape::Table(Scope::Cgroup), _) => "write cgroup = { memory_max = \"2G\" }".to_owned(),
        (Shape::Table(_), _) => "write stop = { signal = \"TERM\", grace = \"15s\" }".to_owned(),
        (Shape::DirLock, _) => format!("write {name} = true for the working directory"),
        (_, DeValue::Integer(number)) => format!("write {name} = \"{}\"", shown(number.as_str())),
        (Shape::Word(words), _) => {
            format!(
                "write {name} = \"{}\"",
                words.first().copied().unwrap_or_default()
            )
        }
        (Shape::Identity, _) => format!("write {name} = \"/home/agent/.claude\""),
        (Shape::Path, _) => format!("write {name} = \"/…\""),
        _ => format!("write {name} = \"…\""),
    }
}

/// A command line as a list: word by word where no shell is needed to take it apart.
fn as_list(line: &str) -> String {
    let needs_shell = line.contains(|c: char| "\"'\\$`|&;<>()*?[]{}~#!\n".contains(c));
    if needs_shell {
        return "[\"sh\", \"-c\", '…'], with this text as the last one".to_owned();
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    shown(&format!("[{}]", quoted(&words)))
}
