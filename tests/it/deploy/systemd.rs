//! packaging/lockkeeper.service under a real systemd.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use nix::sys::signal::Signal::{self, SIGKILL, SIGSTOP};
use serde_json::Value;

use super::machine::{AGENT, Machine, Parts, await_agent, is_in_order, open};
use crate::support::bin;
use crate::support::child::{output, read};
use crate::support::need::need;
use crate::support::scene::Scene;
use crate::support::wait::until;

/// Of nobody on the machine.
const UID: u32 = 61_234;

/// A machine with the unit, to which a drop-in adds `more`, and config/agents.toml, whose login is the
/// scene's folder. Not yet started: the unit.
fn machine(scene: &Scene, more: &str) -> Machine {
    open(scene);
    let parts = Parts::new();
    let unit = "units/lockkeeper.service";
    parts.take(unit, "packaging/lockkeeper.service");
    parts.write(
        &format!("{unit}.d/more.conf"),
        &format!("[Service]\n{more}"),
    );
    parts.take("etc/lockkeeper.toml", "config/agents.toml");
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let agent = format!("agent:x:{UID}:{UID}::/home/agent:/bin/sh\n");
    parts.write("etc/passwd", &(users + &agent));
    parts.write("etc/group", &format!("root:x:0:\nagent:x:{UID}:\n"));
    parts.script("usr/bin/claude", AGENT);
    let programs = parts.path("usr/bin");
    read(Command::new("cp").arg(bin::lockkeeper()).arg(programs));
    let setup = [
        "mkdir -p /home/agent/.claude /srv/agent/dev /srv/agent/review".to_owned(),
        format!("chown {UID} /home/agent /srv/agent/dev /srv/agent/review"),
        format!(
            "mount --bind {} /home/agent/.claude",
            scene.folder().display()
        ),
    ];
    parts.start(&setup, "lockkeeper")
}

/// Sends a signal to init.
fn kill_init(machine: &Machine, signal: Signal) {
    let mut kill = machine.inside.enter("kill");
    let name = signal.as_str().trim_start_matches("SIG");
    read(kill.args(["-s", name, &machine.property("MainPID")]));
}

/// The jobs that init names to its own user.
fn jobs(machine: &Machine) -> Vec<String> {
    let mut status = machine.inside.enter("setpriv");
    let user = format!("--reuid={UID}");
    status.args([&*user, "--clear-groups", "lockkeeper", "status", "--json"]);
    let status: Value = serde_json::from_str(&read(&mut status)).unwrap();
    let jobs = status["jobs"].as_array().unwrap().iter();
    jobs.map(|job| job["job"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn systemd_starts_the_unit_reloads_it_tells_errors_of_the_file_and_stops_it_in_order() {
    need!("root", "systemd");
    let scene = &Scene::new();
    let machine = machine(scene, "");
    let old = machine.configure("nonsense = 7\n");
    let started = output(&mut machine.systemctl("start"));
    assert!(!started.status.success());
    // What does not go by itself is not tried again.
    assert_eq!(machine.property("ActiveState"), "failed");
    assert_eq!(machine.property("ExecMainStatus"), "78");
    fs::write(machine.inside.path("/etc/lockkeeper.toml"), old).unwrap();
    let held = scene.hold();
    // It is up when its jobs have begun, also where they wait.
    read(&mut machine.systemctl("start"));
    assert!(
        machine
            .property("StatusText")
            .ends_with(" of 3 jobs running")
    );
    until("it queues", || scene.waiting() > 0);
    drop(held);
    await_agent(scene);
    let said = fs::read_to_string(scene.path("said")).unwrap();
    assert_eq!(said, format!("{UID} none none /home/agent\n"));
    let group = "/sys/fs/cgroup/system.slice/lockkeeper.service";
    let group = fs::metadata(machine.inside.path(group)).unwrap();
    assert_eq!(group.uid(), UID, "it is handed over");

    let names = ["dev", "review", "nightly", "new"];
    assert_eq!(jobs(&machine), names[..3]);
    machine.configure("[jobs.new]\nclass = \"batch\"\nstart = \"manual\"\ncommand = [\"true\"]\n");
    read(&mut machine.systemctl("reload"));
    assert_eq!(jobs(&machine), names);
    machine.configure("nonsense = 7\n");
    let reloaded = output(&mut machine.systemctl("reload"));
    assert!(!reloaded.status.success());
    assert_eq!(machine.property("ActiveState"), "active");
    assert_eq!(jobs(&machine), names);

    read(&mut machine.systemctl("stop"));
    assert_eq!(machine.property("Result"), "success");
    assert_eq!(machine.property("ExecMainStatus"), "0");
    is_in_order(scene);
    // Others may have runs there.
    let runtime = fs::metadata(machine.inside.path("/run/lockkeeper")).unwrap();
    assert_eq!(runtime.mode() & 0o7777, 0o1777);
}

#[test]
fn systemd_starts_an_init_anew_that_was_killed_or_hangs_and_nobody_is_left_of_the_old_one() {
    need!("root", "systemd");
    let scene = &Scene::new();
    let machine = machine(scene, "RestartSec=100ms\nWatchdogSec=3s\n");
    read(&mut machine.systemctl("start"));
    let restarts = |n: &str, old: &[i32]| {
        until("it is started anew", || {
            machine.property("NRestarts") == n && machine.property("ActiveState") == "active"
        });
        until("nobody of the old run lives", || {
            !scene.living().iter().any(|pid| old.contains(pid))
        });
        await_agent(scene);
        assert_eq!(scene.page.overlaps(), (0, vec![]));
    };
    await_agent(scene);
    let old = scene.living();
    kill_init(&machine, SIGKILL);
    restarts("1", &old);
    assert!(!scene.path("cleaned").exists(), "KILL leaves no time");
    let old = scene.living();
    kill_init(&machine, SIGSTOP);
    restarts("2", &old);
    assert!(scene.path("cleaned").exists(), "ABRT stops in order");
    read(&mut machine.systemctl("stop"));
    is_in_order(scene);
}
