//! Signals to the whole tree below this process, which must be a subreaper or PID 1: each level
//! becomes ours as its parent dies.

use std::ops::RangeInclusive;

use super::pidfd::PidFd;
use super::proc::Fault;
use super::{proc, process, wait};

/// A process, named for ever: a number and when it started.
type Identity = (i32, u64);

/// The descendants that were already asked to go; each is asked once.
#[derive(Debug, Default)]
pub struct Asked {
    seen: Vec<Identity>,
    /// Children that are left alone, with all below them.
    spared: Vec<i32>,
}

impl Asked {
    /// Leaves these children alone, with all below them.
    pub fn sparing(children: &[i32]) -> Self {
        Self {
            seen: Vec::new(),
            spared: children.to_vec(),
        }
    }

    /// Sends TERM and CONT to every descendant that has not had them; processes that appear while
    /// the tree is read may be missed, so it is called again. Where /proc is not usable, only
    /// children are reached; why that is so comes back.
    pub fn ask_descendants(&mut self) -> Option<Fault> {
        let own = process::own_pid();
        if let Some(fault) = proc::fault() {
            for child in children() {
                if !self.spared.contains(&child) {
                    self.ask_child(child, 0);
                }
            }
            return Some(fault);
        }
        let mut fault = None;
        let mut level = vec![own];
        while !level.is_empty() {
            let mut next = Vec::new();
            for parent in level {
                for pid in proc::children(parent) {
                    if parent == own && self.spared.contains(&pid) {
                        continue;
                    }
                    let Some(stat) = proc::stat(pid) else {
                        // A child of ours is there until we reap it, whatever /proc shows.
                        if parent == own && wait::is_child(pid) {
                            fault = Some(Fault::Hiding);
                            self.ask_child(pid, 0);
                        }
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
        fault
    }

    fn ask_child(&mut self, pid: i32, start_time: u64) {
        if self.is_news((pid, start_time)) && wait::is_child(pid) {
            let _ = process::kill(pid, libc::SIGTERM);
            let _ = process::kill(pid, libc::SIGCONT);
        }
    }

    /// Remembers who was asked, in order; `false`: he was already.
    fn is_news(&mut self, who: Identity) -> bool {
        match self.seen.binary_search(&who) {
            Ok(_) => false,
            // Numbers are given out upwards, so that it is nearly always the last.
            Err(place) => {
                self.seen.insert(place, who);
                true
            }
        }
    }

    /// The number may have been recycled since it was read: the handle is opened first, then the
    /// process behind it is compared, then it is signalled through the handle.
    fn ask_deeper(&mut self, pid: i32, parent: i32, start_time: u64) {
        if self.seen.binary_search(&(pid, start_time)).is_ok() {
            return;
        }
        let Ok(handle) = PidFd::open(pid) else { return };
        let same =
            proc::stat(pid).is_some_and(|now| now.start_time == start_time && now.parent == parent);
        if same {
            self.is_news((pid, start_time));
            let _ = handle.send(libc::SIGTERM);
            let _ = handle.send(libc::SIGCONT);
        }
    }
}

/// Sends KILL to each of our children. Their own children become ours as they die, so it is called
/// again after each reaping, until no child is left.
pub fn kill_children() {
    kill_children_but(&[]);
}

/// The same, but for `strangers`, which are children, too.
pub fn kill_children_but(strangers: &[i32]) {
    for child in children() {
        if !strangers.contains(&child) {
            let _ = process::kill(child, libc::SIGKILL);
        }
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
    // answers. Numbers are given out upwards, so all are below the newest, unless the count has
    // come round: that is looked at when nobody is left below.
    let newest = process::newest_number().unwrap_or_else(proc::pid_limit);
    let among = |numbers: RangeInclusive<i32>| numbers.filter(|pid| wait::is_child(*pid)).collect();
    let below: Vec<i32> = among(2..=newest);
    if below.is_empty() {
        among(newest..=proc::pid_limit())
    } else {
        below
    }
}

/// What can still run of those that were sent KILL. What an outside tracer holds in its end cannot;
/// but its children are not ours before it has gone, so they are sent KILL and counted here. Where
/// /proc is not usable, every child counts.
pub fn survivors() -> Vec<i32> {
    survivors_but(&[])
}

/// The same, but for `strangers`, which are children, too.
pub fn survivors_but(strangers: &[i32]) -> Vec<i32> {
    let ours = || {
        let mut ours = children();
        ours.retain(|child| !strangers.contains(child));
        ours
    };
    let listed = ours();
    if !proc::is_ours() {
        return listed;
    }
    // Once more: one may have become ours since the others were sent it.
    for child in &listed {
        let _ = process::kill(*child, libc::SIGKILL);
    }
    let mut living = Vec::new();
    let mut queue = listed.clone();
    while let Some(pid) = queue.pop() {
        if !proc::is_dead_for_ever(pid) {
            living.push(pid);
            continue;
        }
        for deeper in proc::children(pid) {
            kill_deeper(deeper, pid);
            queue.push(deeper);
        }
    }
    // Who died after the list was made has left us his children, before he was seen dead.
    let newcomers = ours().into_iter().filter(|pid| !listed.contains(pid));
    living.extend(newcomers);
    living
}

/// As with [`Asked::ask_deeper`], the number may have been recycled since it was read.
fn kill_deeper(pid: i32, parent: i32) {
    let Ok(handle) = PidFd::open(pid) else { return };
    if proc::stat(pid).is_some_and(|stat| stat.parent == parent) {
        let _ = handle.send(libc::SIGKILL);
    }
}
