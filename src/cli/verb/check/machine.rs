//! The ground that lockkeeper stands on here: /proc, a place for its claims, the kernel's limits, the
//! control group, PID 1, and when the engine kills. With a file only what hinders is told.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::sys::statvfs::{FsFlags, statvfs};
use nix::unistd::{AccessFlags, faccessat, geteuid};

use super::mounts::Mounts;
use super::quoted;
use super::report::{About, Level, Report};
use crate::cli::verb::pid1::{Pid1, SHELL_FORM};
use crate::lock::folders::runtime_folders;
use crate::run::cgroup::{self, Hierarchy};
use crate::run::memory;
use crate::sys::proc::{self, Fault};

/// Each init has one instance, and so has each run that holds or awaits a lock for a second, one that
/// awaits a directory, one that sweeps: never more than two at once.
const INSTANCES: (&str, u64) = ("/proc/sys/fs/inotify/max_user_instances", 64);
/// One or two for each instance.
const WATCHES: (&str, u64) = ("/proc/sys/fs/inotify/max_user_watches", 1024);
/// The limits of a control group that are told.
const LIMITS: [&str; 3] = ["memory.max", "pids.max", "cpu.max"];

/// The options of a /proc that hides something (proc(5)), as kernels old and new show them.
const HIDING: [&str; 6] = [
    "hidepid=1",
    "hidepid=2",
    "hidepid=4",
    "hidepid=noaccess",
    "hidepid=invisible",
    "hidepid=ptraceable",
];

/// Says it; `all`: also what is as it should be.
pub(super) fn look(mounts: &Mounts, all: bool, report: &mut Report) {
    let mut say = |(level, subject, text): (Level, &str, String)| {
        if all || level != Level::Ok {
            report.say(level, About::Here, subject, text);
        }
    };
    say(pid1());
    say(proc_fs(mounts));
    say(runtime());
    say(inotify());
    if all {
        say(user());
        say(group());
        say(kill(mounts.container_root().is_some()));
    }
}

fn pid1() -> (Level, &'static str, String) {
    let (level, text) = match Pid1::look() {
        Pid1::Us => (
            Level::Ok,
            "we are PID 1: as lockkeeper -c FILE we would reap orphans and pass on the stop".into(),
        ),
        Pid1::Unknown => (Level::Ok, "/proc does not say what PID 1 is".into()),
        Pid1::Shell(name) => (Level::Warning, format!("PID 1 is {name:?}: {SHELL_FORM}")),
        Pid1::Init(name) => (
            Level::Ok,
            format!(
                "PID 1 is {name:?}, which is not needed: lockkeeper as the ENTRYPOINT does what it \
                 does; leave --init out (init: true in compose)"
            ),
        ),
        Pid1::Other(name) if name == "lockkeeper" => (Level::Ok, "PID 1 is lockkeeper".into()),
        Pid1::Other(name) => (
            Level::Ok,
            format!(
                "PID 1 is {name:?}; in a container, lockkeeper belongs there, as its ENTRYPOINT"
            ),
        ),
    };
    (level, "/proc/1", text)
}

fn proc_fs(mounts: &Mounts) -> (Level, &'static str, String) {
    let hides = HIDING.iter().any(|option| mounts.proc_has(option));
    let (level, text) = match proc::fault() {
        Some(Fault::Missing) => (
            Level::Warning,
            "no /proc is mounted: of what a run leaves only its direct children are asked to go, \
             before all of it is killed, and whether the owner of a directory lock lives cannot be \
             told; mount it, mount -t proc proc /proc"
                .to_owned(),
        ),
        Some(_) => (
            Level::Warning,
            "/proc is that of another PID namespace: what it says of processes is about strangers, \
             and is not used; mount our own, mount -t proc proc /proc"
                .to_owned(),
        ),
        None if hides && !geteuid().is_root() => (
            Level::Warning,
            "/proc hides the processes of other users (hidepid): those of a run that have become \
             another user are not asked to go before they are killed; mount it without hidepid"
                .to_owned(),
        ),
        None if !Path::new("/proc/thread-self/children").exists() => (
            Level::Ok,
            "/proc is ours, without lists of children (CONFIG_PROC_CHILDREN): all processes are \
             read in their place"
                .to_owned(),
        ),
        None => (Level::Ok, "/proc is ours, with lists of children".to_owned()),
    };
    (level, "/proc", text)
}

/// Whether a file can be made in `folder` by us.
pub(super) fn may_write(folder: &Path) -> bool {
    let needed = AccessFlags::W_OK | AccessFlags::X_OK;
    faccessat(AT_FDCWD, folder, needed, AtFlags::AT_EACCESS).is_ok()
}

/// Where the claims of the runs here would lie. Nothing is made, as a run would.
fn runtime() -> (Level, &'static str, String) {
    let usable = |folder: &PathBuf| {
        let there = fs::symlink_metadata(folder).is_ok();
        let parent = folder.parent().filter(|_| !there);
        may_write(parent.unwrap_or(folder))
    };
    let read_only = statvfs("/").is_ok_and(|root| root.flags().contains(FsFlags::ST_RDONLY));
    let root = if read_only {
        "; / is read-only, which is fine"
    } else {
        ""
    };
    match runtime_folders().into_iter().find(usable) {
        Some(folder) => {
            let text = format!("init and its runs can be found in {}{root}", quoted(folder));
            (Level::Ok, "/run", text)
        }
        None => (
            Level::Warning,
            "/run",
            "neither /run nor /dev/shm can be written: `lockkeeper status`, stop, start and reload \
             find no init here; give the container one, --tmpfs /run, or name a socket in a folder \
             that can be written, with --socket or in $LOCKKEEPER_SOCKET"
                .to_owned(),
        ),
    }
}

fn inotify() -> (Level, &'static str, String) {
    let read = |path: &str| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let (Some(instances), Some(watches)) = (read(INSTANCES.0), read(WATCHES.0)) else {
        let text = "the limits of inotify cannot be read from /proc".to_owned();
        return (Level::Ok, INSTANCES.0, text);
    };
    let told = format!("inotify allows a user {instances} instances and {watches} watches");
    if instances < INSTANCES.1 || watches < WATCHES.1 {
        let text = format!(
            "{told}, on all of this machine: init and each run need up to two; on the host, sysctl \
             fs.inotify.max_user_instances=512 fs.inotify.max_user_watches=65536"
        );
        return (Level::Warning, INSTANCES.0, text);
    }
    let text = format!("{told}: init and each run need up to two");
    (Level::Ok, INSTANCES.0, text)
}

fn user() -> (Level, &'static str, String) {
    let text = format!(
        "we are user {}, of group {}",
        geteuid(),
        nix::unistd::getegid()
    );
    (Level::Ok, "user", text)
}

fn group() -> (Level, &'static str, String) {
    let free = memory::free().map_or_else(String::new, |free| {
        format!("; {} MiB of memory are free", free.bytes >> 20)
    });
    let Some(own) = cgroup::own(Hierarchy::Unified) else {
        let text = format!("no cgroup v2 is mounted here: `cgroup` in a file has no effect{free}");
        return (Level::Ok, "cgroup", text);
    };
    let mut limits = String::new();
    for name in LIMITS {
        if let Ok(text) = fs::read_to_string(own.folder.join(name)) {
            limits = format!("{limits}; {name} {}", text.trim());
        }
    }
    let can = if may_write(&own.folder) {
        "can be written, so that `cgroup` in a file has an effect"
    } else {
        "cannot be written: `cgroup` in a file has no effect"
    };
    let text = format!(
        "the control group {} {can}{limits}{free}",
        quoted(&own.folder)
    );
    (Level::Ok, "cgroup", text)
}

/// Nothing in a container says when it is killed; whoever runs the engine can ask it.
fn kill(in_container: bool) -> (Level, &'static str, String) {
    let says = |name: &str, value: &str| env::var_os(name).is_some_and(|it| it == value);
    let inspect = "inspect --format '{{.Config.StopTimeout}}' CONTAINER`";
    let ask = if env::var_os("KUBERNETES_SERVICE_HOST").is_some() {
        "in Kubernetes it is 30s unless terminationGracePeriodSeconds says otherwise: `kubectl get \
         pod POD --output jsonpath='{.spec.terminationGracePeriodSeconds}'`"
            .to_owned()
    } else if says("container", "podman") || Path::new("/run/.containerenv").exists() {
        format!("`podman {inspect}")
    } else if Path::new("/.dockerenv").exists() || in_container {
        format!("`docker {inspect} (none: 10s)")
    } else {
        "docker inspect, or podman inspect, of the container tells (10s unless --stop-timeout was \
         given)"
            .to_owned()
    };
    let text = format!(
        "when an engine kills after its TERM cannot be seen from inside, and `stop_within` (9s) has \
         to be less; ask it outside: {ask}"
    );
    (Level::Ok, "stop_within", text)
}
