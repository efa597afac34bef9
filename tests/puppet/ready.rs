//! Being ready, and the forks that wait for it: one word of memory shared with whoever waits, as
//! descriptors may be gone by then. A process is ready when it first blocks or ends.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering::SeqCst};
use std::thread::sleep;
use std::time::Duration;

use crate::files::interrupted;

/// How long a leader waits for its daemon, and a parent for its child, before it goes on without.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) static READY: AtomicPtr<AtomicU32> = AtomicPtr::new(null_mut());

pub(crate) fn ready() {
    let word = READY.swap(null_mut(), SeqCst);
    if word.is_null() {
        return;
    }
    // SAFETY: made by `shared_word`, which never unmaps.
    announce(unsafe { &*word });
}

/// Returns when `word` was announced, without a look in between.
pub(crate) fn sleep_until(word: &AtomicU32) {
    while word.load(SeqCst) == 0 {
        let no_limit: *const libc::timespec = null();
        // SAFETY: the word lives through the call.
        unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAIT, 0, no_limit) };
    }
}

/// Lets all go on that wait for this word.
pub(crate) fn announce(word: &AtomicU32) {
    word.store(1, SeqCst);
    // SAFETY: the word lives through the call.
    unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAKE, c_int::MAX) };
}

pub(crate) fn end(status: c_int) -> ! {
    ready();
    // SAFETY: ends the process; nothing is buffered.
    unsafe { libc::_exit(status) }
}

pub(crate) fn shared_word() -> &'static AtomicU32 {
    let (access, kind) = (
        libc::PROT_READ | libc::PROT_WRITE,
        libc::MAP_SHARED | libc::MAP_ANONYMOUS,
    );
    // SAFETY: a fresh zeroed page that stays for the life of the process.
    unsafe {
        let at = libc::mmap(null_mut(), 4096, access, kind, -1, 0);
        assert!(at != libc::MAP_FAILED, "no memory for one page");
        &*at.cast()
    }
}

/// Returns when `word` was set, or its process `pid` (a child of ours) has ended without doing so.
pub(crate) fn await_ready(word: &AtomicU32, pid: c_int) {
    // A process killed before it was ready never says so: look for that from time to time.
    let slice = libc::timespec {
        tv_sec: 0,
        tv_nsec: 20_000_000,
    };
    let mut left = PATIENCE.as_millis() / 20;
    while word.load(SeqCst) == 0 && left > 0 && !has_ended(pid) {
        // SAFETY: the word and the time live through the call.
        unsafe { libc::syscall(libc::SYS_futex, word, libc::FUTEX_WAIT, 0, &raw const slice) };
        left -= 1;
    }
}

pub(crate) fn has_ended(pid: c_int) -> bool {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let how = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: all zeroes is a valid siginfo_t, and the kernel fills it or leaves it.
    unsafe {
        libc::waitid(libc::P_PID, pid.unsigned_abs(), info.as_mut_ptr(), how) == 0
            && info.assume_init().si_pid() == pid
    }
}

pub(crate) fn fork() -> c_int {
    loop {
        // SAFETY: the puppet has one thread when it forks.
        match unsafe { libc::fork() } {
            // Out of processes: somebody is about to end.
            -1 => sleep(Duration::from_millis(1)),
            pid => return pid,
        }
    }
}

pub(crate) fn daemon() {
    let word = shared_word();
    let middle = fork();
    if middle != 0 {
        // SAFETY: our own child, no status asked for.
        while unsafe { libc::waitpid(middle, null_mut(), 0) } < 0 && interrupted() {}
        await_ready(word, 0);
        end(0);
    }
    READY.store(std::ptr::from_ref(word).cast_mut(), SeqCst);
    // SAFETY: no memory involved.
    unsafe { libc::setsid() };
    if fork() != 0 {
        // SAFETY: not `end`: the daemon is not ready yet.
        unsafe { libc::_exit(0) };
    }
}
