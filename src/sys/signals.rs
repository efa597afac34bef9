//! Signals: blocked before the runtime starts, read from a descriptor, given back to jobs as they were.
//!
//! All signals but the synchronous ones are blocked by the first instruction that we own, and stay
//! blocked in every thread: a PID 1 with default dispositions loses what is sent to it unblocked
//! (`pid_namespaces(7)`), and a handler can run between fork and exec, where its signal is lost. They
//! are read with signalfd(2). No disposition is changed, so a child keeps what we were started with;
//! the two exceptions, SIGPIPE (the Rust runtime ignores it) and SIGCHLD (ignored, children would
//! vanish unreaped), are put back in the child.

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;

#[cfg(any(target_arch = "mips", target_arch = "mips64", target_arch = "sparc64"))]
compile_error!("the signal numbers in core::run are those of all other architectures (signal(7))");

/// The kernel's own signal set: 64 signals, signal n is bit n-1 (`rt_sigprocmask(2)`). libc's sets
/// leave out the signals that it uses itself, which a job may still be sent.
type KernelSet = u64;

const fn bit(signo: i32) -> KernelSet {
    1 << (signo - 1)
}

/// Raised by the faulting instruction itself: blocking them would only hide the fault.
const SYNCHRONOUS: KernelSet = bit(libc::SIGSEGV)
    | bit(libc::SIGBUS)
    | bit(libc::SIGILL)
    | bit(libc::SIGFPE)
    | bit(libc::SIGABRT)
    | bit(libc::SIGTRAP)
    | bit(libc::SIGSYS);

/// The dispositions that matter: those that we change, and the stop signals that nohup(1) ignores.
const ASKED: [i32; 6] = [
    libc::SIGPIPE,
    libc::SIGCHLD,
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGTERM,
    libc::SIGQUIT,
];

static STARTED_MASK: AtomicU64 = AtomicU64::new(0);
static STARTED_IGNORED: AtomicU64 = AtomicU64::new(0);

/// Saves what we were started with, and blocks. It runs before the Rust runtime, where the program
/// (and no test that is linked with this library) asks for it: it may touch nothing but its own
/// statics and the kernel.
pub extern "C" fn first() {
    STARTED_MASK.store(set_mask(!SYNCHRONOUS), Ordering::Relaxed);
    let ignored = ASKED
        .iter()
        .filter(|signo| is_ignored(**signo))
        .fold(0, |set, s| set | bit(*s));
    STARTED_IGNORED.store(ignored, Ordering::Relaxed);
    set_disposition(libc::SIGCHLD, false);
}

/// The stop signals that we were started with ignored.
pub fn started_ignored() -> Vec<i32> {
    let set = STARTED_IGNORED.load(Ordering::Relaxed);
    ASKED
        .into_iter()
        .filter(|signo| set & bit(*signo) != 0)
        .collect()
}

/// Gives this process the mask and the dispositions that we were started with. For a child between
/// fork and exec: it calls nothing but the kernel, and what is pending strikes here.
pub(super) fn restore_started() {
    let ignored = STARTED_IGNORED.load(Ordering::Relaxed);
    set_disposition(libc::SIGPIPE, ignored & bit(libc::SIGPIPE) != 0);
    set_disposition(libc::SIGCHLD, ignored & bit(libc::SIGCHLD) != 0);
    set_mask(STARTED_MASK.load(Ordering::Relaxed));
}

fn set_mask(new: KernelSet) -> KernelSet {
    let mut old: KernelSet = 0;
    // SAFETY: both sets are valid for the eight bytes that the kernel is told of (rt_sigprocmask(2)).
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const new,
            &raw mut old,
            size_of::<KernelSet>(),
        );
    }
    old
}

fn is_ignored(signo: i32) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: `action` is valid for writing, and all zeros is a valid value of it where the call fails.
    unsafe {
        libc::sigaction(signo, std::ptr::null(), action.as_mut_ptr());
        action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}

fn set_disposition(signo: i32, ignore: bool) {
    let handler = if ignore { libc::SIG_IGN } else { libc::SIG_DFL };
    // SAFETY: neither disposition runs code of ours; signal(2) is async-signal-safe.
    unsafe { libc::signal(signo, handler) };
}

/// One signal, as signalfd(2) tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Its number.
    pub signo: i32,
    /// Whether the kernel sent it (a terminal did), and not a process (`si_code`, sigaction(2)).
    pub kernel: bool,
}

/// The descriptor from which blocked signals are read; each process reads its own, also where the
/// descriptor was inherited over a fork.
#[derive(Debug)]
pub struct Signals {
    fd: OwnedFd,
}

impl Signals {
    /// Opens it, non-blocking and close-on-exec; fails when descriptors or memory are short.
    pub fn open() -> io::Result<Self> {
        let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
        // SAFETY: a `sigset_t` is at least the kernel's eight bytes, starts with them on every
        // little-endian and 64-bit Linux libc, and is valid when all else is zero.
        let fd = unsafe {
            set.as_mut_ptr().cast::<KernelSet>().write(!SYNCHRONOUS);
            libc::signalfd(-1, set.as_ptr(), libc::SFD_NONBLOCK | libc::SFD_CLOEXEC)
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call succeeded, so `fd` is open and nobody else's.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { fd })
    }

    /// The next signal that is pending; `None`: none is.
    pub fn next(&self) -> io::Result<Option<Signal>> {
        let mut info = MaybeUninit::<libc::signalfd_siginfo>::zeroed();
        let size = size_of::<libc::signalfd_siginfo>();
        // SAFETY: `info` is valid for writing `size` bytes, and any bytes are a valid value of it.
        let (read, info) = unsafe {
            let read = libc::read(self.fd.as_raw_fd(), info.as_mut_ptr().cast(), size);
            (read, info.assume_init())
        };
        match (read, Errno::last()) {
            (-1, Errno::EAGAIN | Errno::EINTR) => Ok(None),
            (-1, errno) => Err(errno.into()),
            _ => Ok(Some(Signal {
                signo: i32::try_from(info.ssi_signo).unwrap_or(0),
                kernel: info.ssi_code > 0,
            })),
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
