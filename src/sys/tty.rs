//! Questions about terminals.

use std::fs::File;
use std::os::fd::BorrowedFd;

use super::process::own_pid;
use super::signals::take_pending;

/// Whether `fd` is a terminal.
pub fn is_terminal(fd: BorrowedFd<'_>) -> bool {
    nix::unistd::isatty(fd).unwrap_or(false)
}

/// Whether this process has a controlling terminal: only then can /dev/tty be opened (tty(4)).
pub fn has_controlling_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}

/// Gives up the terminal of standard input where our session has it and we lead that session, so
/// that a job's own session can take it; whether it was given up.
///
/// The kernel sends HUP and CONT to the terminal's foreground group for it (`ioctl_tty(2)`), which
/// is ours: they are taken back here, as they come before the call returns and ask for nothing.
pub fn give_up_terminal() -> bool {
    // SAFETY: both calls take numbers only.
    let given = unsafe { libc::getsid(0) == own_pid() && libc::ioctl(0, libc::TIOCNOTTY) == 0 };
    if given {
        take_pending(libc::SIGHUP);
        take_pending(libc::SIGCONT);
    }
    given
}
