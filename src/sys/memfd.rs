//! A file without a name: what is written to it waits for nobody.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};

/// An empty one (`memfd_create(2)`, Linux 3.17), close-on-exec.
pub fn create() -> io::Result<OwnedFd> {
    // SAFETY: the name is a valid C string.
    let fd: RawFd = unsafe { libc::memfd_create(c"lockkeeper".as_ptr(), libc::MFD_CLOEXEC) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so `fd` is open and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
