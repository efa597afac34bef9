//! Why a directory lock was not obtained, in words: who has it, since when, how far he is, where,
//! and what to do about it.
//!
//! Invariant: what comes from a record, which anybody may have written, is cut short and freed of
//! control characters; paths are quoted.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::judge::Why;
use super::record::{Corrupt, DirRecord, Plain, State};
use crate::core::shell::Command;
use crate::exit;
use crate::lock::fault::{Quoted, Why as Words};

/// Somebody else's claim on a directory. Displayed, it is one sentence with the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The directory that was to be locked, by its real path.
    pub dir: PathBuf,
    /// The directory whose lock is in the way: the same, or one above or below it.
    pub at: PathBuf,
    /// Whose it is, where a record says so.
    pub record: Option<Box<DirRecord>>,
    /// What it is.
    pub kind: Kind,
}

/// What is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A living run of lockkeeper.
    Run,
    /// What is left of a run: its process lives, and nobody holds its latch.
    Unguarded,
    /// A run that we are a part of.
    Outer,
    /// A person's claim.
    Manual,
    /// Another tool's record, whose owner lives.
    Foreign(Why),
    /// A record whose owner cannot be judged from here.
    CannotTell(Why),
    /// A file that is no record.
    Corrupt(Corrupt),
    /// Something that is no file.
    NoFile(&'static str),
    /// A record that we may not read.
    Closed(Errno),
    /// A tool that keeps the record to itself.
    Kept,
}

impl Conflict {
    /// Whether it may end by itself, so that there is something to wait for.
    pub const fn may_end(&self) -> bool {
        matches!(
            self.kind,
            Kind::Run | Kind::Unguarded | Kind::Manual | Kind::Foreign(_) | Kind::Kept
        )
    }

    /// Whether it is a lock on a folder above, to which a lock below gives way.
    pub fn is_above(&self) -> bool {
        self.at != self.dir && self.dir.starts_with(&self.at)
    }

    /// What shows more of it.
    pub fn show(&self) -> Command<'_> {
        Command::on("lockkeeper lock show", &self.at)
    }

    /// Who it is and how far, without the directory and the remedy.
    pub fn holder(&self) -> String {
        Holder(self).to_string()
    }
}

impl Error for Conflict {}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot lock the directory {}: ", Quoted(&self.dir))?;
        if self.is_above() {
            write!(f, "the lock on {} covers it, and ", Quoted(&self.at))?;
        } else if self.at != self.dir {
            write!(f, "its lock would cover {}, and ", Quoted(&self.at))?;
        }
        let release = Command::on("lockkeeper lock release", &self.at);
        let by_force = Command::on("lockkeeper lock release --force", &self.at);
        match self.kind {
            Kind::Run => write!(
                f,
                "{} has it; stop that run, or wait for it (--wait TIME, or on_conflict = \"wait\" \
                 in a batch class)",
                Holder(self)
            ),
            Kind::Unguarded => write!(
                f,
                "{} has it ({}); end that process",
                Holder(self),
                Why::Unguarded
            ),
            Kind::Outer => write!(
                f,
                "{} has it, and this run is a part of that one; \
                 take the lock in one of the two only",
                Holder(self)
            ),
            Kind::Manual => write!(f, "{}; when it may be used again: {release}", Holder(self)),
            Kind::Foreign(why) => write!(
                f,
                "{} has it ({why}); end that agent, or if it does not work there: \
                 {by_force}",
                Holder(self)
            ),
            Kind::CannotTell(why) => write!(
                f,
                "{} claims it, and whether that lives cannot be told from here ({why}); \
                 if nobody works there: {by_force}",
                Holder(self)
            ),
            Kind::Corrupt(_) | Kind::NoFile(_) | Kind::Closed(_) => write!(
                f,
                "{}; look at it, and if nobody works there: {by_force}",
                Holder(self)
            ),
            Kind::Kept => write!(
                f,
                "{}; find out which ({}), and end it",
                Holder(self),
                Command::on("fuser", &self.at.join(".runtime/agent.lock.flock"))
            ),
        }?;
        write!(f, "; to see more: {}", self.show())
    }
}

/// What is in the way, as people call it.
struct Holder<'a>(&'a Conflict);

impl fmt::Display for Holder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Conflict { kind, record, .. } = self.0;
        let record_name = "its record \".runtime/agent.lock\"";
        match (kind, record) {
            (Kind::Corrupt(corrupt), _) => write!(f, "{record_name} is no record: {corrupt}"),
            (Kind::NoFile(what), _) => write!(f, "{record_name} is {what}"),
            (Kind::Closed(errno), _) => {
                write!(f, "{record_name} cannot be read: {}", Words(*errno))
            }
            (Kind::Kept, _) => f.write_str("another tool keeps its record to itself"),
            (_, Some(record)) => Owner(record).fmt(f),
            (_, None) => f.write_str("a run that has not said its name yet"),
        }
    }
}

/// The owner of a record: `job "dev" in container "agents-1" (run 5f, process 12, since …, running)`.
#[derive(Debug)]
pub struct Owner<'a>(pub &'a DirRecord);

impl fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(record) = self;
        let since = Plain(&record.acquired_at);
        if record.is_manual() {
            let by = record.by.as_deref().unwrap_or("somebody");
            write!(f, "{} holds it by hand since {since}", Plain(by))?;
            if let Some(reason) = &record.reason {
                write!(f, " ({})", Plain(reason))?;
            }
            return Ok(());
        }
        match &record.job {
            Some(job) => write!(f, "job \"{}\"", Plain(job))?,
            None => write!(f, "process {}", record.pid)?,
        }
        if let Some(place) = record.container.as_ref() {
            write!(f, " in container \"{}\"", Plain(place))?;
        } else if !record.hostname.is_empty() {
            write!(f, " on host \"{}\"", Plain(&record.hostname))?;
        }
        f.write_str(" (")?;
        if let Some(run_id) = &record.run_id {
            write!(f, "run {}, ", Plain(run_id))?;
        }
        if record.job.is_some() {
            write!(f, "process {}, ", record.pid)?;
        }
        if !record.session_id.is_empty() {
            write!(f, "session {}, ", Plain(&record.session_id))?;
        }
        write!(f, "since {since}")?;
        f.write_str(match record.state {
            Some(State::Waiting) => ", itself waiting for its lock)",
            Some(State::WaitingForDir) => ", itself waiting for a directory)",
            Some(State::Holding) => ", about to start or just over)",
            Some(State::Running) => ", running)",
            Some(State::Unknown) | None => ")",
        })
    }
}

/// A directory lock that could not be taken, written or given back for want of something. Displayed,
/// it is one sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirError {
    /// The directory.
    pub dir: PathBuf,
    /// What was attempted.
    pub doing: Doing,
    /// What the kernel said.
    pub errno: Errno,
}

/// The steps on a directory lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Finding the directory.
    Finding,
    /// Opening or making `.runtime`.
    Folder,
    /// Opening or making the latch.
    Latch,
    /// Locking the latch.
    Locking,
    /// Keeping gastown's tools off the record meanwhile.
    Coordination,
    /// Writing the record.
    Writing,
    /// Putting the record in its place.
    Renaming,
    /// Removing the record.
    Removing,
    /// Watching for the end of another's claim.
    Watching,
    /// Looking for locks in the folders below.
    Scanning,
}

impl DirError {
    pub(super) fn new(dir: &Path, doing: Doing, errno: Errno) -> Self {
        let dir = dir.to_owned();
        Self { dir, doing, errno }
    }

    /// The exit code of a run that ends by it: not obtained where it may work another time, else a
    /// fault of the configuration.
    pub const fn code(&self) -> u8 {
        match self.errno {
            Errno::ENOSPC | Errno::EDQUOT | Errno::EMFILE | Errno::ENFILE | Errno::EWOULDBLOCK => {
                exit::NOT_OBTAINED
            }
            _ => exit::CONFIG,
        }
    }
}

impl Error for DirError {}

impl fmt::Display for DirError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dir = Quoted(&self.dir);
        let (verb, what) = match self.doing {
            Doing::Finding => ("finding it", ""),
            Doing::Folder => ("opening ", ".runtime"),
            Doing::Latch => ("opening ", ".runtime/agent.latch"),
            Doing::Locking => ("locking ", ".runtime/agent.latch"),
            Doing::Coordination => ("locking ", ".runtime/agent.lock.flock"),
            Doing::Writing => ("writing ", ".runtime/agent.lock"),
            Doing::Renaming => ("replacing ", ".runtime/agent.lock"),
            Doing::Removing => ("removing ", ".runtime/agent.lock"),
            Doing::Watching => ("watching ", ".runtime"),
            Doing::Scanning => ("looking for locks below it", ""),
        };
        write!(
            f,
            "cannot lock the directory {dir}: {verb}{what} failed: {}; {}",
            Words(self.errno),
            self.remedy()
        )
    }
}

impl DirError {
    const fn remedy(&self) -> &'static str {
        match (self.doing, self.errno) {
            (Doing::Finding, Errno::ENOENT) => "create it, or mount it",
            (Doing::Finding, Errno::ENOTDIR) => "name a directory",
            (Doing::Folder, Errno::ENOENT) => "nobody has ever locked it",
            (_, Errno::ENOSPC | Errno::EDQUOT) => {
                "free space or inodes there: a lock that cannot say whose it is, is not taken"
            }
            (_, Errno::EROFS) => "mount it writable: the lock lies in the directory itself",
            (_, Errno::EACCES | Errno::EPERM) => {
                "run as the owner of the directory, or make it and its .runtime writable for all who share it"
            }
            (_, Errno::ELOOP | Errno::ENOTDIR | Errno::EISDIR | Errno::ENXIO | Errno::ENODEV) => {
                "something else lies in its place: look what it is, and remove it"
            }
            (_, Errno::EMFILE | Errno::ENFILE) => "raise the limit of open files (ulimit -n)",
            (Doing::Coordination, Errno::EWOULDBLOCK) => {
                "another tool keeps it locked: find out which (fuser), and end it"
            }
            (_, Errno::EBUSY) => "it appears and vanishes again: find out who removes it",
            (_, Errno::ENOLCK | Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EINVAL) => {
                "this file system has no such locks: put the directory on a local one"
            }
            _ => "see that it lies on a healthy file system that this user can use",
        }
    }
}
