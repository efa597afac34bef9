//! `packaging/agent.Dockerfile`, built as it stands on the image of `packaging/Dockerfile`, and run.

use std::fs;
use std::os::unix::fs::chown;

use crate::support::bin;
use crate::support::child::{output, read, text};
use crate::support::dir::Dir;
use crate::support::need::need;
use crate::support::podman::{Podman, Run};
use crate::support::wait::until;

const IMAGE: &str = "localhost/my-agent:test";
/// An image with the program of this machine's own build, under the name that the example takes.
const COPIED: &str = "localhost/lockkeeper:copied";

#[test]
fn in_a_container_of_the_agents_image_init_is_healthy_stops_in_time_and_refuses_a_login_that_none_mounts()
 {
    need!(
        "root",
        "podman",
        "crun",
        "buildah",
        "static",
        "debian.tar",
        "debs",
        "npm"
    );
    let podman = Podman::ready();
    podman.of_program(COPIED, &bin::static_build("lockkeeper"));
    let from = format!("LOCKKEEPER={COPIED}");
    let built = podman.build_file("agent.Dockerfile", IMAGE, &["--build-arg", &from]);
    built.unwrap_or_else(|said| panic!("{said}"));
    let health = podman.about(IMAGE, "{{.Config.Healthcheck.Test}}");
    assert_eq!(health, "[CMD /usr/bin/lockkeeper health]");
    let podman = podman.of(IMAGE);
    let says = |run: &Run| {
        let said = podman.run(run);
        (said.status.code(), text(&said.stdout) + &text(&said.stderr))
    };

    // The agent is there, and is whom the image says.
    let (code, said) = says(&Run::new(&[
        "--",
        "sh",
        "-c",
        "id -un; git --version; claude --version",
    ]));
    assert_eq!(code, Some(0), "{said}");
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines[0], "agent");
    assert!(
        lines[1].starts_with("git version") && lines[2].starts_with("2.1.197"),
        "{said}"
    );

    // Nothing is mounted: the lock would be this container's own.
    let (code, said) = says(&Run::new(&["check"]));
    assert_eq!(code, Some(78), "{said}");
    assert!(said.contains("/home/agent/.claude"), "{said}");

    let dir = Dir::new();
    let (login, work) = (dir.join("login"), dir.join("work"));
    for folder in [&login, &work, &work.join("dev"), &work.join("review")] {
        fs::create_dir(folder).unwrap();
        chown(folder, Some(1000), Some(1000)).unwrap();
    }
    let mounted = |args: &[&str]| {
        let run = Run::new(args).mount(&login, "/home/agent/.claude", "rw");
        run.mount(&work, "/srv/agent", "rw")
    };
    let (code, said) = says(&mounted(&["check"]));
    assert_eq!(code, Some(0), "{said}");

    // Its jobs go, one by one, whatever becomes of them without a network.
    let container = podman.start(&mounted(&[]));
    until("it is healthy", || {
        output(&mut container.exec(&["lockkeeper", "health"]))
            .status
            .success()
    });
    let status = read(&mut container.exec(&["lockkeeper", "status", "--json"]));
    assert!(
        status.contains("\"ok\":true") && status.contains("\"job\":\"nightly\""),
        "{status}"
    );
    until("a run has taken its lock", || {
        login.join("session.lock").exists()
    });
    assert!(container.stop(30), "podman had to kill it");
    assert_eq!(container.wait(), 0, "{}", container.errors());
}
