//! `NOTIFY_SOCKET`: what a command says of itself, who is believed, and what init says to whoever
//! started it.

mod outer;
mod senders;

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::Signal::SIGCONT;

use super::support::bin;
use super::support::child::{self, Tied, halt, output, signal, text};
use super::support::need::need;
use super::support::scene::{Scene, child_of, ended, state};
use super::support::wait::until;

/// `lockkeeper run -v -c FILE dev`, a batch job with these `keys`; its notes go to the file `notes`.
fn dev(scene: &Scene, keys: &str) -> Command {
    let file = scene.config(&format!("[jobs.dev]\nclass = \"batch\"\n{keys}\n"));
    let mut command = Command::new(bin::lockkeeper());
    child::bare(&mut command)
        .args(["run", "-v", "-c"])
        .arg(file)
        .arg("dev");
    command.stderr(File::create(scene.path("notes")).unwrap());
    command
}

fn start(scene: &Scene, keys: &str) -> Tied {
    child::start(&mut dev(scene, keys))
}

fn notes(scene: &Scene) -> String {
    text(&fs::read(scene.path("notes")).unwrap())
}

#[track_caller]
fn until_noted(scene: &Scene, what: &str) {
    until(what, || notes(scene).contains(what));
}

/// The command's exit code and what it printed.
fn told(scene: &Scene, keys: &str) -> (Option<i32>, String) {
    let ran = output(&mut dev(scene, keys));
    (ran.status.code(), text(&ran.stdout))
}

#[test]
fn a_real_client_is_understood_and_does_not_wait_for_us() {
    need!("systemd-notify");
    let scene = Scene::new();
    // Each waits until its datagram was read and a descriptor that went along was closed
    // (sd_notify_barrier(3)); 4 s at most.
    let (code, said) = told(
        &scene,
        "ready_timeout = \"25s\"
        heartbeat = \"25s\"
        command = [\"sh\", \"-c\", '''set -e; systemd-notify --status='half way' WATCHDOG=1
        systemd-notify --ready RELOADING=0 MAINPID=1 EXTEND_TIMEOUT_USEC=9000000
        echo $WATCHDOG_USEC; test $WATCHDOG_PID = $$; systemd-notify STOPPING=1; exit 7''']",
    );
    assert_eq!(
        (code, said.as_str()),
        (Some(7), "25000000\n"),
        "{}",
        notes(&scene)
    );
    until_noted(&scene, "ready after");
    assert!(!notes(&scene).contains("not heard"));
}

#[test]
fn a_command_that_never_gets_ready_is_ended_with_124() {
    let scene = Scene::new();
    let keys = "ready_timeout = \"300ms\"\nscript = notify WATCHDOG=1 , notify READY=0 , hang";
    assert_eq!(told(&scene, keys).0, Some(124));
    assert!(notes(&scene).contains("stopping (ready_timeout)"));
    assert!(notes(&scene).contains("ended by ready_timeout"));
}

#[test]
fn a_command_that_hangs_is_ended_by_its_heartbeat_and_one_that_lives_is_not() {
    let beats = "notify WATCHDOG=1 , sleep 300 , ".repeat(12);
    for (end, code) in [("exit 7", 7), ("hang", 124)] {
        let scene = Scene::new();
        let keys = format!("heartbeat = \"3s\"\nscript = {beats} {end}");
        assert_eq!(told(&scene, &keys).0, Some(code), "{}", notes(&scene));
        let ended = notes(&scene).contains("ended by heartbeat");
        assert_eq!(ended, code == 124, "{}", notes(&scene));
    }
}

#[test]
fn a_command_that_gives_itself_up_is_ended_at_once() {
    let scene = Scene::new();
    let keys = "notify = true\nscript = notify WATCHDOG=trigger , hang";
    assert_eq!(told(&scene, keys).0, Some(124));
    assert!(notes(&scene).contains("stopping (heartbeat)"));
}

#[test]
fn a_command_may_change_its_heartbeat_and_hang_in_its_own_end_no_longer_than_in_a_stop() {
    for says in ["WATCHDOG_USEC=300000", "STOPPING=1"] {
        let scene = Scene::new();
        let keys = format!(
            "heartbeat = \"1h\"\nstop = {{ grace = \"300ms\" }}\nscript = notify {says} , hang"
        );
        assert_eq!(told(&scene, &keys).0, Some(124), "{says}");
        assert!(notes(&scene).contains("ended by heartbeat"), "{says}");
    }
}

#[test]
fn a_command_has_the_time_that_it_asks_for_as_long_as_it_runs() {
    // Each would be ended after two seconds, and takes three.
    for limit in ["ready_timeout = \"2s\"", "timeout = \"2s\"\nnotify = true"] {
        let scene = Scene::new();
        let keys =
            format!("{limit}\nscript = notify EXTEND_TIMEOUT_USEC=20000000 , sleep 3000 , exit 7");
        assert_eq!(told(&scene, &keys).0, Some(7), "{limit}: {}", notes(&scene));
    }
}

#[test]
fn a_command_has_the_time_that_it_asks_for_while_it_is_stopped() {
    let scene = Scene::new();
    let mut run = start(
        &scene,
        "notify = true
        stop = { grace = \"2s\", leftover_grace = \"0s\" }
        script = out up , wait TERM , notify EXTEND_TIMEOUT_USEC=20000000 , sleep 3000 , exit 7",
    );
    assert_eq!(run.line().as_deref(), Some("up"));
    until("it waits for TERM", || {
        let [_, _, command] = processes(&run);
        state(command) == Some('S')
    });
    signal(run.pid(), nix::sys::signal::Signal::SIGTERM);
    assert_eq!(ended(&mut run).code(), Some(7), "{}", notes(&scene));
}

#[test]
fn what_a_command_said_last_is_heard_though_it_has_gone() {
    for n in 0..20 {
        let scene = Scene::new();
        let keys = "ready_timeout = \"20s\"\nscript = child { notify READY=1 } , exit 3";
        assert_eq!(told(&scene, keys).0, Some(3));
        assert!(
            notes(&scene).contains("ready after"),
            "{n}: {}",
            notes(&scene)
        );
    }
}

/// Every process of the run, the guard first.
fn processes(run: &Tied) -> [i32; 3] {
    let monitor = child_of(run.pid());
    [run.pid(), monitor, child_of(monitor)]
}

#[test]
fn a_pause_of_all_does_not_end_a_command_that_lives() {
    let beats = "notify WATCHDOG=1 , sleep 200 , ".repeat(10);
    let scene = Scene::new();
    let keys = format!("heartbeat = \"2s\"\nscript = notify WATCHDOG=1 , out up , {beats} exit 7");
    let mut run = start(&scene, &keys);
    assert_eq!(run.line().as_deref(), Some("up"));
    let [guard, monitor, command] = processes(&run);
    for pid in [guard, command, monitor] {
        halt(pid);
    }
    // Beyond the heartbeat and beyond what is taken for a slow machine.
    sleep(Duration::from_secs(3));
    // The worst case: the watchdog wakes before the command can say anything.
    signal(monitor, SIGCONT);
    until("it has looked at the time", || state(monitor) == Some('S'));
    signal(guard, SIGCONT);
    signal(command, SIGCONT);
    assert_eq!(ended(&mut run).code(), Some(7), "{}", notes(&scene));
}

#[test]
fn only_who_asks_for_it_has_a_socket_and_nobody_inherits_that_of_another() {
    let ask = "script = env NOTIFY_SOCKET , env WATCHDOG_USEC , env WATCHDOG_PID";
    let scene = Scene::new();
    assert_eq!(told(&scene, ask), (Some(0), "\n\n\n".to_owned()));
    // In a unit of systemd's, a job with a socket of its own: the unit's is not its, nor its watchdog.
    let mut run = dev(&scene, &format!("notify = true\n{ask}"));
    let outer = [
        ("NOTIFY_SOCKET", "/nowhere"),
        ("WATCHDOG_USEC", "7"),
        ("WATCHDOG_PID", "1"),
    ];
    let said = text(&output(run.envs(outer)).stdout);
    let mut lines = said.lines();
    assert!(
        lines.next().unwrap().starts_with("@lockkeeper-notify-"),
        "{said}"
    );
    assert_eq!(lines.collect::<Vec<_>>(), ["", ""]);
    // One without: it speaks to systemd itself.
    let mut run = dev(&scene, ask);
    let said = text(&output(run.envs(outer)).stdout);
    assert_eq!(said, "/nowhere\n7\n1\n");
    assert!(!Path::new("/nowhere").exists());
}

#[test]
fn a_status_is_one_short_line_without_secrets() {
    let scene = Scene::new();
    let (many, more) = ("x".repeat(3000), "y".repeat(100_000));
    let keys = format!(
        "notify = true
        env = {{ GH_TOKEN = \"sesame-open\" }}
        redact = [\"GH_TOKEN\"]
        script = notify STATUS=with sesame-open and {many} , notify STATUS={more} , sleep 1100 , notify STATUS=last , exit 3"
    );
    let log = scene.path("events");
    fs::create_dir(&log).unwrap();
    let mut run = dev(&scene, &keys);
    let ran = output(run.env("LOCKKEEPER_EVENT_LOG", &log));
    assert_eq!(ran.status.code(), Some(3));
    let log = fs::read_dir(&log).unwrap().next().unwrap().unwrap().path();
    let log = fs::read_to_string(log).unwrap();
    assert!(
        !log.contains("sesame-open") && !log.contains("yyy"),
        "{log}"
    );
    let told = |line: &&str| line.contains("tell_status");
    let told: Vec<&str> = log.lines().filter(told).collect();
    assert_eq!(told.len(), 2, "{log}");
    let start = "with *** and ";
    let cut = format!("\"{start}{}…\"", "x".repeat(199 - start.len()));
    assert!(told.iter().any(|line| line.contains(&cut)), "{log}");
}
