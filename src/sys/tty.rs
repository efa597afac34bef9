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
    let mut size = std::mem::MaybeUninit::<libc::winsize>::zeroed();
    // SAFETY: `size` is valid for writing (ioctl_tty(2)), and all zeros is a valid value of it.
    let size = unsafe {
        libc::ioctl(fd.as_raw_fd(), libc::TIOCGWINSZ, size.as_mut_ptr());
        size.assume_init()
    };
    match size.ws_col {
        0 => 80,
        columns => columns.into(),
    }
}

/// Whether we may write to the terminal `fd` as we like: our group is in its foreground, or it is not
/// the one that our session has, and nobody controls jobs there (tcgetpgrp(3)).
pub fn is_ours(fd: BorrowedFd<'_>) -> bool {
    nix::unistd::tcgetpgrp(fd).map_or(true, |group| group == nix::unistd::getpgrp())
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
