//! Where the records come from, line by line: journalctl's JSON, or the log of a container.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};

use nix::errno::Errno;

use super::super::journal::{no_journalctl, place_asked};
use super::super::start::refused;
use super::{sign, words};
use crate::cli::TimelineArgs;
use crate::core::outcome::Status;
use crate::core::timeline::Sign;
use crate::exit;
use crate::run::start::Refused;
use crate::sys::spawn::{Command, Memory};
use crate::sys::{poll, wait};
use crate::trouble;

/// The longest line that is read. A note is a few hundred bytes; a job may write what it likes.
const LONGEST: usize = 256 * 1024;
/// What is looked for.
const OURS: &str = "SYSLOG_IDENTIFIER=lockkeeper";

/// Takes a sign.
pub(super) type Take<'a> = &'a mut dyn FnMut(&Sign);

/// What was read.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// How many lines.
    pub(super) lines: usize,
    /// How many were notes.
    pub(super) notes: usize,
    /// How many were notes in words, without a time.
    pub(super) texts: usize,
}

/// Asks journalctl, and takes its records while it writes them.
pub(super) fn journal(args: &TimelineArgs, take: Take<'_>) -> Result<(), Refused> {
    let matches = [OsString::from(OURS)];
    let mut command: Vec<OsString> = vec!["journalctl".into()];
    command.extend(place_asked(&args.options, &matches).map_err(or_a_log)?);
    command.extend(words(args));
    // Behind what was typed: the last one counts.
    command.extend(["--output=json", "--no-pager", "--quiet", sign::FIELDS].map(OsString::from));
    command.extend(matches.iter().cloned());

    let failed = |error: io::Error| {
        let why = trouble::text_of(&error);
        refused(exit::FAILED, format!("reading the journal: {why}"))
    };
    let null = OwnedFd::from(File::open("/dev/null").map_err(failed)?);
    let (answer, stdout) = io::pipe().map_err(failed)?;
    let stdout = OwnedFd::from(stdout);
    let spawned = Command::new(&command, &[]).and_then(|mut command| {
        command.stdio(Some(&null), Some(&stdout), None);
        command.spawn(Memory::Copied)
    });
    let not_run = |(_, errno)| or_a_log(no_journalctl(Errno::from_raw(errno), &matches));
    let spawned = spawned.map_err(not_run)?;
    drop(stdout);
    let pid = spawned.pid;
    poll::wait([Some(spawned.as_fd())], None);
    if let Some(failure) = spawned.failure() {
        wait::reap_one(pid);
        return Err(not_run(failure));
    }
    let read = lines(File::from(OwnedFd::from(answer)), take).map_err(failed)?;
    // It has closed its output, and ends.
    match wait::reap_one(pid) {
        Some(Status::Exited(0)) => Ok(()),
        // It has said why itself. Nothing found is no failure, whatever the version calls it.
        Some(Status::Exited(1)) if read.lines == 0 => Ok(()),
        _ => Err(refused(
            exit::FAILED,
            "reading the journal: journalctl failed, what it has is not complete".to_owned(),
        )),
    }
}

/// There is another way.
fn or_a_log(mut refused: Refused) -> Refused {
    refused.text +=
        "; or have the log of a container that writes JSON: lockkeeper timeline --from FILE";
    refused
}

/// Takes the signs of all lines.
pub(super) fn lines(mut input: File, take: Take<'_>) -> io::Result<Read> {
    let mut read = Read::default();
    let (mut line, mut too_long) = (Vec::new(), false);
    let mut piece = vec![0; 64 * 1024];
    loop {
        let length = match input.read(&mut piece) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        for part in piece
            .get(..length)
            .unwrap_or_default()
            .split_inclusive(|byte| *byte == b'\n')
        {
            if line.len() + part.len() > LONGEST {
                too_long = true;
            } else {
                line.extend_from_slice(part);
            }
            if part.ends_with(b"\n") {
                if !std::mem::take(&mut too_long) {
                    read.line(&line, take);
                }
                line.clear();
            }
        }
        if length == 0 {
            // The last one has no end.
            if !line.is_empty() && !too_long {
                read.line(&line, take);
            }
            return Ok(read);
        }
    }
}

impl Read {
    fn line(&mut self, line: &[u8], take: Take<'_>) {
        self.lines += 1;
        match sign::of_line(line) {
            sign::Line::Sign(sign) => {
                self.notes += 1;
                take(&sign);
            }
            sign::Line::Note => self.notes += 1,
            sign::Line::Words => self.texts += 1,
            sign::Line::Other => {}
        }
    }
}
