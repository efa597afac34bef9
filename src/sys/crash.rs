//! When the program itself panics or faults: an end in order, from a handler that calls nothing but
//! the kernel.
//!
//! All descriptors are closed first: the guards see the end of their wires and stop their runs by
//! the ladder. What ends is reaped for as long as an orderly stop may take; then the rest is killed
//! and the process exits 125. Without this, a PID 1 that faults takes the whole namespace down with
//! SIGKILL in the same instant, and a panic that aborts ends as 139, as the kernel ignores SIGABRT for
//! init.
//!
//! A panic in any other thread than the first ends nothing: each of them does one thing that may take
//! for ever anyhow (the log thread in a write, a waiter for a latch), so it stands still where it is,
//! and the process goes on without it. Two threads that ended the process, one by the order of its
//! loop and one in here, would take each other's children and descriptors.

use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use super::clock;
use super::process::{exit_now, kill, own_pid};

/// Seconds that the runs have for their end; zero: not armed.
static WITHIN: AtomicU32 = AtomicU32::new(0);
static CRASHED: AtomicBool = AtomicBool::new(false);

/// Descriptors above this are not expected where they have to be closed one by one.
const MANY: libc::c_int = 4096;

/// The signals of a fault in our own code.
const FAULTS: [libc::c_int; 5] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGABRT,
];

/// Arms the handlers and the panic hook: from here on a crash ends in order, in `within` seconds.
pub fn arm(within: u32) {
    WITHIN.store(within.max(1), Ordering::Relaxed);
    for signo in FAULTS {
        // SAFETY: all zeros is a valid sigaction; the handler calls only the kernel and statics, and
        // runs on the alternate stack that the runtime made for stack overflows, where there is one.
        unsafe {
            let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
            action.sa_sigaction = fault as *const () as libc::sighandler_t;
            action.sa_flags = libc::SA_ONSTACK;
            libc::sigaction(signo, &raw const action, std::ptr::null_mut());
        }
    }
    std::panic::set_hook(Box::new(|info| {
        let place = info
            .location()
            .map_or(("?", 0), |place| (place.file(), place.line()));
        let first = is_first_thread();
        let then = if first {
            "ending in order"
        } else {
            "going on without this thread"
        };
        let (file, line) = place;
        let text = format!("lockkeeper: internal error at {file}:{line}: {then}\n");
        write_stderr(text.as_bytes());
        if first {
            end_in_order();
        }
        loop {
            std::thread::park();
        }
    }));
}

/// The first thread's number is the process's (gettid(2)).
fn is_first_thread() -> bool {
    // SAFETY: takes nothing.
    unsafe { libc::gettid() == libc::getpid() }
}

extern "C" fn fault(_signo: libc::c_int) {
    write_stderr(b"lockkeeper: internal fault: ending in order\n");
    end_in_order();
}

fn write_stderr(text: &[u8]) {
    // SAFETY: `text` is valid for reading its length.
    unsafe { libc::write(2, text.as_ptr().cast(), text.len()) };
}

/// Never comes back. A second crash on the way ends at once.
fn end_in_order() -> ! {
    if CRASHED.swap(true, Ordering::Relaxed) {
        exit_now(crate::exit::FAILED);
    }
    // SAFETY: no value that owns a descriptor is used from here on.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
    if closed != 0 {
        // Linux before 5.9, or forbidden.
        for fd in 3..MANY {
            // SAFETY: as above.
            unsafe { libc::close(fd) };
        }
    }
    let mut children: libc::sigset_t = zeroed_set();
    // SAFETY: the set is valid for writing and then for reading.
    unsafe { libc::sigaddset(&raw mut children, libc::SIGCHLD) };
    let within = Duration::from_secs(WITHIN.load(Ordering::Relaxed).into());
    let until = clock::now() + within;
    while clock::now() < until {
        if !reap_all() {
            exit_now(crate::exit::FAILED);
        }
        let quarter = libc::timespec {
            tv_sec: 0,
            tv_nsec: 250_000_000,
        };
        // SAFETY: the set and the time are valid for reading; SIGCHLD is blocked in every thread.
        unsafe {
            libc::sigtimedwait(
                &raw const children,
                std::ptr::null_mut(),
                &raw const quarter,
            )
        };
    }
    if own_pid() == 1 {
        let _ = kill(-1, libc::SIGKILL);
    }
    exit_now(crate::exit::FAILED)
}

fn zeroed_set() -> libc::sigset_t {
    // SAFETY: all zeros is the empty set.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

/// Whether a child is left.
fn reap_all() -> bool {
    loop {
        // SAFETY: a null status is not written.
        match unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } {
            0 => return true,
            -1 => return false,
            _ => {}
        }
    }
}
