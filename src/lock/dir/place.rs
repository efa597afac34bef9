//! The place of a directory lock: `.runtime` in the directory, and the files in it.
//!
//! | file | what it is |
//! | --- | --- |
//! | `agent.lock` | the record: absent, or whole |
//! | `agent.latch` | the latch: empty, never removed, never renamed |
//! | `agent.lock.flock` | gastown's own: flock(2) on it is held while the record is read and written |
//! | `.agent.lock.TOKEN` | a record that is being written |
//! | `.gitignore` | keeps all of it out of the working copy's history |
//!
//! State: the directory's real path, the directory and `.runtime` as open descriptors. What is
//! found or removed later is found and removed through these, wherever the names lead by then.
//!
//! Invariants:
//! - Nothing here is followed through a symbolic link, waited for, or inherited by a command.
//! - Whoever may write the directory may lock it: what we make has the directory's own permissions,
//!   and root makes it *as the directory's owner* (`owner`), so that several users of one
//!   working copy exclude each other, and nothing that its owner lays there becomes his through us.
//! - The record is written beside its name, forced to the disk and renamed: a reader, and whoever
//!   starts after a power cut, sees a whole record or none.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat, renameat};
use nix::sys::stat::{FileStat, Mode, fchmod, fstat, fstatat, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::conflict::{DirError, Doing};
use super::owner::Owner;
use super::record::{Corrupt, DirRecord};
use super::stat::{Stamp, identity, is_regular, kind, stamp};
use super::step;
use crate::lock::claim::FLAGS;
use crate::lock::{latch, placement};

/// The folder of all this, in the directory.
pub const FOLDER: &str = ".runtime";
/// The record's name in it.
pub const RECORD: &str = "agent.lock";
/// The latch's name in it.
pub const LATCH: &str = "agent.latch";
const IGNORE: &str = ".gitignore";
/// Before the token, in the name of a record that is being written.
const TEMPORARY: &str = ".agent.lock.";
/// A token: 128 bits in hexadecimal.
const TOKEN_LENGTH: usize = 32;

/// How many entries of the folder are looked at for what dead takers left.
const MAX_ENTRIES: usize = 4096;
/// How often somebody makes and removes a file while we open it, before we give up.
const ROUNDS: u32 = 16;

/// An open place.
#[derive(Debug)]
pub struct Place {
    /// The directory, by its real path.
    dir: PathBuf,
    directory: OwnedFd,
    folder: OwnedFd,
    /// The permissions that new files get.
    mode: Mode,
    owner: Owner,
}

/// What lies at the record's name.
#[derive(Debug)]
pub enum Found {
    /// Nothing.
    Nothing,
    /// A record, and the file it was read from.
    Record(Box<DirRecord>, Stamp),
    /// A file that is no record.
    Corrupt(Corrupt),
    /// Something that is no file: "a symbolic link", "a FIFO", …
    NoFile(&'static str),
    /// It may not be opened.
    Closed(Errno),
}

impl Place {
    /// Opens the place of `dir`, and makes the folder where it is missing.
    pub(super) fn open(dir: &Path) -> Result<Self, DirError> {
        Self::find(dir, true)
    }

    /// Opens the place of `dir` if it has one, and changes nothing. `ENOENT`: it has none.
    pub fn existing(dir: &Path) -> Result<Self, DirError> {
        Self::find(dir, false)
    }

    fn find(given: &Path, make: bool) -> Result<Self, DirError> {
        let failed = |doing, errno| DirError::new(given, doing, errno);
        let dir = given
            .canonicalize()
            .map_err(|error| failed(Doing::Finding, errno_of(&error)))?;
        let path = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let directory = openat(AT_FDCWD, &dir, path, Mode::empty())
            .map_err(|errno| failed(Doing::Finding, errno))?;
        let stat = fstat(&directory).map_err(|errno| failed(Doing::Finding, errno))?;
        let mode = Mode::from_bits_truncate(stat.st_mode);
        let owner = Owner::of(&stat);
        let folder = match (open_folder(&directory), make) {
            (Err(Errno::ENOENT), true) => make_folder(&directory, mode, &owner),
            (answer, _) => answer,
        };
        let folder = folder.map_err(|errno| failed(Doing::Folder, errno))?;
        Ok(Self {
            dir,
            directory,
            folder,
            mode: mode & Mode::from_bits_truncate(0o666) | Mode::S_IRUSR | Mode::S_IWUSR,
            owner,
        })
    }

    /// The directory's real path.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The folder, for a watch.
    pub(super) fn folder_path(&self) -> PathBuf {
        self.dir.join(FOLDER)
    }

    /// Device and inode of the directory: two paths, one directory.
    pub(in crate::lock) fn identity(&self) -> Option<(u64, u64)> {
        fstat(&self.directory).ok().as_ref().map(identity)
    }

    /// Opens the latch to take it, and makes it where it is missing. Takes nothing.
    pub(super) fn open_latch(&self) -> Result<OwnedFd, DirError> {
        self.open_or_create(LATCH)
            .map_err(|errno| self.error(Doing::Latch, errno))
    }

    /// Whether the latch's name, from the directory downwards, still leads to `latch`.
    pub(super) fn is_latch(&self, latch: &OwnedFd) -> bool {
        let name = Path::new(FOLDER).join(LATCH);
        let there = fstatat(&self.directory, &name, AtFlags::AT_SYMLINK_NOFOLLOW);
        match (fstat(latch), there) {
            (Ok(open), Ok(there)) => identity(&open) == identity(&there),
            _ => false,
        }
    }

    /// Whether the folder's name still leads to what is open here.
    pub(super) fn has_folder(&self) -> bool {
        let there = fstatat(&self.directory, FOLDER, AtFlags::AT_SYMLINK_NOFOLLOW);
        match (fstat(&self.folder), there) {
            (Ok(open), Ok(there)) => identity(&open) == identity(&there),
            _ => false,
        }
    }

    /// Whether somebody holds the latch; asked, never taken. `None`: there is none, or it cannot be
    /// asked.
    pub fn latch_held(&self) -> Option<bool> {
        latch::is_held(self.latch_to_ask()?).ok()
    }

    /// The latch, open for questions alone.
    pub(super) fn latch_to_ask(&self) -> Option<OwnedFd> {
        let latch = openat(&self.folder, LATCH, FLAGS | OFlag::O_RDONLY, Mode::empty()).ok()?;
        is_regular(&fstat(&latch).ok()?).then_some(latch)
    }

    /// Whether a latch that is held may look free here.
    pub fn is_unsure(&self) -> bool {
        placement::is_unsure(&self.folder_path().join(LATCH))
    }

    /// What the record says. Disturbs nobody; no more than a record's length is ever loaded.
    pub fn read(&self) -> Found {
        let flags = FLAGS | OFlag::O_RDONLY;
        let file = match openat(&self.folder, RECORD, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::ENOENT) => return Found::Nothing,
            Err(errno) => {
                let there = fstatat(&self.folder, RECORD, AtFlags::AT_SYMLINK_NOFOLLOW);
                return match there.map(|stat| kind(&stat)) {
                    Ok(Some(what)) => Found::NoFile(what),
                    _ => Found::Closed(errno),
                };
            }
        };
        let stat = match fstat(&file) {
            Ok(stat) => stat,
            Err(errno) => return Found::Closed(errno),
        };
        if let Some(what) = kind(&stat) {
            return Found::NoFile(what);
        }
        match DirRecord::read(&File::from(file)) {
            Ok(record) => Found::Record(Box::new(record), stamp(&stat)),
            Err(corrupt) => Found::Corrupt(corrupt),
        }
    }

    /// Which file bears the record's name now.
    pub(in crate::lock) fn stamp(&self) -> Option<Stamp> {
        let there = fstatat(&self.folder, RECORD, AtFlags::AT_SYMLINK_NOFOLLOW);
        there.ok().as_ref().map(stamp)
    }

    /// Writes `record`, which bears `token`, as a whole. Under [`Place::coordinate`].
    pub(super) fn write(&self, record: &DirRecord, token: &str) -> Result<(), DirError> {
        let temporary = temporary(token);
        let failed = |doing| move |errno| self.error(doing, errno);
        let written = self
            .write_new(&temporary, record.render().as_bytes())
            .map_err(failed(Doing::Writing))
            .and_then(|()| {
                step::point();
                renameat(&self.folder, temporary.as_str(), &self.folder, RECORD)
                    .map_err(failed(Doing::Renaming))
            });
        if written.is_err() {
            let _ = self.remove(&temporary);
        }
        step::point();
        written
    }

    fn write_new(&self, name: &str, text: &[u8]) -> Result<(), Errno> {
        step::point();
        let mut file = File::from(self.create(name, FLAGS | OFlag::O_WRONLY)?);
        step::point();
        let written = file.write_all(text).and_then(|()| {
            step::point();
            file.sync_data()
        });
        written.map_err(|error| errno_of(&error))
    }

    /// Removes the record. Under [`Place::coordinate`], after reading whose it is.
    pub(in crate::lock) fn remove_record(&self) -> Result<(), DirError> {
        step::point();
        let removed = self.remove(RECORD);
        step::point();
        removed.map_err(|errno| self.error(Doing::Removing, errno))
    }

    /// Removes what the holder of this token left half written, as a monitor whose guard releases now.
    pub(super) fn remove_temporary(&self, token: &str) {
        let _ = self.remove(temporary(token));
    }

    /// Removes what takers left who died while they wrote. Only for who holds the latch, and under
    /// [`Place::coordinate`]: nobody else writes then.
    pub(super) fn clear_temporaries(&self) {
        let Ok(entries) = std::fs::read_dir(self.folder_path()) else {
            return;
        };
        for entry in entries.take(MAX_ENTRIES).flatten() {
            let name = entry.file_name();
            if is_temporary(&name) {
                step::point();
                let _ = self.remove(&name);
            }
        }
    }

    /// Keeps the folder out of git's sight. Under [`Place::coordinate`]. Who has no room for it has
    /// none for the record either, and is told so there.
    pub(super) fn ignore(&self, token: &str) {
        let there = fstatat(&self.folder, IGNORE, AtFlags::AT_SYMLINK_NOFOLLOW);
        if !matches!(there, Err(Errno::ENOENT)) {
            return;
        }
        let temporary = temporary(token);
        let renamed = self.write_new(&temporary, b"*\n").and_then(|()| {
            step::point();
            renameat(&self.folder, temporary.as_str(), &self.folder, IGNORE)
        });
        if renamed.is_err() {
            let _ = self.remove(&temporary);
        }
    }

    pub(super) fn error(&self, doing: Doing, errno: Errno) -> DirError {
        DirError::new(&self.dir, doing, errno)
    }

    /// Opens without `O_CREAT` first: `fs.protected_regular` refuses it on a file of another user in
    /// a sticky folder, even to root (`proc_sys_fs(5)`).
    pub(super) fn open_or_create(&self, name: &str) -> Result<OwnedFd, Errno> {
        let flags = FLAGS | OFlag::O_RDWR;
        for _ in 0..ROUNDS {
            let opened = match openat(&self.folder, name, flags, Mode::empty()) {
                Err(Errno::ENOENT) => {
                    step::point();
                    self.create(name, flags)
                }
                other => other,
            };
            match opened {
                Ok(fd) => {
                    let stat = fstat(&fd)?;
                    // A FIFO opens, too.
                    if !is_regular(&stat) {
                        return Err(Errno::ENXIO);
                    }
                    self.mend(&fd, &stat);
                    return Ok(fd);
                }
                Err(Errno::EEXIST | Errno::EINTR) => {}
                Err(errno) => return Err(errno),
            }
        }
        Err(Errno::EBUSY)
    }

    /// Makes a file that was not there, with the permissions that the umask would cut.
    fn create(&self, name: &str, flags: OFlag) -> Result<OwnedFd, Errno> {
        let flags = flags | OFlag::O_CREAT | OFlag::O_EXCL;
        self.owner.act(|| {
            let fd = openat(&self.folder, name, flags, self.mode)?;
            step::point();
            let _ = fchmod(&fd, self.mode);
            Ok(fd)
        })
    }

    /// Its maker may have been killed before it was for all. Only an empty file of one name is ours to
    /// open to others: whoever may write here may have laid another one in its place.
    fn mend(&self, fd: &OwnedFd, stat: &FileStat) {
        let narrow = stat.st_mode & self.mode.bits() != self.mode.bits();
        let empty = stat.st_size == 0 && stat.st_nlink == 1;
        if narrow && empty && self.owner.is(stat.st_uid) {
            step::point();
            let _ = self.owner.act(|| fchmod(fd, self.mode));
        }
    }

    fn remove(&self, name: impl AsRef<OsStr>) -> Result<(), Errno> {
        unlinkat(&self.folder, name.as_ref(), UnlinkatFlags::NoRemoveDir)
    }
}

fn open_folder(directory: &OwnedFd) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    openat(directory, FOLDER, flags, Mode::empty())
}

fn make_folder(directory: &OwnedFd, mode: Mode, owner: &Owner) -> Result<OwnedFd, Errno> {
    step::point();
    let answer = owner.act(|| {
        mkdirat(directory, FOLDER, mode | Mode::S_IRWXU)?;
        step::point();
        let folder = open_folder(directory)?;
        let _ = fchmod(&folder, mode | Mode::S_IRWXU);
        Ok(folder)
    });
    match answer {
        Ok(folder) => Ok(folder),
        Err(Errno::EEXIST) => open_folder(directory),
        Err(errno) => Err(errno),
    }
}

fn temporary(token: &str) -> String {
    format!("{TEMPORARY}{token}")
}

fn is_temporary(name: &OsStr) -> bool {
    let token = name.as_bytes().strip_prefix(TEMPORARY.as_bytes());
    token
        .is_some_and(|token| token.len() == TOKEN_LENGTH && token.iter().all(u8::is_ascii_hexdigit))
}

pub(super) fn errno_of(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}
