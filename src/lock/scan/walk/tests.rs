use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;

use nix::unistd::mkfifo;

use super::super::super::scratch::Scratch;
use nix::fcntl::{AT_FDCWD, openat};
use nix::sys::stat::Mode;

use super::super::depth::FLAGS;
use super::*;

/// The directories with a `.runtime`, below `root` and without it.
fn found(root: &Path, skip: &Skip) -> (BTreeSet<PathBuf>, Seen) {
    found_by(threads(), root, skip)
}

fn found_by(threads: usize, root: &Path, skip: &Skip) -> (BTreeSet<PathBuf>, Seen) {
    let all = Mutex::new(BTreeSet::new());
    let seen = walk_by(threads, root, skip, &|found| {
        let path = found.path.strip_prefix(root).unwrap();
        assert!(lock(&all).insert(path.to_owned()), "twice: {path:?}");
    })
    .unwrap();
    (all.into_inner().unwrap(), seen)
}

fn set(paths: &[&str]) -> BTreeSet<PathBuf> {
    paths.iter().map(PathBuf::from).collect()
}

#[test]
fn what_is_skipped_and_what_is_a_link_is_not_looked_into_and_the_root_always_is() {
    let dir = Scratch::new();
    let root = dir.join("target");
    for path in [
        ".runtime",
        "a/.runtime/deep/.runtime",
        "a/b/c/.runtime",
        ".git/.runtime",
        "a/node_modules/x/.runtime",
        "mine/.runtime",
    ] {
        fs::create_dir_all(root.join(path)).unwrap();
    }
    fs::create_dir_all(dir.join("outside/.runtime")).unwrap();
    symlink("../outside", root.join("out")).unwrap();
    symlink("..", root.join("a/up")).unwrap();
    mkfifo(&root.join("fifo"), Mode::S_IRWXU).unwrap();
    let usual = Skip::new(true, &[]);
    assert_eq!(found(&root, &usual).0, set(&["", "a", "a/b/c", "mine"]));
    let more = Skip::new(true, &["mine".into()]);
    assert_eq!(found(&root, &more).0, set(&["", "a", "a/b/c"]));
    let none = Skip::new(false, &[]);
    let all = set(&["", "a", "a/b/c", "mine", ".git", "a/node_modules/x"]);
    assert_eq!(found(&root, &none).0, all);
}

#[test]
fn a_runtime_that_is_a_link_is_shown_and_one_that_is_a_file_is_nothing() {
    let dir = Scratch::new();
    fs::create_dir_all(dir.join("a")).unwrap();
    fs::create_dir_all(dir.join("b")).unwrap();
    symlink("/tmp", dir.join("a/.runtime")).unwrap();
    fs::write(dir.join("b/.runtime"), "").unwrap();
    let links = Mutex::new(Vec::new());
    walk(&dir, &Skip::new(true, &[]), &|found| {
        lock(&links).push((found.path.to_owned(), found.is_link));
    })
    .unwrap();
    assert_eq!(*lock(&links), [(dir.join("a"), true)]);
}

#[test]
fn every_directory_of_a_wide_and_deep_tree_is_read_exactly_once() {
    let dir = Scratch::new();
    let mut expected = BTreeSet::new();
    // Deeper than levels are kept open, with a branch at each level, before and after the way down.
    let mut path = PathBuf::new();
    for level in 0..120 {
        for side in ["0", "z"] {
            let side = path.join(format!("{side}{level}"));
            fs::create_dir_all(dir.join(&side).join(".runtime")).unwrap();
            expected.insert(side);
        }
        path.push("m");
    }
    // More than one level keeps the names of.
    let wide = path.join("wide");
    fs::create_dir_all(dir.join(&wide)).unwrap();
    for number in 0..600 {
        let name = wide.join(format!("{number:0200}"));
        fs::create_dir_all(dir.join(&name).join(".runtime")).unwrap();
        expected.insert(name);
    }
    for threads in [1, 2, 5] {
        let (got, seen) = found_by(threads, &dir, &Skip::new(true, &[]));
        assert_eq!(got.len(), expected.len());
        assert_eq!(got, expected);
        assert_eq!(seen.directories, expected.len() + 120 + 2);
        assert!(seen.unread.is_empty(), "{seen:?}");
    }
}

#[test]
fn a_chain_longer_than_any_path_the_kernel_takes_is_followed_to_its_end() {
    use nix::sys::stat::mkdirat;
    let dir = Scratch::new();
    let name = "x".repeat(200);
    let mut at = openat(AT_FDCWD, &*dir, FLAGS, Mode::empty()).unwrap();
    for _ in 0..100 {
        mkdirat(&at, name.as_str(), Mode::S_IRWXU).unwrap();
        at = openat(&at, name.as_str(), FLAGS, Mode::empty()).unwrap();
    }
    mkdirat(&at, RUNTIME, Mode::S_IRWXU).unwrap();
    let (got, seen) = found(&dir, &Skip::new(true, &[]));
    assert_eq!(got.len(), 1);
    assert_eq!(seen.directories, 101);
}

#[test]
fn a_root_that_is_none_is_an_error() {
    let dir = Scratch::new();
    let skip = Skip::new(true, &[]);
    let error = walk(&dir.join("nope"), &skip, &|_| {}).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOENT));
    fs::write(dir.join("file"), "").unwrap();
    let error = walk(&dir.join("file"), &skip, &|_| {}).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::ENOTDIR));
}

#[test]
fn a_directory_begins_with_no_names_of_the_one_before_it() {
    let dir = Scratch::new();
    fs::create_dir_all(dir.join("x/x")).unwrap();
    let open = || openat(AT_FDCWD, &*dir, FLAGS, Mode::empty()).unwrap();
    let (mut depth, mut path) = (Depth::default(), dir.as_os_str().as_bytes().to_vec());
    for _ in 0..2 {
        depth.push(open(), dir.as_os_str().len());
        assert!(matches!(depth.step(&mut path, |_| false), Step::List));
        let level = depth.lowest().unwrap();
        level
            .list(&mut Buffer::new(0), |_, _, names| {
                names.extend_from_slice(b"x\0");
            })
            .unwrap();
        assert!(matches!(depth.step(&mut path, |_| false), Step::Down(_)));
        assert!(matches!(depth.step(&mut path, |_| false), Step::End));
    }
}
