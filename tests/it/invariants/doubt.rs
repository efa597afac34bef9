//! `nothing_removed_on_doubt`: what lies in the place of a lock directory and is none, or may have a
//! living owner, is the same after a run as before it, and is named.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;
use std::time::Duration;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::sweep::desk::Desk;

/// All that tells whether something has happened to what lies there.
fn identity(path: &Path) -> (u64, u64, i64, i64) {
    let meta = fs::symlink_metadata(path).expect("it is still there");
    (meta.dev(), meta.ino(), meta.ctime(), meta.ctime_nsec())
}

#[test]
fn nothing_removed_on_doubt_in_the_place_of_a_lock_directory() {
    // All that a class can say to have more removed; nothing but a claim keeps its promise here.
    let keys = "exclusive = true\nrefresh = \"100ms\"\nstale_after = \"1s\"\nlock_dirs = [
        \"LOGIN/link\", \"LOGIN/dangling\", \"LOGIN/file\", \"LOGIN/fifo\", \"LOGIN/full\",
        \"LOGIN/young\", \"LOGIN/file/below\", \"LOGIN/circle/below\", \"LOGIN/new\", \"LOGIN/new-full\"]";
    let desk = Desk::new(
        keys,
        "touch LOGIN/new && mkdir LOGIN/new-full && touch LOGIN/new-full/x",
    );
    desk.make("target");
    symlink("target", desk.path("link")).unwrap();
    symlink("nowhere", desk.path("dangling")).unwrap();
    symlink("circle", desk.path("circle")).unwrap();
    File::create(desk.path("file")).unwrap();
    mkfifo(&desk.path("fifo"), Mode::S_IRWXU).unwrap();
    desk.make("full");
    File::create(desk.path("full").join("x")).unwrap();
    for old in ["target", "file", "full"] {
        desk.touch(old, Duration::from_hours(1));
    }
    let names = [
        "target", "link", "dangling", "circle", "file", "fifo", "full", "young",
    ];
    // Its owner lives, and uses the login.
    let _chat = desk.chat();
    desk.make("young");
    let paths = names.map(|name| desk.path(name));
    let before = paths.each_ref().map(|path| identity(path));
    let told = desk.run();
    let after = paths.each_ref().map(|path| identity(path));
    assert_eq!(before, after, "{told}");
    assert!(
        desk.path("new").is_file() && desk.path("new-full/x").is_file(),
        "{told}"
    );
    for name in [
        "link",
        "dangling",
        "file",
        "fifo",
        "full",
        "circle/below",
        "new",
        "new-full",
    ] {
        let line = format!("{name}\" left alone");
        assert!(told.contains(&line), "no {line:?} in {told}");
    }
    assert!(!told.contains("removed"), "{told}");
}
