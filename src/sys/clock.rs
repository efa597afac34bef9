//! The only clock.

use std::time::Duration;

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

/// How long the kernel has been up, suspended or not, as this time namespace has it
/// (`CLOCK_BOOTTIME`): what a process's start in /proc counts from (`proc_pid_stat(5)`, field 22).
pub fn since_boot() -> Duration {
    let mut spec = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `spec` is valid for writing for the duration of the call.
    unsafe { libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut spec) };
    let secs = u64::try_from(spec.tv_sec).unwrap_or(0);
    Duration::new(secs, u32::try_from(spec.tv_nsec).unwrap_or(0))
}

/// Clock ticks in a second, as /proc counts the start of a process in (`sysconf(3)`, `_SC_CLK_TCK`).
pub fn ticks_per_second() -> u64 {
    // SAFETY: takes a number only.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) };
    // 100 wherever Linux runs today; what is not known must not become a division by 0.
    u64::try_from(ticks)
        .ok()
        .filter(|ticks| *ticks > 0)
        .unwrap_or(100)
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
