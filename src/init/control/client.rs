//! One connection: the bytes that have come, the reply that goes, and what it may do next.
//!
//! State: [`Stage`]. It reads as long as no request is whole; it waits while one is being answered, and
//! reads nothing; it writes as long as its reply has not left, and reads nothing. So at most one request
//! and one reply of it are in memory, and who does not read his replies is not heard either.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use nix::errno::Errno;
use nix::sys::epoll::EpollFlags;
use nix::sys::socket::{MsgFlags, recv, send};

use super::words::{Asked, LONGEST, Reply, parse};
use crate::core::time::Time;
use crate::exit;

/// How much is read in one go.
const PIECE: usize = 4096;

/// What a connection may do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Send a request.
    Reading,
    /// Wait for the answer to the one with this number.
    Waiting(u64),
    /// Read its answer.
    Writing,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Client {
    stream: UnixStream,
    pub(super) stage: Stage,
    /// When it came to this stage.
    pub(super) since: Time,
    incoming: Vec<u8>,
    /// Where in `incoming` the first line ends; its length, as long as none does.
    searched: usize,
    outgoing: Vec<u8>,
    /// The connection ends when the reply has left.
    last: bool,
}

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It goes on.
    Open,
    /// It is over.
    Closed,
}

impl Client {
    pub(super) const fn new(stream: UnixStream, now: Time) -> Self {
        Self {
            stream,
            stage: Stage::Reading,
            since: now,
            incoming: Vec::new(),
            searched: 0,
            outgoing: Vec::new(),
            last: false,
        }
    }

    /// What wakes it. While it waits that is the end of the connection alone: half of it may be closed,
    /// as by `nc -N`, and the answer is still read.
    pub(super) fn interest(&self) -> EpollFlags {
        match self.stage {
            Stage::Reading => EpollFlags::EPOLLIN,
            Stage::Waiting(_) => EpollFlags::empty(),
            Stage::Writing => EpollFlags::EPOLLOUT,
        }
    }

    /// How many bytes of a reply wait for it to read.
    pub(super) const fn unread(&self) -> usize {
        self.outgoing.len()
    }

    /// Does what it woke for.
    pub(super) fn go_on(&mut self, now: Time) -> Fate {
        match self.stage {
            Stage::Reading => self.hear(now),
            Stage::Waiting(_) => Fate::Closed,
            Stage::Writing => self.flush(now),
        }
    }

    /// Reads once, unless a line is whole already.
    pub(super) fn hear(&mut self, now: Time) -> Fate {
        if self.has_line() {
            return Fate::Open;
        }
        let mut piece = [0_u8; PIECE];
        match recv(self.stream.as_raw_fd(), &mut piece, MsgFlags::MSG_DONTWAIT) {
            // Half a line is no order.
            Ok(0) => return Fate::Closed,
            Ok(length) => {
                self.incoming
                    .extend_from_slice(piece.get(..length).unwrap_or_default());
            }
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => return Fate::Closed,
        }
        self.has_line();
        if self.searched > LONGEST {
            let text = format!("a line of more than {LONGEST} bytes is no request");
            return self.dismiss(&Reply::refused(exit::USAGE, text), now);
        }
        Fate::Open
    }

    /// Whether a request is whole and may be answered.
    pub(super) fn is_due(&mut self) -> bool {
        self.stage == Stage::Reading && self.has_line()
    }

    /// Takes the request that is whole; what is none is answered here, and ends the connection.
    pub(super) fn take(&mut self, number: u64, now: Time) -> Result<Asked, Fate> {
        let end = std::mem::take(&mut self.searched);
        let mut line = std::mem::take(&mut self.incoming);
        // What follows the end of the line.
        self.incoming = line.split_off((end + 1).min(line.len()));
        line.truncate(end);
        match parse(&line) {
            Ok(asked) => {
                self.stage = Stage::Waiting(number);
                self.since = now;
                Ok(asked)
            }
            Err(text) => Err(self.dismiss(&Reply::refused(exit::USAGE, text), now)),
        }
    }

    /// Answers what it waits for.
    pub(super) fn answer(&mut self, reply: &Reply, now: Time) -> Fate {
        self.outgoing = reply.line();
        self.flush(now)
    }

    /// Says why, and no more.
    pub(super) fn dismiss(&mut self, reply: &Reply, now: Time) -> Fate {
        self.last = true;
        self.answer(reply, now)
    }

    fn has_line(&mut self) -> bool {
        let new = self.incoming.get(self.searched..).unwrap_or_default();
        let at = new.iter().position(|byte| *byte == b'\n');
        self.searched += at.unwrap_or(new.len());
        at.is_some()
    }

    fn flush(&mut self, now: Time) -> Fate {
        while !self.outgoing.is_empty() {
            let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
            match send(self.stream.as_raw_fd(), &self.outgoing, flags) {
                Ok(sent) => drop(self.outgoing.drain(..sent.min(self.outgoing.len()))),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => {
                    if self.stage != Stage::Writing {
                        self.stage = Stage::Writing;
                        self.since = now;
                    }
                    return Fate::Open;
                }
                Err(_) => return Fate::Closed,
            }
        }
        self.outgoing = Vec::new();
        if self.last {
            return Fate::Closed;
        }
        self.stage = Stage::Reading;
        self.since = now;
        Fate::Open
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
