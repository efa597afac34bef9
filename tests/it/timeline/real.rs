//! Real runs under the real journald: what `timeline` tells is what happened.

use std::process::Command;

use nix::sys::signal::Signal::SIGKILL;
use serde_json::Value;

use crate::support::bin;
use crate::support::child::{self, Tied, halt, output, read, text};
use crate::support::dir::Dir;
use crate::support::journald::Journald;
use crate::support::need::need;
use crate::support::ns::children;
use crate::support::scene::Scene;
use crate::support::wait::until;

/// The runs of a job, in their order.
fn runs<'v>(told: &'v Value, job: &str) -> Vec<&'v Value> {
    let rows = told["rows"].as_array().unwrap().iter();
    let row = rows.filter(|row| row["job"] == job);
    row.flat_map(|row| row["runs"].as_array().unwrap())
        .collect()
}

/// The phases of a run.
fn phases(run: &Value) -> Vec<&str> {
    let spans = run["spans"].as_array().unwrap().iter();
    spans.map(|span| span["phase"].as_str().unwrap()).collect()
}

fn edge<'v>(run: &'v Value, phase: &str, edge: &str) -> &'v str {
    let spans = run["spans"].as_array().unwrap().iter();
    let mut spans = spans.filter(|span| span["phase"] == phase);
    spans.next().unwrap()[edge].as_str().unwrap()
}

#[test]
fn the_timeline_of_real_runs_is_what_happened() {
    need!("root", "journald");
    let (journal, scene) = (Journald::start(), Scene::new());
    let lock = scene.lock();
    let config = scene.config(&format!(
        "[init]
        name = \"agents-1\"
        [locks.one]
        path = {lock:?}
        shared_mount = \"off\"
        [classes.batch]
        lock = \"one\"
        timeout = \"1s\"
        [jobs.second]
        class = \"batch\"
        stop = {{ grace = \"200ms\" }}
        command = [\"sh\", \"-c\", \"trap '' TERM; while :; do sleep 60; done\"]
        [jobs.third]
        class = \"batch\"
        wait = \"0s\"
        command = [\"true\"]
        [jobs.chat]
        class = \"interactive\"
        command = [\"sh\", \"-c\", \"exit 3\"]"
    ));
    let run = |job: &str| {
        let mut command = journal.command(bin::lockkeeper());
        child::bare(&mut command)
            .args(["run", job, "-c"])
            .arg(&config);
        command
    };
    let told = |more: &[&str]| {
        read(journal.command("journalctl").arg("--sync"));
        let mut command = journal.command(bin::lockkeeper());
        read(child::bare(&mut command).arg("timeline").args(more))
    };
    let noted = |job: &str, id: &str| {
        let of_job = format!("JOB={job}");
        until("it is noted", || {
            let records = journal.records(&[&of_job]);
            records.iter().any(|record| record["MESSAGE_ID"] == id)
        });
    };
    let mut first = hold(&scene, &journal);
    let mut second = child::start(&mut run("second"));
    noted("second", "30b4ba9924837544a2c700239189623d");
    assert_eq!(output(&mut run("third")).status.code(), Some(75));
    assert_eq!(output(&mut run("chat")).status.code(), Some(3));
    let during: Value = serde_json::from_str(&told(&["--json"])).unwrap();
    let waits = runs(&during, "second")[0];
    assert_eq!(
        (phases(waits), &waits["end"]),
        (vec!["waiting"], &Value::from("open"))
    );
    first.hang_up();
    first.wait();
    assert_eq!(second.wait().code(), Some(124));

    let after: Value = serde_json::from_str(&told(&["--json", "--since", "1h"])).unwrap();
    let [one] = runs(&after, "sh")[..] else {
        panic!("{after}")
    };
    assert_eq!(
        (phases(one), &one["reason"], &one["code"]),
        (vec!["holding"], &"ended".into(), &0.into())
    );
    let [second] = runs(&after, "second")[..] else {
        panic!("{after}")
    };
    assert_eq!(phases(second), ["waiting", "holding", "stopping"]);
    assert_eq!(
        (&second["reason"], &second["code"]),
        (&"timeout".into(), &124.into())
    );
    assert_eq!(second["lock"], lock.to_str().unwrap());
    let [third] = runs(&after, "third")[..] else {
        panic!("{after}")
    };
    assert_eq!(
        (&third["reason"], &third["code"]),
        (&"wait_expired".into(), &75.into())
    );
    let [chat] = runs(&after, "chat")[..] else {
        panic!("{after}")
    };
    assert_eq!(
        (phases(chat), &chat["code"], &chat["lock"]),
        (vec!["running"], &3.into(), &"".into())
    );
    assert_eq!(after["overlaps"], Value::Array(Vec::new()));
    // Who waited began to hold when the other one had let go: as near as two processes can tell.
    assert!(edge(one, "holding", "to") >= edge(second, "waiting", "from"));
    assert!(edge(second, "stopping", "from") > edge(one, "holding", "to"));
    // And as text, as a picture, of one job.
    let text = told(&["second"]);
    assert!(
        text.contains("second") && text.contains("timeout") && !text.contains("third"),
        "{text}"
    );
    assert!(told(&["--svg", "-"]).contains("timeout"));
    assert!(told(&["--since", "tomorrow"]).contains("no run is on record"));
    assert!(told(&["--until", "1h"]).contains("no run is on record"));
}

/// A run that holds the lock until its input ends.
fn hold(scene: &Scene, journal: &Journald) -> Tied {
    let script = "printf 'held\\n'; read line < \"$0\"";
    let fifo = scene.path("fifo");
    read(Command::new("mkfifo").arg(&fifo));
    let holder = "exec 3<>\"$1\"; \"$0\" run --lock \"$2\" -- sh -c \"$3\" \"$1\" & \
        cat >/dev/null; echo >&3; wait";
    let mut command = journal.command("sh");
    child::bare(&mut command)
        .args(["-c", holder])
        .arg(bin::lockkeeper())
        .arg(&fifo)
        .arg(scene.lock())
        .arg(script);
    let mut holder = child::start(&mut command);
    assert_eq!(holder.line().as_deref(), Some("held"));
    holder
}

#[test]
fn a_run_killed_with_its_container_is_told_as_one_without_an_end() {
    need!("root", "journald");
    let (journal, scene) = (Journald::start(), Scene::new());
    let config = scene.config(&format!(
        "[init]
        name = \"agents-1\"
        [locks.one]
        path = {:?}
        shared_mount = \"off\"
        [classes.batch]
        lock = \"one\"
        [jobs.dev]
        class = \"batch\"
        command = [\"sh\", \"-c\", \"test -e {1} || {{ touch {1}; exec sleep 60; }}\"]",
        scene.lock(),
        scene.path("again").display()
    ));
    let container = || {
        let mut command = journal.command("unshare");
        command.args(["--pid", "--fork", "--kill-child", "--mount-proc"]);
        command.arg(bin::lockkeeper()).arg("-c").arg(&config);
        child::start(&mut command)
    };
    let first = container();
    until("it holds", || journal.records(&["JOB=dev"]).len() >= 2);
    // All of it at once: a guard that hears of its init's death first would still tell of the end.
    let [init] = children(first.pid())[..] else {
        panic!("one init")
    };
    let guards = children(init);
    let monitors = guards.iter().flat_map(|guard| children(*guard));
    for pid in monitors.chain(guards.clone()) {
        halt(pid);
    }
    child::signal(init, SIGKILL);
    drop(first);
    assert!(container().wait().success());
    read(journal.command("journalctl").arg("--sync"));
    let mut command = journal.command(bin::lockkeeper());
    let told = read(child::bare(&mut command).args(["timeline", "--json"]));
    let told: Value = serde_json::from_str(&told).unwrap();
    let [lost, good] = runs(&told, "dev")[..] else {
        panic!("{told}")
    };
    assert_eq!(
        (&lost["end"], &good["reason"]),
        (&"lost".into(), &"ended".into())
    );
    assert!(good["from"].as_str() >= lost["to"].as_str());
    assert_eq!(told["overlaps"], Value::Array(Vec::new()));
}

#[test]
fn where_there_is_no_journal_the_refusal_names_the_log_of_a_container() {
    need!("root");
    let dir = Dir::new();
    let script = "mkdir -p /var/log/journal && mount --bind \"$0\" /var/log/journal && \
        mount -t tmpfs none /run && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script]).arg(&*dir);
    let told = output(command.arg(bin::lockkeeper()).arg("timeline"));
    assert_eq!(told.status.code(), Some(125));
    let said = text(&told.stderr);
    assert!(
        said.contains("journalctl SYSLOG_IDENTIFIER=lockkeeper"),
        "{said}"
    );
    assert!(said.contains("--from"), "{said}");
}
