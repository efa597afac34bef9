//! Which tmux sessions live: every server that may have one is asked, once.
//!
//! A session is named as tmux does it: `$1` a session, `%2` a pane, `@3` a window, else a session's
//! name (tmux(1), COMMANDS). gastown stores the pane where it has one.
//!
//! Invariants:
//! - "Gone" takes all of it: tmux is here, every socket of this user that has a server was asked and
//!   answered, and /proc shows no server besides (another user's, another container's, one with a
//!   socket elsewhere). Else what is not found is [`Session::CannotTell`].
//! - No server is started, and none is changed.
//! - A client is what its server makes of it, which may have it execute a program or write a file
//!   (tmux, `client.c`, `file.c`). So it runs as the user who listens, with nothing of our environment
//!   where that is another, and at the very socket of which the kernel told who listens.
//! - It ends: after [`LIMIT`] in all, a client that got no answer is killed; only a process that we
//!   started. No more than `MOST_SOCKETS` are asked, no more than `MOST_BYTES` read of each.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, UnixCredentials, connect, getsockopt, socket,
    sockopt,
};
use nix::sys::stat::Mode;
use nix::unistd::{geteuid, pipe2, read};

use crate::core::order;
use crate::core::outcome::Status;
use crate::core::time::Time;
use crate::sys::pidfd::PidFd;
use crate::sys::spawn::{Command, Credentials, Memory, Session as Place};
use crate::sys::{clock, poll, proc, wait};

/// How long all servers together may take.
pub const LIMIT: Duration = Duration::from_secs(3);
/// How long a client that was killed may take to die.
const KILLED_WITHIN: Duration = Duration::from_secs(1);
/// How many sockets are asked.
const MOST_SOCKETS: usize = 64;
/// How much of one server's answer is read.
const MOST_BYTES: usize = 1 << 20;
/// What a server calls itself in /proc (tmux, `proc.c`).
const SERVER: &[u8] = b"tmux: server";
/// One line a pane; a name may hold blanks, so it comes last.
const FORMAT: &str = "#{session_id} #{window_id} #{pane_id} #{session_name}";

/// What is known of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// It lives.
    Alive,
    /// Every server that could have it was asked, and none has.
    Gone,
    /// No tmux here, or a server that gives no answer.
    CannotTell,
}

/// The sessions of the tmux servers, asked at the first question and never again.
#[derive(Debug, Default)]
pub struct Sessions {
    answer: OnceLock<Answer>,
}

/// What all servers together said.
#[derive(Debug, Default)]
struct Answer {
    /// Identifiers and names of all kinds, in order; they cannot be mixed up, as a name has no such sign.
    known: Vec<String>,
    /// Whether there may be more than that.
    partial: bool,
}

impl Sessions {
    /// Nobody has been asked yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks now: the servers behind `sockets`, and those of the processes `servers` that are not
    /// among them, for at most `limit` together.
    pub fn ask(sockets: &[PathBuf], servers: impl Iterator<Item = i32>, limit: Duration) -> Self {
        Self {
            answer: OnceLock::from(ask(sockets, servers, limit)),
        }
    }

    /// A list as servers gave it, for tests of what follows from it.
    #[cfg(test)]
    pub(super) fn known(names: &[&str], partial: bool) -> Self {
        let mut known: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        order::sort_by(&mut known, Ord::cmp);
        Self {
            answer: OnceLock::from(Answer { known, partial }),
        }
    }

    /// What is known of `id`. The first question asks the servers, for at most [`LIMIT`].
    pub fn state(&self, id: &str) -> Session {
        let answer = self
            .answer
            .get_or_init(|| ask(&sockets(), servers(), LIMIT));
        let is_known = |name: &str| {
            let found = answer
                .known
                .binary_search_by(|known| known.as_str().cmp(name));
            found.is_ok()
        };
        if is_known(id) || is_known(&session_name(id)) {
            Session::Alive
        } else if answer.partial {
            Session::CannotTell
        } else {
            Session::Gone
        }
    }
}

/// The session of a target such as `name:window.pane`. tmux keeps `:` and `.` out of names by
/// writing `_` for them.
fn session_name(target: &str) -> String {
    let name = target.split_once(':').map_or(target, |(name, _)| name);
    name.replace('.', "_")
}

/// Where this user's servers have their sockets, and for root those of the others: `$TMUX`, and
/// `tmux-UID` in `$TMUX_TMPDIR` and in /tmp (tmux(1), ENVIRONMENT and `-L`).
fn sockets() -> Vec<PathBuf> {
    let own = std::env::var_os("TMUX").unwrap_or_default();
    let own = own.to_string_lossy();
    let own = own.split(',').next().filter(|path| !path.is_empty());
    let mut found: Vec<PathBuf> = own.map(PathBuf::from).into_iter().collect();

    let places = [
        std::env::var_os("TMUX_TMPDIR"),
        Some(OsString::from("/tmp")),
    ];
    let user = geteuid();
    for place in places.into_iter().flatten() {
        let place = Path::new(&place);
        if user.is_root() {
            let entries = fs::read_dir(place).into_iter().flatten().flatten();
            for entry in entries.filter(|entry| is_servers_folder(&entry.file_name())) {
                found.extend(sockets_in(&entry.path()));
            }
        } else {
            found.extend(sockets_in(&place.join(format!("tmux-{user}"))));
        }
    }
    order::sort_by(&mut found, Ord::cmp);
    found.dedup();
    found
}

fn is_servers_folder(name: &OsStr) -> bool {
    let name = name.to_str().and_then(|name| name.strip_prefix("tmux-"));
    name.is_some_and(|uid| uid.parse::<u32>().is_ok())
}

fn sockets_in(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sockets = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_socket()));
    sockets.map(|entry| entry.path()).take(MOST_SOCKETS + 1)
}

/// Asks every server behind `sockets`, and those of the processes `servers` that are not among them,
/// for at most `limit` together.
fn ask(sockets: &[PathBuf], servers: impl Iterator<Item = i32>, limit: Duration) -> Answer {
    let deadline = clock::now() + limit;
    let mut answer = Answer {
        partial: sockets.len() > MOST_SOCKETS,
        ..Answer::default()
    };
    let mut asked = Vec::new();
    for path in sockets.iter().take(MOST_SOCKETS) {
        answer.ask_at(path, deadline, &mut asked);
    }
    let mut listening = None;
    for pid in servers {
        if asked.contains(&pid) {
            continue;
        }
        if asked.len() >= MOST_SOCKETS {
            answer.partial = true;
            break;
        }
        let listening = listening.get_or_insert_with(listening_sockets);
        if let Some(path) = socket_of(pid, listening) {
            answer.ask_at(path, deadline, &mut asked);
        }
        answer.partial |= !asked.contains(&pid) && is_server(pid);
    }
    // Without one that answered, it was never shown that there is a tmux here at all.
    answer.partial |= asked.is_empty() && !tmux_is_here();
    order::sort_by(&mut answer.known, Ord::cmp);
    // Nor are other users' servers to be seen where their processes are hidden (`hidepid`, proc(5)).
    answer.partial |= !proc::is_ours() || proc::stat(1).is_none();
    answer
}

impl Answer {
    /// Asks who listens at `path`, and adds his number to `asked`.
    fn ask_at(&mut self, path: &Path, deadline: Time, asked: &mut Vec<i32>) {
        match server_at(path) {
            Server::None => {}
            Server::Silent => self.partial = true,
            // 0 is every process that our PID namespace does not know.
            Server::Listens(socket)
                if asked.contains(&socket.peer.pid()) && socket.peer.pid() != 0 => {}
            Server::Listens(socket) => {
                asked.push(socket.peer.pid());
                match panes(&socket, deadline) {
                    Ok(text) => note(&text, &mut self.known),
                    // One that ended meanwhile has no sessions.
                    Err(_) => self.partial |= !matches!(server_at(path), Server::None),
                }
            }
        }
    }
}

/// The identifiers and names in a server's answer.
fn note(text: &str, known: &mut Vec<String>) {
    for line in text.lines() {
        known.extend(line.splitn(4, ' ').map(str::to_owned));
    }
}

/// Who listens at a socket.
enum Server {
    /// Nobody any more.
    None,
    /// Somebody who may not be asked, or takes no more connections.
    Silent,
    /// Somebody.
    Listens(Socket),
}

/// A socket on which somebody listens. Held open, so that it is the same one whatever lies at its path
/// by then.
struct Socket {
    file: OwnedFd,
    /// Who listens, at the time when he began to.
    peer: UnixCredentials,
}

impl Socket {
    /// A path that leads to it in any process that has the descriptor under its number
    /// (`proc_pid_fd(5)`).
    fn path(file: &OwnedFd) -> String {
        format!("/proc/self/fd/{}", file.as_raw_fd())
    }
}

/// Connects without waiting and goes again; the kernel says who listens (`SO_PEERCRED`, unix(7)).
fn server_at(path: &Path) -> Server {
    let file = match openat(
        AT_FDCWD,
        path,
        OFlag::O_PATH | OFlag::O_CLOEXEC,
        Mode::empty(),
    ) {
        Ok(file) => file,
        Err(Errno::ENOENT | Errno::ENOTDIR) => return Server::None,
        Err(_) => return Server::Silent,
    };
    let kind = SockType::Stream;
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let Ok(client) = socket(AddressFamily::Unix, kind, flags, None) else {
        return Server::Silent;
    };
    let place = UnixAddr::new(Socket::path(&file).as_str());
    match place.and_then(|place| connect(client.as_raw_fd(), &place)) {
        Ok(()) => getsockopt(&client, sockopt::PeerCredentials).map_or(Server::Silent, |peer| {
            Server::Listens(Socket { file, peer })
        }),
        Err(Errno::ECONNREFUSED) => Server::None,
        Err(_) => Server::Silent,
    }
}

/// Every tmux server that /proc shows, of whatever user.
fn servers() -> impl Iterator<Item = i32> {
    proc::all().filter(|pid| is_server(*pid))
}

fn is_server(pid: i32) -> bool {
    fs::read(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim_ascii_end() == SERVER)
}

/// The inode and path of each socket on which somebody listens in our network namespace
/// (`proc_net(5)`, unix).
fn listening_sockets() -> Vec<(String, PathBuf)> {
    let table = fs::read("/proc/net/unix").unwrap_or_default();
    let table = String::from_utf8_lossy(&table);
    let sockets = table.lines().filter_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        // Num RefCount Protocol Flags Type St Inode Path; __SO_ACCEPTCON is 1 << 16.
        let listens = fields.nth(3)? == "00010000";
        let inode = fields.nth(2)?;
        let path = fields.next()?;
        (listens && path.starts_with('/'))
            .then(|| (format!("socket:[{inode}]"), PathBuf::from(path)))
    });
    sockets.collect()
}

/// The one of `listening` that `pid` has open. `None` also where we may not look.
fn socket_of(pid: i32, listening: &[(String, PathBuf)]) -> Option<&Path> {
    let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
    descriptors.flatten().find_map(|descriptor| {
        let open = fs::read_link(descriptor.path()).ok()?;
        let (_, path) = listening
            .iter()
            .find(|(name, _)| open.as_os_str() == name.as_str())?;
        Some(path.as_path())
    })
}

fn tmux_is_here() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join("tmux").is_file())
}

/// What the server behind `socket` has, in [`FORMAT`].
fn panes(socket: &Socket, deadline: Time) -> io::Result<String> {
    tell(socket, &["list-panes", "-a", "-F", FORMAT], deadline).or_else(|error| {
        // "no current target" says a server that has no session at all.
        match tell(socket, &["list-sessions"], deadline) {
            Ok(none) if none.is_empty() => Ok(none),
            _ => Err(error),
        }
    })
}

/// What a client of the server behind `socket` says to the command `words`, if it succeeds.
fn tell(socket: &Socket, words: &[&str], deadline: Time) -> io::Result<String> {
    // -u: a client that thinks its terminal knows no UTF-8 writes `_` for what is no ASCII.
    let mut command: Vec<OsString> = ["tmux", "-u", "-S"].map(OsString::from).into();
    command.push(Socket::path(&socket.file).into());
    command.extend(words.iter().map(OsString::from));
    if deadline.since(clock::now()).is_zero() {
        return Err(io::ErrorKind::TimedOut.into());
    }
    let null = OwnedFd::from(File::options().read(true).write(true).open("/dev/null")?);
    let (answer, stdout) = pipe2(OFlag::O_CLOEXEC)?;

    let failed = |(_, errno)| io::Error::from_raw_os_error(errno);
    let mut command = Command::new(&command, &[]).map_err(failed)?;
    command.session(Place::Own);
    command.pass(&[socket.file.as_raw_fd()]);
    let (uid, gid) = (socket.peer.uid(), socket.peer.gid());
    if uid != geteuid().as_raw() {
        let groups = vec![gid];
        command.user(Credentials { uid, gid, groups }).bare();
    }
    command.stdio(Some(&null), Some(&stdout), Some(&null));
    let spawned = command.spawn(Memory::Copied).map_err(failed)?;
    drop(stdout);

    // Not yet reaped, the number is our child's still.
    let ended = PidFd::open(spawned.pid);
    let text = collect(&answer, deadline);
    let in_time = text.is_ok()
        && ended.as_ref().is_ok_and(|child| {
            let [ended] = poll::wait([Some(child.as_fd())], Some(deadline));
            ended
        });
    if !in_time {
        let _ = crate::sys::process::kill(spawned.pid, libc::SIGKILL);
        // One that hangs in the kernel dies when it likes. Its number stays ours: nobody reaps it here.
        let hangs = ended.is_ok_and(|child| {
            let [ended] = poll::wait([Some(child.as_fd())], Some(clock::now() + KILLED_WITHIN));
            !ended
        });
        if hangs {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
    let status = wait::reap_one(spawned.pid);
    if let Some(failure) = spawned.failure() {
        return Err(failed(failure));
    }
    match (in_time, status) {
        (true, Some(Status::Exited(0))) => text,
        _ => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// All that comes out of `pipe` until its end.
fn collect(pipe: &OwnedFd, deadline: Time) -> io::Result<String> {
    let mut text = Vec::new();
    let mut room = [0; 4096];
    loop {
        let [readable] = poll::wait([Some(pipe.as_fd())], Some(deadline));
        if !readable && deadline.since(clock::now()).is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if !readable {
            continue;
        }
        match read(pipe, &mut room)? {
            0 => return Ok(String::from_utf8_lossy(&text).into_owned()),
            length => text.extend_from_slice(room.get(..length).unwrap_or_default()),
        }
        if text.len() > MOST_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
    }
}
