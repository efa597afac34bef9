//! What a program is started with beside its arguments: mask, dispositions, descriptors, session.

use std::os::fd::RawFd;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use super::child::{self, Tied};

/// Real-time signals are among these numbers, so they are no `Signal`s.
#[derive(Clone, Debug, Default)]
pub(crate) struct Inherited {
    /// Blocked; all others are not.
    pub(crate) blocked: Vec<i32>,
    /// Ignored; all others have their default.
    pub(crate) ignored: Vec<i32>,
    /// Open, each on the null device.
    pub(crate) open: Vec<RawFd>,
}

impl Inherited {
    /// Starts `command` with this, in a session of its own and so without a terminal, whatever the
    /// tests are run from.
    #[track_caller]
    pub(crate) fn start(&self, command: &mut Command) -> Tied {
        child::spawn(self.give(command))
    }

    /// Prepares `command`, which no `start` or `output` may tie again.
    pub(crate) fn give<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        let Self {
            blocked,
            ignored,
            open,
        } = self.clone();
        #[expect(
            unsafe_code,
            reason = "the child itself changes what it has, and nix knows no real-time signals"
        )]
        // SAFETY: between fork and exec; nothing is allocated, and every pointer lives through its
        // call.
        unsafe {
            child::tie(command).pre_exec(move || {
                libc::setsid();
                (1..65).for_each(|signo| dispose(signo, libc::SIG_DFL));
                for signo in &ignored {
                    dispose(*signo, libc::SIG_IGN);
                }
                // What the tests' own caller has left open is nobody's here.
                let on_exec = libc::CLOSE_RANGE_CLOEXEC;
                libc::syscall(libc::SYS_close_range, 3, libc::c_int::MAX, on_exec);
                for &fd in &open {
                    let null = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR | libc::O_CLOEXEC);
                    libc::dup2(null, fd);
                }
                let mut mask = std::mem::zeroed();
                libc::sigemptyset(&raw mut mask);
                for &signo in &blocked {
                    libc::sigaddset(&raw mut mask, signo);
                }
                libc::sigprocmask(libc::SIG_SETMASK, &raw const mask, std::ptr::null_mut());
                Ok(())
            })
        }
    }
}

/// Also of the two signals that the libraries keep to themselves, which musl's `posix_spawn` leaves
/// ignored: a test runner built with it hands that on.
fn dispose(signo: i32, handler: libc::sighandler_t) {
    // The kernel's own structure: handler, flags, restorer, mask.
    let action = [handler as u64, 0, 0, 0];
    let no_old: *mut [u64; 4] = std::ptr::null_mut();
    #[expect(unsafe_code, reason = "the libraries refuse some numbers")]
    // SAFETY: the action lives through the call and installs no function (rt_sigaction(2)).
    unsafe {
        libc::syscall(libc::SYS_rt_sigaction, signo, action.as_ptr(), no_old, 8);
    }
}

/// Sends any signal, real-time ones too, to a process by number; false: it is gone.
pub(crate) fn send(pid: i32, signo: i32) -> bool {
    #[expect(unsafe_code, reason = "nix knows no real-time signals")]
    // SAFETY: takes numbers only.
    unsafe {
        libc::kill(pid, signo) == 0
    }
}
