use std::fs::{File, create_dir, create_dir_all, remove_dir, rename, write};
use std::os::unix::fs::symlink;
use std::time::{Duration, UNIX_EPOCH};

use super::super::super::scratch::Scratch;
use super::*;
use crate::sys::poll;

/// Three directories `a.lock`, `b.lock`, `c.lock` of a run.
struct Desk {
    dir: Scratch,
    listed: Listed,
}

impl Desk {
    fn new(exclusive: bool) -> Self {
        let dir = Scratch::new();
        create_dir(dir.join("login")).unwrap();
        let plan = SweepPlan {
            dirs: ["a", "b", "c"]
                .map(|name| dir.join(format!("login/{name}.lock")))
                .to_vec(),
            refresh: Duration::from_secs(6),
            stale_after: Duration::from_mins(1),
            exclusive,
        };
        let listed = Listed::new(&plan, None);
        Self { dir, listed }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(format!("login/{name}.lock"))
    }

    /// Made, or touched, so many seconds ago; later, where the number is negative.
    fn touch(&self, name: &str, secs: i64) {
        let path = self.path(name);
        let _ = create_dir(&path);
        let (now, by) = (
            UNIX_EPOCH + Duration::from_nanos(clock::unix_nanos().unsigned_abs()),
            Duration::from_secs(secs.unsigned_abs()),
        );
        let at = if secs < 0 { now + by } else { now - by };
        File::open(&path).unwrap().set_modified(at).unwrap();
    }

    fn look(&mut self) -> Vec<(String, Fate)> {
        self.look_if(false)
    }

    fn look_if(&mut self, alone: bool) -> Vec<(String, Fate)> {
        words(self.listed.look(&|| alone))
    }

    fn sweep(&mut self, alone: bool) -> (bool, Vec<(String, Fate)>) {
        let mut notes = Vec::new();
        let doubtful = self.listed.sweep(&|| alone, &mut notes);
        (doubtful, words(notes))
    }

    fn signs(&mut self) -> (bool, Vec<(String, Fate)>) {
        let fd = self.listed.as_fd().expect("a watch");
        let [came] = poll::wait([Some(fd)], Some(clock::now() + Duration::from_secs(10)));
        assert!(came, "no sign");
        let mut notes = Vec::new();
        let doubtful = self.listed.read_signs(&mut notes);
        (doubtful, words(notes))
    }

    fn end(&mut self, watched: Watched) -> Vec<(String, Fate)> {
        let mut notes = Vec::new();
        self.listed.end_watch(watched, &mut notes);
        words(notes)
    }

    fn left(&self) -> String {
        let is_there = |name: &&str| self.path(name).symlink_metadata().is_ok();
        ["a", "b", "c"].into_iter().filter(is_there).collect()
    }
}

fn words(notes: Vec<Note>) -> Vec<(String, Fate)> {
    let word = |note| match note {
        Note::LockDir { path, fate } => {
            let stem = path.file_stem().unwrap().to_str().unwrap();
            (stem.to_owned(), fate)
        }
        other => panic!("{other:?}"),
    };
    notes.into_iter().map(word).collect()
}

fn said(name: &str, fate: Fate) -> (String, Fate) {
    (name.to_owned(), fate)
}

const SILENT: Fate = Fate::Removed(Dead::Silent(Duration::from_secs(6)));
const NONE: [(String, Fate); 0] = [];

#[test]
fn at_the_start_the_stale_and_the_impossible_go_and_the_living_stay() {
    let mut desk = Desk::new(false);
    desk.touch("a", 90);
    desk.touch("b", -14_400);
    desk.touch("c", -1);
    let notes = desk.look();
    let is_dead =
        |(_, fate): &(String, Fate)| matches!(fate, Fate::Removed(Dead::Stale(_) | Dead::Ahead(_)));
    assert!(notes.len() == 2 && notes.iter().all(is_dead), "{notes:?}");
    assert_eq!(desk.left(), "c");
    assert_eq!(desk.sweep(true), (false, vec![said("c", Fate::Owned)]));
    assert_eq!(desk.left(), "c");
}

#[test]
fn what_the_run_left_goes_when_its_watch_brought_no_sign_of_life() {
    let mut desk = Desk::new(false);
    assert_eq!(desk.look(), NONE);
    desk.touch("a", 3);
    assert_eq!(desk.sweep(true), (true, vec![]));
    assert_eq!(desk.end(Watched::ToTheEnd), [said("a", SILENT)]);
    assert_eq!(desk.left(), "");
}

#[test]
fn each_sign_of_life_saves_its_own_directory() {
    let mut desk = Desk::new(false);
    desk.look();
    for name in ["a", "b", "c"] {
        desk.touch(name, 1);
    }
    assert_eq!(desk.sweep(false), (true, vec![]));
    desk.touch("b", 0);
    assert_eq!(desk.signs(), (true, vec![said("b", Fate::Refreshed)]));
    // Its owner has done with it.
    remove_dir(desk.path("c")).unwrap();
    assert_eq!(desk.signs(), (true, vec![]));
    assert_eq!(desk.end(Watched::ToTheEnd), [said("a", SILENT)]);
    assert_eq!(desk.left(), "b");
}

#[test]
fn the_last_sign_of_life_ends_the_doubt() {
    let mut desk = Desk::new(false);
    desk.look();
    desk.touch("a", 1);
    desk.sweep(false);
    // Also one that sets the very time that it has.
    let time = desk.path("a").metadata().unwrap().modified().unwrap();
    File::open(desk.path("a"))
        .unwrap()
        .set_modified(time)
        .unwrap();
    assert_eq!(desk.signs(), (false, vec![said("a", Fate::Refreshed)]));
    assert_eq!(desk.left(), "a");
}

#[test]
fn a_sign_that_no_watch_saw_saves_as_well() {
    let mut desk = Desk::new(false);
    desk.look();
    desk.touch("a", 2);
    desk.sweep(false);
    desk.listed.watch = None;
    desk.touch("a", 1);
    assert_eq!(desk.end(Watched::ToTheEnd), [said("a", Fate::Refreshed)]);
    assert_eq!(desk.left(), "a");
}

#[test]
fn without_time_or_a_fair_watch_nobody_is_dead() {
    for (watched, fate) in [
        (Watched::CutShort, Fate::CutShort),
        (Watched::Late, Fate::Late),
    ] {
        let mut desk = Desk::new(false);
        desk.look();
        desk.touch("a", 1);
        desk.sweep(false);
        assert_eq!(desk.end(watched), [said("a", fate)]);
        assert_eq!(desk.left(), "a");
    }
}

#[test]
fn alone_is_believed_only_where_the_plan_says_so_and_only_of_what_is_new() {
    let mut desk = Desk::new(true);
    desk.touch("b", 1);
    desk.look();
    desk.touch("a", 1);
    let alone = Fate::Removed(Dead::Alone);
    let notes = vec![said("b", Fate::Owned), said("a", alone)];
    assert_eq!(desk.sweep(true), (false, notes));
    assert_eq!(desk.left(), "b");
    desk.touch("a", 1);
    assert!(desk.sweep(false).0, "somebody else is there");
    let mut desk = Desk::new(false);
    desk.look();
    desk.touch("a", 1);
    assert!(desk.sweep(true).0, "the plan does not say so");
}

#[test]
fn alone_before_the_run_counts_as_well() {
    let mut desk = Desk::new(true);
    desk.touch("a", 1);
    desk.touch("b", -1);
    let alone = Fate::Removed(Dead::Alone);
    assert_eq!(desk.look_if(true), [said("a", alone), said("b", alone)]);
    assert_eq!(desk.left(), "");
    // What the run leaves in their place is new.
    desk.touch("a", 1);
    assert!(desk.sweep(false).0);
    let mut desk = Desk::new(false);
    desk.touch("a", 1);
    assert_eq!(desk.look_if(true), NONE);
    assert_eq!(desk.left(), "a");
}

#[test]
fn what_is_no_empty_directory_is_named_and_stays() {
    let mut desk = Desk::new(true);
    write(desk.path("a"), "").unwrap();
    symlink(&*desk.dir, desk.path("b")).unwrap();
    desk.touch("c", 0);
    write(desk.path("c").join("x"), "").unwrap();
    desk.touch("c", 90);
    let expected = [
        said("a", Fate::NotAFolder),
        said("b", Fate::NotAFolder),
        said("c", Fate::NotEmpty),
    ];
    // Said once.
    assert_eq!(desk.look_if(true), expected);
    assert_eq!(desk.sweep(true), (false, vec![]));
    assert_eq!(desk.left(), "abc");
}

#[test]
fn what_cannot_be_looked_at_before_is_left_after() {
    let mut desk = Desk::new(true);
    // Also for root: its folder is a link that leads round in a circle.
    let (login, aside) = (desk.dir.join("login"), desk.dir.join("aside"));
    rename(&login, &aside).unwrap();
    symlink("login", &login).unwrap();
    let looped = Fate::Denied {
        errno: Errno::ELOOP as i32,
    };
    assert_eq!(desk.look(), ["a", "b", "c"].map(|name| said(name, looped)));
    std::fs::remove_file(&login).unwrap();
    rename(&aside, &login).unwrap();
    desk.touch("a", 1);
    assert_eq!(desk.sweep(true), (false, vec![]));
    assert_eq!(desk.left(), "a");
}

#[test]
fn the_lock_beside_a_login_that_is_a_link_lies_beside_the_real_folder() {
    let dir = Scratch::new();
    let (link, real) = (dir.join("agent/.claude"), dir.join("real/login"));
    create_dir_all(&real).unwrap();
    create_dir(dir.join("agent")).unwrap();
    symlink("../real/login", &link).unwrap();
    let made = |name: &str| as_made(&dir.join(name), Some(&link));
    let real = dir.canonicalize().unwrap().join("real/login.lock");
    assert_eq!(made("agent/.claude.lock"), real);
    for other in [
        "agent/.claude/.oauth_refresh.lock",
        "agent/.claude.json.lock",
    ] {
        assert_eq!(made(other), dir.join(other));
    }
    std::fs::remove_file(&link).unwrap();
    create_dir(&link).unwrap();
    assert_eq!(made("agent/.claude.lock"), dir.join("agent/.claude.lock"));
}
