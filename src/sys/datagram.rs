//! A datagram, and who sent it.

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

/// Who sent it, as the kernel says (`SCM_CREDENTIALS`, unix(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sender {
    /// His process, as our PID namespace numbers it; 0: it is in none that we can see.
    pub pid: i32,
    /// His user, as our user namespace numbers him.
    pub uid: u32,
}

/// What was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// How much of the buffer it fills.
    pub length: usize,
    /// Whether it fitted.
    pub is_whole: bool,
    /// Who sent it; `None`: the socket was not told to say so (`SO_PASSCRED`, unix(7)).
    pub sender: Option<Sender>,
}

/// Room for what the kernel says of the sender, and for nothing else: descriptors that come along
/// find none, and the kernel closes them before it gives us the rest (`MSG_CTRUNC`, recvmsg(2)).
#[repr(C)]
struct Control {
    header: libc::cmsghdr,
    sender: libc::ucred,
}

/// Takes the next datagram from `socket`, without waiting.
///
/// # Errors
/// `EAGAIN`: there is none.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<Datagram, Errno> {
    // SAFETY: numbers only, for which zero is a value.
    let mut control: Control = unsafe { std::mem::zeroed() };
    let mut part = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    // SAFETY: numbers and pointers, for which zero is a value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of::<Control>() as _;
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: the buffer and `control` are valid for writing the lengths that are given.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
    let length = usize::try_from(Errno::result(length)?).unwrap_or_default();
    let says = (control.header.cmsg_level, control.header.cmsg_type);
    let sender = (says == (libc::SOL_SOCKET, libc::SCM_CREDENTIALS)).then_some(Sender {
        pid: control.sender.pid,
        uid: control.sender.uid,
    });
    Ok(Datagram {
        length,
        is_whole: message.msg_flags & libc::MSG_TRUNC == 0,
        sender,
    })
}
