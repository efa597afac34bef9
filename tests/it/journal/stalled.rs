//! A journal, or a standard error, that takes nothing: deadlines, orphans and the stop do not wait
//! for it, and what is lost by it is counted.

use std::fs::{self, File};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal::{SIGCONT, SIGTERM, SIGUSR1};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::{file_of, many};
use crate::support::bin;
use crate::support::child::{self, Tied, halt, signal};
use crate::support::dir::Dir;
use crate::support::journald::Journald;
use crate::support::need::need;
use crate::support::ns::children;
use crate::support::scene::{Scene, child_of, ended, state, waits_in};
use crate::support::wait::{until, until_some};

/// More than the queue holds, and any socket's queue.
const FLOOD: usize = 3000;

/// A /run whose journal's socket is bound, full, and read by nobody.
pub(super) struct Stalled {
    run: Dir,
    _socket: UnixDatagram,
}

impl Stalled {
    pub(super) fn new() -> Self {
        let run = Dir::new();
        fs::create_dir_all(run.join("systemd/journal")).unwrap();
        let path = run.join("systemd/journal/socket");
        let socket = UnixDatagram::bind(&path).unwrap();
        let flood = UnixDatagram::unbound().unwrap();
        flood.set_nonblocking(true).unwrap();
        let full = until_some("the queue is full", || {
            flood.send_to(b"MESSAGE=x\n", &path).err()
        });
        assert_eq!(full.kind(), ErrorKind::WouldBlock);
        Self {
            run,
            _socket: socket,
        }
    }

    /// `command`, with this for its /run.
    pub(super) fn around(&self, command: &Command) -> Command {
        let script = "mount --bind \"$0\" /run && exec \"$@\"";
        let mut around = Command::new("unshare");
        child::bare(&mut around)
            .args(["--mount", "sh", "-c", script])
            .arg(&*self.run);
        around.arg(command.get_program()).args(command.get_args());
        around
    }
}

/// A pipe that is full, and that nobody reads.
fn full_pipe(path: &Path) -> File {
    mkfifo(path, Mode::S_IRWXU).unwrap();
    let mut options = File::options();
    let nonblock = options
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK);
    let mut pipe = nonblock.open(path).unwrap();
    let full = until_some("the pipe is full", || pipe.write(&[b'x'; 4096]).err());
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    // The flag is that of the open file: who gets it as standard error is to block.
    drop(pipe);
    let file = File::options().read(true).write(true).open(path).unwrap();
    let mut again = options.open(path).unwrap();
    let full = until_some("the pipe is full", || again.write(&[b'x'; 4096]).err());
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    file
}

/// `run` with deadlines and orphans, its way out being stuck: all of it happens.
fn goes_its_way(scene: &Scene, start: &dyn Fn(&Command) -> Tied) {
    // A deadline: the command, deaf to TERM, and an orphan that left everything.
    let options = "--timeout 1s --grace 200ms -vv";
    let script =
        "child { HERMIT mark PAGE 1 , hang } , ignore TERM , mark PAGE 1 , out begun , hang";
    let mut run = start(&scene.run_command(
        options,
        &script.replace("HERMIT mark PAGE 1", "mark PAGE 1 HERMIT"),
    ));
    assert_eq!(run.line().as_deref(), Some("begun"));
    assert_eq!(ended(&mut run).code(), Some(124));
    scene.assert_empty();
    assert!(scene.is_free());

    // Orphans are reaped while it runs, a signal passes, and the stop comes when it is asked for.
    let script = "block USR1 , mark PAGE 2 , child { daemon , exit 0 } , out begun , wait USR1 , out heard , hang";
    let mut run = start(&scene.run_command("--grace 200ms -vv", script));
    assert_eq!(run.line().as_deref(), Some("begun"));
    let monitor = child_of(run.pid());
    until("the orphans are reaped", || {
        children(monitor)
            .into_iter()
            .all(|pid| state(pid) != Some('Z'))
            && children(monitor).len() == 1
    });
    signal(run.pid(), SIGUSR1);
    assert_eq!(run.line().as_deref(), Some("heard"));
    signal(run.pid(), SIGTERM);
    assert_eq!(ended(&mut run).code(), Some(143));
    scene.assert_empty();
}

#[test]
fn a_run_goes_its_way_beside_a_journal_that_takes_nothing() {
    need!("root");
    let (scene, stalled) = (Scene::new(), Stalled::new());
    goes_its_way(&scene, &|run| child::start(&mut stalled.around(run)));
}

#[test]
fn a_run_goes_its_way_beside_a_standard_error_that_takes_nothing() {
    need!("root");
    let (scene, bare) = (Scene::new(), Dir::new());
    let pipe = full_pipe(&scene.path("stderr"));
    goes_its_way(&scene, &|run| {
        // A /run without a journal: everything goes to standard error.
        let script = "mount --bind \"$0\" /run && exec \"$@\"";
        let mut around = Command::new("unshare");
        child::bare(&mut around)
            .args(["--mount", "sh", "-c", script])
            .arg(&*bare);
        around.arg(run.get_program()).args(run.get_args());
        child::start(around.stderr(pipe.try_clone().unwrap()))
    });
}

#[test]
fn what_a_stalled_journald_did_not_take_is_counted_to_the_last_note() {
    need!("root", "journald");
    let (journal, dir) = (Journald::start(), Dir::new());
    let file = file_of(&dir, &many(FLOOD));
    halt(journal.pid());
    let mut command = journal.command(bin::puppet());
    let mut puppet = child::start(
        command
            .args(["block", "USR1", ",", "notes"])
            .arg(&file)
            .arg("USR1"),
    );
    assert_eq!(
        puppet.line().as_deref(),
        Some("noted"),
        "nobody waited for it"
    );
    signal(journal.pid(), SIGCONT);
    signal(puppet.pid(), SIGUSR1);
    assert_eq!(puppet.line().as_deref(), Some("unread=0"));
    assert_eq!(ended(&mut puppet).code(), Some(0));
    let records = journal.records(&["SYSLOG_IDENTIFIER=lockkeeper"]);
    let (lost, taken): (Vec<_>, Vec<_>) = records
        .iter()
        .partition(|record| record["COUNT"].is_string());
    let lost: usize = lost
        .iter()
        .map(|record| record["COUNT"].as_str().unwrap().parse::<usize>().unwrap())
        .sum();
    assert!(lost > 0, "the queue was full");
    assert_eq!(taken.len() + lost, FLOOD);
    // Those that came are in their order.
    let pid = |record: &&&serde_json::Value| {
        record["JOB_PID"]
            .as_str()
            .and_then(|pid| pid.parse::<u32>().ok())
    };
    assert!(taken.is_sorted_by_key(|record| pid(&record)));
}

#[test]
fn what_the_journal_has_not_taken_at_the_end_goes_to_standard_error() {
    need!("root");
    let (dir, stalled) = (Dir::new(), Stalled::new());
    let file = file_of(&dir, &many(FLOOD));
    let errors = dir.join("errors");
    let mut command = Command::new(bin::puppet());
    let mut around = stalled.around(command.arg("notes").arg(&file));
    let mut puppet = child::start(around.stderr(File::create(&errors).unwrap()));
    assert_eq!(ended(&mut puppet).code(), Some(0));
    let told = fs::read_to_string(&errors).unwrap();
    let said = told
        .lines()
        .filter(|line| line.contains("started (pid"))
        .count();
    // The queue, and the one that the thread was stuck with, if it had one before the queue was full.
    assert!((1024..=1025).contains(&said), "{said}");
    let summary = told.lines().next_back().unwrap();
    let lost = FLOOD - said;
    assert_eq!(
        summary,
        format!("lockkeeper: job dev: lost {lost} notes: nobody took them in time")
    );
}

#[test]
fn a_process_ends_though_neither_the_journal_nor_standard_error_takes_its_last_words() {
    need!("root");
    let (dir, stalled) = (Dir::new(), Stalled::new());
    let file = file_of(&dir, &many(FLOOD));
    let mut pipe = full_pipe(&dir.join("stderr"));
    let mut command = Command::new(bin::puppet());
    let mut around = stalled.around(command.arg("notes").arg(&file));
    let mut puppet = child::start(around.stderr(pipe.try_clone().unwrap()));
    assert_eq!(ended(&mut puppet).code(), Some(0));
    let mut byte = [0];
    pipe.read_exact(&mut byte).unwrap();
    assert_eq!(&byte, b"x");
}

/// The stuck thread, and the main one that gives it a while.
pub(super) fn is_flushing(pid: i32) -> bool {
    waits_in(pid, libc::SYS_sendto) && waits_in(pid, libc::SYS_futex)
}
