//! Descriptors: message sockets between our own processes, and letting go of inherited ones.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};

/// The longest message between two of our processes; an outcome with all its numbers is far below.
const LONGEST: usize = 4096;

/// What a read from a [`Wire`] gave.
#[derive(Debug, PartialEq, Eq)]
pub enum Received {
    /// One whole message.
    Message(Vec<u8>),
    /// Nothing is there yet.
    Nothing,
    /// The other side has gone, and nothing more will come.
    Gone,
}

/// One end of a pair of sockets that keep messages apart (`SOCK_SEQPACKET`, unix(7)); close-on-exec.
/// When the process at the other end dies, the kernel tells this end.
#[derive(Debug)]
pub struct Wire(OwnedFd);

impl Wire {
    /// Two ends.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = socketpair(
            AddressFamily::Unix,
            SockType::SeqPacket,
            None,
            SockFlag::SOCK_CLOEXEC,
        )?;
        Ok((Self(one), Self(other)))
    }

    /// An end that was inherited under a known number.
    pub const fn from_fd(fd: OwnedFd) -> Self {
        Self(fd)
    }

    /// Sends one message, without ever waiting: `EAGAIN` where the other side does not read,
    /// `EPIPE` where it has gone.
    pub fn send(&self, message: &[u8]) -> Result<(), Errno> {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        send(self.0.as_raw_fd(), message, flags).map(drop)
    }

    /// Receives one message, without waiting.
    pub fn receive(&self) -> Received {
        let mut buffer = [0_u8; LONGEST];
        match recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
            Ok(0) => Received::Gone,
            Ok(length) => Received::Message(buffer.get(..length).unwrap_or_default().to_vec()),
            Err(Errno::EAGAIN | Errno::EINTR) => Received::Nothing,
            Err(_) => Received::Gone,
        }
    }
}

impl std::os::fd::AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Closes every descriptor above standard error that is not in `keep`, so that a process of ours
/// pins no pipe, lock or mount that the job was given.
pub fn close_others(keep: &[BorrowedFd<'_>]) {
    let mut kept: Vec<RawFd> = keep.iter().map(AsRawFd::as_raw_fd).collect();
    kept.sort_unstable();
    let mut first: RawFd = 3;
    for fd in kept {
        if fd > first {
            close_range(first, fd - 1);
        }
        first = first.max(fd + 1);
    }
    super::process::close_from(first);
}

fn close_range(first: RawFd, last: RawFd) {
    let (Ok(first), Ok(last)) = (libc::c_uint::try_from(first), libc::c_uint::try_from(last))
    else {
        return;
    };
    // SAFETY: the caller of `close_others` named every descriptor that is still owned by anything.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if closed != 0 {
        for fd in first..=last.min(1024) {
            // SAFETY: as above.
            unsafe { libc::close(i32::try_from(fd).unwrap_or(-1)) };
        }
    }
}
