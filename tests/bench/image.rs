//! What an image costs: its size, and the time from `podman run` to the first instruction of the
//! container's command, beside the same image with tini as its entry point.
//!
//! The command says what the monotonic clock shows, which is one for the machine and all containers.
//! Needs root and what tests/setup.sh installs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::table::{Table, median};

const ROUNDS: usize = 60;

/// The mounts of a call and podman, with images of its own, as `tests/it/support/podman.rs` has it.
const CALL: &str = "umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; \
    exec podman --root \"$0/root\" --runroot \"$0/run\" --tmpdir \"$0/tmp\" --storage-driver overlay \
    --cgroup-manager cgroupfs --runtime crun --events-backend none \"$@\"";

/// Both inits, and a command that says when it began.
const RECIPE: &str = "FROM scratch\nCOPY . /\n";

struct Podman(PathBuf);

impl Podman {
    fn call(&self, args: &[&str]) -> String {
        call(&self.0, args).unwrap_or_else(|said| panic!("podman {args:?}: {said}"))
    }

    fn image(&self, tag: &str, parts: &[(&Path, &str)]) -> f64 {
        let context = self.0.join("context");
        let _ = fs::remove_dir_all(&context);
        fs::create_dir_all(&context).expect("room");
        for (from, name) in parts {
            fs::copy(from, context.join(name)).expect("a part of the image");
        }
        let recipe = self.0.join("Containerfile");
        fs::write(&recipe, RECIPE).expect("room");
        let (recipe, context) = (recipe.display().to_string(), context.display().to_string());
        let build = ["build", "--quiet", "--isolation", "chroot", "--tag", tag];
        self.call(&[&build[..], &["--file", &recipe, &context]].concat());
        self.size(tag)
    }

    fn size(&self, tag: &str) -> f64 {
        let size = self.call(&["image", "inspect", "--format", "{{.Size}}", tag]);
        size.parse().expect("a size")
    }

    /// Milliseconds from the call to the command's first instruction.
    fn run(&self, entry: &str) -> f64 {
        let how = ["run", "--rm", "--cgroups=disabled", "--network", "none"];
        let limits = [
            "--ulimit",
            "nofile=1024:1024",
            "--ulimit",
            "nproc=4096:4096",
        ];
        let what = [
            "--entrypoint",
            entry,
            "localhost/bench",
            "--",
            "/puppet",
            "clock",
        ];
        let begin = now();
        let said = self.call(&[&how[..], &limits, &what].concat());
        let first: u64 = said.parse().expect("the command says when it began");
        first.saturating_sub(begin) as f64 / 1e6
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        self.call(&["rmi", "--all", "--force"]);
        let _ = Command::new("unshare")
            .args([
                "--mount",
                "sh",
                "-c",
                "umount -q \"$0/root/overlay\"; rm -rf \"$0\"",
            ])
            .arg(&self.0)
            .status();
    }
}

/// What podman says that keeps everything in `home`; the error is what it complains of.
fn call(home: &Path, args: &[&str]) -> Result<String, String> {
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", CALL]).arg(home);
    command.env("CONTAINERS_CONF", home.join("containers.conf"));
    let output = command.args(args).output().expect("podman");
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Nanoseconds of the clock that all processes share.
fn now() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is valid for writing.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    u64::try_from(time.tv_sec * 1_000_000_000 + time.tv_nsec).expect("a time after the start")
}

/// Measures sizes once, and times in pairs, in turn first.
pub fn measure(binary: &Path, table: &mut Table) {
    let puppet = crate::built().with_file_name("examples").join("puppet");
    let tini = Path::new("/usr/bin/tini-static");
    if !tini.exists() || !puppet.exists() {
        println!("image: no tini or no puppet: sh tests/run.sh makes both");
        return;
    }
    let home = std::env::temp_dir().join(format!("lockkeeper-bench-image-{}", std::process::id()));
    fs::create_dir_all(&home).expect("a folder");
    fs::write(
        home.join("containers.conf"),
        "[engine]\nlock_type = \"file\"\n",
    )
    .expect("room");
    let podman = Podman(home);
    let own = podman.image("localhost/lockkeeper", &[(binary, "lockkeeper")]);
    let peer = podman.image("localhost/tini", &[(tini, "tini")]);
    table.row("image of lockkeeper alone, bytes", own, None);
    table.row("image of tini-static alone, bytes", peer, None);
    let tested = crate::target().join("real/podman");
    let size = [
        "image",
        "inspect",
        "--format",
        "{{.Size}}",
        "localhost/my-agent:test",
    ];
    match call(&tested, &size).map(|size| size.parse::<f64>()) {
        Ok(Ok(agent)) => {
            table.row("image of packaging/agent.Dockerfile, bytes", agent, None);
            table.row(
                "lockkeeper's share of it, percent",
                own / agent * 100.0,
                None,
            );
        }
        _ => println!("image: no agent's image: its test makes one, sh tests/run.sh agent_image"),
    }
    let dynamic = fs::metadata("/usr/bin/tini").map_or(f64::NAN, |tini| tini.len() as f64);
    table.row("tini, with libc from its image, bytes", dynamic, None);
    let parts = [(binary, "lockkeeper"), (tini, "tini"), (&puppet, "puppet")];
    podman.image("localhost/bench", &parts);
    let (mut keeper, mut other) = (Vec::new(), Vec::new());
    let mut ratios = Vec::new();
    for round in 0..ROUNDS + 2 {
        // Who comes first changes, as the second one finds all of it in memory.
        let (ours, theirs) = if round % 2 == 0 {
            let ours = podman.run("/lockkeeper");
            (ours, podman.run("/tini"))
        } else {
            let theirs = podman.run("/tini");
            (podman.run("/lockkeeper"), theirs)
        };
        if round >= 2 {
            keeper.push(ours);
            other.push(theirs);
            ratios.push(ours / theirs);
        }
    }
    let ratio = median(&mut ratios);
    for (name, times) in [("lockkeeper", &mut keeper), ("tini", &mut other)] {
        let name = format!("podman run to the command's first instruction, {name}, ms");
        table.row(&name, median(times), None);
    }
    table.row("ratio to tini, median of pairs", ratio, None);
    // They are sorted now. What else the machine does makes a start longer, and never shorter.
    let fast = keeper[ROUNDS / 10] / other[ROUNDS / 10];
    table.row("ratio to tini, the fastest tenth of each", fast, None);
}
