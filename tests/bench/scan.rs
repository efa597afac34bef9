//! Finding every directory lock in fifty working copies, 270,000 files: `lock list` beside GNU find
//! with the same folders left out, and beside a Go program with the standard library's Walk, as the
//! first tools of this kind have it (`walker.go`). All on warm caches, taking turns.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use lockkeeper::lock::scan::skip::DEFAULT;

use super::table::{Table, median};

const COPIES: usize = 50;
const FILES: usize = 5400;
const ROUNDS: usize = 21;
/// Rounds before those that count.
const WARM: usize = 3;

/// What a working copy is made of: the folder, how many folders in it, and how many files.
const PARTS: [(&str, usize, usize); 4] = [
    (".git/objects", 256, 1300),
    ("target/debug", 120, 1900),
    ("node_modules", 150, 1000),
    // The rest, in what is left.
    ("src", 110, 1199),
];

/// Measures the three, interleaved, and counts the system calls of each.
pub fn measure(binary: &Path, table: &mut Table) {
    let root = std::env::temp_dir().join(format!("lockkeeper-bench-scan-{}", std::process::id()));
    let _ = fs::remove_dir_all(&root);
    plant(&root.join("tree"));
    let tree = root.join("tree");
    let mut commands = vec![
        ("lockkeeper lock list", list(binary, &tree)),
        ("find, the same folders left out", find(&tree)),
    ];
    if let Some(walker) = build_walker(&root) {
        commands.push(("filepath.Walk", vec![text(&walker), text(&tree)]));
    } else {
        println!("missing: go (golang-go): no comparison with filepath.Walk");
    }
    let mut times = vec![Vec::new(); commands.len()];
    for round in 0..ROUNDS + WARM {
        for ((_, command), times) in commands.iter().zip(&mut times) {
            let begin = Instant::now();
            run(command);
            if round >= WARM {
                times.push(begin.elapsed().as_secs_f64());
            }
        }
    }
    let medians: Vec<f64> = times.iter_mut().map(|times| median(times)).collect();
    for ((name, _), median) in commands.iter().zip(&medians) {
        table.row(&format!("{name}, 270,000 files, ms"), median * 1e3, None);
    }
    table.row("ratio to find", medians[0] / medians[1], Some(1.0));
    if let Some(walker) = medians.get(2) {
        table.row("ratio to filepath.Walk", medians[0] / walker, Some(0.2));
    }
    for (name, command) in &commands {
        let calls = count(command, &root.join("calls"));
        for call in ["openat", "getdents64", "close", "stat, all kinds"] {
            let count = calls.get(call).copied().unwrap_or(0.0);
            table.row(&format!("{name}: calls of {call}"), count, None);
        }
        if *name == commands[0].0 {
            // Folders that are looked into, `.runtime` apart: each root's own, a copy's and its parts.
            let folders = (1 + COPIES * (1 + 1 + PARTS[3].1)) as f64;
            let locks = COPIES as f64;
            // A lock: its .runtime, record and latch; the program's own start: a few dozen.
            let opened = calls.get("openat").copied().unwrap_or(0.0) - folders - 3.0 * locks;
            table.row("openat beyond folders and locks", opened, Some(100.0));
            let listed = calls.get("getdents64").copied().unwrap_or(0.0) - 2.0 * folders;
            table.row("getdents64 beyond two a folder", listed, Some(100.0));
            let asked = calls.get("stat, all kinds").copied().unwrap_or(0.0) - 8.0 * locks;
            table.row("stat beyond eight a lock", asked, Some(100.0));
        }
    }
    fs::remove_dir_all(&root).expect("our own folder");
}

fn plant(tree: &Path) {
    assert_eq!(
        PARTS.iter().map(|(_, _, files)| files).sum::<usize>() + 1,
        FILES
    );
    for copy in 0..COPIES {
        let copy = tree.join(format!("copy{copy:02}"));
        for (part, folders, files) in PARTS {
            for folder in 0..folders {
                let folder = copy.join(part).join(format!("f{folder:03}"));
                fs::create_dir_all(&folder).expect("a folder");
            }
            for file in 0..files {
                let folder = copy.join(part).join(format!("f{:03}", file % folders));
                fs::File::create(folder.join(format!("file{file}.rs"))).expect("a file");
            }
        }
        let runtime = copy.join(".runtime");
        fs::create_dir(&runtime).expect("a folder");
        let record = format!(
            "{{\n  \"pid\": 1,\n  \"acquired_at\": \"2026-01-01T00:00:00Z\",\n  \
             \"hostname\": \"{}\"\n}}\n",
            "another-host"
        );
        fs::write(runtime.join("agent.lock"), record).expect("a file");
    }
}

fn list(binary: &Path, tree: &Path) -> Vec<String> {
    let list = ["lock", "list", "--json"].map(str::to_owned);
    [text(binary)]
        .into_iter()
        .chain(list)
        .chain([text(tree)])
        .collect()
}

fn find(tree: &Path) -> Vec<String> {
    let mut command = vec![
        "find".to_owned(),
        text(tree),
        "-type".into(),
        "d".into(),
        "(".into(),
    ];
    for (number, name) in DEFAULT.iter().enumerate() {
        if number > 0 {
            command.push("-o".into());
        }
        command.extend(["-name".to_owned(), (*name).to_owned()]);
    }
    let rest = [")", "-prune", "-o", "-name", "agent.lock", "-print"];
    command.extend(rest.map(str::to_owned));
    command
}

fn build_walker(root: &Path) -> Option<PathBuf> {
    let program = root.join("walker");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/walker.go");
    let mut build = Command::new("go");
    build
        .args(["build", "-o"])
        .arg(&program)
        .arg(source)
        .env("GO111MODULE", "off")
        .env("GOCACHE", root.join("go-cache"));
    build
        .status()
        .is_ok_and(|status| status.success())
        .then_some(program)
}

fn run(command: &[String]) {
    let mut started = Command::new(&command[0]);
    let status = started.args(&command[1..]).stdout(Stdio::null()).status();
    // Records of another host are what a person has to look at: 1.
    let code = status.expect("it starts").code();
    assert!(matches!(code, Some(0 | 1)), "{command:?}: {code:?}");
}

/// How often each system call is made, of all threads.
fn count(command: &[String], to: &Path) -> BTreeMap<String, f64> {
    let status = Command::new("strace")
        .args(["-f", "-c", "-o"])
        .arg(to)
        .args(command)
        .stdout(Stdio::null())
        .status();
    assert!(status.is_ok(), "strace: {status:?}");
    let mut calls = BTreeMap::new();
    for line in fs::read_to_string(to).expect("strace wrote it").lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (Some(count), Some(name)) = (fields.get(3), fields.last()) else {
            continue;
        };
        let Ok(count) = count.parse::<f64>() else {
            continue;
        };
        let name = match *name {
            "newfstatat" | "statx" | "fstat" | "lstat" | "stat" => "stat, all kinds",
            other => other,
        };
        *calls.entry(name.to_owned()).or_insert(0.0) += count;
    }
    calls
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path of ours is text").to_owned()
}
