//! `deterministic_core`: what the policy of a run decided in a real run, it decides again from the
//! recorded events and their times alone, on another machine or another day.

use std::fs;
use std::process::Command;

use lockkeeper::core::event::Event;
use lockkeeper::core::run::Run;
use lockkeeper::run::event_log::{Entry, Head};
use nix::sys::signal::Signal::{SIGKILL, SIGSTOP, SIGTERM, SIGUSR1};

use crate::support::bin;
use crate::support::child::{self, Tied, signal};
use crate::support::scene::{Scene, child_of, ended, state};
use crate::support::wait::until;

/// Starts what records itself.
fn recorded(scene: &Scene, options: &str, script: &str) -> Tied {
    fs::create_dir_all(scene.path("events")).unwrap();
    let mut command: Command = scene.run_command(options, script);
    child::start(command.env("LOCKKEEPER_EVENT_LOG", scene.path("events")))
}

/// Replays every log; returns all events that were in them.
fn replayed(scene: &Scene) -> Vec<Event> {
    let mut events = Vec::new();
    for log in fs::read_dir(scene.path("events")).unwrap().flatten() {
        let text = fs::read_to_string(log.path()).unwrap();
        // The last line of a killed monitor may be half a line.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut lines = whole.lines();
        let head: Head = serde_json::from_str(lines.next().unwrap()).unwrap();
        let mut run = Run::new(head.facts);
        let mut before = None;
        for line in lines {
            let entry: Entry = serde_json::from_str(line).unwrap();
            assert!(before <= Some(entry.at), "time goes back: {line}");
            before = Some(entry.at);
            let mut actions = Vec::new();
            run.handle(entry.at, &entry.event, &mut actions);
            assert_eq!(actions, entry.actions, "after {line}");
            events.push(entry.event);
        }
    }
    events
}

#[track_caller]
fn seen(events: &[Event], what: impl Fn(&Event) -> bool) {
    assert!(events.iter().any(what), "not in the logs: {events:?}");
}

const LEAVES: &str = "child { HERMITS , hang }";

fn script(text: &str) -> String {
    text.replace("HERMITS", "mark PAGE auto HERMIT")
}

#[test]
fn deterministic_core_replays_runs_that_end_by_themselves_and_by_watchdogs() {
    let scene = Scene::new();
    let leaves = script(LEAVES);
    let held = scene.hold();
    let mut expired = recorded(&scene, "--wait 200ms", "hang");
    assert_eq!(ended(&mut expired).code(), Some(75));
    drop(held);
    let mut runs = [
        recorded(&scene, "", "exit 3"),
        recorded(&scene, "", &leaves),
        recorded(
            &scene,
            "--timeout 300ms --grace 100ms",
            &format!("{leaves} , ignore TERM , hang"),
        ),
        recorded(
            &scene,
            "--idle-timeout 300ms",
            &format!("lines 5 100 , {leaves} , hang"),
        ),
    ];
    for run in &mut runs {
        ended(run);
    }
    let events = replayed(&scene);
    assert_eq!(
        fs::read_dir(scene.path("events")).unwrap().count(),
        runs.len() + 1
    );
    seen(&events, |event| matches!(event, Event::LockBusy));
    seen(&events, |event| matches!(event, Event::LastOutput { .. }));
    seen(&events, |event| matches!(event, Event::Tick));
    scene.assert_empty();
}

#[test]
fn deterministic_core_replays_runs_with_kills_and_stops() {
    let scene = Scene::new();
    let leaves = script(LEAVES);
    let stays = format!("{leaves} , out begun , hang");
    let begun = |options: &str, script: &str| {
        let mut run = recorded(&scene, options, script);
        assert_eq!(run.line().as_deref(), Some("begun"));
        run
    };

    // The command is killed.
    let mut run = begun("", &stays);
    signal(child_of(child_of(run.pid())), SIGKILL);
    ended(&mut run);

    // The guard is killed.
    let mut run = begun("--grace 100ms", &stays);
    signal(run.pid(), SIGKILL);
    ended(&mut run);
    until("the lock is free", || scene.is_free());

    // Signals that pass, a stopped command, and a stop.
    let mut run = begun(
        "--grace 100ms",
        "block USR1 , out begun , wait USR1 , out heard , hang",
    );
    signal(run.pid(), SIGUSR1);
    assert_eq!(run.line().as_deref(), Some("heard"));
    let command = child_of(child_of(run.pid()));
    signal(command, SIGSTOP);
    until("the command is stopped", || state(command) == Some('T'));
    signal(run.pid(), SIGTERM);
    ended(&mut run);

    // A command that cannot start.
    let mut command = scene.run_command("", "");
    let program = scene.puppet();
    fs::rename(&program, scene.path("gone")).unwrap();
    let mut run = child::start(command.env("LOCKKEEPER_EVENT_LOG", scene.path("events")));
    ended(&mut run);
    fs::rename(scene.path("gone"), program).unwrap();

    // The monitor is killed.
    let mut run = begun("", &stays);
    signal(child_of(run.pid()), SIGKILL);
    ended(&mut run);

    let events = replayed(&scene);
    assert_eq!(fs::read_dir(scene.path("events")).unwrap().count(), 5);
    seen(&events, |event| matches!(event, Event::GuardLost));
    seen(&events, |event| {
        matches!(event, Event::Signal { signo: 15, .. })
    });
    seen(&events, |event| matches!(event, Event::SpawnFailed { .. }));
    seen(&events, |event| {
        matches!(event, Event::Reaped { empty: true, .. })
    });
    scene.assert_empty();
}

#[test]
fn deterministic_core_replays_the_watch_over_a_lock_directory() {
    let scene = Scene::new();
    let config = scene.config(
        "[classes.batch]
        identity = \"DIR\"
        refresh = \"200ms\"
        [jobs.dev]
        class = \"batch\"
        command = [\"mkdir\", \"DIR/.oauth_refresh.lock\"]",
    );
    fs::create_dir(scene.path("events")).unwrap();
    let mut command = Command::new(bin::lockkeeper());
    child::bare(&mut command)
        .args(["run", "-c"])
        .arg(config)
        .arg("dev")
        .env("LOCKKEEPER_EVENT_LOG", scene.path("events"));
    assert!(ended(&mut child::start(&mut command)).success());
    assert!(!scene.path(".oauth_refresh.lock").exists());
    let doubtful = |event: &Event| matches!(event, Event::Swept { doubtful: true });
    seen(&replayed(&scene), doubtful);
}
