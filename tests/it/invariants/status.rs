//! `exit_status_kept`: a sample of codes and signals, each way a command can be started.

use std::process::Command;

use crate::support::bin;
use crate::support::child::{self, bare};
use crate::support::need::need;
use crate::support::ns::Ns;
use crate::support::scene::{Scene, ended};

/// Ends of commands, among them all codes that lockkeeper uses for itself.
const ENDS: &[(&str, i32)] = &[
    ("exit 0", 0),
    ("exit 1", 1),
    ("exit 64", 64),
    ("exit 75", 75),
    ("exit 78", 78),
    ("exit 124", 124),
    ("exit 125", 125),
    ("exit 126", 126),
    ("exit 127", 127),
    ("exit 255", 255),
    ("die HUP", 129),
    ("die INT", 130),
    ("die KILL", 137),
    ("die SEGV", 139),
    ("die PIPE", 141),
    ("die TERM", 143),
];

#[test]
fn exit_status_kept_by_a_run_with_a_lock() {
    let scene = Scene::new();
    for (end, code) in ENDS {
        assert_eq!(ended(&mut scene.run("", end)).code(), Some(*code), "{end}");
    }
}

#[test]
fn exit_status_kept_by_a_run_without_a_lock_and_by_init() {
    let scene = Scene::new();
    let config = scene.config("[init]\nname = \"one\"");
    let config = config.display().to_string();
    for (end, code) in ENDS {
        for before in [&["run", "--"][..], &["--"], &["init", "-c", &config, "--"]] {
            let mut command = Command::new(bin::lockkeeper());
            bare(&mut command).args(before).arg(scene.puppet());
            let mut run = child::start(command.args(scene.words(end)));
            assert_eq!(ended(&mut run).code(), Some(*code), "{before:?} {end}");
        }
    }
}

#[test]
fn exit_status_kept_by_pid_1() {
    need!("root");
    let scene = Scene::new();
    let puppet = scene.puppet().display().to_string();
    for (end, code) in ENDS {
        let mut args = vec!["--", &puppet];
        args.extend(end.split(' '));
        let mut inside = Ns::root().start(bin::lockkeeper(), &args);
        assert_eq!(ended(&mut inside.process).code(), Some(*code), "{end}");
    }
}

#[test]
fn exit_status_kept_apart_from_our_own_by_the_report() {
    let scene = Scene::new();
    for (options, script, line) in [
        (
            "",
            "exit 124",
            r#""code":124,"by":"command","reason":"ended","exit":124,"signal":null"#,
        ),
        (
            "",
            "die TERM",
            r#""code":143,"by":"command","reason":"ended","exit":null,"signal":15"#,
        ),
        (
            "--timeout 50ms",
            "hang",
            r#""code":124,"by":"lockkeeper","reason":"timeout","exit":null,"signal":15"#,
        ),
    ] {
        let report = scene.path("report");
        let run = scene.run_command(options, script);
        let words = run.get_args().map(ToOwned::to_owned).collect::<Vec<_>>();
        let mut shell = Command::new("sh");
        bare(&mut shell).args([
            "-c",
            "lk=$1 report=$2; shift 3; exec \"$lk\" run --report 3 \"$@\" 3>\"$report\"",
            "sh",
        ]);
        shell.arg(bin::lockkeeper()).arg(&report).args(words);
        ended(&mut child::start(&mut shell));
        let said = std::fs::read_to_string(&report).unwrap();
        assert!(said.contains(line), "{said}");
    }
}
