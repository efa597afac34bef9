//! Which versions the agents that were found say they have: each is run once as `AGENT --version`, all
//! at the same time.
//!
//! What runs there is another's program, so it gets little and is ended for certain:
//! - No login: its environment is `PATH` and a home that nothing can be made in, so that it neither
//!   reads nor refreshes nor writes anything there. None of the descriptors that we were given, and no
//!   network, where we may take it away.
//! - [`LIMIT`] for all of them together, [`MOST`] of what each says, nothing of it on a terminal.
//! - Not root's rights, where somebody else can change it, or an interpreter that it would find in PATH:
//!   then it is not run, and PATH is shortened.
//! - They are below a process of their own, a subreaper, which kills all that they have started: when it
//!   has what it wants, when a signal ends us, when we are gone. We may have children that are none of
//!   ours, from before an execve(2): nobody touches those.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::unistd::geteuid;

use super::changeable::changeable;
use super::quoted;
use crate::core::outcome::Status;
use crate::core::text::plain;
use crate::core::time::Time;
use crate::exit;
use crate::sys::fd::{self, Received, Wire};
use crate::sys::process::{self, Forked};
use crate::sys::signals::{self, Signals};
use crate::sys::spawn::{Command, Memory, Session, Spawned};
use crate::sys::wait::{self, Reaped};
use crate::sys::{clock, poll, tree};
use crate::trouble;

/// How long all of them may take.
const LIMIT: Duration = Duration::from_secs(2);
/// How much of what one says is read, in bytes, and how much of its first line is told, in characters.
const MOST: usize = 4096;
const SHOWN: usize = 60;
/// No folder can be made in it, by nobody.
const HOME: &str = "/dev/null";
/// The signals that end us, unless we were started with them ignored, as nohup(1) does.
const ENDING: [i32; 4] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT];
/// How long the last of them may take to be gone when it has been killed.
const GOING: Duration = Duration::from_secs(1);

/// One that was asked.
#[derive(Default)]
struct Asked {
    /// What a stranger can change, so that it was not asked.
    stranger: Option<PathBuf>,
    spawned: Option<Spawned>,
    answer: Option<File>,
    said: Vec<u8>,
    /// How it ended by itself.
    end: Option<Status>,
}

/// What each of `programs` says, as the end of a sentence about it.
pub(super) fn ask(programs: &[Option<PathBuf>]) -> Vec<String> {
    let (mut says, mut struck) = (Vec::new(), None);
    if programs.iter().any(Option::is_some) {
        // Whoever ends us finds nobody left.
        signals::hold_back();
        struck = elsewhere(programs, &mut says).ok().flatten();
    }
    signals::let_through();
    if let Some(signo) = struck {
        let _ = process::kill(process::own_pid(), signo);
    }
    says
}

/// Has a process of its own ask; says which signal wants us to go.
fn elsewhere(programs: &[Option<PathBuf>], says: &mut Vec<String>) -> io::Result<Option<i32>> {
    let signals = Signals::open()?;
    let (ours, theirs) = Wire::pair()?;
    let asker = match process::fork()? {
        Forked::Child => {
            drop(ours);
            ask_here(programs, &theirs);
            process::exit_now(exit::OK);
        }
        Forked::Parent(pid) => pid,
    };
    drop(theirs);
    let due = clock::now() + LIMIT + GOING + GOING;
    let mut struck = None;
    while clock::now() < due {
        poll::wait([Some(signals.as_fd()), Some(ours.as_fd())], Some(due));
        if let Some(signo) = heard(&signals) {
            struck = Some(signo);
            // Any word ends it.
            let _ = ours.send(b"!");
        }
        match ours.receive() {
            Received::Message(said) => says.push(String::from_utf8_lossy(&said).into_owned()),
            Received::Nothing => {}
            Received::Gone => break,
        }
    }
    // It has gone, unless somebody has stopped it.
    let _ = process::kill(asker, libc::SIGKILL);
    wait::reap_one(asker);
    Ok(struck)
}

/// Asks, until `caller` says a word or is gone.
fn ask_here(programs: &[Option<PathBuf>], caller: &Wire) {
    process::become_subreaper();
    fd::close_inherited();
    // Where it is refused they keep ours, and nothing that they are asked needs one.
    let _ = process::leave_network();
    let mut asked: Vec<Asked> = programs
        .iter()
        .map(|it| Asked::begin(it.as_deref()))
        .collect();
    let signals = Signals::open().ok();
    let due = clock::now() + LIMIT;
    while asked.iter().any(Asked::is_awaited) && clock::now() < due {
        let mut fds = vec![Some(caller.as_fd()), signals.as_ref().map(AsFd::as_fd)];
        fds.extend(asked.iter().map(|one| one.answer.as_ref().map(AsFd::as_fd)));
        let ready = poll::wait_many(&fds, Some(due));
        let [false, _, ready @ ..] = &*ready else {
            break;
        };
        for (one, _) in asked.iter_mut().zip(ready).filter(|it| *it.1) {
            one.read();
        }
        take_all(signals.as_ref());
        while let Reaped::Child(pid, status) = wait::reap() {
            if let Some(one) = asked.iter_mut().find(|one| one.is(pid)) {
                one.end = Some(status);
            }
        }
    }
    end_all(signals.as_ref(), clock::now() + GOING);
    for one in asked {
        let _ = caller.send(one.version().as_bytes());
    }
}

impl Asked {
    fn begin(program: Option<&Path>) -> Self {
        let Some(program) = program else {
            return Self::default();
        };
        let stranger = strangers(program);
        let started = stranger.is_none().then(|| start(program)).flatten();
        let (spawned, answer) = started.unzip();
        Self {
            stranger,
            spawned,
            answer,
            ..Self::default()
        }
    }

    fn is(&self, pid: i32) -> bool {
        self.spawned.as_ref().is_some_and(|it| it.pid == pid)
    }

    /// Who has said a line need not end, and who has ended may have somebody who speaks for him.
    fn is_awaited(&self) -> bool {
        let is_silent = self.said.trim_ascii().is_empty();
        self.answer.is_some() || (is_silent && self.spawned.is_some() && self.end.is_none())
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

    fn version(self) -> String {
        if let Some(path) = &self.stranger {
            return format!(
                "; it is not asked for its version, as we are root and somebody else can change {}",
                quoted(path)
            );
        }
        let text = String::from_utf8_lossy(&self.said);
        let line = text.trim_start().lines().next().unwrap_or_default();
        let shown: String = plain(line.trim_end()).chars().take(SHOWN).collect();
        if !shown.is_empty() {
            return format!(", and says {shown:?}");
        }
        // Only where it has ended nothing is left to wait for.
        let failed = self.spawned.filter(|_| self.end.is_some());
        if let Some((step, errno)) = failed.and_then(Spawned::failure) {
            // It stands in a folder of PATH, and has a slash.
            return format!(
                "; it cannot be started: {}",
                trouble::start(step, errno, "/")
            );
        }
        let why = match self.end {
            Some(Status::Exited(code)) => format!("it ended with code {code} and printed nothing"),
            Some(Status::Killed(signo) | Status::Dumped(signo)) => {
                format!("it was ended by signal {signo} and printed nothing")
            }
            None => return format!(", and says no version within {}s", LIMIT.as_secs()),
        };
        format!(", and says no version: {why}")
    }
}

/// As [`changeable`], for root; other users run what they would run anyway.
fn strangers(path: &Path) -> Option<PathBuf> {
    changeable(path).filter(|_| geteuid().is_root())
}

/// The folders that are looked into, without those of strangers.
fn safe_path() -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).filter(|folder| strangers(folder).is_none());
    env::join_paths(folders).unwrap_or_default()
}

/// Starts it; its answer comes from the file. `None`: descriptors or processes are short.
fn start(program: &Path) -> Option<(Spawned, File)> {
    let null = OwnedFd::from(File::open("/dev/null").ok()?);
    let (answer, output) = io::pipe().ok()?;
    let output = OwnedFd::from(output);
    let changes = [("PATH".into(), safe_path()), ("HOME".into(), HOME.into())];
    let words: [OsString; 2] = [program.into(), "--version".into()];
    let mut command = Command::new(&words, &changes).ok()?;
    command.bare().session(Session::Own);
    command.stdio(Some(&null), Some(&output), Some(&null));
    // That it cannot be executed is an end of file like any other.
    let spawned = command.spawn(Memory::Copied).ok()?;
    Some((spawned, File::from(OwnedFd::from(answer))))
}

/// Kills all that is below us, level by level, and reaps it.
fn end_all(signals: Option<&Signals>, due: Time) {
    loop {
        tree::kill_children();
        while let Reaped::Child(..) = wait::reap() {}
        if !wait::has_child() || clock::now() >= due {
            return;
        }
        poll::wait([signals.map(AsFd::as_fd)], Some(due));
        take_all(signals);
    }
}

/// That a child has ended is all that they are to tell.
fn take_all(signals: Option<&Signals>) {
    while let Some(Ok(Some(_))) = signals.map(Signals::next) {}
}

/// Takes the signals that have come; says the one that is to end us, if one is.
fn heard(signals: &Signals) -> Option<i32> {
    let mut last = None;
    let ignored = signals::started_ignored();
    while let Ok(Some(signal)) = signals.next() {
        if ENDING.contains(&signal.signo) && !ignored.contains(&signal.signo) {
            last = Some(signal.signo);
        }
    }
    last
}
