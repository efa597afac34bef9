//! `NOTIFY_SOCKET`: where the command of a run says how it is (`sd_notify(3)`).
//!
//! One socket a run, made by its monitor, and only where the plan has a use for it. The choices:
//!
//! - **It has an abstract name** (unix(7)), with 64 random bits in it, and no path. A path needs a folder
//!   that is writable (a container may have none), that the job's user may enter, and that is cleared
//!   when guard and monitor are killed; an abstract name goes with its socket. It is out of reach for
//!   what a job starts in a network namespace of its own, and within reach for strangers who share ours:
//! - **A sender is believed if he is of the run's tree**, and not for what he knows. The kernel tells his
//!   number; he is below this monitor, or else refused. Of one who has ended already nothing can be found
//!   out (nor where /proc is not ours): then his user must be the command's, ours, or root. A number of 0
//!   is a process of another PID namespace that is not within ours, so no other container is ever
//!   believed.
//! - **Nothing comes with it.** Descriptors find no room and are closed by the kernel: what
//!   `sd_notify_barrier(3)` waits for. What is longer than 4096 bytes is passed over, as by systemd.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};
use nix::unistd::geteuid;

use crate::core::notice::Notice;
use crate::sys::datagram::{Sender, receive};
use crate::sys::{proc, process};

/// The longest datagram that is read, as for systemd (`NOTIFY_BUFFER_MAX` in its source).
const LONGEST: usize = 4096;

/// The socket of one run.
#[derive(Debug)]
pub struct NotifySocket {
    socket: UnixDatagram,
    /// As the variable has it.
    address: String,
    /// The user whom the command becomes.
    user: Option<u32>,
    /// A stranger was told of.
    stranger_told: bool,
}

/// What was heard.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    /// The command, or another process of its run, says something that matters.
    Notice(Notice),
    /// Nothing that matters, or nothing that could be read.
    Noise,
    /// Somebody else, for the first time; later ones are noise.
    Stranger(Sender),
}

impl NotifySocket {
    /// Makes it.
    pub fn open() -> io::Result<Self> {
        let name = format!("lockkeeper-notify-{}", process::random_hex::<8>());
        let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name)?)?;
        setsockopt(&socket, sockopt::PassCred, &true)?;
        Ok(Self {
            socket,
            address: format!("@{name}"),
            user: None,
            stranger_told: false,
        })
    }

    /// What the command finds in `NOTIFY_SOCKET`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The command becomes this user.
    pub const fn expect_user(&mut self, user: Option<u32>) {
        self.user = user;
    }

    /// What somebody has said; `None`: nobody has said more.
    pub fn hear(&mut self) -> Option<Heard> {
        let mut buffer = [0; LONGEST];
        let datagram = match receive(self.socket.as_fd(), &mut buffer) {
            Ok(datagram) => datagram,
            Err(Errno::EINTR) => return Some(Heard::Noise),
            Err(_) => return None,
        };
        let Some(sender) = datagram.sender else {
            return Some(Heard::Noise);
        };
        if !self.believes(sender) {
            let told = std::mem::replace(&mut self.stranger_told, true);
            return Some(if told {
                Heard::Noise
            } else {
                Heard::Stranger(sender)
            });
        }
        let text = buffer.get(..datagram.length).filter(|_| datagram.is_whole);
        let notice = text.and_then(Notice::parse);
        Some(notice.map_or(Heard::Noise, Heard::Notice))
    }

    fn believes(&self, sender: Sender) -> bool {
        if sender.pid <= 0 {
            return false;
        }
        proc::is_above(process::own_pid(), sender.pid).unwrap_or_else(|| {
            sender.uid == 0 || sender.uid == geteuid().as_raw() || Some(sender.uid) == self.user
        })
    }
}

impl AsFd for NotifySocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
