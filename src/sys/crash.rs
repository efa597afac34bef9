//! When the program itself panics or faults: an end in order, from a handler that calls nothing but
//! the kernel.
//!
//! All descriptors are closed first: those who watch our wires, the guards of an init and the monitor
//! of a guard, see their end and stop their runs by the ladder. A PID 1 without any such asks all
//! processes itself. What ends is reaped for as long as an orderly stop may take; then PID 1 kills the
//! rest, and the process exits 125. Without this, a PID 1 that faults takes the whole namespace down with
//! SIGKILL in the same instant, and a panic that aborts ends as 139, as the kernel ignores SIGABRT for
//! init.
//!
//! A panic in the log thread ends nothing, in a monitor neither: nobody waits for it without a limit, so it stands still
//! where it is, and the process goes on without notes.

use std::mem::MaybeUninit;
use std::panic::PanicHookInfo;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use std::time::Duration;

use super::process::{exit_now, kill, own_pid};
use super::{clock, signals};

/// Seconds that the runs have for their end; zero: not armed.
static WITHIN: AtomicU32 = AtomicU32::new(0);
/// What a PID 1 asks all processes by; zero: others do.
static ASK: AtomicI32 = AtomicI32::new(0);
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

/// Bytes of stack for the handler of a fault: more than any processor's registers take (`AT_MINSIGSTKSZ`,
/// getauxval(3)).
pub const SPARE: usize = 16 * 1024;

/// Does `work` with a stack in reserve, on which a fault is handled whose reason is that the other one is
/// full (sigaltstack(2)). It is the caller's own frame, behind which the full one begins; memory that nothing
/// is written to is none.
pub fn with_spare_stack(work: impl FnOnce()) {
    let mut spare = [MaybeUninit::<u8>::uninit(); SPARE];
    set_spare_stack(spare.as_mut_ptr().cast(), 0);
    work();
    set_spare_stack(std::ptr::null_mut(), libc::SS_DISABLE);
}

fn set_spare_stack(at: *mut libc::c_void, flags: libc::c_int) {
    let stack = libc::stack_t {
        ss_sp: at,
        ss_flags: flags,
        ss_size: SPARE,
    };
    // SAFETY: the memory is used by nothing else until the next call.
    unsafe { libc::sigaltstack(&raw const stack, std::ptr::null_mut()) };
}

/// Arms the handlers and the panic hook: from here on a crash ends in order, in `within`. `ask` is the
/// signal by which a PID 1 that is itself the monitor of its run asks all processes to go.
pub fn arm(within: Duration, ask: Option<i32>) {
    let seconds = u32::try_from(within.as_secs()).unwrap_or(u32::MAX);
    WITHIN.store(seconds.max(1), Ordering::Relaxed);
    ASK.store(ask.unwrap_or_default(), Ordering::Relaxed);
    let mask = signals::mask();
    for signo in FAULTS {
        // SAFETY: all zeros is a valid sigaction; the handler calls only the kernel and statics, and
        // runs on the spare stack where there is one.
        unsafe {
            let mut action: libc::sigaction = MaybeUninit::zeroed().assume_init();
            action.sa_sigaction = fault as *const () as libc::sighandler_t;
            action.sa_flags = libc::SA_ONSTACK;
            libc::sigaction(signo, &raw const action, std::ptr::null_mut());
        }
    }
    // Where the runtime has installed none, these were the first handlers.
    signals::set_mask(mask);
    std::panic::set_hook(Box::new(|info| {
        say(info, "ending in order");
        end_in_order();
    }));
}

/// Says where; a log thread stays here.
fn say(info: &PanicHookInfo<'_>, then: &str) {
    let is_log = super::thread::is_log();
    let then = if is_log {
        "going on without notes"
    } else {
        then
    };
    let (file, line) = info
        .location()
        .map_or(("?", 0), |place| (place.file(), place.line()));
    let text = format!("lockkeeper: internal error at {file}:{line}: {then}\n");
    write_stderr(text.as_bytes());
    if is_log {
        loop {
            // SAFETY: waits, and touches no memory.
            unsafe { libc::pause() };
        }
    }
}

/// For who has nothing to end in order, as somebody above it sees to that: a panic ends this process at
/// once, but for one in the log thread.
pub fn spare_log() {
    std::panic::set_hook(Box::new(|info| say(info, "ending")));
}

/// For a fork that has somebody above it to see to its crash.
pub fn disarm() {
    spare_log();
    if WITHIN.swap(0, Ordering::Relaxed) == 0 {
        return;
    }
    for signo in FAULTS {
        // SAFETY: the default runs no code of ours.
        unsafe { libc::signal(signo, libc::SIG_DFL) };
    }
}

extern "C" fn fault(_signo: libc::c_int) {
    write_stderr(b"lockkeeper: internal fault: ending in order\n");
    end_in_order();
}

/// If that waits for nobody: a pipe that has room has it for a short text (pipe(7)).
fn write_stderr(text: &[u8]) {
    let mut room = libc::pollfd {
        fd: 2,
        events: libc::POLLOUT,
        revents: 0,
    };
    // SAFETY: `room` is one valid pollfd, and `text` is valid for reading its length.
    unsafe {
        if libc::poll(&raw mut room, 1, 0) == 1 {
            libc::write(2, text.as_ptr().cast(), text.len());
        }
    }
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
    let ask = ASK.load(Ordering::Relaxed);
    if ask != 0 && own_pid() == 1 {
        let _ = kill(-1, ask);
        let _ = kill(-1, libc::SIGCONT);
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
