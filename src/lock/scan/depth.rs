//! The way from where a thread began down to where it is: one `Level` for each directory that has
//! sub-directories left to look into.
//!
//! Invariants, whatever the tree is like:
//! - at most `OPEN` levels keep their directory open, besides the lowest one; a level that was
//!   closed is opened again by the names on the way to it, one by one, following no link;
//! - a level knows the names of some thousand sub-directories, not of a million: the rest is read
//!   from the directory when these are done;
//! - a level without names left is gone before the walk goes further down, so that a chain of single
//!   directories, however long, is one level.

use std::ffi::CStr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{Whence, lseek};

use crate::sys::dents::Buffer;

/// How many levels keep their directory open.
const OPEN: usize = 24;
/// How many bytes of names a level keeps before it looks into them.
const NAMES: usize = 64 * 1024;
/// How a directory is opened: never through a link, never waiting, not for a child of ours.
pub(super) const FLAGS: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_NONBLOCK)
    .union(OFlag::O_CLOEXEC);

/// A directory with sub-directories left to look into.
#[derive(Debug)]
pub(super) struct Level {
    dir: Option<OwnedFd>,
    /// Names of sub-directories, each ending in a NUL.
    names: Vec<u8>,
    /// Where the next name begins.
    at: usize,
    /// How much of the path is this directory's.
    pub(super) path: usize,
    /// Whether the directory has entries that were not listed yet.
    unlisted: bool,
    /// Where the listing goes on, for a directory that was closed in between.
    cookie: i64,
}

impl Level {
    /// Lists the entries of this directory that follow, until there are names enough; `each` sees
    /// each listing and puts the names to look into at the end of the list that it is given.
    pub(super) fn list(
        &mut self,
        buffer: &mut Buffer,
        mut each: impl FnMut(BorrowedFd<'_>, &Buffer, &mut Vec<u8>),
    ) -> Result<(), Errno> {
        self.names.clear();
        self.at = 0;
        // Whatever the answer: what cannot be listed is not asked for again.
        self.unlisted = false;
        let Some(dir) = &self.dir else { return Ok(()) };
        while buffer.fill(dir.as_fd())? {
            each(dir.as_fd(), buffer, &mut self.names);
            if self.names.len() > NAMES {
                self.unlisted = true;
                return Ok(());
            }
        }
        Ok(())
    }

    /// The next sub-directory.
    fn next(&mut self) -> Option<&CStr> {
        let name = CStr::from_bytes_until_nul(self.names.get(self.at..)?).ok()?;
        self.at += name.count_bytes() + 1;
        Some(name)
    }

    /// Whether the names that were listed are done.
    const fn is_done(&self) -> bool {
        self.at >= self.names.len()
    }

    /// Closes the directory, unless the place in its listing would be lost.
    fn close(&mut self) {
        if self.unlisted
            && let Some(dir) = &self.dir
        {
            match lseek(dir, 0, Whence::SeekCur) {
                Ok(cookie) => self.cookie = cookie,
                Err(_) => return,
            }
        }
        self.dir = None;
    }
}

/// All levels of one thread, the lowest one last.
#[derive(Debug, Default)]
pub(super) struct Depth {
    levels: Vec<Level>,
    /// Lists of names of levels that are gone, for those that come.
    spare: Vec<Vec<u8>>,
}

/// What [`Depth::step`] found.
pub(super) enum Step {
    /// A sub-directory, open; its name was put at the end of the path.
    Down(OwnedFd),
    /// More entries of the lowest level are to be listed.
    List,
    /// Nothing: it has gone, or is a link, or a mount that is not looked into.
    Nothing,
    /// The path now names what cannot be opened.
    Unread(Errno),
    /// All is done.
    End,
}

impl Depth {
    /// Adds a level for `dir`, whose path is so long. Nothing of it is listed yet.
    pub(super) fn push(&mut self, dir: OwnedFd, path: usize) {
        if let Some(above) = self.levels.len().checked_sub(1).filter(|at| *at >= OPEN)
            && let Some(above) = self.levels.get_mut(above)
        {
            above.close();
        }
        self.levels.push(Level {
            dir: Some(dir),
            names: self.spare.pop().unwrap_or_default(),
            at: 0,
            path,
            unlisted: true,
            cookie: 0,
        });
    }

    /// The lowest level.
    pub(super) fn lowest(&mut self) -> Option<&mut Level> {
        self.levels.last_mut()
    }

    /// Goes on at the lowest level that has something left. `path` becomes that level's path, or the
    /// sub-directory's; `pass` says which sub-directories are passed over.
    pub(super) fn step(&mut self, path: &mut Vec<u8>, pass: impl Fn(&[u8]) -> bool) -> Step {
        loop {
            let Some(level) = self.levels.last() else {
                return Step::End;
            };
            if !level.is_done() || level.unlisted {
                break;
            }
            self.pop();
        }
        let reopened = self.reopen(path);
        let Some(level) = self.levels.last_mut() else {
            return Step::End;
        };
        path.truncate(level.path);
        if let Err(errno) = reopened {
            self.pop();
            return match errno {
                // Moved or removed since: what lies there now is not what we listed.
                Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP => Step::Nothing,
                other => Step::Unread(other),
            };
        }
        if level.is_done() {
            return Step::List;
        }
        let step = open_next(level, path, pass);
        if level.is_done() && !level.unlisted {
            self.pop();
        }
        step
    }

    /// Takes a sub-directory from the highest level that has one: there the most is left to do.
    /// What [`Depth::step`] would say of it, and its path.
    pub(super) fn give_away(
        &mut self,
        path: &[u8],
        pass: impl Fn(&[u8]) -> bool,
    ) -> Option<(Step, Vec<u8>)> {
        let fit = |level: &&mut Level| !level.is_done() && level.dir.is_some();
        let level = self.levels.iter_mut().find(fit)?;
        let mut path = path.get(..level.path)?.to_vec();
        let step = open_next(level, &mut path, pass);
        Some((step, path))
    }

    fn pop(&mut self) {
        if let Some(mut level) = self.levels.pop() {
            // Whoever gets the list must not take these names for its own.
            level.names.clear();
            self.spare.push(level.names);
        }
    }

    /// Opens the lowest level again if it was closed.
    fn reopen(&mut self, path: &[u8]) -> Result<(), Errno> {
        let Some((lowest, above)) = self.levels.split_last_mut() else {
            return Ok(());
        };
        if lowest.dir.is_some() {
            return Ok(());
        }
        let open = |level: &Level| Some((level.dir.as_ref()?.try_clone().ok()?, level.path));
        // The topmost levels are never closed.
        let (mut dir, begin) = above.iter().rev().find_map(open).ok_or(Errno::EMFILE)?;
        let way = path.get(begin..lowest.path).unwrap_or_default();
        for name in way
            .split(|byte| *byte == b'/')
            .filter(|name| !name.is_empty())
        {
            dir = openat(&dir, name, FLAGS, Mode::empty())?;
        }
        if lowest.unlisted {
            lseek(&dir, lowest.cookie, Whence::SeekSet)?;
        }
        lowest.dir = Some(dir);
        Ok(())
    }
}

fn open_next(level: &mut Level, path: &mut Vec<u8>, pass: impl Fn(&[u8]) -> bool) -> Step {
    let Some(dir) = level.dir.take() else {
        return Step::Nothing;
    };
    let step = match level.next() {
        None => Step::Nothing,
        Some(name) => {
            if path.last() != Some(&b'/') {
                path.push(b'/');
            }
            path.extend_from_slice(name.to_bytes());
            if pass(path) {
                Step::Nothing
            } else {
                match openat(&dir, name, FLAGS, Mode::empty()) {
                    Ok(found) => Step::Down(found),
                    Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP) => Step::Nothing,
                    Err(errno) => Step::Unread(errno),
                }
            }
        }
    };
    level.dir = Some(dir);
    step
}
