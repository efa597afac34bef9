//! Which versions the agents that were found say they have: each is run once as `AGENT --version`, all
//! at the same time.
//!
//! What runs there is another's program, so it gets little and is ended for certain:
//! - No login: its environment is `PATH` and a home that nothing can be made in, so that it neither
//!   reads nor refreshes nor writes anything there. No network, where we may take it away.
//! - [`LIMIT`] for all of them together, [`MOST`] of what each says, nothing of it on a terminal.
//! - No signal but KILL strikes us meanwhile: whoever ends us finds all of them gone, with all that they
//!   have started, as that comes to us for a subreaper.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::core::text::plain;
use crate::core::time::Time;
use crate::sys::signals::{self, Signals};
use crate::sys::spawn::{Command, Memory, Session};
use crate::sys::wait::{self, Reaped};
use crate::sys::{clock, poll, process, tree};

/// How long all of them may take.
const LIMIT: Duration = Duration::from_secs(2);
/// How much of what one says is read, in bytes, and how much of its first line is told, in characters.
const MOST: usize = 4096;
const SHOWN: usize = 60;
/// No folder can be made in it, by nobody.
const HOME: &str = "/dev/null";
/// How long the last of them may take to be gone when it has been killed.
const GOING: Duration = Duration::from_secs(1);

/// One that was asked.
struct Asked {
    answer: Option<File>,
    said: Vec<u8>,
}

/// What each of `programs` says, as the end of a sentence about it.
pub(super) fn ask(programs: &[Option<PathBuf>]) -> Vec<String> {
    if programs.iter().all(Option::is_none) {
        return Vec::new();
    }
    signals::hold_back();
    process::become_subreaper();
    // Where it is refused they keep ours, and nothing that they are asked needs one.
    let _ = process::leave_network();
    let signals = Signals::open().ok();
    let mut asked: Vec<Asked> = programs
        .iter()
        .map(|it| Asked::begin(it.as_deref()))
        .collect();
    let due = clock::now() + LIMIT;
    let mut struck = None;
    while asked.iter().any(|one| one.answer.is_some()) && clock::now() < due && struck.is_none() {
        let mut fds = vec![signals.as_ref().map(AsFd::as_fd)];
        fds.extend(asked.iter().map(|one| one.answer.as_ref().map(AsFd::as_fd)));
        let ready = poll::wait_many(&fds, Some(due));
        struck = heard(signals.as_ref());
        for (one, _) in asked
            .iter_mut()
            .zip(ready.iter().skip(1))
            .filter(|it| *it.1)
        {
            one.read();
        }
    }
    struck = end_all(signals.as_ref(), clock::now() + GOING).or(struck);
    if let Some(signo) = struck {
        signals::die_by(signo);
    }
    signals::let_through();
    asked.iter().map(Asked::version).collect()
}

impl Asked {
    fn begin(program: Option<&Path>) -> Self {
        Self {
            answer: program.and_then(start),
            said: Vec::new(),
        }
    }

    /// Reads once, as it can be read; a whole line is enough.
    fn read(&mut self) {
        let mut piece = [0; MOST];
        let length = self.answer.as_mut().map_or(Ok(0), |it| it.read(&mut piece));
        let length = length.unwrap_or(0);
        self.said
            .extend_from_slice(piece.get(..length).unwrap_or_default());
        if length == 0 || self.said.len() >= MOST || self.said.trim_ascii_start().contains(&b'\n') {
            self.answer = None;
        }
    }

    fn version(&self) -> String {
        let text = String::from_utf8_lossy(&self.said);
        let line = text.trim_start().lines().next().unwrap_or_default();
        let shown: String = plain(line.trim_end()).chars().take(SHOWN).collect();
        match &*shown {
            "" => format!(", and says no version within {}s", LIMIT.as_secs()),
            version => format!(", and says {version:?}"),
        }
    }
}

/// Starts it; its answer comes from here. `None`: it cannot be started.
fn start(program: &Path) -> Option<File> {
    let null = OwnedFd::from(File::open("/dev/null").ok()?);
    let (answer, output) = io::pipe().ok()?;
    let output = OwnedFd::from(output);
    let path = env::var_os("PATH").unwrap_or_default();
    let changes = [("PATH".into(), path), ("HOME".into(), HOME.into())];
    let words: [OsString; 2] = [program.into(), "--version".into()];
    let mut command = Command::new(&words, &changes).ok()?;
    command.bare().session(Session::Own);
    command.stdio(Some(&null), Some(&output), Some(&null));
    // That it cannot be executed is an end of file like any other.
    command.spawn(Memory::Copied).ok()?;
    Some(File::from(OwnedFd::from(answer)))
}

/// Kills all that is below us, level by level, and reaps it; says which signal wants us to go.
fn end_all(signals: Option<&Signals>, due: Time) -> Option<i32> {
    let mut struck = None;
    loop {
        tree::kill_children();
        while let Reaped::Child(..) = wait::reap() {}
        if !wait::has_child() || clock::now() >= due {
            return struck;
        }
        poll::wait([signals.map(AsFd::as_fd)], Some(due));
        struck = heard(signals).or(struck);
    }
}

/// Takes the signals that have come; says the one that is to end us, if one is.
fn heard(signals: Option<&Signals>) -> Option<i32> {
    let mut last = None;
    while let Some(signal) = signals.and_then(|signals| signals.next().ok().flatten()) {
        if [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT].contains(&signal.signo) {
            last = Some(signal.signo);
        }
    }
    last
}
