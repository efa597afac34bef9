//! `status` in four containers under load, and on their host: it says what an independent observer saw.
//!
//! The observer is twofold. Each command writes its run into a file of the shared folder when it begins and
//! when it ends, that is, while it has the lock; and the host's kernel says in /proc/locks how many wait
//! in flock(2). A comparison counts where nothing changed between two equal looks of both.

#![expect(clippy::indexing_slicing, reason = "a test may panic: it fails then")]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::bin;
use crate::support::child::{bare, output, text};
use crate::support::need::need;
use crate::support::podman::Container;
use crate::support::wait::until;
use crate::support::yard::{LOGIN, Yard};

/// So many comparisons count, and so many of them with a queue.
const ENOUGH: usize = 40;
/// And so many have held the lock meanwhile.
const HOLDERS: usize = 10;

/// Two batch jobs that begin again and again, and one that passes them.
fn file(container: u32) -> String {
    format!(
        r#"[init]
name = "c{container}"
stay = true
[classes.batch]
identity = "DIR"
stop = {{ grace = "100ms", leftover_grace = "100ms" }}
restart = {{ when = "always", delay = "100ms", max_delay = "100ms" }}
[classes.chat]
kind = "interactive"
identity = "DIR"
stdin = "null"
stop = {{ grace = "100ms", leftover_grace = "100ms" }}
[jobs.dev]
class = "batch"
command = ["sh", "DIR/job", "0.{container}"]
[jobs.review]
class = "batch"
command = ["sh", "DIR/job", "0.5"]
[jobs.chat]
class = "chat"
command = ["sleep", "1000"]
"#
    )
}

/// What each job does while it has the lock, for so many seconds.
const JOB: &str = "cd ${0%/*}\necho begin $LOCKKEEPER_RUN_ID >>trace\nsleep $1\necho end $LOCKKEEPER_RUN_ID >>trace\n";

/// What is compared of a view: who holds, who waits in which order, who passes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    holders: Vec<String>,
    waiting: Vec<String>,
    passing: BTreeSet<String>,
}

impl Seen {
    fn of(status: &Value) -> Self {
        let lock = &status["locks"][0];
        let runs = |key: &str| {
            let users = lock[key].as_array().expect("a list").iter();
            users.map(|user| user["run_id"].as_str().expect("a run").to_owned())
        };
        Self {
            holders: runs("holders").collect(),
            waiting: runs("waiting").collect(),
            passing: runs("others").collect(),
        }
    }
}

fn status(command: &mut Command, codes: &[i32]) -> Value {
    let told = output(command);
    let code = told.status.code().unwrap_or(-1);
    assert!(codes.contains(&code), "{code}: {}", text(&told.stderr));
    serde_json::from_slice(&told.stdout).expect("one object")
}

/// On the host, which has no init of its own for these.
fn outside(lock: &Path) -> Value {
    let mut command = Command::new(bin::lockkeeper());
    let args = ["status", "--json", "--socket", "/nobody/listens/there"];
    status(bare(&mut command).args(args).arg(lock), &[69])
}

/// As `podman exec` does it, in a hundredth of its time.
fn inside(pid: i32) -> Value {
    let mut command = Command::new("nsenter");
    let target = pid.to_string();
    bare(&mut command).args(["--target", &target, "--pid", "--mount", "--"]);
    status(command.args(["/bin/lockkeeper", "status", "--json"]), &[0])
}

/// The runs that have begun and not ended, in the order in which they began.
fn traced(trace: &Path) -> Vec<String> {
    let mut open: Vec<String> = Vec::new();
    for line in fs::read_to_string(trace).unwrap_or_default().lines() {
        match line.split_once(' ') {
            Some(("begin", run)) => open.push(run.to_owned()),
            Some(("end", run)) => open.retain(|other| other != run),
            _ => panic!("a torn line: {line}"),
        }
    }
    open
}

/// How many wait for the lock in the kernel.
fn queueing(lock: &Path) -> usize {
    let inode = format!(":{} ", fs::metadata(lock).expect("it is there").ino());
    let table = fs::read_to_string("/proc/locks").expect("the host's table");
    let waits = |line: &&str| line.contains("-> FLOCK") && line.contains(&inode);
    table.lines().filter(waits).count()
}

#[test]
fn in_four_containers_under_load_and_on_the_host_status_says_what_the_tracer_saw() {
    need!("root", "podman", "crun", "buildah", "busybox", "static");
    let yard = Yard::new();
    let (lock, trace) = (yard.scene.lock(), yard.scene.path("trace"));
    fs::write(&trace, "").unwrap();
    fs::write(yard.scene.path("job"), JOB).unwrap();
    let containers: Vec<Container<'_>> = (1..=4)
        .map(|number| yard.podman.start(&yard.init(&file(number))))
        .collect();
    let pids: Vec<i32> = containers.iter().map(Container::pid).collect();
    until("all are at work", || {
        outside(&lock)["locks"][0]["others"]
            .as_array()
            .is_some_and(|all| all.len() == 4)
    });
    let (mut agreed, mut queued, mut holders) = (0, 0, BTreeSet::new());
    until("it was compared often enough", || {
        let (traced_before, waits_before) = (traced(&trace), queueing(&lock));
        let before = Seen::of(&outside(&lock));
        let views: Vec<Value> = pids.iter().map(|pid| inside(*pid)).collect();
        let after = Seen::of(&outside(&lock));
        let (traced_after, waits_after) = (traced(&trace), queueing(&lock));
        let still = before == after && traced_before == traced_after && waits_before == waits_after;
        if !still {
            return false;
        }
        assert!(
            traced_before.len() <= 1,
            "the lock excludes: {traced_before:?}"
        );
        // A run says that it has the lock a few milliseconds after its command has begun, and its end
        // a few after its command's: nobody is shown then, or who is just over. Never anybody else.
        for view in &views {
            let seen = Seen::of(view);
            assert_eq!(seen, before, "{view}");
        }
        let settled = before.holders == traced_before;
        if !settled {
            assert!(
                before.holders.is_empty() || traced_before.is_empty(),
                "{before:?}: {traced_before:?}"
            );
            return false;
        }
        let [holder] = before.holders.as_slice() else {
            return false;
        };
        // A run says that it waits before it does: where there are fewer waiters, one is on its way.
        assert!(before.waiting.len() >= waits_before, "{before:?}");
        if before.waiting.len() > waits_before {
            return false;
        }
        for (number, view) in views.iter().enumerate() {
            let name = format!("c{}", number + 1);
            assert_eq!(view["init"]["name"], name.as_str());
            // Its own jobs stand as the lock has it.
            for job in view["jobs"].as_array().unwrap() {
                let run = job["run_id"].as_str().unwrap_or_default();
                let state = &job["claim"]["state"];
                if run == holder {
                    assert_eq!(state, "running", "{job}");
                } else if before.waiting.iter().any(|it| it == run) {
                    assert_eq!(state, "waiting", "{job}");
                }
            }
        }
        agreed += 1;
        queued += usize::from(waits_before > 1);
        holders.insert(holder.clone());
        agreed >= ENOUGH && holders.len() > HOLDERS
    });
    eprintln!(
        "{agreed} comparisons, {queued} with a queue, {} holders",
        holders.len()
    );
    assert!(queued > ENOUGH / 2, "{queued}");
    // And once in the way in which people ask.
    let told = output(&mut containers[0].exec(&["lockkeeper", "status"]));
    let table = text(&told.stdout);
    assert_eq!(told.status.code(), Some(0), "{}", text(&told.stderr));
    assert!(
        table.contains(&format!("LOCK {LOGIN}/session.lock: ")),
        "{table}"
    );
    for container in &containers {
        assert!(container.stop(10), "podman had to kill it");
    }
}
