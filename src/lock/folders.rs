//! Where claims lie: beside a shared lock, and in this container's runtime folder.
//!
//! Invariant: a claims folder is shared by users who do not trust each other, so it is sticky like
//! /tmp, never followed through a symbolic link, and what lies in it is believed only as information.

use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, openat};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::{AccessFlags, faccessat, geteuid, mkdir};

/// Sticky and open to all, as containers with several users share it.
pub(super) const SHARED: Mode = Mode::from_bits_truncate(0o1777);
/// For one user.
const PRIVATE: Mode = Mode::S_IRWXU;

/// The folder with the claims of all who use the lock at `lock_path`: `<lock>.d` beside it, on the
/// same mount, so that every container that shares the lock sees them.
pub fn claims_folder(lock_path: &Path) -> PathBuf {
    let mut folder = lock_path.as_os_str().to_owned();
    folder.push(".d");
    PathBuf::from(folder)
}

/// The folder with the claims of this container's runs: the first of `runtime_candidates` that is
/// there, or can be made, and that we may write to. `None`: do without, and say so.
///
/// Two system calls where /run/lockkeeper exists. /dev/shm may be shared with other containers
/// (`--ipc=host`): compare [`super::record::Record::shares_pids_with`] before taking a claim found
/// there for a run of this container.
pub fn runtime_folder() -> Option<PathBuf> {
    runtime_candidates()
        .into_iter()
        .find(|(folder, mode)| is_usable(folder, *mode))
        .map(|(folder, _)| folder)
}

/// Where the claims of this container's runs may lie, in the order of preference: for those who
/// only read, as another user may have had to take a later one.
pub fn runtime_folders() -> Vec<PathBuf> {
    let candidates = runtime_candidates().into_iter();
    candidates.map(|(folder, _)| folder).collect()
}

fn runtime_candidates() -> Vec<(PathBuf, Mode)> {
    let user = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    // The basedir specification: a relative path is to be ignored.
    let user = user.filter(|folder| folder.is_absolute());
    let mut candidates = vec![(PathBuf::from("/run/lockkeeper"), SHARED)];
    candidates.extend(user.map(|folder| (folder.join("lockkeeper"), PRIVATE)));
    let shm = format!("/dev/shm/lockkeeper-{}", geteuid());
    candidates.push((PathBuf::from(shm), PRIVATE));
    candidates
}

fn is_usable(folder: &Path, mode: Mode) -> bool {
    let Ok(meta) = std::fs::symlink_metadata(folder) else {
        return open_folder(folder, mode).is_ok();
    };
    // Anybody may make a folder of our name in /dev/shm.
    let trusted = mode == SHARED || meta.uid() == geteuid().as_raw();
    let needed = AccessFlags::R_OK | AccessFlags::W_OK | AccessFlags::X_OK;
    meta.is_dir() && trusted && faccessat(AT_FDCWD, folder, needed, AtFlags::AT_EACCESS).is_ok()
}

/// Opens a claims folder, and makes it with `mode` where it is missing (its parent must exist).
pub(super) fn open_folder(folder: &Path, mode: Mode) -> Result<OwnedFd, Errno> {
    match open_existing(folder) {
        Err(Errno::ENOENT) => {}
        answer => return answer,
    }
    match mkdir(folder, mode) {
        Ok(()) => {
            let fd = open_existing(folder)?;
            // The umask cut it. A folder that others cannot write to costs them their claims only.
            let _ = fchmod(&fd, mode);
            Ok(fd)
        }
        Err(Errno::EEXIST) => open_existing(folder),
        Err(errno) => Err(errno),
    }
}

/// Opens a claims folder that exists; a symbolic link is `ENOTDIR`.
pub(super) fn open_existing(folder: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    // Not open(2): musl follows it by an fcntl(2) for kernels that did not know O_CLOEXEC.
    openat(AT_FDCWD, folder, flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::super::scratch::Scratch;
    use super::*;

    #[test]
    fn claims_lie_beside_the_lock_and_not_in_place_of_its_suffix() {
        let folder = claims_folder(Path::new("/a/session.lock"));
        assert_eq!(folder, Path::new("/a/session.lock.d"));
    }

    #[test]
    fn a_new_folder_is_sticky_and_open_to_all_users() {
        let dir = Scratch::new();
        let folder = dir.join("session.lock.d");
        open_folder(&folder, SHARED).unwrap();
        let mode = std::fs::metadata(&folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o1777);
        open_folder(&folder, SHARED).unwrap();
    }

    #[test]
    fn a_link_and_a_file_are_no_claims_folder() {
        let dir = Scratch::new();
        let target = dir.join("target");
        std::fs::create_dir(&target).unwrap();
        let link = dir.join("link");
        symlink(&target, &link).unwrap();
        assert_eq!(open_folder(&link, SHARED).unwrap_err(), Errno::ENOTDIR);
        assert!(!is_usable(&link, SHARED));
        let file = dir.join("file");
        std::fs::write(&file, "").unwrap();
        assert_eq!(open_folder(&file, SHARED).unwrap_err(), Errno::ENOTDIR);
        assert!(!is_usable(&file, SHARED));
    }

    #[test]
    fn a_missing_runtime_folder_is_made_and_a_missing_parent_is_passed_over() {
        let dir = Scratch::new();
        let folder = dir.join("lockkeeper");
        assert!(is_usable(&folder, PRIVATE));
        let mode = std::fs::metadata(&folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o700);
        assert!(is_usable(&folder, PRIVATE));
        assert!(!is_usable(&dir.join("no/lockkeeper"), PRIVATE));
    }

    #[test]
    fn the_machine_has_its_folder_first_and_the_users_own_last() {
        let folders = runtime_folders();
        assert_eq!(folders[0], Path::new("/run/lockkeeper"));
        let last = folders.last().unwrap().to_str().unwrap();
        assert!(last.starts_with("/dev/shm/lockkeeper-"), "{last}");
    }
}
