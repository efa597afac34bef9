//! One directory's lock, looked at: what its record says, what the kernel says of its latch, and what
//! follows from both.
//!
//! Reading disturbs nobody and never waits: no lock is taken, nothing is followed or written.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};

use super::super::claim::FLAGS;
use super::super::dir::agentctl::{Entry, worth};
use super::super::dir::judge::{Here, Life, Verdict, judge};
use super::super::dir::place::FOLDER;
use super::super::dir::record::DirRecord;
use super::super::dir::sessions::Sessions;
use super::super::{latch, placement};
use super::depth;
use super::walk::RUNTIME;
use crate::trouble;

/// The record of a directory lock, in its `.runtime`.
const RECORD: &str = "agent.lock";
/// The latch of our directory locks, in the same folder.
const LATCH: &str = "agent.latch";
/// How often a record is read again that changes while it is read.
const ROUNDS: u32 = 8;

/// How a lock stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Several that are not dead claim one directory, or one owner several directories.
    Collision,
    /// No record that can be believed.
    Corrupt,
    /// Its owner lives, and the session that it worked in, or the run that guarded it, is gone.
    Orphaned,
    /// Whether its owner lives cannot be known from here.
    CannotTell,
    /// Its owner is dead.
    Stale,
    /// Held by hand.
    Manual,
    /// Held by a living owner of another kind than ours.
    Foreign,
    /// Held by a living run.
    Held,
}

impl State {
    /// As the JSON and the tables have it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Collision => "collision",
            Self::Corrupt => "corrupt",
            Self::Orphaned => "orphaned",
            Self::CannotTell => "cannot-tell",
            Self::Stale => "stale",
            Self::Manual => "manual",
            Self::Foreign => "foreign",
            Self::Held => "held",
        }
    }

    /// Whether somebody has to do something about it, be it `lock clean`.
    pub const fn needs_a_person(self) -> bool {
        !matches!(self, Self::Manual | Self::Foreign | Self::Held)
    }
}

/// Device and inode, which name a file however it is reached.
pub type Identity = (u64, u64);

/// A directory lock, and how it stands.
#[derive(Clone, Debug)]
pub struct Lock {
    /// The directory.
    pub dir: PathBuf,
    /// Which directory that is.
    pub identity: Identity,
    /// Which file its record is.
    pub record_identity: Option<Identity>,
    /// What it says; `None`: it is corrupt, or cannot be read.
    pub record: Option<DirRecord>,
    /// How it stands.
    pub state: State,
    /// Whether its owner lives.
    pub life: Life,
    /// Why it stands so: part of a sentence.
    pub why: String,
    /// Other paths of the same lock, as a mount may show it twice.
    pub also_at: Vec<PathBuf>,
    /// The directories that it collides with.
    pub collides_with: Vec<PathBuf>,
    /// Whether it stands in agentctl's list, which is agentctl's alone to change.
    pub of_agentctl: bool,
    /// Whether somebody held the latch beside it; `None`: it cannot be asked.
    latch: Option<bool>,
}

/// What judging needs to know, read once.
#[derive(Debug)]
pub struct Judge {
    /// Where we are.
    pub here: Here,
    /// Which sessions live.
    pub sessions: Sessions,
}

impl Judge {
    /// Reads where we are; the sessions are asked about when the first record names one.
    pub fn new() -> Self {
        Self {
            here: Here::read(),
            sessions: Sessions::new(),
        }
    }
}

impl Default for Judge {
    fn default() -> Self {
        Self::new()
    }
}

/// Looks at the lock of the directory at `path`, and judges it.
///
/// # Errors
/// It is not a directory that we can open.
pub fn look_at(path: &Path, judge: &Judge) -> io::Result<Option<Lock>> {
    for _ in 0..ROUNDS {
        let flags = depth::FLAGS & !OFlag::O_NOFOLLOW;
        let dir = openat(AT_FDCWD, path, flags, Mode::empty())?;
        let Some(mut lock) = look(path, dir.as_fd()) else {
            return Ok(None);
        };
        lock.judge(judge);
        // A record that was released or replaced since it was read says nothing about an owner whom
        // nobody guards by now.
        if !lock.may_be_over() || lock.is_named(&dir) {
            return Ok(Some(lock));
        }
    }
    Ok(None)
}

/// The record of the lock of the directory at `path`, and whether the latch beside it is held: without a
/// judgement, so that nothing is started or asked for it. `None`: there is no record.
pub fn seen(path: &Path) -> Option<(DirRecord, bool)> {
    let flags = depth::FLAGS & !OFlag::O_NOFOLLOW;
    let dir = openat(AT_FDCWD, path, flags, Mode::empty()).ok()?;
    let lock = look(path, dir.as_fd())?;
    Some((lock.record?, lock.latch == Some(true)))
}

/// Looks at the lock of the open directory `dir`, without judging it: for any thread. `None`: it has
/// none.
pub fn look(path: &Path, dir: BorrowedFd<'_>) -> Option<Lock> {
    let mut lock = Lock::unknown(path, identity(&fstat(dir).ok()?));
    let runtime = match openat(dir, RUNTIME, depth::FLAGS, Mode::empty()) {
        Ok(runtime) => runtime,
        Err(Errno::ENOENT) => return None,
        Err(Errno::ENOTDIR | Errno::ELOOP) => {
            // A file of that name is somebody else's business.
            let stat = fstatat(dir, RUNTIME, AtFlags::AT_SYMLINK_NOFOLLOW).ok()?;
            let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
            "its .runtime is a symbolic link, which is not followed; look where it leads"
                .clone_into(&mut lock.why);
            return (kind == SFlag::S_IFLNK).then_some(lock);
        }
        Err(errno) => {
            lock.why = format!("its .runtime cannot be opened: {}", words(errno));
            return Some(lock);
        }
    };
    match read(&runtime) {
        Content::Nothing => return None,
        Content::Unreadable(errno) => {
            lock.why = format!("its record cannot be read: {}", words(errno));
        }
        Content::NoRecord(why) => {
            lock.state = State::Corrupt;
            lock.why = why;
        }
        Content::Record(identity, record) => {
            lock.record_identity = Some(identity);
            match record {
                // The latch after the record: an owner that is alive now was alive when we read.
                Ok(record) => {
                    lock.latch = latch_held(&runtime);
                    lock.record = Some(*record);
                }
                Err(why) => {
                    lock.state = State::Corrupt;
                    lock.why = why;
                }
            }
        }
    }
    Some(lock)
}

impl Lock {
    /// One of which nothing is known yet.
    fn unknown(path: &Path, identity: Identity) -> Self {
        Self {
            dir: path.to_owned(),
            identity,
            record_identity: None,
            record: None,
            state: State::CannotTell,
            life: Life::CannotTell,
            why: String::new(),
            also_at: Vec::new(),
            collides_with: Vec::new(),
            of_agentctl: false,
            latch: None,
        }
    }

    /// One of agentctl's list.
    pub fn of_agentctl(entry: Entry, by: &Judge) -> Self {
        let there = fstatat(AT_FDCWD, &entry.directory, AtFlags::empty());
        let mut lock = Self::unknown(&entry.directory, there.as_ref().map_or((0, 0), identity));
        lock.of_agentctl = true;
        lock.state_by(worth(&entry, &by.here, &by.sessions), &entry.record);
        lock.record = Some(entry.record);
        lock
    }

    /// Judges what was looked at. It may start tmux: for the thread that reaps, and once the others
    /// have ended.
    pub(super) fn judge(&mut self, by: &Judge) {
        if let Some(record) = self.record.take() {
            let unsure = || placement::is_unsure(&self.dir.join(FOLDER).join(LATCH));
            let verdict = judge(&record, self.latch, &unsure, &by.here, &by.sessions);
            self.state_by(verdict, &record);
            self.record = Some(record);
        }
    }

    fn state_by(&mut self, verdict: Verdict, record: &DirRecord) {
        self.life = verdict.life;
        self.why = verdict.why.to_string();
        self.state = match verdict.life {
            _ if record.is_manual() => State::Manual,
            Life::Dead => State::Stale,
            Life::CannotTell => State::CannotTell,
            Life::Alive if verdict.is_orphaned() => State::Orphaned,
            Life::Alive if record.is_ours() => State::Held,
            Life::Alive => State::Foreign,
        };
    }

    /// Whether it may have been released or taken over since it was read.
    pub(super) fn may_be_over(&self) -> bool {
        self.life == Life::Dead || (self.state == State::Orphaned && self.latch == Some(false))
    }

    /// Whether the file that was read still bears the record's name, in the open directory.
    fn is_named(&self, dir: &OwnedFd) -> bool {
        let name = Path::new(".runtime").join(RECORD);
        let there = fstatat(dir, &name, AtFlags::AT_SYMLINK_NOFOLLOW);
        there.ok().as_ref().map(identity) == self.record_identity
    }
}

/// Why something cannot be looked at, and what to do.
pub fn words(errno: Errno) -> String {
    let text = trouble::text(errno as i32);
    match errno {
        Errno::EACCES | Errno::EPERM => format!("{text}; look as a user who may"),
        _ => text,
    }
}

/// What lies where the record should.
enum Content {
    Nothing,
    Unreadable(Errno),
    /// Something that is no file, in words.
    NoRecord(String),
    /// A file, and what it says; or why it says nothing.
    Record(Identity, Result<Box<DirRecord>, String>),
}

/// Reads the record in the open `.runtime`.
fn read(runtime: &OwnedFd) -> Content {
    let file = match openat(runtime, RECORD, FLAGS | OFlag::O_RDONLY, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::ENOENT) => return Content::Nothing,
        Err(Errno::ELOOP) => return no_file("a symbolic link"),
        // open(2): a socket, or a device without a driver.
        Err(Errno::ENXIO | Errno::ENODEV) => return no_file("a socket or a device"),
        Err(errno) => return Content::Unreadable(errno),
    };
    match file.metadata() {
        Ok(meta) if meta.is_file() => Content::Record(
            (meta.dev(), meta.ino()),
            DirRecord::read(&file)
                .map(Box::new)
                .map_err(|corrupt| corrupt.to_string()),
        ),
        Ok(meta) if meta.is_dir() => no_file("a folder"),
        Ok(_) => no_file("no regular file"),
        Err(_) => Content::Unreadable(Errno::last()),
    }
}

fn no_file(what: impl fmt::Display) -> Content {
    Content::NoRecord(format!("its agent.lock is {what}"))
}

/// Whether somebody holds the latch in the open `.runtime`; `None`: it cannot be asked, or is not
/// there, as somebody may have removed the latch of a living owner.
fn latch_held(runtime: &OwnedFd) -> Option<bool> {
    let latch = openat(runtime, LATCH, FLAGS | OFlag::O_RDONLY, Mode::empty()).ok()?;
    let stat = fstat(&latch).ok()?;
    let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
    (kind == SFlag::S_IFREG).then(|| latch::is_held(&latch).ok())?
}

#[expect(
    clippy::useless_conversion,
    reason = "the width of a device number differs between architectures"
)]
fn identity(stat: &FileStat) -> Identity {
    (u64::from(stat.st_dev), u64::from(stat.st_ino))
}
