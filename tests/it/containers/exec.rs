//! What `podman exec` starts in a container, beside init's own runs.

use std::fs;

use crate::support::child::{output, text};
use crate::support::need::need;
use crate::support::page::Page;
use crate::support::scene::Scene;
use crate::support::wait::until;
use crate::support::yard::{LOGIN, Yard};

/// A job every second, one on demand; each leaves a daemon that only KILL ends.
const FILE: &str = "[classes.batch]
    identity = \"DIR\"
    stop = { grace = \"100ms\", leftover_grace = \"100ms\" }
    [jobs.tick]
    class = \"batch\"
    every = \"1s\"
    script = mark PAGE 1 , child { mark PAGE 1 HERMIT , hang } , append DIR/ticks x
    [jobs.dev]
    class = \"batch\"
    start = \"manual\"
    script = mark PAGE 2 , child { mark PAGE 2 HERMIT , hang } , out done , exit 3";

#[test]
fn in_a_container_runs_end_whole_and_a_daemon_that_exec_started_lives_on() {
    need!("root", "podman", "crun", "buildah", "busybox", "static");
    let yard = Yard::new();
    let file = yard.file(FILE);
    let container = yard.podman.start(&yard.container(&["init", "-c", &file]));
    let others = Page::open(&yard.scene.path("others")).unwrap();
    // Its leader has gone: init is its parent now, as it is that of every orphan.
    let daemon = Scene::words_at(
        LOGIN.as_ref(),
        "puppet mark DIR/others 9 daemon setsid , hang",
    );
    container.exec_detached(&daemon.iter().map(String::as_str).collect::<Vec<_>>());
    until("the daemon lives", || others.alive() == [(9, 1)].into());
    let ticks =
        || fs::read_to_string(yard.scene.path("ticks")).map_or(0, |ticks| ticks.lines().count());
    let before = ticks();
    let dev = output(&mut container.exec(&["lockkeeper", "run", "-c", &file, "dev"]));
    assert_eq!(
        (text(&dev.stdout).as_str(), dev.status.code()),
        ("done\n", Some(3)),
        "{}",
        text(&dev.stderr)
    );
    assert_eq!(yard.scene.page.alive().get(&2), None, "its tree is gone");
    until("runs of init come and go", || ticks() >= before + 2);
    assert_eq!(yard.scene.page.overlaps(), (0, vec![]));
    assert_eq!(
        others.alive(),
        [(9, 1)].into(),
        "nobody's run, nobody's to end"
    );
    assert!(container.stop(10), "podman had to kill it");
    assert_eq!(container.wait(), 0, "{}", container.errors());
    yard.scene.assert_empty();
    assert_eq!(others.alive(), [].into(), "it ends with the container");
}
