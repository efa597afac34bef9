//! A command's output at full speed: kept in a file, with and without secrets to look for, beside
//! `cat` at the end of a pipe and beside what podman's own log path (conmon, k8s-file) makes of it; in
//! the journal beside `systemd-cat`; and inherited, beside no lockkeeper at all. Taking turns, warm caches.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::table::{Table, median};

/// As an agent prints it with stream-json.
const LINE: &str = r#"{"type":"assistant","message":{"id":"msg_01","role":"assistant","model":"m","content":[{"type":"text","text":"The test in src/lock/claim.rs fails because the record is written before the latch is ours; so we take it first, and write then."}],"usage":{"input_tokens":4211,"output_tokens":97}},"session_id":"5f0c1e6a"}"#;
const SIZE: usize = 256 << 20;
/// For the journal, which is slower by far.
const FEW: usize = 16 << 20;
const ROUNDS: usize = 7;

/// The mounts that crun asks for on a machine with hybrid cgroups, then podman.
const PODMAN: &str = "umount -R /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; \
    exec podman --root \"$0/root\" --runroot \"$0/run\" --tmpdir \"$0/tmp\" --storage-driver vfs \
    --cgroup-manager cgroupfs --runtime crun --events-backend none run --rm --network none \
    --cgroups=disabled --ulimit nofile=1024:1024 --ulimit nproc=4096:4096 --log-driver k8s-file \
    --log-opt path=\"$0/ctr.log\" --attach stderr --volume \"$0/data:/data:ro\" --rootfs \"$0/rootfs\" \"$@\"";

/// Measures all of them.
pub fn measure(binary: &Path, table: &mut Table) {
    let dir = std::env::temp_dir().join(format!("lockkeeper-bench-output-{}", std::process::id()));
    let _ = fs::remove_dir_all(&dir);
    fs::create_dir_all(dir.join("data")).expect("a folder");
    let (all, few) = (dir.join("data/all"), dir.join("data/few"));
    let lines = |size: usize| format!("{LINE}\n").repeat(size / (LINE.len() + 1));
    fs::write(&all, lines(SIZE)).expect("room for a file");
    fs::write(&few, lines(FEW)).expect("room for a file");
    let config = configure(&dir, &all, &few);
    let own = |job: &str| {
        let (binary, config) = (binary.display(), config.display());
        format!("exec '{binary}' run -c '{config}' {job}")
    };
    let (all, few, out) = (text(&all), text(&few), text(&dir.join("out")));
    let mut shells = vec![
        (
            "cat through a pipe to a file",
            format!("cat '{all}' | cat > '{out}'"),
        ),
        ("output = \"file\"", own("file")),
        ("output = \"file\", three secrets", own("secrets")),
        ("cat to a file", format!("exec cat '{all}' > '{out}'")),
        (
            "output = \"inherit\"",
            format!("{} > '{out}'", own("inherit")),
        ),
    ];
    let podman = podman(&dir);
    if let Some([whole, nothing]) = &podman {
        shells.push(("podman, its log", whole.clone()));
        shells.push(("podman, no output", nothing.clone()));
    }
    let times = time(&shells, &dir);
    let rate = |seconds: f64| SIZE as f64 / seconds / 1e6;
    for ((name, _), seconds) in shells.iter().zip(&times).take(5) {
        table.row(&format!("{name}, MB/s"), rate(*seconds), None);
    }
    table.row(
        "time of output = \"file\" to cat through a pipe",
        times[1] / times[0],
        Some(2.0),
    );
    table.row(
        "the same with three secrets",
        times[2] / times[0],
        Some(2.0),
    );
    table.row(
        "time of output = \"inherit\" to cat alone",
        times[4] / times[3],
        Some(1.05),
    );
    if podman.is_some() {
        let log = times[5] - times[6];
        table.row("podman's log, its start left out, MB/s", rate(log), None);
        table.row(
            "time of output = \"file\" to podman's log",
            times[1] / log,
            Some(1.0),
        );
    }
    journal(&dir, &own("journal"), &few, table);
    fs::remove_dir_all(&dir).expect("our own folder");
}

fn configure(dir: &Path, all: &Path, few: &Path) -> PathBuf {
    let mut file = format!(
        "[classes.batch]\nidentity = \"env:HOME\"\nlog_dir = \"{}\"\nlog_size = \"100G\"\n",
        dir.display()
    );
    for (job, keys, data) in [
        ("file", "output = \"file\"", all),
        (
            "secrets",
            "output = \"file\"\nredact = [\"A\", \"B\", \"C\"]",
            all,
        ),
        ("inherit", "", all),
        ("journal", "output = \"journal\"", few),
    ] {
        write!(
            file,
            "[jobs.{job}]\nclass = \"batch\"\n{keys}\ncommand = [\"cat\", \"{}\"]\n\
             env = {{ A = \"sk-ant-oat01-aaaaaaaaaaaaaaaaaaaaaaaa\", B = \"ghp_bbbbbbbbbbbbbbbbbbbbbbbb\", C = \"the password of the database\" }}\n",
            data.display()
        )
        .expect("text");
    }
    let path = dir.join("lockkeeper.toml");
    fs::write(&path, file).expect("room for a file");
    path
}

/// The median of each, in seconds, taking turns.
fn time(shells: &[(&str, String)], dir: &Path) -> Vec<f64> {
    let mut times = vec![Vec::new(); shells.len()];
    for round in 0..=ROUNDS {
        for ((_, shell), times) in shells.iter().zip(&mut times) {
            for name in ["out", "file.log", "secrets.log", "ctr.log"] {
                let _ = fs::remove_file(dir.join(name));
            }
            let begin = Instant::now();
            run(&mut Command::new("sh"), shell);
            if round > 0 {
                times.push(begin.elapsed().as_secs_f64());
            }
        }
    }
    times.iter_mut().map(|times| median(times)).collect()
}

fn run(sh: &mut Command, shell: &str) {
    let quiet = sh
        .args(["-c", shell])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let mut child = quiet.spawn().expect("a shell");
    let status = child.wait().expect("our child");
    assert!(status.success(), "{shell}: {status}");
}

/// A container that prints all of it, and one that prints nothing; `None` where there is no podman.
fn podman(dir: &Path) -> Option<[String; 2]> {
    let busybox = Path::new("/bin/busybox");
    if !on_path("podman") || !on_path("crun") || !busybox.exists() {
        println!("missing: podman, crun or busybox-static: no comparison with podman's log");
        return None;
    }
    let bin = dir.join("rootfs/bin");
    fs::create_dir_all(&bin).expect("a folder");
    for folder in ["data", "proc", "dev", "sys", "etc", "run", "tmp"] {
        fs::create_dir_all(dir.join("rootfs").join(folder)).expect("a folder");
    }
    for name in ["cat", "true"] {
        fs::copy(busybox, bin.join(name)).expect("a copy");
    }
    let call = |args: &str| {
        format!(
            "exec unshare -m sh -c '{PODMAN}' '{}' {args}",
            dir.display()
        )
    };
    Some([call("/bin/cat /data/all"), call("/bin/true")])
}

/// A journald of our own, and the same lines once through us and once through systemd-cat.
fn journal(dir: &Path, own: &str, few: &str, table: &mut Table) {
    let program = "/lib/systemd/systemd-journald";
    if !Path::new(program).exists() || !on_path("systemd-cat") {
        println!("missing: systemd: no comparison with systemd-cat");
        return;
    }
    let run_dir = dir.join("run");
    fs::create_dir_all(run_dir.join("systemd/journald.conf.d")).expect("a folder");
    fs::create_dir_all(run_dir.join("systemd/journal")).expect("a folder");
    let config = "[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\nForwardToSyslog=no\n\
        ForwardToWall=no\nReadKMsg=no\nAudit=no\n";
    fs::write(run_dir.join("systemd/journald.conf.d/bench.conf"), config).expect("a file");
    let script = "mount --bind \"$0\" /run && exec /lib/systemd/systemd-journald 2>/dev/null";
    let mut journald = Command::new("unshare")
        .args(["--mount", "sh", "-c", script])
        .arg(&run_dir)
        .spawn()
        .expect("unshare");
    let give_up = Instant::now() + Duration::from_secs(10);
    while !run_dir.join("systemd/journal/socket").exists() && Instant::now() < give_up {
        std::thread::yield_now();
    }
    let mut times = [Vec::new(), Vec::new()];
    for round in 0..=ROUNDS {
        for (shell, times) in [own, &format!("exec systemd-cat cat '{few}'")]
            .into_iter()
            .zip(&mut times)
        {
            let mut enter = Command::new("nsenter");
            enter.args([
                "--target",
                &journald.id().to_string(),
                "--mount",
                "--",
                "sh",
            ]);
            let begin = Instant::now();
            run(&mut enter, shell);
            if round > 0 {
                times.push(begin.elapsed().as_secs_f64());
            }
        }
    }
    end(&mut journald);
    let [own, cat] = times.map(|mut times| median(&mut times));
    let lines = FEW as f64 / LINE.len() as f64;
    table.row("output = \"journal\", lines/s", lines / own, None);
    table.row("systemd-cat, lines/s", lines / cat, None);
    table.row(
        "time of output = \"journal\" to systemd-cat",
        own / cat,
        None,
    );
}

fn end(child: &mut Child) {
    child.kill().expect("our child");
    child.wait().expect("our child");
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
