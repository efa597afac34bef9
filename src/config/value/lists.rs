//! Lists: a command, paths, the names of variables, kinds of notes, jobs.
//!
//! Of most a list with one wrong item is none: what is left of it would mean something else.

use super::Reader;
use super::words::found;
use super::{Awaited, Value};
use crate::config::keys::Key;
use crate::config::nearest::nearest;
use crate::config::plan::{After, Want};
use crate::config::report::shown;
use crate::config::text::{path, quoted, unfit_name};
use crate::journal::kind;
use std::ffi::OsString;
use toml::Spanned;
use toml::de::DeValue;

impl Reader<'_> {
    /// A command is passed on as it stands: `${…}` in it belongs to the command.
    pub(super) fn command(&mut self, value: &Spanned<DeValue<'_>>) -> Option<Value> {
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
    pub(super) fn paths(&mut self, key: &Key, items: &[Spanned<DeValue<'_>>]) -> Option<Value> {
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
    pub(super) fn names(&mut self, key: &Key, items: &[Spanned<DeValue<'_>>]) -> Option<Value> {
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
    pub(super) fn kinds(&mut self, items: &[Spanned<DeValue<'_>>]) -> Option<Value> {
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
    pub(super) fn awaited(&mut self, items: &[Spanned<DeValue<'_>>]) -> Value {
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
}
