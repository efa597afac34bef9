//! The only clock.

use crate::core::time::Time;

/// Now, on `CLOCK_MONOTONIC`: it runs on while the process is stopped or its container is paused,
/// and stands still while the machine is suspended (`clock_gettime(2)`).
pub fn now() -> Time {
    let mut spec = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `spec` is valid for writing for the duration of the call.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut spec) };
    let secs = u64::try_from(spec.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(spec.tv_nsec).unwrap_or(0);
    Time(secs.saturating_mul(1_000_000_000).saturating_add(nanos))
}

/// Milliseconds since 1970, for people and for other machines; it jumps when somebody sets it, so
/// nothing is measured with it.
pub fn unix_ms() -> u64 {
    u64::try_from(unix_nanos() / 1_000_000).unwrap_or(0)
}

/// Nanoseconds since 1970, to compare with what others wrote by the same clock.
pub fn unix_nanos() -> i64 {
    let mut spec = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `spec` is valid for writing for the duration of the call.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut spec) };
    let nanos = spec.tv_sec.saturating_mul(1_000_000_000);
    nanos.saturating_add(spec.tv_nsec)
}
