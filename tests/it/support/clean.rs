//! A clean Debian with nothing in it, as the root of namespaces of its own (mounts, processes,
//! network, host name): what a person finds who starts from nothing, and what a container is. Needs
//! root and the roots that tests/setup.sh has made.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use lockkeeper::config::plan::SharedMount;
use lockkeeper::lock::placement;

use super::bin::{self, real, static_build};
use super::blocks::console::Said;
use super::blocks::walk::hear;
use super::child::{Tied, bare, read, start};
use super::made;
use super::ns::in_new_pid_namespace;

/// The machine's mounts are left behind, and nothing of /run, /dev and /tmp is its own. Arguments: the
/// root, the host's name, then three words a mount: `bind` or `over`, a folder of the
/// machine, where it is seen. What is written over a folder is gone with the namespace.
const MOUNTS: &str = r#"set -e
root=$1; name=$2; shift 2
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
for own in run tmp dev; do mount -t tmpfs -o mode=1777 tmpfs "$root/$own"; done
chmod 755 "$root/run" "$root/dev"
for node in null zero full random urandom tty; do
    touch "$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/shm" "$root/dev/pts" "$root/mnt/over"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
over=$root/mnt/over
mount -t tmpfs tmpfs "$over"
while [ $# -gt 0 ]; do
    mkdir -p "$root$3" "$over/$#" "$over/$#.work"
    case $1 in
        bind) mount --bind "$2" "$root$3" ;;
        over) mount -t overlay -o "lowerdir=$2,upperdir=$over/$#,workdir=$over/$#.work" overlay "$root$3" ;;
    esac
    shift 3
done
umount --lazy "$over"
rmdir "$over"
echo "$name" >/proc/sys/kernel/hostname
cd "$root"
exec chroot "$root" /sbin/init"#;

/// A PID 1 that does nothing but reap, until its standard input ends.
const REAPER: &str = "read -r _; true";

/// The root and all that runs in it; both are gone when it is dropped.
pub(crate) struct Clean {
    // Dropped first: all that runs in there, and the mounts, end with it.
    pid1: Tied,
    _folder: Folder,
    envs: Vec<(String, String)>,
}

/// A folder below target, on a disk: a lock in a container's own memory would be refused.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("clean-{}-{}", process::id(), NEXT.fetch_add(1, Relaxed));
        let path = bin::target().join("tmp").join(name);
        // Of an earlier process with our number that was killed.
        drop(fs::remove_dir_all(&path));
        fs::create_dir_all(&path).expect("room in target");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// `over` or `bind`, a folder of the machine, where it is seen.
type Mount<'a> = (&'a str, PathBuf, &'a str);

impl Clean {
    /// With the machine's Rust toolchain, its crates, and a checkout of this repository in
    /// `~/lockkeeper`.
    pub(crate) fn with_rust() -> Self {
        let [cargo, rustup] = homes();
        let mounts = [
            ("over", cargo, "/root/.cargo"),
            ("over", rustup, "/root/.rustup"),
        ];
        let mut clean = Self::start("debian-rust.tar", "laptop", REAPER, &mounts, |root| {
            let checkout = root.join("root/lockkeeper");
            fs::create_dir(&checkout).expect("room for a checkout");
            // What git has, as it is now: what is not committed yet, too, and nothing that is built.
            let copy = "git ls-files -z --cached --others --exclude-standard --deduplicate |
                tar --create --null --files-from=- | tar --extract --directory \"$0\"";
            let mut command = Command::new("sh");
            let command = bare(&mut command).args(["-c", copy]).arg(&checkout);
            read(command.current_dir(made::root()));
        });
        // No network in there, and no time lost with looking for it.
        clean.env("CARGO_NET_OFFLINE", "true");
        if let Ok(toolchain) = std::env::var("RUSTUP_TOOLCHAIN") {
            clean.env("RUSTUP_TOOLCHAIN", &toolchain);
        }
        clean
    }

    /// With the program itself, built before.
    pub(crate) fn with_lockkeeper() -> Self {
        Self::start("debian.tar", "laptop", REAPER, &[], add_lockkeeper)
    }

    /// A container of this name with the program as its PID 1, this file, this agent, and the folder of
    /// a login that others have, too.
    pub(crate) fn container(name: &str, file: &str, agent: &str, login: &Path) -> Self {
        let login = [("bind", login.to_owned(), "/home/agent/.claude")];
        Self::start("debian.tar", name, "exec lockkeeper", &login, |root| {
            add_lockkeeper(root);
            add_program(root, "usr/local/bin/claude", agent);
            fs::write(root.join("etc/lockkeeper.toml"), file).expect("room for a file");
        })
    }

    fn start(
        archive: &str,
        name: &str,
        main: &str,
        mounts: &[Mount<'_>],
        prepare: impl FnOnce(&Path),
    ) -> Self {
        let folder = Folder::new();
        let mut tar = Command::new("tar");
        tar.arg("--directory").arg(&folder.0).arg("--extract");
        read(tar.arg("--file").arg(real(archive)));
        prepare(&folder.0);
        // By that name nobody takes it for a shell of somebody's own.
        add_program(
            &folder.0,
            "usr/sbin/init",
            &format!("#!/bin/bash\necho ready\n{main}\n"),
        );
        let mut command = Command::new("unshare");
        bare(&mut command).args([
            "--mount", "--net", "--ipc", "--uts", "sh", "-c", MOUNTS, "sh",
        ]);
        command.arg(&folder.0).arg(name);
        for (how, from, to) in mounts {
            command.arg(how).arg(from).arg(to);
        }
        let path = "/root/.cargo/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let envs = [("PATH", path), ("HOME", "/root"), ("USER", "root")];
        command.env_clear().envs(envs);
        let started = in_new_pid_namespace(|| start(&mut command));
        let mut pid1 = started.expect("root may make a namespace");
        assert_eq!(pid1.line().as_deref(), Some("ready"), "the root is made");
        let envs = envs.map(|(name, value)| (name.into(), value.into()));
        Self {
            pid1,
            _folder: folder,
            envs: envs.into(),
        }
    }

    /// Adds to the environment of what runs in there.
    pub(crate) fn env(&mut self, name: &str, value: &str) {
        self.envs.push((name.into(), value.into()));
    }

    /// Runs a script of shell to its end, in this folder of the clean root.
    pub(crate) fn run(&self, folder: &str, script: &str) -> Said {
        let mut command = Command::new("nsenter");
        let pid1 = self.pid1.pid().to_string();
        command.args([
            "--target", &pid1, "--mount", "--pid", "--net", "--ipc", "--uts", "--root",
        ]);
        // Not the shell changes the folder: where it begins is no place of that root.
        command.arg("env").arg(format!("--chdir={folder}"));
        command.args(["sh", "-c", script]);
        command.env_clear().envs(self.envs.clone());
        hear(command.current_dir("/"))
    }

    /// A path of in there, as the test can open it.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        assert!(path.starts_with('/'), "{path}");
        PathBuf::from(format!("/proc/{}/root{path}", self.pid1.pid()))
    }
}

/// The machine's own homes of cargo and of rustup.
pub(crate) fn homes() -> [PathBuf; 2] {
    let homes = [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")];
    homes.map(|(name, folder)| {
        let own = std::env::home_dir().expect("a home").join(folder);
        std::env::var_os(name).map_or(own, PathBuf::from)
    })
}

fn add_lockkeeper(root: &Path) {
    let to = root.join("usr/local/bin/lockkeeper");
    fs::copy(static_build("lockkeeper"), to).expect("room for a program");
}

/// Adds a program that is a script.
pub(crate) fn add_program(root: &Path, path: &str, script: &str) {
    let path = root.join(path);
    fs::write(&path, script).expect("room for a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("ours");
}

/// Whether a lock in a root below target holds for more than one container.
pub(crate) fn is_on_disk() -> bool {
    placement::check(&bin::target().join("lock"), SharedMount::Auto).is_ok()
}
