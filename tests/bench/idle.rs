//! What it costs to wait: system calls of every process and thread while ten jobs wait or sleep,
//! and the memory of a guard and its monitor.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::table::Table;

/// How long each is traced.
const TRACED: Duration = Duration::from_mins(1);

/// Measures init with ten jobs (one runs, nine wait), tini beside it, and the memory.
pub fn measure(binary: &Path, table: &mut Table) {
    let dir = std::env::temp_dir().join(format!("lockkeeper-bench-idle-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a folder");
    let config = dir.join("ten.toml");
    let mut text = format!(
        "[locks.l]\npath = \"{}\"\nshared_mount = \"off\"\n[classes.batch]\nlock = \"l\"\nwait = \"forever\"\ntimeout = \"1h\"\n",
        dir.join("lock").display()
    );
    for job in 0..10 {
        writeln!(
            text,
            "[jobs.j{job}]\nclass = \"batch\"\ncommand = [\"sleep\", \"1000\"]"
        )
        .expect("text");
    }
    fs::write(&config, text).expect("a file");
    let mut init = Command::new(binary)
        .arg("-c")
        .arg(&config)
        .stderr(Stdio::null())
        .spawn()
        .expect("init");
    let ours = loop {
        let ours = ours(init.id());
        let waiting = ours.iter().filter(|pid| blocked_in_flock(**pid)).count();
        // The lock's file is watched from the first second on; that is the last thing to happen. (init
        // has a watch of its own from its start on.)
        let monitors = ours.iter().skip(1);
        let mut watching = monitors.filter(|pid| watches(**pid));
        if ours.len() == 21 && waiting == 9 && watching.any(|pid| rests(*pid)) {
            break ours;
        }
        std::thread::yield_now();
    };
    let mut tini = Command::new("tini")
        .args(["-s", "--", "sleep", "1000"])
        .spawn()
        .expect("tini");
    let traced = [
        trace(&ours, &dir.join("ours")),
        trace(&[tini.id()], &dir.join("tini")),
    ];
    let [own_calls, tini_calls] = traced.map(finish);
    let name = format!(
        "system calls of init and ten jobs' guards and monitors in {} s",
        TRACED.as_secs()
    );
    table.row(&name, own_calls as f64, Some(0.0));
    table.row(
        "system calls of tini in the same time",
        tini_calls as f64,
        None,
    );
    let (mut running, mut waiting) = (0, 0);
    for pid in &ours {
        let children = children(*pid);
        if *pid == init.id() || children.len() != 1 || !ours.contains(&children[0]) {
            continue;
        }
        let pair = private_dirty(*pid) + private_dirty(children[0]);
        let slot = if blocked_in_flock(children[0]) {
            &mut waiting
        } else {
            &mut running
        };
        *slot = (*slot).max(pair);
    }
    table.row(
        "Private_Dirty of guard and monitor, waiting, kB",
        f64::from(waiting),
        Some(350.0),
    );
    table.row(
        "Private_Dirty of guard and monitor, running, kB",
        f64::from(running),
        Some(350.0),
    );
    table.row(
        "Private_Dirty of init, kB",
        f64::from(private_dirty(init.id())),
        None,
    );
    end(&mut init);
    end(&mut tini);
    let _ = fs::remove_dir_all(dir);
}

fn end(child: &mut Child) {
    // SAFETY: our own child, not yet reaped.
    unsafe { libc::kill(i32::try_from(child.id()).expect("a pid"), libc::SIGTERM) };
    child.wait().expect("its end");
}

fn children(pid: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

/// init, its guards and their monitors.
fn ours(init: u32) -> Vec<u32> {
    let guards = children(init);
    let monitors = guards
        .iter()
        .flat_map(|guard| children(*guard))
        .collect::<Vec<_>>();
    [vec![init], guards, monitors].concat()
}

fn blocked_in_flock(pid: u32) -> bool {
    let number = if cfg!(target_arch = "x86_64") {
        "73 "
    } else {
        "32 "
    };
    is_in(pid, number)
}

/// Whether it waits in ppoll(2).
fn rests(pid: u32) -> bool {
    let number = if cfg!(target_arch = "x86_64") {
        "271 "
    } else {
        "73 "
    };
    is_in(pid, number)
}

fn is_in(pid: u32, number: &str) -> bool {
    fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten()
        .flatten()
        .any(|task| {
            fs::read_to_string(task.path().join("syscall"))
                .is_ok_and(|call| call.starts_with(number))
        })
}

fn watches(pid: u32) -> bool {
    fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten()
        .any(|fd| {
            fs::read_link(fd.path()).is_ok_and(|link| link.to_string_lossy().contains("inotify"))
        })
}

fn private_dirty(pid: u32) -> u32 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).expect("smaps_rollup");
    let line = text
        .lines()
        .find(|line| line.starts_with("Private_Dirty:"))
        .expect("a line");
    line.split_whitespace()
        .nth(1)
        .and_then(|kb| kb.parse().ok())
        .expect("kB")
}

struct Trace(Child, std::path::PathBuf);

fn trace(pids: &[u32], to: &Path) -> Trace {
    let mut command = Command::new("timeout");
    command
        .args([
            "-s",
            "INT",
            &TRACED.as_secs().to_string(),
            "strace",
            "-f",
            "-qq",
            "-o",
        ])
        .arg(to);
    for pid in pids {
        command.args(["-p", &pid.to_string()]);
    }
    Trace(
        command.stderr(Stdio::null()).spawn().expect("strace"),
        to.to_owned(),
    )
}

/// System calls that began while we looked: not those that were in progress at the attach (a thread's
/// first line, which the switch to another thread or the detach cuts off).
fn finish(mut trace: Trace) -> usize {
    trace.0.wait().expect("strace");
    let text = fs::read_to_string(&trace.1).unwrap_or_default();
    let mut seen = BTreeSet::new();
    let began = |line: &&str| {
        let thread = line
            .split_whitespace()
            .next()
            .unwrap_or_default()
            .to_owned();
        let first = seen.insert(thread);
        // strace stops a thread to attach to it, and the kernel resumes its call by this one.
        let resumes = line.contains(" resumed>") || line.contains(" restart_syscall(");
        let in_progress = line.ends_with("<unfinished ...>") || line.ends_with("<detached ...>");
        !(resumes || first && in_progress)
    };
    text.lines().filter(began).count()
}
