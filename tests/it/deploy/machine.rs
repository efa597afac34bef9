//! A machine of a test's own: a real systemd as process 1 of a PID namespace, in a control group of its
//! own, with no other units than the test's and the targets that they name. It has the programs and the
//! settings of the real machine, and others over them; nothing that it changes there remains.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal::SIGKILL;

use crate::support::child::{output, read, signal, text};
use crate::support::dir::Dir;
use crate::support::made::root;
use crate::support::ns::{Inside, Ns};
use crate::support::scene::Scene;
use crate::support::wait::until;

/// All mounts are of this namespace. DIR is the machine's folder.
const BEFORE: &[&str] = &[
    "umount -R /sys/fs/cgroup",
    "mount -t cgroup2 none /sys/fs/cgroup",
    "mkdir -p /sys/fs/cgroup/GROUP",
    "echo 0 > /sys/fs/cgroup/GROUP/cgroup.procs",
    // Settings of the whole machine are not systemd's to make.
    "mount --bind /proc/sys /proc/sys",
    "mount -o remount,bind,ro /proc/sys",
    "mount -t tmpfs none /run",
    "mkdir /run/real",
    "mount --bind /usr/bin /run/real",
    "for folder in /etc /usr/bin; do \
        mkdir -p /run/over/up$folder /run/over/work$folder; \
        over=upperdir=/run/over/up$folder,workdir=/run/over/work$folder; \
        mount -t overlay none -o lowerdir=DIR$folder:$folder,$over $folder; \
     done",
    "mount -t tmpfs none /home",
    "mount -t tmpfs none /srv",
];
/// Of the groups it sees its own alone, as the topmost one.
const AFTER: &str = "exec unshare --cgroup --net --uts --ipc sh -c 'umount /sys/fs/cgroup && \
    mount -t cgroup2 none /sys/fs/cgroup && exec \"$0\" \"$@\"' \"$0\" \"$@\"";

/// The agent: says what it has of systemd's variables, makes a lock directory as Claude Code does, and
/// takes its time when it is stopped.
pub(super) const AGENT: &str = "#!/bin/sh\ncd /home/agent/.claude\n\
    echo \"$(id -u) ${NOTIFY_SOCKET:-none} ${WATCHDOG_USEC:-none} $HOME\" >> said\n\
    exec ./puppet mark page auto , child { setsid , hang } , cleanup 300 cleaned\n";

/// What the machine will be made of: `etc`, `usr/bin`, `units`, `generators`.
pub(super) struct Parts(Dir);

pub(super) struct Machine {
    pub(super) inside: Inside,
    group: String,
    unit: String,
    _parts: Parts,
}

impl Parts {
    pub(super) fn new() -> Self {
        let parts = Self(Dir::new());
        let targets = [
            "basic",
            "sysinit",
            "shutdown",
            "multi-user",
            "network-online",
        ];
        for name in targets {
            let target = "[Unit]\nDefaultDependencies=no\n";
            parts.write(&format!("units/{name}.target"), target);
        }
        parts
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.0.join(path)
    }

    pub(super) fn write(&self, path: &str, content: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// A file of the repository.
    pub(super) fn take(&self, path: &str, from: &str) {
        self.write(path, &fs::read_to_string(root().join(from)).unwrap());
    }

    pub(super) fn script(&self, path: &str, content: &str) {
        self.write(path, content);
        fs::set_permissions(self.path(path), Permissions::from_mode(0o755)).unwrap();
    }

    /// Starts the machine; `setup` is what it has besides, and `unit` is what it is about.
    pub(super) fn start(self, setup: &[String], unit: &str) -> Machine {
        // As the folder, which nobody else has.
        let group = self.0.file_name().unwrap().to_str().unwrap().to_owned();
        let mut ns = Ns::root();
        for line in BEFORE {
            let line = line.replace("GROUP", &group);
            ns = ns.shell(&line.replace("DIR", &self.0.display().to_string()));
        }
        for line in setup {
            ns = ns.shell(line);
        }
        let units = self.path("units");
        let units = format!("{}:/run/systemd/generator", units.display());
        let generators = self.path("generators").display().to_string();
        let ns = ns
            .shell(AFTER)
            .env("container", "lockkeeper-test")
            .env("SYSTEMD_UNIT_PATH", &units)
            .env("SYSTEMD_GENERATOR_PATH", &generators);
        let systemd = Path::new("/lib/systemd/systemd");
        let machine = Machine {
            inside: ns.start(systemd, &["--system", "--unit=basic.target"]),
            group,
            unit: unit.to_owned(),
            _parts: self,
        };
        until("systemd runs", || {
            let mut asked = machine.inside.enter("systemctl");
            text(&output(asked.arg("is-system-running")).stdout) == "running\n"
        });
        machine
    }
}

impl Machine {
    /// `systemctl VERB` of the unit.
    pub(super) fn systemctl(&self, verb: &str) -> Command {
        let mut command = self.inside.enter("systemctl");
        command.args([verb, &self.unit]);
        command
    }

    /// A property of the unit.
    pub(super) fn property(&self, name: &str) -> String {
        let mut show = self.systemctl("show");
        read(show.args(["--value", "--property", name]))
    }

    /// Adds to its configuration, which it had as this before.
    pub(super) fn configure(&self, more: &str) -> String {
        let file = self.inside.path("/etc/lockkeeper.toml");
        let old = fs::read_to_string(&file).unwrap();
        fs::write(&file, old.clone() + more).unwrap();
        old
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        signal(self.inside.pid1(), SIGKILL);
        self.inside.process.wait();
        remove_groups(&self.group);
    }
}

/// Removes a control group that nobody is in, with those below it.
fn remove_groups(name: &str) {
    clear(
        "find /sys/fs/cgroup/$0 -depth -type d -exec rmdir {} +",
        name,
    );
}

/// Removes a control group that nobody is in, if there is none below it.
pub(super) fn remove_group(name: &str) {
    clear("rmdir /sys/fs/cgroup/$0", name);
}

fn clear(how: &str, name: &str) {
    let mount = "umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup";
    let script = format!("{mount} && {how}");
    let mut clear = Command::new("unshare");
    drop(output(clear.args(["--mount", "sh", "-c", &script, name])));
}

/// Opens the scene's folder to the agent's user.
pub(super) fn open(scene: &Scene) {
    let login = [(scene.folder(), 0o777), (&scene.path("page"), 0o666)];
    for (path, mode) in login {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }
}

/// An agent and its child live, and nobody else.
pub(super) fn await_agent(scene: &Scene) {
    until("an agent and its child live, and nobody else", || {
        scene.living().len() == 2 && scene.page.alive().len() == 1
    });
}

/// After the stop: it had its time, and nothing is left.
#[track_caller]
pub(super) fn is_in_order(scene: &Scene) {
    assert!(scene.path("cleaned").exists(), "it had its grace");
    assert!(scene.is_free());
    assert_eq!(scene.claims(), []);
    scene.assert_empty();
}
