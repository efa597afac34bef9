//! Descriptors: message sockets between our own processes, and letting go of inherited ones.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};

/// The longest message between two of our processes: an event in quotes.
const LONGEST: usize = 16 * 1024;
/// With so much unread on the other side, what can be lost is not sent, so that there is room for what
/// cannot: a quarter of what the kernel keeps at least (`net.core.wmem_default`).
const CROWDED: libc::c_int = 48 * 1024;

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

    /// As [`Self::send`], for a message that may get lost: not where much is unread already.
    pub fn send_if_read(&self, message: &[u8]) -> Result<(), Errno> {
        let mut unread: libc::c_int = 0;
        // SAFETY: `unread` is valid for writing (unix(7), SIOCOUTQ; it has the number of TIOCOUTQ).
        let asked = unsafe { libc::ioctl(self.0.as_raw_fd(), libc::TIOCOUTQ, &raw mut unread) };
        Errno::result(asked)?;
        if unread > CROWDED {
            return Err(Errno::EAGAIN);
        }
        self.send(message)
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

/// Numbers below this are asked about in one call; a process of ours has far fewer of its own.
const FEW: RawFd = 64;

/// Whether [`close_inherited`] would let go of anything with a usual number.
pub fn has_inherited() -> bool {
    open_ones().any(is_inherited)
}

/// Lets go of what we inherited above standard error, so that a process of ours pins no pipe, lock
/// or mount that the job was given. What was inherited came over an exec, so it is not
/// close-on-exec; what is ours always is. Says what [`has_inherited`] would have said.
pub fn close_inherited() -> bool {
    let (mut used, mut any) = (0, false);
    for fd in open_ones() {
        used += 1;
        if is_inherited(fd) {
            any = true;
            close(fd);
        }
    }
    if used < FEW / 2 {
        // A new descriptor takes the lowest free number (open(2)), and so many are free that all of
        // ours, which are few, found one below.
        let above = libc::c_uint::try_from(FEW).unwrap_or(libc::c_uint::MAX);
        // SAFETY: no value owns a descriptor in this range.
        let closed =
            unsafe { libc::syscall(libc::SYS_close_range, above, libc::c_uint::MAX, 0) } == 0;
        if closed {
            return any;
        }
    }
    close_inherited_by_list();
    any
}

/// The open descriptors from 3 to [`FEW`], found by one call: poll(2) answers `POLLNVAL` for those
/// that are not open.
fn open_ones() -> impl Iterator<Item = RawFd> {
    let mut number = 2;
    let mut asked = [(); (FEW - 3) as usize].map(|()| {
        number += 1;
        libc::pollfd {
            fd: number,
            events: 0,
            revents: 0,
        }
    });
    // SAFETY: `asked` is valid for reading and writing its length. Where the call fails no answer is
    // there, and all are taken for open, which is_inherited then sees to.
    unsafe { libc::poll(asked.as_mut_ptr(), asked.len() as libc::nfds_t, 0) };
    asked
        .into_iter()
        .filter(|one| one.revents & libc::POLLNVAL == 0)
        .map(|one| one.fd)
}

fn is_inherited(fd: RawFd) -> bool {
    fcntl(fd, libc::F_GETFD).is_ok_and(|flags| flags & libc::FD_CLOEXEC == 0)
}

/// For a caller with dozens of open files, and for kernels before 5.9 (`close_range(2)`).
fn close_inherited_by_list() {
    let Ok(entries) = std::fs::read_dir("/proc/self/fd") else {
        return;
    };
    let numbers: Vec<RawFd> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    for fd in numbers.into_iter().filter(|fd| *fd > 2) {
        if is_inherited(fd) {
            close(fd);
        }
    }
}

fn close(fd: RawFd) {
    // SAFETY: it was inherited and is not close-on-exec; whatever a value of ours owns is.
    unsafe { libc::close(fd) };
}

/// Makes an inherited descriptor ours, and close-on-exec: the job does not get it. It takes the
/// lowest free number, as all of ours do ([`close_inherited`]). `EBADF`: it is not open.
pub fn adopt(fd: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: takes numbers only.
    let own = Errno::result(unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 3) })?;
    if fd > 2 {
        close(fd);
    }
    // SAFETY: the call succeeded, so `own` is open and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(own) })
}

/// [`adopt`], to write to. `EBADF` too where it is open for reading alone, as a write would fail with it
/// (write(2)): such a pipe never says that it has room, and whoever waits for that waits for ever.
pub fn adopt_to_write(fd: RawFd) -> Result<OwnedFd, Errno> {
    let flags = fcntl(fd, libc::F_GETFL)?;
    if flags & libc::O_ACCMODE == libc::O_RDONLY {
        return Err(Errno::EBADF);
    }
    adopt(fd)
}

fn fcntl(fd: RawFd, command: libc::c_int) -> Result<libc::c_int, Errno> {
    // SAFETY: a command without an argument takes numbers only.
    Errno::result(unsafe { libc::fcntl(fd, command) })
}
