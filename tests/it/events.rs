//! The command of `on_event`: what it is told, and that nothing waits for it. As PID 1 of a namespace of
//! its own.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::control::Desk;
use crate::support::bin;
use crate::support::child::{self, bare, output};
use crate::support::need::need;
use crate::support::scene::Scene;
use crate::support::wait::until;

const QUICK: &str = "[classes.quick]\nkind = \"interactive\"\nstdin = \"null\"\n";

/// A container that stays, with that command and these jobs.
fn desk(on_event: &str, jobs: &str) -> Desk {
    Desk::new(&format!(
        "[init]\nname = \"here\"\nstay = true\non_event = {on_event}\n{QUICK}{jobs}"
    ))
}

/// What the command was told, an event each.
fn told(desk: &Desk) -> Vec<Value> {
    told_in(&desk.scene)
}

fn told_in(scene: &Scene) -> Vec<Value> {
    let text = fs::read_to_string(scene.path("told")).unwrap_or_default();
    let lines = text
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'));
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

fn kinds(desk: &Desk) -> Vec<String> {
    kinds_in(&desk.scene)
}

fn kinds_in(scene: &Scene) -> Vec<String> {
    let kind = |event: &Value| event["KIND"].as_str().unwrap_or_default().to_owned();
    told_in(scene).iter().map(kind).collect()
}

#[test]
fn the_command_of_on_event_is_told_each_event_of_init_and_of_its_runs_in_order() {
    need!("root");
    let desk = desk(
        r#"{ command = ["sh", "-c", "cat >> DIR/told"], kinds = ["init_started", "started", "ended"] }"#,
        "[jobs.a]\nclass = \"quick\"\nscript = exit 3\n",
    );
    until("the end is told", || {
        kinds(&desk).contains(&"ended".to_owned())
    });
    assert_eq!(kinds(&desk), ["init_started", "started", "ended"]);
    let all = told(&desk);
    assert!(all.iter().all(|event| event["CONTAINER_NAME"] == "here"));
    let ended = &all[2];
    assert_eq!(
        (&ended["JOB"], &ended["JOB_CLASS"]),
        (&"a".into(), &"quick".into())
    );
    assert_eq!(
        (&ended["RUN_CODE"], &ended["REASON"]),
        (&"3".into(), &"ended".into())
    );
    assert_eq!(ended["RUN_ID"], all[1]["RUN_ID"]);
    assert!(
        ended["MESSAGE"]
            .as_str()
            .unwrap()
            .starts_with("job a: ended after "),
        "{ended}"
    );
}

#[test]
fn where_no_kinds_are_named_it_is_told_of_warnings_and_errors_alone() {
    need!("root");
    let desk = desk(
        r#"{ command = ["sh", "-c", "cat >> DIR/told"] }"#,
        "[jobs.good]\nclass = \"quick\"\nscript = exit 0\n\
         [jobs.slow]\nclass = \"quick\"\ntimeout = \"100ms\"\nscript = sleep 1000\n",
    );
    until("the end is told", || {
        kinds(&desk).contains(&"ended".to_owned())
    });
    let all = told(&desk);
    assert!(all.iter().all(|event| event["JOB"] == "slow"), "{all:?}");
    assert_eq!(
        all.last().map(|event| &event["REASON"]),
        Some(&"timeout".into())
    );
}

#[test]
fn a_command_that_hangs_holds_nothing_up_and_is_killed_in_its_time_which_is_said_once() {
    need!("root");
    let desk = desk(
        r#"{ command = ["sh", "-c", "echo x >> DIR/begun; sleep 1000 & wait"], kinds = ["ended"], timeout = "1s" }"#,
        "[jobs.a]\nclass = \"quick\"\nstart = \"manual\"\nscript = exit 0\n",
    );
    for _ in 0..3 {
        assert_eq!(desk.ask(&["start", "a"]).code, 0);
        until("it is over", || desk.state("a") != "running");
    }
    until("each was told", || desk.lines("begun") == 3);
    assert_eq!(desk.said("\"sh\", took longer than 1s and was killed"), 1);
    assert_eq!(desk.said("on_event"), 1);
}

#[test]
fn a_command_that_cannot_be_run_is_said_once_and_a_reload_puts_another_in_its_place() {
    need!("root");
    let jobs = "[jobs.a]\nclass = \"quick\"\nstart = \"manual\"\nscript = exit 0\n";
    let desk = desk(r#"{ command = ["/no/such"], kinds = ["ended"] }"#, jobs);
    let run = || {
        assert_eq!(desk.ask(&["start", "a"]).code, 0);
        until("it is over", || desk.state("a") != "running");
    };
    run();
    until("it is said", || {
        desk.said("\"/no/such\", ended with exit code 127") == 1
    });
    run();
    desk.scene.config(&format!(
        "[init]\nname = \"here\"\nstay = true\n\
         on_event = {{ command = [\"sh\", \"-c\", \"cat >> DIR/told\"], kinds = [\"ended\"] }}\n{QUICK}{jobs}"
    ));
    let reload = desk.ask(&["reload"]);
    assert_eq!(reload.code, 0);
    assert!(reload.out.contains("on_event"), "{}", reload.out);
    run();
    until("the new one is told", || kinds(&desk) == ["ended"]);
    assert_eq!(desk.said("on_event"), 1);
}

#[test]
fn what_ends_init_is_told_before_it_ends() {
    let scene = Scene::new();
    let file = scene.config(&format!(
        "[init]
        on_event = {{ command = [\"sh\", \"-c\", \"cat >> DIR/told\"], kinds = [\"ended\", \"init_ended\"] }}
        {QUICK}[jobs.a]
        class = \"quick\"
        script = exit 3"
    ));
    let mut command = Command::new(bin::lockkeeper());
    let ended = output(bare(&mut command).arg("-c").arg(&file));
    assert_eq!(ended.status.code(), Some(3));
    assert_eq!(kinds_in(&scene), ["ended", "init_ended"]);
}

#[test]
fn a_command_that_hangs_at_the_end_of_init_ends_with_it() {
    let scene = Scene::new();
    let file = scene.config(&format!(
        "[init]
        on_event = {{ command = [\"sh\", \"-c\", \"trap '' TERM; echo x >> DIR/begun; sleep 1000 & wait\"], kinds = [\"ended\"] }}
        {QUICK}[jobs.a]
        class = \"quick\"
        script = exit 3"
    ));
    let mut command = Command::new(bin::lockkeeper());
    let mut init = child::start(bare(&mut command).arg("-c").arg(&file));
    until("it was told", || scene.path("begun").exists());
    assert_eq!(init.wait().code(), Some(3));
}
