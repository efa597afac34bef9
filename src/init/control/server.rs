//! The socket and its connections, for the loop of init: one descriptor that can be read when one of
//! them has something for us, one deadline, and requests that are taken one by one.
//!
//! An epoll(7) instance stands for all of them, so that a turn of the loop costs the same with no
//! connection as with many.

use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, getsockopt, listen, socket, sockopt,
};
use nix::sys::stat::{Mode, fchmod};
use nix::unistd::geteuid;

use super::client::{Client, Fate, Stage};
use super::words::{Asked, Reply};
use crate::core::time::Time;
use crate::exit;
use crate::lock::claim::{Claim, Trouble};
use crate::lock::fault::Quoted;
use crate::lock::latch::Part;
use crate::sys::poll;
use crate::trouble;

/// The most connections at a time.
pub const MOST: usize = 64;
/// A request must be whole, and a reply read, within this time.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// The most bytes of replies that are kept for those who do not read them.
pub const BACKLOG: usize = 2 * 1024 * 1024;

/// How many are let in, or answered, before the loop looks at its other descriptors again.
const AT_ONCE: usize = 16;
/// Where no descriptor is to be had for a newcomer: when that is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Of the listener in the epoll instance; connections count from 1.
const LISTENER: u64 = 0;
/// Nobody's request: what answers it finds nobody.
pub const NOBODY: u64 = 0;

/// The socket, and who is connected to it.
#[derive(Debug)]
pub struct Control {
    epoll: Epoll,
    listener: UnixListener,
    /// It rests: no descriptor was to be had.
    deaf_until: Option<Time>,
    clients: Vec<(u64, Client)>,
    /// The numbers that were given to connections and requests so far.
    count: u64,
    path: PathBuf,
    latch: Option<Claim>,
}

impl Control {
    /// Listens at `path`, whose folder exists. The text says what failed, and what to do.
    pub fn open(path: &Path) -> Result<Self, String> {
        let failed = |text: String| format!("opening {}: {text}", Quoted(path));
        let latch = take_latch(path).map_err(failed)?;
        let opened = clear(path).and_then(|()| {
            let listener = bound(path).map_err(|errno| reason(errno, path))?;
            let polled = Self::polled(&listener).map_err(|errno| trouble::text(errno as i32))?;
            Ok((listener, polled))
        });
        match opened {
            Ok((listener, epoll)) => Ok(Self {
                epoll,
                listener,
                deaf_until: None,
                clients: Vec::new(),
                count: 0,
                path: path.to_owned(),
                latch: Some(latch),
            }),
            Err(text) => {
                latch.release();
                Err(failed(text))
            }
        }
    }

    fn polled(listener: &UnixListener) -> nix::Result<Epoll> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
        Ok(epoll)
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// When [`Self::go_on`] has something to do though nothing came; `None`: never.
    pub fn next_deadline(&mut self, now: Time) -> Option<Time> {
        let mut clients = self.clients.iter_mut();
        if clients.any(|(_, client)| client.is_due()) {
            return Some(now);
        }
        let limits = self.clients.iter().filter_map(|(_, client)| limit(client));
        limits.chain(self.deaf_until).min()
    }

    /// Lets in who has come, reads and writes what can be, and ends what took too long. The requests
    /// that are whole are taken by [`Self::requests`] then.
    pub fn go_on(&mut self, now: Time) {
        self.expire(now);
        let mut events = [EpollEvent::empty(); MOST + 1];
        let count = self
            .epoll
            .wait(&mut events, EpollTimeout::ZERO)
            .unwrap_or(0);
        for event in events.iter().take(count) {
            match event.data() {
                LISTENER => self.let_in(now),
                key => {
                    self.with(key, |client| client.go_on(now));
                }
            }
        }
    }

    /// The requests that are whole, a few: each with the number that its answer goes by. The rest
    /// comes in the next turn.
    pub fn requests(&mut self, now: Time) -> Vec<(u64, Asked)> {
        let due = self.clients.iter_mut().filter_map(|(key, client)| {
            let due = client.is_due();
            due.then_some(*key)
        });
        let due: Vec<u64> = due.take(AT_ONCE).collect();
        let mut asked = Vec::new();
        for key in due {
            self.count += 1;
            let number = self.count;
            self.with(key, |client| match client.take(number, now) {
                Ok(request) => {
                    asked.push((number, request));
                    Fate::Open
                }
                Err(fate) => fate,
            });
        }
        asked
    }

    /// Whether the request of that number is still to be answered.
    pub fn awaits(&self, number: u64) -> bool {
        self.waiting(number).is_some()
    }

    /// Answers the request of that number; nobody where who asked has gone.
    pub fn answer(&mut self, number: u64, reply: &Reply, now: Time) {
        let Some(key) = self.waiting(number) else {
            return;
        };
        self.with(key, |client| client.answer(reply, now));
        self.cut_backlog();
    }

    /// Closes the socket, and takes it away.
    pub fn close(mut self) {
        self.clients.clear();
        let _ = fs::remove_file(&self.path);
        if let Some(latch) = self.latch.take() {
            latch.release();
        }
    }

    fn waiting(&self, number: u64) -> Option<u64> {
        let mut all = self.clients.iter();
        all.find(|(_, client)| client.stage == Stage::Waiting(number))
            .map(|(key, _)| *key)
    }

    /// Has a connection do something, and sees to what wakes it afterwards.
    fn with(&mut self, key: u64, act: impl FnOnce(&mut Client) -> Fate) {
        let mut clients = self.clients.iter_mut();
        let Some((_, client)) = clients.find(|(of, _)| *of == key) else {
            return;
        };
        let before = client.interest();
        let fate = act(client);
        let interest = client.interest();
        let kept = fate == Fate::Open
            && (interest == before
                || self
                    .epoll
                    .modify(&*client, &mut EpollEvent::new(interest, key))
                    .is_ok());
        if !kept {
            self.drop_client(key);
        }
    }

    fn drop_client(&mut self, key: u64) {
        if let Some(at) = self.clients.iter().position(|(of, _)| *of == key) {
            let (_, client) = self.clients.swap_remove(at);
            self.forget(&client);
        }
    }

    /// Closing the descriptor is not enough where a child that is about to become a guard has a copy of
    /// it (epoll(7), question 6).
    fn forget(&self, client: &Client) {
        let _ = self.epoll.delete(client);
    }

    fn expire(&mut self, now: Time) {
        let over = |client: &Client| limit(client).is_some_and(|limit| limit <= now);
        let of_clients = self.clients.iter();
        let over: Vec<u64> = of_clients
            .filter(|(_, client)| over(client))
            .map(|(key, _)| *key)
            .collect();
        for key in over {
            self.drop_client(key);
        }
        if self.deaf_until.is_some_and(|until| until <= now) {
            self.deaf_until = None;
            self.listen_again(EpollFlags::EPOLLIN);
        }
    }

    fn listen_again(&mut self, interest: EpollFlags) {
        let mut event = EpollEvent::new(interest, LISTENER);
        let _ = self.epoll.modify(&self.listener, &mut event);
    }

    fn let_in(&mut self, now: Time) {
        for _ in 0..AT_ONCE {
            match self.listener.accept() {
                Ok((stream, _)) => self.greet(stream, now),
                Err(error) => match error.raw_os_error().map(Errno::from_raw) {
                    // The kernel looks for a free number first, and for who knocks then.
                    Some(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM | Errno::ENOBUFS) => {
                        if !poll::is_ready(self.listener.as_fd()) {
                            return;
                        }
                        // One of our own connections may be what is too much.
                        if !self.make_room() {
                            self.deaf_until = Some(now + RETRY_AFTER);
                            self.listen_again(EpollFlags::empty());
                            return;
                        }
                    }
                    Some(Errno::ECONNABORTED | Errno::EINTR) => {}
                    _ => return,
                },
            }
        }
    }

    fn greet(&mut self, stream: UnixStream, now: Time) {
        let mut client = Client::new(stream, now);
        let own = geteuid().as_raw();
        let peer = getsockopt(&client, sockopt::PeerCredentials);
        if !peer.is_ok_and(|peer| peer.uid() == own || peer.uid() == 0) {
            client.dismiss(&stranger(own), now);
            return;
        }
        if self.clients.len() >= MOST {
            self.make_room();
        }
        self.count += 1;
        let key = self.count;
        let event = EpollEvent::new(client.interest(), key);
        if self.epoll.add(&client, event).is_err() {
            return;
        }
        self.clients.push((key, client));
        // Who has something to say has mostly said it by now, and is not taken for a silent one.
        self.with(key, |client| client.hear(now));
    }

    /// Closes the connection that has done nothing for the longest time; one that waits for an answer
    /// only where all do. False: there is none.
    fn make_room(&mut self) -> bool {
        let idlest = self
            .clients
            .iter_mut()
            .map(|(key, client)| (client.is_due(), *key, &*client))
            .min_by_key(|(due, _, client)| {
                let waits = matches!(client.stage, Stage::Waiting(_));
                (waits, *due, client.since)
            })
            .map(|(_, key, _)| key);
        if let Some(key) = idlest {
            self.drop_client(key);
        }
        idlest.is_some()
    }

    /// Whoever reads slowest goes first, until what is kept for all is little enough.
    fn cut_backlog(&mut self) {
        loop {
            let kept: usize = self.clients.iter().map(|(_, client)| client.unread()).sum();
            if kept <= BACKLOG {
                return;
            }
            let slowest = self
                .clients
                .iter()
                .filter(|(_, client)| client.unread() > 0)
                .min_by_key(|(_, client)| client.since)
                .map(|(key, _)| *key);
            let Some(key) = slowest else { return };
            self.drop_client(key);
        }
    }
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.0.as_fd()
    }
}

/// When a connection has had its time.
fn limit(client: &Client) -> Option<Time> {
    match client.stage {
        Stage::Waiting(_) => None,
        Stage::Reading | Stage::Writing => Some(client.since + PATIENCE),
    }
}

fn stranger(own: u32) -> Reply {
    Reply::refused(
        exit::UNAVAILABLE,
        format!("only user {own}, as which init runs, and root may ask it: ask as one of them"),
    )
}

fn take_latch(path: &Path) -> Result<Claim, String> {
    let folder = path.parent().filter(|folder| folder.is_dir());
    let folder =
        folder.ok_or("its folder does not exist; create it, or name another with --socket")?;
    let name = path.file_name().and_then(|name| name.to_str());
    Claim::open(folder, name.unwrap_or_default(), Part::Whole).map_err(|error| {
        match error.trouble {
            Trouble::BadRunId => {
                "a socket's name has letters, digits, dots, dashes and underscores only".to_owned()
            }
            Trouble::Held => {
                "another init listens there; give each its own with --socket or $LOCKKEEPER_SOCKET"
                    .to_owned()
            }
            Trouble::Foreign(user) => format!(
                "user {user} has its latch and could take it away; remove \"{}.latch\" as that user or as root, \
                 or name another with --socket",
                path.display()
            ),
            Trouble::Kernel(_, errno) => trouble::text(errno as i32),
            Trouble::TooLong | Trouble::Restless => error.to_string(),
        }
    })
}

/// Takes away what a dead init left. The latch is ours, so no init of ours listens; but perhaps
/// another program.
fn clear(path: &Path) -> Result<(), String> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Ok(meta) if meta.file_type().is_socket() => {}
        Ok(_) => return Err("something else has that name; remove it, or name another".to_owned()),
        Err(error) => return Err(trouble::text_of(&error)),
    }
    if is_alive(path) {
        return Err("another program listens there; name another with --socket".to_owned());
    }
    fs::remove_file(path).map_err(|error| trouble::text_of(&error))
}

/// Whether somebody listens there. Without waiting: a full queue is a listener, too.
fn is_alive(path: &Path) -> bool {
    let (Ok(socket), Ok(address)) = (unconnected(), UnixAddr::new(path)) else {
        return true;
    };
    let connected = nix::sys::socket::connect(socket.as_raw_fd(), &address);
    !matches!(connected, Err(Errno::ECONNREFUSED | Errno::ENOENT))
}

fn unconnected() -> nix::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    socket(AddressFamily::Unix, SockType::Stream, flags, None)
}

/// A listener at `path`. The mode is that of the socket before it has a name (Linux gives it to the
/// file), so that at no time anybody else could connect; and it listens last.
fn bound(path: &Path) -> nix::Result<UnixListener> {
    let address = UnixAddr::new(path)?;
    let socket = unconnected()?;
    fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR)?;
    bind(socket.as_raw_fd(), &address)?;
    if let Err(errno) = listen(&socket, Backlog::new(128)?) {
        let _ = fs::remove_file(path);
        return Err(errno);
    }
    Ok(socket.into())
}

fn reason(errno: Errno, path: &Path) -> String {
    match errno {
        Errno::ENAMETOOLONG => format!(
            "its path has {} bytes, and a socket's can have 107; name a shorter one with --socket",
            path.as_os_str().len()
        ),
        _ => trouble::text(errno as i32),
    }
}
