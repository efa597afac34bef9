//! The hand-off of the lock: how long after one run's end the next waiting one's command begins,
//! beside util-linux flock, and whether they come in the order in which they queued.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::table::{Table, median};

const WAITING: usize = 8;
const ROUNDS: usize = 12;

/// Measures both in turn.
pub fn measure(binary: &Path, table: &mut Table) {
    let dir = std::env::temp_dir().join(format!("lockkeeper-bench-handoff-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a folder");
    let lock = dir.join("lock");
    let own = binary.to_str().expect("a path").to_owned();
    let l = lock.to_str().expect("a path").to_owned();
    let keeper = vec![own, "run".into(), "--lock".into(), l.clone(), "--".into()];
    let flock = vec!["flock".to_owned(), "-o".into(), l];
    let (mut ours, mut theirs) = ((Vec::new(), 0), (Vec::new(), 0));
    for _ in 0..ROUNDS {
        round(&keeper, &dir, &mut ours);
        round(&flock, &dir, &mut theirs);
    }
    let (keeper_ms, flock_ms) = (median(&mut ours.0) * 1e3, median(&mut theirs.0) * 1e3);
    table.row("hand-off, lockkeeper run, ms", keeper_ms, None);
    table.row("hand-off, flock -o, ms", flock_ms, None);
    table.row("ratio to flock", keeper_ms / flock_ms, Some(1.0));
    table.row(
        "lockkeeper: served out of the order of arrival",
        f64::from(ours.1),
        Some(0.0),
    );
    table.row(
        "flock: served out of the order of arrival",
        f64::from(theirs.1),
        None,
    );
    let _ = fs::remove_dir_all(dir);
}

/// A holder and those behind it, each in the queue before the next one comes. Each command says
/// when it begins and when it ends, on the one clock of the machine.
fn round(wrapper: &[String], dir: &Path, into: &mut (Vec<f64>, u32)) {
    let stamp = "read t _ < /proc/uptime; date +%s.%N";
    let gate = dir.join("gate");
    let _ = fs::remove_file(&gate);
    assert!(
        Command::new("mkfifo")
            .arg(&gate)
            .status()
            .expect("mkfifo")
            .success()
    );
    let first = start(
        wrapper,
        &format!("echo in; cat '{}' >/dev/null; date +%s.%N", gate.display()),
    );
    let mut first_out = BufReader::new(first.0);
    let mut line = String::new();
    first_out.read_line(&mut line).expect("the holder's word");
    let mut waiting = Vec::new();
    for _ in 0..WAITING {
        let (out, child) = start(wrapper, &format!("{stamp}; {stamp}"));
        wait_queued(child.id());
        waiting.push((out, child));
    }
    fs::write(&gate, "go").expect("the gate");
    let mut ends = Vec::new();
    line.clear();
    first_out.read_line(&mut line).expect("the holder's end");
    let mut last_end: f64 = line.trim().parse().expect("a time");
    let mut first_child = first.1;
    first_child.wait().expect("the holder");
    for (out, mut child) in waiting {
        let times: Vec<f64> = BufReader::new(out)
            .lines()
            .map(|line| line.unwrap().trim().parse().unwrap())
            .collect();
        child.wait().expect("a waiter");
        ends.push((times[0], times[1]));
    }
    if !ends.windows(2).all(|pair| pair[0].0 <= pair[1].0) {
        into.1 += 1;
        ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    for (begin, end) in ends {
        into.0.push(begin - last_end);
        last_end = end;
    }
}

fn start(wrapper: &[String], script: &str) -> (std::process::ChildStdout, Child) {
    let mut child = Command::new(&wrapper[0])
        .args(&wrapper[1..])
        .args(["sh", "-c", script])
        .stdout(Stdio::piped())
        .spawn()
        .expect("a run");
    (child.stdout.take().expect("its output"), child)
}

/// Until some thread of the process, or of a child of it, is blocked in flock(2).
fn wait_queued(pid: u32) {
    let number = if cfg!(target_arch = "x86_64") {
        "73 "
    } else {
        "32 "
    };
    loop {
        let mut pids = vec![pid.to_string()];
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        pids.extend(
            children
                .unwrap_or_default()
                .split_whitespace()
                .map(str::to_owned),
        );
        let blocked = pids.iter().any(|pid| {
            fs::read_dir(format!("/proc/{pid}/task"))
                .into_iter()
                .flatten()
                .flatten()
                .any(|task| {
                    fs::read_to_string(task.path().join("syscall"))
                        .is_ok_and(|call| call.starts_with(number))
                })
        });
        if blocked {
            return;
        }
        std::thread::yield_now();
    }
}
