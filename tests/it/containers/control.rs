//! The running init is asked from outside, by `podman exec`.

use serde_json::Value;

use crate::support::child::{output, text};
use crate::support::need::need;
use crate::support::wait::until;
use crate::support::yard::Yard;

const FILE: &str = "[init]
    stay = true
    [classes.quick]
    kind = \"interactive\"
    stdin = \"null\"
    stop = { grace = \"100ms\", leftover_grace = \"100ms\" }
    [jobs.dev]
    class = \"quick\"
    start = \"manual\"
    script = mark PAGE 1 , hang
    [jobs.setup]
    class = \"quick\"
    start = \"manual\"
    script = exit 7";

#[test]
fn in_a_container_health_status_and_orders_come_by_exec_and_so_do_runs_that_are_seen() {
    need!("root", "podman", "crun", "buildah", "busybox", "static");
    let yard = Yard::new();
    let file = yard.file(FILE);
    // As a user of its own, without /run: the socket lies where it can.
    for options in [&[][..], &["--user", "1000", "--read-only"]] {
        let run = yard.container(&["init", "-c", &file]).with(options);
        let container = yard.podman.start(&run);
        let ask = |args: &[&str]| {
            let mut words = vec!["lockkeeper"];
            words.extend(args);
            let said = output(&mut container.exec(&words));
            (
                said.status.code().unwrap(),
                text(&said.stdout),
                text(&said.stderr),
            )
        };
        // As a HEALTHCHECK and a Kubernetes exec probe ask.
        until("it is healthy", || ask(&["health"]).0 == 0);
        assert_eq!(ask(&["start", "dev"]).0, 0, "{options:?}");
        until("it runs", || yard.scene.page.alive() == [(1, 1)].into());
        let rows = || {
            let (code, out, err) = ask(&["status", "--json"]);
            assert_eq!(code, 0, "{err}");
            let status: Value = serde_json::from_str(&out).unwrap();
            status.get("jobs").unwrap().as_array().unwrap().clone()
        };
        let stands = |job: &str, key: &str| {
            let mut rows = rows().into_iter();
            let row = rows.find(|row| row.get("job").unwrap() == job);
            row.and_then(|row| row.get(key).cloned())
                .unwrap_or_default()
        };
        assert_eq!(stands("dev", "state"), "running");
        assert_eq!(ask(&["stop", "dev"]).0, 0);
        assert_eq!(yard.scene.page.alive(), [].into());
        container.exec_detached(&["lockkeeper", "run", "-c", &file, "dev"]);
        until("init sees it", || stands("dev", "outside") == true);
        container.exec_detached(&["lockkeeper", "run", "--", "sleep", "1000"]);
        until("init sees it", || stands("sleep", "of_no_job") == true);
        // Both are none of init's to wait for, and go with the container.
        assert!(container.stop(10), "podman had to kill it");
        assert_eq!(container.wait(), 0, "{}", container.errors());
        yard.scene.assert_empty();
    }
}
