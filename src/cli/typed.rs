//! What stands on the command line, read against the table of flags.
//!
//! The first of two steps: which words are flags, which belong to the command, and what a value
//! says by itself. What goes together is the business of [`mod@super::parse`].

use std::ffi::{OsStr, OsString};
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::time::Duration;

use lexopt::{Arg, Parser};

use super::flags::{FLAGS, Flag, Id, LOCK_VERBS, VERBS, Verb, VerbInfo};
use super::meant::file_of;
use super::parse::{Command, UsageError};
use super::suggest::nearest;
use crate::config::plan::Wait;
use crate::core::shell::Typed as Words;
use crate::journal::Verbosity;

/// What stands on the command line.
#[derive(Debug, Default)]
pub(super) struct Typed {
    pub(super) verb: Option<Verb>,
    pub(super) flags: Vec<(&'static Flag, OsString)>,
    pub(super) job: Option<OsString>,
    /// What follows `status` or a verb of `lock`.
    pub(super) words: Vec<OsString>,
    pub(super) command: Option<Vec<OsString>>,
    /// As `run JOB …` may have been meant.
    pub(super) as_command: Option<String>,
}

impl Typed {
    /// Reads all, or finds `--help` or `--version`: whatever else stands there does not matter.
    pub(super) fn read(&mut self, mut parser: Parser) -> Result<Option<Command>, UsageError> {
        let typed = self;
        loop {
            if let Some(mut rest) = parser.try_raw_args()
                && rest.next_if(|arg| arg == "--").is_some()
            {
                typed.command = Some(rest.collect());
                return Ok(None);
            }
            let flag = match parser.next().map_err(misread)? {
                None => return Ok(None),
                Some(Arg::Value(word)) => {
                    if typed.word(word, &mut parser)? {
                        return Ok(None);
                    }
                    continue;
                }
                Some(Arg::Long(long)) => FLAGS
                    .iter()
                    .find(|flag| flag.long == long)
                    .ok_or_else(|| typed.unknown(&format!("--{long}")))?,
                Some(Arg::Short(short)) => FLAGS
                    .iter()
                    .find(|flag| flag.short == Some(short))
                    .ok_or_else(|| typed.unknown(&format!("-{short}")))?,
            };
            match flag.id {
                Id::Help => return Ok(Some(Command::Help(typed.verb))),
                Id::Version => return Ok(Some(Command::Version)),
                _ => {}
            }
            let value = value_of(flag, &mut parser)?;
            let repeats = matches!(flag.id, Id::Verbose | Id::Quiet | Id::DirLock | Id::Skip);
            if !repeats && typed.flags.iter().any(|(other, _)| other.id == flag.id) {
                return Err(usage(format!("\"--{}\" is given twice", flag.long)));
            }
            typed.flags.push((flag, value));
        }
    }

    /// Takes a word that is no flag; true when it began a command, and all the rest is taken.
    fn word(&mut self, word: OsString, parser: &mut Parser) -> Result<bool, UsageError> {
        let Some(verb) = self.verb else {
            self.verb = Some(self.verb_of(&word, parser)?);
            return Ok(false);
        };
        if verb == Verb::Lock {
            self.verb = Some(lock_verb_of(&word)?);
            return Ok(false);
        }
        if verb == Verb::Pause && self.words.is_empty() && word == "end" {
            self.verb = Some(Verb::PauseEnd);
            return Ok(false);
        }
        if matches!(verb, Verb::Pause | Verb::PauseEnd) {
            self.words.push(word);
            return Ok(false);
        }
        if verb == Verb::Status || LOCK_VERBS.iter().any(|info| info.verb == verb) {
            self.words.push(word);
            return Ok(false);
        }
        if verb == Verb::Run && self.flags.iter().any(|(flag, _)| flag.of_command) {
            let rest = parser.raw_args().map_err(misread)?;
            self.command = Some([word].into_iter().chain(rest).collect());
            return Ok(true);
        }
        let takes_job = matches!(
            verb,
            Verb::Run
                | Verb::Logs
                | Verb::Timeline
                | Verb::Start
                | Verb::Stop
                | Verb::Restart
                | Verb::Health
        );
        if takes_job && self.job.is_none() {
            if verb == Verb::Run {
                let rest = parser.raw_args().map_err(misread)?;
                self.as_command = Some(self.as_run(&word, rest.as_slice()));
            }
            self.job = Some(word);
            return Ok(false);
        }
        if let Some(file) = file_of(verb, &word) {
            return Err(file);
        }
        let shown = quoted(&word);
        Err(match &self.job {
            Some(job) if matches!(verb, Verb::Logs | Verb::Timeline) => usage(format!(
                "unexpected argument {shown} behind job {}: journalctl's own stand behind \"--\"",
                quoted(job)
            )),
            Some(job) if verb != Verb::Run => usage(format!(
                "unexpected argument {shown} behind job {}: \"{}\" takes one job",
                quoted(job),
                verb.name()
            )),
            Some(job) => usage(format!(
                "unexpected argument {shown} behind job {}",
                quoted(job)
            )),
            None if verb == Verb::Init => usage(format!(
                "unexpected argument {shown}; to run it as a command: {}",
                self.as_main(&word, parser)?
            )),
            None => usage(format!(
                "unexpected argument {shown}: see \"lockkeeper {} --help\"",
                verb.name()
            )),
        })
    }

    fn unknown(&self, typed: &str) -> UsageError {
        if let Some(job) = self.job.as_ref().filter(|_| self.verb == Some(Verb::Run)) {
            return usage(format!(
                "unknown option {typed:?} behind job {}",
                quoted(job)
            ));
        }
        let name = typed.strip_prefix("--");
        if self.verb.is_none()
            && let Some(info) = VERBS.iter().find(|info| name == Some(info.name))
        {
            return usage(format!(
                "unknown option {typed:?}: did you mean {:?}?",
                info.name
            ));
        }
        let of_verb = |flag: &&Flag| self.verb.is_none_or(|verb| flag.belongs_to(verb));
        let longs = FLAGS.iter().filter(of_verb).map(|flag| flag.long);
        let near = name.and_then(|name| nearest(name, longs));
        usage(match (near, self.verb) {
            (Some(near), _) => {
                format!("unknown option {typed:?}: did you mean \"--{near}\"?")
            }
            (None, Some(Verb::Logs)) => {
                format!("unknown option {typed:?}: journalctl's own stand behind \"--\"")
            }
            (None, Some(verb)) => format!(
                "unknown option {typed:?}: see \"lockkeeper {} --help\"",
                verb.name()
            ),
            (None, None) => format!("unknown option {typed:?}: see \"lockkeeper --help\""),
        })
    }

    pub(super) fn no_foreign_flag(&self, verb: Verb) -> Result<(), UsageError> {
        let Some((flag, _)) = self.flags.iter().find(|(flag, _)| !flag.belongs_to(verb)) else {
            return Ok(());
        };
        let names: Vec<_> = flag.verbs.iter().map(|verb| verb.name()).collect();
        if let (Verb::Init, Some(command)) = (verb, &self.command)
            && flag.of_command
        {
            let words = [self.written(Verb::Run), vec!["--".into()], command.clone()].concat();
            return Err(usage(format!(
                "\"--{}\" goes with \"run\": {}",
                flag.long,
                Words("lockkeeper run", &words)
            )));
        }
        let see = match &*names {
            [one] => format!(": see \"lockkeeper {one} --help\""),
            [_, _] | [_, _, _] => format!(", but with {}", names.join(" and ")),
            _ => ": see \"lockkeeper --help\"".to_owned(),
        };
        Err(usage(format!(
            "\"--{}\" does not go with \"{}\"{see}",
            flag.long,
            verb.name()
        )))
    }

    /// The command behind `--`; empty where there is no `--`.
    pub(super) fn command(&mut self) -> Result<Vec<OsString>, UsageError> {
        match self.command.take() {
            None => Ok(Vec::new()),
            Some(command) if command.is_empty() => Err(usage("no command behind \"--\"")),
            Some(command) => Ok(command),
        }
    }

    pub(super) fn value(&self, id: Id) -> Option<&(&'static Flag, OsString)> {
        self.flags.iter().find(|(flag, _)| flag.id == id)
    }

    pub(super) fn path(&self, id: Id) -> Result<Option<PathBuf>, UsageError> {
        Ok(self.paths(id)?.into_iter().next())
    }

    /// The values of a flag that may be repeated, in their order.
    pub(super) fn paths(&self, id: Id) -> Result<Vec<PathBuf>, UsageError> {
        let of_flag = self.flags.iter().filter(|(flag, _)| flag.id == id);
        of_flag
            .map(|(flag, value)| {
                if value.is_empty() {
                    return Err(usage(format!(
                        "\"--{}\" is empty: it needs a {}",
                        flag.long,
                        flag.value.unwrap_or_default()
                    )));
                }
                Ok(value.into())
            })
            .collect()
    }

    pub(super) fn text(&self, id: Id) -> Result<Option<String>, UsageError> {
        self.value(id)
            .map(|(flag, value)| text_of(&format!("\"--{}\"", flag.long), value.clone()))
            .transpose()
    }

    /// The values of a flag that can be given again: names of folders.
    pub(super) fn names(&self, id: Id) -> Result<Vec<OsString>, UsageError> {
        let given = self.flags.iter().filter(|(flag, _)| flag.id == id);
        let name = |(flag, value): &(&Flag, OsString)| {
            if value.is_empty() || value.as_encoded_bytes().contains(&b'/') {
                let shown = quoted(value);
                return Err(usage(format!(
                    "\"--{}\" {shown} is no name of a folder: write it without a slash",
                    flag.long
                )));
            }
            Ok(value.clone())
        };
        given.map(name).collect()
    }

    pub(super) fn time(&self, id: Id) -> Result<Option<Duration>, UsageError> {
        let Some((flag, value)) = self.value(id) else {
            return Ok(None);
        };
        match value.to_str().and_then(time) {
            Some(time) => Ok(Some(time)),
            None => Err(usage(format!(
                "\"--{}\" {} is no time: write 90, 90s, 10m or 2h",
                flag.long,
                quoted(value)
            ))),
        }
    }

    /// A time after which something is ended: zero would end it before it began.
    pub(super) fn limit(&self, id: Id) -> Result<Option<Duration>, UsageError> {
        let limit = self.time(id)?;
        match (limit, self.value(id)) {
            (Some(Duration::ZERO), Some((flag, _))) => Err(usage(format!(
                "\"--{0}\" is zero: for no limit, leave --{0} out",
                flag.long
            ))),
            _ => Ok(limit),
        }
    }

    pub(super) fn wait(&self) -> Result<Option<Wait>, UsageError> {
        if self
            .value(Id::Wait)
            .is_some_and(|(_, value)| value == "forever")
        {
            return Ok(Some(Wait::Forever));
        }
        Ok(self.time(Id::Wait)?.map(Wait::AtMost))
    }

    pub(super) fn verbosity(&self) -> Result<Verbosity, UsageError> {
        let given = |id| self.flags.iter().filter(|(flag, _)| flag.id == id).count();
        match (given(Id::Quiet), given(Id::Verbose)) {
            (0, 0) => Ok(Verbosity::Normal),
            (0, 1) => Ok(Verbosity::Verbose),
            (0, _) => Ok(Verbosity::Debug),
            (_, 0) => Ok(Verbosity::Quiet),
            (_, _) => Err(usage("\"--quiet\" and \"--verbose\" exclude each other")),
        }
    }

    pub(super) fn descriptor(&self) -> Result<Option<RawFd>, UsageError> {
        let Some((_, value)) = self.value(Id::Report) else {
            return Ok(None);
        };
        let number = value.to_str().and_then(|text| text.parse().ok());
        match number {
            Some(fd @ 0..) => Ok(Some(fd)),
            _ => Err(usage(format!(
                "\"--report\" {} is no descriptor: write its number, as in --report 3",
                quoted(value)
            ))),
        }
    }
}

/// The value of a flag, empty for a flag that takes none.
fn value_of(flag: &Flag, parser: &mut Parser) -> Result<OsString, UsageError> {
    let long = flag.long;
    let Some(kind) = flag.value else {
        // A value that is there all the same (--json=1) is refused when the next flag is read.
        return Ok(OsString::new());
    };
    if let Some(value) = parser.optional_value() {
        return Ok(value);
    }
    let mut rest = parser.raw_args().map_err(misread)?;
    // A lone dash is standard input or output.
    match rest.next_if(|next| next == "-" || !next.as_encoded_bytes().starts_with(b"-")) {
        Some(value) => Ok(value),
        None => Err(usage(match rest.peek() {
            Some(next) => format!(
                "\"--{long}\" needs a {kind}, but {} follows; \
                 a {kind} that begins with - is written --{long}={kind}",
                quoted(next)
            ),
            None => format!("\"--{long}\" needs a {kind}"),
        })),
    }
}

/// The verb that `lock` and this word make.
fn lock_verb_of(word: &OsStr) -> Result<Verb, UsageError> {
    let second = |info: &'static VerbInfo| info.name.split_once(' ').map_or("", |(_, word)| word);
    if let Some(info) = LOCK_VERBS.iter().find(|info| word == second(info)) {
        return Ok(info.verb);
    }
    let (shown, typed) = (quoted(word), word.to_string_lossy());
    Err(usage(
        match nearest(&typed, LOCK_VERBS.iter().map(second)) {
            Some(near) => format!("unknown verb {shown} behind \"lock\": did you mean {near:?}?"),
            None => format!(
                "unknown verb {shown} behind \"lock\": there are list, show, clean, hold and release; \
             see \"lockkeeper lock --help\""
            ),
        },
    ))
}

/// `90`, `0.5` (seconds), `10m`, `1h 30m`.
pub(super) fn time(text: &str) -> Option<Duration> {
    seconds(text).or_else(|| humantime::parse_duration(text).ok())
}

/// By hand, as what reads any `f64` is 16 kB of code and tables that nothing else here needs.
fn seconds(text: &str) -> Option<Duration> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let mut digits = whole.bytes().chain(fraction.bytes());
    if whole.len() + fraction.len() == 0 || !digits.all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // What is less than a nanosecond is nothing.
    let nanos = format!("{fraction:0<9.9}").parse().ok()?;
    Some(Duration::new(format!("0{whole}").parse().ok()?, nanos))
}

pub(super) fn text_of(what: &str, value: OsString) -> Result<String, UsageError> {
    match value.into_string() {
        Ok(text) if text.is_empty() => Err(usage(format!("{what} is empty"))),
        Ok(text) => Ok(text),
        Err(value) => Err(usage(format!("{what} {} is not UTF-8", quoted(&value)))),
    }
}

pub(super) fn quoted(word: &OsStr) -> String {
    format!("{:?}", word.to_string_lossy())
}

pub(super) fn usage(text: impl Into<String>) -> UsageError {
    UsageError(text.into())
}

/// What lexopt itself refuses: a value on a flag that takes none.
pub(super) fn misread(error: lexopt::Error) -> UsageError {
    match error {
        lexopt::Error::UnexpectedValue { option, value } => usage(format!(
            "{option:?} takes no value, but has {}",
            quoted(&value)
        )),
        other => usage(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_number_is_seconds_whole_or_with_a_fraction() {
        let nanos = |text| time(text).map(|time| time.as_nanos());
        assert_eq!(nanos("90"), Some(90_000_000_000));
        assert_eq!(nanos("0.5"), Some(500_000_000));
        assert_eq!(nanos(".25"), Some(250_000_000));
        assert_eq!(nanos("7."), Some(7_000_000_000));
        assert_eq!(nanos("0.33333333333333331"), Some(333_333_333));
        assert_eq!(nanos("0.000000001"), Some(1));
        assert_eq!(nanos("1h 30m"), Some(5_400_000_000_000));
        let none = [
            "",
            ".",
            "-1",
            "1.2.3",
            "0x5",
            "1.-5",
            "inf",
            "NaN",
            "99999999999999999999",
        ];
        for text in none {
            assert_eq!(nanos(text), None, "{text}");
        }
    }
}
