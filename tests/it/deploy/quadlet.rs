//! packaging/lockkeeper-agents.container under a real systemd: podman's generator makes the unit of it,
//! and podman the container. A drop-in replaces the image, which has a script for the agent, and the
//! network, of which containers here have none.

use std::fs;
use std::os::unix::fs::symlink;

use lockkeeper::lock::record::Record;

use super::machine::{AGENT, Machine, Parts, await_agent, is_in_order, open};
use crate::support::child::{output, read, text};
use crate::support::judges::quadlet;
use crate::support::need::need;
use crate::support::podman::HERE;
use crate::support::wait::until;
use crate::support::yard::Yard;

/// The file, podman and its generator, and config/agents.toml.
fn machine(yard: &Yard) -> Machine {
    let parts = Parts::new();
    let file = "etc/containers/systemd/lockkeeper-agents.container";
    parts.take(file, "packaging/lockkeeper-agents.container");
    parts.take("etc/lockkeeper.toml", "config/agents.toml");
    parts.script("claude", AGENT);
    // The unit's own option for control groups is tried, too.
    let options: Vec<&str> = HERE
        .into_iter()
        .filter(|word| !word.contains("cgroups"))
        .collect();
    let here = format!(
        "[Container]\nImage={}\nNetwork=none\nVolume={}:/bin/claude:ro\nPodmanArgs={}\n",
        yard.podman.image(),
        parts.path("claude").display(),
        options.join(" ")
    );
    parts.write(&format!("{file}.d/here.conf"), &here);
    let program = yard.podman.program(&parts.path("etc"));
    let podman = fs::read_to_string(&program).unwrap();
    fs::remove_file(program).unwrap();
    let own = "#!/bin/sh\nexport PODMAN=/run/real/podman\n";
    parts.script("usr/bin/podman", &podman.replace("#!/bin/sh\n", own));
    fs::create_dir(parts.path("generators")).unwrap();
    symlink(
        quadlet().unwrap(),
        parts.path("generators/podman-system-generator"),
    )
    .unwrap();
    let setup = [
        "mkdir -p /run/systemd/journal /srv/claude /srv/agent/1/dev /srv/agent/1/review".to_owned(),
        "chown 1000 /srv/agent/1/dev /srv/agent/1/review".to_owned(),
        format!("mount --bind {} /srv/claude", yard.scene.folder().display()),
    ];
    parts.start(&setup, "lockkeeper-agents")
}

#[test]
fn the_container_of_the_quadlet_starts_is_healthy_reloads_and_stops_in_order_under_systemd() {
    need!(
        "root", "podman", "crun", "buildah", "busybox", "static", "systemd", "quadlet"
    );
    let Yard { scene, podman } = Yard::new();
    let podman = podman.for_pods();
    let yard = Yard { scene, podman };
    let scene = &yard.scene;
    open(scene);
    // Whatever happens, it is removed.
    let container = yard.podman.named("agents-1");
    let machine = machine(&yard);
    let held = scene.hold();
    read(&mut machine.systemctl("start"));
    until("it queues", || scene.waiting() > 0);
    drop(held);
    await_agent(scene);
    let said = fs::read_to_string(scene.path("said")).unwrap();
    assert_eq!(said, "1000 none none /home/agent\n");
    let mut holders = scene.claims().into_iter().filter(Record::holds);
    assert_eq!(holders.next().unwrap().container.unwrap(), "agents-1");

    let podman = |args: &[&str]| {
        let mut command = machine.inside.enter("podman");
        command.args(args);
        command
    };
    read(&mut podman(&["healthcheck", "run", "agents-1"]));
    machine.configure("[jobs.new]\nclass = \"batch\"\nstart = \"manual\"\ncommand = [\"true\"]\n");
    read(&mut machine.systemctl("reload"));
    let status = read(&mut podman(&["exec", "agents-1", "lockkeeper", "status"]));
    assert!(status.contains("new "), "{status}");
    machine.configure("nonsense = 7\n");
    assert!(!output(&mut machine.systemctl("reload")).status.success());
    assert_eq!(machine.property("ActiveState"), "active");

    read(&mut machine.systemctl("stop"));
    assert_eq!(machine.property("Result"), "success");
    assert_eq!(machine.property("ExecMainStatus"), "0");
    is_in_order(scene);
    let left = output(&mut podman(&["ps", "--all", "--format", "{{.Names}}"]));
    assert!(!text(&left.stdout).contains("agents-1"));
    drop(container);
}
