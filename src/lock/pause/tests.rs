use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use nix::sys::stat::utimensat;
use nix::sys::time::TimeSpec;

use super::super::scratch::Scratch;
use super::*;

const HOUR: u64 = 3_600_000;

/// A pause of an hour from now on.
fn an_hour() -> Pause {
    let now = clock::unix_ms();
    Pause {
        until: now + HOUR,
        set: now,
        by: "dev".into(),
        class: Some("batch".into()),
        run_id: Some("r1".into()),
        container: Some("agents-1".into()),
        said: "usage limit reached".into(),
    }
}

/// A lock with a folder of pauses in which nothing lies.
fn lock() -> (Scratch, PathBuf) {
    let dir = Scratch::new();
    let lock = dir.join("session.lock");
    drop(make(&lock).unwrap());
    (dir, lock)
}

fn put(lock: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder(lock).join(name);
    fs::write(&path, text).unwrap();
    path
}

/// A record as we write it, with something else in it.
fn record(change: impl Fn(&mut Value)) -> String {
    let now = clock::unix_ms();
    let mut record = json!({"v": 1, "set_unix_ms": now, "until_unix_ms": now + HOUR});
    change(&mut record);
    record.to_string()
}

fn why(lock: &Path) -> Vec<&'static str> {
    let found = pauses(lock);
    assert_eq!(found.active, []);
    found.ignored.into_iter().map(|(_, why)| why).collect()
}

#[test]
fn without_a_folder_there_is_no_pause_and_none_is_made() {
    let dir = Scratch::new();
    let lock = dir.join("session.lock");
    assert_eq!(pauses(&lock), Pauses::default());
    assert_eq!(end(&lock), Ok(Ended::default()));
    assert!(!claims_folder(&lock).exists());
}

#[test]
fn a_pause_is_found_as_it_was_set_and_ended() {
    let dir = Scratch::new();
    let lock = dir.join("session.lock");
    let pause = an_hour();
    set(&lock, &pause).unwrap();
    let found = pauses(&lock);
    assert_eq!(found.ignored, []);
    let [one] = found.active.as_slice() else {
        panic!("{found:?}");
    };
    // By the clock that nobody sets it ends a little sooner than by the other.
    assert!(pause.until - one.until < 10_000);
    assert_eq!(
        &Pause {
            until: pause.until,
            ..one.clone()
        },
        &pause
    );
    let ended = end(&lock).unwrap();
    assert_eq!((ended.removed, ended.left), (1, Vec::new()));
    assert_eq!(pauses(&lock), Pauses::default());
}

#[test]
fn everybody_may_remove_what_lies_in_the_folder_and_only_its_writer_changes_a_record() {
    let dir = Scratch::new();
    let lock = dir.join("session.lock");
    let name = set(&lock, &an_hour()).unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&folder(&lock)), 0o777);
    assert_eq!(mode(&folder(&lock).join(name)), 0o644);
    assert_eq!(mode(&claims_folder(&lock)), 0o1777);
}

#[test]
fn a_folder_whose_maker_was_killed_before_he_opened_it_is_opened_by_the_next() {
    let (_dir, lock) = lock();
    let closed = fs::Permissions::from_mode(0o755);
    fs::set_permissions(folder(&lock), closed).unwrap();
    set(&lock, &an_hour()).unwrap();
    let mode = fs::metadata(folder(&lock)).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o777);
}

#[test]
fn of_several_pauses_the_longest_counts() {
    let (_dir, lock) = lock();
    let pause = an_hour();
    for (by, more) in [("short", 0), ("long", 2 * HOUR), ("middle", HOUR)] {
        let (by, until) = (by.to_owned(), pause.until + more);
        set(
            &lock,
            &Pause {
                until,
                by,
                ..pause.clone()
            },
        )
        .unwrap();
    }
    let order: Vec<String> = pauses(&lock).active.into_iter().map(|one| one.by).collect();
    assert_eq!(order, ["long", "middle", "short"]);
}

#[test]
fn what_is_over_stops_nobody_and_is_removed_by_whoever_tidies() {
    let (_dir, lock) = lock();
    let past = clock::unix_ms() - 2 * HOUR;
    let over = put(
        &lock,
        "a.pause",
        &record(|it| {
            it["set_unix_ms"] = past.into();
            it["until_unix_ms"] = (past + HOUR).into();
        }),
    );
    let stands = set(&lock, &an_hour()).unwrap();
    let found = pauses(&lock);
    assert_eq!((found.active.len(), found.over.len()), (1, 1));
    assert!(over.exists());
    tidy(&lock, &found);
    assert!(!over.exists());
    assert!(folder(&lock).join(stands).exists());
}

#[test]
fn a_temporary_file_of_somebody_who_was_killed_stops_nobody_and_is_removed_with_the_rest() {
    let (_dir, lock) = lock();
    let left = put(&lock, ".0123456789abcdef.tmp", &record(|_| {}));
    assert_eq!(pauses(&lock), Pauses::default());
    assert_eq!(end(&lock).unwrap().removed, 1);
    assert!(!left.exists());
}

#[test]
fn what_is_no_record_stops_nobody_and_says_why() {
    let not_json = "it is no record of a pause";
    for (text, expected) in [
        (String::new(), not_json),
        ("{".into(), not_json),
        ("[1, 2]".into(), "it is not of our version"),
        ("\u{0}\u{1b}[2J".into(), not_json),
        (record(|it| it["v"] = 2.into()), "it is not of our version"),
        (record(|it| it["until_unix_ms"] = "soon".into()), not_json),
        (record(|it| it["until_unix_ms"] = (-1).into()), not_json),
        (record(|it| it["until_unix_ms"] = 1e300.into()), not_json),
        (
            record(|it| it["said"] = "x".repeat(5000).into()),
            "it is too long, or cannot be read",
        ),
        ("[".repeat(4000), not_json),
    ] {
        let (_dir, lock) = lock();
        put(&lock, "a.pause", &text);
        assert_eq!(why(&lock), [expected], "{text:.40}");
        assert_eq!(end(&lock).unwrap().removed, 1);
    }
}

#[test]
fn a_record_with_strange_words_is_one_all_the_same() {
    let (_dir, lock) = lock();
    put(
        &lock,
        "a.pause",
        &record(|it| {
            it["by"] = 7.into();
            it["container"] = "\u{1b}[2Jx".into();
            it["run_id"] = "r".repeat(300).into();
        }),
    );
    let found = pauses(&lock);
    let shown = Setter(&found.active[0]).to_string();
    assert!(shown.starts_with("job \"\" in container \"?[2Jx\" (run rrr"));
    assert!(
        shown.chars().count() < 150 && !shown.contains('\u{1b}'),
        "{shown}"
    );
}

#[test]
fn what_is_no_file_of_its_own_is_neither_followed_nor_waited_for() {
    type Make = fn(&Path, &Path);
    let unreadable = "it is no file that we can read";
    let foreign = "it is no file of its own";
    let link: Make = |path, good| symlink(good, path).unwrap();
    let hard_link: Make = |path, good| fs::hard_link(good, path).unwrap();
    let fifo: Make = |path, _| nix::unistd::mkfifo(path, OPEN).unwrap();
    let dir: Make = |path, _| fs::create_dir(path).unwrap();
    let socket: Make = |path, _| drop(std::os::unix::net::UnixListener::bind(path).unwrap());
    for (make, expected) in [
        (link, unreadable),
        (hard_link, foreign),
        (fifo, foreign),
        (dir, foreign),
        (socket, unreadable),
    ] {
        let (outside, lock) = lock();
        let good = outside.join("good");
        fs::write(&good, record(|_| {})).unwrap();
        make(&folder(&lock).join("a.pause"), &good);
        assert_eq!(why(&lock), [expected]);
        assert_eq!(end(&lock).unwrap().removed, 1);
        assert!(good.exists());
    }
}

#[test]
fn a_file_of_another_name_stops_nobody() {
    let (_dir, lock) = lock();
    put(&lock, "a.json", &record(|_| {}));
    assert_eq!(why(&lock), ["its name is not that of a pause"]);
}

#[test]
fn a_file_that_was_written_in_the_future_or_long_ago_stops_nobody() {
    for (ago, expected) in [(-2 * HOUR.cast_signed(), 1), (26 * HOUR.cast_signed(), 0)] {
        let (_dir, lock) = lock();
        let path = put(&lock, "a.pause", &record(|_| {}));
        let then = clock::unix_ms().cast_signed() - ago;
        let then = TimeSpec::new(then / 1000, 0);
        let follow = nix::sys::stat::UtimensatFlags::NoFollowSymlink;
        utimensat(AT_FDCWD, &path, &then, &then, follow).unwrap();
        assert_eq!(why(&lock).len(), expected);
    }
}

#[test]
fn a_clock_that_was_put_back_since_prolongs_nothing() {
    let (_dir, lock) = lock();
    let boot_id = Origin::read().boot_id.unwrap();
    let set_ago = |passed: u64| {
        let text = record(|it| {
            it["boot_id"] = boot_id.as_str().into();
            it["set_boot_ms"] = boot_ms().saturating_sub(passed).into();
            it["until_unix_ms"] = (it["set_unix_ms"].as_u64().unwrap() + 1000).into();
        });
        put(&lock, "a.pause", &text);
    };
    set_ago(0);
    assert_eq!(pauses(&lock).active.len(), 1);
    set_ago(2000);
    assert_eq!(pauses(&lock).over.len(), 1);
}

#[test]
fn a_folder_in_which_others_records_cannot_be_removed_counts_for_nothing() {
    // Only root can make one that is another's.
    if !geteuid().is_root() {
        return;
    }
    for mode in [0o755, 0o1777] {
        let (_dir, lock) = lock();
        set(&lock, &an_hour()).unwrap();
        let theirs = Some(12345);
        std::os::unix::fs::chown(folder(&lock), theirs, theirs).unwrap();
        fs::set_permissions(folder(&lock), fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(why(&lock), ["not everybody may remove what lies in it"]);
    }
}

#[test]
fn what_lies_in_the_folders_place_stops_nobody() {
    let (dir, lock) = lock();
    fs::remove_dir(folder(&lock)).unwrap();
    fs::write(folder(&lock), "").unwrap();
    assert_eq!(why(&lock), ["it is no folder that we can read"]);
    fs::remove_file(folder(&lock)).unwrap();
    let elsewhere = dir.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("a.pause"), record(|_| {})).unwrap();
    symlink(&elsewhere, folder(&lock)).unwrap();
    assert_eq!(why(&lock), ["it is no folder that we can read"]);
    assert_eq!(end(&lock).unwrap().removed, 1);
    assert_eq!(pauses(&lock), Pauses::default());
    assert!(elsewhere.join("a.pause").exists());
}

#[test]
fn what_lies_in_the_folders_place_is_named_by_its_own_path() {
    let (_dir, lock) = lock();
    fs::remove_dir(folder(&lock)).unwrap();
    fs::write(folder(&lock), "").unwrap();
    let found = pauses(&lock);
    let [(name, _)] = found.ignored.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(folder(&lock).join(name), folder(&lock));
}

#[test]
fn a_file_of_the_last_instant_that_there_is_ends_nobody() {
    let (_dir, lock) = lock();
    let path = put(&lock, "a.pause", &record(|_| {}));
    // In milliseconds no longer a number of 64 bits. Not every file system keeps it.
    let then = TimeSpec::new(i64::MAX / 1000 + 1, 999_000_000);
    let follow = nix::sys::stat::UtimensatFlags::NoFollowSymlink;
    utimensat(AT_FDCWD, &path, &then, &then, follow).unwrap();
    assert_eq!(why(&lock), ["it was set in the future"]);
}

#[test]
fn whatever_is_said_a_pause_that_was_set_is_believed() {
    for said in [
        "x".repeat(5000),
        "\u{1}".repeat(5000),
        "\u{1f512}".repeat(5000),
    ] {
        let dir = Scratch::new();
        let lock = dir.join("session.lock");
        set(&lock, &Pause { said, ..an_hour() }).unwrap();
        let found = pauses(&lock);
        assert_eq!((found.active.len(), found.ignored), (1, Vec::new()));
    }
}

#[test]
fn a_link_in_the_place_of_the_claims_leads_nobody_to_remove_anything() {
    let dir = Scratch::new();
    let lock = dir.join("session.lock");
    let victim = dir.join("victim");
    fs::create_dir_all(victim.join("pauses")).unwrap();
    let kept = victim.join("pauses/kept");
    fs::write(&kept, "").unwrap();
    symlink(&victim, claims_folder(&lock)).unwrap();
    assert!(end(&lock).is_err());
    assert!(set(&lock, &an_hour()).is_err());
    assert!(kept.exists());
}

#[test]
fn a_folder_full_of_files_costs_little_and_can_be_emptied() {
    let (_dir, lock) = lock();
    for number in 0..1000 {
        put(&lock, &format!("{number}.pause"), "{");
    }
    assert_eq!(pauses(&lock).ignored.len(), MOST);
    assert_eq!(end(&lock).unwrap().removed, 1000);
}

#[test]
fn what_cannot_be_removed_is_named() {
    let (_dir, lock) = lock();
    fs::create_dir_all(folder(&lock).join("a.pause/full")).unwrap();
    let ended = end(&lock).unwrap();
    assert_eq!(ended.removed, 0);
    let [(name, errno)] = ended.left.as_slice() else {
        panic!("{ended:?}");
    };
    assert_eq!(name.as_os_str(), OsStr::new("a.pause"));
    assert_eq!(*errno, Errno::ENOTEMPTY);
}
