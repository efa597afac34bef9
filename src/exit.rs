//! Every exit code that lockkeeper itself can return, in one table.
//!
//! The command's own code, and 128+n for a command that signal n killed, pass through unchanged;
//! the codes here are the ones that we add. `--help`, README and manual are tested against [`TABLE`].

/// The command reached its result and was ended by `final`; the result was a success.
pub const OK: u8 = 0;
/// The command reached its result and was ended by `final`; the result was a failure.
pub const FINAL_FAILED: u8 = 1;
/// `lock list`, `show` or `clean`: something needs a person.
pub const NEEDS_A_PERSON: u8 = 1;
/// The command line could not be understood (`EX_USAGE`, sysexits.h).
pub const USAGE: u8 = 64;
/// `health`: init does not answer, or not all is well. Docker knows no other code for that.
pub const NOT_HEALTHY: u8 = 1;
/// No init answers here, or it does not take the order (`EX_UNAVAILABLE`, sysexits.h).
pub const UNAVAILABLE: u8 = 69;
/// The lock or the directory was not obtained within `wait`, or a condition of the start did not hold
/// (`EX_TEMPFAIL`, sysexits.h).
pub const NOT_OBTAINED: u8 = 75;
/// The configuration is wrong, or the lock lies where it would exclude nobody (`EX_CONFIG`, sysexits.h).
pub const CONFIG: u8 = 78;
/// A watchdog (`timeout`, `idle_timeout`, `ready_timeout`, `heartbeat`) ended the command; timeout(1) uses the same code.
pub const WATCHDOG: u8 = 124;
/// lockkeeper itself failed, or the guard had to clean up after a dead monitor.
pub const FAILED: u8 = 125;
/// The command was found but cannot be executed; env(1) and timeout(1) use the same code.
pub const CANNOT_EXECUTE: u8 = 126;
/// The command was not found; env(1) and timeout(1) use the same code.
pub const NOT_FOUND: u8 = 127;

/// The code of a command that signal `signo` killed, as shells report it: 128+n.
pub const fn by_signal(signo: i32) -> u8 {
    let [low, ..] = signo.to_le_bytes();
    128 | (low & 0x7f)
}

/// What each code means, in the words that `--help`, README and manual print.
pub const TABLE: &[(&str, &str)] = &[
    ("0-255", "the command's own exit code"),
    (
        "128+n",
        "the command was killed by signal n, or a stop came before it started",
    ),
    (
        "0 or 1",
        "ended by `final` after its result: success or failure",
    ),
    ("1", "of `lock`: something that was found needs a person"),
    ("1", "of `health`: init does not answer, or not all is well"),
    ("64", "the command line could not be understood"),
    ("69", "no init answers here, or it does not take the order"),
    (
        "75",
        "the lock or directory was not obtained, or a condition did not hold",
    ),
    (
        "78",
        "the configuration is wrong, or the lock lies where it excludes nobody",
    ),
    (
        "124",
        "ended by a watchdog (`timeout`, `heartbeat` and their like)",
    ),
    ("125", "lockkeeper failed, or the guard had to clean up"),
    ("126", "the command cannot be executed"),
    ("127", "the command was not found"),
];
