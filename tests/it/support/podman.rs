//! Real containers: podman and crun over one tiny image (the static program, the puppet, busybox).
//!
//! Every call has a mount namespace of its own that shows cgroup v2 alone: on a machine with hybrid
//! cgroups crun refuses otherwise. Image, storage and podman's own locks lie in Cargo's target
//! folder, so a developer's podman is neither seen nor touched, and `cargo clean` removes all of
//! it.
//!
//! The image is named by its content and stays for the next test. A container is removed with its
//! `Container`; one whose test was killed goes when the next test asks for the image. Needs root.

use std::collections::hash_map::DefaultHasher;
use std::fmt::Write as _;
use std::fs::{self, File, Permissions};
use std::hash::{Hash as _, Hasher as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, id};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use nix::sys::signal::Signal;

use super::child::{output, read, text};
use super::net::Net;
use super::{agent, bin};

/// The mounts of a call, then podman itself: `$0` is where it keeps everything.
pub(crate) const CALL: &str = "umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; \
    exec \"${PODMAN:-podman}\" --root \"$0/root\" --runroot \"$0/run\" --tmpdir \"$0/tmp\" --storage-driver overlay \
    --cgroup-manager cgroupfs --runtime \"${RUNTIME:-crun}\" --events-backend none \"$@\"";

const CONFIG: &str = "[engine]\nlock_type = \"file\"\n";

/// The same for pods, whose every container takes its settings from here. Without its control groups
/// podman makes no pod, and crun, which may not limit devices here, none with them.
const POD_CONFIG: &str = "[containers]\nlog_driver = \"k8s-file\"\nhttp_proxy = false\n\
    default_ulimits = [\"nofile=1024:1024\", \"nproc=4096:4096\"]\n";
const POD_RUNTIME: &str = "#!/bin/sh\nexec crun --cgroup-manager=disabled \"$@\"\n";

/// What crun refuses on hybrid cgroups and beyond the caller's own limits, and what is nobody's to see.
pub(crate) const HERE: [&str; 8] = [
    "--cgroups=disabled",
    "--http-proxy=false",
    "--log-driver",
    "k8s-file",
    "--ulimit",
    "nofile=1024:1024",
    "--ulimit",
    "nproc=4096:4096",
];

/// The loader's folder is a link into /usr, which is empty unless the host's is mounted there.
const RECIPE: &str = r#"FROM scratch
COPY busybox /bin/busybox
RUN ["/bin/busybox", "sh", "-c", "/bin/busybox --install -s /bin && mkdir -p /etc /tmp /usr /home/agent/.claude && chmod 1777 /tmp /home/agent && ln -s usr/lib /lib && ln -s usr/lib64 /lib64"]
COPY lockkeeper puppet /bin/
ENTRYPOINT ["/bin/lockkeeper"]
"#;

/// Podman with the image ready.
pub(crate) struct Podman {
    home: PathBuf,
    image: String,
    net: Option<String>,
    notify: Option<PathBuf>,
    pods: bool,
}

/// How a container is to be run. Without `entrypoint` its arguments are lockkeeper's.
#[derive(Default)]
pub(crate) struct Run {
    options: Vec<String>,
    args: Vec<String>,
}

/// A container; removed when dropped.
pub(crate) struct Container<'a> {
    podman: &'a Podman,
    name: String,
}

impl Podman {
    /// Builds the image if there is none of this content. `need!("root", "podman", "crun",
    /// "buildah", "busybox", "static")` comes before.
    pub(crate) fn ready() -> Self {
        let home = bin::real("podman");
        fs::create_dir_all(&home).expect("target can be written");
        // A semaphore of this machine would be shared with other users of podman.
        let pods = format!("{CONFIG}{POD_CONFIG}");
        for (name, text) in [
            ("containers.conf", CONFIG),
            ("pods.conf", &pods),
            ("crun", POD_RUNTIME),
        ] {
            // Whole at any moment: another test may be reading it.
            let new = home.join(format!("{name}.{}", id()));
            fs::write(&new, text).expect("target can be written");
            fs::set_permissions(&new, Permissions::from_mode(0o755)).expect("it is ours");
            fs::rename(new, home.join(name)).expect("target can be written");
        }
        let guard = File::create(home.join("image.lock")).expect("target can be written");
        guard.lock().expect("one test at a time builds");
        let mut podman = Self {
            home,
            image: String::new(),
            net: None,
            notify: None,
            pods: false,
        };
        forget_if_moved(&podman.home, &mut podman.call());
        podman.sweep();
        podman.build();
        podman
    }

    /// The same, with containers in `net` instead of without any network.
    pub(crate) fn in_net(mut self, net: &Net) -> Self {
        self.net = Some(net.path());
        self
    }

    /// The same, with another image.
    pub(crate) fn of(mut self, image: &str) -> Self {
        image.clone_into(&mut self.image);
        self
    }

    /// The same, as a unit of systemd's would call it whose `NOTIFY_SOCKET` this is.
    pub(crate) fn notifying(mut self, socket: &Path) -> Self {
        self.notify = Some(socket.to_owned());
        self
    }

    /// The same, for `kube play`.
    pub(crate) fn for_pods(mut self) -> Self {
        self.pods = true;
        self
    }

    /// The image of the tests.
    pub(crate) fn image(&self) -> &str {
        &self.image
    }

    /// All this as one program, for others who call podman; it is written into `folder`.
    pub(crate) fn program(&self, folder: &Path) -> PathBuf {
        let path = folder.join("podman");
        let mut text = "#!/bin/sh\n".to_owned();
        for (name, value) in variables(&self.home, self.pods) {
            writeln!(text, "export {name}='{}'", value.display()).expect("a text grows");
        }
        let home = self.home.display();
        writeln!(text, "exec unshare --mount sh -c '{CALL}' '{home}' \"$@\"")
            .expect("a text grows");
        fs::write(&path, text).expect("room for a script");
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("it is ours");
        path
    }

    /// A container that somebody else has started; removed when dropped.
    pub(crate) fn named(&self, name: &str) -> Container<'_> {
        let (podman, name) = (self, name.to_owned());
        Container { podman, name }
    }

    fn build(&mut self) {
        let mut hasher = DefaultHasher::new();
        RECIPE.hash(&mut hasher);
        let busybox = PathBuf::from("/bin/busybox");
        let lockkeeper = bin::static_build("lockkeeper");
        let puppet = bin::static_build("examples/puppet");
        let parts = [
            (busybox, "busybox"),
            (lockkeeper, "lockkeeper"),
            (puppet, "puppet"),
        ];
        for (path, _) in &parts {
            fs::read(path)
                .expect("a part of the image")
                .hash(&mut hasher);
        }
        self.image = format!("localhost/lockkeeper-test:{:016x}", hasher.finish());
        if output(self.call().args(["image", "exists", &self.image]))
            .status
            .success()
        {
            return;
        }
        read(self.call().args(["rmi", "--all", "--force"]));
        let context = self.home.join("context");
        fs::create_dir_all(&context).expect("target can be written");
        for (path, name) in parts {
            fs::copy(path, context.join(name)).expect("target can be written");
        }
        fs::write(context.join("Containerfile"), RECIPE).expect("target can be written");
        let build = [
            "build",
            "--quiet",
            "--isolation",
            "chroot",
            "--tag",
            &self.image,
        ];
        read(self.call().args(build).arg(&context));
        drop(fs::remove_dir_all(context));
    }

    /// Removes containers and pods of tests that are no more.
    fn sweep(&self) {
        let gone = |name: &str| {
            let owner = name.split('-').nth(1).unwrap_or_default();
            !Path::new("/proc").join(owner).exists()
        };
        let format = "{{.Names}} {{.PodName}}";
        let names = read(
            self.call()
                .args(["ps", "--all", "--pod", "--format", format]),
        );
        let (mut pods, mut alone) = (Vec::new(), Vec::new());
        for line in names.lines() {
            match line.split_once(' ') {
                Some((_, pod)) if !pod.is_empty() => pods.push(pod),
                Some((name, _)) => alone.push(name),
                None => alone.push(line),
            }
        }
        pods.sort_unstable();
        pods.dedup();
        for pod in pods.into_iter().filter(|pod| gone(pod)) {
            let rest = ["pod", "rm", "--force", "--time", "0", pod];
            read(self.call_for(true).args(rest));
        }
        for name in alone.into_iter().filter(|name| gone(name)) {
            read(self.call().args(["rm", "--force", "--time", "0", name]));
        }
    }

    /// A call of podman, still without a verb.
    pub(crate) fn call(&self) -> Command {
        self.call_for(self.pods)
    }

    fn call_for(&self, pods: bool) -> Command {
        let mut command = match &self.net {
            Some(net) => {
                let mut command = Command::new("nsenter");
                command.arg(format!("--net={net}")).args(["--", "unshare"]);
                command
            }
            None => Command::new("unshare"),
        };
        command.args(["--mount", "sh", "-c", CALL]).arg(&self.home);
        command.envs(variables(&self.home, pods));
        command
    }

    fn run_call(&self, run: &Run, how: &[&str]) -> Command {
        let mut command = self.call();
        command.envs(self.notify.iter().map(|socket| ("NOTIFY_SOCKET", socket)));
        command.arg("run").args(how);
        command.args(HERE);
        command.args([
            "--network",
            if self.net.is_some() { "host" } else { "none" },
        ]);
        command.args(&run.options).arg(&self.image).args(&run.args);
        command
    }

    /// Starts a container in the background.
    #[track_caller]
    pub(crate) fn start(&self, run: &Run) -> Container<'_> {
        let container = self.named(&new_name());
        read(&mut self.run_call(run, &["--detach", "--name", &container.name]));
        container
    }

    /// Runs a container to its end: its output, its exit code.
    #[track_caller]
    pub(crate) fn run(&self, run: &Run) -> Output {
        output(&mut self.run_call(run, &["--rm", "--name", &new_name()]))
    }
}

/// Removes all that podman keeps below `home` if it was made elsewhere and came here with the target
/// folder: its database knows where that was, and podman refuses it. `call` is one without a verb.
pub(crate) fn forget_if_moved(home: &Path, call: &mut Command) {
    let asked = output(call.args(["ps", "--quiet"]));
    if text(&asked.stderr).contains("database configuration mismatch") {
        for folder in ["root", "run", "tmp"] {
            drop(fs::remove_dir_all(home.join(folder)));
        }
    }
}

/// By its name a container whose test was killed is found (`sweep`).
pub(crate) fn new_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("lk-{}-{}", id(), NEXT.fetch_add(1, Relaxed))
}

/// What podman is told by its environment.
fn variables(home: &Path, pods: bool) -> Vec<(&'static str, PathBuf)> {
    if pods {
        let runtime = ("RUNTIME", home.join("crun"));
        return vec![("CONTAINERS_CONF", home.join("pods.conf")), runtime];
    }
    vec![("CONTAINERS_CONF", home.join("containers.conf"))]
}

impl Run {
    /// What follows the entry point.
    pub(crate) fn new(args: &[&str]) -> Self {
        Self {
            options: Vec::new(),
            args: args.iter().map(ToString::to_string).collect(),
        }
    }

    /// Options of `podman run`, one word each: `--user`, `1000`, `--read-only`, ….
    pub(crate) fn with(mut self, options: &[&str]) -> Self {
        self.options.extend(options.iter().map(ToString::to_string));
        self
    }

    /// Another program than lockkeeper as the container's PID 1.
    pub(crate) fn entrypoint(self, program: &str) -> Self {
        self.with(&["--entrypoint", program])
    }

    /// Mounts a folder of the host: `mode` is `rw` or `ro`.
    pub(crate) fn mount(self, host: &Path, inside: &str, mode: &str) -> Self {
        self.with(&["--volume", &format!("{}:{inside}:{mode}", host.display())])
    }

    pub(crate) fn env(self, name: &str, value: &str) -> Self {
        self.with(&["--env", &format!("{name}={value}")])
    }

    /// The real agent as /bin/claude, with the host's libraries.
    pub(crate) fn agent(self) -> Self {
        self.mount(Path::new("/usr"), "/usr", "ro")
            .mount(&agent::program(), "/bin/claude", "ro")
    }
}

impl Container<'_> {
    fn call(&self, args: &[&str]) -> Command {
        let mut command = self.podman.call();
        command.args(args).arg(&self.name);
        command
    }

    /// `podman exec`: to be run, or started with pipes.
    pub(crate) fn exec(&self, args: &[&str]) -> Command {
        let mut command = self.call(&["exec", "--interactive"]);
        command.args(args);
        command
    }

    /// `podman exec --detach`: nobody waits for it, and its parent in there is nobody.
    pub(crate) fn exec_detached(&self, args: &[&str]) {
        let mut command = self.call(&["exec", "--detach"]);
        read(command.args(args));
    }

    /// `podman stop`: TERM, and KILL `seconds` later. Whether it ended without the KILL.
    pub(crate) fn stop(&self, seconds: u32) -> bool {
        let stopped = output(&mut self.call(&["stop", "--time", &seconds.to_string()]));
        let said = text(&stopped.stderr);
        assert!(stopped.status.success(), "podman stop failed: {said}");
        !said.contains("SIGKILL")
    }

    /// Sends a signal to PID 1.
    pub(crate) fn kill(&self, signal: Signal) {
        read(&mut self.call(&["kill", "--signal", signal.as_str()]));
    }

    /// Waits for the end, and gives the exit code.
    pub(crate) fn wait(&self) -> i32 {
        read(&mut self.call(&["wait"]))
            .parse()
            .expect("podman wait prints a number")
    }

    /// What it wrote on stdout so far.
    pub(crate) fn logs(&self) -> String {
        read(&mut self.call(&["logs"]))
    }

    /// What it wrote on stderr so far.
    pub(crate) fn errors(&self) -> String {
        text(&output(&mut self.call(&["logs"])).stderr)
    }

    /// One fact of `podman inspect`, as a Go template.
    pub(crate) fn inspect(&self, format: &str) -> String {
        read(&mut self.call(&["inspect", "--format", format]))
    }

    /// Whether the health check that it was made with says so, now.
    pub(crate) fn is_healthy(&self) -> bool {
        let checked = output(&mut self.call(&["healthcheck", "run"]));
        checked.status.success()
    }

    /// The number of its PID 1 on the host; 0 when it has ended.
    pub(crate) fn pid(&self) -> i32 {
        self.inspect("{{.State.Pid}}").parse().expect("a number")
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        drop(output(&mut self.call(&["rm", "--force", "--time", "0"])));
    }
}
