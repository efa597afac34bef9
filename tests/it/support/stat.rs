//! Where a process stands among groups, sessions and terminals, as the kernel says (`proc_pid_stat(5)`).

use std::fs;

use super::ns::children;

/// Some fields of `/proc/pid/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    /// `T` is stopped, `Z` a zombie.
    pub(crate) state: char,
    pub(crate) pgrp: i32,
    pub(crate) session: i32,
    /// Of its controlling terminal; 0: it has none.
    pub(crate) tty: i32,
    /// The foreground group of that terminal.
    pub(crate) tpgid: i32,
}

/// Of a living process or a zombie; none if it is gone.
pub(crate) fn stat(pid: i32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may hold anything, also spaces and brackets.
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?.chars().next()?;
    let mut number = || fields.next()?.parse().ok();
    let _ppid: i32 = number()?;
    Some(Stat {
        state,
        pgrp: number()?,
        session: number()?,
        tty: number()?,
        tpgid: number()?,
    })
}

/// All below `pid`, each after its parent.
pub(crate) fn descendants(pid: i32) -> Vec<i32> {
    let mut found = children(pid);
    let mut next = 0;
    while let Some(&pid) = found.get(next) {
        found.extend(children(pid));
        next += 1;
    }
    found
}

/// The states of all below `pid`.
pub(crate) fn states(pid: i32) -> String {
    let stats = descendants(pid).into_iter().filter_map(stat);
    stats.map(|stat| stat.state).collect()
}
