//! `lock list` and `lock show`: each state is what real processes and namespaces make it, and no
//! tree, however hostile, is left, waited for or shown raw.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::process::Command;

use lockkeeper::lock::dir::record::DirRecord;
use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::Value;

use crate::support::bin::lockkeeper;
use crate::support::child::{self, bare, output, text};
use crate::support::copies::{Copies, NOBODY, gastown, json};
use crate::support::need::need;
use crate::support::pty::Pty;
use crate::support::scene::{Scene, waits_in};
use crate::support::wait::until;

#[test]
fn a_tree_without_locks_is_clean() {
    let copies = Copies::new();
    copies.copy("a/b");
    fs::create_dir(copies.root.join("a/.runtime")).unwrap();
    let output = copies.lock("list ROOT");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let said = text(&output.stdout);
    assert!(said.starts_with("0 locks below \""), "{said}");
}

#[test]
fn roots_that_overlap_show_each_lock_once_and_a_skipped_root_is_looked_into() {
    let copies = Copies::new();
    copies.gastown("a/target/w", NOBODY);
    copies.gastown("a/mine", NOBODY);
    let count = |args: &str| json(&copies.lock(args))["locks"].as_array().unwrap().len();
    assert_eq!(count("list --json ROOT"), 1);
    assert_eq!(count("list --json ROOT ROOT/a ROOT/a/../a"), 1);
    assert_eq!(count("list --json ROOT ROOT/a/target"), 2);
    assert_eq!(count("list --json --no-skip ROOT"), 2);
    assert_eq!(count("list --json --skip mine ROOT"), 0);
    assert_eq!(count("list --json --no-skip --skip mine ROOT"), 1);
}

#[test]
fn what_lives_or_is_held_by_hand_needs_nobody() {
    let copies = Copies::new();
    let _run = copies.run("held");
    let sleeper = child::start(Command::new("sleep").arg("1000"));
    copies.gastown("foreign", sleeper.pid());
    copies.copy("manual");
    let hold = copies.lock("hold ROOT/manual --by alice --reason moving");
    assert_eq!(hold.status.code(), Some(0), "{hold:?}");
    let list = copies.lock("list ROOT");
    assert_eq!(list.status.code(), Some(0), "{list:?}");
    for (name, state, life) in [
        ("held", "held", "alive"),
        ("foreign", "foreign", "alive"),
        ("manual", "manual", "alive"),
    ] {
        let lock = copies.of(name);
        assert_eq!(
            (&lock["state"], &lock["life"]),
            (&state.into(), &life.into())
        );
        assert_eq!(lock["needs_a_person"], false, "{lock}");
    }
    assert_eq!(copies.of("held")["record"]["state"], "running");
    assert_eq!(copies.of("manual")["record"]["by"], "alice");
}

#[test]
fn a_run_killed_whole_and_a_process_that_has_gone_are_stale() {
    let copies = Copies::new();
    copies.killed_run("ours");
    copies.gastown("theirs", NOBODY);
    for name in ["ours", "theirs"] {
        let lock = copies.of(name);
        assert_eq!(lock["state"], "stale", "{lock}");
        assert_eq!(lock["needs_a_person"], true);
    }
    let list = copies.lock("list -q ROOT");
    assert_eq!(list.status.code(), Some(1));
    let said = text(&list.stdout);
    // Where its lines break is up to the length of the path.
    let words: Vec<&str> = said.split_whitespace().collect();
    let remedy = "nobody holds its latch; `lockkeeper lock clean /";
    assert!(words.join(" ").contains(remedy), "{said}");
}

#[test]
fn what_was_written_elsewhere_cannot_be_told_and_what_is_no_record_is_corrupt() {
    let copies = Copies::new();
    let elsewhere = DirRecord {
        hostname: "elsewhere".into(),
        ..gastown(1)
    };
    copies.write("elsewhere", elsewhere.render());
    copies.write("half", "{\"pid\": 1,");
    copies.write("empty", "");
    assert_eq!(copies.of("elsewhere")["state"], "cannot-tell");
    for name in ["half", "empty"] {
        let lock = copies.of(name);
        assert_eq!(
            (&lock["state"], &lock["record"]),
            (&"corrupt".into(), &Value::Null)
        );
    }
    assert_eq!(copies.lock("list ROOT").status.code(), Some(1));
}

#[test]
fn an_owner_that_lives_while_its_session_is_gone_is_orphaned() {
    need!("root", "tmux");
    let copies = Copies::new();
    copies.copy("w/.runtime");
    // A PID namespace in which no other tmux runs; its own has one session, and not this.
    let script = r#"
        tmux -f /dev/null new-session -d -s other 'sleep 1000'
        sleep 1000 &
        printf '{"pid":%s,"acquired_at":"%s","session_id":"gt-gone","hostname":"%s"}' \
            $! "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$(hostname)" > "$1/w/.runtime/agent.lock"
        "$0" lock list --json "$1"
        tmux kill-server"#;
    let mut command = Command::new("unshare");
    bare(&mut command)
        .args([
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "sh",
            "-c",
            script,
        ])
        .arg(lockkeeper())
        .arg(&*copies.root)
        .env("HOME", copies.home())
        .env("TMUX_TMPDIR", copies.home());
    let output = output(&mut command);
    let json = json(&output);
    assert_eq!(json["locks"][0]["state"], "orphaned", "{json:#}");
    assert_eq!(json["locks"][0]["life"], "alive");
}

#[test]
fn one_lock_at_two_paths_is_one_and_two_records_of_one_directory_collide() {
    need!("root");
    let copies = Copies::new();
    let sleeper = child::start(Command::new("sleep").arg("1000"));
    copies.gastown("a", sleeper.pid());
    copies.copy("b");
    let script = r#"
        mount --bind "$1/a" "$1/b"
        "$0" lock list --json "$1"
        mount -t tmpfs none "$1/b/.runtime"
        sed 's/"pid": [0-9]*/"pid": 1/' "$1/a/.runtime/agent.lock" > "$1/b/.runtime/agent.lock"
        "$0" lock list --json "$1""#;
    let mut command = Command::new("unshare");
    bare(&mut command)
        .args(["--mount", "sh", "-ec", script])
        .arg(lockkeeper())
        .arg(&*copies.root)
        .env("HOME", copies.home());
    let output = output(&mut command);
    let said = text(&output.stdout);
    let [once, twice] = said.lines().collect::<Vec<_>>()[..] else {
        panic!("{output:?}");
    };
    let (a, b) = (copies.root.join("a"), copies.root.join("b"));
    let once: Value = serde_json::from_str(once).unwrap();
    assert_eq!(once["locks"].as_array().unwrap().len(), 1, "{once:#}");
    assert_eq!(once["locks"][0]["state"], "foreign");
    assert_eq!(once["locks"][0]["also_at"][0], *b.display().to_string());
    let twice: Value = serde_json::from_str(twice).unwrap();
    assert_eq!(twice["locks"].as_array().unwrap().len(), 2, "{twice:#}");
    for (at, other) in [(0, &b), (1, &a)] {
        let lock = &twice["locks"][at];
        assert_eq!(lock["state"], "collision", "{lock}");
        assert_eq!(lock["collides_with"][0], *other.display().to_string());
    }
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn one_session_in_two_directories_collides_and_one_run_in_two_does_not() {
    let copies = Copies::new();
    let of_session = DirRecord {
        session_id: "gt-toast".into(),
        hostname: "elsewhere".into(),
        ..gastown(7)
    };
    copies.write("a", of_session.render());
    copies.write("b", of_session.render());
    let of_run = DirRecord {
        session_id: "gt-run".into(),
        run_id: Some("r1".into()),
        ..of_session
    };
    copies.write("c", of_run.render());
    copies.write("d", of_run.render());
    for (name, state) in [
        ("a", "collision"),
        ("b", "collision"),
        ("c", "cannot-tell"),
        ("d", "cannot-tell"),
    ] {
        assert_eq!(copies.of(name)["state"], state, "{name}");
    }
    let said = text(&copies.lock("list ROOT").stdout);
    assert!(said.contains("claims more than one directory"), "{said}");
}

#[test]
fn agentctls_list_is_shown_beside_the_records_and_what_is_broken_in_it_is_said() {
    let copies = Copies::new();
    let sleeper = child::start(Command::new("sleep").arg("1000"));
    let at = "2026-01-01T00:00:00Z";
    let entry = |dir: &str, more: Value| {
        let mut entry = serde_json::json!({
            "directory": copies.copy(dir), "type": "auto", "lockedAt": at
        });
        entry
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        entry
    };
    let list = serde_json::json!([
        entry("dead", serde_json::json!({"pid": NOBODY})),
        entry("by-hand", serde_json::json!({"type": "manual", "lockedBy": "bob", "reason": "r"})),
        entry("twice", serde_json::json!({"pid": sleeper.pid()})),
        entry("twice", serde_json::json!({"pid": sleeper.pid() + 1_000_000_000})),
        {"directory": 7},
        {"directory": "/elsewhere", "type": "manual", "lockedAt": at},
    ]);
    copies.gastown("twice", sleeper.pid());
    let file = copies.home().join(".agentctl/locks.json");
    fs::create_dir(file.parent().unwrap()).unwrap();
    fs::write(&file, list.to_string()).unwrap();
    let json = json(&copies.lock("list --json ROOT"));
    let states: Vec<_> = json["locks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|lock| {
            let dir = lock["dir"]
                .as_str()
                .unwrap()
                .rsplit('/')
                .next()
                .unwrap()
                .to_owned();
            (
                dir,
                lock["source"].as_str().unwrap(),
                lock["state"].as_str().unwrap(),
            )
        })
        .collect();
    assert!(
        states.contains(&("dead".into(), "agentctl", "stale")),
        "{states:?}"
    );
    assert!(
        states.contains(&("by-hand".into(), "agentctl", "manual")),
        "{states:?}"
    );
    // One agent that both know is no collision; it is with itself.
    assert!(
        states.contains(&("twice".into(), "record", "foreign")),
        "{states:?}"
    );
    assert!(
        !states.iter().any(|(dir, ..)| dir == "elsewhere"),
        "{states:?}"
    );
    assert_eq!(json["broken"].as_array().unwrap().len(), 1, "{json:#}");
    // It is agentctl's to change.
    let clean = copies.lock("clean ROOT");
    assert_eq!(clean.status.code(), Some(1));
    assert_eq!(fs::read_to_string(&file).unwrap(), list.to_string());
    let named = copies.lock("list --agentctl ROOT/none ROOT");
    assert_eq!(named.status.code(), Some(125), "{named:?}");
}

#[test]
fn nothing_is_followed_out_of_the_root_or_round_in_it() {
    let copies = Copies::new();
    let outside = Copies::new();
    outside.gastown("w", NOBODY);
    symlink(&*outside.root, copies.root.join("out")).unwrap();
    symlink(
        outside.root.join("w/.runtime"),
        copies.copy("linked").join(".runtime"),
    )
    .unwrap();
    symlink("..", copies.copy("a/b").join("up")).unwrap();
    symlink("self", copies.root.join("self")).unwrap();
    let json = json(&copies.lock("list --json ROOT"));
    let locks = json["locks"].as_array().unwrap();
    assert_eq!(locks.len(), 1, "{json:#}");
    assert_eq!(locks[0]["state"], "cannot-tell");
    assert!(
        locks[0]["why"].as_str().unwrap().contains("symbolic link"),
        "{json:#}"
    );
    copies.lock("clean ROOT");
    assert!(outside.seen("w").is_some());
    // The root itself is what a person named.
    let link = copies.home().join("link");
    symlink(&*outside.root, &link).unwrap();
    let list = output(copies.command("list -q").arg(&link));
    assert_eq!(list.status.code(), Some(1), "{list:?}");
}

#[test]
fn what_lies_in_place_of_a_record_is_said_and_left_and_nobody_waits_for_it() {
    let copies = Copies::new();
    let place = |name: &str| {
        copies.copy(&format!("{name}/.runtime"));
        copies.record_path(name)
    };
    mkfifo(&place("fifo"), Mode::S_IRWXU).unwrap();
    fs::create_dir(place("folder")).unwrap();
    let _socket = UnixListener::bind(place("socket")).unwrap();
    symlink("/etc/passwd", place("link")).unwrap();
    symlink("agent.lock", place("round")).unwrap();
    File::create(place("huge"))
        .unwrap()
        .set_len(100 << 20)
        .unwrap();
    fs::write(place("nul"), [0; 100]).unwrap();
    fs::write(place("deep"), "[".repeat(60_000)).unwrap();
    let names = [
        "fifo", "folder", "socket", "link", "round", "huge", "nul", "deep",
    ];
    for name in names {
        assert_eq!(copies.of(name)["state"], "corrupt", "{name}");
    }
    let clean = copies.lock("clean --json ROOT");
    assert_eq!(clean.status.code(), Some(1));
    for name in names {
        assert!(
            fs::symlink_metadata(copies.record_path(name)).is_ok(),
            "{name}"
        );
    }
}

#[test]
fn a_folder_that_cannot_be_read_is_named() {
    need!("root", "setpriv");
    let copies = Copies::new();
    copies.gastown("closed/in", 1);
    copies.gastown("shut", 1);
    let bar = |path: &str| {
        let shut = fs::Permissions::from_mode(0o700);
        fs::set_permissions(copies.root.join(path), shut).unwrap();
    };
    bar("closed");
    bar("shut/.runtime");
    // A copy that others may execute: the build's folder may be closed to them.
    let program = copies.home().join("lockkeeper");
    fs::copy(lockkeeper(), &program).unwrap();
    for folder in [copies.home(), &*copies.root] {
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut command = Command::new("setpriv");
    bare(&mut command)
        .args([
            "--reuid",
            "65534",
            "--regid",
            "65534",
            "--clear-groups",
            "--",
        ])
        .arg(&program)
        .args(["lock", "list", "--json"])
        .arg(&*copies.root);
    let output = output(&mut command);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let json = json(&output);
    let closed = copies.root.join("closed").display().to_string();
    assert_eq!(json["unread"][0]["path"], *closed, "{json:#}");
    assert_eq!(json["locks"][0]["state"], "cannot-tell", "{json:#}");
    let why = json["locks"][0]["why"].as_str().unwrap();
    assert!(why.contains("permission denied"), "{why}");
}

#[test]
fn no_name_and_no_record_commands_a_terminal() {
    let copies = Copies::new();
    let name = "e\u{1b}[31m\nvil\u{9b}";
    let hostile = DirRecord {
        hostname: "h\u{1b}[2J\n".into(),
        session_id: "s\u{1b}\u{7}".into(),
        by: Some("b\u{1b}]0;x\u{7}\n".into()),
        reason: Some("r\u{9b}\r".into()),
        ..gastown(1)
    };
    copies.write(name, hostile.render());
    copies.write(
        "plain",
        DirRecord {
            by: None,
            reason: None,
            ..hostile
        }
        .render(),
    );
    let shown = copies.root.join(name);
    let closed = |said: &str| {
        let odd = said
            .chars()
            .filter(|char| char.is_control() && *char != '\n');
        assert_eq!(odd.count(), 0, "{said:?}");
        assert!(
            said.lines().all(|line| !line.starts_with("vil")),
            "{said:?}"
        );
    };
    for args in [
        "list ROOT",
        "clean ROOT",
        "clean --dry-run ROOT",
        "list --json ROOT",
    ] {
        closed(&text(&copies.lock(args).stdout));
    }
    for args in ["show", "show --json"] {
        closed(&text(&output(copies.command(args).arg(&shown)).stdout));
    }
}

#[test]
fn lines_fit_eighty_columns_and_are_coloured_on_a_terminal_alone() {
    let copies = Copies::new();
    // Days ago: one second more does not show.
    let old = DirRecord {
        acquired_at: "2026-01-01T00:00:00Z".into(),
        ..gastown(NOBODY)
    };
    copies.write("short", old.render());
    copies.write(&"long/".repeat(20), old.render());
    let plain = text(&copies.lock("list ROOT").stdout);
    for line in plain.lines() {
        // Neither is broken: a path, and a command with one.
        let is_path = line.trim_start().starts_with(['"', '`']);
        assert!(is_path || line.chars().count() <= 80, "{line}");
    }
    let on_terminal = |no_color: &str| {
        let mut command = copies.command("list ROOT");
        command.env("NO_COLOR", no_color).env("TERM", "xterm");
        Pty::start(&mut command, Command::spawn).end().1
    };
    assert!(on_terminal("").contains("\u{1b}[33mstale\u{1b}[0m"));
    assert_eq!(on_terminal("1").replace("\r\n", "\n"), plain);
}

#[test]
fn show_tells_of_one_directory_who_has_it_and_who_works_there() {
    let copies = Copies::new();
    let dir = copies.copy("w");
    let show = copies.lock("show ROOT/w");
    assert_eq!(show.status.code(), Some(0));
    let said = text(&show.stdout);
    assert!(said.contains("\": not locked\n"), "{said}");
    let run = copies.run("w");
    let said = text(&copies.lock("show ROOT/w").stdout);
    assert!(said.contains("\": held\n    job \"sh\""), "{said}");
    let words: Vec<_> = said.split_whitespace().collect();
    let said = words.join(" ");
    assert!(
        said.contains(" inside: ") && said.contains("(sleep)"),
        "{said}"
    );
    let json = json(&copies.lock("show --json ROOT/w"));
    assert_eq!(json["dir"], *dir.display().to_string());
    assert_eq!(json["lock"]["state"], "held", "{json:#}");
    let inside = json["in_use"]["inside"].as_array().unwrap();
    assert!(
        inside.iter().any(|worker| worker["name"] == "sleep"),
        "{json:#}"
    );
    drop(run);
}

#[test]
fn show_tells_of_a_shared_lock_who_holds_it_and_who_waits() {
    let scene = Scene::new();
    let _holder = scene.begun("", "out begun , hang");
    let waiter = scene.run("", "hang");
    until("somebody waits", || scene.waiting() == 1);
    let show = |args: &[&str]| {
        let mut command = Command::new(lockkeeper());
        output(
            bare(&mut command)
                .args(["lock", "show"])
                .args(args)
                .arg(scene.lock()),
        )
    };
    let json = json(&show(&["--json"]));
    assert_eq!(json["holders"].as_array().unwrap().len(), 1, "{json:#}");
    assert_eq!(json["waiting"].as_array().unwrap().len(), 1, "{json:#}");
    let said = text(&show(&[]).stdout);
    assert!(said.contains("\n    held by job \"puppet\""), "{said}");
    assert!(
        said.contains("\n    1. in the queue: job \"puppet\""),
        "{said}"
    );
    drop(waiter);
}

#[test]
fn a_list_ends_as_others_do_when_it_is_interrupted_or_its_reader_has_gone() {
    use std::os::unix::process::ExitStatusExt as _;
    let copies = Copies::new();
    copies.gastown("w", NOBODY);
    let line = format!(
        "'{}' lock list '{}' | true",
        lockkeeper().display(),
        copies.root.display()
    );
    let mut command = Command::new("sh");
    let output = output(bare(&mut command).args(["-c", &line]));
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{output:?}"
    );
    // More than a pipe holds, and nobody reads it.
    for name in 0..600 {
        copies.write(&format!("{name}"), "{");
    }
    let mut list = child::start(&mut copies.command("list --json ROOT"));
    let pid = list.pid();
    until("it waits for its reader", || waits_in(pid, libc::SYS_write));
    child::signal(pid, Signal::SIGINT);
    assert_eq!(list.wait().signal(), Some(2));
}

#[test]
fn no_file_costs_a_system_call() {
    need!("strace");
    let copies = Copies::new();
    for dir in 0..10 {
        copies.copy(&format!("d{dir}"));
    }
    let calls = || {
        let log = copies.home().join("calls");
        let mut command = Command::new("strace");
        bare(&mut command)
            .args([
                "-f",
                "-qq",
                "-e",
                "trace=%file,close,fstat,getdents64",
                "-o",
            ])
            .arg(&log)
            .arg(lockkeeper())
            .args(["lock", "list"])
            .arg(&*copies.root)
            .env("HOME", copies.home());
        assert!(output(&mut command).status.success());
        let log = fs::read_to_string(log).unwrap();
        let of_threads = |line: &&str| !line.contains("resumed>") && !line.contains("+++");
        log.lines().filter(of_threads).count()
    };
    let without = calls();
    for dir in 0..10 {
        for file in 0..100 {
            fs::write(copies.root.join(format!("d{dir}/{file}")), "").unwrap();
        }
    }
    assert_eq!(calls(), without);
}
