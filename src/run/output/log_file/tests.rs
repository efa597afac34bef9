use std::os::unix::fs::{chown, symlink};

use super::*;
use crate::lock::scratch::Scratch;

fn log(folder: &Path, size: u64, keep: u64) -> LogFile {
    let plan = OutputPlan {
        journal: false,
        file: true,
        log_dir: folder.join("made/for/it"),
        log_size: size,
        log_files: keep,
        redact: Vec::new(),
    };
    LogFile::new("dev", &plan)
}

fn text(log: &LogFile, end: &str) -> String {
    let path = format!("{}{end}", log.path().display());
    fs::read_to_string(path).unwrap_or_default()
}

#[track_caller]
fn append(log: &mut LogFile, stream: &'static str, text: &str) {
    log.append(stream, text.as_bytes()).unwrap();
}

#[test]
fn the_folder_and_the_file_are_made_and_only_their_owner_can_read_it() {
    let folder = Scratch::new();
    let mut log = log(&folder, 100, 2);
    append(&mut log, "stdout", "one\n");
    append(&mut log, "stderr", "two\n");
    assert_eq!(text(&log, ""), "one\ntwo\n");
    let mode = fs::metadata(log.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_full_file_is_set_aside_and_only_the_oldest_goes() {
    let folder = Scratch::new();
    let mut log = log(&folder, 8, 2);
    for line in ["1 one\n", "2 two\n", "3 three\n", "4 four\n"] {
        append(&mut log, "stdout", line);
    }
    let files = ["", ".1", ".2", ".3"].map(|end| text(&log, end));
    assert_eq!(files, ["4 four\n", "3 three\n", "2 two\n", ""]);
}

#[test]
fn two_runs_that_share_a_file_lose_nothing_when_one_sets_it_aside() {
    let folder = Scratch::new();
    let (mut one, mut other) = (log(&folder, 8, 9), log(&folder, 8, 9));
    for number in 0..8 {
        append(&mut one, "stdout", &format!("{number} one\n"));
        append(&mut other, "stdout", &format!("{number} two\n"));
    }
    let all: String = ["", ".1", ".2", ".3", ".4", ".5", ".6", ".7", ".8", ".9"]
        .iter()
        .map(|end| text(&one, end))
        .collect();
    let mut lines: Vec<&str> = all.lines().collect();
    lines.sort_unstable();
    // Sixteen were written, and of them ten files of one line each are left.
    assert_eq!(lines.len(), 10, "{all}");
    lines.dedup();
    assert_eq!(lines.len(), 10, "{all}");
    assert_eq!(text(&one, ""), "7 two\n");
}

#[test]
fn a_file_that_another_program_moved_away_is_left_alone() {
    let folder = Scratch::new();
    let mut log = log(&folder, 1000, 2);
    append(&mut log, "stdout", "one\n");
    let moved = folder.join("moved");
    fs::rename(log.path(), &moved).unwrap();
    append(&mut log, "stdout", "two\n");
    assert_eq!(fs::read_to_string(moved).unwrap(), "one\n");
    assert_eq!(text(&log, ""), "two\n");
}

#[test]
fn a_line_that_goes_on_is_not_torn_by_the_other_stream_nor_by_a_new_file() {
    let folder = Scratch::new();
    let mut log = log(&folder, 8, 2);
    append(&mut log, "stdout", "a long ");
    append(&mut log, "stdout", "line ");
    assert_eq!(text(&log, ""), "a long line ");
    append(&mut log, "stderr", "x\n");
    append(&mut log, "stdout", "its end");
    log.end("stdout");
    assert_eq!(text(&log, ".1"), "a long line \nx\n");
    assert_eq!(text(&log, ""), "its end\n");
}

#[test]
fn a_line_without_an_end_does_not_fill_the_disk() {
    let folder = Scratch::new();
    let mut log = log(&folder, 4096, 2);
    let piece = "x".repeat(48 * 1024);
    for _ in 0..100 {
        append(&mut log, "stdout", &piece);
    }
    for end in ["", ".1", ".2"] {
        let length = text(&log, end).len() as u64;
        assert!(
            length > 0 && length <= TEARS + 2 * 48 * 1024,
            "{end}: {length}"
        );
    }
}

#[test]
fn neither_a_link_nor_a_fifo_in_its_place_is_written_to() {
    let folder = Scratch::new();
    let mut log = log(&folder, 1000, 2);
    let target = folder.join("target");
    fs::create_dir_all(log.path().parent().unwrap()).unwrap();
    symlink(&target, log.path()).unwrap();
    refuses(&mut log, "symbolic link");
    assert!(!target.exists());
    fs::remove_file(log.path()).unwrap();
    nix::unistd::mkfifo(log.path(), Mode::S_IRWXU).unwrap();
    refuses(&mut log, "no regular file");
    fs::remove_file(log.path()).unwrap();
    // Well again.
    append(&mut log, "stdout", "x\n");
    assert_eq!(text(&log, ""), "x\n");
}

#[track_caller]
fn refuses(log: &mut LogFile, why: &str) {
    let (error, written) = log.append("stdout", b"x\n").unwrap_err();
    assert!(error.to_string().contains(why), "{error}");
    assert_eq!(written, 0);
}

#[test]
fn a_file_that_has_another_name_or_another_owner_is_not_written_to() {
    let folder = Scratch::new();
    let mut log = log(&folder, 1000, 2);
    let target = folder.join("target");
    fs::create_dir_all(log.path().parent().unwrap()).unwrap();
    fs::write(&target, "").unwrap();
    fs::hard_link(&target, log.path()).unwrap();
    refuses(&mut log, "a second name");
    fs::remove_file(&target).unwrap();
    append(&mut log, "stdout", "x\n");
    if geteuid().is_root() {
        fs::remove_file(log.path()).unwrap();
        fs::write(log.path(), "").unwrap();
        chown(log.path(), Some(12345), None).unwrap();
        refuses(&mut log, "belongs to user 12345");
        assert_eq!(text(&log, ""), "");
    }
}

#[test]
fn a_folder_that_is_a_link_leads_nowhere() {
    let folder = Scratch::new();
    let mut log = log(&folder, 1000, 2);
    let (parent, target) = (log.path().parent().unwrap(), folder.join("target"));
    fs::create_dir_all(parent.parent().unwrap()).unwrap();
    fs::create_dir(&target).unwrap();
    symlink(&target, parent).unwrap();
    refuses(&mut log, "the folder's own path");
    assert_eq!(fs::read_dir(target).unwrap().count(), 0);
}

#[test]
fn other_users_lose_the_right_to_read_it_and_its_group_keeps_it() {
    let folder = Scratch::new();
    let mut log = log(&folder, 1000, 2);
    fs::create_dir_all(log.path().parent().unwrap()).unwrap();
    fs::write(log.path(), "").unwrap();
    fs::set_permissions(log.path(), Permissions::from_mode(0o644)).unwrap();
    append(&mut log, "stdout", "x\n");
    assert_eq!(fs::metadata(log.path()).unwrap().mode() & 0o7777, 0o640);
}
