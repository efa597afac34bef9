//! The file where it is not looked for, or something else in its place; and a machine on which little
//! is there: no /run, nothing that can be written, no /proc, no lists of children in it.

use std::fs;

use nix::sys::signal::Signal::SIGTERM;

use super::{FILE, bare_machine, flat, has, offered};
use crate::support::bin::lockkeeper;
use crate::support::child::{output, signal, text};
use crate::support::dir::Dir;
use crate::support::need::need;
use crate::support::ns::{Ns, children};
use crate::support::scene::Scene;
use crate::support::wait::until;

#[test]
fn a_file_where_it_is_not_looked_for_is_seen_there_and_the_command_that_takes_it_works() {
    need!("root", "unshare");
    let dir = Dir::new();
    fs::write(dir.join("jobs.toml"), FILE).unwrap();
    let run = "mount -t tmpfs none /run;";
    for lines in [
        "cp jobs.toml lockkeeper.toml",
        "mkdir /etc/lockkeeper; cp jobs.toml /etc/lockkeeper/lockkeeper.toml",
        "mkdir /etc/lockkeeper; cp jobs.toml /etc/lockkeeper/config.toml",
    ] {
        let lines = format!("{run} rm -f lockkeeper.toml; {lines}");
        let refused = output(&mut bare_machine(&dir, &lines, &["lockkeeper"]));
        assert_eq!(refused.status.code(), Some(78));
        let said = flat(&refused);
        let take = offered(&said, "lockkeeper -c ");
        let done = output(&mut bare_machine(&dir, &lines, &["sh", "-c", take]));
        assert_eq!(text(&done.stdout), "mine\n", "{take}");

        let said = flat(&output(&mut bare_machine(
            &dir,
            &lines,
            &["lockkeeper", "check"],
        )));
        let look = offered(&said, "lockkeeper check -c ");
        let done = output(&mut bare_machine(&dir, &lines, &["sh", "-c", look]));
        has(&flat(&done), &["can be read: jobs dev (interactive)"]);
    }
}

#[test]
fn a_file_that_is_named_and_missing_is_told_as_such_also_where_it_is_the_one_that_is_looked_for() {
    need!("root", "unshare");
    let dir = Dir::new();
    for command in [
        &["lockkeeper", "-c", "/etc/lockkeeper.toml"][..],
        &[
            "env",
            "LOCKKEEPER_CONFIG=/etc/lockkeeper.toml",
            "lockkeeper",
        ],
    ] {
        let refused = output(&mut bare_machine(&dir, "", command));
        assert_eq!(refused.status.code(), Some(78));
        let said = flat(&refused);
        has(&said, &["/etc/lockkeeper.toml"]);
        assert!(!said.contains("neither -c nor"), "{said}");
    }
}

#[test]
fn what_lies_in_the_files_place_and_is_none_is_told_for_what_it_is() {
    need!("root", "unshare");
    let dir = Dir::new();
    for (lines, told) in [
        (
            "mkdir /etc/lockkeeper.toml",
            &[
                "this is a folder",
                "an engine that is to mount a file which does not exist",
            ][..],
        ),
        (
            "printf 'jobs:\\n  dev:\\n' > /etc/lockkeeper.toml",
            &[
                "the configuration is YAML, and has to be TOML",
                "[jobs.dev]",
            ],
        ),
        (
            "echo '{\"jobs\":{}}' > /etc/lockkeeper.toml",
            &[
                "the configuration is JSON, and has to be TOML",
                "[jobs.dev]",
            ],
        ),
        (
            ": > /etc/lockkeeper.toml",
            &["the configuration is empty", "[jobs.dev]"],
        ),
    ] {
        for command in [&["lockkeeper"][..], &["lockkeeper", "check"]] {
            let refused = output(&mut bare_machine(&dir, lines, command));
            assert_eq!(refused.status.code(), Some(78), "{lines}");
            has(&flat(&refused), told);
        }
    }
}

#[test]
fn a_report_that_would_be_written_into_the_file_is_not_and_the_command_that_writes_it_works() {
    need!("root", "unshare");
    let dir = Dir::new();
    let wrong = "lockkeeper check > /etc/lockkeeper.toml";
    let refused = output(&mut bare_machine(&dir, "", &["sh", "-c", wrong]));
    assert_eq!(refused.status.code(), Some(64));
    let said = flat(&refused);
    has(&said, &["the shell has emptied it"]);
    let right = offered(&said, "lockkeeper check --toml > /etc/lockkeeper.toml");
    let both = format!("{wrong}; {right}; lockkeeper check --json; ls /etc");
    let done = output(&mut bare_machine(&dir, "", &["sh", "-c", &both]));
    has(&text(&done.stdout), &["can be read: jobs dev (batch)"]);
}

const NO_RUN: &str = "mount -t tmpfs -o ro none /run; mount -t tmpfs -o ro none /dev/shm";

#[test]
fn without_a_place_for_its_socket_init_works_and_the_way_to_reach_it_works() {
    need!("root", "unshare");
    let dir = Dir::new();
    let file = dir.join("lockkeeper.toml");
    let stays = FILE.replace(
        "\"echo\", \"mine\"",
        "\"sh\", \"-c\", \"echo begun; exec sleep 1000\"",
    );
    fs::write(&file, stays).unwrap();
    let file = file.to_str().unwrap();
    let socket = dir.join("init.sock").display().to_string();
    for named in [false, true] {
        let ns = Ns::root().shell(NO_RUN).shell("exec 2>&1");
        let ns = if named {
            ns.env("LOCKKEEPER_SOCKET", &socket)
        } else {
            ns
        };
        let mut inside = ns.start(lockkeeper(), &["-c", file]);
        let mut said = String::new();
        while let Some(line) = inside.process.line().filter(|line| line != "begun") {
            said += &line;
        }
        assert_eq!(
            said.contains("there is no folder for a control socket"),
            !named,
            "{said}"
        );
        let check = output(inside.enter(lockkeeper()).args(["check", "-c", file]));
        has(
            &flat(&check),
            &[
                "warning: neither /run nor /dev/shm can be written",
                "--tmpfs /run",
            ],
        );
        let mut status = inside.enter(lockkeeper());
        let status = output(status.arg("status").env("LOCKKEEPER_SOCKET", &socket));
        assert_eq!(status.status.code(), Some(if named { 0 } else { 69 }));
        signal(inside.pid1(), SIGTERM);
        assert_eq!(inside.process.wait().code(), Some(0));
    }
}

/// A run whose daemon is deaf to TERM is ended whole by an init that is not PID 1, whatever /proc is
/// like. `around`: a program, and its arguments, that becomes lockkeeper.
fn ended_whole(ns: Ns, around: &[&str]) {
    let scene = Scene::new();
    let file = scene.config(
        "[init]
        stop_within = \"2s\"
        [jobs.dev]
        class = \"interactive\"
        stdin = \"null\"
        stop = { grace = \"200ms\", leftover_grace = \"200ms\" }
        script = mark PAGE 1 , child { mark PAGE 1 HERMIT , hang } , hang",
    );
    // A shell that stays: when PID 1 ends, the kernel ends all.
    let stays = ["-c", "\"$@\" >&2; echo over; read x", "sh"];
    let own = [lockkeeper().to_str().unwrap(), "-c", file.to_str().unwrap()];
    let args = [&stays, around, &own].concat();
    let ns = ns.shell("mount -t tmpfs none /run");
    let mut inside = ns.start(&fs::canonicalize("/bin/sh").unwrap(), &args);
    until("both stand there", || {
        scene.page.alive().get(&1) == Some(&2)
    });
    let is_init = |pid: &i32| {
        let exe = fs::read_link(format!("/proc/{pid}/exe"));
        exe.is_ok_and(|exe| exe == lockkeeper())
    };
    let init = children(inside.pid1()).into_iter().find(is_init);
    signal(init.unwrap(), SIGTERM);
    assert_eq!(inside.process.line().as_deref(), Some("over"));
    assert!(scene.page.alive().is_empty());
}

#[test]
fn without_a_proc_a_run_is_ended_whole_and_check_says_what_is_lost() {
    need!("root", "unshare");
    ended_whole(
        Ns::root().shell("mount --make-rprivate /; umount -l /proc"),
        &[],
    );
    let dir = Dir::new();
    fs::write(dir.join("lockkeeper.toml"), FILE).unwrap();
    let check = ["lockkeeper", "check", "-c", "lockkeeper.toml"];
    let told = output(&mut bare_machine(&dir, "umount -l /proc", &check));
    assert_eq!(told.status.code(), Some(0));
    has(
        &flat(&told),
        &["warning: no /proc is mounted", "mount -t proc proc /proc"],
    );
    // It also tells without a file what is here.
    let told = output(&mut bare_machine(
        &dir,
        "umount -l /proc; rm l*",
        &["lockkeeper", "check"],
    ));
    assert_eq!(told.status.code(), Some(0));
    has(
        &flat(&told),
        &["no /proc is mounted", "/proc does not say what PID 1 is"],
    );
}

/// A kernel without `CONFIG_PROC_CHILDREN` has none of these files.
#[test]
fn without_lists_of_children_in_proc_a_run_is_ended_whole_and_check_says_so() {
    need!("root", "unshare", "strace");
    let dir = Dir::new();
    let trace = dir.join("trace").display().to_string();
    let calls = "open,openat,stat,statx,newfstatat";
    let inject = format!("inject={calls}:error=ENOENT");
    let calls = format!("trace={calls}");
    let mut args = vec!["-D", "-f", "-qq", "-e", &calls, "-e", &inject, "-o", &trace];
    let mut lists = vec!["/proc/thread-self/children".to_owned()];
    for pid in 1..64 {
        lists.push(format!("/proc/{pid}/task/{pid}/children"));
        lists.push(format!("/proc/self/task/{pid}/children"));
    }
    args.extend(lists.iter().flat_map(|list| ["-P", list]));
    let around = [&["strace"], &*args].concat();
    ended_whole(Ns::root(), &around);
    assert!(fs::read_to_string(&trace).unwrap().contains("INJECTED"));

    let check = [
        &["strace"],
        &*args,
        &["lockkeeper", "check", "--no-versions"],
    ]
    .concat();
    let told = output(&mut bare_machine(&dir, "", &check));
    has(
        &flat(&told),
        &["without lists of children (CONFIG_PROC_CHILDREN)"],
    );
    let told = output(&mut bare_machine(
        &dir,
        "",
        &["lockkeeper", "check", "--no-versions"],
    ));
    has(&flat(&told), &["/proc is ours, with lists of children"]);
}
