//! Clients that mean no good: only they suffer.

use std::fs;
use std::net::Shutdown;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use nix::sys::signal::Signal;
use nix::sys::socket::{MsgFlags, send};

use super::{Asked, Desk, JOBS, Talk};
use crate::support::bin;
use crate::support::child::{output, read, signal};
use crate::support::need::need;
use crate::support::ns::Ns;
use crate::support::scene::ended;
use crate::support::wait::until;

const HELLO: &str = r#"{"v":1,"op":"hello"}"#;

#[test]
fn what_is_no_request_is_answered_with_a_reason_and_the_connection_closed() {
    need!("root");
    let desk = Desk::new(JOBS);
    let deep = "[".repeat(60_000);
    for garbage in [
        "\n",
        "hello\n",
        "GET / HTTP/1.1\r\nHost: init\r\n\r\n",
        "{\"v\":1,\"op\":\"hello\"\n",
        "{\"v\":2,\"op\":\"hello\"}\n",
        "{\"v\":1,\"op\":\"kill\",\"job\":\"dev\"}\n",
        "{\"v\":1,\"op\":\"start\"}\n",
        "\0\0\0\0\n",
        "\u{1b}[2J\n",
        &format!("{deep}\n"),
    ] {
        let mut talk = desk.connect();
        talk.send(garbage.as_bytes());
        let line = talk.line().expect("an answer");
        let answer: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(
            (&answer["ok"], &answer["code"]),
            (&false.into(), &64.into())
        );
        assert_eq!(talk.line(), None, "closed after {garbage:?}");
    }
    desk.is_well();
}

#[test]
fn half_a_line_is_no_order_and_a_line_that_is_too_long_is_refused() {
    need!("root");
    let desk = Desk::new(JOBS);
    // Its newline never comes.
    let mut half = desk.connect();
    assert!(half.send(br#"{"v":1,"op":"start","job":"dev"}"#));
    half.stream().shutdown(Shutdown::Write).unwrap();
    assert_eq!(half.line(), None);
    assert_eq!(desk.state("dev"), "idle");
    let before = desk.own_kb();
    for _ in 0..20 {
        let mut long = desk.connect();
        let ten_megabytes = vec![b'x'; 10 * 1024 * 1024];
        assert!(!long.send(&ten_megabytes), "nobody reads all of it");
        if let Some(line) = long.line() {
            assert!(line.contains("is no request"), "{line}");
        }
    }
    let after = desk.own_kb();
    assert!(after < before + 1024, "{before} kB, then {after} kB");
    desk.is_well();
}

#[test]
fn several_requests_in_one_piece_are_answered_one_by_one_also_when_no_more_can_come() {
    need!("root");
    let desk = Desk::new(JOBS);
    let mut talk = desk.connect();
    let status = r#"{"v":1,"op":"status"}"#;
    talk.send(format!("{HELLO}\n{status}\n").repeat(100).as_bytes());
    talk.stream().shutdown(Shutdown::Write).unwrap();
    for _ in 0..100 {
        assert!(talk.line().unwrap().contains("\"init\":{\"pid\":1"));
        assert!(talk.line().unwrap().contains("\"jobs\":["));
    }
    assert_eq!(talk.line(), None);
}

#[test]
fn a_thousand_clients_that_say_nothing_keep_nobody_from_asking() {
    need!("root");
    let desk = Desk::new(JOBS);
    let before = desk.own_kb();
    let mut crowd: Vec<Talk> = Vec::new();
    for _ in 0..1000 {
        crowd.push(desk.connect());
    }
    desk.is_well();
    let fds = fs::read_dir(format!("/proc/{}/fd", desk.pid()))
        .unwrap()
        .count();
    assert!(fds < 100, "{fds} descriptors");
    // The last ones are still heard; the first ones had to go.
    let last = crowd.last_mut().unwrap();
    assert_eq!(last.ask(HELLO)["init"]["pid"], 1);
    assert_eq!(crowd[0].line(), None);
    let after = desk.own_kb();
    assert!(after < before + 1024, "{before} kB, then {after} kB");
    drop(crowd);
    desk.is_well();
}

#[test]
fn clients_that_never_read_are_not_heard_either() {
    need!("root");
    let desk = Desk::new(JOBS);
    let before = desk.own_kb();
    let mut crowd = Vec::new();
    for _ in 0..80 {
        let talk = desk.connect();
        let status = "{\"v\":1,\"op\":\"status\"}\n".repeat(100);
        // Until nobody takes any more.
        let full = |talk: &Talk| {
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
            send(talk.stream().as_raw_fd(), status.as_bytes(), flags).is_err()
        };
        while !full(&talk) {}
        crowd.push(talk);
    }
    desk.is_well();
    let after = desk.own_kb();
    // A line and a piece for each of the sixty-four, and their replies.
    assert!(
        after < before + 64 * 70 + 2048 + 1024,
        "{before} kB, then {after} kB"
    );
    assert_eq!(desk.ask(&["start", "dev"]).code, 0);
}

#[test]
fn init_stops_in_order_while_clients_hang() {
    need!("root");
    let mut desk = Desk::new(JOBS);
    let crowd: Vec<Talk> = (0..64).map(|_| desk.connect()).collect();
    let mut waiting = desk.connect();
    waiting.send(b"{\"v\":1,\"op\":\"stop\",\"job\":\"chat\"}\n");
    until("it is told to stop", || desk.said("chat: stopping") > 0);
    signal(desk.pid(), Signal::SIGTERM);
    assert_eq!(
        ended(&mut desk.init.process).code(),
        Some(0),
        "{}",
        desk.errors()
    );
    let answer = waiting.line().expect("an answer");
    assert!(answer.contains("\"result\":\"stopped\""), "{answer}");
    desk.scene.assert_empty();
    drop(crowd);
}

#[test]
fn who_waits_for_an_answer_goes_last_and_who_has_gone_is_not_answered() {
    need!("root");
    let long = "[jobs.long]\nclass = \"interactive\"\nstdin = \"null\"\n\
                stop = { grace = \"10m\" }\nscript = ignore TERM , block USR1 , mark PAGE 3 , wait USR1 , exit 5\n";
    let desk = Desk::new(&format!("{JOBS}{long}"));
    until("it runs", || desk.scene.page.alive().get(&3) == Some(&1));
    let stop = b"{\"v\":1,\"op\":\"stop\",\"job\":\"long\"}\n";
    let gone = desk.connect();
    gone.send(stop);
    until("it is told to stop", || desk.state("long") == "stopping");
    drop(gone);
    let mut waiting = desk.connect();
    waiting.send(stop);
    desk.is_well();
    waiting.send(format!("{HELLO}\n").as_bytes());
    let crowd: Vec<Talk> = (0..200).map(|_| desk.connect()).collect();
    desk.is_well();
    for pid in desk.scene.living() {
        signal(pid, Signal::SIGUSR1);
    }
    let answer = waiting.line().expect("its place was not taken");
    assert!(answer.contains("\"exit\":5"), "{answer}");
    let answer = waiting.line().expect("the second was kept for later");
    assert!(answer.contains("\"pid\":1"), "{answer}");
    drop(crowd);
}

#[test]
fn without_descriptors_for_newcomers_init_goes_on_and_does_not_spin() {
    need!("root");
    let desk = Desk::with(Ns::root().shell("ulimit -n 24"), JOBS);
    let crowd: Vec<Talk> = (0..100).map(|_| desk.connect()).collect();
    let ticks = desk.lines("ticks");
    let before = desk.used();
    until("ticks come", || desk.lines("ticks") >= ticks + 3);
    let used = desk.used() - before;
    assert!(used < 100, "{used} of some 300 ticks of the clock");
    drop(crowd);
    desk.is_well();
}

#[test]
fn while_no_descriptor_is_to_be_had_who_knocks_waits_and_init_does_not_spin() {
    need!("root", "prlimit");
    let desk = Desk::new(JOBS);
    let pid = desk.pid();
    let limit = |number: usize| {
        let mut command = Command::new("prlimit");
        read(command.args([
            "--pid",
            &pid.to_string(),
            &format!("--nofile={number}:1024"),
        ]));
    };
    until("it runs", || desk.scene.page.alive().get(&2) == Some(&1));
    // All numbers below are taken, also where no guard is being started or ends.
    let is_open = |number: usize| fs::symlink_metadata(format!("/proc/{pid}/fd/{number}")).is_ok();
    let taken = || (0..1000).find(|number| !is_open(*number)).unwrap();
    limit((0..500).map(|_| taken()).min().unwrap());
    let failed = || desk.said("no run started");
    until("no guard is to be had", || failed() > 0);
    let mut knocks = desk.connect();
    let (before, used) = (failed(), desk.used());
    until("time goes by", || failed() >= before + 3);
    let used = desk.used() - used;
    assert!(used < 100, "{used} of some 300 ticks of the clock");
    limit(1024);
    assert_eq!(knocks.ask(HELLO)["init"]["pid"], 1);
    desk.is_well();
}

#[test]
fn another_user_may_not_even_ask_for_health() {
    need!("root", "setpriv");
    let desk = Desk::new(JOBS);
    let program = desk.scene.path("program");
    fs::copy(bin::lockkeeper(), &program).unwrap();
    fs::set_permissions(desk.scene.folder(), PermissionsExt::from_mode(0o777)).unwrap();
    let as_nobody = |args: &[&str]| {
        let mut command = desk.init.enter("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        Asked::of(&output(command.arg(&program).args(args)))
    };
    let health = as_nobody(&["health"]);
    assert_eq!(health.code, 1);
    assert!(
        health
            .err
            .contains("only the user that it runs as, and root"),
        "{health:?}"
    );
    // The kernel kept it out; so does init, where somebody has widened the mode.
    fs::set_permissions(desk.socket(), PermissionsExt::from_mode(0o666)).unwrap();
    for args in [&["health"][..], &["stop", "chat"], &["reload"]] {
        let asked = as_nobody(args);
        assert!(asked.code == 1 || asked.code == 69, "{asked:?}");
        assert!(
            asked.err.contains("only user 0, as which init runs"),
            "{asked:?}"
        );
    }
    assert_eq!(desk.state("chat"), "running");
    desk.is_well();
}
