//! Waiting on a condition, never on time. The limit is generous: it ends a hung test, it does not
//! judge how fast something was.

use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long anything may take before a test calls it hung.
const LIMIT: Duration = Duration::from_secs(30);

/// Waits until `condition` holds. Panics with `what` after 30 s.
#[track_caller]
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    until_some(what, || condition().then_some(()));
}

/// Waits until `look` finds something, and returns it. Panics with `what` after 30 s.
#[track_caller]
pub(crate) fn until_some<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    let mut pause = Duration::from_micros(200);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < LIMIT, "waited {LIMIT:?} in vain: {what}");
        sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}
