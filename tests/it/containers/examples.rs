//! The files in config/, as /etc/lockkeeper.toml of real containers, mounted as their comments
//! say; a script stands for the agent.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::support::child::{output, text};
use crate::support::dir::Dir;
use crate::support::need::need;
use crate::support::podman::Run;
use crate::support::wait::until;
use crate::support::yard::{LOGIN, Yard, repository};

const FILE: &str = "/etc/lockkeeper.toml";

/// A script as /bin/claude: written once, as another container may be executing it.
fn with_stub(run: Run, folder: &Path, script: &str) -> Run {
    let path = folder.join("claude");
    if !path.exists() {
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    }
    run.mount(&path, "/bin/claude", "ro")
}

#[test]
fn two_containers_with_agents_toml_take_turns_on_its_jobs() {
    need!("root", "podman", "crun", "buildah", "busybox", "static");
    let (yard, stub, work) = (Yard::new(), Dir::new(), Dir::new());
    for name in ["dev", "review"] {
        fs::create_dir(work.join(name)).unwrap();
    }
    let script = format!(
        "exec {LOGIN}/puppet mark {LOGIN}/page auto , \
         append {LOGIN}/log \"$LOCKKEEPER_JOB in $PWD: $* ($DISABLE_AUTOUPDATER)\" , \
         out '{{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false}}'"
    );
    let container = || {
        let run = with_stub(yard.container(&[]), &stub, &script);
        let run = run.mount(&repository("config/agents.toml"), FILE, "ro");
        yard.podman.start(&run.mount(&work, "/srv/agent", "rw"))
    };
    let containers = [container(), container()];
    let log = || fs::read_to_string(yard.scene.path("log")).unwrap_or_default();
    let reviews = "review in /srv/agent/review: -p review the open changes --output-format \
                   stream-json --verbose (1)";
    until("each reviews at its start", || {
        log().matches(reviews).count() == 2
    });
    for (container, job) in containers.iter().zip(["nightly", "dev"]) {
        let run = output(&mut container.exec(&["lockkeeper", "run", job]));
        assert_eq!(run.status.code(), Some(0), "{}", text(&run.stderr));
        assert!(text(&run.stdout).contains("\"type\":\"result\""));
        assert!(
            log().contains(&format!("{job} in /srv/agent/dev: -p ")),
            "{}",
            log()
        );
    }
    let checked = output(&mut containers[0].exec(&["lockkeeper", "check"]));
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stdout));
    for container in &containers {
        assert!(container.stop(30), "podman had to kill it");
        assert_eq!(container.wait(), 0, "{}", container.errors());
    }
    assert_eq!(yard.scene.page.overlaps(), (0, vec![]));
    yard.scene.assert_empty();
}

#[test]
fn a_container_with_factory_toml_makes_the_working_copies_first_and_then_each_role_has_its_turn() {
    need!("root", "podman", "crun", "buildah", "busybox", "static");
    let (yard, stub, work) = (Yard::new(), Dir::new(), Dir::new());
    // What `git clone` does with a repository that is one folder.
    let git = stub.join("git");
    let cloned = format!("echo clone >> {LOGIN}/log; mkdir \"$4\"");
    fs::write(&git, format!("#!/bin/sh\n{cloned}\n")).unwrap();
    fs::set_permissions(&git, Permissions::from_mode(0o755)).unwrap();
    let script = format!(
        "exec {LOGIN}/puppet mark {LOGIN}/page auto , \
         append {LOGIN}/log \"$LOCKKEEPER_JOB in $PWD\" , \
         out '{{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false}}'"
    );
    let run = with_stub(yard.container(&[]), &stub, &script)
        .mount(&git, "/bin/git", "ro")
        .mount(&repository("config/factory.toml"), FILE, "ro")
        .mount(&work, "/srv/factory", "rw")
        .env("FACTORY_REPO", "/srv/repository");
    let container = yard.podman.start(&run);
    let log = || fs::read_to_string(yard.scene.path("log")).unwrap_or_default();
    let roles = [
        "review",
        "dev",
        "gardener",
        "architect",
        "planner",
        "predictor",
        "supervisor",
    ];
    until("each role has its turn", || {
        let log = log();
        let has = |role: &&str| log.contains(&format!("{role} in /srv/factory/{role}"));
        roles.iter().all(has)
    });
    let lines = log();
    let (copies, turns): (Vec<_>, Vec<_>) = lines.lines().partition(|line| *line == "clone");
    assert_eq!((copies.len(), turns.len()), (7, 7), "{lines}");
    assert!(lines.starts_with(&"clone\n".repeat(7)), "{lines}");
    let checked = output(&mut container.exec(&["lockkeeper", "check"]));
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stdout));
    assert!(container.stop(30), "podman had to kill it");
    assert_eq!(container.wait(), 0, "{}", container.errors());
    assert_eq!(yard.scene.page.overlaps(), (0, vec![]));
    yard.scene.assert_empty();
}

#[test]
fn a_container_with_chat_toml_gives_the_terminal_to_the_agent_and_ends_with_it() {
    need!("root", "podman", "crun", "buildah", "busybox", "static");
    let (yard, stub) = (Yard::new(), Dir::new());
    // Whatever the batch containers do.
    let held = yard.scene.hold();
    let script = "test -t 0 && test -t 1 && : > /dev/tty \
        && echo \"at the terminal with $ANTHROPIC_API_KEY\"; exit 7";
    let chat = with_stub(Run::new(&[]), &stub, script)
        .mount(&repository("config/chat.toml"), FILE, "ro")
        .with(&["--interactive", "--tty"])
        .env("ANTHROPIC_API_KEY", "a-key");
    let container = yard.podman.start(&chat);
    assert_eq!(container.wait(), 7, "{}", container.logs());
    let logs = container.logs();
    assert!(logs.contains("at the terminal with a-key"), "{logs}");
    drop(held);
}
