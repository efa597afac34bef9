//! Signals: blocked before the runtime starts, read from a descriptor, given back to jobs as they were.
//!
//! All signals but the synchronous ones are blocked by the first instruction that we own, and stay
//! blocked in every thread: a PID 1 with default dispositions loses what is sent to it unblocked
//! (`pid_namespaces(7)`), and a handler can run between fork and exec, where its signal is lost. They
//! are read with signalfd(2). No disposition is changed, so a child keeps what we were started with;
//! the exceptions are put back in the child: SIGPIPE (the Rust runtime ignores it), SIGCHLD (ignored,
//! children would vanish unreaped) and the faults (`sys::crash` handles them).

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;

use super::kernel;
use super::process::own_pid;

#[cfg(any(target_arch = "mips", target_arch = "mips64", target_arch = "sparc64"))]
compile_error!("the signal numbers in core::run are those of all other architectures (signal(7))");

/// The kernel's own signal set: 64 signals, signal n is bit n-1 (`rt_sigprocmask(2)`). libc's sets
/// leave out the signals that it uses itself, which a job may still be sent.
pub(super) type KernelSet = u64;

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

/// What the runtime, this module and `sys::crash` change in this process: a child between fork and
/// exec gets these back.
const CHANGED: [i32; 7] = [
    libc::SIGPIPE,
    libc::SIGCHLD,
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGABRT,
];

/// The stop signals, which nohup(1) and a shell's background ignore.
const STOPS: [i32; 3] = [libc::SIGHUP, libc::SIGINT, libc::SIGTERM];

/// What a terminal sends to a process group (termios(3), `ioctl_tty(2)`), and the kernel to an orphaned one
/// that has stopped (setpgid(2)).
const OF_TERMINALS: [i32; 8] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGCONT,
    libc::SIGWINCH,
];

static STARTED_MASK: AtomicU64 = AtomicU64::new(0);
static STARTED_IGNORED: AtomicU64 = AtomicU64::new(0);

/// Saves what we were started with, and blocks. It runs before the Rust runtime, where the program
/// (and no test that is linked with this library) asks for it: it may touch nothing but its own
/// statics and the kernel.
pub extern "C" fn first() {
    STARTED_MASK.store(set_mask(!SYNCHRONOUS), Ordering::Relaxed);
    let ignored = CHANGED
        .iter()
        .chain(&STOPS)
        .filter(|signo| is_ignored(**signo))
        .fold(0, |set, s| set | bit(*s));
    STARTED_IGNORED.store(ignored, Ordering::Relaxed);
    set_disposition(libc::SIGCHLD, false);
}

/// The stop signals that we were started with ignored.
pub fn started_ignored() -> Vec<i32> {
    let set = STARTED_IGNORED.load(Ordering::Relaxed);
    STOPS
        .into_iter()
        .filter(|signo| set & bit(*signo) != 0)
        .collect()
}

/// Blocks even the signals of faults, which one process can send to another. For a child that shares
/// its parent's memory: no handler of ours may run in it.
pub(super) fn block_all() {
    kernel_mask(KernelSet::MAX);
}

/// Gives this process the mask and the dispositions that we were started with. For who is about to
/// become another program, also a child between fork and exec, in memory that it may share: it calls
/// the kernel alone, and what is pending strikes
/// here.
pub fn restore_started() {
    let ignored = STARTED_IGNORED.load(Ordering::Relaxed);
    for signo in CHANGED {
        let ignore = ignored & bit(signo) != 0;
        let action = KernelAction {
            handler: if ignore { libc::SIG_IGN } else { libc::SIG_DFL },
            rest: [0; 4],
        };
        let at = &raw const action as usize;
        // SAFETY: `action` is valid for reading what the kernel reads, and neither disposition runs
        // code of ours (rt_sigaction(2)).
        let _ = unsafe {
            let signo = usize::try_from(signo).unwrap_or_default();
            kernel::call(
                libc::SYS_rt_sigaction,
                [signo, at, 0, size_of::<KernelSet>(), 0],
            )
        };
    }
    kernel_mask(STARTED_MASK.load(Ordering::Relaxed));
}

fn kernel_mask(mask: KernelSet) {
    let (how, at) = (libc::SIG_SETMASK as usize, &raw const mask as usize);
    // SAFETY: the set is valid for reading the eight bytes that the kernel is told of.
    let _ = unsafe {
        kernel::call(
            libc::SYS_rt_sigprocmask,
            [how, at, 0, size_of::<KernelSet>(), 0],
        )
    };
}

/// The kernel's own `struct sigaction`: the handler, then flags, perhaps a restorer, and a mask, in an
/// order that differs between architectures and does not matter where all of them are zero.
#[repr(C)]
struct KernelAction {
    handler: usize,
    rest: [u64; 4],
}

/// The mask of the calling thread.
pub(super) fn mask() -> KernelSet {
    let mask = set_mask(KernelSet::MAX);
    set_mask(mask);
    mask
}

/// Lets signals strike this process as they strike others: for what is no init and no run.
pub fn let_through() {
    set_mask(STARTED_MASK.load(Ordering::Relaxed));
}

/// Keeps signals from striking again, as they were kept before `main`. To be called also at the beginning
/// of it: musl lets two through with the first handler that is installed, which is that of the Rust runtime
/// for stack overflows: 33 and 34 (`sigaction` in its source). The second is the first real-time signal of
/// every program that is built with another library.
pub fn hold_back() {
    set_mask(!SYNCHRONOUS);
}

/// Gives the calling thread a mask; says which it had.
pub(super) fn set_mask(new: KernelSet) -> KernelSet {
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

/// Stops this process, and comes back when it is continued. By SIGSTOP: to unblock TSTP for it would
/// let a second TSTP stop us on our way back.
///
/// The CONT that continued us is taken here, so nobody passes it on a second time.
pub fn stop_self() {
    // SAFETY: takes numbers only; raise would signal the thread, kill stops the process.
    unsafe { libc::kill(libc::getpid(), libc::SIGSTOP) };
    take_pending(libc::SIGCONT);
}

/// Has `signo` strike this process as if nobody had blocked it. Comes back only if it is one that does
/// not end a process.
pub fn die_by(signo: i32) {
    set_disposition(signo, false);
    set_mask(mask() & !bit(signo));
    // SAFETY: takes numbers only; it is delivered before the call returns (kill(2)).
    unsafe { libc::kill(libc::getpid(), signo) };
}

/// Whether `signo`, which is blocked, waits to be read.
pub fn is_pending(signo: i32) -> bool {
    let mut set: KernelSet = 0;
    // SAFETY: the set is valid for writing the eight bytes that the kernel is told of (rt_sigpending(2)).
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigpending,
            &raw mut set,
            size_of::<KernelSet>(),
        )
    };
    set & bit(signo) != 0
}

/// Takes `signo` away if it is pending; whether it was.
pub(super) fn take_pending(signo: i32) -> bool {
    let set = bit(signo);
    // Zero in either layout of a timespec: do not wait.
    let now = [0_i64; 2];
    // SAFETY: the set is valid for the eight bytes that the kernel is told of, and so is the time;
    // nothing is written (rt_sigtimedwait(2)).
    let taken = unsafe {
        libc::syscall(
            libc::SYS_rt_sigtimedwait,
            &raw const set,
            std::ptr::null_mut::<libc::siginfo_t>(),
            now.as_ptr(),
            size_of::<KernelSet>(),
        )
    };
    taken == i64::from(signo)
}

/// One signal, as signalfd(2) tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal {
    /// Its number.
    pub signo: i32,
    /// Whether a terminal sent it, and so to a whole process group: the kernel did, and not a process
    /// (`si_code`, sigaction(2)), and it is one that terminals send. An alarm(2) that was set before we
    /// became what we are, or a limit, strikes us alone.
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

    /// The next signal that is pending; `None`: none is. Not one that we have earned by a write of our
    /// own, which has failed then and told us so: SIGXFSZ and SIGPIPE are sent in the writer's own name.
    pub fn next(&self) -> io::Result<Option<Signal>> {
        loop {
            let Some(info) = self.read()? else {
                return Ok(None);
            };
            let signo = i32::try_from(info.ssi_signo).unwrap_or(0);
            if info.ssi_code != libc::SI_USER || i64::from(info.ssi_pid) != i64::from(own_pid()) {
                let kernel = info.ssi_code > 0 && OF_TERMINALS.contains(&signo);
                return Ok(Some(Signal { signo, kernel }));
            }
        }
    }

    fn read(&self) -> io::Result<Option<libc::signalfd_siginfo>> {
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
            _ => Ok(Some(info)),
        }
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
