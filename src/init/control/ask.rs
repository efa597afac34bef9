//! The side of those who ask: finds the init that is meant, and speaks with it, each step within a time.
//!
//! An init that is stopped or hangs still has a socket, and the kernel takes connections for it: so it is
//! asked first who it is, which it answers at once or not at all.

use std::fmt;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, getsockopt, recv, send,
    setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeVal, TimeValLike};
use serde_json::Value;

use super::place::{self, Socket, VARIABLE};
use super::words::{Request, VERSION};
use crate::core::time::Time;
use crate::lock::fault::Quoted;
use crate::sys::{clock, poll};
use crate::trouble;

/// How long init may take to say that it is there.
pub const HELLO: Duration = Duration::from_secs(5);
/// The longest reply that is read: a thousand jobs have a few hundred thousand bytes.
const LONGEST: usize = 64 * 1024 * 1024;

/// A connection to an init that has answered.
#[derive(Debug)]
pub struct Conversation {
    stream: UnixStream,
    path: PathBuf,
    /// What came after the last reply.
    rest: Vec<u8>,
    /// As soon as this is readable no answer is waited for any longer.
    stop: Option<OwnedFd>,
}

/// Why nobody answers, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Silence {
    /// There is no init.
    Nobody,
    /// There are several, and none is PID 1.
    Several(Vec<PathBuf>),
    /// This one is there, and cannot be spoken to.
    Failed {
        /// Its socket.
        path: PathBuf,
        /// Why not, and what to do.
        why: String,
    },
}

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str(
                "no init answers here: ask where it runs, as by \"docker exec CONTAINER lockkeeper \
                 status\", or name its socket with --socket",
            ),
            Self::Several(paths) => {
                f.write_str("several inits run here: name one with --socket, of ")?;
                for (number, path) in paths.iter().enumerate() {
                    let join = if number > 0 { ", " } else { "" };
                    write!(f, "{join}{}", Quoted(path))?;
                }
                Ok(())
            }
            Self::Failed { path, why } => write!(f, "asking init at {}: {why}", Quoted(path)),
        }
    }
}

impl Conversation {
    /// Finds the init that is meant and hears from it, `until` at the latest, or until `stop` is readable.
    pub fn begin(
        named: Option<&Path>,
        until: Time,
        stop: Option<OwnedFd>,
    ) -> Result<Self, Silence> {
        let (stream, path) = match place::named(named) {
            Some(path) => {
                let socket = Socket {
                    path: path.clone(),
                    pid: None,
                };
                match connected(&socket, until) {
                    Ok(Some(stream)) => (stream, path),
                    Ok(None) => {
                        let why = format!(
                            "nobody listens there; start init with this --socket (or {VARIABLE}), \
                             or leave it out"
                        );
                        return Err(Silence::Failed { path, why });
                    }
                    Err(why) => return Err(Silence::Failed { path, why }),
                }
            }
            None => found(until)?,
        };
        let mut this = Self {
            stream,
            path,
            rest: Vec::new(),
            stop,
        };
        let hello = Request {
            op: "hello".to_owned(),
            ..Request::default()
        };
        let line = this.ask(hello, Some(until))?;
        let reply: Value = serde_json::from_slice(&line).unwrap_or_default();
        if reply.get("init").is_some() {
            return Ok(this);
        }
        let why = reply.get("error").and_then(Value::as_str);
        Err(this.failed(why.unwrap_or(NOT_OURS).to_owned()))
    }

    /// Asks, and waits for the answer, `until` at the latest: a line, without its end.
    pub fn ask(&mut self, request: Request, until: Option<Time>) -> Result<Vec<u8>, Silence> {
        let request = Request {
            v: VERSION,
            ..request
        };
        let mut line = serde_json::to_vec(&request).unwrap_or_default();
        line.push(b'\n');
        self.say(&line)
            .and_then(|()| self.hear(until))
            .map_err(|why| self.failed(why))
    }

    /// Asks for a status that is not the one with this number, and does not wait for it:
    /// [`Self::take`] gives it.
    pub fn await_change(&mut self, seen: u64) -> Result<(), Silence> {
        let request = Request {
            v: VERSION,
            op: "status".to_owned(),
            seen: Some(seen),
            ..Request::default()
        };
        let mut line = serde_json::to_vec(&request).unwrap_or_default();
        line.push(b'\n');
        self.say(&line).map_err(|why| self.failed(why))
    }

    /// The answer, if it is whole by now.
    pub fn take(&mut self) -> Result<Option<Vec<u8>>, Silence> {
        match self.hear(Some(Time(0))) {
            Ok(line) => Ok(Some(line)),
            Err(why) if why == HANGS => Ok(None),
            Err(why) => Err(self.failed(why)),
        }
    }

    /// A request is far shorter than what the kernel keeps for a connection, so it is sent whole.
    fn say(&self, line: &[u8]) -> Result<(), String> {
        match send(self.stream.as_raw_fd(), line, MsgFlags::MSG_NOSIGNAL) {
            Ok(length) if length == line.len() => Ok(()),
            Ok(_) => Err("the name of the job is too long".to_owned()),
            // What it had to say before it hung up can be read.
            Err(Errno::EPIPE | Errno::ECONNRESET) => Ok(()),
            Err(Errno::EAGAIN) => Err(HANGS.to_owned()),
            Err(errno) => Err(trouble::text(errno as i32)),
        }
    }

    fn hear(&mut self, until: Option<Time>) -> Result<Vec<u8>, String> {
        let mut searched = 0;
        let mut piece = vec![0_u8; 64 * 1024];
        loop {
            let new = self.rest.get(searched..).unwrap_or_default();
            if let Some(at) = new.iter().position(|byte| *byte == b'\n') {
                let end = searched + at;
                let after = self.rest.split_off((end + 1).min(self.rest.len()));
                let mut line = std::mem::replace(&mut self.rest, after);
                line.truncate(end);
                return Ok(line);
            }
            searched = self.rest.len();
            if searched > LONGEST {
                return Err(NOT_OURS.to_owned());
            }
            let stop = self.stop.as_ref().map(AsFd::as_fd);
            let [readable, stopped] = poll::wait([Some(self.stream.as_fd()), stop], until);
            if !readable && stopped {
                return Err(HANGS.to_owned());
            }
            if !readable && until.is_some_and(|until| until <= clock::now()) {
                return Err(HANGS.to_owned());
            }
            match recv(self.stream.as_raw_fd(), &mut piece, MsgFlags::MSG_DONTWAIT) {
                Ok(0) | Err(Errno::ECONNRESET) => {
                    return Err("it hung up: it has ended, or has too many to listen to".to_owned());
                }
                Ok(length) => self
                    .rest
                    .extend_from_slice(piece.get(..length).unwrap_or_default()),
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(errno) => return Err(trouble::text(errno as i32)),
            }
        }
    }

    fn failed(&self, why: String) -> Silence {
        Silence::Failed {
            path: self.path.clone(),
            why,
        }
    }
}

impl AsFd for Conversation {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

const HANGS: &str = "it is there and does not answer; it is stopped, or hangs: look at its process \
     and at its journal";
const NOT_OURS: &str = "what answers there is no init of this kind";

/// The init that is meant where nobody names one: PID 1, or else the only one.
fn found(until: Time) -> Result<(UnixStream, PathBuf), Silence> {
    let mut living = Vec::new();
    let mut denied = None;
    for socket in place::all() {
        match connected(&socket, until) {
            Ok(Some(stream)) if socket.pid == Some(1) => return Ok((stream, socket.path)),
            Ok(Some(stream)) => living.push((stream, socket.path)),
            Ok(None) => {}
            Err(why) => {
                denied.get_or_insert(Silence::Failed {
                    path: socket.path,
                    why,
                });
            }
        }
    }
    match (living.len(), denied) {
        (0, Some(denied)) => Err(denied),
        (0 | 1, _) => living.pop().ok_or(Silence::Nobody),
        _ => Err(Silence::Several(
            living.into_iter().map(|(_, path)| path).collect(),
        )),
    }
}

/// Connects; `None`: nobody listens there, or not the process that should.
fn connected(to: &Socket, until: Time) -> Result<Option<UnixStream>, String> {
    let address = match UnixAddr::new(&to.path) {
        Ok(address) => address,
        Err(errno) => return Err(trouble::text(errno as i32)),
    };
    let stream = unconnected(until).map_err(|error| trouble::text_of(&error))?;
    match connect(stream.as_raw_fd(), &address) {
        Ok(()) => {}
        Err(Errno::ECONNREFUSED | Errno::ENOENT) => return Ok(None),
        Err(Errno::EACCES) => {
            return Err(
                "only the user that it runs as, and root, may ask it; ask as one of them \
                 (docker exec --user)"
                    .to_owned(),
            );
        }
        // The queue of those that it has not let in is full (connect(2)).
        Err(Errno::EAGAIN | Errno::EINTR) => return Err(HANGS.to_owned()),
        Err(errno) => return Err(trouble::text(errno as i32)),
    }
    let peer = getsockopt(&stream, sockopt::PeerCredentials)
        .map_err(|errno| trouble::text(errno as i32))?;
    let meant = to.pid.is_none_or(|pid| pid == peer.pid());
    Ok(meant.then(|| UnixStream::from(stream)))
}

/// Neither its connect(2) nor a send(2) takes longer than `until` (`SO_SNDTIMEO`, socket(7)).
fn unconnected(until: Time) -> io::Result<OwnedFd> {
    let stream = socket(
        AddressFamily::Unix,
        SockType::Stream,
        SockFlag::SOCK_CLOEXEC,
        None,
    )?;
    let left = until.since(clock::now()).as_millis().max(1);
    let left = i64::try_from(left).map_err(|_| ErrorKind::InvalidInput)?;
    setsockopt(&stream, sockopt::SendTimeout, &TimeVal::milliseconds(left))?;
    Ok(stream)
}
