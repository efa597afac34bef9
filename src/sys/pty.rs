//! A pseudo-terminal for a command that nobody sits at (pty(7)).
//!
//! Our side is read as a pipe is. The kernel says `EIO` there, and hangs up without a rest, as long as
//! nobody has the command's side open; so a copy of that stays with us, and a command may close its own
//! and open `/dev/tty` later.
//!
//! Nobody types. Whoever reads from it all the same is to meet the end of the input, as on `/dev/null`:
//! an end of file is typed, and another one once that has been read and something was said since
//! ([`Pty::type_end`]).

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use nix::errno::Errno;

use super::poll;

/// What makes a new one (pts(4)).
pub const MULTIPLEXER: &str = "/dev/ptmx";

/// Both sides of one.
#[derive(Debug)]
pub struct Pty {
    ours: File,
    terminal: OwnedFd,
}

impl Pty {
    /// Makes one of this size that writes lines as a pipe would, without a carriage return. Fails where
    /// there is no `/dev/ptmx`, or no more are to be had (`ENOSPC`).
    pub fn open(rows: u16, cols: u16, echo: bool) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        // As PID 1 or the leader of a session we would make it our own otherwise.
        let ours = options
            .custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK)
            .open(MULTIPLEXER)?;
        let terminal = peer(&ours)?;
        let pty = Self { ours, terminal };
        pty.set_modes(echo)?;
        pty.set_size(rows, cols)?;
        pty.type_end();
        Ok(pty)
    }

    /// Our side, non-blocking.
    pub const fn ours(&self) -> &File {
        &self.ours
    }

    /// A copy of the command's side.
    pub fn terminal(&self) -> io::Result<OwnedFd> {
        self.terminal.try_clone()
    }

    /// Types an end of file, if none is there that nobody has read, and the terminal reads lines: to a
    /// program that reads keys it would be one.
    pub fn type_end(&self) {
        if poll::is_ready(self.terminal.as_fd()) {
            return;
        }
        let Ok(modes) = self.modes() else { return };
        let end = modes.c_cc.get(libc::VEOF).copied().unwrap_or_default();
        // Zero: it has none (termios(3), _POSIX_VDISABLE).
        if modes.c_lflag & libc::ICANON != 0 && end != 0 {
            // Nothing else is ever written here, so there is room.
            let _ = (&self.ours).write(&[end]);
        }
    }

    fn modes(&self) -> io::Result<libc::termios> {
        let mut modes = MaybeUninit::<libc::termios>::zeroed();
        // SAFETY: `modes` is valid for writing, and all zeros is a valid value of it.
        let (answer, modes) = unsafe {
            let answer = libc::tcgetattr(self.terminal.as_raw_fd(), modes.as_mut_ptr());
            (answer, modes.assume_init())
        };
        Errno::result(answer)?;
        Ok(modes)
    }

    fn set_modes(&self, echo: bool) -> io::Result<()> {
        let mut modes = self.modes()?;
        modes.c_iflag |= libc::IUTF8;
        modes.c_oflag &= !libc::ONLCR;
        if !echo {
            modes.c_lflag &= !libc::ECHO;
        }
        // SAFETY: `modes` is valid for reading.
        let answer =
            unsafe { libc::tcsetattr(self.terminal.as_raw_fd(), libc::TCSANOW, &raw const modes) };
        Errno::result(answer)?;
        Ok(())
    }

    fn set_size(&self, rows: u16, cols: u16) -> io::Result<()> {
        let size = libc::winsize {
            ws_row: rows,
            ws_col: cols,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        // SAFETY: `size` is valid for reading (TIOCSWINSZ(2const)).
        let answer =
            unsafe { libc::ioctl(self.terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
        Errno::result(answer)?;
        Ok(())
    }
}

impl AsFd for Pty {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.ours.as_fd()
    }
}

/// The command's side. By the descriptor, where the kernel can (Linux 4.13, `ioctl_tty(2)`): then no
/// path in this container can lead elsewhere.
fn peer(ours: &File) -> io::Result<OwnedFd> {
    let (fd, unlocked): (_, libc::c_int) = (ours.as_raw_fd(), 0);
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: the number is valid for reading; the second call takes numbers only.
    let peer = unsafe {
        Errno::result(libc::ioctl(fd, libc::TIOCSPTLCK, &raw const unlocked))?;
        libc::ioctl(fd, libc::TIOCGPTPEER, flags)
    };
    if peer >= 0 {
        // SAFETY: the call succeeded, so `peer` is open and nobody else's.
        return Ok(unsafe { OwnedFd::from_raw_fd(peer) });
    }
    let mut number: libc::c_uint = 0;
    // SAFETY: the number is valid for writing.
    Errno::result(unsafe { libc::ioctl(fd, libc::TIOCGPTN, &raw mut number) })?;
    let mut options = OpenOptions::new();
    options.read(true).write(true).custom_flags(libc::O_NOCTTY);
    Ok(options.open(format!("/dev/pts/{number}"))?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_typed_once_it_was_read_and_only_to_who_reads_lines() {
        let pty = Pty::open(24, 80, false).unwrap();
        let is_typed = || poll::is_ready(pty.terminal.as_fd());
        let read = || nix::unistd::read(&pty.terminal, &mut [0; 8]);
        assert!(is_typed());
        pty.type_end();
        assert_eq!(read(), Ok(0));
        assert!(!is_typed(), "it was typed twice");
        let set = |raw: bool| {
            let mut modes = pty.modes().unwrap();
            if raw {
                modes.c_lflag &= !libc::ICANON;
            } else {
                modes.c_lflag |= libc::ICANON;
            }
            let fd = pty.terminal.as_raw_fd();
            // SAFETY: `modes` is valid for reading.
            let set = unsafe { libc::tcsetattr(fd, libc::TCSAFLUSH, &raw const modes) };
            assert_eq!(set, 0);
        };
        set(true);
        pty.type_end();
        assert!(!is_typed(), "a key was typed");
        set(false);
        pty.type_end();
        assert_eq!(read(), Ok(0));
    }
}
