//! Claims on a real file system: what is written, what is left, and who may take over.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::super::listing::{list, lookup};
use super::super::record::{By, Kind, State, VERSION};
use super::super::scratch::Scratch;
use super::*;

pub(in crate::lock) fn record(run_id: &str) -> Record {
    Record {
        v: VERSION,
        run_id: run_id.to_owned(),
        job: "dev".to_owned(),
        class: "batch".to_owned(),
        kind: Kind::Batch,
        state: State::Waiting,
        container: None,
        pid: None,
        monitor: None,
        start_time: None,
        boot_id: None,
        pid_ns: None,
        uid: 0,
        lock: None,
        dirs: vec![],
        by: By::Hand,
        since_unix_ms: 1,
    }
}

pub(in crate::lock) fn files(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_claim_is_seen_changed_and_gone_without_a_trace() {
    let dir = Scratch::new();
    let folder = dir.join("lock.d");
    let mut says = record("r1");
    let claim = Claim::create(&folder, "r1", &says).unwrap();
    assert_eq!(files(&folder), ["r1.json", "r1.latch"]);
    assert_eq!(lookup(&folder, "r1"), Some(says.clone()));
    says.state = State::Running;
    says.pid = Some(42);
    claim.update(&says).unwrap();
    assert_eq!(lookup(&folder, "r1"), Some(says));
    claim.release();
    assert_eq!(files(&folder), [""; 0]);
    assert_eq!(lookup(&folder, "r1"), None);
}

#[test]
fn a_latch_of_another_user_is_never_ours_as_he_could_take_our_life_with_it() {
    let dir = Scratch::new();
    // Whoever may write here knows a socket's name beforehand.
    let latch = dir.join("init-1-1.sock.latch");
    fs::write(&latch, "").unwrap();
    if !geteuid().is_root() {
        return;
    }
    std::os::unix::fs::lchown(&latch, Some(4711), None).unwrap();
    let claim = Claim::open(&dir, "init-1-1.sock", Part::Whole).unwrap();
    assert_eq!(fs::metadata(&latch).unwrap().uid(), 0);
    assert!(latch::is_held(File::open(&latch).unwrap()).unwrap());
    claim.release();
    assert_eq!(files(&dir), [""; 0]);
}

#[test]
fn whoever_occupies_the_name_of_the_temporary_file_keeps_no_record_from_being_written() {
    let dir = Scratch::new();
    let claim = Claim::create(&dir, "r1", &record("r1")).unwrap();
    // As little to be removed as another user's file in a sticky folder.
    fs::create_dir(dir.join(".r1.tmp")).unwrap();
    let mut says = record("r1");
    says.state = State::Running;
    claim.update(&says).unwrap();
    assert_eq!(lookup(&dir, "r1"), Some(says));
    assert_eq!(files(&dir), [".r1.tmp", "r1.json", "r1.latch"]);
    claim.release();
}

#[test]
fn an_update_never_replaces_the_file_that_carries_the_lock() {
    let dir = Scratch::new();
    let claim = Claim::create(&dir, "r1", &record("r1")).unwrap();
    let latch = dir.join("r1.latch");
    let before = fs::metadata(&latch).unwrap().ino();
    for _ in 0..3 {
        claim.update(&record("r1")).unwrap();
        assert!(lookup(&dir, "r1").is_some());
    }
    assert_eq!(fs::metadata(&latch).unwrap().ino(), before);
    assert_eq!(fs::metadata(&latch).unwrap().len(), 0);
}

#[test]
fn a_claim_lives_as_long_as_one_of_those_who_share_it() {
    let dir = Scratch::new();
    let claim = Claim::create(&dir, "r1", &record("r1")).unwrap();
    let copy = claim.as_fd().try_clone_to_owned().unwrap();
    drop(claim);
    assert!(lookup(&dir, "r1").is_some());
    let heir = Claim::from_fd(&dir, "r1", copy).unwrap();
    heir.update(&record("r1")).unwrap();
    drop(heir);
    assert_eq!(lookup(&dir, "r1"), None);
    assert_eq!(list(&dir).claims, [(record("r1"), false)]);
}

#[test]
fn a_release_counts_for_all_who_share_the_claim() {
    let dir = Scratch::new();
    let claim = Claim::create(&dir, "r1", &record("r1")).unwrap();
    let _guards_copy = claim.as_fd().try_clone_to_owned().unwrap();
    let asker = File::open(dir.join("r1.latch")).unwrap();
    assert_eq!(latch::is_held(&asker), Ok(true));
    claim.release();
    assert_eq!(latch::is_held(&asker), Ok(false));
}

#[test]
fn a_latch_that_is_no_longer_at_its_name_is_not_taken_over() {
    let dir = Scratch::new();
    let claim = Claim::create(&dir, "r1", &record("r1")).unwrap();
    let copy = claim.as_fd().try_clone_to_owned().unwrap();
    // The old one stays, so that its inode number cannot be given to the new one.
    fs::rename(dir.join("r1.latch"), dir.join("old")).unwrap();
    fs::write(dir.join("r1.latch"), "").unwrap();
    let error = Claim::from_fd(&dir, "r1", copy).unwrap_err();
    assert_eq!(error.trouble, Trouble::Restless);
}

#[test]
fn a_living_claim_is_not_taken_over() {
    let dir = Scratch::new();
    let _claim = Claim::create(&dir, "r1", &record("r1")).unwrap();
    let error = Claim::create(&dir, "r1", &record("r1")).unwrap_err();
    assert_eq!(error.trouble, Trouble::Held);
    assert!(lookup(&dir, "r1").is_some());
}

#[test]
fn whatever_a_killed_owner_left_can_be_claimed_anew() {
    // One set of files for each pair of calls between which an owner can die.
    for left in [
        &["r1.latch"][..],
        &["r1.latch", ".r1.tmp"],
        &["r1.latch", "r1.json"],
        &["r1.latch", "r1.json", ".r1.tmp"],
        &["r1.json"],
        &[".r1.tmp"],
    ] {
        let dir = Scratch::new();
        for name in left {
            fs::write(dir.join(name), "{\"run_i").unwrap();
        }
        let claim = Claim::create(&dir, "r1", &record("r1")).unwrap();
        assert_eq!(lookup(&dir, "r1"), Some(record("r1")), "{left:?}");
        assert_eq!(files(&dir), ["r1.json", "r1.latch"], "{left:?}");
        claim.release();
        assert_eq!(files(&dir), [""; 0], "{left:?}");
    }
}

#[test]
fn a_release_spares_the_latch_of_somebody_else() {
    let dir = Scratch::new();
    let claim = Claim::create(&dir, "r1", &record("r1")).unwrap();
    fs::remove_file(dir.join("r1.latch")).unwrap();
    fs::write(dir.join("r1.latch"), "").unwrap();
    claim.release();
    assert_eq!(files(&dir), ["r1.latch"]);
}

/// A umask belongs to the whole process, so the test runs itself once more, under a strict one.
#[test]
fn others_can_read_a_claim_and_ask_about_it_whatever_our_umask() {
    const INNER: &str = "LOCKKEEPER_TEST_UMASK_077";
    const NAME: &str = concat!(
        "lock::claim::tests::",
        "others_can_read_a_claim_and_ask_about_it_whatever_our_umask"
    );
    if std::env::var_os(INNER).is_none() {
        #[expect(
            clippy::disallowed_methods,
            reason = "a test process reaps only the child that it waits for"
        )]
        let output = std::process::Command::new("sh")
            .args(["-c", "umask 077; exec \"$@\"", "sh"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", NAME])
            .env(INNER, "1")
            .output();
        let output = String::from_utf8(output.unwrap().stdout).unwrap();
        assert!(output.contains("1 passed"), "{output}");
        return;
    }
    let dir = Scratch::new();
    let folder = dir.join("lock.d");
    let claim = Claim::create(&folder, "r1", &record("r1")).unwrap();
    for (name, expected) in [("", 0o1777), ("r1.latch", 0o644), ("r1.json", 0o644)] {
        let mode = fs::metadata(folder.join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, expected, "{name:?}");
    }
    claim.release();
}

#[test]
fn no_program_that_we_start_inherits_a_claim() {
    use nix::fcntl::{F_GETFD, FdFlag, fcntl};
    let dir = Scratch::new();
    let claim = Claim::create(&dir, "r1", &record("r1")).unwrap();
    for fd in [claim.latch.as_fd(), claim.folder.as_fd()] {
        let flags = FdFlag::from_bits_retain(fcntl(fd, F_GETFD).unwrap());
        assert!(flags.contains(FdFlag::FD_CLOEXEC));
    }
}

#[test]
fn a_claim_that_cannot_be_written_leaves_nothing_behind() {
    let dir = Scratch::new();
    let mut long = record("r1");
    long.job = "x".repeat(MAX_RECORD);
    let error = Claim::create(&dir, "r1", &long).unwrap_err();
    assert_eq!(error.trouble, Trouble::TooLong);
    assert_eq!(files(&dir), [""; 0]);

    // A folder in the record's place: the rename fails, as on a full or foreign file system.
    fs::create_dir(dir.join("r1.json")).unwrap();
    let error = Claim::create(&dir, "r1", &record("r1")).unwrap_err();
    let isdir = Trouble::Kernel(Step::Rename, Errno::EISDIR);
    assert_eq!(error.trouble, isdir);
    assert_eq!(files(&dir), ["r1.json"]);
}

#[test]
fn a_failed_update_leaves_the_former_record() {
    let dir = Scratch::new();
    let claim = Claim::create(&dir, "r1", &record("r1")).unwrap();
    let mut long = record("r1");
    long.job = "x".repeat(MAX_RECORD);
    assert!(claim.update(&long).is_err());
    assert_eq!(lookup(&dir, "r1"), Some(record("r1")));
    assert_eq!(files(&dir), ["r1.json", "r1.latch"]);
}

#[test]
fn names_that_would_leave_the_folder_are_refused() {
    let dir = Scratch::new();
    for run_id in [
        "",
        ".",
        "..",
        ".x",
        "a/b",
        "../x",
        "a\0b",
        "a b",
        "ä",
        &"x".repeat(201),
    ] {
        let error = Claim::create(&dir, run_id, &record(run_id)).unwrap_err();
        assert_eq!(error.trouble, Trouble::BadRunId, "{run_id:?}");
    }
    let error = Claim::create(&dir, "r1", &record("r2")).unwrap_err();
    assert_eq!(error.trouble, Trouble::BadRunId);
    assert_eq!(files(&dir), [""; 0]);
}

#[test]
fn each_error_says_what_failed_and_what_to_do() {
    let dir = Scratch::new();
    let missing = dir.join("no/lock.d");
    let error = Claim::create(&missing, "r1", &record("r1")).unwrap_err();
    assert_eq!(error.trouble, Trouble::Kernel(Step::Folder, Errno::ENOENT));
    for (errno, remedy) in [
        (Errno::ENOSPC, "free space"),
        (Errno::EROFS, "mount it writable"),
        (Errno::EACCES, "chmod 1777"),
        (Errno::EMFILE, "ulimit -n"),
    ] {
        let error = ClaimError::new(&dir, Trouble::Kernel(Step::Write, errno));
        let text = error.to_string();
        assert!(text.starts_with("cannot write a claim in \"/"), "{text}");
        assert!(text.contains(remedy) && text.contains("goes on"), "{text}");
    }
}
