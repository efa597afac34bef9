//! Several real containers over one folder of the host: a scene (lock, marker page, puppet) that
//! each of them mounts as the folder of its login.
//!
//! The scene's puppet is the static build, as the containers have no libraries. In scripts and
//! files PAGE, DIR and LOCK stand for what a container sees.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::bin;
use super::net::Net;
use super::ns::children;
use super::podman::{Container, Podman, Run};
use super::scene::{Scene, waits_in};
use super::wait::until;

/// Where the containers mount the scene's folder; the lock that follows from the login lies in it.
pub(crate) const LOGIN: &str = "/home/agent/.claude";

pub(crate) struct Yard {
    pub(crate) scene: Scene,
    pub(crate) podman: Podman,
}

impl Yard {
    /// `need!("root", "podman", "crun", "buildah", "busybox", "static")` comes before.
    pub(crate) fn new() -> Self {
        let scene = Scene::new();
        fs::copy(bin::static_build("examples/puppet"), scene.puppet()).expect("room for a puppet");
        // Containers of several users share it.
        for (path, mode) in [(scene.folder(), 0o777), (&scene.path("page"), 0o666)] {
            fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
        }
        let podman = Podman::ready();
        Self { scene, podman }
    }

    /// The same, with the containers in `net`.
    pub(crate) fn in_net(self, net: &Net) -> Self {
        Self {
            podman: self.podman.in_net(net),
            ..self
        }
    }

    /// A container whose entry point gets `args`, with the login's folder mounted.
    pub(crate) fn container(&self, args: &[&str]) -> Run {
        Run::new(args).mount(self.scene.folder(), LOGIN, "rw")
    }

    /// `lockkeeper run OPTIONS -- puppet SCRIPT` as the entry point.
    pub(crate) fn run(&self, options: &str, script: &str) -> Run {
        let mut args = vec!["run".to_owned()];
        args.extend(Scene::words_at(LOGIN.as_ref(), options));
        args.extend(["--".to_owned(), format!("{LOGIN}/puppet")]);
        args.extend(Scene::words_at(LOGIN.as_ref(), script));
        self.container(&args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// `lockkeeper init -c FILE` as the entry point, with this file; `script = …` in it is a
    /// command of the puppet.
    pub(crate) fn init(&self, toml: &str) -> Run {
        let file = self.file(toml);
        self.container(&["init", "-c", &file])
    }

    /// Writes a configuration, and says where a container finds it.
    pub(crate) fn file(&self, toml: &str) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{}.toml", NEXT.fetch_add(1, Relaxed));
        let toml = Scene::toml_at(LOGIN.as_ref(), toml);
        fs::write(self.scene.path(&name), toml).expect("room for a file");
        format!("{LOGIN}/{name}")
    }

    /// Waits until the processes of these runs stand in the page, and nobody else.
    #[track_caller]
    pub(crate) fn await_alive(&self, runs: &[(u32, usize)]) {
        let runs = runs.iter().copied().collect();
        until("these and no others live", || {
            self.scene.page.alive() == runs
        });
    }

    /// Starts a container and waits until somebody in it stands in the queue of the lock, or has
    /// passed it.
    #[track_caller]
    pub(crate) fn start_queueing(&self, run: &Run) -> Container<'_> {
        let marks = self.scene.page.marks();
        let container = self.podman.start(run);
        let pid1 = container.pid();
        until("it queues", || {
            queues(pid1) || self.scene.page.marks() != marks
        });
        container
    }
}

/// Whether `pid` or a process below it rests in flock(2).
fn queues(pid: i32) -> bool {
    waits_in(pid, libc::SYS_flock) || children(pid).into_iter().any(queues)
}

/// A file of this repository, e.g. `config/agents.toml`.
pub(crate) fn repository(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
