//! The end: nobody of the container outlives init.
//!
//! Runs are over by now; what is left is what somebody else started (`exec` in the container) or
//! what an unattributed orphan became. It is asked, has a second, and is killed. As PID 1 the kernel
//! would kill it without asking as soon as we are gone (`pid_namespaces(7)`).

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

/// Asks, waits, kills, waits; comes back as soon as no child is left.
pub fn say(signals: &Signals) {
    if !reap() {
        return;
    }
    let pid1 = process::own_pid() == 1;
    if pid1 {
        let _ = process::kill(-1, libc::SIGTERM);
        let _ = process::kill(-1, libc::SIGCONT);
    } else {
        tree::Asked::default().ask_descendants();
    }
    if gone_by(clock::now() + GRACE, signals, || {}) {
        return;
    }
    let kill = || {
        if pid1 {
            tree::kill_namespace();
        } else {
            tree::kill_children();
        }
    };
    kill();
    gone_by(clock::now() + LAST, signals, kill);
}

/// Waits until no child is left, and does `again` whenever one has gone; false: `until` has come.
fn gone_by(until: Time, signals: &Signals, again: impl Fn()) -> bool {
    while clock::now() < until {
        let [signal] = poll::wait([Some(signals.as_fd())], Some(until));
        while let Ok(Some(_)) = signals.next() {}
        if signal && !reap() {
            return true;
        }
        again();
    }
    false
}

/// Reaps all that have ended; whether any child is left.
fn reap() -> bool {
    loop {
        match wait::reap() {
            Reaped::Child(..) => {}
            Reaped::NoneYet => return true,
            Reaped::NoChild => return false,
        }
    }
}
