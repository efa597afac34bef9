//! Signals to the whole tree below this process, which must be a subreaper or PID 1: each level
//! becomes ours as its parent dies.

use std::collections::BTreeSet;

use super::pidfd::PidFd;
use super::{proc, process, wait};

/// Few PID namespaces ever come to higher numbers: it was the kernel's own limit for long, twice.
const USUAL: i32 = 65_536;

/// A process, named for ever: a number and when it started.
type Identity = (i32, u64);

/// The descendants that were already asked to go; each is asked once.
#[derive(Debug, Default)]
pub struct Asked {
    seen: BTreeSet<Identity>,
}

impl Asked {
    /// Sends TERM and CONT to every descendant that has not had them; processes that appear while
    /// the tree is read may be missed, so it is called again. Where /proc is not usable, only
    /// children are reached.
    pub fn ask_descendants(&mut self) {
        let own = process::own_pid();
        if !proc::is_ours() {
            for child in children() {
                self.ask_child(child, 0);
            }
            return;
        }
        let mut level = vec![own];
        while !level.is_empty() {
            let mut next = Vec::new();
            for parent in level {
                for pid in proc::children(parent) {
                    let Some(stat) = proc::stat(pid) else {
                        continue;
                    };
                    if parent == own {
                        self.ask_child(pid, stat.start_time);
                    } else {
                        self.ask_deeper(pid, parent, stat.start_time);
                    }
                    next.push(pid);
                }
            }
            level = next;
        }
    }

    fn ask_child(&mut self, pid: i32, start_time: u64) {
        if self.seen.insert((pid, start_time)) && wait::is_child(pid) {
            let _ = process::kill(pid, libc::SIGTERM);
            let _ = process::kill(pid, libc::SIGCONT);
        }
    }

    /// The number may have been recycled since it was read: the handle is opened first, then the
    /// process behind it is compared, then it is signalled through the handle.
    fn ask_deeper(&mut self, pid: i32, parent: i32, start_time: u64) {
        if self.seen.contains(&(pid, start_time)) {
            return;
        }
        let Ok(handle) = PidFd::open(pid) else { return };
        let same =
            proc::stat(pid).is_some_and(|now| now.start_time == start_time && now.parent == parent);
        if same {
            self.seen.insert((pid, start_time));
            let _ = handle.send(libc::SIGTERM);
            let _ = handle.send(libc::SIGCONT);
        }
    }
}

/// Sends KILL to each of our children. Their own children become ours as they die, so it is called
/// again after each reaping, until no child is left.
pub fn kill_children() {
    for child in children() {
        let _ = process::kill(child, libc::SIGKILL);
    }
}

/// Sends KILL to everything in this PID namespace but ourselves; only for its PID 1 (kill(2)).
pub fn kill_namespace() {
    let _ = process::kill(-1, libc::SIGKILL);
}

/// Our children, alive or not yet reaped. Only we reap them, so none of these numbers can come to
/// mean another process before we do.
pub fn children() -> Vec<i32> {
    if proc::is_ours() {
        return proc::children(process::own_pid());
    }
    // Without a usable /proc the kernel is asked about each number; a stranger is never among the
    // answers. Numbers are given out from below, and all four million of them take seconds: those
    // beyond the usual are asked for only once no other child is left.
    let mut found: Vec<i32> = (2..USUAL).filter(|pid| wait::is_child(*pid)).collect();
    if found.is_empty() && wait::has_child() {
        found.extend((USUAL..proc::pid_limit()).filter(|pid| wait::is_child(*pid)));
    }
    found
}

/// Those of our children that can still run; a zombie that an outside tracer holds is not one.
pub fn survivors() -> Vec<i32> {
    let usable = proc::is_ours();
    children()
        .into_iter()
        .filter(|pid| !usable || !proc::is_dead_for_ever(*pid))
        .collect()
}
