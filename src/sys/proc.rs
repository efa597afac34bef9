//! /proc: who is whose child, and what state a process is in.
//!
//! A number read here is a hint. It may be signalled only while it is our own unreaped child, or
//! through a [`super::pidfd::PidFd`] whose owner was checked after it was opened.

use std::fs;
use std::path::Path;

use super::process::own_pid;

/// What `proc_pid_stat(5)` tells of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The state letter: `Z` is a zombie.
    pub state: u8,
    /// The parent.
    pub parent: i32,
    /// Clock ticks after boot at which it started: with its number, it names one process for ever.
    pub start_time: u64,
}

/// Why the processes of a tree cannot all be read from /proc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing of the kind is mounted there.
    Missing,
    /// It is that of another PID namespace: a number read from it would mean a stranger.
    Foreign,
    /// It does not show processes of other users (`hidepid`, proc(5)).
    Hiding,
}

/// Whether /proc is that of our own PID namespace and shows us ourselves. A number read from
/// another one would mean a stranger.
pub fn is_ours() -> bool {
    fault().is_none()
}

/// Why no number may be read from /proc; `None`: it is ours.
pub fn fault() -> Option<Fault> {
    match fs::read_link("/proc/self") {
        Ok(link) if link.as_os_str() == own_pid().to_string().as_str() => None,
        Ok(_) => Some(Fault::Foreign),
        Err(_) => Some(Fault::Missing),
    }
}

/// What /proc says of `pid`; `None`: it has gone, or is hidden.
pub fn stat(pid: i32) -> Option<Stat> {
    parse_stat(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// The name of `pid`, of at most 15 bytes, as it gave it itself (`proc_pid_comm(5)`), whatever they are;
/// `None`: it has gone, or is hidden.
pub fn name(pid: i32) -> Option<String> {
    let name = fs::read(format!("/proc/{pid}/comm")).ok()?;
    let name = name.strip_suffix(b"\n").unwrap_or(&name);
    Some(String::from_utf8_lossy(name).into_owned())
}

/// The command's name stands in parentheses and may contain any byte: the last `)` ends it.
fn parse_stat(text: &[u8]) -> Option<Stat> {
    let end = text.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(text.get(end + 1..)?).ok()?;
    let mut fields = rest.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    let parent = fields.next()?.parse().ok()?;
    // Field 22; the state was field 3, the parent 4.
    let start_time = fields.nth(17)?.parse().ok()?;
    Some(Stat {
        state,
        parent,
        start_time,
    })
}

/// Whether `pid`, an unreaped child of ours that was sent KILL a while ago, can never run again: each
/// of its threads is a zombie or rests in a tracer's stop. KILL ends every such stop but the last, on
/// the way out (`PTRACE_EVENT_EXIT`, ptrace(2)), and there a tracer that is itself stopped may keep
/// it for ever. A zombie whose other threads live is a living process, and what /proc does not show
/// (it hides other users' processes under `hidepid`, proc(5)) is not known to be dead.
pub fn is_dead_for_ever(pid: i32) -> bool {
    stat(pid).is_some()
        && fs::read_dir(format!("/proc/{pid}/task")).is_ok_and(|tasks| {
            tasks.flatten().all(|task| {
                fs::read(task.path().join("stat"))
                    .ok()
                    .and_then(|text| parse_stat(&text))
                    .is_none_or(|stat| matches!(stat.state, b'Z' | b'X' | b't'))
            })
        })
}

/// Whether `pid` is our parent, or above it. `None`: /proc is not ours, or hides who is in between.
pub fn is_above_us(pid: i32) -> Option<bool> {
    is_above(pid, own_pid())
}

/// Whether `pid` is the parent of `below`, or above it. `None`: `below` has gone, /proc is not ours, or
/// hides who is in between.
///
/// Who is in between may end while we look, and what was below him goes on below another: so "no" is
/// the word of two walks that met the same processes.
pub fn is_above(pid: i32, below: i32) -> Option<bool> {
    const WALKS: usize = 64;
    const HIGHEST: usize = 10_000;
    if !is_ours() {
        return None;
    }
    let mut last = None;
    for _ in 0..WALKS {
        let mut met = Vec::new();
        let mut above = stat(below)?.parent;
        while above > 0 && met.len() < HIGHEST {
            if above == pid {
                return Some(true);
            }
            let stat = stat(above);
            met.push((above, stat));
            above = stat.map_or(-1, |stat| stat.parent);
        }
        let seen = (
            above,
            met.iter()
                .map(|(pid, stat)| (*pid, stat.map(|stat| stat.start_time)))
                .collect::<Vec<_>>(),
        );
        if last.as_ref() == Some(&seen) {
            // The topmost of a PID namespace has the parent 0 (pid_namespaces(7)).
            return (above == 0).then_some(false);
        }
        last = Some(seen);
    }
    None
}

/// The children of `pid`. A child that comes or goes while the list is read may be missing
/// (`proc_pid_task(5)`, `children`): who needs all of them looks again.
pub fn children(pid: i32) -> Vec<i32> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for task in tasks.flatten() {
        match fs::read_to_string(task.path().join("children")) {
            Ok(list) => found.extend(list.split_ascii_whitespace().flat_map(str::parse::<i32>)),
            // A kernel without CONFIG_PROC_CHILDREN; a task that has gone has no children either.
            Err(_)
                if !Path::new("/proc/self/task")
                    .join(pid_name())
                    .join("children")
                    .exists() =>
            {
                return children_by_scan(pid);
            }
            Err(_) => {}
        }
    }
    found
}

fn pid_name() -> String {
    own_pid().to_string()
}

fn children_by_scan(parent: i32) -> Vec<i32> {
    all()
        .filter(|pid| stat(*pid).is_some_and(|stat| stat.parent == parent))
        .collect()
}

/// Every process that /proc shows.
pub fn all() -> impl Iterator<Item = i32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// One more than the highest number that a process here can have (`proc_sys_kernel(5)`, `pid_max`).
pub fn pid_limit() -> i32 {
    fs::read_to_string("/proc/sys/kernel/pid_max")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(4_194_304)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let mut text = b"7 (a) R 1 (b) Z 42".to_vec();
        for field in 5..=21 {
            text.extend_from_slice(format!(" {field}").as_bytes());
        }
        text.extend_from_slice(b" 987654 0 0\n");
        assert_eq!(
            parse_stat(&text),
            Some(Stat {
                state: b'Z',
                parent: 42,
                start_time: 987_654
            })
        );
    }

    #[test]
    fn our_parent_is_above_us_and_we_are_not_above_ourselves() {
        let parent = stat(own_pid()).unwrap().parent;
        assert_eq!(is_above_us(parent), Some(true));
        assert_eq!(is_above_us(own_pid()), Some(false));
        assert_eq!(is_above_us(0), Some(false));
    }

    #[test]
    fn our_own_parent_and_start_time_are_read() {
        let own = stat(own_pid()).unwrap();
        assert!(own.start_time > 0);
        assert!(children(own.parent).contains(&own_pid()));
    }
}
