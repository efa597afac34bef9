//! Listing and clearing, among garbage and beside owners that come and go.

use std::fs;
use std::os::unix::fs::symlink;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;

use super::super::claim::Claim;
use super::super::claim::tests::{files, record};
use super::super::scratch::Scratch;
use super::*;

#[test]
fn a_missing_folder_has_no_claims() {
    let dir = Scratch::new();
    assert_eq!(list(&dir.join("none")), Listing::default());
    assert_eq!(lookup(&dir.join("none"), "r1"), None);
    assert_eq!(clear_dead(&dir.join("none")), 0);
}

#[test]
fn the_living_and_the_dead_are_told_apart_in_order_of_their_time() {
    let dir = Scratch::new();
    let mut late = record("a");
    late.since_unix_ms = 9;
    let living = Claim::create(&dir, "a", &late).unwrap();
    drop(Claim::create(&dir, "b", &record("b")).unwrap());
    let listing = list(&dir);
    assert_eq!(listing.claims, [(record("b"), false), (late, true)]);
    assert_eq!((listing.ignored, listing.truncated), (0, false));
    living.release();
}

#[test]
fn garbage_is_counted_and_neither_believed_nor_waited_for() {
    let dir = Scratch::new();
    let _claim = Claim::create(&dir, "good", &record("good")).unwrap();
    fs::write(dir.join("half.json"), "{\"v\":1,\"run_id\":\"ha").unwrap();
    fs::write(dir.join("binary.json"), [0xff, 0, 0x80]).unwrap();
    fs::write(dir.join("long.json"), vec![b' '; MAX_RECORD + 1]).unwrap();
    let other = serde_json::to_string(&record("good")).unwrap();
    fs::write(dir.join("other.json"), other).unwrap();
    nix::unistd::mkfifo(&dir.join("fifo.json"), Mode::S_IRWXU).unwrap();
    let target = serde_json::to_string(&record("link")).unwrap();
    fs::write(dir.join("target"), target).unwrap();
    symlink(dir.join("target"), dir.join("link.json")).unwrap();
    fs::create_dir(dir.join("folder.json")).unwrap();
    fs::write(dir.join("unrelated"), "").unwrap();
    let listing = list(&dir);
    assert_eq!(listing.claims, [(record("good"), true)]);
    assert_eq!(listing.ignored, 7);
}

#[test]
fn a_record_of_another_user_says_nothing_of_a_run_and_takes_none_of_its_life() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let dir = Scratch::new();
    // The run has its latch and not yet its record, and somebody else was faster.
    let _claim = Claim::open(&dir, "r1", Part::Rest).unwrap();
    let text = serde_json::to_string(&record("r1")).unwrap();
    fs::write(dir.join("r1.json"), text).unwrap();
    assert!(lookup(&dir, "r1").is_some());
    std::os::unix::fs::lchown(dir.join("r1.json"), Some(4711), None).unwrap();
    assert_eq!((lookup(&dir, "r1"), list(&dir).ignored), (None, 1));
    assert_eq!(has_other_user(&dir, "us"), Some(true));
}

#[test]
fn who_has_another_lock_is_alive_and_neither_holds_this_one_nor_waits_for_it() {
    let dir = Scratch::new();
    let other = Claim::open(&dir, "other", Part::Rest).unwrap();
    let mut says = record("other");
    says.state = State::Running;
    other.update(&says).unwrap();
    let _waits = Claim::create(&dir, "waits", &record("waits")).unwrap();
    let alive = |listing: Listing| listing.claims.iter().map(|(_, alive)| *alive).collect();
    let (all, queue): (Vec<bool>, Vec<bool>) = (alive(list(&dir)), alive(queue(&dir)));
    assert_eq!((all, queue), (vec![true, true], vec![false, true]));
}

#[test]
fn a_flood_of_entries_is_cut_off_and_said() {
    let dir = Scratch::new();
    for number in 0..=MAX_ENTRIES {
        fs::hard_link(first(&dir), dir.join(format!("{number}"))).unwrap();
    }
    assert!(list(&dir).truncated);
}

/// One file to link to: thousands of links are cheaper than thousands of files.
fn first(dir: &Path) -> std::path::PathBuf {
    let path = dir.join("first");
    if !path.exists() {
        fs::write(&path, "").unwrap();
    }
    path
}

#[test]
fn the_dead_are_cleared_away_and_the_living_stay() {
    let dir = Scratch::new();
    let living = Claim::create(&dir, "living", &record("living")).unwrap();
    drop(Claim::create(&dir, "dead", &record("dead")).unwrap());
    fs::write(dir.join("half.latch"), "").unwrap();
    fs::write(dir.join(".half.tmp"), "{").unwrap();
    fs::write(dir.join("lost.json"), "{").unwrap();
    fs::write(dir.join("unrelated"), "").unwrap();
    assert_eq!(clear_dead(&dir), 3);
    assert_eq!(files(&dir), ["living.json", "living.latch", "unrelated"]);
    assert!(lookup(&dir, "living").is_some());
    living.release();
}

#[test]
fn a_living_owner_amid_its_first_record_keeps_its_files() {
    let dir = Scratch::new();
    let names = Names::of("r1").unwrap();
    let folder = open_existing(&dir).unwrap();
    let latch = take_latch(&folder, &names, Part::Whole).unwrap();
    fs::write(dir.join(".r1.tmp"), "{").unwrap();
    assert_eq!(clear_dead(&dir), 0);
    assert_eq!(files(&dir), [".r1.tmp", "r1.latch"]);
    drop(latch);
    assert_eq!(clear_dead(&dir), 1);
}

#[test]
fn what_is_no_latch_of_ours_is_left_alone() {
    let dir = Scratch::new();
    fs::create_dir(dir.join("a.latch")).unwrap();
    symlink("/dev/null", dir.join("b.latch")).unwrap();
    assert_eq!(clear_dead(&dir), 0);
    assert_eq!(files(&dir), ["a.latch", "b.latch"]);
}

#[test]
fn owners_come_and_go_beside_those_who_clear_and_no_living_claim_is_lost() {
    const ROUNDS: usize = 300;
    let dir = Scratch::new();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let cleaners: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        clear_dead(&dir);
                    }
                })
            })
            .collect();
        let owners: Vec<_> = ["a", "b"]
            .map(|owner| {
                let dir = &dir;
                scope.spawn(move || {
                    for round in 0..ROUNDS {
                        let run_id = format!("{owner}{round}");
                        let claim = Claim::create(dir, &run_id, &record(&run_id)).unwrap();
                        assert!(lookup(dir, &run_id).is_some(), "{run_id}");
                        claim.update(&record(&run_id)).unwrap();
                        assert!(lookup(dir, &run_id).is_some(), "{run_id}");
                        // Every other one dies without a word.
                        if round % 2 == 0 {
                            claim.release();
                        }
                    }
                })
            })
            .into();
        let ended: Vec<_> = owners.into_iter().map(ScopedJoinHandle::join).collect();
        done.store(true, Ordering::Relaxed);
        assert!(ended.iter().all(Result::is_ok));
        for cleaner in cleaners {
            cleaner.join().unwrap();
        }
    });
    clear_dead(&dir);
    assert_eq!(files(&dir), [""; 0]);
}
