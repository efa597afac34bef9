//! Whether the file system of a folder excludes anybody at all, shown by experiment.
//!
//! A file of our own is opened twice, so that the lock of real users is never touched. It shows what
//! one kernel does for two open file descriptions; what a second machine sees, it cannot show. For
//! `lockkeeper check`, not for each run.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use super::fault::{Quoted, Why};

/// How many names are tried, where earlier probes that were killed left theirs.
const NAMES: u32 = 16;

/// What the experiment showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Exclusion {
    /// The second open was refused the lock.
    Excludes,
    /// Both opens got the lock: a lock here is worth nothing.
    ExcludesNobody,
}

/// The experiment could not be made. Displayed, it is one sentence for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeError {
    /// The folder.
    pub folder: PathBuf,
    /// What failed.
    pub doing: &'static str,
    /// Why.
    pub errno: Errno,
}

impl Error for ProbeError {}

impl fmt::Display for ProbeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot try out a lock in {}: {} failed: {}; make the folder writable to know whether \
             locks there exclude anybody",
            Quoted(&self.folder),
            self.doing,
            Why(self.errno)
        )
    }
}

/// Locks a scratch file in `folder` through two open file descriptions, and removes it.
///
/// # Errors
/// The file cannot be made (a read-only folder, no room), opened twice or locked at all.
pub fn probe_exclusion(folder: &Path) -> Result<Exclusion, ProbeError> {
    let wrong = |doing, errno| ProbeError {
        folder: folder.to_owned(),
        doing,
        errno,
    };
    let (path, first) = create(folder).map_err(|errno| wrong("creating a file", errno))?;
    let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let second = open(&path, flags, Mode::empty());
    let _ = std::fs::remove_file(&path);
    let second = second.map_err(|errno| wrong("opening it a second time", errno))?;
    let (first, second) = (File::from(first), File::from(second));
    try_lock(&first).map_err(|errno| wrong("locking it", errno))?;
    match try_lock(&second) {
        Ok(()) => Ok(Exclusion::ExcludesNobody),
        Err(Errno::EWOULDBLOCK) => Ok(Exclusion::Excludes),
        Err(errno) => Err(wrong("locking it a second time", errno)),
    }
}

fn create(folder: &Path) -> Result<(PathBuf, OwnedFd), Errno> {
    let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_CLOEXEC;
    let mode = Mode::S_IRUSR | Mode::S_IWUSR;
    for number in 0..NAMES {
        let name = format!(".lockkeeper-probe-{}-{number}", std::process::id());
        let path = folder.join(name);
        match open(&path, flags, mode) {
            Ok(fd) => return Ok((path, fd)),
            Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
    Err(Errno::EEXIST)
}

fn try_lock(file: &File) -> Result<(), Errno> {
    let errno = |error: io::Error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
    fs2::FileExt::try_lock_exclusive(file).map_err(errno)
}

#[cfg(test)]
mod tests {
    use super::super::scratch::Scratch;
    use super::*;

    #[test]
    fn a_local_folder_excludes_and_keeps_no_trace_of_the_probe() {
        let dir = Scratch::new();
        assert_eq!(probe_exclusion(&dir), Ok(Exclusion::Excludes));
        assert_eq!(std::fs::read_dir(&*dir).unwrap().count(), 0);
    }

    #[test]
    fn what_a_killed_probe_left_stops_no_later_one() {
        let dir = Scratch::new();
        let left = dir.join(format!(".lockkeeper-probe-{}-0", std::process::id()));
        std::fs::write(&left, "").unwrap();
        assert_eq!(probe_exclusion(&dir), Ok(Exclusion::Excludes));
        assert!(left.exists());
    }

    #[test]
    fn a_missing_folder_is_said() {
        let dir = Scratch::new();
        let error = probe_exclusion(&dir.join("none")).unwrap_err();
        assert_eq!(error.errno, Errno::ENOENT);
        assert!(error.to_string().contains("creating a file failed"));
    }
}
