//! The real agent, Claude Code, in real containers, against a messages API on loopback whose log
//! says who asked when.
//!
//! The batch containers run config/agents.toml itself; where a limit of it is too long for a test,
//! that one value is another.

use std::fs;
use std::process::Output;

use serde_json::Value;

use crate::support::agent;
use crate::support::api::{Answer, Api};
use crate::support::child::text;
use crate::support::dir::Dir;
use crate::support::need::need;
use crate::support::net::Net;
use crate::support::podman::Run;
use crate::support::wait::until;
use crate::support::yard::{LOGIN, Yard, repository};

/// Agents in containers over one login, and the API that they ask.
struct Desk {
    yard: Yard,
    api: Api,
    work: Dir,
    _net: Net,
}

impl Desk {
    fn new(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> Self {
        let (net, work) = (Net::new(), Dir::new());
        for name in ["dev", "review"] {
            fs::create_dir(work.join(name)).unwrap();
        }
        let api = Api::serve(net.listen(), answer);
        let yard = Yard::new().in_net(&net);
        Self {
            yard,
            api,
            work,
            _net: net,
        }
    }

    /// A container with the agent in it, that asks as `key`.
    fn container(&self, key: &str, args: &[&str]) -> Run {
        let env = agent::env(&self.api, key, "/home/agent".as_ref());
        env.iter()
            .fold(Run::new(args).agent(), |run, (name, value)| {
                run.env(name, value)
            })
    }

    /// The same, with config/agents.toml, in which `changes` were made, and what it mounts.
    fn batch(&self, key: &str, args: &[&str], changes: &[(&str, &str)]) -> Run {
        let mut toml = fs::read_to_string(repository("config/agents.toml")).unwrap();
        for (from, to) in changes {
            assert_eq!(toml.matches(from).count(), 1, "\"{from}\" in agents.toml");
            toml = toml.replace(from, to);
        }
        let file = self.work.join(format!("{key}.toml"));
        fs::write(&file, toml).unwrap();
        self.container(key, args)
            .mount(self.yard.scene.folder(), LOGIN, "rw")
            .mount(&self.work, "/srv/agent", "rw")
            .mount(&file, "/etc/lockkeeper.toml", "ro")
    }
}

/// What the agent says in the end, and the exit code.
fn result(output: &Output) -> (Option<Value>, Option<i32>) {
    let lines = text(&output.stdout);
    let mut objects = lines
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let result = objects.rfind(|object| object["type"] == "result");
    (result, output.status.code())
}

#[test]
fn the_real_agent_takes_turns_in_three_containers_and_an_interactive_one_passes() {
    need!(
        "root", "podman", "crun", "buildah", "busybox", "static", "agent"
    );
    // No batch agent gets its answer before the interactive one has asked. So all are at work at
    // once as far as the lock lets them; and if the interactive one waited, none would ever end.
    let desk = Desk::new(|who| match who {
        "chat" => Answer::Now,
        _ => Answer::Behind("chat"),
    });
    let keys = ["batch-1", "batch-2", "batch-3"];
    let batch = keys.map(|key| desk.yard.podman.start(&desk.batch(key, &[], &[])));
    desk.api
        .until("one has its turn", |asked| !asked.is_empty());
    until("the others wait, or ask beside it", || {
        let asked = desk.api.requests();
        let asking = |key: &&&str| asked.iter().any(|one| one.who == **key);
        desk.yard.scene.waiting() >= 2 || keys.iter().filter(asking).count() == 3
    });
    // With the same login, which is unwise, but must not make anybody wait.
    let interactive = "[classes.interactive]\nidentity = \"/home/agent/.claude\"\n[jobs.dev]";
    let changes = [("[jobs.dev]", interactive)];
    let run = "run --class interactive --wait 20s -- claude";
    let mut args: Vec<&str> = run.split(' ').collect();
    args.extend(agent::ARGS);
    let chat = desk.yard.podman.run(&desk.batch("chat", &args, &changes));
    let (answer, code) = result(&chat);
    assert_eq!(code, Some(0), "{}", text(&chat.stderr));
    assert_eq!(answer.unwrap()["result"], "The lock was free.");
    desk.api.until("each batch agent has its answer", |asked| {
        let answered = |key: &&str| {
            let mut own = asked.iter().filter(|one| one.who == **key);
            own.any(|one| one.ended.is_some())
        };
        keys.iter().all(answered)
    });
    until("no run is left", || desk.yard.scene.claims().is_empty());
    let asked = desk.api.requests();
    for container in &batch {
        assert!(container.stop(30), "podman had to kill it");
        assert_eq!(container.wait(), 0, "{}", container.errors());
    }
    let (chats, batches): (Vec<_>, Vec<_>) = asked.iter().partition(|one| one.who == "chat");
    for (at, one) in batches.iter().enumerate() {
        let beside = batches[..at]
            .iter()
            .find(|other| other.who != one.who && one.overlaps(other));
        assert!(beside.is_none(), "{one:?} overlaps {beside:?}");
    }
    assert!(chats[0].begun < batches[0].ended.unwrap(), "{asked:?}");
}

#[test]
fn the_real_agent_whose_api_never_ends_its_stream_is_ended_by_idle_timeout() {
    need!(
        "root", "podman", "crun", "buildah", "busybox", "static", "agent"
    );
    let desk = Desk::new(|_| Answer::Endless);
    let changes = [
        ("idle_timeout = \"15m\"", "idle_timeout = \"15s\""),
        ("\ntimeout = \"2h\"", "\ntimeout = \"40s\""),
    ];
    let output = (desk.yard.podman).run(&desk.batch("batch", &["run", "dev"], &changes));
    let told = text(&output.stderr);
    assert_eq!(result(&output), (None, Some(124)), "{told}");
    assert!(told.contains("idle_timeout"), "{told}");
    assert!(!desk.api.requests().is_empty(), "it had asked");
    assert!(desk.yard.scene.is_free());
}

#[test]
fn the_real_agent_that_hangs_after_its_result_is_ended_by_final_and_its_result_is_kept() {
    need!(
        "root", "podman", "crun", "buildah", "busybox", "static", "agent"
    );
    for (answer, failed, exit) in [(Answer::Now, false, 0), (Answer::Error, true, 1)] {
        let desk = Desk::new(move |_| answer);
        agent::hang_after_result(desk.yard.scene.folder());
        // The line and the word for failure are those of the file.
        let changes = [
            ("grace = \"30s\"", "grace = \"1s\""),
            ("grace = \"15s\"", "grace = \"1s\""),
            ("\ntimeout = \"2h\"", "\ntimeout = \"40s\""),
        ];
        let run = desk.batch("batch", &["run", "-v", "dev"], &changes);
        let output = desk.yard.podman.run(&run);
        let told = text(&output.stderr);
        let (result, code) = result(&output);
        assert_eq!(code, Some(exit), "{told}");
        assert_eq!(result.unwrap()["is_error"], failed);
        assert!(told.contains("ended by final"), "{told}");
        assert!(desk.yard.scene.is_free());
    }
}

#[test]
fn the_real_agent_with_an_error_for_a_result_ends_with_1() {
    need!(
        "root", "podman", "crun", "buildah", "busybox", "static", "agent"
    );
    let desk = Desk::new(|_| Answer::Error);
    let output = (desk.yard.podman).run(&desk.batch("batch", &["run", "dev"], &[]));
    let (result, code) = result(&output);
    assert_eq!(code, Some(1), "{}", text(&output.stderr));
    assert_eq!(result.unwrap()["is_error"], true);
}
