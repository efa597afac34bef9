//! What PID 1 is where it is not us: who starts lockkeeper below something else should know what that
//! costs, or that it is not needed.

use std::fs;

use crate::sys::process;

/// Small inits, by the names that they have as `docker run --init`, `podman run --init`, or as an
/// ENTRYPOINT before us.
const INITS: [&str; 7] = [
    "tini",
    "tini-static",
    "docker-init",
    "podman-init",
    "catatonit",
    "dumb-init",
    "s6-svscan",
];
/// An ENTRYPOINT in shell form is `/bin/sh -c`; without arguments it is a person's.
const SHELLS: [&str; 5] = ["sh", "bash", "dash", "ash", "busybox"];

/// What PID 1 of our PID namespace is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Pid1 {
    /// We are.
    Us,
    /// /proc does not say.
    Unknown,
    /// A small init, which does what we do.
    Init(String),
    /// A shell.
    Shell(String),
    /// Something else, by its name.
    Other(String),
}

impl Pid1 {
    /// Looks.
    pub(super) fn look() -> Self {
        if process::own_pid() == 1 {
            return Self::Us;
        }
        let name = fs::read_to_string("/proc/1/comm").unwrap_or_default();
        match name.trim_end() {
            "" => Self::Unknown,
            name if INITS.contains(&name) => Self::Init(name.to_owned()),
            name if SHELLS.contains(&name) && has_arguments() => Self::Shell(name.to_owned()),
            name => Self::Other(name.to_owned()),
        }
    }
}

/// Whether PID 1 was started with more than its name (`proc_pid_cmdline(5)`).
fn has_arguments() -> bool {
    let words = fs::read("/proc/1/cmdline").unwrap_or_default();
    words.split(|byte| *byte == 0).count() > 2
}

/// What a shell as PID 1 means, and what to write in its place.
pub(super) const SHELL_FORM: &str = "a shell passes no stop on, so that the container is killed when \
     its time is over; write the ENTRYPOINT as a list, ENTRYPOINT [\"/usr/bin/lockkeeper\"], or begin \
     the script's last line with exec";
