//! The shared lock: one exclusive flock(2) on a regular file that several containers mount.
//!
//! State: an open file and the path that it was opened by. The guard opens it *before* it forks the
//! monitor, so that both own one open file description and the lock outlives either of them; it is
//! close-on-exec, so that the job never gets it (a `LOCK_UN` by the job would free it for all).
//!
//! Invariants:
//! - The file is never unlinked, renamed, truncated or written. Plain `flock(1)` users queue on the
//!   same inode, and whoever replaces it makes a second lock of it.
//! - Only `LOCK_EX`: a stream of readers would starve the writers.
//! - One try, then one wait in the kernel, which serves in order of arrival. Polling beside waiters
//!   that block never gets a turn.
//! - Nobody probes the lock by taking it; who holds it is said by [claims](super::claim).
//!
//! fs2's trait is named in full, as std's `File` has methods of nearly the same names.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::stat::{Mode, fchmod};
use nix::sys::statfs::{NFS_SUPER_MAGIC, fstatfs};

pub use super::fault::{Fault, LockError, OpenError};

/// How often the pair of opens is tried when somebody creates and removes the file meanwhile.
const ROUNDS: u32 = 16;

/// A symbolic link is refused, a FIFO or a terminal at the path neither blocks nor becomes ours,
/// and no program that we start inherits the lock.
const FLAGS: OFlag = OFlag::O_NOFOLLOW
    .union(OFlag::O_NONBLOCK)
    .union(OFlag::O_NOCTTY)
    .union(OFlag::O_CLOEXEC);

/// All who share the folder may lock, whichever user they are.
const MODE: Mode = Mode::from_bits_truncate(0o666);

/// An open lock file. Dropping it closes one descriptor; the lock itself is free when the last
/// descriptor of its open file description is closed, or at [`SharedLock::unlock`].
#[derive(Debug)]
pub struct SharedLock {
    file: File,
    path: PathBuf,
}

/// The answer of [`SharedLock::try_lock`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Attempt {
    /// The lock is ours.
    Got,
    /// Somebody else holds it.
    Busy,
}

impl SharedLock {
    /// Opens the lock file, and creates it with mode 0666 where it does not exist. Takes no lock.
    ///
    /// Read-only, which is enough for flock(2) on local file systems and works on a read-only
    /// mount; on NFS for reading and writing, as flock(2) there asks for it.
    ///
    /// # Errors
    /// Whatever is not a regular file that we can open, each with its own [`Fault`].
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let wrong = |fault| OpenError {
            path: path.to_owned(),
            fault,
        };
        let mut file = File::from(open_or_create(path, OFlag::O_RDONLY)?);
        check_regular(&file).map_err(wrong)?;
        if fstatfs(&file).is_ok_and(|fs| fs.filesystem_type() == NFS_SUPER_MAGIC) {
            let fd = openat(AT_FDCWD, path, FLAGS | OFlag::O_RDWR, Mode::empty())
                .map_err(|errno| wrong(Fault::NfsNotWritable(errno)))?;
            file = File::from(fd);
            check_regular(&file).map_err(wrong)?;
        }
        let path = path.to_owned();
        Ok(Self { file, path })
    }

    /// The path that it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the lock if it is free, and never waits.
    ///
    /// # Errors
    /// What flock(2) says but "somebody else holds it".
    pub fn try_lock(&self) -> Result<Attempt, LockError> {
        loop {
            match fs2::FileExt::try_lock_exclusive(&self.file) {
                Ok(()) => return Ok(Attempt::Got),
                Err(error) => match errno_of(&error) {
                    Errno::EWOULDBLOCK => return Ok(Attempt::Busy),
                    Errno::EINTR => {}
                    errno => return Err(self.lock_error(errno)),
                },
            }
        }
    }

    /// Waits in the kernel's queue until the lock is ours.
    ///
    /// To be called from a thread of its own with all signals blocked: a handled signal or a stop
    /// costs the place in the queue. It can be cancelled only by the end of the process.
    ///
    /// # Errors
    /// What flock(2) says, `EINTR` excepted: that waits on.
    pub fn lock_blocking(&self) -> Result<(), LockError> {
        loop {
            match fs2::FileExt::lock_exclusive(&self.file) {
                Ok(()) => return Ok(()),
                Err(error) => match errno_of(&error) {
                    Errno::EINTR => {}
                    errno => return Err(self.lock_error(errno)),
                },
            }
        }
    }

    /// Frees the lock for *every* process that shares this open file description.
    ///
    /// # Errors
    /// What flock(2) says; on local file systems it cannot fail.
    pub fn unlock(&self) -> Result<(), LockError> {
        fs2::FileExt::unlock(&self.file).map_err(|error| self.lock_error(errno_of(&error)))
    }

    /// Whether the path still leads to the very file that is open here: same device *and* same
    /// inode, as two overlays show one inode number. A missing file, and a symbolic link in its
    /// place, count as replaced.
    ///
    /// # Errors
    /// The path cannot be looked up now (permission, a server that does not answer): nothing is
    /// known then, and nothing should be concluded.
    pub fn is_current(&self) -> io::Result<bool> {
        let ours = self.file.metadata()?;
        match std::fs::symlink_metadata(&self.path) {
            Ok(there) => Ok((ours.dev(), ours.ino()) == (there.dev(), there.ino())),
            Err(error) => match errno_of(&error) {
                Errno::ENOENT | Errno::ENOTDIR => Ok(false),
                _ => Err(error),
            },
        }
    }

    /// Watches the file for being replaced or removed. Ask [`SharedLock::is_current`] once *after*
    /// this returns: what happened before it is not reported.
    ///
    /// The watch is on the file and not on its folder, where a chat writes at every line. While our
    /// descriptor is open, an unlink and a rename over it show only as `IN_ATTRIB` (inotify(7)).
    /// Blind on NFS, FUSE, 9p and virtiofs to what other hosts do.
    ///
    /// # Errors
    /// No inotify instance or watch was to be had (`EMFILE`, `ENOSPC`: the limits are per user over
    /// all containers of the host), or the file is gone (`ENOENT`).
    pub fn watch(&self) -> Result<Watch, Errno> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let events = AddWatchFlags::IN_ATTRIB
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_DONT_FOLLOW;
        inotify.add_watch(self.path.as_path(), events)?;
        Ok(Watch { inotify })
    }

    fn lock_error(&self, errno: Errno) -> LockError {
        LockError {
            path: self.path.clone(),
            errno,
        }
    }
}

impl AsFd for SharedLock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// A watch over the lock file; its descriptor becomes readable when something happened to it.
#[derive(Debug)]
pub struct Watch {
    inotify: Inotify,
}

impl Watch {
    /// Takes what has been reported, and says whether there was anything: then compare with
    /// [`SharedLock::is_current`], as a mere chmod is reported, too. Never blocks.
    pub fn drain(&self) -> bool {
        let mut any = false;
        let mut events = [0_u8; 1024];
        while nix::unistd::read(&self.inotify, &mut events).is_ok_and(|bytes| bytes > 0) {
            any = true;
        }
        any
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

/// Opens without `O_CREAT` first: in a sticky folder, `fs.protected_regular` refuses `O_CREAT` on a
/// file of another user even to root (`proc_sys_fs(5)`). Then with `O_EXCL`, which no link fools.
fn open_or_create(path: &Path, access: OFlag) -> Result<OwnedFd, OpenError> {
    for _ in 0..ROUNDS {
        // Not open(2): musl follows it by an fcntl(2) for kernels that did not know O_CLOEXEC.
        match openat(AT_FDCWD, path, FLAGS | access, Mode::empty()) {
            Ok(fd) => return Ok(fd),
            Err(Errno::ENOENT | Errno::EINTR) => {}
            Err(errno) => return Err(OpenError::from_errno(path, errno, false)),
        }
        let create = OFlag::O_CREAT | OFlag::O_EXCL;
        match openat(AT_FDCWD, path, FLAGS | access | create, MODE) {
            Ok(fd) => {
                // The umask cut it. Where the file system knows no modes, others get in anyway.
                let _ = fchmod(&fd, MODE);
                return Ok(fd);
            }
            // Somebody else was faster, so it can be opened now.
            Err(Errno::EEXIST | Errno::EINTR) => {}
            Err(errno) => return Err(OpenError::from_errno(path, errno, true)),
        }
    }
    Err(OpenError {
        path: path.to_owned(),
        fault: Fault::Restless,
    })
}

fn check_regular(file: &File) -> Result<(), Fault> {
    let kind = match file.metadata() {
        Ok(meta) => meta.file_type(),
        Err(error) => return Err(Fault::Other(errno_of(&error))),
    };
    if kind.is_file() {
        Ok(())
    } else if kind.is_dir() {
        Err(Fault::Folder)
    } else if kind.is_fifo() {
        Err(Fault::NotAFile("a FIFO"))
    } else if kind.is_char_device() || kind.is_block_device() {
        Err(Fault::NotAFile("a device"))
    } else {
        Err(Fault::NotAFile("something that is no file"))
    }
}

fn errno_of(error: &io::Error) -> Errno {
    error
        .raw_os_error()
        .map_or(Errno::UnknownErrno, Errno::from_raw)
}

#[cfg(test)]
mod tests;
