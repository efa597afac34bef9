//! tmux sessions, by all their names, on real servers; and servers that do not answer.

use std::fs;
use std::iter::{empty, once};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use lockkeeper::lock::dir::record::DirRecord;
use lockkeeper::lock::dir::sessions::{LIMIT, Session, Sessions};
use nix::sys::signal::Signal::SIGKILL;

use super::{NOBODY, Place, gastown};
use crate::support::child::{self, Tied, bare, output};
use crate::support::dir::Dir;
use crate::support::need::need;
use crate::support::wait::until;

/// A user who is not us.
const STRANGER: u32 = 65_534;

/// A server of the test's own, in the foreground, so that it never outlives it.
struct Server {
    process: Tied,
    folder: Dir,
}

impl Server {
    fn start() -> Self {
        let folder = Dir::new();
        let mut command = Command::new("tmux");
        command.args(["-D", "-f", "/dev/null", "-L", "own"]);
        bare(&mut command).env("TMUX_TMPDIR", &*folder);
        // The user's own may be one that lets nobody in.
        let process = child::start(command.env("SHELL", "/bin/sh"));
        let server = Self { process, folder };
        until("the server listens", || {
            UnixStream::connect(server.socket()).is_ok()
        });
        server
    }

    fn socket(&self) -> PathBuf {
        let user = nix::unistd::geteuid();
        self.folder.join(format!("tmux-{user}/own"))
    }

    fn tell(&self, words: &[&str]) {
        let mut command = Command::new("tmux");
        command.arg("-S").arg(self.socket()).args(words);
        let output = output(bare(&mut command).env("LC_ALL", "C.UTF-8"));
        assert!(output.status.success(), "{output:?}");
    }

    fn with(names: &[&str]) -> Self {
        let server = Self::start();
        for name in names {
            server.tell(&["new-session", "-d", "-s", name, "sleep 1000"]);
        }
        server
    }

    fn ask(&self) -> Sessions {
        Sessions::ask(&[self.socket()], once(self.process.pid()), LIMIT)
    }
}

#[test]
fn a_session_is_found_by_each_of_its_names() {
    need!("tmux");
    let server = Server::with(&["gt-toast", "gt.dot", "two words", "gt-tést"]);
    server.tell(&["split-window", "-t", "gt-toast", "sleep 1000"]);
    let sessions = server.ask();
    let there = [
        "$0",
        "$3",
        "%0",
        "%4",
        "@0",
        "gt-toast",
        "gt-toast:0.1",
        "gt.dot",
        "gt_dot",
        "two words",
        "gt-tést",
    ];
    for id in there {
        assert_eq!(sessions.state(id), Session::Alive, "{id}");
    }
    // $0 is one session, and %1 no second name of it.
    for id in [
        "$4",
        "%5",
        "gt",
        "gt-toas",
        "gt-toast2",
        "",
        "two",
        "words",
        "$",
        "gt-t__st",
    ] {
        assert_eq!(sessions.state(id), Session::Gone, "{id}");
    }
}

#[test]
fn a_server_on_a_socket_that_nobody_named_is_found_all_the_same() {
    need!("tmux");
    let server = Server::with(&["gt-toast"]);
    let sessions = Sessions::ask(&[], once(server.process.pid()), LIMIT);
    assert_eq!(sessions.state("gt-toast"), Session::Alive);
    assert_eq!(sessions.state("gt-other"), Session::Gone);
}

#[test]
fn every_server_of_this_machine_is_found_without_being_named() {
    need!("tmux");
    let server = Server::with(&["gt-toast-of-this-test"]);
    assert_eq!(
        Sessions::new().state("gt-toast-of-this-test"),
        Session::Alive
    );
    drop(server);
}

#[test]
fn a_server_that_cannot_be_asked_leaves_everything_open() {
    need!("tmux");
    let server = Server::with(&["gt-toast"]);
    fs::remove_file(server.socket()).unwrap();
    let sessions = server.ask();
    assert_eq!(sessions.state("gt-toast"), Session::CannotTell);
    assert_eq!(sessions.state("gt-other"), Session::CannotTell);
}

#[test]
fn what_one_server_has_is_known_though_another_is_silent() {
    need!("tmux");
    let (server, silent) = (Server::with(&["gt-toast"]), Dir::new());
    let path = silent.join("silent");
    let _listener = UnixListener::bind(&path).unwrap();
    let sessions = Sessions::ask(&[path, server.socket()], empty(), Duration::from_secs(1));
    assert_ne!(sessions.state("gt-toast"), Session::Gone);
    assert_eq!(sessions.state("gt-other"), Session::CannotTell);
}

#[test]
fn a_server_that_never_answers_is_given_up_and_leaves_no_client() {
    need!("tmux");
    let folder = Dir::new();
    let path = folder.join("silent");
    let listener = UnixListener::bind(&path).unwrap();
    let sessions = Sessions::ask(&[path], empty(), Duration::from_millis(300));
    assert_eq!(sessions.state("gt-toast"), Session::CannotTell);
    // First ours, that only asked who listens; then that of a tmux that was killed.
    for _ in 0..2 {
        let (mut client, _) = listener.accept().unwrap();
        let ended = std::io::copy(&mut client, &mut std::io::sink());
        assert!(ended.is_ok(), "nobody has the other end open");
    }
}

#[test]
fn a_server_that_takes_no_more_connections_is_not_waited_for() {
    let folder = Dir::new();
    let path = folder.join("full");
    let listener = UnixListener::bind(&path).unwrap();
    nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(0).unwrap()).unwrap();
    let _queued = UnixStream::connect(&path).unwrap();
    let sessions = Sessions::ask(&[path], empty(), LIMIT);
    assert_eq!(sessions.state("gt-toast"), Session::CannotTell);
}

#[test]
fn the_socket_of_a_dead_server_says_that_its_sessions_are_gone() {
    need!("tmux");
    let mut server = Server::with(&["gt-toast"]);
    child::signal(server.process.pid(), SIGKILL);
    server.process.wait();
    assert!(server.socket().exists());
    assert_eq!(server.ask().state("gt-toast"), Session::Gone);
}

#[test]
fn more_sockets_than_are_asked_leave_everything_open() {
    need!("tmux");
    let folder = Dir::new();
    let paths = |count: usize| -> Vec<PathBuf> {
        let names = (0..count).map(|number| folder.join(number.to_string()));
        names.collect()
    };
    let state = |count| Sessions::ask(&paths(count), empty(), LIMIT).state("gt-toast");
    assert_eq!(state(64), Session::Gone);
    assert_eq!(state(65), Session::CannotTell);
}

#[test]
fn a_server_without_a_session_has_none() {
    need!("tmux");
    assert_eq!(Server::start().ask().state("gt-toast"), Session::Gone);
}

#[test]
fn the_servers_are_asked_once() {
    need!("tmux");
    let server = Server::with(&["gt-toast"]);
    let sessions = server.ask();
    assert_eq!(sessions.state("gt-toast"), Session::Alive);
    server.tell(&["rename-session", "-t", "gt-toast", "gt-bread"]);
    assert_eq!(sessions.state("gt-toast"), Session::Alive);
    assert_eq!(server.ask().state("gt-toast"), Session::Gone);
}

#[test]
fn asking_starts_no_server() {
    need!("tmux");
    let folder = Dir::new();
    let path = folder.join("none");
    let sessions = Sessions::ask(std::slice::from_ref(&path), empty(), LIMIT);
    assert_eq!(sessions.state("gt-toast"), Session::Gone);
    assert!(!path.exists());
}

/// In a PID namespace of its own and with nothing in /tmp, where no other server of this machine is
/// to be seen.
fn alone(script: &str) -> Place {
    let way = "unshare --pid --fork --kill-child --mount-proc";
    let others =
        r#"for dir in /tmp/tmux-*; do ! [ -d "$dir" ] || mount -t tmpfs none "$dir"; done"#;
    Place::new(way, &format!("{others}; {script}"))
}

/// As gastown wrote it of a process that has ended.
fn in_session(id: &str) -> DirRecord {
    DirRecord {
        session_id: id.to_owned(),
        ..gastown(NOBODY)
    }
}

#[test]
fn without_tmux_nothing_is_known() {
    need!("root", "unshare", "tmux");
    assert_eq!(alone("judge").why(&in_session("%2")), "SessionGone");
    let without = alone("PATH=/nowhere; judge");
    assert_eq!(without.why(&in_session("%2")), "SessionUnknown");
}

/// A server has its clients execute programs and write files, if it likes, and they tell it their
/// environment.
#[test]
fn another_users_server_is_asked_as_that_user_with_nothing_of_ours() {
    need!("root", "unshare", "tmux");
    let folder = Dir::new();
    chown(&*folder, Some(STRANGER), Some(STRANGER)).unwrap();
    let mut command = Command::new("tmux");
    command.args(["-D", "-f", "/dev/null", "-L", "own"]);
    bare(&mut command).env("TMUX_TMPDIR", &*folder);
    let _server = child::start(command.current_dir("/").uid(STRANGER).gid(STRANGER));
    let socket = folder.join(format!("tmux-{STRANGER}/own"));
    until("the server listens", || {
        UnixStream::connect(&socket).is_ok()
    });

    // In place of the client, one that says who he is.
    let told = folder.join("told");
    let script = format!(
        "#!/bin/sh\n(id -u; id -G; env | grep ^OURS || :) > {}\n",
        told.display()
    );
    fs::write(folder.join("tmux"), script).unwrap();
    fs::set_permissions(folder.join("tmux"), fs::Permissions::from_mode(0o755)).unwrap();
    let place = alone(&format!(
        "PATH={}:$PATH; export OURS=1; judge",
        folder.display()
    ));
    let why = place
        .env("TMUX_TMPDIR", &*folder)
        .why(&in_session("gt-toast"));
    assert_eq!(why, "SessionGone");
    let told = fs::read_to_string(told).unwrap();
    assert_eq!(told, format!("{STRANGER}\n{STRANGER}\n"));
}

#[test]
fn the_session_decides_where_the_process_that_wrote_the_record_has_ended() {
    need!("root", "unshare", "tmux");
    let server = Server::with(&["gt-toast", "gt-tést"]);
    let other = Server::with(&["gt-other"]);
    let tmux = || format!("{},1,0", server.socket().display());
    let by_tmux = |id| alone("judge").env("TMUX", tmux()).why(&in_session(id));
    let by_folder = |id| {
        let place = alone("judge").env("TMUX_TMPDIR", &*server.folder);
        place.why(&in_session(id))
    };
    for id in ["gt-toast", "gt-tést", "%0", "$1"] {
        assert_eq!(by_tmux(id), "SessionLives", "{id}");
        assert_eq!(by_folder(id), "SessionLives", "{id}");
    }
    for id in ["gt-other", "gt-t__st", "%7", "$7"] {
        assert_eq!(by_tmux(id), "SessionGone", "{id}");
        assert_eq!(by_folder(id), "SessionGone", "{id}");
    }
    for id in ["gt-toast", "gt-other"] {
        let both = alone("judge").env("TMUX", tmux());
        let both = both.env("TMUX_TMPDIR", &*other.folder);
        assert_eq!(both.why(&in_session(id)), "SessionLives", "{id}");
    }
}
