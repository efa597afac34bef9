//! `status` with 1,000 runs and 200 waiters on record, each claim with a latch that is really held, beside
//! `s6-svstat` of 1,000 supervised services: processor time, taking turns.
//!
//! s6 knows no command for all, so what people write is a loop; its services are down, and each has its
//! `s6-supervise`, without which svstat says nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use lockkeeper::lock::claim::Claim;
use lockkeeper::lock::folders::claims_folder;
use lockkeeper::lock::latch::Part;
use lockkeeper::lock::record::{By, Kind, Origin, Record, State, VERSION};

use super::table::{Table, median};

const RUNS: u32 = 1000;
const WAITERS: u32 = 200;
const ROUNDS: usize = 21;
/// Rounds before those that count.
const WARM: usize = 2;

/// Measures both, interleaved.
pub fn measure(binary: &Path, table: &mut Table) {
    let root = std::env::temp_dir().join(format!("lockkeeper-bench-status-{}", std::process::id()));
    let _ = fs::remove_dir_all(&root);
    fs::create_dir(&root).expect("room");
    more_descriptors();
    let lock = root.join("session.lock");
    fs::write(&lock, "").expect("room");
    let held = claims(&root, &lock);
    let command = |form: &[&str]| {
        let mut command = Command::new(binary);
        command
            .args(["status", "--socket", "/nobody/listens"])
            .args(form)
            .arg(&lock);
        command
            .env("XDG_RUNTIME_DIR", &root)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    };
    let scan = Scan::start(&root);
    if scan.is_none() {
        println!("missing: s6: no comparison with s6-svstat");
    }
    let forms: [(&str, &[&str]); 3] = [
        ("table", &[]),
        ("--json", &["--json"]),
        ("--metrics", &["--metrics"]),
    ];
    let mut ours = vec![Vec::new(); forms.len()];
    let mut theirs = Vec::new();
    for round in 0..ROUNDS + WARM {
        let put = |times: &mut Vec<f64>, command: &mut Command| {
            let used = used_by(command);
            if round >= WARM {
                times.push(used);
            }
        };
        for ((_, form), times) in forms.iter().zip(&mut ours) {
            put(times, &mut command(form));
        }
        // A thousand processes take a second.
        if let Some(scan) = scan.as_ref().filter(|_| round % 4 == 0) {
            put(&mut theirs, &mut scan.status());
        }
    }
    let out = command(&["--json"])
        .stdout(Stdio::piped())
        .output()
        .expect("it starts");
    let told: serde_json::Value = serde_json::from_slice(&out.stdout).expect("one object");
    assert_eq!(told["jobs"].as_array().map(Vec::len), Some(RUNS as usize));
    assert_eq!(
        told["locks"][0]["waiting"].as_array().map(Vec::len),
        Some(WAITERS as usize)
    );
    let medians: Vec<f64> = ours.iter_mut().map(|times| median(times)).collect();
    for ((name, _), median) in forms.iter().zip(&medians) {
        let row = format!("status {name}, 1,000 runs and 200 waiters, CPU ms");
        table.row(&row, median * 1e3, None);
    }
    if !theirs.is_empty() {
        let svstat = median(&mut theirs);
        table.row(
            "s6-svstat of 1,000 services in a loop, CPU ms",
            svstat * 1e3,
            None,
        );
        table.row("ratio of status to that", medians[0] / svstat, Some(0.1));
    }
    held.into_iter().for_each(Claim::release);
    drop(scan);
    let _ = fs::remove_dir_all(&root);
}

fn claims(root: &Path, lock: &Path) -> Vec<Claim> {
    let (runtime, beside) = (root.join("lockkeeper"), claims_folder(lock));
    let origin = Origin::read();
    let record = |number: u32, state| Record {
        v: VERSION,
        run_id: format!("{number:016x}"),
        job: format!("job-{number}"),
        class: "batch".into(),
        kind: Kind::Batch,
        state,
        container: Some("agents-1".into()),
        pid: Some(4711),
        monitor: Some(4710),
        start_time: Some(123_456),
        boot_id: origin.boot_id.clone(),
        pid_ns: origin.pid_ns,
        uid: 0,
        lock: Some(lock.to_owned()),
        dirs: Vec::new(),
        by: By::Init,
        since_unix_ms: 1_795_000_000_000 + u64::from(number),
    };
    let make = |folder: &Path, part, number, state| {
        let record = record(number, state);
        let claim = Claim::open(folder, &record.run_id, part).expect("a claim");
        claim.update(&record).expect("a record");
        claim
    };
    let runs = (0..RUNS).map(|number| make(&runtime, Part::Rest, number, State::Running));
    let holder = std::iter::once_with(|| make(&beside, Part::Whole, 0, State::Running));
    let waiters = (1..=WAITERS).map(|number| make(&beside, Part::Whole, number, State::Waiting));
    runs.chain(holder).chain(waiters).collect()
}

/// s6 with a thousand services, none of which runs.
struct Scan {
    folder: PathBuf,
    process: Child,
}

impl Scan {
    fn start(root: &Path) -> Option<Self> {
        let folder = root.join("scan");
        for number in 0..RUNS {
            let service = folder.join(format!("job-{number}"));
            fs::create_dir_all(&service).expect("room");
            fs::write(service.join("down"), "").expect("room");
            let run = service.join("run");
            fs::write(&run, "#!/bin/sh\nexec sleep 1000\n").expect("room");
            fs::set_permissions(&run, fs::Permissions::from_mode(0o755)).expect("it is ours");
        }
        let process = Command::new("s6-svscan")
            .args(["-c", "1100"])
            .arg(&folder)
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let scan = Self { folder, process };
        for number in 0..RUNS {
            let status = scan.folder.join(format!("job-{number}/supervise/status"));
            while !status.exists() {
                std::thread::sleep(std::time::Duration::from_millis(10));
            }
        }
        Some(scan)
    }

    fn status(&self) -> Command {
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "for service in \"$0\"/job-*; do s6-svstat \"$service\"; done",
        ]);
        command.arg(&self.folder).stdout(Stdio::null());
        command
    }
}

impl Drop for Scan {
    fn drop(&mut self) {
        let stop = Command::new("s6-svscanctl")
            .arg("-t")
            .arg(&self.folder)
            .status();
        if !stop.is_ok_and(|status| status.success()) {
            let _ = self.process.kill();
        }
        let _ = self.process.wait();
    }
}

/// The processor time that `command` and all it starts use, in seconds.
fn used_by(command: &mut Command) -> f64 {
    let before = used();
    command.status().expect("it starts");
    used() - before
}

/// That of our children so far.
fn used() -> f64 {
    // SAFETY: all zero bits are a valid value, and it is valid for writing (getrusage(2)).
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_CHILDREN, &raw mut usage);
        usage
    };
    let secs = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    secs(usage.ru_utime) + secs(usage.ru_stime)
}

/// Room for the latches.
fn more_descriptors() {
    // SAFETY: all zero bits are a valid value, and it is valid for both calls (getrlimit(2)).
    unsafe {
        let mut limit: libc::rlimit = std::mem::zeroed();
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        limit.rlim_cur = limit.rlim_max.min(8192);
        libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit);
    }
}
