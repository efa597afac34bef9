//! A shared folder with what somebody laid in the places of the files: reported, left as it is, and
//! nobody hangs.

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;

use nix::errno::Errno;
use nix::sys::stat::Mode;

use super::super::super::conflict::Doing;
use super::*;

/// A directory whose lock was used once.
fn used() -> Scratch {
    let dir = Scratch::new();
    let lock = DirLock::take(&dir, &claim("former")).unwrap();
    lock.release().unwrap();
    dir
}

fn failed(dir: &Path) -> DirError {
    match DirLock::take(dir, &claim("dev")) {
        Err(Obstacle::Failed(error)) => error,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was taken"),
    }
}

/// Everything in a folder: name, kind and permissions, size.
fn snapshot(folder: &Path) -> Vec<(PathBuf, u32, u64)> {
    let mut all: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .flatten()
        .map(|entry| {
            let meta = fs::symlink_metadata(entry.path()).unwrap();
            (entry.path(), meta.mode(), meta.size())
        })
        .collect();
    all.sort();
    all
}

type Lay = fn(&Path);

/// What is no file.
const NO_FILES: [(&str, Lay); 4] = [
    ("a symbolic link", |path| {
        symlink("/etc/passwd", path).unwrap();
    }),
    ("a symbolic link", |path| {
        symlink("/no/such/target", path).unwrap();
    }),
    ("a FIFO", |path| {
        nix::unistd::mkfifo(path, Mode::S_IRWXU).unwrap();
    }),
    ("a folder", |path| fs::create_dir(path).unwrap()),
];

#[test]
fn what_is_no_file_in_place_of_the_record_is_named_and_left() {
    for (what, lay) in NO_FILES {
        let dir = used();
        lay(&file(&dir, RECORD));
        let before = snapshot(&dir.join(FOLDER));
        let told = conflict(DirLock::take(&dir, &claim("dev")).unwrap_err());
        assert_eq!(told.kind, Kind::NoFile(what));
        assert!(!told.may_end());
        assert!(told.to_string().contains(what), "{told}");
        assert_eq!(snapshot(&dir.join(FOLDER)), before);
    }
}

#[test]
fn what_is_no_file_in_place_of_latch_or_coordination_is_refused_and_left() {
    for (name, doing) in [
        (LATCH, Doing::Latch),
        ("agent.lock.flock", Doing::Coordination),
    ] {
        for (_, lay) in NO_FILES {
            let dir = used();
            fs::remove_file(file(&dir, name)).unwrap();
            lay(&file(&dir, name));
            let before = snapshot(&dir.join(FOLDER));
            let error = failed(&dir);
            assert_eq!(error.doing, doing);
            let text = error.to_string();
            assert!(
                text.contains(name) && text.contains("something else lies"),
                "{text}"
            );
            assert_eq!(snapshot(&dir.join(FOLDER)), before);
        }
    }
    assert!(!Path::new("/no/such/target").exists());
}

#[test]
fn somebodys_file_under_the_name_of_one_of_ours_keeps_its_permissions() {
    for name in [LATCH, "agent.lock.flock"] {
        for (content, other_name) in [("text", false), ("text", true), ("", true)] {
            let dir = used();
            fs::set_permissions(&*dir, fs::Permissions::from_mode(0o777)).unwrap();
            let file = file(&dir, name);
            fs::write(&file, content).unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
            if other_name {
                fs::hard_link(&file, dir.join("theirs")).unwrap();
            }
            drop(DirLock::take(&dir, &claim("dev")).unwrap());
            assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600, "{name}");
        }
    }
}

#[test]
fn what_is_no_folder_in_place_of_the_folder_is_refused_and_left() {
    for lay in [NO_FILES[0].1, NO_FILES[1].1, NO_FILES[2].1, |path| {
        fs::write(path, "text").unwrap();
    }] {
        let dir = Scratch::new();
        lay(&dir.join(FOLDER));
        let before = snapshot(&dir);
        assert_eq!(failed(&dir).doing, Doing::Folder);
        assert_eq!(snapshot(&dir), before);
    }
}

#[test]
fn a_file_that_is_no_record_is_named_and_left_whatever_is_in_it() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let nested = format!(
        "{{\"pid\":{}1{}",
        "{\"a\":".repeat(10_000),
        "}".repeat(10_001)
    );
    for content in [
        Vec::new(),
        b"{".to_vec(),
        b"{\"pid\": 7}".to_vec(),
        b"{\"pid\": \"7\", \"acquired_at\": \"2026-01-01T00:00:00Z\"}".to_vec(),
        vec![0; 4096],
        b"\xff\xfe{}".to_vec(),
        deep.into_bytes(),
        nested.into_bytes(),
    ] {
        let dir = used();
        fs::write(file(&dir, RECORD), &content).unwrap();
        let told = conflict(DirLock::take(&dir, &claim("dev")).unwrap_err());
        assert!(matches!(told.kind, Kind::Corrupt(_)), "{told}");
        assert!(told.to_string().contains("lock release --force"), "{told}");
        assert_eq!(fs::read(file(&dir, RECORD)).unwrap(), content);
    }
}

#[test]
fn a_record_of_a_hundred_megabytes_is_not_read() {
    let dir = used();
    let size = 100 << 20;
    let huge = fs::File::create(file(&dir, RECORD)).unwrap();
    huge.set_len(size).unwrap();
    let told = conflict(DirLock::take(&dir, &claim("dev")).unwrap_err());
    assert!(told.to_string().contains("longer than a record"), "{told}");
    assert_eq!(fs::metadata(file(&dir, RECORD)).unwrap().size(), size);
}

#[test]
fn a_foreign_record_cannot_command_the_terminal_or_flood_it() {
    let dir = used();
    let host = Here::read().hostname;
    let session = format!("\\u001b[2J{}", "x".repeat(5000));
    let text = format!(
        r#"{{"pid": {}, "acquired_at": "{}", "session_id": "{session}", "hostname": "{host}"}}"#,
        std::process::id(),
        now()
    );
    fs::write(file(&dir, RECORD), text).unwrap();
    let told = conflict(DirLock::take(&dir, &claim("dev")).unwrap_err()).to_string();
    assert!(!told.contains('\u{1b}') && told.len() < 900, "{told}");
}

/// Runs `act` as a user who is nobody here, in a thread: only that thread changes its user.
fn as_nobody(act: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            process::become_in_this_thread(65534).unwrap();
            act();
        });
    });
}

#[test]
fn another_users_files_are_reported_and_left() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    // The record may not be read.
    let dir = used();
    fs::set_permissions(&*dir, fs::Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(dir.join(FOLDER), fs::Permissions::from_mode(0o777)).unwrap();
    for name in [LATCH, "agent.lock.flock"] {
        fs::set_permissions(file(&dir, name), fs::Permissions::from_mode(0o666)).unwrap();
    }
    fs::write(file(&dir, RECORD), "secret").unwrap();
    fs::set_permissions(file(&dir, RECORD), fs::Permissions::from_mode(0o600)).unwrap();
    as_nobody(|| {
        let told = conflict(DirLock::take(&dir, &claim("dev")).unwrap_err());
        assert_eq!(told.kind, Kind::Closed(Errno::EACCES));
    });
    assert_eq!(fs::read(file(&dir, RECORD)).unwrap(), b"secret");
    // The latch may not be opened, nor may anything be made.
    fs::remove_file(file(&dir, RECORD)).unwrap();
    fs::set_permissions(file(&dir, LATCH), fs::Permissions::from_mode(0o600)).unwrap();
    as_nobody(|| {
        let error = failed(&dir);
        assert_eq!((error.doing, error.errno), (Doing::Latch, Errno::EACCES));
    });
    let closed = Scratch::new();
    fs::set_permissions(&*closed, fs::Permissions::from_mode(0o755)).unwrap();
    as_nobody(|| {
        let error = failed(&closed);
        assert_eq!((error.doing, error.errno), (Doing::Folder, Errno::EACCES));
        assert_eq!(error.code(), crate::exit::CONFIG);
    });
    assert_eq!(snapshot(&closed), []);
}

#[test]
fn a_directory_that_is_none_is_refused() {
    let dir = Scratch::new();
    assert_eq!(failed(&dir.join("no")).errno, Errno::ENOENT);
    fs::write(dir.join("file"), "").unwrap();
    let error = failed(&dir.join("file"));
    assert_eq!((error.doing, error.errno), (Doing::Finding, Errno::ENOTDIR));
}

#[test]
fn two_names_of_one_directory_are_one_lock() {
    let dir = Scratch::new();
    fs::create_dir(dir.join("w")).unwrap();
    symlink("w", dir.join("link")).unwrap();
    let lock = DirLock::take(&dir.join("link"), &claim("dev")).unwrap();
    assert_eq!(lock.dir(), fs::canonicalize(dir.join("w")).unwrap());
    let told = conflict(DirLock::take(&dir.join("w/../w"), &claim("x")).unwrap_err());
    assert_eq!(told.kind, Kind::Run);
}

#[test]
fn a_file_of_roots_that_the_owner_links_into_the_place_of_another_stays_roots() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    for (name, content) in [
        (LATCH, "secret"),
        (LATCH, ""),
        ("agent.lock.flock", "secret"),
    ] {
        let dir = used();
        let of_root = dir.join("of-root");
        fs::write(&of_root, content).unwrap();
        fs::set_permissions(&of_root, fs::Permissions::from_mode(0o600)).unwrap();
        for path in [dir.to_path_buf(), dir.join(FOLDER)] {
            std::os::unix::fs::chown(&path, Some(12345), Some(12345)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        }
        fs::remove_file(file(&dir, name)).unwrap();
        fs::hard_link(&of_root, file(&dir, name)).unwrap();
        drop(DirLock::take(&dir, &claim("dev")));
        let meta = fs::metadata(&of_root).unwrap();
        assert_eq!((meta.uid(), meta.mode() & 0o777), (0, 0o600), "{name}");
        assert_eq!(fs::read_to_string(&of_root).unwrap(), content);
    }
}
