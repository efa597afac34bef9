//! Where a process may be killed while it takes, changes or gives back a directory lock: a point
//! before each call that changes something.
//!
//! In the program it is nothing. In the tests `LOCKKEEPER_TEST_KILL_AT=N` has the process kill
//! itself at the N-th point that it passes, counted from 0.

#[cfg(not(test))]
pub(super) const fn point() {}

#[cfg(test)]
pub(super) fn point() {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    static PASSED: AtomicU32 = AtomicU32::new(0);
    static KILL_AT: OnceLock<Option<u32>> = OnceLock::new();
    let number = PASSED.fetch_add(1, Relaxed);
    let kill_at = KILL_AT.get_or_init(|| {
        let text = std::env::var("LOCKKEEPER_TEST_KILL_AT").ok()?;
        text.parse().ok()
    });
    if *kill_at == Some(number) {
        let own = i32::try_from(std::process::id()).unwrap();
        crate::sys::process::kill(own, libc::SIGKILL).unwrap();
    }
}
