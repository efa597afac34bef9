//! Among files of whoever may write there.

use std::fs;
use std::os::unix::fs::{lchown, symlink};

use super::*;
use crate::lock::claim::Claim;
use crate::lock::claim::tests::record;
use crate::lock::scratch::Scratch;

fn odd(folder: &Path) -> Vec<(String, String)> {
    let odd = survey(folder).odd.into_iter();
    odd.map(|odd| (odd.name, odd.why)).collect()
}

#[test]
fn who_lives_is_shown_whether_he_has_said_what_he_is_or_not_and_who_is_dead_is_not() {
    let dir = Scratch::new();
    let mut late = record("a");
    late.since_unix_ms = 9;
    let _late = Claim::create(&dir, "a", &late).unwrap();
    let _early = Claim::create(&dir, "z", &record("z")).unwrap();
    let _unsaid = Claim::open(&dir, "new", Part::Whole).unwrap();
    fs::create_dir(dir.join("pauses")).unwrap();
    drop(Claim::create(&dir, "dead", &record("dead")).unwrap());
    // An init's socket is claimed, too, and is no run.
    let _socket = Claim::open(&dir, "init-1-1.sock", Part::Whole).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind(dir.join("init-1-1.sock")).unwrap();
    fs::write(dir.join(".z.tmp"), "{").unwrap();
    let found = survey(&dir);
    assert_eq!(found.living, [record("z"), late]);
    assert_eq!(found.beside, []);
    assert_eq!(found.unsaid, ["new"]);
    assert_eq!((found.odd, found.truncated), (vec![], false));
}

#[test]
fn who_takes_no_turn_there_is_told_from_who_does() {
    let dir = Scratch::new();
    let beside = Claim::open(&dir, "b", Part::Rest).unwrap();
    beside.update(&record("b")).unwrap();
    let _turn = Claim::create(&dir, "t", &record("t")).unwrap();
    let found = survey(&dir);
    assert_eq!(
        (found.living, found.beside),
        (vec![record("t")], vec![record("b")])
    );
}

#[test]
fn each_file_that_is_no_claim_is_named_with_what_is_wrong_with_it() {
    let dir = Scratch::new();
    let _living = Claim::create(&dir, "good", &record("good")).unwrap();
    let text = |run_id: &str| serde_json::to_string(&record(run_id)).unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(dir.join(name), bytes).unwrap();
    write("half.json", b"{\"v\":1,\"run_id\":\"ha");
    write("binary.json", &[0xff, 0, 0x80]);
    write("empty.json", b"");
    write("number.json", b"7");
    write("long.json", &vec![b' '; MAX_RECORD + 1]);
    write("other.json", text("good").as_bytes());
    write("deep.json", "[".repeat(50_000).as_bytes());
    fs::hard_link(dir.join("good.json"), dir.join("second")).unwrap();
    fs::hard_link(dir.join("good.json"), dir.join("twin.json")).unwrap();
    nix::unistd::mkfifo(&dir.join("fifo.json"), Mode::S_IRWXU).unwrap();
    nix::unistd::mkfifo(&dir.join("pipe.latch"), Mode::S_IRWXU).unwrap();
    symlink("good.json", dir.join("link.json")).unwrap();
    symlink("good.latch", dir.join("lives.latch")).unwrap();
    write("lives.json", text("lives").as_bytes());
    fs::create_dir(dir.join("folder.json")).unwrap();
    let named = |name: &str, why: &str| (name.to_owned(), why.to_owned());
    let (found, expected) = (
        odd(&dir),
        [
            named("binary.json", "no JSON"),
            named("deep.json", "JSON, and no record"),
            named("empty.json", "an empty file"),
            named("fifo.json", "a FIFO"),
            named("folder.json", "a folder"),
            named("half.json", "half a record"),
            named("link.json", "a symbolic link, which is not followed"),
            named("lives.latch", "a symbolic link, which is not followed"),
            named("long.json", "65537 bytes, and a record has 65536 at most"),
            named("number.json", "JSON, and no record"),
            named("other.json", "the record of another run, \"good\""),
            named("pipe.latch", "a FIFO"),
            named("second", "a file that belongs to no claim"),
            named("twin.json", "the record of another run, \"good\""),
        ],
    );
    assert_eq!(found, expected);
    assert_eq!(survey(&dir).living, [record("good")]);
}

#[test]
fn a_second_name_of_a_latch_takes_nobodys_life_and_gives_none_to_another_user() {
    let dir = Scratch::new();
    let _living = Claim::create(&dir, "good", &record("good")).unwrap();
    // The life of another, borrowed.
    fs::hard_link(dir.join("good.latch"), dir.join("fake.latch")).unwrap();
    fs::hard_link(dir.join("good.json"), dir.join("second")).unwrap();
    let found = survey(&dir);
    assert_eq!((found.living, found.unsaid), (vec![record("good")], vec![]));
    let named = (
        "fake.latch",
        "a second name (a hard link) of the latch of a claim",
    );
    assert_eq!((odd(&dir)[0].0.as_str(), odd(&dir)[0].1.as_str()), named);
    if nix::unistd::geteuid().is_root() {
        let text = serde_json::to_string(&record("fake")).unwrap();
        fs::write(dir.join("fake.json"), text).unwrap();
        lchown(dir.join("fake.json"), Some(4711), None).unwrap();
        let found = survey(&dir);
        assert_eq!((found.living, found.unsaid), (vec![record("good")], vec![]));
        assert_eq!((odd(&dir)[0].0.as_str(), odd(&dir)[0].1.as_str()), named);
    }
}

#[test]
fn whatever_lies_in_place_of_a_record_its_run_is_shown_while_its_latch_is_held() {
    let dir = Scratch::new();
    for name in ["a", "b", "c", "init-1-1.sock"] {
        std::mem::forget(Claim::open(&dir, name, Part::Whole).unwrap());
    }
    // Whoever may write here may have been faster.
    fs::write(dir.join("a.json"), "{").unwrap();
    fs::create_dir(dir.join("b.json")).unwrap();
    fs::hard_link(dir.join("c.latch"), dir.join("d.latch")).unwrap();
    fs::write(dir.join("init-1-1.sock.json"), "").unwrap();
    let found = survey(&dir);
    // Which of two names is the run's, nobody knows.
    assert_eq!(found.unsaid, ["a", "b", "c", "d"]);
    let named: Vec<String> = odd(&dir).into_iter().map(|(name, _)| name).collect();
    assert_eq!(named, ["a.json", "b.json", "init-1-1.sock.json"]);
    if nix::unistd::geteuid().is_root() {
        let text = serde_json::to_string(&record("c")).unwrap();
        fs::write(dir.join("c.json"), text).unwrap();
        lchown(dir.join("c.json"), Some(4711), None).unwrap();
        let found = survey(&dir);
        assert_eq!((found.living, found.unsaid.len()), (vec![], 4));
        let why = &odd(&dir)[2].1;
        assert!(
            why.contains("a record of user 4711, with the latch of user 0"),
            "{why}"
        );
    }
}

#[test]
fn no_device_is_opened() {
    let dir = Scratch::new();
    // To open a device may have it do something: this one has no driver at all.
    let device = nix::sys::stat::makedev(511, 7);
    let (kind, mode) = (SFlag::S_IFCHR, Mode::S_IRWXU);
    if nix::sys::stat::mknod(&dir.join("device.json"), kind, mode, device).is_ok() {
        assert_eq!(odd(&dir)[0].1, "a device");
    }
}

#[test]
fn more_than_may_be_looked_at_is_cut_off_and_said() {
    let dir = Scratch::new();
    assert_eq!(survey(&dir.join("none")), Survey::default());
    fs::write(dir.join("file"), "").unwrap();
    assert_eq!(survey(&dir.join("file")).unread, Some(Errno::ENOTDIR));
    for number in 0..20 {
        let text = " ".repeat(MAX_RECORD);
        fs::write(dir.join(format!("big{number:02}.json")), text).unwrap();
    }
    let found = survey(&dir);
    assert!(found.truncated, "a mebibyte is enough");
    assert_eq!((found.odd.len(), found.more_odd), (MAX_ODD, 1));
    for number in 0..=MAX_ENTRIES {
        fs::hard_link(dir.join("file"), dir.join(format!("{number}"))).unwrap();
    }
    let found = survey(&dir);
    assert!(found.truncated);
    assert_eq!(found.odd.len(), MAX_ODD);
    assert!(found.more_odd < MAX_ENTRIES);
}
