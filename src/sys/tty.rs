//! Questions about terminals.

use std::fs::File;
use std::os::fd::BorrowedFd;

/// Whether `fd` is a terminal.
pub fn is_terminal(fd: BorrowedFd<'_>) -> bool {
    nix::unistd::isatty(fd).unwrap_or(false)
}

/// Whether this process has a controlling terminal: only then can /dev/tty be opened (tty(4)).
pub fn has_controlling_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}

/// Gives up our controlling terminal, so that a job's own session can have it. The kernel sends HUP
/// and CONT to the terminal's foreground group for it, which may be ours (`ioctl_tty(2)`).
pub fn give_up_terminal() -> bool {
    // SAFETY: takes numbers only.
    unsafe { libc::ioctl(0, libc::TIOCNOTTY) == 0 }
}
