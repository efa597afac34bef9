//! Questions about terminals.

use std::fs::File;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use super::proc;
use super::process::own_pid;
use super::signals::take_pending;

/// Whether `fd` is a terminal.
pub fn is_terminal(fd: BorrowedFd<'_>) -> bool {
    nix::unistd::isatty(fd).unwrap_or(false)
}

/// How wide the terminal `fd` is, in columns; 80 where it does not know.
pub fn columns(fd: BorrowedFd<'_>) -> usize {
    size(fd).map_or(80, |(columns, _)| columns)
}

/// Whether we may write to the terminal `fd` as we like: our group is in its foreground, or it is not
/// the one that our session has, and nobody controls jobs there (tcgetpgrp(3)).
pub fn is_ours(fd: BorrowedFd<'_>) -> bool {
    nix::unistd::tcgetpgrp(fd).map_or(true, |group| group == nix::unistd::getpgrp())
}

/// How many columns and lines the terminal `fd` has; `None`: it is none, or does not say.
pub fn size(fd: BorrowedFd<'_>) -> Option<(usize, usize)> {
    let mut size = libc::winsize {
        ws_row: 0,
        ws_col: 0,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: `size` is valid for writing for the duration of the call (`ioctl_tty(2)`).
    let told = unsafe { libc::ioctl(fd.as_raw_fd(), libc::TIOCGWINSZ, &raw mut size) };
    let told = told == 0 && size.ws_col > 0 && size.ws_row > 0;
    told.then(|| (size.ws_col.into(), size.ws_row.into()))
}

/// Whether this process has a controlling terminal: only then can /dev/tty be opened (tty(4)).
pub fn has_controlling_terminal() -> bool {
    File::open("/dev/tty").is_ok()
}

/// Whether a shell of our session could continue us if we stopped. A process group without one is
/// *orphaned*, and the kernel does not let a terminal stop it (setpgid(2), POSIX 3.264); a SIGSTOP
/// would stop it for ever. What is not known counts as no.
pub fn has_shell_above() -> bool {
    // SAFETY: these three cannot fail for the caller itself.
    let (session, group, mut above) =
        unsafe { (libc::getsid(0), libc::getpgrp(), libc::getppid()) };
    while above > 0 {
        // SAFETY: take numbers only, and give -1 for one that has gone.
        let (its_session, its_group) = unsafe { (libc::getsid(above), libc::getpgid(above)) };
        if its_session != session {
            return false;
        }
        if its_group != group {
            return true;
        }
        above = proc::stat(above).map_or(0, |stat| stat.parent);
    }
    false
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
