//! Signals: names, masks, dispositions, waiting for one and dying of one.

use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::ptr::{null, null_mut};

use nix::sys::signal::Signal;

use crate::Done;
use crate::files::out;
use crate::ready::ready;

pub(crate) fn signal(name: &str) -> Result<c_int, String> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let known = format!("SIG{name}").parse::<Signal>();
    known
        .map(|signal| signal as c_int)
        .map_err(|_| format!("\"{name}\" is no signal"))
}

pub(crate) fn signals(names: &str) -> Result<Vec<c_int>, String> {
    names.split(',').map(signal).collect()
}

pub(crate) fn signal_set(signals: &[c_int]) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset makes the set whole.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for &signal in signals {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}

pub(crate) fn block(signals: &[c_int]) {
    let set = signal_set(signals);
    // SAFETY: the set lives through the call.
    unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, null_mut()) };
}

pub(crate) fn dispose(names: &str, handler: libc::sighandler_t) -> Done {
    for signal in signals(names)? {
        // SAFETY: no function of ours is installed, only SIG_IGN or SIG_DFL.
        unsafe { libc::signal(signal, handler) };
    }
    Ok(())
}

/// Blocks these signals and returns the first that comes, with its sender's pid.
pub(crate) fn await_signal(signals: &[c_int]) -> (c_int, c_int) {
    block(signals);
    ready();
    let set = signal_set(signals);
    loop {
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        // SAFETY: set and info live through the call; all zeroes is a valid siginfo_t.
        let (signal, info) = unsafe {
            (
                libc::sigwaitinfo(&raw const set, info.as_mut_ptr()),
                info.assume_init(),
            )
        };
        if signal > 0 {
            // SAFETY: of these signals, all that people send carry a pid.
            return (signal, unsafe { info.si_pid() });
        }
    }
}

pub(crate) fn report_signal() {
    let (signal, sender) = await_signal(&(1..65).collect::<Vec<_>>());
    let name = Signal::try_from(signal).map_or_else(|_| signal.to_string(), |it| it.to_string());
    out(&format!("{} {sender}", name.trim_start_matches("SIG")));
}

pub(crate) fn die(signal: c_int) -> Done {
    let none = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    let set = signal_set(&[signal]);
    // SAFETY: everything passed lives through its call.
    unsafe {
        libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
        // Of every signal, also of those that libc::signal refuses: handler, flags, restorer, mask.
        let default = [libc::SIG_DFL as u64, 0, 0, 0];
        let no_old: *mut [u64; 4] = null_mut();
        libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), no_old, 8);
        libc::sigprocmask(libc::SIG_UNBLOCK, &raw const set, null_mut());
        ready();
        libc::kill(libc::getpid(), signal);
    }
    Err(format!("signal {signal} does not end this process"))
}

pub(crate) fn hang() -> ! {
    ready();
    loop {
        // SAFETY: waits for a signal.
        unsafe { libc::pause() };
    }
}

pub(crate) fn disposition(signal: c_int) -> Option<libc::sighandler_t> {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: asks only; all zeroes is a valid struct sigaction. The libraries refuse their own two
    // signals.
    unsafe {
        (libc::sigaction(signal, null(), action.as_mut_ptr()) == 0)
            .then(|| action.assume_init().sa_sigaction)
    }
}

/// The signals that the calling thread blocks.
pub(crate) fn mask() -> Vec<c_int> {
    let mut mask = MaybeUninit::uninit();
    // SAFETY: asks for the mask alone.
    let mask = unsafe {
        libc::sigprocmask(libc::SIG_BLOCK, null(), mask.as_mut_ptr());
        mask.assume_init()
    };
    // SAFETY: the set is whole.
    (1..65)
        .filter(|&signal| unsafe { libc::sigismember(&raw const mask, signal) } == 1)
        .collect()
}
