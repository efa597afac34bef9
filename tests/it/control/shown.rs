//! `status` at a real init, and without one: what it shows agrees with what goes on, whatever lies among
//! the claims.

use std::fs;
use std::os::unix::fs::{lchown, symlink};
use std::path::Path;
use std::process::Command;

use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use serde_json::Value;

use super::{Asked, Desk};
use crate::support::bin;
use crate::support::child::{bare, output};
use crate::support::need::need;
use crate::support::ns::{children, own_run};
use crate::support::wait::until;

/// One that holds the lock, one that waits for it and has a directory, one that waits for that one's
/// directory, one that passes.
const QUEUE: &str = r#"
[init]
name = "here"
stay = true
[classes.batch]
identity = "DIR"
stop = { grace = "100ms", leftover_grace = "100ms" }
[classes.chat]
kind = "interactive"
identity = "DIR"
stdin = "null"
stop = { grace = "100ms", leftover_grace = "100ms" }
[jobs.holder]
class = "batch"
script = mark PAGE 1 , hang
[jobs.waiter]
class = "batch"
start = "manual"
dir_lock = "DIR/work"
script = mark PAGE 2 , hang
[jobs.later]
class = "batch"
start = "manual"
dir_lock = "DIR/work"
script = mark PAGE 3 , hang
[jobs.chat]
class = "chat"
script = mark PAGE 4 , hang
"#;

/// The desk of that file, with all four in their places.
fn queue() -> Desk {
    let desk = Desk::new(QUEUE);
    fs::create_dir(desk.scene.path("work")).unwrap();
    until("it holds, and passes", || {
        desk.scene.page.alive() == [(1, 1), (4, 1)].into()
    });
    assert_eq!(desk.ask(&["start", "waiter"]).code, 0);
    // The kernel knows of it first, its claim says it a little later.
    until("it waits, and says so", || {
        desk.scene.waiting() == 1 && desk.status()["locks"][0]["waiting"][0]["job"] == "waiter"
    });
    assert_eq!(desk.ask(&["start", "later"]).code, 0);
    until("it wants the directory", || {
        desk.row("later")["claim"]["state"] == "waiting_for_dir"
    });
    desk
}

fn lines_with<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.contains(word)).collect()
}

#[test]
fn status_shows_each_job_the_holder_the_queue_and_the_directories() {
    need!("root");
    let desk = queue();
    let status = desk.status();
    let lock = &status["locks"][0];
    let names = |users: &Value| -> Vec<String> {
        let users = users.as_array().unwrap().iter();
        users
            .map(|user| user["job"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(lock["path"], desk.scene.lock().to_str().unwrap());
    assert_eq!(names(&lock["holders"]), ["holder"]);
    assert_eq!(names(&lock["waiting"]), ["waiter"]);
    let mut others = names(&lock["others"]);
    others.sort();
    assert_eq!(others, ["chat", "later"]);
    let run = |job: &str| desk.row(job)["run_id"].clone();
    assert_eq!(lock["holders"][0]["run_id"], run("holder"));
    assert_eq!(lock["waiting"][0]["run_id"], run("waiter"));
    let dirs = status["directories"].as_array().unwrap();
    let of = |job: &str| dirs.iter().find(|dir| dir["job"] == job).unwrap();
    assert!(of("waiter")["since_ms"].is_u64(), "{dirs:?}");
    assert!(of("later")["since_ms"].is_null(), "{dirs:?}");
    assert!(
        of("later")["in_way"]
            .as_str()
            .unwrap()
            .contains("\"waiter\"")
    );
    let table = desk.ask(&["status"]).out;
    assert!(
        table.starts_with("here: init is process 1, lockkeeper "),
        "{table}"
    );
    assert!(
        lines_with(&table, "holder         batch       running ").len() == 1,
        "{table}"
    );
    assert!(
        lines_with(&table, "waiter         batch       waiting ").len() == 1,
        "{table}"
    );
    for word in ["\n  held  ", "\n  1.  ", "\n  passes  ", "\n  later  "] {
        assert_eq!(table.matches(word).count(), 1, "{word}: {table}");
    }
    assert!(!table.contains('\u{1b}'), "no colour into a pipe: {table}");
}

#[test]
fn without_an_init_the_claims_are_shown_and_the_code_is_69() {
    need!("root");
    let desk = queue();
    // Where init's runs are not ours: a host that shares the lock.
    let mut command = Command::new(bin::lockkeeper());
    own_run(bare(&mut command))
        .arg("status")
        .arg(desk.scene.lock());
    let asked = Asked::of(&output(&mut command));
    assert_eq!(asked.code, 69, "{asked:?}");
    assert!(asked.err.contains("no init answers here"), "{asked:?}");
    assert!(asked.out.starts_with("LOCK "), "{asked:?}");
    assert_eq!(asked.out.matches("\n  held  ").count(), 1, "{asked:?}");
    // In the container itself, where init is there and does not answer.
    let file = desk.scene.path("lockkeeper.toml").display().to_string();
    let socket = desk.scene.path("none").display().to_string();
    let alone = desk.ask(&["status", "--json", "-c", &file, "--socket", &socket]);
    assert_eq!(alone.code, 69);
    let status: Value = serde_json::from_str(&alone.out).unwrap();
    assert_eq!(
        (&status["ok"], &status["init"]),
        (&false.into(), &Value::Null)
    );
    assert!(
        status["silent"]
            .as_str()
            .unwrap()
            .contains("nobody listens there")
    );
    let jobs = status["jobs"].as_array().unwrap();
    let state = |job: &str| jobs.iter().find(|row| row["job"] == job).unwrap()["state"].clone();
    assert_eq!(
        (state("holder"), state("waiter")),
        ("running".into(), "waiting".into())
    );
    assert_eq!(status["locks"][0]["holders"][0]["job"], "holder");
    let page = desk.ask(&["status", "--metrics", "--socket", &socket]);
    assert_eq!(page.code, 69);
    assert!(page.out.contains("\nlockkeeper_up 0\n"), "{page:?}");
}

#[test]
fn a_lock_that_is_typed_and_not_there_and_a_file_that_is_wrong_are_refused() {
    let dir = crate::support::dir::Dir::new();
    let file = dir.join("wrong.toml");
    fs::write(&file, "[jobs.x]\n").unwrap();
    let folder = dir.display().to_string();
    let file = file.display().to_string();
    for (args, code, words) in [
        (
            &["status", "dev"][..],
            125,
            "cannot look at \"dev\": it is not there",
        ),
        (
            &["status", &folder],
            125,
            "/session.lock\": it is not there",
        ),
        (&["status", "-c", &file], 78, "wrong.toml"),
    ] {
        let mut command = Command::new(bin::lockkeeper());
        let asked = Asked::of(&output(bare(&mut command).args(args)));
        assert_eq!(asked.code, code, "{asked:?}");
        assert!(asked.err.contains(words), "{asked:?}");
        assert_eq!(asked.out, "");
    }
}

#[test]
fn the_folder_of_a_login_stands_for_the_lock_in_it() {
    let dir = crate::support::dir::Dir::new();
    let lock = dir.join("session.lock");
    fs::write(&lock, "").unwrap();
    let mut command = Command::new(bin::lockkeeper());
    own_run(bare(&mut command))
        .args(["status", "--json"])
        .arg(&*dir);
    let status: Value = serde_json::from_slice(&output(&mut command).stdout).unwrap();
    assert_eq!(
        status["locks"][0]["path"],
        lock.display().to_string().as_str()
    );
}

#[test]
fn a_plain_holder_is_named_by_its_process() {
    need!("root");
    let desk = Desk::new(&QUEUE.replacen("[jobs.holder]", "[jobs.holder]\nstart = \"manual\"", 1));
    let held = desk.scene.hold();
    let lock = desk.scene.lock();
    let mut command = Command::new(bin::lockkeeper());
    own_run(bare(&mut command))
        .args(["status", "--json"])
        .arg(&lock);
    let status: Value = serde_json::from_slice(&output(&mut command).stdout).unwrap();
    let own = i32::try_from(std::process::id()).unwrap();
    assert_eq!(status["locks"][0]["unclaimed"], serde_json::json!([own]));
    drop(held);
}

/// Whether a terminal would obey it, or show others elsewhere for it.
fn commands(c: char) -> bool {
    c != '\n' && (c.is_control() || ('\u{2028}'..='\u{202e}').contains(&c))
}

const EVIL: &str = "\u{1b}[2J\u{9b}1m\u{202e}evil\u{7}\n.json";

/// What somebody may put there who may write there.
fn plant(folder: &Path) {
    fs::write(folder.join(EVIL), "{}").unwrap();
    fs::write(folder.join("half.json"), "{\"v\":1,\"run_id\":\"ha").unwrap();
    fs::write(folder.join("long.json"), vec![b' '; 70_000]).unwrap();
    fs::write(
        folder.join("alien.json"),
        "{\"run_id\":\"other\",\"job\":\"\u{9b}\"}",
    )
    .unwrap();
    fs::write(folder.join("notes.txt"), "hello").unwrap();
    symlink("/etc/passwd", folder.join("link.json")).unwrap();
    symlink("/dev/zero", folder.join("zero.latch")).unwrap();
    fs::create_dir(folder.join("folder.json")).unwrap();
    nix::unistd::mkfifo(&folder.join("fifo.json"), Mode::S_IRWXU).unwrap();
    let device = mknod(
        &folder.join("device.json"),
        SFlag::S_IFCHR,
        Mode::S_IRWXU,
        makedev(1, 5),
    );
    assert!(device.is_ok() || !folder.join("device.json").exists());
    // A record of another user's beside each latch that is held.
    let living: Vec<_> = fs::read_dir(folder).unwrap().flatten().collect();
    let paths = living.iter().map(fs::DirEntry::path);
    let latches = paths.filter(|path| {
        path.extension().is_some_and(|end| end == "latch") && path.with_extension("json").is_file()
    });
    for (number, latch) in latches.enumerate() {
        fs::hard_link(latch, folder.join(format!("borrowed{number}.latch"))).unwrap();
        let record = folder.join(format!("borrowed{number}.json"));
        let text = format!("{{\"run_id\":\"borrowed{number}\",\"job\":\"x\"}}");
        fs::write(&record, text).unwrap();
        lchown(record, Some(4711), None).unwrap();
    }
}

#[test]
fn whatever_lies_among_the_claims_is_named_and_nobody_waits_for_it_or_obeys_it() {
    need!("root");
    let desk = queue();
    let beside = desk.scene.path("session.lock.d");
    let runtime = desk.init.path("/run/lockkeeper");
    plant(&beside);
    plant(&runtime);
    let mut of_lock = Vec::new();
    for args in [
        &["status"][..],
        &["status", "--json"],
        &["status", "--metrics"],
    ] {
        let asked = desk.ask(args);
        assert_eq!(asked.code, 0, "{asked:?}");
        let bad = asked.out.chars().find(|c| commands(*c));
        assert_eq!(bad, None, "{asked:?}");
        of_lock.push(asked.out);
    }
    let status: Value = serde_json::from_str(&of_lock[1]).unwrap();
    let lock = &status["locks"][0];
    let named = |list: &Value| -> Vec<String> {
        let list = list.as_array().unwrap().iter();
        list.map(|odd| odd["name"].as_str().unwrap().to_owned())
            .collect()
    };
    for list in [&lock["no_claims"], &status["no_claims"]] {
        let named = named(list);
        for name in [
            EVIL,
            "half.json",
            "long.json",
            "alien.json",
            "notes.txt",
            "link.json",
            "zero.latch",
            "folder.json",
            "fifo.json",
            "borrowed0.latch",
        ] {
            assert!(named.iter().any(|odd| odd == name), "{name:?}: {named:?}");
        }
    }
    for (of, job) in [("holders", "holder"), ("waiting", "waiter")] {
        assert_eq!(lock[of][0]["job"], job, "the others are seen as before");
    }
    assert_eq!(
        lines_with(&of_lock[0], "fifo.json: a FIFO").len(),
        2,
        "{}",
        of_lock[0]
    );
    // As many as an attacker likes: a bounded number is looked at, and that is said.
    for number in 0..12_000 {
        symlink("x", beside.join(format!("{number:05}.json"))).unwrap();
    }
    let flooded = desk.status();
    assert_eq!(flooded["locks"][0]["truncated"], true);
    assert_eq!(
        flooded["locks"][0]["no_claims"].as_array().unwrap().len(),
        16
    );
    assert!(flooded["locks"][0]["more_no_claims"].as_u64().unwrap() < 4096);
    assert!(
        desk.ask(&["status"])
            .out
            .contains("more lies beside it than is looked at")
    );
    let calls = calls(&desk);
    assert!(calls < 60_000, "{calls} system calls");
    assert_eq!(children(desk.pid()).len(), 4, "nobody was harmed");
}

/// The system calls of one `status`; 0 where strace is missing.
fn calls(desk: &Desk) -> usize {
    let to = desk.scene.path("calls");
    let mut command = desk.init.enter("strace");
    let command = bare(&mut command).args(["-qq", "-o"]).arg(&to);
    output(command.arg(bin::lockkeeper()).arg("status"));
    fs::read_to_string(to).map_or(0, |calls| calls.lines().count())
}
