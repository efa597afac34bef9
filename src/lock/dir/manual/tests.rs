use std::fs;
use std::path::PathBuf;

use super::super::place::{FOLDER, RECORD};
use super::*;
use crate::lock::scratch::Scratch;

fn record(dir: &Path) -> PathBuf {
    dir.join(FOLDER).join(RECORD)
}

fn run() -> DirRecord {
    DirRecord {
        pid: 77,
        acquired_at: record::now(),
        job: Some("dev".to_owned()),
        ..DirRecord::default()
    }
}

fn refused(answer: Result<Released, Refusal>) -> Conflict {
    match answer {
        Err(Refusal::Conflict(conflict)) => *conflict,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_claim_by_hand_stands_without_a_process_until_it_is_released() {
    let dir = Scratch::new();
    hold(&dir, "anna", Some("rebasing by hand")).unwrap();
    let Err(Obstacle::Conflict(told, _)) = DirLock::take(&dir, &run()) else {
        panic!("it was taken");
    };
    let text = told.to_string();
    assert!(text.contains("anna holds it by hand since 2"), "{text}");
    assert!(text.contains("(rebasing by hand)"), "{text}");
    assert!(text.contains("`lockkeeper lock release /"), "{text}");
    let Ok(Released::Manual(was)) = release(&dir, false) else {
        panic!("it was not released");
    };
    assert_eq!(was.by.as_deref(), Some("anna"));
    drop(DirLock::take(&dir, &run()).unwrap());
}

#[test]
fn a_claim_by_hand_falls_neither_on_a_living_run_nor_on_another_hand() {
    let dir = Scratch::new();
    let lock = DirLock::take(&dir, &run()).unwrap();
    assert!(hold(&dir, "anna", None).is_err());
    lock.release().unwrap();
    hold(&dir, "anna", None).unwrap();
    assert!(hold(&dir, "berta", None).is_err());
    let by = DirRecord::parse(&fs::read(record(&dir)).unwrap())
        .unwrap()
        .by;
    assert_eq!(by.as_deref(), Some("anna"));
}

#[test]
fn a_living_run_is_never_released_by_hand_not_even_by_force() {
    let dir = Scratch::new();
    let lock = DirLock::take(&dir, &run()).unwrap();
    for force in [false, true] {
        assert_eq!(refused(release(&dir, force)).kind, Kind::Run);
    }
    assert!(record(&dir).exists());
    // Also while it has not written its record yet.
    fs::remove_file(record(&dir)).unwrap();
    assert_eq!(refused(release(&dir, true)).kind, Kind::Run);
    drop(lock);
    assert_eq!(release(&dir, true), Err(Refusal::NotLocked));
}

#[test]
fn the_claim_of_a_dead_run_is_released_without_force() {
    let dir = Scratch::new();
    drop(DirLock::take(&dir, &run()).unwrap());
    assert!(matches!(release(&dir, false), Ok(Released::Dead(_))));
    assert_eq!(release(&dir, false), Err(Refusal::NotLocked));
}

#[test]
fn what_is_not_ours_and_may_live_takes_force_and_is_told() {
    let dir = Scratch::new();
    let foreign = r#"{"pid":5,"acquired_at":"2026-01-01T00:00:00Z","hostname":"elsewhere"}"#;
    drop(DirLock::open(&dir).unwrap());
    fs::write(record(&dir), foreign).unwrap();
    assert!(matches!(
        refused(release(&dir, false)).kind,
        Kind::CannotTell(_)
    ));
    assert_eq!(fs::read_to_string(record(&dir)).unwrap(), foreign);
    let Ok(Released::Foreign(was, _)) = release(&dir, true) else {
        panic!("it was not released");
    };
    assert_eq!(was.hostname, "elsewhere");
    assert!(!record(&dir).exists());
}

#[test]
fn what_is_no_record_takes_force_and_a_link_takes_nothing_with_it() {
    let dir = Scratch::new();
    drop(DirLock::open(&dir).unwrap());
    fs::write(record(&dir), "{").unwrap();
    assert!(matches!(
        refused(release(&dir, false)).kind,
        Kind::Corrupt(_)
    ));
    assert!(matches!(release(&dir, true), Ok(Released::Corrupt(_))));
    let target = dir.join("target");
    fs::write(&target, "text").unwrap();
    std::os::unix::fs::symlink(&target, record(&dir)).unwrap();
    assert!(matches!(
        refused(release(&dir, false)).kind,
        Kind::NoFile(_)
    ));
    assert_eq!(
        release(&dir, true),
        Ok(Released::NoRecord("a symbolic link"))
    );
    assert_eq!(fs::read(&target).unwrap(), b"text");
    // A folder is nobody's record, and what is in it nobody's to remove.
    fs::create_dir(record(&dir)).unwrap();
    assert!(matches!(release(&dir, true), Err(Refusal::Failed(_))));
    assert!(record(&dir).is_dir());
}

#[test]
fn a_directory_that_nobody_ever_locked_stays_as_it_is() {
    let dir = Scratch::new();
    assert_eq!(release(&dir, true), Err(Refusal::NotLocked));
    assert!(!dir.join(FOLDER).exists());
}

#[test]
fn a_claim_by_hand_is_released_under_a_run_that_waits_for_it() {
    let dir = Scratch::new();
    hold(&dir, "anna", None).unwrap();
    let lock = DirLock::open(&dir).unwrap();
    let Err(Obstacle::Conflict(_, until)) = lock.try_take(&run(), "") else {
        panic!("it was taken");
    };
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| lock.await_end(&until));
        assert!(matches!(release(&dir, false), Ok(Released::Manual(_))));
        waiting.join().unwrap().unwrap();
    });
    lock.try_take(&run(), "").unwrap();
}

#[test]
fn who_meets_a_run_that_waits_for_a_person_is_told_of_the_person() {
    let dir = Scratch::new();
    hold(&dir, "anna", None).unwrap();
    let waiting = DirLock::open(&dir).unwrap();
    assert!(waiting.try_take(&run(), "").is_err());
    let Err(Obstacle::Conflict(told, _)) = DirLock::take(&dir, &run()) else {
        panic!("it was taken");
    };
    assert_eq!(told.kind, Kind::Manual);
    let text = told.to_string();
    assert!(text.contains("anna holds it by hand"), "{text}");
}

#[test]
fn a_wait_ends_when_the_folder_is_cleared_away_before_it_or_under_it() {
    for moved in [false, true] {
        let dir = Scratch::new();
        hold(&dir, "anna", None).unwrap();
        let lock = DirLock::open(&dir).unwrap();
        let Err(Obstacle::Conflict(_, until)) = lock.try_take(&run(), "") else {
            panic!("it was taken");
        };
        if moved {
            // The record in it is as it was.
            fs::rename(dir.join(FOLDER), dir.join("aside")).unwrap();
            fs::create_dir(dir.join(FOLDER)).unwrap();
        } else {
            fs::remove_dir_all(dir.join(FOLDER)).unwrap();
        }
        lock.await_end(&until).unwrap();
        assert!(matches!(lock.try_take(&run(), ""), Err(Obstacle::Replaced)));
    }
}
