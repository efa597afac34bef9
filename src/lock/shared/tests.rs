//! The shared lock against real files, real `flock(1)`, and what lies at a path by accident.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::sync::mpsc;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::super::scratch::Scratch;
use super::*;

fn fault(path: &Path) -> Fault {
    let error = SharedLock::open(path).unwrap_err();
    assert_eq!(error.path, path);
    error.fault
}

/// Whether `flock -n` gets the lock.
fn flock_gets(path: &Path) -> bool {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test process reaps only the child that it waits for"
    )]
    let status = Command::new("flock")
        .arg("-n")
        .arg(path)
        .arg("true")
        .status();
    status.unwrap().success()
}

fn readable(watch: &Watch) -> bool {
    let mut fds = [PollFd::new(watch.as_fd(), PollFlags::POLLIN)];
    poll(&mut fds, PollTimeout::ZERO).unwrap() > 0
}

#[test]
fn a_new_lock_can_be_used_by_every_user() {
    let dir = Scratch::new();
    let lock = SharedLock::open(&dir.join("lock")).unwrap();
    let mode = lock.file.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o666);
}

#[test]
fn an_existing_lock_keeps_its_content_and_its_mode() {
    let dir = Scratch::new();
    let path = dir.join("lock");
    fs::write(&path, "written by a peer").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let lock = SharedLock::open(&path).unwrap();
    assert_eq!(lock.try_lock(), Ok(Attempt::Got));
    lock.unlock().unwrap();
    drop(lock);
    assert_eq!(fs::read_to_string(&path).unwrap(), "written by a peer");
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o640);
}

#[test]
fn no_program_that_we_start_inherits_the_lock() {
    use nix::fcntl::{F_GETFD, FdFlag, fcntl};
    let dir = Scratch::new();
    let lock = SharedLock::open(&dir.join("lock")).unwrap();
    let watch = lock.watch().unwrap();
    for fd in [lock.as_fd(), watch.as_fd()] {
        let flags = FdFlag::from_bits_retain(fcntl(fd, F_GETFD).unwrap());
        assert!(flags.contains(FdFlag::FD_CLOEXEC));
    }
}

#[test]
fn two_opens_exclude_each_other_and_a_copy_does_not() {
    let dir = Scratch::new();
    let path = dir.join("lock");
    let first = SharedLock::open(&path).unwrap();
    let second = SharedLock::open(&path).unwrap();
    assert_eq!(first.try_lock(), Ok(Attempt::Got));
    assert_eq!(second.try_lock(), Ok(Attempt::Busy));
    let copy = first.as_fd().try_clone_to_owned().unwrap();
    drop(first);
    assert_eq!(
        second.try_lock(),
        Ok(Attempt::Busy),
        "a copy still holds it"
    );
    drop(copy);
    assert_eq!(second.try_lock(), Ok(Attempt::Got));
}

#[test]
fn the_lock_and_flock_1_exclude_each_other() {
    let dir = Scratch::new();
    let path = dir.join("lock");
    let lock = SharedLock::open(&path).unwrap();
    assert!(flock_gets(&path));
    assert_eq!(lock.try_lock(), Ok(Attempt::Got));
    assert!(!flock_gets(&path));
    lock.unlock().unwrap();
    assert!(flock_gets(&path));
}

#[test]
fn a_waiter_gets_the_lock_when_it_is_freed() {
    let dir = Scratch::new();
    let path = dir.join("lock");
    let holder = SharedLock::open(&path).unwrap();
    let waiter = SharedLock::open(&path).unwrap();
    assert_eq!(holder.try_lock(), Ok(Attempt::Got));
    let (got, told) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            waiter.lock_blocking().unwrap();
            got.send(waiter).unwrap();
        });
        assert!(told.try_recv().is_err(), "the holder has not let go");
        holder.unlock().unwrap();
        let _waiter = told.recv().unwrap();
        assert_eq!(holder.try_lock(), Ok(Attempt::Busy));
    });
}

#[test]
fn a_replaced_a_removed_and_a_linked_lock_are_noticed() {
    let dir = Scratch::new();
    let path = dir.join("lock");
    let lock = SharedLock::open(&path).unwrap();
    assert!(lock.is_current().unwrap());
    fs::write(dir.join("new"), "").unwrap();
    fs::rename(dir.join("new"), &path).unwrap();
    assert!(!lock.is_current().unwrap(), "replaced");

    let lock = SharedLock::open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    assert!(!lock.is_current().unwrap(), "removed");

    let lock = SharedLock::open(&path).unwrap();
    fs::rename(&path, dir.join("elsewhere")).unwrap();
    symlink(dir.join("elsewhere"), &path).unwrap();
    assert!(!lock.is_current().unwrap(), "a link to the very file");
}

#[test]
fn the_watch_reports_an_unlink_and_both_renames() {
    let dir = Scratch::new();
    let path = dir.join("lock");
    let acts: [fn(&Path, &Path); 3] = [
        |path, _| fs::remove_file(path).unwrap(),
        |path, other| fs::rename(path, other).unwrap(),
        |path, other| {
            fs::write(other, "").unwrap();
            fs::rename(other, path).unwrap();
        },
    ];
    for act in acts {
        let lock = SharedLock::open(&path).unwrap();
        let watch = lock.watch().unwrap();
        assert!(lock.is_current().unwrap());
        act(&path, &dir.join("other"));
        assert!(readable(&watch));
        assert!(watch.drain());
        assert!(!readable(&watch));
        assert!(!watch.drain());
        assert!(!lock.is_current().unwrap());
    }
}

#[test]
fn the_watch_stays_silent_when_peers_lock_and_truncate() {
    let dir = Scratch::new();
    let path = dir.join("lock");
    let lock = SharedLock::open(&path).unwrap();
    let watch = lock.watch().unwrap();
    assert!(flock_gets(&path));
    File::create(&path).unwrap();
    fs::write(dir.join("history"), "a line of a chat").unwrap();
    assert!(!readable(&watch));
}

#[test]
fn what_is_no_regular_file_is_refused_without_blocking() {
    let dir = Scratch::new();
    assert_eq!(fault(&dir), Fault::Folder);
    assert_eq!(fault(Path::new("/dev/null")), Fault::NotAFile("a device"));

    let fifo = dir.join("fifo");
    nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).unwrap();
    assert_eq!(fault(&fifo), Fault::NotAFile("a FIFO"));

    let socket = dir.join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    assert_eq!(fault(&socket), Fault::NotAFile("a socket or a device"));
}

#[test]
fn links_are_refused_and_never_followed_to_create() {
    let dir = Scratch::new();
    let link = dir.join("link");
    let target = dir.join("target");
    symlink(&target, &link).unwrap();
    assert_eq!(fault(&link), Fault::Symlink(Some(target.clone())));
    assert!(
        !target.exists(),
        "a dangling link must not create its target"
    );

    let round = dir.join("round");
    symlink(&round, &round).unwrap();
    assert_eq!(fault(&round.join("lock")), Fault::Loop);
}

#[test]
fn a_path_that_cannot_be_says_why() {
    let dir = Scratch::new();
    let missing = dir.join("missing");
    assert_eq!(fault(&missing.join("lock")), Fault::MissingFolder(missing));
    assert_eq!(fault(&dir.join("x".repeat(300))), Fault::NameTooLong);
    fs::write(dir.join("file"), "").unwrap();
    assert_eq!(fault(&dir.join("file/lock")), Fault::NotAFolder);
    // /proc exists and takes no new files; the kernel says ENOENT for it.
    assert!(SharedLock::open(Path::new("/proc/lockkeeper")).is_err());
}
