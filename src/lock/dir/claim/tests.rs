use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::super::conflict::Kind;
use super::super::place::{FOLDER, LATCH, RECORD};
use super::super::record::{DirRecord, now};
use super::*;
use crate::lock::scratch::Scratch;

fn claim(job: &str) -> DirRecord {
    DirRecord {
        pid: 77,
        acquired_at: now(),
        job: Some(job.to_owned()),
        run_id: Some("r1".to_owned()),
        ..DirRecord::default()
    }
}

fn file(dir: &Path, name: &str) -> std::path::PathBuf {
    dir.join(FOLDER).join(name)
}

fn on_disk(dir: &Path) -> DirRecord {
    DirRecord::parse(&fs::read(file(dir, RECORD)).unwrap()).unwrap()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir.join(FOLDER)).unwrap().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn conflict(obstacle: Obstacle) -> Conflict {
    match obstacle {
        Obstacle::Conflict(conflict, _) => *conflict,
        other => panic!("no conflict: {other}"),
    }
}

#[test]
fn a_free_directory_is_taken_and_what_lies_there_says_whose_it_is() {
    let dir = Scratch::new();
    let lock = DirLock::take(&dir, &claim("dev")).unwrap();
    let record = on_disk(&dir);
    assert_eq!(record.token.as_deref(), Some(lock.token()));
    assert_eq!(record.job.as_deref(), Some("dev"));
    assert_eq!(
        names(&dir),
        [".gitignore", LATCH, RECORD, "agent.lock.flock"]
    );
    assert_eq!(fs::read(file(&dir, ".gitignore")).unwrap(), b"*\n");
    assert_eq!(fs::metadata(file(&dir, LATCH)).unwrap().size(), 0);
}

#[test]
fn a_second_taker_is_told_who_has_it_and_changes_nothing() {
    let dir = Scratch::new();
    let _first = DirLock::take(&dir, &claim("dev")).unwrap();
    let before = fs::read(file(&dir, RECORD)).unwrap();
    let told = conflict(DirLock::take(&dir, &claim("other")).unwrap_err());
    assert_eq!(told.kind, Kind::Run);
    assert!(told.to_string().contains("job \"dev\""), "{told}");
    assert_eq!(fs::read(file(&dir, RECORD)).unwrap(), before);
}

#[test]
fn a_released_lock_leaves_no_record_and_its_latch() {
    let dir = Scratch::new();
    let lock = DirLock::take(&dir, &claim("dev")).unwrap();
    let latch = fs::metadata(file(&dir, LATCH)).unwrap().ino();
    lock.release().unwrap();
    assert_eq!(names(&dir), [".gitignore", LATCH, "agent.lock.flock"]);
    let _next = DirLock::take(&dir, &claim("next")).unwrap();
    assert_eq!(fs::metadata(file(&dir, LATCH)).unwrap().ino(), latch);
}
