//! The deployment files in packaging/: judged by their own tools, and started where that can be done.
//!
//! | file | shows |
//! | --- | --- |
//! | `files` | each file is one by its tool, and its times fit those of the configuration in use |
//! | `compose` | podman-compose starts it: turns, the chat passes, an orderly end |
//! | `kubernetes` | `podman kube play` starts the same pods, with the settings of the file |
//! | `machine` | (a real systemd as process 1, for the next two) |
//! | `quadlet` | podman's generator makes a unit of it, which systemd starts, reloads and stops |
//! | `systemd` | systemd starts, reloads, watches and stops the unit |
#![expect(clippy::indexing_slicing, reason = "a test may panic: it fails then")]

mod compose;
mod files;
mod kubernetes;
mod machine;
mod quadlet;
mod systemd;

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use lockkeeper::config::{Loaded, Surroundings, parse};
use lockkeeper::lock::record::Record;
use nix::sys::signal::Signal::SIGUSR1;

use super::support::child::signal;
use super::support::made::root;
use super::support::wait::{until, until_some};
use super::support::yard::{LOGIN, Yard};

/// The agent in containers: the chat is who gets no words. Of the others the first ends when it is told
/// to; the next one makes a lock directory, as Claude Code does, and leaves it when it is stopped.
const AGENT: &str = r#"#!/bin/sh
if [ $# = 0 ]; then
    test -t 0 && echo "at the terminal with $ANTHROPIC_API_KEY"
    exec puppet hang
fi
cd LOGIN
if mkdir first 2>/dev/null; then
    exec ./puppet block USR1 , mark page auto , wait USR1
fi
exec ./puppet mark page auto , mkdir .oauth_refresh.lock , cleanup 500 cleaned
"#;

/// Writes the agent into `folder`.
fn agent(folder: &Path) -> PathBuf {
    let agent = folder.join("claude");
    fs::write(&agent, AGENT.replace("LOGIN", LOGIN)).unwrap();
    fs::set_permissions(&agent, Permissions::from_mode(0o755)).unwrap();
    agent
}

/// Both agents have queued behind `held`: one has its turn, then the other.
#[track_caller]
fn take_turns(yard: &Yard, held: File, agents: [&str; 2]) {
    let holder = || {
        let mut claims = yard.scene.claims().into_iter();
        claims.find(Record::holds)?.container
    };
    assert_eq!((yard.scene.waiting(), holder()), (2, None));
    drop(held);
    let first = until_some("one has its turn", holder);
    assert!(agents.contains(&&*first), "{first}");
    until("its agent works", || !yard.scene.page.alive().is_empty());
    assert_eq!(yard.scene.waiting(), 1);
    for pid in yard.scene.living() {
        signal(pid, SIGUSR1);
    }
    let is_other = |holder: &String| *holder != first;
    let second = until_some("the other has its turn", || holder().filter(is_other));
    assert!(agents.contains(&&*second), "{second}");
    let left = yard.scene.path(".oauth_refresh.lock");
    until("its agent works", || left.exists());
}

/// After the stop: what was to be done was done, and nothing is left.
#[track_caller]
fn is_in_order(yard: &Yard) {
    let scene = &yard.scene;
    assert!(scene.path("cleaned").exists(), "it had its grace");
    let left = scene.path(".oauth_refresh.lock");
    assert!(!left.exists(), "the lock directory is swept");
    assert!(scene.is_free());
    assert_eq!(scene.claims(), []);
    assert_eq!(scene.page.overlaps(), (0, vec![]));
    assert_eq!(scene.page.marks(), (2, 0));
    scene.assert_empty();
}

/// What a configuration means, in the environment that the deployment files give it.
fn loaded(toml: &str) -> Loaded {
    let around = Surroundings {
        env: &|name| match name {
            "ANTHROPIC_API_KEY" => Some("a-key".into()),
            "CLAUDE_CONFIG_DIR" => Some("/home/agent/.claude".into()),
            _ => None,
        },
        host_name: "host".to_owned(),
    };
    let loaded = parse("file", toml.as_bytes(), &around);
    let loaded = loaded.map_err(|wrong| wrong.to_string()).unwrap();
    assert_eq!(loaded.warnings.len(), 0);
    loaded
}

/// `stop_within` of a file of the repository.
fn stop_within(path: &Path) -> Duration {
    let toml = fs::read_to_string(root().join(path)).unwrap();
    loaded(&toml).plan.init.stop_within
}
