//! Every directory below a root, by a few threads, without a system call for a file.
//!
//! For each directory: openat, getdents until it is done, close. What an entry is, the listing itself
//! says; only where a file system does not, statx(2) is asked about that one. A folder called
//! `.runtime` is shown to the caller and not looked into.
//!
//! State: each thread goes down by itself ([`super::depth`]); one that has nothing left waits, and
//! whoever has work sees that at the next directory and gives some away. Nothing else is shared but
//! the list of what could not be read.
//!
//! Mounts are crossed, as find(1) does by default: working copies are often mounts of their own.
//! Links are never followed. The depth is limited by the length of a path alone (`LONGEST`), as a
//! file system that answers from a program may have no end.

use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::{SFlag, fstatat};
use nix::unistd::{SysconfVar, sysconf};

use super::depth::{Depth, Level, Step};
use super::skip::{Skip, is_place};
use crate::sys::dents::{Buffer, Entry, Kind};
use crate::sys::thread;

/// The folder in a directory that holds its lock.
pub const RUNTIME: &CStr = c".runtime";
/// The longest path that is looked into, in bytes.
const LONGEST: usize = 1 << 20;
/// How much is listed in one call, in bytes.
const LISTING: usize = 32 * 1024;
/// How many unreadable folders are named; the rest is counted.
const NAMED: usize = 1000;
/// The most threads: more wait for one disk or one server.
const THREADS: usize = 8;

/// What a walk saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// How many directories were read.
    pub directories: usize,
    /// What could not be read, and why; the first thousand.
    pub unread: Vec<(PathBuf, Errno)>,
    /// How many more could not be read.
    pub more_unread: usize,
}

/// A directory in which something is called `.runtime`.
#[derive(Debug)]
pub struct Found<'a> {
    /// Its path, from the root on as the root was named.
    pub path: &'a Path,
    /// The directory, open.
    pub dir: BorrowedFd<'a>,
    /// Whether `.runtime` is a link, which is not followed.
    pub is_link: bool,
}

/// Goes through all below `root`, which is followed if it is a link, and calls `found` from several
/// threads at once.
///
/// # Errors
/// `root` itself cannot be opened as a directory.
pub fn walk(root: &Path, skip: &Skip, found: &(dyn Fn(&Found<'_>) + Sync)) -> io::Result<Seen> {
    walk_by(threads(), root, skip, found)
}

fn walk_by(
    threads: usize,
    root: &Path,
    skip: &Skip,
    found: &(dyn Fn(&Found<'_>) + Sync),
) -> io::Result<Seen> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NONBLOCK;
    let dir = File::options()
        .read(true)
        .custom_flags(flags.bits())
        .open(root)?;
    let shared = Shared {
        skip,
        places: skip.below(root),
        found,
        tasks: Mutex::new(Tasks {
            waiting: vec![(dir.into(), root.as_os_str().as_bytes().to_vec())],
            working: 0,
        }),
        news: Condvar::new(),
        idle: AtomicUsize::new(0),
        seen: Mutex::default(),
    };
    // Where no further thread is allowed, fewer do it.
    thread::together(threads, 256 * 1024, &|| shared.work());
    Ok(shared
        .seen
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner))
}

/// As many as there are processors for us.
fn threads() -> usize {
    let online = sysconf(SysconfVar::_NPROCESSORS_ONLN).ok().flatten();
    let online = online.and_then(|online| usize::try_from(online).ok());
    online.unwrap_or(1).clamp(1, THREADS)
}

/// An open directory and its path.
type Task = (OwnedFd, Vec<u8>);

struct Tasks {
    waiting: Vec<Task>,
    /// How many threads have one.
    working: usize,
}

struct Shared<'a> {
    skip: &'a Skip,
    places: Vec<PathBuf>,
    found: &'a (dyn Fn(&Found<'_>) + Sync),
    tasks: Mutex<Tasks>,
    news: Condvar,
    /// How many threads wait for a task.
    idle: AtomicUsize,
    seen: Mutex<Seen>,
}

impl Shared<'_> {
    fn work(&self) {
        let mut buffer = Buffer::new(LISTING);
        let mut depth = Depth::default();
        let mut directories = 0;
        while let Some((dir, path)) = self.next() {
            directories += self.subtree(dir, path, &mut depth, &mut buffer);
            let mut tasks = lock(&self.tasks);
            tasks.working -= 1;
            if tasks.working == 0 && tasks.waiting.is_empty() {
                self.news.notify_all();
            }
        }
        lock(&self.seen).directories += directories;
    }

    fn next(&self) -> Option<Task> {
        let mut tasks = lock(&self.tasks);
        loop {
            if let Some(task) = tasks.waiting.pop() {
                tasks.working += 1;
                return Some(task);
            }
            if tasks.working == 0 {
                return None;
            }
            self.idle.fetch_add(1, Relaxed);
            tasks = self
                .news
                .wait(tasks)
                .unwrap_or_else(PoisonError::into_inner);
            self.idle.fetch_sub(1, Relaxed);
        }
    }

    /// Goes through all below `dir`; the number of directories that it read.
    fn subtree(
        &self,
        dir: OwnedFd,
        mut path: Vec<u8>,
        depth: &mut Depth,
        buffer: &mut Buffer,
    ) -> usize {
        let mut directories = 1;
        let pass = |path: &[u8]| !self.places.is_empty() && is_place(&self.places, path);
        depth.push(dir, path.len());
        loop {
            match depth.step(&mut path, pass) {
                Step::End => return directories,
                Step::Nothing => {}
                Step::Unread(errno) => self.unread(&path, errno),
                Step::Down(_) if path.len() > LONGEST => self.unread(&path, Errno::ENAMETOOLONG),
                Step::Down(dir) => {
                    directories += 1;
                    depth.push(dir, path.len());
                    self.list(depth.lowest(), &path, buffer);
                }
                Step::List => self.list(depth.lowest(), &path, buffer),
            }
            // One that was given something may still be on its way to it.
            if self.idle.load(Relaxed) == 0 || !lock(&self.tasks).waiting.is_empty() {
                continue;
            }
            match depth.give_away(&path, pass) {
                Some((Step::Down(dir), path)) => {
                    lock(&self.tasks).waiting.push((dir, path));
                    self.news.notify_one();
                }
                Some((Step::Unread(errno), path)) => self.unread(&path, errno),
                _ => {}
            }
        }
    }

    fn list(&self, level: Option<&mut Level>, path: &[u8], buffer: &mut Buffer) {
        let Some(level) = level else { return };
        let listed = level.list(buffer, |dir, buffer, names| {
            for entry in buffer.entries() {
                self.entry(dir, &entry, path, names);
            }
        });
        match listed {
            // It was removed while we had it open.
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => self.unread(path, errno),
        }
    }

    /// Looks at one entry; a sub-directory to look into is put at the end of `names`.
    fn entry(&self, dir: BorrowedFd<'_>, entry: &Entry<'_>, path: &[u8], names: &mut Vec<u8>) {
        let is_runtime = entry.name == RUNTIME;
        if entry.kind == Kind::Other || (entry.kind == Kind::Link && !is_runtime) {
            return;
        }
        if !is_runtime && self.skip.is_skipped(entry.name.to_bytes()) {
            return;
        }
        let kind = match entry.kind {
            Kind::Unknown => kind_of(dir, entry.name),
            known => known,
        };
        if is_runtime && matches!(kind, Kind::Directory | Kind::Link) {
            (self.found)(&Found {
                path: Path::new(OsStr::from_bytes(path)),
                dir,
                is_link: kind == Kind::Link,
            });
        } else if kind == Kind::Directory {
            names.extend_from_slice(entry.name.to_bytes_with_nul());
        }
    }

    fn unread(&self, path: &[u8], errno: Errno) {
        let mut seen = lock(&self.seen);
        if seen.unread.len() < NAMED {
            // A path that is too long is too long to be shown, too.
            let shown = path.get(..4096).unwrap_or(path);
            seen.unread.push((OsStr::from_bytes(shown).into(), errno));
        } else {
            seen.more_unread += 1;
        }
    }
}

fn kind_of(dir: BorrowedFd<'_>, name: &CStr) -> Kind {
    let Ok(stat) = fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW) else {
        return Kind::Other;
    };
    match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFDIR => Kind::Directory,
        SFlag::S_IFLNK => Kind::Link,
        _ => Kind::Other,
    }
}

/// A thread that panicked ends the program, so no other can meet what it left half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
