//! What was meant by a command line that cannot be understood as it stands: a command without its `--`,
//! a file without its `-c`, a verb with a slip in it. All of it is given back as words for a shell.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use lexopt::Parser;

use super::flags::{FLAGS, Flag, Id, VERBS, Verb};
use super::parse::UsageError;
use super::suggest::nearest;
use super::typed::{Typed, misread, quoted, usage};
use crate::core::shell::{self, Typed as Words};

impl Typed {
    /// The verb of that name.
    pub(super) fn verb_of(&self, word: &OsStr, parser: &mut Parser) -> Result<Verb, UsageError> {
        let verb = |word: &OsStr| VERBS.iter().find(|info| word == info.name);
        if let Some(info) = verb(word) {
            return Ok(info.verb);
        }
        let (shown, typed) = (quoted(word), word.to_string_lossy());
        let rest = parser.raw_args().map_err(misread)?;
        let next = rest.as_slice().first();
        if let (true, Some(info)) = (word == "help", next.and_then(|word| verb(word))) {
            return Err(usage(format!(
                "unknown verb {shown}: did you mean `lockkeeper {} --help`?",
                info.name
            )));
        }
        if let Some(flag) = FLAGS.iter().find(|flag| typed == flag.long) {
            return Err(usage(format!(
                "unknown verb {shown}: did you mean \"--{}\"?",
                flag.long
            )));
        }
        let lower = typed.to_ascii_lowercase();
        if let Some(near) = nearest(&lower, VERBS.iter().map(|info| info.name)) {
            return Err(usage(format!(
                "unknown verb {shown}: did you mean {near:?}?"
            )));
        }
        if let Some(file) = file_of(Verb::Init, word) {
            return Err(file);
        }
        let job = match (self.value(Id::Config), next) {
            (Some((_, file)), None) => {
                let words = [file.clone(), word.to_owned()];
                let run = Words("lockkeeper run -c", &words);
                format!("; to run the job of that name: {run}")
            }
            _ => String::new(),
        };
        Err(usage(format!(
            "unknown verb {shown}; to run it as a command: {}{job}",
            self.as_main(word, parser)?
        )))
    }

    /// What was typed, from `word` on as the main command that it may have been meant for.
    pub(super) fn as_main(&self, word: &OsStr, parser: &mut Parser) -> Result<String, UsageError> {
        let rest = parser.raw_args().map_err(misread)?;
        // Who typed `--` one word too late.
        let rest = rest.filter(|arg| arg != "--");
        let command = [word.to_owned()].into_iter().chain(rest);
        let foreign = |(flag, _): &(&Flag, OsString)| !flag.belongs_to(Verb::Init);
        let (begin, verb) = if self.flags.iter().any(foreign) {
            ("lockkeeper run", Verb::Run)
        } else {
            ("lockkeeper", Verb::Init)
        };
        let mut words = self.written(verb);
        words.push("--".into());
        words.extend(command);
        Ok(Words(begin, &words).to_string())
    }

    /// What was typed, with `job` as the command that it may have been meant for. Options of such a run
    /// that stand at once behind it are ours.
    pub(super) fn as_run(&self, job: &OsStr, behind: &[OsString]) -> String {
        let mut words = self.written(Verb::Run);
        let mut rest = behind.iter();
        while let Some(word) = rest.as_slice().first() {
            let word = word.to_string_lossy();
            let (name, value) = word
                .split_once('=')
                .map_or((&*word, None), |(name, value)| (name, Some(value)));
            let is = |flag: &Flag| flag.of_command && name.strip_prefix("--") == Some(flag.long);
            if !FLAGS.iter().any(is) {
                break;
            }
            let length = if value.is_some() { 1 } else { 2 };
            words.extend(rest.by_ref().take(length).cloned());
        }
        words.extend(["--".into(), job.to_owned()]);
        let dashes = rest.as_slice().first().is_some_and(|word| word == "--");
        words.extend(rest.skip(usize::from(dashes)).cloned());
        Words("lockkeeper run", &words).to_string()
    }

    /// The flags so far, as words of this verb; without a file that nothing would be taken from.
    pub(super) fn written(&self, verb: Verb) -> Vec<OsString> {
        let takes_file = verb != Verb::Run || self.value(Id::Class).is_some();
        let mut words = Vec::new();
        for (flag, value) in &self.flags {
            if flag.id == Id::Config && !takes_file {
                continue;
            }
            words.push(format!("--{}", flag.long).into());
            words.extend(flag.value.map(|_| value.clone()));
        }
        words
    }

    /// The error, with the command that `run` was to run if it was none of the file's jobs.
    pub(super) fn explained(&self, error: UsageError) -> UsageError {
        match (&self.job, &self.as_command) {
            (Some(job), Some(command)) => {
                let job = quoted(job);
                usage(format!("{error}; if {job} is a command: {command}"))
            }
            _ => error,
        }
    }
}

/// That a file is named by `-c`, for a word that must be one: no verb, and hardly a command.
pub(super) fn file_of(verb: Verb, word: &OsStr) -> Option<UsageError> {
    let begin = match verb {
        Verb::Init => "lockkeeper -c",
        Verb::Check => "lockkeeper check -c",
        _ => return None,
    };
    let path = Path::new(word);
    let is_file = path.extension().is_some_and(|ending| ending == "toml");
    is_file.then(|| {
        let command = shell::Command::on(begin, path);
        usage(format!(
            "unexpected argument {}; the file is named with -c: {command}",
            quoted(word)
        ))
    })
}
