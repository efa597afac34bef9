//! Renaming that replaces nothing.

use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::path::Path;

use nix::NixPath;
use nix::errno::Errno;

/// Renames `from` to `to`, both in `folder`, unless something lies there already (`EEXIST`):
/// `RENAME_NOREPLACE`, renameat2(2). A plain rename(2) would replace an empty folder.
///
/// # Errors
/// What renameat2(2) says; `EINVAL` where the file system does not know the flag, as NFS.
pub fn without_replacing(folder: BorrowedFd<'_>, from: &Path, to: &Path) -> Result<(), Errno> {
    let folder = folder.as_raw_fd();
    let answer = from.with_nix_path(|from| {
        to.with_nix_path(|to| {
            // SAFETY: both paths end in a NUL and `folder` is open, during the call. Not by the C
            // library: musl has no such function.
            unsafe {
                libc::syscall(
                    libc::SYS_renameat2,
                    folder,
                    from.as_ptr(),
                    folder,
                    to.as_ptr(),
                    libc::RENAME_NOREPLACE,
                )
            }
        })
    })??;
    Errno::result(answer).map(drop)
}
