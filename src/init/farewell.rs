//! The end: nobody of the container outlives init.
//!
//! Runs are over by now; what is left is what somebody else started (`exec` in the container) or
//! what an unattributed orphan became. It is asked, has a second, and is killed. As PID 1 the kernel
//! would kill it without asking as soon as we are gone (`pid_namespaces(7)`).
//!
//! Where we are not PID 1, a guard that has outlived the time for the stop is left to itself: it
//! sees our end and goes on with its ladder. Killed, it and its monitor would free the lock before
//! the last process of the run is gone.

use std::os::fd::AsFd;
use std::time::Duration;

use crate::core::time::Time;
use crate::sys::signals::Signals;
use crate::sys::wait::{self, Reaped};
use crate::sys::{clock, poll, process, tree};

/// What is left has this long after its TERM.
const GRACE: Duration = Duration::from_secs(1);
/// What KILL has not ended by then is in the kernel's hands; as PID 1 it ends with us.
const LAST: Duration = Duration::from_secs(2);

/// Asks, waits, kills, waits; comes back as soon as no child but `guards` is left.
pub fn say(signals: &Signals, guards: &[i32]) {
    if !others_are_left(guards) {
        return;
    }
    let pid1 = process::own_pid() == 1;
    if pid1 {
        let _ = process::kill(-1, libc::SIGTERM);
        let _ = process::kill(-1, libc::SIGCONT);
    } else {
        let _ = tree::Asked::sparing(guards).ask_descendants();
    }
    let guards = if pid1 { &[] } else { guards };
    if gone_by(clock::now() + GRACE, signals, guards, || {}) {
        return;
    }
    let kill = || {
        if pid1 {
            tree::kill_namespace();
        } else {
            tree::kill_children_but(guards);
        }
    };
    kill();
    gone_by(clock::now() + LAST, signals, guards, kill);
}

/// Waits until no child but `guards` is left, and does `again` whenever one has gone; false: `until`
/// has come.
fn gone_by(until: Time, signals: &Signals, guards: &[i32], again: impl Fn()) -> bool {
    while clock::now() < until {
        let [signal] = poll::wait([Some(signals.as_fd())], Some(until));
        while let Ok(Some(_)) = signals.next() {}
        if signal && !others_are_left(guards) {
            return true;
        }
        again();
    }
    false
}

/// Reaps all that have ended; whether a child is left that is none of `guards`.
fn others_are_left(guards: &[i32]) -> bool {
    loop {
        match wait::reap() {
            Reaped::Child(..) => {}
            Reaped::NoneYet => break,
            Reaped::NoChild => return false,
        }
    }
    guards.is_empty() || tree::children().iter().any(|child| !guards.contains(child))
}
