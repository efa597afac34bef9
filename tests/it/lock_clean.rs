//! `lock clean`: what is dead goes, nothing else, whoever comes meanwhile.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::process::Command;

use fs2::FileExt as _;
use lockkeeper::lock::dir::claim::DirLock;
use lockkeeper::lock::dir::record::DirRecord;
use lockkeeper::lock::scan::clean::{Cleaned, Left, clean};
use lockkeeper::lock::scan::look::{Judge, State, look_at};

use crate::support::bin::lockkeeper;
use crate::support::child;
use crate::support::copies::{Copies, NOBODY, Seen, gastown, json};

#[test]
fn clean_removes_the_dead_and_leaves_every_other_record_as_it_is() {
    let copies = Copies::new();
    let _runs: Vec<_> = (0..3).map(|n| copies.run(&format!("held{n}"))).collect();
    let sleeper = child::start(Command::new("sleep").arg("1000"));
    copies.killed_run("killed");
    let elsewhere = DirRecord {
        hostname: "elsewhere".into(),
        ..gastown(NOBODY)
    };
    for n in 0..20 {
        copies.gastown(&format!("dead{n}"), NOBODY);
        copies.gastown(&format!("alive{n}"), sleeper.pid());
        copies.write(&format!("elsewhere{n}"), elsewhere.render());
        copies.write(&format!("corrupt{n}"), "{");
        copies.write(&format!("deep/er/dead{n}"), gastown(NOBODY).render());
    }
    copies.copy("manual");
    copies.lock("hold ROOT/manual --reason test");
    let names: Vec<String> = {
        let list = json(&copies.lock("list --json ROOT"));
        let locks = list["locks"].as_array().unwrap().iter();
        let root = format!("{}/", copies.root.display());
        locks
            .map(|lock| lock["dir"].as_str().unwrap().replacen(&root, "", 1))
            .collect()
    };
    assert_eq!(names.len(), 3 + 1 + 100 + 1);
    let all = || -> BTreeMap<String, Seen> {
        names
            .iter()
            .map(|name| (name.clone(), copies.seen(name)))
            .collect()
    };
    let before = all();
    assert!(before.values().all(Option::is_some));

    let dry = copies.lock("clean --dry-run --json ROOT");
    assert_eq!(dry.status.code(), Some(1));
    assert_eq!(all(), before, "a dry run changes nothing");

    let cleaned = json(&copies.lock("clean --json ROOT"));
    for (name, now) in all() {
        let is_dead = name.contains("dead") || name == "killed";
        if is_dead {
            assert_eq!(now, None, "{name}");
        } else {
            assert_eq!(now, before[&name], "{name}");
        }
    }
    let stale_of = |json: &serde_json::Value| -> Vec<String> {
        let locks = json["locks"].as_array().unwrap().iter();
        let stale = locks.filter(|lock| lock["state"] == "stale");
        stale
            .map(|lock| lock["dir"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        stale_of(&json(&dry)),
        stale_of(&cleaned),
        "a dry run shows the same"
    );
    assert_eq!(stale_of(&cleaned).len(), 41);
    for lock in cleaned["locks"].as_array().unwrap() {
        assert_eq!(lock["removed"], lock["state"] == "stale", "{lock}");
    }
    // Nothing but the record goes: the latch is for the next.
    assert!(copies.root.join("killed/.runtime/agent.latch").exists());
    // With what needs a person gone as well, all is clean.
    for n in 0..20 {
        fs::remove_dir_all(copies.root.join(format!("elsewhere{n}"))).unwrap();
        fs::remove_dir_all(copies.root.join(format!("corrupt{n}"))).unwrap();
    }
    assert_eq!(copies.lock("clean ROOT").status.code(), Some(0));
    assert_eq!(copies.lock("list ROOT").status.code(), Some(0));
}

/// A dead record as it was found, before somebody else came.
fn found_dead(copies: &Copies, name: &str) -> lockkeeper::lock::scan::look::Lock {
    let dir = copies.gastown(name, NOBODY);
    let lock = look_at(&dir, &Judge::new()).unwrap().unwrap();
    assert_eq!(lock.state, State::Stale);
    lock
}

#[test]
fn a_record_that_was_taken_over_since_it_was_found_dead_stays() {
    let copies = Copies::new();
    let lock = found_dead(&copies, "ours");
    let taken = DirLock::take(&lock.dir, &gastown(1)).unwrap();
    let seen = copies.seen("ours");
    assert_eq!(clean(&lock), Cleaned::Left(Left::NotDead));
    assert_eq!(copies.seen("ours"), seen);
    drop(taken);

    let lock = found_dead(&copies, "theirs");
    let sleeper = child::start(Command::new("sleep").arg("1000"));
    copies.gastown("theirs", sleeper.pid());
    let seen = copies.seen("theirs");
    assert_eq!(clean(&lock), Cleaned::Left(Left::NotDead));
    assert_eq!(copies.seen("theirs"), seen);

    let lock = found_dead(&copies, "gone");
    fs::remove_file(copies.record_path("gone")).unwrap();
    assert_eq!(clean(&lock), Cleaned::Gone);
}

#[test]
fn a_directory_that_another_has_taken_the_place_of_is_left() {
    let copies = Copies::new();
    let lock = found_dead(&copies, "w");
    fs::rename(copies.root.join("w"), copies.root.join("moved")).unwrap();
    let outside = Copies::new();
    outside.gastown("w", NOBODY);
    std::os::unix::fs::symlink(outside.root.join("w"), copies.root.join("w")).unwrap();
    assert_eq!(clean(&lock), Cleaned::Left(Left::Moved));
    assert!(outside.seen("w").is_some());
}

#[test]
fn nobody_is_cleaned_away_while_another_tool_has_the_record_to_itself() {
    let copies = Copies::new();
    let lock = found_dead(&copies, "w");
    let flock = copies.root.join("w/.runtime/agent.lock.flock");
    let file = File::create(&flock).unwrap();
    file.lock_exclusive().unwrap();
    let seen = copies.seen("w");
    assert!(matches!(clean(&lock), Cleaned::Left(Left::Failed(_))));
    assert_eq!(copies.seen("w"), seen);
    let output = copies.lock("clean ROOT");
    assert_eq!(output.status.code(), Some(1));
    let said = child::text(&output.stdout);
    assert!(said.contains("left: "), "{said}");
    fs2::FileExt::unlock(&file).unwrap();
    assert_eq!(copies.lock("clean ROOT").status.code(), Some(0));
    assert_eq!(copies.seen("w"), None);
}

#[test]
fn cleaners_that_race_with_takers_never_remove_a_new_record() {
    const ROUNDS: usize = 60;
    let copies = Copies::new();
    // The run looks for its own record when it has begun, and again when the cleaners have ended.
    let script = r#"
        mine() { grep -q "$LOCKKEEPER_RUN_ID" w/.runtime/agent.lock; }
        mine || exit 8; echo begun
        until test -e go; do :; done
        mine || exit 9"#;
    for round in 0..ROUNDS {
        copies.gastown("w", NOBODY);
        let mut cleaner = copies.command("clean -q ROOT");
        let mut cleaner = child::start(&mut cleaner);
        let mut run = Command::new(lockkeeper());
        child::bare(&mut run)
            .args(["run", "--dir-lock"])
            .arg(copies.root.join("w"))
            .args(["--", "sh", "-c", script])
            .current_dir(&*copies.root);
        let mut run = child::start(&mut run);
        let mut second = copies.command("clean -q ROOT");
        let mut second = child::start(&mut second);
        assert_eq!(run.line().as_deref(), Some("begun"), "round {round}");
        cleaner.wait();
        second.wait();
        fs::write(copies.root.join("go"), "").unwrap();
        assert_eq!(run.wait().code(), Some(0), "round {round}");
        fs::remove_file(copies.root.join("go")).unwrap();
    }
}
