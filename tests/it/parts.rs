//! The parts that the other tests stand on, each shown to do what they rely on.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal::{SIGCONT, SIGKILL, SIGTERM};
use serde_json::Value;

use super::support::agent;
use super::support::api::{Answer, Api};
use super::support::bin;
use super::support::child::{self, Tied, halt, output, read, signal, text};
use super::support::dir::Dir;
use super::support::journald::Journald;
use super::support::need::need;
use super::support::net::Net;
use super::support::ns::{Inside, Ns, children};
use super::support::page::{Overlap, Page};
use super::support::podman::{Podman, Run};
use super::support::wait::until;

/// A puppet that has done `script` and waits for more.
fn puppet(script: &str) -> Tied {
    let mut puppet = child::start(&mut Command::new(bin::puppet()));
    puppet.ask(script);
    puppet
}

fn page_in(dir: &Dir) -> (Page, String) {
    let path = dir.join("page");
    (Page::open(&path).unwrap(), path.display().to_string())
}

// The marker page.

#[test]
fn the_page_passes_two_runs_that_take_turns() {
    let dir = Dir::new();
    let (page, path) = page_in(&dir);
    for run in 1..=20 {
        // The second process of the run is killed, the first ends by itself; then comes the next.
        let mut puppet = puppet(&format!(
            "mark {path} {run} , child {{ mark {path} {run} , hang }}"
        ));
        assert_eq!(page.alive().get(&run), Some(&2));
        for child in children(puppet.pid()) {
            signal(child, SIGKILL);
        }
        puppet.ask("reap");
        puppet.wait();
        assert_eq!(page.alive().len(), 0);
    }
    assert_eq!(page.overlaps(), (0, vec![]));
    assert_eq!(page.marks(), (40, 0));
}

#[test]
fn the_page_catches_two_runs_that_overlap_for_an_instant() {
    let dir = Dir::new();
    let (page, path) = page_in(&dir);
    let puppet = puppet(&format!("mark {path} 7"));
    // The other run lives no longer than it takes to mark the page.
    read(Command::new(bin::puppet()).args(["mark", &path, "8"]));
    assert_eq!(
        page.overlaps(),
        (
            1,
            vec![Overlap {
                newcomer: 8,
                beside: 7
            }]
        )
    );
    drop(puppet);
    assert!(page.alive().is_empty());
}

#[test]
fn the_page_catches_a_run_that_is_stopped() {
    let dir = Dir::new();
    let (page, path) = page_in(&dir);
    let puppet = puppet(&format!("mark {path} 1"));
    halt(puppet.pid());
    read(Command::new(bin::puppet()).args(["mark", &path, "2"]));
    signal(puppet.pid(), SIGCONT);
    assert_eq!(page.overlaps().0, 1);
}

/// Two loops of runs, each run a process that leaves a daemon behind, after `before` (a lock).
fn runs_in_two_loops(path: &str, before: &[&str]) {
    let script = "for run in $(seq 150); do \"$@\" || exit 1; done";
    let puppet = bin::puppet().display().to_string();
    let run = [&puppet, "mark", path, "auto", "daemon", ",", "sleep", "1"];
    let start = || {
        let mut command = Command::new("sh");
        child::start(command.args(["-c", script, "sh"]).args(before).args(run))
    };
    let mut loops = [start(), start()];
    assert!(loops.iter_mut().all(|one| one.wait().success()));
}

#[test]
fn the_page_is_silent_while_a_lock_is_handed_on_and_speaks_without_it() {
    let dir = Dir::new();
    let (page, path) = page_in(&dir);
    // The daemon holds the lock by the descriptor that it got from flock(1): the kernel frees it as
    // the daemon ends, the moment after it clears the mark.
    let lock = dir.join("lock").display().to_string();
    runs_in_two_loops(&path, &["flock", &lock]);
    assert_eq!((page.overlaps(), page.marks()), ((0, vec![]), (300, 0)));
    runs_in_two_loops(&path, &[]);
    let (overlaps, pairs) = page.overlaps();
    assert!(
        overlaps > 0 && pairs.iter().all(|pair| pair.newcomer != pair.beside),
        "{pairs:?}"
    );
    until("the last has ended", || page.alive().is_empty());
}

#[test]
fn a_daemon_that_left_everything_stands_in_the_page_until_it_is_killed() {
    need!("root");
    let dir = Dir::new();
    let (page, path) = page_in(&dir);
    let run = page.new_run().get();
    // Nobody but PID 1 of the namespace is its parent, so that the end of that one ends it.
    let mut inside = Ns::root().start(&bin::puppet(), &[]);
    let options = "daemon setsid clearenv closefds ignore=TERM,HUP,INT";
    let ready = format!("child {{ mark {path} {run} {options} , hang }}");
    inside.process.ask(&ready);
    assert_eq!(
        page.alive().get(&run),
        Some(&1),
        "marked before its leader ended"
    );
    let daemon = children(inside.pid1()).pop().unwrap();
    signal(daemon, SIGTERM);
    let fds = fs::read_dir(format!("/proc/{daemon}/fd")).unwrap();
    assert_eq!(fds.count(), 0, "it has no descriptor left");
    assert_eq!(page.alive().get(&run), Some(&1), "TERM does not end it");
    signal(daemon, SIGKILL);
    until("the kernel clears the mark", || page.alive().is_empty());
    assert_eq!(page.overlaps().0, 0);
}

#[test]
fn a_zombie_leader_with_a_living_thread_stands_in_the_page() {
    let dir = Dir::new();
    let (page, path) = page_in(&dir);
    let args = [
        "zombie-leader",
        ",",
        "mark",
        &path,
        "1",
        ",",
        "out",
        "marked",
        ",",
        "hang",
    ];
    let mut puppet = child::start(Command::new(bin::puppet()).args(args));
    assert_eq!(puppet.line().as_deref(), Some("marked"));
    let stat = format!("/proc/{}/stat", puppet.pid());
    until("the leader is a zombie", || {
        fs::read_to_string(&stat).unwrap().contains(") Z ")
    });
    assert_eq!(page.alive().get(&1), Some(&1));
    drop(puppet);
    assert!(page.alive().is_empty());
}

#[test]
fn a_storm_of_two_thousand_keeps_its_number_and_ends_with_its_namespace() {
    need!("root");
    let dir = Dir::new();
    let (page, path) = page_in(&dir);
    let script = ["storm", "2000", &path, "1", "500", ",", "hang"];
    let inside = Ns::root().start(&bin::puppet(), &script);
    until("each line has renewed itself", || page.marks().0 > 6_000);
    // Not from the page: of two thousand on two processors most wait for their first instruction.
    let processes = fs::read_dir(inside.path("/proc")).unwrap().flatten();
    let alive =
        processes.filter(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok());
    let alive = alive.count();
    assert!((1_800..=4_100).contains(&alive), "{alive} alive");
    drop(inside);
    until("the storm is over", || page.alive().is_empty());
    assert_eq!((page.overlaps().0, page.marks().1), (0, 0));
}

// The puppet.

#[test]
fn the_puppet_tells_the_state_that_it_was_given() {
    let script = "trap '' PIPE USR1; exec \"$0\" ignore HUP , block USR2 , state 7</dev/null";
    let state = read(
        Command::new("sh")
            .args(["-c", script])
            .arg(bin::puppet())
            .current_dir("/"),
    );
    let state: Value = serde_json::from_str(&state).unwrap();
    let list = |name: &str| -> Vec<i64> {
        state[name]
            .as_array()
            .unwrap()
            .iter()
            .map(|number| number.as_i64().unwrap())
            .collect()
    };
    assert_eq!((list("blocked"), list("caught")), (vec![12], vec![]));
    assert_eq!(list("ignored"), [1, 10, 13]);
    assert!(
        [0, 1, 2, 7].iter().all(|fd| list("fds").contains(fd)),
        "{state}"
    );
    assert_eq!(state["cwd"], "/");
}

#[test]
fn the_puppet_ends_as_told() {
    let ended = |script: &[&str]| output(Command::new(bin::puppet()).args(script)).status;
    assert_eq!(ended(&["exit", "77"]).code(), Some(77));
    assert_eq!(
        ended(&["block", "TERM", ",", "ignore", "TERM", ",", "die", "TERM"]).signal(),
        Some(15)
    );
    assert_eq!(ended(&["no-such-command"]).code(), Some(99));
}

#[test]
fn the_puppet_cleans_up_before_it_ends() {
    let dir = Dir::new();
    let file = dir.join("cleaned");
    let path = file.display().to_string();
    // Blocked before the line: TERM may come before the wait has begun.
    let script = [
        "block", "TERM", ",", "out", "ready", ",", "cleanup", "1", &path, ",", "exit", "3",
    ];
    let mut puppet = child::start(Command::new(bin::puppet()).args(script));
    assert_eq!(puppet.line().as_deref(), Some("ready"));
    signal(puppet.pid(), SIGTERM);
    assert_eq!(puppet.wait().code(), Some(3));
    assert!(file.exists());
}

// Namespaces.

#[test]
fn a_program_is_pid_1_of_a_namespace_with_a_mount_of_its_own() {
    need!("root");
    let (shown, place) = (Dir::new(), Dir::new());
    let file = place.join("file").display().to_string();
    let mut inside = Ns::root()
        .bind(&shown, &place)
        .env("SEEN", "inside")
        .start(&bin::puppet(), &[]);
    let state: Value = serde_json::from_str(&inside.process.ask("state")).unwrap();
    assert_eq!((&state["pid"], &state["ppid"]), (&1.into(), &0.into()));
    assert_eq!(inside.process.ask("env SEEN"), "inside");
    inside.process.ask(&format!("write {file} bound"));
    assert_eq!(fs::read_to_string(shown.join("file")).unwrap(), "bound\n");
    assert!(!place.join("file").exists(), "outside there is no mount");
    let beside = read(inside.enter(bin::puppet()).arg("state"));
    assert_ne!(serde_json::from_str::<Value>(&beside).unwrap()["pid"], 1);
    signal(inside.pid1(), SIGKILL);
    assert_eq!(inside.process.wait().signal(), Some(9));
}

#[test]
fn a_program_is_pid_1_without_privileges_and_its_status_comes_back() {
    need!("userns");
    let mut inside = Ns::user().start(&bin::puppet(), &[]);
    let state: Value = serde_json::from_str(&inside.process.ask("state")).unwrap();
    assert_eq!(state["pid"], 1);
    inside.process.say("exit 7");
    assert_eq!(inside.process.wait().code(), Some(7));
}

#[test]
fn nothing_of_a_namespace_outlives_a_test_that_was_killed() {
    need!("root");
    let dir = Dir::new();
    let (page, path) = page_in(&dir);
    // A thread stands for the test: it ends, and drops nothing.
    let test = thread::spawn(move || {
        let script = [
            "child", "{", "mark", &path, "1", "daemon", ",", "hang", "}", ",", "hang",
        ];
        let inside = Ns::root().start(&bin::puppet(), &script);
        until("the daemon lives", || page.alive().get(&1) == Some(&1));
        std::mem::forget(inside);
        page
    });
    let page = test.join().unwrap();
    until("all are gone", || page.alive().is_empty());
}

// The journal.

#[test]
fn the_real_journald_gives_back_what_was_written() {
    need!("root", "journald", "logger");
    let journal = Journald::start();
    let mut logger = child::start(journal.command("logger").arg("--journald"));
    for line in ["MESSAGE=a lock was freed", "LOCK=/a/b", "PRIORITY=5"] {
        logger.say(line);
    }
    assert!(logger.wait().success());
    let records = journal.records(&["LOCK=/a/b"]);
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["MESSAGE"], "a lock was freed");
    assert_eq!(records[0]["PRIORITY"], "5");
    assert!(journal.records(&["LOCK=/a/c"]).is_empty());
}

#[test]
fn a_stopped_journald_reads_later_what_was_written_meanwhile() {
    need!("root", "journald", "logger");
    let journal = Journald::start();
    halt(journal.pid());
    let mut logger = child::start(journal.command("logger").arg("--journald"));
    logger.say("MESSAGE=nobody listens");
    assert!(
        logger.wait().success(),
        "one record finds room in the socket"
    );
    signal(journal.pid(), SIGCONT);
    assert_eq!(journal.records(&["MESSAGE=nobody listens"]).len(), 1);
}

// The agent.

#[test]
fn the_loopback_api_logs_who_asked_when() {
    need!("root");
    let net = Net::new();
    let api = Api::serve(net.listen(), |who| match who {
        "late" => Answer::After(Duration::from_millis(50)),
        _ => Answer::Now,
    });
    let ask = |who: &str| {
        let host = api.url().replace("http://", "").replace(':', " ");
        let mut command = net.command("busybox");
        command.args(["nc"]).args(host.split(' '));
        let mut asking = child::start(&mut command);
        asking.say(&format!(
            "POST /v1/messages HTTP/1.1\r\nx-api-key: {who}\r\ncontent-length: 2\r\n\r\n{{}}"
        ));
        asking
    };
    let (mut late, mut soon) = (ask("late"), ask("soon"));
    for asking in [&mut late, &mut soon] {
        assert_eq!(asking.line().as_deref(), Some("HTTP/1.1 200 OK\r"));
    }
    api.until("both have ended", |asked| {
        asked.len() == 2 && asked.iter().all(|one| one.ended.is_some())
    });
    let mut asked = api.requests();
    asked.sort_by(|a, b| a.who.cmp(&b.who));
    assert_eq!([&*asked[0].who, &*asked[1].who], ["late", "soon"]);
    assert!(asked[0].overlaps(&asked[0]), "a request overlaps itself");
}

fn results(output: &[u8]) -> Vec<Value> {
    let lines = text(output);
    let objects = lines
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    objects
        .filter(|object| object["type"] == "result")
        .collect()
}

#[test]
fn the_real_agent_answers_against_the_loopback_api() {
    need!("root", "agent");
    let (net, home) = (Net::new(), Dir::new());
    let api = Api::serve(net.listen(), |_| Answer::Now);
    let output = output(&mut agent::command(&net, &api, "key-1", &home));
    let results = results(&output.stdout);
    assert_eq!(
        results.len(),
        1,
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    assert_eq!(
        (&results[0]["is_error"], output.status.code()),
        (&false.into(), Some(0))
    );
    assert_eq!(results[0]["result"], "The lock was free.");
    assert!(
        api.requests()
            .iter()
            .all(|one| one.who == "key-1" && one.ended.is_some())
    );
}

#[test]
fn the_real_agent_reports_an_error_result() {
    need!("root", "agent");
    let (net, home) = (Net::new(), Dir::new());
    let api = Api::serve(net.listen(), |_| Answer::Error);
    let output = output(&mut agent::command(&net, &api, "key-1", &home));
    let results = results(&output.stdout);
    assert_eq!(
        results.len(),
        1,
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    assert_eq!(
        (&results[0]["is_error"], output.status.code()),
        (&true.into(), Some(1))
    );
}

/// The agent as PID 1 of a namespace, so that nothing that it starts is left behind.
fn agent_inside(net: &Net, api: &Api, home: &Dir) -> Inside {
    let ns = agent::env(api, "key-1", home)
        .iter()
        .fold(Ns::root().net(net), |ns, (name, value)| ns.env(name, value));
    let mut inside = ns.start(&agent::program(), &agent::ARGS);
    inside.process.hang_up();
    inside
}

#[test]
fn the_real_agent_hangs_on_an_answer_without_an_end() {
    need!("root", "agent");
    let (net, home, other) = (Net::new(), Dir::new(), Dir::new());
    let api = Api::serve(net.listen(), |who| match who {
        "key-1" => Answer::Endless,
        _ => Answer::Now,
    });
    let mut inside = agent_inside(&net, &api, &home);
    api.until("it asks", |asked| !asked.is_empty());
    // In the time in which another one begins and ends, it has not gone on.
    assert!(
        output(&mut agent::command(&net, &api, "key-2", &other))
            .status
            .success()
    );
    assert_eq!(inside.process.try_wait(), None);
    assert_eq!(api.requests()[0].ended, None);
    drop(inside);
    api.until("its end is seen", |asked| {
        asked.iter().all(|one| one.ended.is_some())
    });
}

#[test]
fn the_real_agent_hangs_after_its_result() {
    need!("root", "agent");
    let (net, home, other) = (Net::new(), Dir::new(), Dir::new());
    let api = Api::serve(net.listen(), |_| Answer::Now);
    agent::hang_after_result(&home.join(".claude"));
    let mut inside = agent_inside(&net, &api, &home);
    let result = r#""type":"result","subtype":"success""#;
    while !inside
        .process
        .line()
        .expect("a result comes")
        .contains(result)
    {}
    assert!(
        output(&mut agent::command(&net, &api, "key-2", &other))
            .status
            .success()
    );
    assert_eq!(inside.process.try_wait(), None);
}

// Containers.

#[test]
fn a_container_sees_a_mounted_folder_as_a_mount_and_its_root_as_an_overlay() {
    need!("root", "podman", "crun", "buildah", "busybox", "static");
    let (podman, shared) = (Podman::ready(), Dir::new());
    let (page, _) = page_in(&shared);
    let inside = "/home/agent/.claude";
    let script = [
        "mark",
        "/home/agent/.claude/page",
        "1",
        ",",
        "out",
        "begun",
        ",",
        "cleanup",
        "1",
    ];
    let script = [
        &script[..],
        &["/home/agent/.claude/cleaned", ",", "exit", "5"],
    ]
    .concat();
    let run = Run::new(&script)
        .entrypoint("puppet")
        .mount(&shared, inside, "rw")
        .env("SEEN", "yes");
    let container = podman.start(&run);
    until("the container stands in the page", || {
        page.alive().get(&1) == Some(&1)
    });
    let mounts = read(&mut container.exec(&["cat", "/proc/mounts"]));
    assert!(mounts.starts_with("overlay / overlay "), "{mounts}");
    assert!(
        mounts
            .lines()
            .any(|line| line.split(' ').nth(1) == Some(inside)),
        "{mounts}"
    );
    assert_eq!(read(&mut container.exec(&["puppet", "env", "SEEN"])), "yes");
    let exe = fs::read_link(format!("/proc/{}/exe", container.pid())).unwrap();
    assert!(
        exe.ends_with("puppet"),
        "{exe:?} is its PID 1, seen from the host"
    );
    container.stop(10);
    assert_eq!((container.wait(), container.logs().as_str()), (5, "begun"));
    assert!(
        shared.join("cleaned").exists(),
        "stop sent TERM and left it the time"
    );
    assert!(page.alive().is_empty());
}

#[test]
fn a_container_runs_to_its_end_and_is_no_more() {
    need!("root", "podman", "crun", "buildah", "busybox", "static");
    let podman = Podman::ready();
    let run = Run::new(&["out", "done", ",", "exit", "78"]).entrypoint("puppet");
    let output = podman.run(&run.with(&["--user", "1000", "--read-only"]));
    assert_eq!(
        (text(&output.stdout).as_str(), output.status.code()),
        ("done\n", Some(78))
    );
    let container = podman.start(&Run::new(&["hang"]).entrypoint("puppet"));
    container.kill(SIGKILL);
    assert_eq!(container.wait(), 137);
    assert_eq!(container.inspect("{{.State.Running}}"), "false");
}

#[test]
fn the_real_agent_answers_in_a_container() {
    need!(
        "root", "podman", "crun", "buildah", "busybox", "static", "agent"
    );
    let (net, home) = (Net::new(), Dir::new());
    let api = Api::serve(net.listen(), |_| Answer::Now);
    let podman = Podman::ready().in_net(&net);
    let mut run = Run::new(&agent::ARGS).entrypoint("claude").agent();
    for (name, value) in agent::env(&api, "key-1", "/home/agent".as_ref()) {
        run = run.env(&name, &value);
    }
    let output = podman.run(&run.mount(&home, "/home/agent/.claude", "rw"));
    let results = results(&output.stdout);
    assert_eq!(
        results.len(),
        1,
        "{}{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    assert_eq!(results[0]["result"], "The lock was free.");
}
