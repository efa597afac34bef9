use std::fs::{create_dir, read_dir as entries, remove_dir, rename, write};
use std::os::unix::fs::symlink;
use std::time::UNIX_EPOCH;

use super::super::super::scratch::Scratch;
use super::*;
use crate::sys::clock;

const REFRESH: Duration = Duration::from_secs(6);
const STALE_AFTER: Duration = Duration::from_mins(1);

fn of(path: &Path) -> Stamp {
    stamp(AT_FDCWD, path).unwrap()
}

/// Sets the time of a folder to so many seconds ago.
fn age_by(path: &Path, secs: u64) {
    let ago = UNIX_EPOCH + Duration::from_nanos(clock::unix_nanos().unsigned_abs())
        - Duration::from_secs(secs);
    let folder = std::fs::File::open(path).unwrap();
    folder.set_modified(ago).unwrap();
}

fn names(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.unwrap().file_name().into_string().unwrap()
    };
    let mut names: Vec<_> = entries(folder).unwrap().map(name).collect();
    names.sort();
    names
}

fn recovered(path: &Path) -> Option<Fate> {
    let now = Moment {
        time: clock::now(),
        wall: clock::unix_nanos(),
    };
    recover(path, &now, REFRESH, STALE_AFTER)
}

#[test]
fn what_is_still_what_was_judged_is_removed_and_nothing_is_left() {
    let dir = Scratch::new();
    let lock = dir.join("x.lock");
    create_dir(&lock).unwrap();
    assert_eq!(remove(&lock, &of(&lock)), Ok(true));
    assert_eq!(names(&dir), [""; 0]);
    // It is gone already, or its folder is.
    let judged = {
        create_dir(&lock).unwrap();
        let judged = of(&lock);
        remove_dir(&lock).unwrap();
        judged
    };
    assert_eq!(remove(&lock, &judged), Ok(false));
    assert_eq!(remove(&dir.join("no/x.lock"), &judged), Ok(false));
}

#[test]
fn what_was_refreshed_or_made_anew_since_is_not_even_moved() {
    let dir = Scratch::new();
    let lock = dir.join("x.lock");
    create_dir(&lock).unwrap();
    age_by(&lock, 100);
    let judged = of(&lock);
    age_by(&lock, 0);
    assert_eq!(remove(&lock, &judged), Err(Fate::Refreshed));
    remove_dir(&lock).unwrap();
    create_dir(&lock).unwrap();
    assert_eq!(remove(&lock, &judged), Err(Fate::Refreshed));
    assert_eq!(names(&dir), ["x.lock"]);
}

#[test]
fn one_with_anything_in_it_stays_where_it_is() {
    let dir = Scratch::new();
    let lock = dir.join("x.lock");
    create_dir(&lock).unwrap();
    write(lock.join("precious"), "").unwrap();
    let judged = of(&lock);
    assert_eq!(remove(&lock, &judged), Err(Fate::NotEmpty));
    // Its time of change tells of any renaming.
    assert_eq!(of(&lock), judged);
    assert_eq!(names(&lock), ["precious"]);
}

#[test]
fn one_that_is_filled_or_refreshed_in_the_instant_of_the_move_comes_back() {
    let dir = Scratch::new();
    let lock = dir.join("x.lock");
    create_dir(&lock).unwrap();
    let judged = of(&lock);
    let place = Place::of(&lock).unwrap().unwrap();
    place.hide().unwrap();
    age_by(&dir.join("x.lock.lockkeeper"), 7);
    assert_eq!(place.end(&judged), Err(Fate::Disturbed { back: true }));
    assert_eq!(names(&dir), ["x.lock"]);

    let judged = of(&lock);
    place.hide().unwrap();
    write(dir.join("x.lock.lockkeeper/late"), "").unwrap();
    // Its time is set back as it was.
    let hidden = dir.join("x.lock.lockkeeper");
    let was = UNIX_EPOCH + Duration::from_nanos(judged.modified.unsigned_abs());
    let folder = std::fs::File::open(&hidden).unwrap();
    folder.set_modified(was).unwrap();
    assert_eq!(place.end(&judged), Err(Fate::NotEmpty));
    assert_eq!(names(&lock), ["late"]);
}

#[test]
fn one_that_cannot_come_back_replaces_nobodys() {
    let dir = Scratch::new();
    let lock = dir.join("x.lock");
    create_dir(&lock).unwrap();
    let judged = of(&lock);
    let place = Place::of(&lock).unwrap().unwrap();
    place.hide().unwrap();
    age_by(&dir.join("x.lock.lockkeeper"), 7);
    create_dir(&lock).unwrap();
    let new = of(&lock);
    assert_eq!(place.end(&judged), Err(Fate::Disturbed { back: false }));
    assert_eq!(of(&lock), new);
    // While something has our name, nothing is moved over it.
    let denied = Fate::Denied {
        errno: Errno::EEXIST as i32,
    };
    assert_eq!(remove(&lock, &new), Err(denied));
    assert_eq!(of(&lock), new);
}

#[test]
fn what_a_killed_sweep_left_is_removed_unless_its_owner_may_not_have_missed_it_yet() {
    for (age, fate, left) in [
        (0, Fate::BroughtBack, vec!["x.lock"]),
        (5, Fate::BroughtBack, vec!["x.lock"]),
        (7, Fate::Remains, vec![]),
        (7200, Fate::Remains, vec![]),
    ] {
        let dir = Scratch::new();
        let lock = dir.join("x.lock");
        create_dir(&lock).unwrap();
        age_by(&lock, age);
        rename(&lock, dir.join("x.lock.lockkeeper")).unwrap();
        assert_eq!(recovered(&lock), Some(fate), "{age}");
        assert_eq!(names(&dir), left, "{age}");
        assert_eq!(recovered(&lock), None);
    }
}

#[test]
fn what_a_killed_sweep_left_goes_over_nobodys_new_one_and_waits_until_it_is_old() {
    let dir = Scratch::new();
    let (lock, hidden) = (dir.join("x.lock"), dir.join("x.lock.lockkeeper"));
    create_dir(&lock).unwrap();
    create_dir(&hidden).unwrap();
    let new = of(&lock);
    assert_eq!(recovered(&lock), None);
    assert_eq!(names(&dir), ["x.lock", "x.lock.lockkeeper"]);
    age_by(&hidden, 7);
    assert_eq!(recovered(&lock), Some(Fate::Remains));
    assert_eq!(of(&lock), new);
}

#[test]
fn nothing_but_an_empty_directory_of_our_name_is_taken_for_ours() {
    let dir = Scratch::new();
    let (lock, hidden) = (dir.join("x.lock"), dir.join("x.lock.lockkeeper"));
    write(&hidden, "").unwrap();
    assert_eq!(recovered(&lock), None);
    std::fs::remove_file(&hidden).unwrap();
    symlink(&*dir, &hidden).unwrap();
    assert_eq!(recovered(&lock), None);
    std::fs::remove_file(&hidden).unwrap();
    create_dir(&hidden).unwrap();
    write(hidden.join("precious"), "").unwrap();
    age_by(&hidden, 7200);
    assert_eq!(recovered(&lock), Some(Fate::NotEmpty));
    assert_eq!(names(&hidden), ["precious"]);
}
