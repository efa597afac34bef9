//! One table of the file, its keys known and its values read, but not yet what they mean together.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::keys::{self, Key, Scope, Shape, TABLES};
use super::nearest::nearest;
use super::plan::{Identity, Wait};
use super::report::shown;
use super::value::{Awaited, Reader, Rewrite, Value, Variable, found};
use crate::core::order;

/// The longest name of a job, class or lock, in bytes: it becomes part of file names.
const LONGEST_NAME: usize = 64;

/// A table: `[jobs.dev]`, or the value of `stop`.
#[derive(Debug)]
pub(crate) struct Sheet {
    /// The name within its kind: `dev`. That of the key for an inline table.
    pub(crate) name: String,
    /// As messages call it: `[jobs.dev]`.
    pub(crate) title: String,
    /// Where its name stands.
    pub(crate) span: Range<usize>,
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    key: &'static Key,
    key_span: Range<usize>,
    value_span: Range<usize>,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Value(Value),
    Sheet(Sheet),
    /// It was there, but wrong, and that has been said.
    Refused,
}

/// The whole file.
#[derive(Debug, Default)]
pub(crate) struct File {
    pub(crate) init: Option<Sheet>,
    pub(crate) locks: Vec<Sheet>,
    pub(crate) classes: Vec<Sheet>,
    pub(crate) jobs: Vec<Sheet>,
}

impl Sheet {
    fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key.name == name)
    }

    fn value(&self, name: &str) -> Option<&Value> {
        match &self.entry(name)?.content {
            Content::Value(value) => Some(value),
            Content::Sheet(_) | Content::Refused => None,
        }
    }

    /// Whether the key is there, right or wrong.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.entry(name).is_some()
    }

    /// Where the key stands.
    pub(crate) fn key_span(&self, name: &str) -> Option<&Range<usize>> {
        self.entry(name).map(|entry| &entry.key_span)
    }

    /// Where the key's value stands; where the table's name does, if the key is missing.
    pub(crate) fn value_span(&self, name: &str) -> &Range<usize> {
        self.entry(name)
            .map_or(&self.span, |entry| &entry.value_span)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        match self.value(name)? {
            Value::Text(text) | Value::Name(text, _) => Some(text),
            Value::Word(word) => Some(word),
            _ => None,
        }
    }

    /// A name as the file writes it, its variables not replaced.
    pub(crate) fn as_written<'a>(&'a self, name: &'a str) -> &'a str {
        match self.value(name) {
            Some(Value::Name(_, written)) => written,
            _ => name,
        }
    }

    pub(crate) fn path(&self, name: &str) -> Option<&PathBuf> {
        match self.value(name)? {
            Value::Path(path) => Some(path),
            _ => None,
        }
    }

    /// Whether the working directory is locked, and which others.
    pub(crate) fn dir_lock(&self, name: &str) -> Option<(bool, &[PathBuf])> {
        match self.value(name)? {
            Value::Flag(flag) => Some((*flag, &[])),
            Value::Paths(paths) => Some((false, paths)),
            Value::Path(path) => Some((false, std::slice::from_ref(path))),
            _ => None,
        }
    }

    pub(crate) fn paths(&self, name: &str) -> Option<&[PathBuf]> {
        match self.value(name)? {
            Value::Paths(paths) => Some(paths),
            _ => None,
        }
    }

    pub(crate) fn identity(&self, name: &str) -> Option<&Identity> {
        match self.value(name)? {
            Value::Identity(identity) => Some(identity),
            _ => None,
        }
    }

    pub(crate) fn limit(&self, name: &str) -> Option<Wait> {
        match self.value(name)? {
            Value::Time(time) => Some(*time),
            _ => None,
        }
    }

    pub(crate) fn time(&self, name: &str) -> Option<Duration> {
        match self.limit(name)? {
            Wait::AtMost(time) => Some(time),
            Wait::Forever => None,
        }
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        match self.value(name)? {
            Value::Flag(flag) => Some(*flag),
            _ => None,
        }
    }

    pub(crate) fn signal(&self, name: &str) -> Option<i32> {
        match self.value(name)? {
            Value::Signal(signal) => Some(*signal),
            _ => None,
        }
    }

    pub(crate) fn signals(&self, name: &str) -> &[Rewrite] {
        match self.value(name) {
            Some(Value::Signals(rewrites)) => rewrites,
            _ => &[],
        }
    }

    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        match self.value(name)? {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    pub(crate) fn names(&self, name: &str) -> Option<&[String]> {
        match self.value(name)? {
            Value::Names(names) => Some(names),
            _ => None,
        }
    }

    pub(crate) fn command(&self, name: &str) -> Option<&[std::ffi::OsString]> {
        match self.value(name)? {
            Value::Command(words) => Some(words),
            _ => None,
        }
    }

    pub(crate) fn after(&self) -> &[Awaited] {
        match self.value("after") {
            Some(Value::After(all)) => all,
            _ => &[],
        }
    }

    /// One path or several.
    pub(crate) fn path_or_paths(&self, name: &str) -> Option<&[PathBuf]> {
        match self.value(name)? {
            Value::Paths(paths) => Some(paths),
            Value::Path(path) => Some(std::slice::from_ref(path)),
            _ => None,
        }
    }

    pub(crate) fn signed(&self, name: &str) -> Option<i32> {
        match self.value(name)? {
            Value::Signed(number) => Some(*number),
            _ => None,
        }
    }

    /// Each limit of a table: its name, soft and hard.
    pub(crate) fn limits(&self) -> impl Iterator<Item = (&'static str, Option<u64>, Option<u64>)> {
        self.entries.iter().filter_map(|entry| match entry.content {
            Content::Value(Value::Limit(soft, hard)) => Some((entry.key.name, soft, hard)),
            _ => None,
        })
    }

    pub(crate) fn env(&self, name: &str) -> &[(String, Variable)] {
        match self.value(name) {
            Some(Value::Env(variables)) => variables,
            _ => &[],
        }
    }

    pub(crate) fn sheet(&self, name: &str) -> Option<&Self> {
        match &self.entry(name)?.content {
            Content::Sheet(sheet) => Some(sheet),
            Content::Value(_) | Content::Refused => None,
        }
    }
}

type Item<'a, 'i> = (&'a Spanned<DeString<'i>>, &'a Spanned<DeValue<'i>>);

/// The items of a table in the order of the file.
fn in_order<'a, 'i>(table: &'a DeTable<'i>) -> Vec<Item<'a, 'i>> {
    let mut items: Vec<Item<'a, 'i>> = table.iter().collect();
    order::sort_by_key(&mut items, |(key, _)| key.span().start);
    items
}

/// Whether it can name a lock, a class or a job.
pub(crate) fn fits_name(text: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    text.len() <= LONGEST_NAME && begins && text.chars().all(fits)
}

impl Reader<'_> {
    /// The whole file, table by table.
    pub(crate) fn file(&mut self, root: &DeTable<'_>) -> File {
        let mut file = File::default();
        for (name, value) in in_order(root) {
            let known = TABLES.iter().find(|(table, _, _)| name.get_ref() == table);
            let Some((table, scope, named)) = known else {
                self.unknown_at_the_top(name, value.get_ref());
                continue;
            };
            let DeValue::Table(content) = value.get_ref() else {
                self.no_table(name, value, table, *named);
                continue;
            };
            if !named {
                let title = format!("[{table}]");
                file.init = Some(self.sheet(name, title, *scope, content));
                continue;
            }
            let sheets = self.named(table, *scope, content);
            match scope {
                Scope::Lock => file.locks = sheets,
                Scope::Class => file.classes = sheets,
                _ => file.jobs = sheets,
            }
        }
        file
    }

    /// The tables `[jobs.…]`.
    fn named(&mut self, table: &str, scope: Scope, content: &DeTable<'_>) -> Vec<Sheet> {
        let mut sheets = Vec::new();
        for (name, value) in in_order(content) {
            let DeValue::Table(inner) = value.get_ref() else {
                if keys::find(name.get_ref(), scope).is_some() {
                    let message = format!("`{}` stands in no {}", name.get_ref(), kind_of(scope));
                    let help = format!("give it a name: [{table}.NAME], and the key below it");
                    self.findings.error(&name.span(), message, help);
                } else {
                    self.no_table(
                        name,
                        value,
                        &format!("{table}.{}", shown(name.get_ref())),
                        false,
                    );
                }
                continue;
            };
            self.check_name(name, scope);
            let title = format!("[{table}.{}]", shown(name.get_ref()));
            sheets.push(self.sheet(name, title, scope, inner));
        }
        sheets
    }

    fn check_name(&mut self, name: &Spanned<DeString<'_>>, scope: Scope) {
        let text: &str = name.get_ref();
        if !fits_name(text) {
            let message = format!(
                "\"{}\" cannot be the name of a {}",
                shown(text),
                kind_of(scope)
            );
            let help = format!(
                "use letters, digits, `-`, `_` and `.`, a letter or digit first, at most \
                 {LONGEST_NAME} of them"
            );
            self.findings.error(&name.span(), message, help);
        }
    }

    fn sheet(
        &mut self,
        name: &Spanned<DeString<'_>>,
        title: String,
        scope: Scope,
        table: &DeTable<'_>,
    ) -> Sheet {
        let mut entries = Vec::new();
        for (word, value) in in_order(table) {
            let Some(key) = keys::find(word.get_ref(), scope) else {
                self.unknown(word, scope, &title);
                continue;
            };
            let content = match (key.shape, value.get_ref()) {
                (Shape::NotBuilt, _) => {
                    self.not_built(key, &word.span());
                    Content::Refused
                }
                (
                    Shape::Table(inner) | Shape::WordOrTable(_, inner) | Shape::FlagOr(inner),
                    DeValue::Table(content),
                ) => {
                    let title = format!("`{}` of {title}", key.name);
                    Content::Sheet(self.sheet(word, title, inner, content))
                }
                _ => self
                    .value(key, value)
                    .map_or(Content::Refused, Content::Value),
            };
            entries.push(Entry {
                key,
                key_span: word.span(),
                value_span: value.span(),
                content,
            });
        }
        Sheet {
            name: name.get_ref().to_string(),
            title,
            span: name.span(),
            entries,
        }
    }

    fn not_built(&mut self, key: &Key, span: &Range<usize>) {
        let message = format!("`{}` is not built yet ({})", key.name, key.doc);
        self.findings
            .error(span, message, "take it out; this version cannot do it");
    }

    fn unknown(&mut self, word: &Spanned<DeString<'_>>, scope: Scope, title: &str) {
        if self.findings.full() {
            self.findings.count();
            return;
        }
        let name: &str = word.get_ref();
        let message = format!("unknown key `{}` in {title}", shown(name));
        let help = suggestion(name, scope);
        self.findings.error(&word.span(), message, help);
    }

    fn unknown_at_the_top(&mut self, word: &Spanned<DeString<'_>>, value: &DeValue<'_>) {
        if self.findings.full() {
            self.findings.count();
            return;
        }
        let name: &str = word.get_ref();
        let is_table = value.is_table() || value.is_array();
        let home = keys::KEYS.iter().find(|key| key.name == name && !is_table);
        let (message, help) = match home {
            Some(key) => (
                format!("`{name}` stands in no table"),
                format!("it belongs in {}", places(key)),
            ),
            None => (
                format!(
                    "unknown {} `{}`",
                    if is_table { "table" } else { "key" },
                    shown(name)
                ),
                match nearest(name, TABLES.iter().map(|(table, _, _)| *table)) {
                    Some(table) => format!("did you mean `{table}`?"),
                    None => {
                        "a file has [init], [locks.NAME], [classes.NAME] and [jobs.NAME]".into()
                    }
                },
            ),
        };
        self.findings.error(&word.span(), message, help);
    }

    /// `jobs = 1`, `[[jobs]]`, `jobs.dev = "claude"`.
    fn no_table(
        &mut self,
        name: &Spanned<DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
        title: &str,
        named: bool,
    ) {
        let header = format!("[{title}{}]", if named { ".NAME" } else { "" });
        let message = format!("`{title}` must be a table, not {}", found(value.get_ref()));
        let help = format!("write {header}, and its keys in the lines below");
        self.findings.error(&name.span(), message, help);
    }
}

/// What holds sheets of this scope, in the singular.
fn kind_of(scope: Scope) -> &'static str {
    match scope {
        Scope::Lock => "lock",
        Scope::Class => "class",
        _ => "job",
    }
}

/// Where a key may stand, in words.
fn places(key: &Key) -> String {
    let all: Vec<&str> = key.scopes.iter().map(|scope| scope.place()).collect();
    all.join(" or ")
}

/// What somebody who wrote `name` in `scope` most likely meant.
fn suggestion(name: &str, scope: Scope) -> String {
    let built = || keys::of(scope).filter(|key| key.shape != Shape::NotBuilt);
    let lower = name.to_ascii_lowercase().replace('-', "_");
    if let Some(key) = built().find(|key| key.name == lower) {
        return format!("did you mean `{}`?", key.name);
    }
    if let Some(key) = built().find(|key| key.also.contains(&lower.as_str())) {
        return format!("did you mean `{}` ({})?", key.name, key.doc);
    }
    if scope == Scope::Init && name == "kinds" {
        return "write it inside `on_event`: on_event = { kinds = … }".to_owned();
    }
    if matches!(scope, Scope::Class | Scope::Job) {
        for (table, inner) in [
            ("stop", Scope::Stop),
            ("final", Scope::Final),
            ("pause", Scope::Pause),
            ("restart", Scope::Restart),
            ("rlimits", Scope::Rlimits),
            ("cgroup", Scope::Cgroup),
            ("pty", Scope::Pty),
        ] {
            if keys::find(name, inner).is_some() {
                return format!("write it inside `{table}`: {table} = {{ {name} = … }}");
            }
        }
    }
    let elsewhere = |key: &&Key| key.name == name && key.shape != Shape::NotBuilt;
    if let Some(key) = keys::KEYS.iter().find(elsewhere) {
        return format!("it belongs in {}", places(key));
    }
    if let Some(near) = nearest(name, built().map(|key| key.name)) {
        return format!("did you mean `{near}`?");
    }
    let others = || keys::KEYS.iter().filter(|key| key.shape != Shape::NotBuilt);
    if let Some(near) = nearest(name, others().map(|key| key.name))
        && let Some(key) = others().find(|key| key.name == near)
    {
        return format!("did you mean `{near}`? it belongs in {}", places(key));
    }
    let all: Vec<&str> = built().map(|key| key.name).collect();
    format!("the keys here are {}", all.join(", "))
}
