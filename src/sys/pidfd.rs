//! `pidfd_open(2)` and `pidfd_send_signal(2)`: a signal that cannot reach a recycled number.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;

/// A handle on one process; it stays this process's when the number is used anew.
#[derive(Debug)]
pub struct PidFd(OwnedFd);

impl PidFd {
    /// Opens a handle on whatever `pid` means now (Linux 5.3).
    pub fn open(pid: i32) -> Result<Self, Errno> {
        // SAFETY: takes numbers only.
        let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })?;
        let fd = RawFd::try_from(fd).map_err(|_| Errno::EBADF)?;
        // SAFETY: the call succeeded, so `fd` is open and nobody else's.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Sends `signo`; `ESRCH`: the process has gone.
    pub fn send(&self, signo: i32) -> Result<(), Errno> {
        let info = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: a null siginfo asks for what kill(2) would send.
        let sent = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.0.as_raw_fd(),
                signo,
                info,
                0,
            )
        };
        Errno::result(sent).map(drop)
    }
}

/// Readable once the process has ended (`pidfd_open(2)`).
impl AsFd for PidFd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
