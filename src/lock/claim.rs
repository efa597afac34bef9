//! The claim: "this run is mine", as a record that is true exactly as long as its owner holds the
//! kernel lock on the latch, an empty file beside it.
//!
//! Two files in a claims folder, named by the run: `RUN.latch`, which carries the lock and nothing
//! else, and `RUN.json`, the [`Record`]. A third, `.RUN.tmp`, exists while a record is written (where that
//! name is another's, `.RUN-RANDOM.tmp`).
//!
//! State: the open folder, the open latch and its identity. The latch is close-on-exec and shared
//! across fork(2): guard and monitor own one open file description, and the claim is true as long
//! as one of them lives.
//!
//! Invariants:
//! - A record is written whole: into the temporary file, then renamed, all under the latch.
//! - rename(2) never replaces the latch: the lock lives on the inode, not on the name.
//! - Whoever has just locked a latch compares it with what lies at its name, as somebody else may
//!   have cleared it away in between.
//! - Killed between any two calls, an owner leaves files whose latch nobody holds: a dead claim,
//!   which [`super::listing::clear_dead`] removes.
//! - Nothing here may fail a run: the caller makes a note of a [`ClaimError`] and goes on.
//!
//! Cost, in system calls: create 9, update 4, release 6 (measured by strace).

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{FileStat, Mode, fchmod, fstat, fstatat};
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};

use super::fault::{Quoted, Why};
use super::folders::{self, open_folder};
use super::latch::{self, Part};
use super::record::Record;
use crate::sys::process;

/// The longest record that is written or believed, in bytes.
pub const MAX_RECORD: usize = 64 * 1024;
/// How often a latch is tried that others create and clear away at the same time.
const ROUNDS: u32 = 256;
/// Others read it; only the owner writes.
const MODE: Mode = Mode::from_bits_truncate(0o644);
/// Nothing in a claims folder is followed, waited for or inherited.
pub(super) const FLAGS: OFlag = OFlag::O_NOFOLLOW
    .union(OFlag::O_NONBLOCK)
    .union(OFlag::O_NOCTTY)
    .union(OFlag::O_CLOEXEC);

/// A claim of ours. Dropping it only closes two descriptors: the claim becomes a dead one when the
/// last process that shares them is gone. A run that ends in order calls [`Claim::release`].
#[derive(Debug)]
pub struct Claim {
    folder: OwnedFd,
    latch: OwnedFd,
    names: Names,
    /// Device and inode of the latch.
    identity: (u64, u64),
    /// Whether the umask cuts the modes of our files, so that others could not read them.
    masked: bool,
    place: PathBuf,
}

impl Claim {
    /// Takes the latch of run `run_id` in `folder`, which is created where it is missing. The claim
    /// says nothing yet, but that its run lives and, by `part`, whether it takes turns there.
    ///
    /// # Errors
    /// A [`ClaimError`]; nothing of the claim is left then.
    pub fn open(folder: &Path, run_id: &str, part: Part) -> Result<Self, ClaimError> {
        let wrong = |trouble| ClaimError::new(folder, trouble);
        let names = Names::of(run_id).ok_or_else(|| wrong(Trouble::BadRunId))?;
        let dir = open_folder(folder, folders::SHARED)
            .map_err(|errno| wrong(Trouble::Kernel(Step::Folder, errno)))?;
        let taken = take_own_latch(&dir, &names, part).map_err(wrong)?;
        Ok(Self::new(folder, dir, taken.latch, names, &taken.stat))
    }

    /// [`Claim::open`] and the first [`Claim::update`] in one.
    ///
    /// # Errors
    /// A [`ClaimError`]; nothing of the claim is left then.
    pub fn create(folder: &Path, run_id: &str, record: &Record) -> Result<Self, ClaimError> {
        let claim = Self::open(folder, run_id, Part::Whole)?;
        match claim.update(record) {
            Ok(()) => Ok(claim),
            Err(error) => {
                claim.release();
                Err(error)
            }
        }
    }

    /// Takes over a latch that another process opened and locked, and sent to us.
    ///
    /// # Errors
    /// The folder cannot be opened, or `latch` is no longer the latch of that run.
    pub fn from_fd(folder: &Path, run_id: &str, latch: OwnedFd) -> Result<Self, ClaimError> {
        let wrong = |trouble| ClaimError::new(folder, trouble);
        let names = Names::of(run_id).ok_or_else(|| wrong(Trouble::BadRunId))?;
        let dir = folders::open_existing(folder)
            .map_err(|errno| wrong(Trouble::Kernel(Step::Folder, errno)))?;
        match named_by(&dir, &names, &latch) {
            Some(stat) => Ok(Self::new(folder, dir, latch, names, &stat)),
            None => Err(wrong(Trouble::Restless)),
        }
    }

    /// The folder that it lies in.
    pub fn folder(&self) -> &Path {
        &self.place
    }

    /// Says something new: the record replaces the former one as a whole.
    ///
    /// # Errors
    /// A [`ClaimError`]; the former record stands.
    pub fn update(&self, record: &Record) -> Result<(), ClaimError> {
        self.write(record)
            .map_err(|trouble| ClaimError::new(&self.place, trouble))
    }

    /// Ends the claim, for every process that shares it. What cannot be removed is dead, at least.
    pub fn release(self) {
        let _ = remove(&self.folder, &self.names.record);
        // Its name may have been taken over after somebody removed ours by force.
        let there = fstatat(&self.folder, self.names.latch.as_str(), NO_FOLLOW);
        if there.is_ok_and(|there| identity(&there) == self.identity) {
            let _ = remove(&self.folder, &self.names.latch);
        }
        let _ = latch::unlock(&self.latch);
    }

    fn new(place: &Path, folder: OwnedFd, latch: OwnedFd, names: Names, stat: &FileStat) -> Self {
        Self {
            folder,
            latch,
            names,
            identity: identity(stat),
            masked: stat.st_mode & MODE.bits() != MODE.bits(),
            place: place.to_owned(),
        }
    }

    fn write(&self, record: &Record) -> Result<(), Trouble> {
        if record.run_id != self.names.run_id {
            return Err(Trouble::BadRunId);
        }
        let text = serde_json::to_vec(record).map_err(|_| Trouble::TooLong)?;
        if text.len() > MAX_RECORD {
            return Err(Trouble::TooLong);
        }
        let (temporary, fd) = self
            .make_temporary()
            .map_err(|errno| Trouble::Kernel(Step::Create, errno))?;
        let written = self.fill(fd, &text).and_then(|()| {
            let (from, to) = (&*temporary, self.names.record.as_str());
            renameat(&self.folder, from, &self.folder, to)
                .map_err(|errno| Trouble::Kernel(Step::Rename, errno))
        });
        if written.is_err() {
            let _ = remove(&self.folder, &temporary);
        }
        written
    }

    fn make_temporary(&self) -> Result<(Cow<'_, str>, OwnedFd), Errno> {
        let flags = FLAGS | OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
        let mut name = Cow::Borrowed(self.names.temporary.as_str());
        let mut opened = openat(&self.folder, &*name, flags, MODE);
        if matches!(opened, Err(Errno::EEXIST)) {
            // Of an owner that was killed while it wrote; the latch is ours, so the file is, too.
            let _ = remove(&self.folder, &name);
            opened = openat(&self.folder, &*name, flags, MODE);
        }
        if matches!(opened, Err(Errno::EEXIST)) {
            // It is not: whoever may write here keeps the name occupied. A new one cannot be foreseen.
            let random = process::random_hex::<8>();
            name = format!(".{}-{random}.tmp", self.names.run_id).into();
            opened = openat(&self.folder, &*name, flags, MODE);
        }
        Ok((name, opened?))
    }

    fn fill(&self, temporary: OwnedFd, text: &[u8]) -> Result<(), Trouble> {
        if self.masked {
            let _ = fchmod(&temporary, MODE);
        }
        File::from(temporary).write_all(text).map_err(|error| {
            let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
            Trouble::Kernel(Step::Write, errno)
        })
    }
}

/// The latch: what guard and monitor share, and what can be sent to another process.
impl AsFd for Claim {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.latch.as_fd()
    }
}

/// The names of a claim's files in its folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) run_id: String,
    pub(super) latch: String,
    pub(super) record: String,
    pub(super) temporary: String,
}

impl Names {
    /// `None` where `run_id` is no plain name: letters, digits, `-`, `_` and `.`, 1 to 200 of them,
    /// the first no dot.
    pub(super) fn of(run_id: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let named = (1..=200).contains(&run_id.len())
            && !run_id.starts_with('.')
            && run_id.bytes().all(plain);
        named.then(|| Self {
            run_id: run_id.to_owned(),
            latch: format!("{run_id}.latch"),
            record: format!("{run_id}.json"),
            temporary: format!(".{run_id}.tmp"),
        })
    }

    /// The claim that a file in a claims folder belongs to; `None`: to none.
    pub(super) fn of_file(name: &str) -> Option<Self> {
        let run_id = name
            .strip_suffix(".latch")
            .or_else(|| name.strip_suffix(".json"))
            .or_else(|| name.strip_prefix('.')?.strip_suffix(".tmp"))?;
        Self::of(run_id)
    }
}

pub(super) const NO_FOLLOW: AtFlags = AtFlags::AT_SYMLINK_NOFOLLOW;

/// A latch that is locked.
pub(super) struct Taken {
    latch: OwnedFd,
    stat: FileStat,
    /// It was not there before.
    is_new: bool,
}

/// [`take_latch`] for who wants to be found by it. A latch of another user, who has foreseen its name (a
/// socket's), goes: he could take it away later, and a living owner would pass for a dead one.
fn take_own_latch(folder: &OwnedFd, names: &Names, part: Part) -> Result<Taken, Trouble> {
    for _ in 0..ROUNDS {
        let taken = take_latch(folder, names, part)?;
        // What is new is ours, whatever number its file system has for us.
        let user = taken.stat.st_uid;
        if taken.is_new || user == geteuid().as_raw() {
            return Ok(taken);
        }
        if remove(folder, &names.latch).is_err() {
            return Err(Trouble::Foreign(user));
        }
    }
    Err(Trouble::Restless)
}

/// Opens and locks a run's latch, and makes sure that it is the one that others find by its name.
///
/// `O_EXCL` first, as a run's name is new: it spares a call, and `fs.protected_regular` forbids
/// only an `O_CREAT` without it (`proc_sys_fs(5)`).
pub(super) fn take_latch(folder: &OwnedFd, names: &Names, part: Part) -> Result<Taken, Trouble> {
    let name = names.latch.as_str();
    let create = FLAGS | OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL;
    let mut made_by_us = false;
    for _ in 0..ROUNDS {
        let mut is_new = false;
        let latch = match openat(folder, name, create, MODE) {
            Ok(latch) => {
                (made_by_us, is_new) = (true, true);
                latch
            }
            Err(Errno::EEXIST) => {
                match openat(folder, name, FLAGS | OFlag::O_RDWR, Mode::empty()) {
                    Ok(latch) => latch,
                    // Cleared away between the two calls.
                    Err(Errno::ENOENT) => continue,
                    Err(errno) => return Err(Trouble::Kernel(Step::Create, errno)),
                }
            }
            Err(errno) => return Err(Trouble::Kernel(Step::Create, errno)),
        };
        match latch::try_lock_part(&latch, part) {
            Ok(true) => {}
            // Between our two calls somebody took it for a dead one, and now removes it.
            Ok(false) if made_by_us => {
                std::thread::yield_now();
                continue;
            }
            Ok(false) => return Err(Trouble::Held),
            Err(errno) => return Err(Trouble::Kernel(Step::Lock, errno)),
        }
        if let Some(stat) = named_by(folder, names, &latch) {
            if made_by_us && stat.st_mode & MODE.bits() != MODE.bits() {
                let _ = fchmod(&latch, MODE);
            }
            return Ok(Taken {
                latch,
                stat,
                is_new,
            });
        }
    }
    Err(Trouble::Restless)
}

/// What lies at the latch's name, if it is this very file.
fn named_by(folder: &OwnedFd, names: &Names, latch: &OwnedFd) -> Option<FileStat> {
    let open = fstat(latch).ok()?;
    let there = fstatat(folder, names.latch.as_str(), NO_FOLLOW).ok()?;
    (identity(&open) == identity(&there)).then_some(open)
}

#[expect(
    clippy::useless_conversion,
    reason = "the width of a device number differs between architectures"
)]
pub(super) fn identity(stat: &FileStat) -> (u64, u64) {
    (u64::from(stat.st_dev), u64::from(stat.st_ino))
}

pub(super) fn remove(folder: &OwnedFd, name: &str) -> Result<(), Errno> {
    unlinkat(folder, name, UnlinkatFlags::NoRemoveDir)
}

/// A claim could not be made or changed. Displayed, it is one sentence for people; it is worth a
/// note and no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimError {
    /// The claims folder.
    pub folder: PathBuf,
    /// What went wrong.
    pub trouble: Trouble,
}

/// What went wrong with a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The run's name cannot be a file's name, or the record is that of another run.
    BadRunId,
    /// The record is longer than [`MAX_RECORD`].
    TooLong,
    /// A living owner has a claim of this name.
    Held,
    /// The latch is this user's, and cannot be removed.
    Foreign(u32),
    /// The latch is removed again each time that it is made.
    Restless,
    /// A system call failed.
    Kernel(Step, Errno),
}

/// The step at which a claim failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Opening or making the claims folder.
    Folder,
    /// Creating the latch or the record's temporary file.
    Create,
    /// Locking the latch.
    Lock,
    /// Writing the record.
    Write,
    /// Putting the record in its place.
    Rename,
}

impl ClaimError {
    fn new(folder: &Path, trouble: Trouble) -> Self {
        let folder = folder.to_owned();
        Self { folder, trouble }
    }
}

impl ClaimError {
    /// Whether the folder, and the one that it would be made in, do not exist.
    pub fn is_missing(&self) -> bool {
        self.trouble == Trouble::Kernel(Step::Folder, Errno::ENOENT)
    }
}

impl Error for ClaimError {}

impl fmt::Display for ClaimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot write a claim in {}: ", Quoted(&self.folder))?;
        match self.trouble {
            Trouble::BadRunId => f.write_str("the name of the run is no plain file name")?,
            Trouble::TooLong => f.write_str("the record is too long; use shorter names")?,
            Trouble::Held => f.write_str("a living run has a claim of the same name")?,
            Trouble::Foreign(user) => write!(
                f,
                "its latch belongs to user {user}, who could take it away; remove it as that user or as root"
            )?,
            Trouble::Restless => f.write_str("its latch vanishes; find out who removes it")?,
            Trouble::Kernel(step, errno) => {
                let doing = match step {
                    Step::Folder => "opening the folder",
                    Step::Create => "creating a file",
                    Step::Lock => "locking the latch",
                    Step::Write => "writing the record",
                    Step::Rename => "renaming the record",
                };
                write!(f, "{doing} failed: {}; {}", Why(errno), remedy(errno))?;
            }
        }
        f.write_str(" (the run goes on, only status and waiting runs do not see it)")
    }
}

fn remedy(errno: Errno) -> &'static str {
    match errno {
        Errno::ENOSPC | Errno::EDQUOT => "free space or inodes there",
        Errno::EROFS => "mount it writable to see who holds the lock",
        Errno::EACCES | Errno::EPERM => "make the folder writable for all (chmod 1777)",
        Errno::ENOENT => "create the folder above it",
        Errno::ENOTDIR | Errno::ELOOP => "remove what lies in its place",
        Errno::EMFILE | Errno::ENFILE => "raise the limit of open files (ulimit -n)",
        Errno::EFBIG => "raise the limit of file sizes (ulimit -f)",
        _ => "choose a local file system to see who holds the lock",
    }
}

#[cfg(test)]
pub(in crate::lock) mod tests;
