//! Questions about terminals.

use std::fs::File;
use std::mem::MaybeUninit;
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
/// and CONT to the terminal's foreground group for it, which may be ours (`ioctl_tty(2)`): as both
/// are blocked here, these two are taken back, and no other signal with them.
pub fn give_up_terminal() {
    // SAFETY: takes numbers only.
    if unsafe { libc::ioctl(0, libc::TIOCNOTTY) } != 0 {
        return;
    }
    let at_once = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let mut both = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: all zeros is the empty set; the set and the time are valid for the calls.
    unsafe {
        libc::sigaddset(both.as_mut_ptr(), libc::SIGHUP);
        libc::sigaddset(both.as_mut_ptr(), libc::SIGCONT);
        while libc::sigtimedwait(both.as_ptr(), std::ptr::null_mut(), &raw const at_once) > 0 {}
    }
}
