//! The directory lock: what it leaves on the disk, whom it respects, whom it takes over
//! ([`kills`]: from those killed at any step; [`hostile`]: what others may lay in its place).

mod hostile;
mod kills;

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

fn file(dir: &Path, name: &str) -> PathBuf {
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
    assert_eq!(record.token.as_deref(), Some(lock.token.as_str()));
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

#[test]
fn a_record_that_is_updated_is_whole_and_keeps_its_latch() {
    let dir = Scratch::new();
    let lock = DirLock::take(&dir, &claim("dev")).unwrap();
    let latch = fs::metadata(file(&dir, LATCH)).unwrap().ino();
    let mut running = claim("dev");
    running.pid = 78;
    assert_eq!(lock.update(&running), Ok(true));
    assert_eq!(on_disk(&dir).pid, 78);
    assert_eq!(on_disk(&dir).token.as_deref(), Some(lock.token.as_str()));
    assert_eq!(fs::metadata(file(&dir, LATCH)).unwrap().ino(), latch);
    assert_eq!(lock.place.latch_held(), Some(true));
}

#[test]
fn what_another_tool_wrote_over_ours_is_neither_updated_nor_removed() {
    let dir = Scratch::new();
    let lock = DirLock::take(&dir, &claim("dev")).unwrap();
    let theirs = r#"{"pid":5,"acquired_at":"2026-01-01T00:00:00Z","hostname":"h"}"#;
    fs::write(file(&dir, RECORD), theirs).unwrap();
    assert_eq!(lock.update(&claim("dev")), Ok(false));
    lock.release().unwrap();
    assert_eq!(fs::read_to_string(file(&dir, RECORD)).unwrap(), theirs);
}

#[test]
fn releasing_what_never_was_ours_changes_nothing() {
    let dir = Scratch::new();
    let lock = DirLock::take(&dir, &claim("dev")).unwrap();
    let other = DirLock::open(&dir).unwrap();
    other.release().unwrap();
    assert_eq!(on_disk(&dir).job.as_deref(), Some("dev"));
    assert_eq!(other.place.latch_held(), Some(true));
    drop(lock);
}

#[test]
fn the_dead_are_taken_over_with_what_they_left_half_written() {
    let dir = Scratch::new();
    drop(DirLock::take(&dir, &claim("dead")).unwrap());
    let half = file(&dir, &format!(".agent.lock.{}", "0".repeat(32)));
    fs::write(&half, "{").unwrap();
    let strange = file(&dir, ".agent.lock.bak");
    fs::write(&strange, "").unwrap();
    let lock = DirLock::open(&dir).unwrap();
    let former = lock.try_take(&claim("next"), "").unwrap().unwrap();
    assert_eq!(former.job.as_deref(), Some("dead"));
    assert_eq!(on_disk(&dir).job.as_deref(), Some("next"));
    assert!(!half.exists() && strange.exists());
}

/// A record as gastown writes it, of this machine.
fn foreign(dir: &Path, pid: u32) {
    let host = Here::read().hostname;
    let text = format!(
        r#"{{"pid": {pid}, "acquired_at": "{}", "hostname": "{host}"}}"#,
        now()
    );
    drop(DirLock::open(dir).unwrap());
    fs::write(file(dir, RECORD), text).unwrap();
}

/// The number of a process that is gone: one above all that there can be (`pid_max`, proc(5)).
const GONE: u32 = 4_194_305;

#[test]
fn a_living_foreigner_is_respected_and_a_dead_one_taken_over() {
    let dir = Scratch::new();
    foreign(&dir, std::process::id());
    let before = fs::read(file(&dir, RECORD)).unwrap();
    let told = conflict(DirLock::take(&dir, &claim("dev")).unwrap_err());
    assert!(matches!(told.kind, Kind::Foreign(_)), "{told}");
    assert!(told.may_end());
    assert_eq!(fs::read(file(&dir, RECORD)).unwrap(), before);
    foreign(&dir, GONE);
    let lock = DirLock::open(&dir).unwrap();
    let former = lock.try_take(&claim("dev"), "").unwrap().unwrap();
    assert!(!former.is_ours());
}

#[test]
fn a_foreigner_who_cannot_be_judged_keeps_the_directory_and_nobody_waits_for_him() {
    let dir = Scratch::new();
    drop(DirLock::open(&dir).unwrap());
    let text = r#"{"pid":5,"acquired_at":"2026-01-01T00:00:00Z","hostname":"elsewhere"}"#;
    fs::write(file(&dir, RECORD), text).unwrap();
    let told = conflict(DirLock::take(&dir, &claim("dev")).unwrap_err());
    assert!(matches!(told.kind, Kind::CannotTell(_)), "{told}");
    assert!(!told.may_end());
    assert!(told.to_string().contains("lockkeeper lock release --force"));
    assert_eq!(fs::read_to_string(file(&dir, RECORD)).unwrap(), text);
}

#[test]
fn a_run_inside_the_run_that_has_it_is_told_so() {
    let dir = Scratch::new();
    let _outer = DirLock::take(&dir, &claim("dev")).unwrap();
    let inner = DirLock::open(&dir).unwrap();
    let told = conflict(inner.try_take(&claim("in"), "r0 r1").unwrap_err());
    assert_eq!(told.kind, Kind::Outer);
    assert!(!told.may_end(), "it would wait for itself");
    let told = conflict(inner.try_take(&claim("in"), "r2").unwrap_err());
    assert_eq!(told.kind, Kind::Run);
}

#[test]
fn a_latch_that_was_cleared_away_is_opened_anew() {
    let dir = Scratch::new();
    let lock = DirLock::open(&dir).unwrap();
    fs::remove_dir_all(dir.join(FOLDER)).unwrap();
    let _other = DirLock::take(&dir, &claim("other")).unwrap();
    assert!(matches!(
        lock.try_take(&claim("dev"), ""),
        Err(Obstacle::Replaced)
    ));
    assert!(!lock.is_current());
}

#[test]
fn whoever_may_write_the_directory_may_lock_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    for (of_dir, of_folder, of_file) in [
        (0o700, 0o700, 0o600),
        (0o755, 0o755, 0o644),
        (0o1777, 0o1777, 0o666),
        (0o2775, 0o2775, 0o664),
    ] {
        let dir = Scratch::new();
        fs::set_permissions(&*dir, fs::Permissions::from_mode(of_dir)).unwrap();
        let _lock = DirLock::take(&dir, &claim("dev")).unwrap();
        assert_eq!(mode(&dir.join(FOLDER)), of_folder);
        for name in [LATCH, RECORD, "agent.lock.flock"] {
            assert_eq!(mode(&file(&dir, name)), of_file, "{name} in {of_dir:o}");
        }
    }
}

#[test]
fn what_root_makes_belongs_to_the_directorys_owner() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let dir = Scratch::new();
    std::os::unix::fs::chown(&*dir, Some(12345), Some(54321)).unwrap();
    let _lock = DirLock::take(&dir, &claim("dev")).unwrap();
    for path in [dir.join(FOLDER), file(&dir, LATCH), file(&dir, RECORD)] {
        let meta = fs::metadata(&path).unwrap();
        assert_eq!((meta.uid(), meta.gid()), (12345, 54321), "{path:?}");
    }
}

#[test]
fn a_tool_that_has_the_record_to_itself_is_waited_for_a_moment_and_then_named() {
    let dir = Scratch::new();
    let lock = DirLock::open(&dir).unwrap();
    let theirs = fs::File::create(file(&dir, "agent.lock.flock")).unwrap();
    fs2::FileExt::lock_exclusive(&theirs).unwrap();
    let Err(Obstacle::Conflict(told, until)) = lock.try_take(&claim("dev"), "") else {
        panic!("no conflict");
    };
    assert_eq!(told.kind, Kind::Kept);
    let (wait, told) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let lock = &lock;
        scope.spawn(move || wait.send(lock.await_end(&until)).unwrap());
        assert!(told.try_recv().is_err());
        drop(theirs);
        told.recv().unwrap().unwrap();
    });
    lock.try_take(&claim("dev"), "").unwrap();
}

#[test]
fn who_waits_for_a_run_has_the_latch_when_it_ends() {
    let dir = Scratch::new();
    let first = DirLock::take(&dir, &claim("dev")).unwrap();
    let second = DirLock::open(&dir).unwrap();
    let Err(Obstacle::Conflict(_, until)) = second.try_take(&claim("next"), "") else {
        panic!("no conflict");
    };
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| second.await_end(&until));
        first.release().unwrap();
        waiting.join().unwrap().unwrap();
    });
    assert!(matches!(
        DirLock::take(&dir, &claim("late")),
        Err(Obstacle::Conflict(..))
    ));
    second.try_take(&claim("next"), "").unwrap();
    assert_eq!(on_disk(&dir).job.as_deref(), Some("next"));
}

#[test]
fn who_waits_for_a_foreigner_is_woken_when_his_record_goes_and_when_he_does() {
    let dir = Scratch::new();
    let lock = DirLock::open(&dir).unwrap();
    let waited = |end: &mut dyn FnMut()| {
        let Err(Obstacle::Conflict(_, until)) = lock.try_take(&claim("dev"), "") else {
            panic!("no conflict");
        };
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| lock.await_end(&until));
            end();
            waiting.join().unwrap().unwrap();
        });
    };
    foreign(&dir, std::process::id());
    waited(&mut || fs::remove_file(file(&dir, RECORD)).unwrap());
    #[expect(
        clippy::disallowed_methods,
        reason = "a process that ends; nobody else reaps here"
    )]
    let mut process = std::process::Command::new("sleep")
        .arg("60")
        .spawn()
        .unwrap();
    foreign(&dir, process.id());
    waited(&mut || {
        process.kill().unwrap();
        process.wait().unwrap();
    });
    lock.try_take(&claim("dev"), "").unwrap();
}
