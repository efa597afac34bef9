//! Killed at every step: a child process of this test's own program does one thing with a lock and
//! kills itself at the first point that it passes, the second, and so on, until it comes through.

use std::env;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use super::super::super::manual;
use super::*;

/// What the child does, and where.
const DO: &str = "LOCKKEEPER_TEST_DO";
const IN: &str = "LOCKKEEPER_TEST_IN";

/// Not a test but for its parent, which names what it shall do.
#[test]
fn does_as_it_is_told() {
    let (Ok(what), Some(dir)) = (env::var(DO), env::var_os(IN)) else {
        return;
    };
    let dir = Path::new(&dir);
    match what.as_str() {
        "take" => drop(DirLock::take(dir, &claim("child")).unwrap()),
        "all" => {
            let lock = DirLock::take(dir, &claim("child")).unwrap();
            assert_eq!(lock.update(&claim("child")), Ok(true));
            lock.release().unwrap();
        }
        "hold" => drop(manual::hold(dir, "me", None).unwrap()),
        "unhold" => drop(manual::release(dir, false).unwrap()),
        other => panic!("what is {other}?"),
    }
}

/// Whether the child came through, having been told to kill itself at this point.
fn child(what: &str, dir: &Path, kill_at: u32) -> bool {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args([
            "--exact",
            "lock::dir::claim::tests::kills::does_as_it_is_told",
        ])
        .env(DO, what)
        .env(IN, dir)
        .env("LOCKKEEPER_TEST_KILL_AT", kill_at.to_string())
        .stdout(Stdio::null());
    #[expect(
        clippy::disallowed_methods,
        reason = "the test is the only one that reaps its child"
    )]
    let status = command.status().unwrap();
    if status.success() {
        return true;
    }
    assert_eq!(status.signal(), Some(libc::SIGKILL), "{what} at {kill_at}");
    false
}

/// Has a child killed at every point of `what`, each time in a directory that `prepare` made ready;
/// `judge` looks at what is left. Says how many points there are.
fn at_every_step(what: &str, prepare: impl Fn(&Path), judge: impl Fn(&Path)) -> u32 {
    for kill_at in 0..100 {
        let dir = Scratch::new();
        prepare(&dir);
        let through = child(what, &dir, kill_at);
        if dir.join(FOLDER).is_dir()
            && let Ok(text) = fs::read(file(&dir, RECORD))
        {
            DirRecord::parse(&text).unwrap_or_else(|torn| panic!("{what} at {kill_at}: {torn}"));
        }
        judge(&dir);
        if through {
            return kill_at;
        }
    }
    panic!("{what} never comes through");
}

/// The next taker gets it, and nothing of the dead is left beside his record.
fn next_succeeds(dir: &Path) {
    let next = DirLock::take(dir, &claim("next")).unwrap();
    assert_eq!(on_disk(dir).job.as_deref(), Some("next"));
    assert_eq!(
        names(dir),
        [".gitignore", LATCH, RECORD, "agent.lock.flock"]
    );
    assert_eq!(fs::read(file(dir, ".gitignore")).unwrap(), b"*\n");
    next.release().unwrap();
}

#[test]
fn a_taker_killed_at_any_step_leaves_the_directory_to_the_next() {
    let steps = at_every_step("take", |_| {}, next_succeeds);
    assert!(steps >= 14, "only {steps} points");
}

#[test]
fn one_who_takes_over_and_is_killed_at_any_step_leaves_it_to_the_next() {
    let dead = |dir: &Path| {
        drop(DirLock::take(dir, &claim("dead")).unwrap());
        let half = format!("{}{}", ".agent.lock.", "0".repeat(32));
        fs::write(file(dir, &half), "{").unwrap();
    };
    let steps = at_every_step("take", dead, next_succeeds);
    assert!(steps >= 6, "only {steps} points");
    at_every_step("take", |dir| foreign(dir, GONE), next_succeeds);
}

#[test]
fn one_who_is_killed_while_he_updates_or_releases_leaves_it_to_the_next() {
    let used = |dir: &Path| {
        let lock = DirLock::take(dir, &claim("former")).unwrap();
        lock.release().unwrap();
    };
    let steps = at_every_step("all", used, next_succeeds);
    assert!(steps >= 12, "only {steps} points");
}

#[test]
fn a_hand_killed_while_it_holds_or_releases_leaves_it_held_or_free() {
    let held_or_free = |dir: &Path| match DirLock::take(dir, &claim("next")) {
        Ok(next) => next.release().unwrap(),
        Err(obstacle) => {
            assert_eq!(conflict(obstacle).kind, Kind::Manual);
            manual::release(dir, false).unwrap();
            next_succeeds(dir);
        }
    };
    at_every_step("hold", |_| {}, held_or_free);
    let held = |dir: &Path| drop(manual::hold(dir, "me", Some("why")).unwrap());
    let steps = at_every_step("unhold", held, held_or_free);
    assert!(steps >= 2, "only {steps} points");
}

/// What root made and died over before it was for all is mended by the next.
#[test]
fn a_latch_whose_maker_died_before_it_was_for_all_is_for_all_again() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = Scratch::new();
    fs::set_permissions(&*dir, fs::Permissions::from_mode(0o1777)).unwrap();
    drop(DirLock::open(&dir).unwrap());
    let latch = file(&dir, LATCH);
    fs::set_permissions(&latch, fs::Permissions::from_mode(0o600)).unwrap();
    drop(DirLock::open(&dir).unwrap());
    let mode = fs::metadata(&latch).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o666);
}
