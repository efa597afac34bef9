//! packaging/compose.yaml, started by podman-compose. Of the file are replaced the image, which has a
//! script for the agent, and the network, of which containers here have none.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, id};

use serde_json::json;

use super::{agent, is_in_order, take_turns};
use crate::support::child::{bare, output, read, text};
use crate::support::dir::Dir;
use crate::support::journald::Journald;
use crate::support::judges::judge;
use crate::support::made::root;
use crate::support::need::need;
use crate::support::podman::HERE;
use crate::support::wait::until;
use crate::support::yard::Yard;

/// podman-compose over the file, in a project of the test's own.
struct Project<'a> {
    yard: &'a Yard,
    journal: &'a Journald,
    dir: Dir,
    name: String,
}

impl<'a> Project<'a> {
    fn new(yard: &'a Yard, journal: &'a Journald) -> Self {
        let dir = Dir::new();
        for path in ["1/dev", "1/review", "2/dev", "2/review"] {
            let path = dir.join(path);
            fs::create_dir_all(&path).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o777)).unwrap();
        }
        let agent = agent(&dir);
        let here = json!({
            "image": yard.podman.image(),
            "network_mode": "none",
            "volumes": [format!("{}:/bin/claude:ro", agent.display())],
        });
        let services = json!({ "agents-1": here, "agents-2": here, "chat": here });
        let over = json!({ "services": services }).to_string();
        fs::write(dir.join("over.yaml"), over).unwrap();
        yard.podman.program(&dir);
        let name = format!("lk-{}-compose", id());
        Self {
            yard,
            journal,
            dir,
            name,
        }
    }

    fn command(&self, verb: &[&str]) -> Command {
        let mut command = judge("podman-compose");
        bare(&mut command)
            .env("AGENTS_LOGIN", self.yard.scene.folder())
            .env("AGENTS_JOURNAL", self.journal.folder())
            .env("AGENTS_WORK", &*self.dir)
            .env("ANTHROPIC_API_KEY", "a-key")
            .args(["--project-name", &self.name, "--in-pod", "false"])
            .arg("--podman-path")
            .arg(self.dir.join("podman"))
            .arg(format!("--podman-run-args={}", HERE.join(" ")))
            .arg("--file")
            .arg(root().join("packaging/compose.yaml"))
            .arg("--file")
            .arg(self.dir.join("over.yaml"))
            .args(verb);
        command
    }

    fn container(&self, service: &str) -> String {
        format!("{}_{service}_1", self.name)
    }
}

#[test]
fn containers_of_the_compose_file_take_turns_the_chat_passes_and_the_end_is_in_order() {
    need!(
        "root", "podman", "crun", "buildah", "busybox", "static", "journald", "judges"
    );
    let yard = Yard::new();
    let journal = Journald::start();
    let project = Project::new(&yard, &journal);
    let held = yard.scene.hold();
    let agents = ["agents-1", "agents-2"];
    let containers = agents.map(|name| yard.podman.named(&project.container(name)));
    let chat = yard.podman.named(&project.container("chat"));
    read(&mut project.command(&["up", "--detach", "--no-build"]));

    until("the chat passes", || {
        chat.logs().contains("at the terminal with a-key")
    });
    for container in &containers {
        assert_eq!(
            read(&mut container.exec(&["cat", "/proc/1/comm"])),
            "lockkeeper"
        );
        assert_eq!(read(&mut container.exec(&["id", "-u"])), "1000");
        let wrote = output(&mut container.exec(&["touch", "/file"]));
        assert!(text(&wrote.stderr).contains("Read-only file system"));
        // As the file's healthcheck asks.
        until("it is healthy", || container.is_healthy());
        // Its first start is spread over half a minute, and this is about those of `review`.
        read(&mut container.exec(&["lockkeeper", "stop", "dev"]));
    }
    until("both queue", || yard.scene.waiting() == 2);
    take_turns(&yard, held, agents);

    read(&mut project.command(&["stop"]));
    for container in &containers {
        assert_eq!(container.wait(), 0, "{}", container.errors());
    }
    assert_eq!(chat.wait(), 143, "{}", chat.logs());
    is_in_order(&yard);

    read(&mut project.command(&["down"]));
    let names = read(
        yard.podman
            .call()
            .args(["ps", "--all", "--format", "{{.Names}}"]),
    );
    assert!(!names.contains(&project.name), "{names}");
    for name in ["agents-1", "agents-2", "chat"] {
        let ours = format!("CONTAINER_NAME={name}");
        let records = journal.records(&[&ours, "SYSLOG_IDENTIFIER=lockkeeper"]);
        assert!(!records.is_empty(), "{name} in the journal");
    }
}
