//! `interactive_never_locks`: not while somebody else holds the lock, and not in any system call.

use std::path::Path;
use std::process::Command;

use crate::support::child::{self, bare, output, text};
use crate::support::need::need;
use crate::support::scene::{Scene, ended};
use crate::support::{bin, wait::until};

/// A batch job and an interactive one with the same login, whose folder has the lock in it.
const CONFIG: &str = "[classes.batch]
    identity = \"DIR\"
    [classes.interactive]
    identity = \"DIR\"
    [jobs.dev]
    class = \"batch\"
    start = \"manual\"
    script = touch DIR/dev
    [jobs.chat]
    class = \"interactive\"
    script = touch DIR/chat";

#[test]
fn interactive_never_locks_and_passes_while_another_holds_the_lock() {
    let scene = Scene::new();
    let config = scene.config(CONFIG);
    let _held = scene.hold();
    // A batch run waits meanwhile: an interactive one passes the queue as well.
    let mut command = Command::new(bin::lockkeeper());
    let _waits = child::start(
        bare(&mut command)
            .args(["run", "-c"])
            .arg(&config)
            .arg("dev"),
    );
    until("it waits", || scene.waiting() == 1);
    for args in [&["run", "-c", "FILE", "chat"][..], &["init", "-c", "FILE"]] {
        let file = config.display().to_string();
        let args = args
            .iter()
            .map(|&arg| if arg == "FILE" { &file } else { arg });
        let mut command = Command::new(bin::lockkeeper());
        let mut chat = child::start(bare(&mut command).args(args));
        assert!(ended(&mut chat).success());
        std::fs::remove_file(scene.path("chat")).expect("the interactive job ran");
    }
    assert!(!scene.path("dev").exists(), "the batch job did not");
}

/// What a run, with all its threads and processes, does to the lock: the opens of its file, and
/// all calls that lock anything.
fn traced(scene: &Scene, args: &[&str]) -> [usize; 2] {
    let log = scene.path("strace");
    let mut strace = Command::new("strace");
    let calls =
        "trace=/^open,flock,fcntl,creat,linkat,link,rename,renameat,renameat2,unlink,unlinkat";
    bare(&mut strace)
        .args(["-f", "-qq", "-s", "1000", "-e", calls, "-o"])
        .arg(&log);
    let traced = output(strace.arg(bin::lockkeeper()).args(args));
    assert!(traced.status.success(), "{}", text(&traced.stderr));
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains("openat("), "strace saw the run");
    // In quotes: what begins with its name is another file.
    let name = format!("\"{}\"", scene.lock().display());
    let of = |what: &dyn Fn(&str) -> bool| log.lines().filter(|line| what(line)).count();
    [
        of(&|line| line.contains(&name)),
        of(&|line| line.contains(" flock(")),
    ]
}

#[test]
fn interactive_never_locks_as_its_system_calls_show() {
    need!("strace");
    let scene = Scene::new();
    let config = scene.config(CONFIG).display().to_string();
    let puppet = scene.puppet().display().to_string();
    let [opens, flocks] = traced(&scene, &["run", "-c", &config, "dev"]);
    assert!(opens > 0 && flocks > 0, "a batch run is seen to lock");
    for args in [
        &["run", "-c", &config, "chat"][..],
        &[
            "run",
            "-c",
            &config,
            "--class",
            "interactive",
            "--",
            &puppet,
        ],
        &["init", "-c", &config],
        &["init", "-c", &config, "--", &puppet],
        &["--", &puppet],
    ] {
        assert_eq!(traced(&scene, args), [0, 0], "{args:?}");
    }
}

#[test]
fn interactive_never_locks_by_type() {
    use lockkeeper::config::plan::Kind;
    // A pattern without `..`: this does not compile once the kind has a field.
    let Kind::Interactive = Kind::Interactive else {
        return;
    };
    assert_eq!(Kind::Interactive.lock(), None);
    let scene = Scene::new();
    let config = scene.config(&CONFIG.replace(
        "[classes.interactive]",
        "[locks.it]\n path = \"LOCK\"\n[classes.interactive]\n lock = \"it\"",
    ));
    let output = run(&config);
    assert_eq!(output.status.code(), Some(78));
    assert!(
        text(&output.stderr).contains("lock"),
        "{}",
        text(&output.stderr)
    );
}

fn run(config: &Path) -> std::process::Output {
    let mut command = Command::new(bin::lockkeeper());
    output(
        bare(&mut command)
            .args(["run", "-c"])
            .arg(config)
            .arg("chat"),
    )
}
