//! Which mount a path lies on.

use std::mem::MaybeUninit;
use std::path::Path;

use nix::NixPath;
use nix::errno::Errno;

/// The id of the mount that `path` lies on, as `/proc/self/mountinfo` numbers it; a symbolic link at
/// its end is followed only if `follow` says so. `None`: the kernel does not tell, as before 5.8
/// (`STATX_MNT_ID`, statx(2)). No file server is asked.
///
/// # Errors
/// What statx(2) says.
pub fn mount_id(path: &Path, follow: bool) -> Result<Option<u64>, Errno> {
    id(path, follow, libc::STATX_MNT_ID)
}

/// The same as [`super::statmount`] numbers it: no other mount of this boot ever has the same. `None`:
/// the kernel does not tell, as before 6.8 (`STATX_MNT_ID_UNIQUE`).
///
/// # Errors
/// What statx(2) says.
pub fn unique_mount_id(path: &Path, follow: bool) -> Result<Option<u64>, Errno> {
    id(path, follow, libc::STATX_MNT_ID_UNIQUE)
}

fn id(path: &Path, follow: bool, which: libc::c_uint) -> Result<Option<u64>, Errno> {
    let nofollow = if follow { 0 } else { libc::AT_SYMLINK_NOFOLLOW };
    let flags = libc::AT_STATX_DONT_SYNC | nofollow;
    let mut stat = MaybeUninit::<libc::statx>::zeroed();
    let answer = path.with_nix_path(|path| {
        // SAFETY: `path` ends in a NUL and `stat` is valid for writing, both during the call.
        unsafe {
            libc::statx(
                libc::AT_FDCWD,
                path.as_ptr(),
                flags,
                which,
                stat.as_mut_ptr(),
            )
        }
    })?;
    Errno::result(answer)?;
    // SAFETY: it was all zero, which is valid for a struct of integers, and the kernel filled it.
    let stat = unsafe { stat.assume_init() };
    Ok((stat.stx_mask & which != 0).then_some(stat.stx_mnt_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_is_another_mount_than_the_root_and_a_missing_path_is_an_error() {
        let root = mount_id(Path::new("/"), true).unwrap();
        let proc = mount_id(Path::new("/proc"), true).unwrap();
        assert!(root.is_some());
        assert_ne!(root, proc);
        assert_eq!(mount_id(Path::new("/no/such"), true), Err(Errno::ENOENT));
    }
}
