//! What a process has done between two looks, by the kernel's own count and without disturbing it.

use std::collections::BTreeMap;
use std::fs;

/// How often each thread of some processes has been switched away from (`proc_pid_status(5)`).
///
/// A thread that sleeps at both looks and has the same counts has not run between them, and so has made no
/// system call: it would have had to be switched away from once more to sleep again.
pub(crate) type Rest = BTreeMap<(i32, i32), String>;

/// Looks at all threads of `pids`; none where one of them does not sleep.
pub(crate) fn look(pids: &[i32]) -> Option<Rest> {
    let mut rest = Rest::new();
    for &pid in pids {
        for task in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
            let thread = task.file_name().to_str()?.parse().ok()?;
            let status = fs::read_to_string(task.path().join("status")).ok()?;
            let is_asked =
                |line: &&str| line.starts_with("State:") || line.contains("ctxt_switches:");
            let counts: Vec<&str> = status.lines().filter(is_asked).collect();
            if !counts.first()?.contains("S (sleeping)") {
                return None;
            }
            rest.insert((pid, thread), counts.join(" "));
        }
    }
    Some(rest)
}
