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
