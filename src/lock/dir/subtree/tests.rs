use std::fs;
use std::path::PathBuf;

use super::super::claim::{DirLock, Obstacle};
use super::super::manual;
use super::super::record::now;
use super::*;
use crate::lock::scratch::Scratch;

/// A directory with others below it.
struct Tree(Scratch);

impl Tree {
    fn new() -> Self {
        let dir = Scratch::new();
        fs::create_dir_all(dir.join("a/b")).unwrap();
        fs::create_dir_all(dir.join("ab")).unwrap();
        Self(dir)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.canonicalize().unwrap().join(name)
    }

    fn take(&self, name: &str, run: &str, subtree: bool) -> Result<DirLock, Obstacle> {
        let claim = DirRecord {
            pid: 77,
            acquired_at: now(),
            job: Some(format!("job of {run}")),
            run_id: Some(run.to_owned()),
            subtree,
            ..DirRecord::default()
        };
        DirLock::take(&self.at(name), &claim)
    }

    fn refused(&self, name: &str, run: &str, subtree: bool) -> Conflict {
        match self.take(name, run, subtree) {
            Err(Obstacle::Conflict(conflict, _)) => *conflict,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("{name} was taken"),
        }
    }
}

#[test]
fn parent_and_child_conflict_only_where_the_upper_one_covers_its_subtree() {
    let tree = Tree::new();
    let _parent = tree.take("a", "r1", false).unwrap();
    let _child = tree.take("a/b", "r2", true).unwrap();
}

#[test]
fn a_lock_below_one_that_covers_it_is_refused_and_leaves_no_record() {
    let tree = Tree::new();
    let parent = tree.take("a", "r1", true).unwrap();
    let told = tree.refused("a/b", "r2", false);
    assert_eq!((told.kind, &told.at), (Kind::Run, &tree.at("a")));
    assert!(told.is_above() && told.may_end());
    let text = told.to_string();
    assert!(text.contains("covers it, and job \"job of r1\""), "{text}");
    assert!(!tree.at("a/b/.runtime/agent.lock").exists());
    let _sibling = tree.take("ab", "r3", false).unwrap();
    parent.release().unwrap();
    let _child = tree.take("a/b", "r2", false).unwrap();
}

#[test]
fn a_lock_that_would_cover_a_living_one_is_refused_and_a_dead_one_is_passed() {
    let tree = Tree::new();
    let child = tree.take("a/b", "r1", false).unwrap();
    let told = tree.refused("a", "r2", true);
    assert_eq!((told.kind, &told.at), (Kind::Run, &tree.at("a/b")));
    assert!(!told.is_above());
    assert!(told.to_string().contains("would cover"), "{told}");
    // It dies without a word.
    drop(child);
    let _parent = tree.take("a", "r2", true).unwrap();
}

#[test]
fn what_a_person_or_another_tool_holds_below_is_respected() {
    let tree = Tree::new();
    manual::hold(&tree.at("a/b"), "anna", None).unwrap();
    assert_eq!(tree.refused("a", "r1", true).kind, Kind::Manual);
    assert!(tree.at("a/b/.runtime/agent.lock").exists());
    manual::release(&tree.at("a/b"), false).unwrap();
    fs::write(tree.at("a/b/.runtime/agent.lock"), "{").unwrap();
    let told = tree.refused("a", "r1", true);
    assert!(matches!(told.kind, Kind::Corrupt(_)) && !told.may_end());
    assert!(!tree.at("a/.runtime/agent.lock").exists());
}

#[test]
fn one_run_may_lock_a_directory_and_one_below_it() {
    let tree = Tree::new();
    let _parent = tree.take("a", "r1", true).unwrap();
    let _child = tree.take("a/b", "r1", true).unwrap();
}

#[test]
fn a_run_inside_the_one_that_covers_it_is_told_so() {
    let tree = Tree::new();
    let _parent = tree.take("a", "r1", true).unwrap();
    let lock = DirLock::open(&tree.at("a/b")).unwrap();
    let claim = DirRecord {
        pid: 77,
        acquired_at: now(),
        ..DirRecord::default()
    };
    let Err(Obstacle::Conflict(told, _)) = lock.try_take(&claim, "r0 r1") else {
        panic!("it was taken");
    };
    assert_eq!(told.kind, Kind::Outer);
}

#[test]
fn the_end_of_a_lock_above_and_of_one_below_is_awaited() {
    let tree = Tree::new();
    for (first, second) in [("a", "a/b"), ("a/b", "a")] {
        let holder = tree.take(first, "r1", true).unwrap();
        let lock = DirLock::open(&tree.at(second)).unwrap();
        let claim = DirRecord {
            pid: 77,
            acquired_at: now(),
            run_id: Some("r2".to_owned()),
            subtree: true,
            ..DirRecord::default()
        };
        let Err(Obstacle::Conflict(_, until)) = lock.try_take(&claim, "") else {
            panic!("it was taken");
        };
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| lock.await_end(&until));
            drop(holder);
            waiting.join().unwrap().unwrap();
        });
        lock.try_take(&claim, "").unwrap();
        lock.release().unwrap();
    }
}
