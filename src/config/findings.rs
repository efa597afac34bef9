//! The findings of one reading, gathered as byte ranges and told in the order of the file.
//!
//! A syntax error makes others that are none: a line that cannot be parsed has no key, and the
//! table it stands in seems to lack one. What may only follow from a syntax error is not told.

use std::ops::Range;

use super::report::{Finding, Severity};
use super::secrets::Hidden;
use crate::core::order;

/// More errors than this are counted, not kept: a file with so many is some other file.
const KEPT: usize = 100;

#[derive(Debug)]
struct Raw {
    span: Range<usize>,
    message: String,
    help: String,
    /// Whether a syntax error anywhere in the file may be the true reason.
    may_follow: bool,
}

/// What has been found so far.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    syntax: Vec<Raw>,
    errors: Vec<Raw>,
    warnings: Vec<Raw>,
    more: usize,
}

/// Errors, warnings, and how many errors more than are told.
pub(crate) type Told = (Vec<Finding>, Vec<Finding>, usize);

impl Findings {
    /// Whether more errors would only be counted.
    pub(crate) fn full(&self) -> bool {
        self.errors.len() >= KEPT
    }

    /// Whether no syntax error was found.
    pub(crate) fn no_syntax(&self) -> bool {
        self.syntax.is_empty()
    }

    /// Counts an error that nobody will read.
    pub(crate) fn count(&mut self) {
        self.more += 1;
    }

    pub(crate) fn syntax(&mut self, span: Range<usize>, message: String, help: String) {
        keep(
            &mut self.syntax,
            &mut self.more,
            raw(span, message, help, false),
        );
    }

    pub(crate) fn error(
        &mut self,
        span: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let new = raw(span.clone(), message, help, false);
        keep(&mut self.errors, &mut self.more, new);
    }

    /// An error that a syntax error elsewhere may have made: something is missing or unknown.
    pub(crate) fn missing(
        &mut self,
        span: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let new = raw(span.clone(), message, help, true);
        keep(&mut self.errors, &mut self.more, new);
    }

    pub(crate) fn warning(
        &mut self,
        span: &Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let mut uncounted = 0;
        let new = raw(span.clone(), message, help, true);
        keep(&mut self.warnings, &mut uncounted, new);
    }

    /// Whether there is nothing to tell.
    pub(crate) const fn is_empty(&self) -> bool {
        self.syntax.is_empty() && self.errors.is_empty() && self.warnings.is_empty()
    }

    /// All of it, in the order of the file, and without what is `hidden` of it.
    pub(crate) fn tell(self, file: &str, text: &str, hidden: &Hidden) -> Told {
        let told = |raws: Vec<Raw>, severity| {
            raws.into_iter().map(move |raw| {
                let (place, secrets) = hidden.place(text, &raw.span);
                let finding = Finding {
                    severity,
                    file: file.to_owned(),
                    place: Some(place),
                    message: secrets.hide(&raw.message),
                    help: secrets.hide(&raw.help),
                };
                (raw.span.start, raw.may_follow, finding)
            })
        };
        let broken = !self.syntax.is_empty();
        let mut errors: Vec<_> = told(self.syntax, Severity::Error).collect();
        let own = |(_, may_follow, _): &(usize, bool, Finding)| !(broken && *may_follow);
        errors.extend(told(self.errors, Severity::Error).filter(own));
        let mut warnings: Vec<_> = told(self.warnings, Severity::Warning).collect();
        order::sort_by_key(&mut errors, |(start, _, _)| *start);
        order::sort_by_key(&mut warnings, |(start, _, _)| *start);
        let plain = |all: Vec<(usize, bool, Finding)>| all.into_iter().map(|(_, _, f)| f).collect();
        (plain(errors), plain(warnings), self.more)
    }
}

fn raw(
    span: Range<usize>,
    message: impl Into<String>,
    help: impl Into<String>,
    may_follow: bool,
) -> Raw {
    Raw {
        span,
        message: message.into(),
        help: help.into(),
        may_follow,
    }
}

fn keep(list: &mut Vec<Raw>, more: &mut usize, new: Raw) {
    if list.len() < KEPT {
        list.push(new);
    } else {
        *more += 1;
    }
}
