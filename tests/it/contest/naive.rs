//! A lock as people write it: a file with a process id, and a stale one is removed by whoever finds
//! it. Between the look and the removal another has perhaps taken it.

use std::fs;
use std::path::Path;
use std::process;

use nix::sys::signal::kill;
use nix::unistd::Pid;

/// The number of a process that is gone: above all that there can be (`pid_max`, proc(5)).
const GONE: i32 = 4_194_305;

pub(super) fn prepare(dir: &Path) -> bool {
    fs::write(dir.join("agent.lock"), json(GONE)).unwrap();
    true
}

pub(super) fn take(dir: &Path) -> Option<()> {
    let path = dir.join("agent.lock");
    let own = process::id().cast_signed();
    // A record that cannot be understood counts as none.
    if let Some(pid) = read(&path) {
        if pid != own && kill(Pid::from_raw(pid), None).is_ok() {
            return None;
        }
        drop(fs::remove_file(&path));
    }
    let temporary = dir.join(format!("agent.lock.{own}"));
    fs::write(&temporary, json(own)).ok()?;
    fs::rename(&temporary, &path).ok()
}

fn read(path: &Path) -> Option<i32> {
    let text = fs::read_to_string(path).ok()?;
    let (_, number) = text.split_once(':')?;
    number.trim_matches([' ', '}', '\n']).parse().ok()
}

fn json(pid: i32) -> String {
    format!("{{\"pid\": {pid}}}\n")
}
