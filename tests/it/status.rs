//! The command's own status reaches the caller unchanged, and `--report` tells whose code it was.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;

use serde_json::{Value, json};

use super::support::bin;
use super::support::child::{self, bare, output, signal, text, tie};
use super::support::dir::Dir;
use super::support::inherited::Inherited;
use super::support::locks::waiters;
use super::support::need::{have, need};
use super::support::ns::{in_new_pid_namespace, own_run};
use super::support::wait::until;

/// Signals that do not end a process, or end it only where it stands (`signal(7)`).
const HARMLESS: [i32; 8] = [
    libc::SIGCHLD,
    libc::SIGCONT,
    libc::SIGSTOP,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGURG,
    libc::SIGWINCH,
];

fn fatal_signals() -> impl Iterator<Item = i32> {
    (1..=64).filter(|signo| !HARMLESS.contains(signo))
}

/// One of the ways in which a command can be run.
struct Way {
    name: &'static str,
    args: Vec<String>,
    init: bool,
    pid1: bool,
}

impl Way {
    fn run(&self, command: &[&str]) -> Output {
        if !self.pid1 {
            let mut lockkeeper = Command::new(bin::lockkeeper());
            if self.init {
                own_run(&mut lockkeeper);
            }
            return output(bare(&mut lockkeeper).args(&self.args).args(command));
        }
        let mut unshare = Command::new("unshare");
        own_run(bare(&mut unshare)).args(["--mount", "--mount-proc", "--"]);
        unshare
            .arg(bin::lockkeeper())
            .args(&self.args)
            .args(command);
        in_new_pid_namespace(|| output(&mut unshare)).expect("root may make a namespace")
    }
}

/// A file of jobs without any: the main command comes from the command line.
fn file_in(dir: &Dir) -> String {
    let file = dir.join("agents.toml");
    fs::write(&file, "[init]\nname = \"here\"\n").unwrap();
    file.display().to_string()
}

/// Does `check` in every way to run a command, as init only where the test may make namespaces.
fn in_every_way(check: impl Fn(&Way) + Sync) {
    let dir = Dir::new();
    let (file, lock) = (file_in(&dir), dir.join("lock"));
    let (batch, main) = (
        format!("run --lock {} --", lock.display()),
        format!("-c {file} --"),
    );
    let way = |name, args: &str, pid1| Way {
        name,
        init: args.starts_with("-c"),
        args: args.split(' ').map(String::from).collect(),
        pid1,
    };
    let ways = [
        way("single", "--", false),
        way("run --lock", &batch, false),
        way("main of init", &main, false),
        way("PID 1", "--", true),
        way("main of init as PID 1", &main, true),
    ];
    thread::scope(|scope| {
        for way in ways
            .iter()
            .filter(|way| !(way.pid1 || way.init) || have("root"))
        {
            let check = &check;
            scope.spawn(move || check(way));
        }
    });
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

#[test]
fn every_exit_code_and_fatal_signal_reaches_the_caller_unchanged() {
    let puppet = bin::puppet().display().to_string();
    in_every_way(|way| {
        for status in 0..=255 {
            let ended = way.run(&[&puppet, "exit", &status.to_string()]);
            let err = text(&ended.stderr);
            assert_eq!(code(&ended), Some(status), "{}: {err}", way.name);
        }
        for signo in fatal_signals() {
            let ended = way.run(&[&puppet, "die", &signo.to_string()]);
            let err = text(&ended.stderr);
            assert_eq!(code(&ended), Some(128 + signo), "{}: {err}", way.name);
        }
    });
}

#[test]
fn a_command_that_cannot_run_ends_with_126_and_one_that_is_not_found_with_127() {
    let dir = Dir::new();
    let plain = dir.join("plain");
    fs::write(&plain, "not a program\n").unwrap();
    fs::set_permissions(&plain, fs::Permissions::from_mode(0o644)).unwrap();
    let plain = plain.display().to_string();
    let folder = dir.display().to_string();
    let missing = dir.join("missing").display().to_string();
    in_every_way(|way| {
        for (command, expected) in [
            (plain.as_str(), 126),
            (&folder, 126),
            (&missing, 127),
            ("no-such-program-anywhere", 127),
        ] {
            let ended = way.run(&[command]);
            let err = text(&ended.stderr);
            assert_eq!(code(&ended), Some(expected), "{}: {err}", way.name);
            assert!(err.contains(command), "{}: {err}", way.name);
        }
    });
}

/// The exit code and the report of `lockkeeper ARGS --report 3 -- PUPPET SCRIPT`.
fn reported(dir: &Path, args: &[&str], command: &[&str]) -> (Option<i32>, Value) {
    let ended = output(&mut reporting(dir, args, command));
    let line = fs::read_to_string(report_in(dir)).unwrap();
    let report = serde_json::from_str(&line)
        .unwrap_or_else(|_| panic!("{args:?} reports \"{line}\": {}", text(&ended.stderr)));
    (code(&ended), report)
}

fn report_in(dir: &Path) -> PathBuf {
    dir.join("report.json")
}

fn reporting(dir: &Path, args: &[&str], command: &[&str]) -> Command {
    let mut shell = Command::new("sh");
    bare(&mut shell).args(["-c", "report=$1; shift; exec \"$@\" 3>\"$report\"", "sh"]);
    shell.arg(report_in(dir)).arg(bin::lockkeeper()).args(args);
    shell.args(["--report", "3", "--"]).args(command);
    shell
}

#[test]
fn the_report_tells_whose_code_it_was() {
    let dir = Dir::new();
    let puppet = bin::puppet().display().to_string();
    let lock = dir.join("lock");
    File::create(&lock).unwrap();
    let lock = lock.display().to_string();
    let taken = dir.join("taken").display().to_string();
    let mut holder = child::start(&mut Command::new(bin::puppet()));
    holder.ask(&format!("lock {taken}"));
    let file = dir.join("agents.toml");
    fs::write(
        &file,
        "[classes.agent]\nkind = \"batch\"\nidentity = \"env:KEY\"\nenv = { KEY = \"k\" }\n\
         final = { line = \"RESULT\", grace = \"1ms\", failed = \"BAD\" }\n\
         [classes.patient]\nkind = \"batch\"\nidentity = \"env:KEY\"\nenv = { KEY = \"k\" }\n\
         final = { line = \"RESULT\", grace = \"1m\" }\n",
    )
    .unwrap();
    let file = file.display().to_string();
    let agent = ["run", "-c", &file, "--class", "agent"];
    let patient = ["run", "-c", &file, "--class", "patient"];
    let run = ["run", "--lock", &lock];
    let queued = ["run", "--lock", &taken, "--wait", "1ms"];
    let main = ["-c", &file];
    let main_agent = ["init", "-c", &file, "--class", "agent"];
    let (own, command) = ("lockkeeper", "command");
    let cases: Vec<(&[&str], &str, i32, &str, &str)> = vec![
        (&run, "exit 124", 124, command, "ended"),
        (&run, "exit 125", 125, command, "ended"),
        (&run, "exit 75", 75, command, "ended"),
        (&run, "exit 0", 0, command, "ended"),
        (&["run"], "exit 127", 127, command, "ended"),
        (&[], "exit 124", 124, command, "ended"),
        (&run, "die SEGV", 139, command, "ended"),
        (&["run", "--timeout", "1ms"], "hang", 124, own, "timeout"),
        (
            &["run", "--timeout", "50ms"],
            "wait TERM",
            124,
            own,
            "timeout",
        ),
        (
            &["run", "--idle-timeout", "1ms"],
            "hang",
            124,
            own,
            "idle_timeout",
        ),
        (&queued, "exit 0", 75, own, "wait_expired"),
        (&agent, "out RESULT , hang", 0, own, "final"),
        (&agent, "out RESULT BAD , hang", 1, own, "final_failed"),
        (&patient, "out RESULT , exit 9", 9, command, "ended"),
        (&main, "exit 75", 75, command, "ended"),
        (&main, "die SEGV", 139, command, "ended"),
        (&main_agent, "out RESULT BAD , hang", 1, own, "final_failed"),
    ];
    for (args, script, expected, by, reason) in cases {
        let mut words = vec![puppet.as_str()];
        words.extend(script.split(' '));
        let (code, report) = reported(&dir, args, &words);
        assert_eq!(code, Some(expected), "{args:?} {script}: {report}");
        let told = [&report["code"], &report["by"], &report["reason"]];
        assert_eq!(
            told,
            [&json!(expected), &json!(by), &json!(reason)],
            "{args:?} {script}: {report}"
        );
    }
    for (program, expected) in [
        ("no-such-program-anywhere", 127),
        (&*dir.display().to_string(), 126),
    ] {
        for args in [run.as_slice(), &[]] {
            let (code, report) = reported(&dir, args, &[program]);
            assert_eq!(code, Some(expected));
            assert_eq!(report["by"], own);
            assert_eq!(report["reason"], "spawn_failed");
        }
    }
    holder.wait();
}

#[test]
fn the_report_of_a_stop_tells_the_signal_and_whether_the_command_had_started() {
    let dir = Dir::new();
    let puppet = bin::puppet().display().to_string();
    let lock = dir.join("lock");
    File::create(&lock).unwrap();
    let args = ["run", "--lock", &lock.display().to_string()];
    let mut stopped = child::spawn(tie(&mut reporting(
        &dir,
        &args,
        &[&puppet, "out", "ready", ",", "hang"],
    )));
    assert_eq!(stopped.line().as_deref(), Some("ready"));
    let waiting = || {
        let other = Dir::new();
        let shell = &mut reporting(&other, &args, &[&puppet, "hang"]);
        let waiting = Inherited::default().start(shell);
        until("it is in the queue", || waiters(&lock) == 1);
        (other, waiting)
    };
    let (other, mut waiting) = waiting();
    signal(waiting.pid(), nix::sys::signal::Signal::SIGTERM);
    assert_eq!(waiting.wait().code(), Some(143));
    signal(stopped.pid(), nix::sys::signal::Signal::SIGTERM);
    assert_eq!(stopped.wait().code(), Some(143));
    let report = |dir: &Path| -> Value {
        serde_json::from_str(&fs::read_to_string(report_in(dir)).unwrap()).unwrap()
    };
    let (started, queued) = (report(&dir), report(&other));
    for (report, by, signal) in [
        (started, "command", json!(15)),
        (queued, "lockkeeper", Value::Null),
    ] {
        let told = [&report["by"], &report["reason"], &report["signal"]];
        assert_eq!(told, [&json!(by), &json!("signal"), &signal], "{report}");
    }
}

#[test]
fn as_pid_1_the_report_is_written_too() {
    need!("root");
    let dir = Dir::new();
    let report = report_in(&dir).display().to_string();
    let puppet = bin::puppet().display().to_string();
    let mut shell = Command::new("unshare");
    bare(&mut shell).args(["--mount", "--mount-proc", "--", "sh", "-c"]);
    shell.args(["report=$1; shift; exec \"$@\" 3>\"$report\"", "sh", &report]);
    shell.arg(bin::lockkeeper());
    shell.args(["--report", "3", "--", &puppet, "exit", "6"]);
    let ended = in_new_pid_namespace(|| output(&mut shell)).unwrap();
    assert_eq!(code(&ended), Some(6));
    let report: Value = serde_json::from_str(&fs::read_to_string(&report).unwrap()).unwrap();
    assert_eq!(report["code"], 6);
    assert_eq!(report["by"], "command");
}
