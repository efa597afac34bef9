//! What a path is, which version of which file, and which mount it lies on, without asking a file
//! server.

use std::fs::{OpenOptions, read_to_string};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use nix::NixPath;
use nix::errno::Errno;

/// The id of the mount that `path` lies on, as `/proc/self/mountinfo` numbers it; a symbolic link at
/// its end is followed only if `follow` says so. `None`: neither the kernel nor /proc tells. No file
/// server is asked.
///
/// # Errors
/// What statx(2) says.
pub fn mount_id(path: &Path, follow: bool) -> Result<Option<u64>, Errno> {
    // The kernel does not tell before 5.8 (`STATX_MNT_ID`, statx(2)); QEMU 7.2 says that it does, and leaves
    // a zero.
    let told = id(path, follow, libc::STATX_MNT_ID)?.filter(|id| *id != 0);
    Ok(told.or_else(|| mount_id_by_proc(path, follow)))
}

/// The same by `mnt_id` of an open descriptor (`proc_pid_fdinfo(5)`).
fn mount_id_by_proc(path: &Path, follow: bool) -> Option<u64> {
    let nofollow = if follow { 0 } else { libc::O_NOFOLLOW };
    let flags = libc::O_PATH | libc::O_CLOEXEC | nofollow;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .ok()?;
    let text = read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd())).ok()?;
    let id = text.lines().find_map(|line| line.strip_prefix("mnt_id:"))?;
    id.trim().parse().ok()
}

/// The same as [`super::statmount`] numbers it: no other mount of this boot ever has the same. `None`:
/// the kernel does not tell, as before 6.8 (`STATX_MNT_ID_UNIQUE`).
///
/// # Errors
/// What statx(2) says.
pub fn unique_mount_id(path: &Path, follow: bool) -> Result<Option<u64>, Errno> {
    id(path, follow, libc::STATX_MNT_ID_UNIQUE)
}

fn id(path: &Path, follow: bool, which: u32) -> Result<Option<u64>, Errno> {
    let nofollow = if follow { 0 } else { libc::AT_SYMLINK_NOFOLLOW };
    let stat = statx(path, nofollow, which)?;
    Ok((stat.stx_mask & which != 0).then_some(stat.stx_mnt_id))
}

/// Device and inode of what `path` names, links followed: two that are equal are one file.
///
/// # Errors
/// What statx(2) says.
pub fn identity(path: &Path) -> Result<(u64, u64), Errno> {
    let stat = statx(path, 0, libc::STATX_INO)?;
    let device = (u64::from(stat.stx_dev_major) << 32) | u64::from(stat.stx_dev_minor);
    Ok((device, stat.stx_ino))
}

fn statx(path: &Path, flags: i32, mask: u32) -> Result<libc::statx, Errno> {
    let flags = libc::AT_STATX_DONT_SYNC | flags;
    let mut stat = MaybeUninit::<libc::statx>::zeroed();
    let answer = path.with_nix_path(|path| {
        // SAFETY: `path` ends in a NUL and `stat` is valid for writing, both during the call.
        unsafe {
            libc::statx(
                libc::AT_FDCWD,
                path.as_ptr(),
                flags,
                mask,
                stat.as_mut_ptr(),
            )
        }
    })?;
    Errno::result(answer)?;
    // SAFETY: it was all zero, which is valid for a struct of integers, and the kernel filled it.
    Ok(unsafe { stat.assume_init() })
}

/// What the kernel says of a file or folder without opening it; two that are equal in all are one
/// and the same, and nothing has happened to it in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Device (major, minor) and inode.
    pub place: (u32, u32, u64),
    /// When it was made; 0 where the file system does not say, as on NFS. Only good for comparing:
    /// an inode's number is given away again.
    pub born: i64,
    /// When its content was last changed, or the time that somebody has set (utimensat(2)).
    pub modified: i64,
    /// When anything of it was last changed; nobody can set it.
    pub changed: i64,
    /// Whether it is a folder.
    pub is_folder: bool,
}

impl Stamp {
    /// Whether both are of the same file or folder, whatever has happened to it in between.
    pub fn is_same(&self, other: &Self) -> bool {
        (self.place, self.born) == (other.place, other.born)
    }
}

/// The stamp of `path`, from the folder `at` on; a symbolic link at its end is not followed. Times are
/// nanoseconds since 1970, of the wall clock of whoever has set them.
///
/// # Errors
/// What statx(2) says.
pub fn stamp(at: BorrowedFd<'_>, path: &Path) -> Result<Stamp, Errno> {
    let mask = libc::STATX_TYPE | libc::STATX_INO | libc::STATX_MTIME | libc::STATX_CTIME;
    let mut stat = MaybeUninit::<libc::statx>::zeroed();
    let answer = path.with_nix_path(|path| {
        // SAFETY: `path` ends in a NUL, `at` is open and `stat` valid for writing, during the call.
        unsafe {
            libc::statx(
                at.as_raw_fd(),
                path.as_ptr(),
                libc::AT_SYMLINK_NOFOLLOW,
                mask | libc::STATX_BTIME,
                stat.as_mut_ptr(),
            )
        }
    })?;
    Errno::result(answer)?;
    // SAFETY: it was all zero, which is valid for a struct of integers, and the kernel filled it.
    let stat = unsafe { stat.assume_init() };
    let nanos = |time: libc::statx_timestamp| {
        let nanos = time.tv_sec.saturating_mul(1_000_000_000);
        nanos.saturating_add(i64::from(time.tv_nsec))
    };
    let has_born = stat.stx_mask & libc::STATX_BTIME != 0;
    Ok(Stamp {
        place: (stat.stx_dev_major, stat.stx_dev_minor, stat.stx_ino),
        born: if has_born { nanos(stat.stx_btime) } else { 0 },
        modified: nanos(stat.stx_mtime),
        changed: nanos(stat.stx_ctime),
        is_folder: libc::mode_t::from(stat.stx_mode) & libc::S_IFMT == libc::S_IFDIR,
    })
}

#[cfg(test)]
mod tests {
    use nix::fcntl::AT_FDCWD;

    use super::*;

    #[test]
    fn a_stamp_tells_folders_from_the_rest_and_one_from_another() {
        let of = |path: &str| stamp(AT_FDCWD, Path::new(path));
        let (root, proc) = (of("/").unwrap(), of("/proc").unwrap());
        assert!(root.is_folder && !root.is_same(&proc));
        // A link to a folder is none.
        assert!(!of("/proc/self").unwrap().is_folder);
        assert_eq!(of("/no/such"), Err(Errno::ENOENT));
    }

    #[test]
    fn proc_says_the_same_mount_of_a_path_as_the_kernel_does() {
        for path in ["/", "/proc", "/proc/self", "/no/such"] {
            for follow in [true, false] {
                let path = Path::new(path);
                let kernels = id(path, follow, libc::STATX_MNT_ID).ok().flatten();
                assert_eq!(mount_id_by_proc(path, follow), kernels, "{path:?}");
            }
        }
    }

    #[test]
    fn proc_is_another_mount_than_the_root_and_a_missing_path_is_an_error() {
        let root = mount_id(Path::new("/"), true).unwrap();
        let proc = mount_id(Path::new("/proc"), true).unwrap();
        assert!(root.is_some());
        assert_ne!(root, proc);
        assert_eq!(mount_id(Path::new("/no/such"), true), Err(Errno::ENOENT));
    }
}
