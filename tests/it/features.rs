//! What `packaging/features.md` says is proved has a test of that name, and what it says of init's own
//! process, and no other test, is proved here.

#![expect(clippy::indexing_slicing, reason = "a test may panic: it fails then")]

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::RawFd;
use std::path::Path;
use std::process::Command;

use super::support::bin;
use super::support::child::{bare, output, signal, text};
use super::support::dir::Dir;
use super::support::inherited::Inherited;
use super::support::need::need;
use super::support::ns::{Ns, own_run};
use super::support::wait::until;

fn sources(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn each_feature_names_a_test_that_is_there_or_is_left_out() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut code = String::new();
    sources(&root.join("src"), &mut code);
    sources(&root.join("tests"), &mut code);
    let table = fs::read_to_string(root.join("packaging/features.md")).unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| ---"))
        .skip(1)
        .map(|line| line.trim_matches('|').split(" | ").collect())
        .collect();
    let mut left_out = 0;
    for row in &rows {
        let [feature, what, tests] = row[..] else {
            panic!("{row:?}");
        };
        let named: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert_eq!(named.is_empty(), what == "left out", "{feature}");
        left_out += usize::from(what.contains("left out"));
        for test in named {
            assert!(code.contains(&format!("fn {test}(")), "{feature}: {test}");
        }
    }
    assert!(
        rows.len() > 40 && left_out <= 8,
        "{left_out} of {}",
        rows.len()
    );
}

#[test]
fn init_keeps_neither_the_folder_it_was_started_in_nor_what_it_inherited() {
    const INHERITED: RawFd = 77;
    let dir = Dir::new();
    let config = dir.join("config.toml");
    fs::write(
        &config,
        "[jobs.one]\nclass = \"batch\"\ncommand = [\"sleep\", \"600\"]\n",
    )
    .unwrap();
    let inherited = Inherited {
        open: vec![INHERITED],
        ..Inherited::default()
    };
    let mut command = Command::new(bin::lockkeeper());
    bare(&mut command)
        .args(["init", "-q", "-c"])
        .arg(&config)
        .current_dir(&*dir);
    let mut init = inherited.start(&mut command);
    let proc = format!("/proc/{}", init.pid());
    until("it has left its folder", || {
        fs::read_link(format!("{proc}/cwd")).is_ok_and(|at| at == Path::new("/"))
    });
    assert!(!Path::new(&format!("{proc}/fd/{INHERITED}")).exists());
    signal(init.pid(), nix::sys::signal::Signal::SIGTERM);
    assert!(init.wait().success());
}

/// The priorities of what a run says, each once: one that is ended by its watchdog, and one without a command.
fn heard(flag: Option<&str>) -> BTreeSet<String> {
    let dir = Dir::new();
    let runs = [
        &["--timeout", "10ms", "--", "sleep", "600"][..],
        &["--", "/no/such/command"],
    ];
    let mut heard = BTreeSet::new();
    for run in runs {
        let mut command = Command::new(bin::lockkeeper());
        bare(&mut command)
            .env("LOCKKEEPER_LOG", "json")
            .arg("run")
            .args(flag)
            .arg("--lock")
            .arg(dir.join("lock"))
            .args(run);
        let told = text(&output(&mut command).stderr);
        let priority = |line: &str| {
            let record: serde_json::Value = serde_json::from_str(line).expect("a record a line");
            record["PRIORITY"].as_str().expect("a priority").to_owned()
        };
        heard.extend(told.lines().map(priority));
    }
    heard
}

#[test]
fn each_v_lets_one_level_more_through_and_q_errors_alone() {
    // Errors, warnings, what is usual, and what helps to find a fault: 3 to 6 of syslog(3).
    for (flag, expected) in [
        (Some("-q"), &["3"][..]),
        (None, &["3", "4"]),
        (Some("-v"), &["3", "4", "5"]),
        (Some("-vv"), &["3", "4", "5", "6"]),
    ] {
        let heard = heard(flag);
        let heard: Vec<&str> = heard.iter().map(String::as_str).collect();
        assert_eq!(heard, expected, "{flag:?}");
    }
}

#[test]
fn who_is_not_pid_1_says_so_and_warns_of_nothing() {
    need!("root");
    let dir = Dir::new();
    let config = dir.join("config.toml");
    let text_of = "[jobs.one]\nclass = \"batch\"\ncommand = [\"true\"]\n";
    fs::write(&config, text_of).unwrap();
    let config = config.display().to_string();
    let words = ["init", "-vv", "-c", &config];
    let said = |told: &str| -> Vec<(String, String)> {
        let lines = told.lines().map(|line| {
            let record: serde_json::Value = serde_json::from_str(line).expect("a record a line");
            let field = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
            (field("PRIORITY"), field("MESSAGE"))
        });
        lines
            .filter(|(_, text)| text.contains("init is at work") || !text.contains("job one"))
            .collect()
    };
    let mut command = Command::new(bin::lockkeeper());
    own_run(&mut command);
    let command = bare(&mut command).env("LOCKKEEPER_LOG", "json").args(words);
    let below = said(&text(&output(command).stderr));
    let errors = dir.join("errors");
    let mut first = Ns::root()
        .shell("mount -t tmpfs none /run")
        .env("LOCKKEEPER_LOG", "json")
        .shell(&format!("exec 2>'{}'", errors.display()))
        .start(bin::lockkeeper(), &words);
    assert!(first.process.wait().success());
    let first = said(&fs::read_to_string(errors).unwrap());
    let change =
        |(priority, text): (String, String)| (priority, text.replace("PID 1", "a subreaper"));
    let first: Vec<_> = first.into_iter().map(change).collect();
    assert_eq!(below, first, "not a word more");
    let at_work = (
        "5".to_owned(),
        "init is at work as a subreaper, 1 job".to_owned(),
    );
    assert!(below.contains(&at_work), "{below:?}");
}

#[test]
fn the_static_program_runs_where_there_is_nothing_else() {
    need!("root", "static", "chroot");
    let dir = Dir::new();
    fs::copy(bin::static_build("lockkeeper"), dir.join("lockkeeper")).unwrap();
    let mut command = Command::new("chroot");
    bare(&mut command)
        .arg(&*dir)
        .args(["/lockkeeper", "--version"]);
    let told = output(&mut command);
    assert!(told.status.success(), "{}", text(&told.stderr));
    let version = concat!("lockkeeper ", env!("CARGO_PKG_VERSION"));
    assert!(text(&told.stdout).starts_with(version), "{told:?}");
    // It runs itself there, too: guard and monitor are no other program.
    let mut command = Command::new("chroot");
    bare(&mut command)
        .arg(&*dir)
        .args(["/lockkeeper", "run", "--lock", "/lock", "--"]);
    let told = output(command.args(["/lockkeeper", "--version"]));
    assert!(text(&told.stdout).starts_with(version), "{told:?}");
}

/// Ticks, backoff, graces and limits come from `core` and `init`, and what these do not ask cannot move them:
/// setting the wall clock moves nothing, and in a suspend all stands still. (Setting the machine's clock to see
/// it would be seen by everybody else on it, too.)
#[test]
fn nothing_of_init_and_of_the_policy_asks_a_clock_that_can_be_set_or_runs_on_in_a_suspend() {
    const OTHERS: [&str; 8] = [
        "unix_ms",
        "unix_nanos",
        "since_boot",
        "SystemTime",
        "UNIX_EPOCH",
        "CLOCK_",
        "timerfd",
        "modified()",
    ];
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    // (`core` asks nobody for anything: its own tests see to that.)
    let mut code = String::new();
    sources(&root.join("src/init"), &mut code);
    let asks = |line: &&str| {
        let comment = line.trim_start().starts_with("//");
        !comment && OTHERS.iter().any(|other| line.contains(other))
    };
    assert_eq!(code.lines().find(asks), None);
    // There is no other way to a clock: the linter forbids those of the standard library, and the kernel is
    // asked in one place.
    let forbidden = fs::read_to_string(root.join(".clippy.toml")).unwrap();
    for call in ["std::time::Instant::now", "std::time::SystemTime::now"] {
        assert!(forbidden.contains(call), "{call}");
    }
    let mut code = String::new();
    sources(&root.join("src"), &mut code);
    let clock = fs::read_to_string(root.join("src/sys/clock.rs")).unwrap();
    let asked = |code: &str| code.matches("libc::clock_gettime(").count();
    assert_eq!(asked(&code), asked(&clock));
    // And what rests, rests for a time that has been reckoned by that clock.
    let now = clock
        .split("pub fn ")
        .find(|item| item.starts_with("now()"));
    assert!(now.is_some_and(|now| now.contains("libc::CLOCK_MONOTONIC")));
}
