//! `lockkeeper logs`: what the journal has of a job, or of all jobs and init.
//!
//! It only finds the right question and becomes journalctl, which knows the rest: pages, colours,
//! times, formats. The question: the records with `JOB`, or all of ours; of this container where
//! there is a file that names it, else, as on a host, of all containers.
//!
//! The right place is found beside this (`super::journal`); what is told after `--` goes before it.
//!
//! A job with `output = "file"` is shown by its files, the oldest first; `--since` or an option of
//! journalctl asks for the journal's notes about it all the same, as lines of a file have no times.
//!
//! What a job has printed may steer a terminal. journalctl shows no line with control characters, if it
//! is not asked to (`--all`, `--output=cat`); in files they are escaped for a terminal, by a copy of this
//! process behind tail(1) where that follows.

mod shown;

use std::ffi::{CString, OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{dup2_stdout, execvp};

use super::journal::{no_journalctl, option, place_asked};
use super::start::{config_path, load, refused};
use crate::cli::LogsArgs;
use crate::config::load::Loaded;
use crate::exit;
use crate::lock::fault::Quoted;
use crate::run::start::Refused;
use crate::sys::process::{self, Forked};
use crate::sys::{signals, tty};
use crate::trouble;
use shown::Shown;

/// Becomes journalctl; comes back only where it cannot.
pub fn logs(args: LogsArgs) -> Result<u8, Refused> {
    signals::let_through();
    let loaded = file(args.config.as_deref())?;
    if args.since.is_none()
        && args.options.is_empty()
        && let Some(output) = output_file(loaded.as_ref(), args.job.as_deref())
    {
        return show(&output, args.follow);
    }
    let container = loaded.map(|loaded| loaded.plan.init.name);
    let asked: Vec<&OsStr> = args.options.iter().map(AsRef::as_ref).collect();
    let matches = matches(args.job.as_deref(), container.as_deref(), &asked);
    let mut words: Vec<OsString> = vec!["journalctl".into()];
    words.extend(place_asked(&args.options, &matches)?);
    words.extend(args.follow.then(|| "--follow".into()));
    words.extend(args.since.map(|when| option("--since=", &when)));
    words.extend(args.options);
    words.extend(matches.iter().cloned());
    let errno = become_program(&words);
    Err(no_journalctl(errno, &matches))
}

/// A job's file, and how many older ones there may be.
struct OutputFile {
    path: PathBuf,
    older: u64,
}

/// The file that has all of the job's output; `None`: the journal has it, or nobody.
fn output_file(loaded: Option<&Loaded>, job: Option<&str>) -> Option<OutputFile> {
    let jobs = loaded?.plan.jobs.iter();
    let run = &jobs.map(|job| &job.run).find(|run| job == Some(&run.job))?;
    let output = &run.output;
    (output.file && !output.journal).then(|| OutputFile {
        path: output.path(&run.job),
        older: output.log_files,
    })
}

/// All of what was set aside, then the file; to follow that is tail's business.
fn show(output: &OutputFile, follow: bool) -> Result<u8, Refused> {
    let path = &output.path;
    // First: where there is none, nothing is shown.
    let mut newest = open(path).map_err(|error| unread(path, &error))?;
    let escapes = tty::is_terminal(io::stdout().as_fd());
    let older = (1..=output.older).rev().map(|number| {
        let mut name = path.clone().into_os_string();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    });
    for path in older {
        let copied = match open(&path) {
            Ok(mut file) => copy(&mut file, escapes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        match copied {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(exit::OK),
            copied => copied.map_err(|error| unread(&path, &error))?,
        }
    }
    if follow {
        return Err(become_tail(path, escapes));
    }
    match copy(&mut newest, escapes) {
        // Who reads has enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(exit::OK),
        copied => copied
            .map(|()| exit::OK)
            .map_err(|error| unread(path, &error)),
    }
}

fn unread(path: &Path, error: &io::Error) -> Refused {
    let (shown, why) = (Quoted(path), trouble::text_of(error));
    let text = format!("reading the job's output from {shown}: {why}");
    refused(exit::FAILED, text)
}

/// A FIFO in its place has no writer that would have to be waited for, and a link is none of ours.
fn open(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(Errno::EINVAL.into())
    }
}

/// Comes back only where it cannot.
fn become_tail(path: &Path, escapes: bool) -> Refused {
    let shown = Quoted(path);
    if escapes && let Err(error) = escape_behind() {
        let why = trouble::text_of(&error);
        let text = format!("following {shown}: {why}; leave out --follow");
        return refused(exit::FAILED, text);
    }
    let words = ["tail", "-n", "+1", "-F", "--"].map(OsString::from);
    let words: Vec<OsString> = words.into_iter().chain([path.into()]).collect();
    let why = trouble::why(become_program(&words));
    let text = format!("executing \"tail\" to follow {shown}: {why}; leave out --follow");
    refused(exit::NOT_FOUND, text)
}

/// Puts a copy of this process between our standard output and the terminal. It ends with what we
/// become, and what we become ends at its next line when the copy has ended.
fn escape_behind() -> io::Result<()> {
    let (from, to) = io::pipe()?;
    match process::fork()? {
        Forked::Child => {
            drop(to);
            let copied = copy(&mut File::from(OwnedFd::from(from)), true);
            process::exit_now(u8::from(copied.is_err()))
        }
        Forked::Parent(_) => Ok(dup2_stdout(to)?),
    }
}

/// Writes on what is there, for a terminal without what that would obey.
fn copy(from: &mut File, escapes: bool) -> io::Result<()> {
    let mut to = io::stdout().lock();
    if !escapes {
        return io::copy(from, &mut to).map(drop);
    }
    let (mut shown, mut piece) = (Shown::default(), vec![0; 16 * 1024]);
    loop {
        let length = match from.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let text = shown.feed(piece.get(..length).unwrap_or_default());
        to.write_all(text.as_bytes())?;
        to.flush()?;
    }
    to.write_all(shown.end().as_bytes())?;
    to.flush()
}

/// The file that is named; else the one that is found, if it can be read: on a host there is none.
fn file(named: Option<&Path>) -> Result<Option<Loaded>, Refused> {
    match named {
        Some(path) => load(path).map(Some),
        None => Ok(load(&config_path(None)).ok()),
    }
}

/// The question. All that is ours are notes, and what jobs have printed, of whom each has a name of its
/// own there; what is `asked` beside it holds for both.
fn matches(job: Option<&str>, container: Option<&str>, asked: &[&OsStr]) -> Vec<OsString> {
    let container = container.map(|name| format!("CONTAINER_NAME={name}"));
    let container = || container.iter().map(OsString::from);
    if let Some(job) = job {
        let job = format!("JOB={job}").into();
        return [job].into_iter().chain(container()).collect();
    }
    let asked = asked.iter().filter(|word| is_match(word));
    ["SYSLOG_IDENTIFIER=lockkeeper".into()]
        .into_iter()
        .chain(container())
        .chain(["+".into()])
        .chain(asked.map(OsString::from))
        .chain(["JOB_STREAM=stdout", "JOB_STREAM=stderr"].map(OsString::from))
        .chain(container())
        .collect()
}

/// Whether journalctl takes the word for a field and its value (journalctl(1)).
fn is_match(word: &OsStr) -> bool {
    let name = |byte: &u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_';
    let mut parts = word.as_bytes().splitn(2, |byte| *byte == b'=');
    let is_name = parts
        .next()
        .is_some_and(|part| part.iter().all(name) && !part.is_empty());
    is_name && parts.next().is_some()
}

/// Comes back only if it fails.
fn become_program(words: &[OsString]) -> Errno {
    let c_words: Option<Vec<CString>> = words
        .iter()
        .map(|word| CString::new(word.as_bytes()).ok())
        .collect();
    let Some(c_words) = c_words else {
        return Errno::EINVAL;
    };
    let Some(program) = c_words.first() else {
        return Errno::EINVAL;
    };
    signals::restore_started();
    let Err(errno) = execvp(program, &c_words);
    errno
}

#[cfg(test)]
mod tests {
    use super::super::journal::elsewhere;
    use super::*;

    #[test]
    fn the_question_is_about_a_job_or_about_all_that_is_ours() {
        let (lines, asked) = (OsStr::new("--lines=5"), OsStr::new("JOB_PID=2"));
        assert_eq!(
            matches(None, Some("c"), &[lines, asked]),
            [
                "SYSLOG_IDENTIFIER=lockkeeper",
                "CONTAINER_NAME=c",
                "+",
                "JOB_PID=2",
                "JOB_STREAM=stdout",
                "JOB_STREAM=stderr",
                "CONTAINER_NAME=c",
            ]
        );
        let both = matches(Some("dev"), Some("agents 1"), &[asked]);
        assert_eq!(both, ["JOB=dev", "CONTAINER_NAME=agents 1"]);
        let text = elsewhere(&both);
        assert!(
            text.contains("journalctl JOB=dev 'CONTAINER_NAME=agents 1';"),
            "{text}"
        );
    }
}
