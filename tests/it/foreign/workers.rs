//! Who works in a directory, as far as can be seen.

use std::fs;
use std::path::Path;
use std::process::Command;

use lockkeeper::lock::dir::in_use::{Reach, Worker, look};
use nix::sys::signal::Signal::SIGKILL;

use super::Place;
use crate::support::bin::{puppet, static_build};
use crate::support::child::{self, Tied, signal};
use crate::support::dir::Dir;
use crate::support::need::need;
use crate::support::ns::Ns;
use crate::support::wait::until;

const NONE: [i32; 0] = [];

/// A puppet that works in `dir`.
fn work(dir: &Path) -> Tied {
    let mut worker = child::start(&mut Command::new(puppet()));
    worker.ask(&format!("chdir {}", dir.display()));
    worker
}

fn pids(dir: &Path) -> Vec<i32> {
    let found = look(dir).unwrap();
    found.inside.iter().map(|worker| worker.pid).collect()
}

#[test]
fn workers_in_the_directory_and_below_it_are_found_and_no_neighbours() {
    let folder = Dir::new();
    let dir = folder.join("wc");
    for dir in ["wc/src/deep", "wc-2", "other"] {
        fs::create_dir_all(folder.join(dir)).unwrap();
    }
    let above = work(&folder);
    let (at, below) = (work(&dir), work(&dir.join("src/deep")));
    let beside = (work(&folder.join("wc-2")), work(&folder.join("other")));
    let mut expected = [at.pid(), below.pid()];
    expected.sort_unstable();
    assert_eq!(pids(&dir), expected);
    let found = look(&dir).unwrap();
    assert!(found.inside.iter().all(|worker| worker.name == "puppet"));
    assert!(found.reach != Reach::Nothing);
    drop((above, at, below, beside));
    assert_eq!(pids(&dir), NONE);
}

#[test]
fn another_name_of_the_directory_is_the_same_directory() {
    let folder = Dir::new();
    fs::create_dir_all(folder.join("wc/src")).unwrap();
    std::os::unix::fs::symlink("wc", folder.join("link")).unwrap();
    let worker = work(&folder.join("link/src"));
    assert_eq!(pids(&folder.join("wc")), [worker.pid()]);
    assert_eq!(pids(&folder.join("link")), [worker.pid()]);
    assert_eq!(pids(&folder.join("link/src/..")), [worker.pid()]);
}

#[test]
fn who_works_in_a_removed_folder_still_works_inside() {
    let dir = Dir::new();
    let below = dir.join("gone");
    fs::create_dir(&below).unwrap();
    let worker = work(&below);
    fs::remove_dir(&below).unwrap();
    assert_eq!(pids(&dir), [worker.pid()]);
}

#[test]
fn a_container_that_has_the_directory_elsewhere_is_found() {
    need!("root", "static");
    let (dir, mount) = (Dir::new(), Dir::new());
    fs::create_dir_all(dir.join("src/deep")).unwrap();
    for below in ["", "/src/deep"] {
        let inside = Ns::root()
            .bind(&dir, &mount)
            .shell(&format!("cd '{}{below}'", mount.display()))
            .start(&static_build("examples/puppet"), &["hang"]);
        assert_eq!(pids(&dir), [inside.pid1()], "{below:?}");
        assert_eq!(pids(&mount), NONE, "{below:?}");
    }
}

#[test]
fn another_folder_at_the_same_path_in_a_container_is_another_folder() {
    need!("root", "static");
    let dir = Dir::new();
    fs::create_dir(dir.join("src")).unwrap();
    let path = dir.display();
    let inside = Ns::root()
        .shell(&format!("mount -t tmpfs none '{path}'; mkdir '{path}/src'"))
        .shell(&format!("cd '{path}/src'"))
        .start(&static_build("examples/puppet"), &["hang"]);
    assert_eq!(pids(&dir), NONE);
    assert_eq!(pids(&dir.join("src")), NONE);
    drop(inside);
}

#[test]
fn whoever_asks_does_not_count() {
    let own = std::process::id().cast_signed();
    let here = std::env::current_dir().unwrap();
    assert!(fs::read_link(format!("/proc/{own}/cwd")).unwrap() == here);
    assert!(!pids(&here).contains(&own));
}

#[test]
fn the_dead_work_nowhere() {
    let dir = Dir::new();
    let worker = work(&dir);
    signal(worker.pid(), SIGKILL);
    until("nobody works there", || pids(&dir).is_empty());
    drop(worker);
}

#[test]
fn the_kernels_own_threads_are_nobodys_processes() {
    need!("root", "unshare", "setpriv");
    let dir = Dir::new();
    let nobody = "judge setpriv --reuid 65534 --regid 65534 --clear-groups --";
    let said = Place::new("env", nobody).in_use(&dir);
    let unseen = said.split_whitespace().nth(4).and_then(|n| n.parse().ok());
    let unseen: usize = unseen.unwrap_or_else(|| panic!("{said}"));
    // They alone have no command line while they live; there are dozens where they can be seen.
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let (kernels, users): (Vec<_>, Vec<_>) = lines.partition(Vec::is_empty);
    assert!(
        unseen <= users.len() + kernels.len() / 2,
        "{said}: {} have a command line, {} none",
        users.len(),
        kernels.len()
    );
}

#[test]
fn how_far_it_saw_is_said() {
    need!("root", "unshare", "setpriv");
    let dir = Dir::new();
    let own = work(&dir);
    let nobody = "judge setpriv --reuid 65534 --regid 65534 --clear-groups --";
    let from = |way, script: &str| Place::new(way, script).in_use(&dir);

    let said = from("env", nobody);
    assert!(
        said.starts_with("no process works inside; ")
            && said.contains(" processes of other users could not be looked at"),
        "{said}"
    );
    let hidden = format!("mount -t proc -o hidepid=2 proc /proc; {nobody}");
    let said = from("unshare --mount", &hidden);
    let own_alone = "no process works inside; those of other users are hidden from here";
    assert_eq!(said, own_alone);

    let container = "unshare --pid --fork --kill-child --mount-proc";
    let said = from(container, "judge");
    let container_alone = "no process works inside; other containers cannot be seen from here";
    assert_eq!(said, container_alone);
    let said = from("unshare --pid --fork --kill-child", "judge");
    assert!(
        said.starts_with("who works inside cannot be seen"),
        "{said}"
    );

    let said = from("env", "judge");
    let named = format!("1 process works inside: {} (puppet)", own.pid());
    assert!(said.starts_with(&named), "{said}");
}

#[test]
fn many_workers_are_counted_and_a_few_named() {
    let worker = |pid| Worker {
        pid,
        name: if pid == 1 { "\u{1b}[2J" } else { "cargo" }.to_owned(),
    };
    let mut found = look(Path::new("/")).unwrap();
    found.inside = (1..=7).map(worker).collect();
    found.unseen = 3;
    found.reach = Reach::Machine;
    assert_eq!(
        found.to_string(),
        "7 processes work inside: 1 (?[2J), 2 (cargo), 3 (cargo), 4 (cargo), 5 (cargo) and 2 more; \
         3 processes of other users could not be looked at"
    );
}

#[test]
fn a_directory_that_is_not_there_is_an_error() {
    assert!(look(Path::new("/no/such")).is_err());
}
