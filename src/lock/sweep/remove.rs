//! Taking a dead lock directory away.
//!
//! stat and rmdir(2) alone leave a gap in which a new owner can make the directory anew, and lose it.
//! So it is first renamed to a name of our own, where nobody else looks, compared once more, and only
//! then removed; what was a fresh one after all goes back, unless somebody has made a third.
//!
//! Killed between two of these calls, it leaves the directory under our name. The next sweep brings
//! it back if it was refreshed so recently that its owner may not have missed it yet, and else
//! removes it: its owner is dead, or has found out and gone.

use std::ffi::OsString;
use std::fs::read_dir;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::judge::{Moment, age};
use crate::core::note::Fate;
use crate::sys::rename::without_replacing;
use crate::sys::statx::{Stamp, stamp};

/// What our own name for a directory ends with.
const OWN: &str = ".lockkeeper";

/// Removes the directory at `path`, which was judged dead as `judged`. Whether it was us: `false`
/// where it is gone already.
///
/// # Errors
/// What became of it instead.
pub fn remove(path: &Path, judged: &Stamp) -> Result<bool, Fate> {
    let Some(place) = Place::of(path)? else {
        return Ok(false);
    };
    match stamp(place.folder.as_fd(), &place.name) {
        Ok(now) if now == *judged => {}
        Ok(_) => return Err(Fate::Refreshed),
        Err(Errno::ENOENT) => return Ok(false),
        Err(errno) => return Err(denied(errno)),
    }
    // One that holds anything is no lock, perhaps even somebody's home: it is not moved.
    match read_dir(path).map(|mut entries| entries.next().is_some()) {
        Ok(false) => {}
        Ok(true) => return Err(Fate::NotEmpty),
        Err(error) => match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOENT) => return Ok(false),
            errno => return Err(denied(errno.unwrap_or(Errno::EIO))),
        },
    }
    match place.hide() {
        Ok(()) => place.end(judged).map(|()| true),
        Err(Errno::ENOENT) => Ok(false),
        // Also where something lies under our name: it is for the next run's start to judge.
        Err(errno) => Err(denied(errno)),
    }
}

/// Clears away what a sweep that was killed left of the directory at `path`, or brings it back.
pub fn recover(
    path: &Path,
    moment: &Moment,
    refresh: Duration,
    stale_after: Duration,
) -> Option<Fate> {
    // Most often there is nothing, and one call shows it.
    let left = stamp(AT_FDCWD, &own_name(path)).ok()?;
    if !left.is_folder {
        return None;
    }
    let place = Place::of(path).ok()??;
    let age = age(&left, moment);
    if age.past < refresh && age.ahead <= stale_after {
        // Where there is a new one, ours is too late, and older the next time.
        return place.bring_back().ok().map(|()| Fate::BroughtBack);
    }
    match place.remove_hidden() {
        Ok(()) => Some(Fate::Remains),
        Err(Errno::ENOTEMPTY | Errno::EEXIST) => Some(Fate::NotEmpty),
        Err(_) => None,
    }
}

/// Where a directory lies: its open folder, its name there, and ours for it.
struct Place {
    folder: OwnedFd,
    name: PathBuf,
    own: PathBuf,
}

impl Place {
    /// `None`: its folder is gone, and it with it.
    fn of(path: &Path) -> Result<Option<Self>, Fate> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(None);
        };
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let folder = match openat(AT_FDCWD, folder, flags, Mode::empty()) {
            Ok(folder) => folder,
            Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(None),
            Err(errno) => return Err(denied(errno)),
        };
        let name = PathBuf::from(name);
        Ok(Some(Self {
            folder,
            own: own_name(&name),
            name,
        }))
    }

    fn hide(&self) -> Result<(), Errno> {
        without_replacing(self.folder.as_fd(), &self.name, &self.own)
    }

    /// It is under our name now.
    fn end(&self, judged: &Stamp) -> Result<(), Fate> {
        let hidden = stamp(self.folder.as_fd(), &self.own);
        // Its time of change is that of our renaming.
        let is_dead =
            |now: &Stamp| now.is_same(judged) && now.modified == judged.modified && now.is_folder;
        let fate = match hidden {
            Ok(now) if is_dead(&now) => match self.remove_hidden() {
                Ok(()) | Err(Errno::ENOENT) => return Ok(()),
                Err(Errno::ENOTEMPTY | Errno::EEXIST) => Fate::NotEmpty,
                Err(errno) => denied(errno),
            },
            Err(Errno::ENOENT) => return Ok(()),
            Ok(_) | Err(_) => Fate::Disturbed { back: true },
        };
        match self.bring_back() {
            Ok(()) => Err(fate),
            Err(_) => Err(Fate::Disturbed { back: false }),
        }
    }

    fn bring_back(&self) -> Result<(), Errno> {
        without_replacing(self.folder.as_fd(), &self.own, &self.name)
    }

    fn remove_hidden(&self) -> Result<(), Errno> {
        unlinkat(&self.folder, &self.own, UnlinkatFlags::RemoveDir)
    }
}

fn own_name(path: &Path) -> PathBuf {
    let mut own = OsString::from(path);
    own.push(OWN);
    own.into()
}

const fn denied(errno: Errno) -> Fate {
    Fate::Denied {
        errno: errno as i32,
    }
}

#[cfg(test)]
mod tests;
