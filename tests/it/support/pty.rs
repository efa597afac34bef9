//! A terminal of a test's own, and what a person sees and types there.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};

use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::openpty;
use nix::sys::signal::Signal;
use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};

use super::child::{signal, text, tie};
use super::stat::descendants;

/// How long a text may take to appear before the test is called hung.
const LIMIT_MS: u16 = 30_000;

/// The keys, as a terminal sends them.
pub(crate) const CTRL_C: &str = "\x03";
pub(crate) const CTRL_D: &str = "\x04";
pub(crate) const CTRL_Z: &str = "\x1a";
pub(crate) const CTRL_BACKSLASH: &str = "\x1c";

/// A terminal that echoes nothing, so that what appears was written by a program (but a shell may
/// turn the echo on: what is waited for is typed with quotes in it, as `re''ady`); and the session on it, all of which is killed when this is dropped.
pub(crate) struct Pty {
    /// None: hung up.
    master: Option<File>,
    leader: Child,
    /// What has appeared and was not waited for yet.
    seen: Vec<u8>,
}

impl Pty {
    /// Starts `command` as the leader of a new session with a new terminal, as a terminal window or
    /// `docker run -t` does. `start` is given the command to spawn it.
    #[track_caller]
    pub(crate) fn start(
        command: &mut Command,
        spawn: impl FnOnce(&mut Command) -> std::io::Result<Child>,
    ) -> Self {
        let ends = openpty(None, None).expect("a pseudo-terminal");
        for end in [&ends.master, &ends.slave] {
            let flag = FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC);
            fcntl(end, flag).expect("a flag of a descriptor");
        }
        let mut modes = tcgetattr(&ends.slave).expect("its modes");
        modes.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(&ends.slave, SetArg::TCSANOW, &modes).expect("its modes can be set");
        let copy = || ends.slave.try_clone().expect("a descriptor");
        let held: [OwnedFd; 3] = [copy(), copy(), copy()];
        let [stdin, stdout, stderr] = held;
        let leader = controlled(tie(command))
            .stdin(stdin)
            .stdout(stdout)
            .stderr(stderr);
        let child =
            spawn(leader).unwrap_or_else(|error| panic!("cannot start {leader:?}: {error}"));
        // The command still holds ends of the terminal, which would keep it from hanging up.
        leader.stdin(std::process::Stdio::null());
        leader.stdout(std::process::Stdio::null());
        leader.stderr(std::process::Stdio::null());
        Self {
            master: Some(ends.master.into()),
            leader: child,
            seen: Vec::new(),
        }
    }

    /// The leader of the session.
    pub(crate) fn pid(&self) -> i32 {
        self.leader.id().cast_signed()
    }

    /// The group in the foreground (`tcgetpgrp(3)`, which the master's side may ask too).
    pub(crate) fn foreground(&self) -> i32 {
        nix::unistd::tcgetpgrp(self.master()).map_or(0, nix::unistd::Pid::as_raw)
    }

    /// Closes the window.
    pub(crate) fn hang_up(&mut self) {
        self.master = None;
    }

    fn master(&self) -> &File {
        self.master.as_ref().expect("it has not hung up")
    }

    /// Types.
    #[track_caller]
    pub(crate) fn keys(&mut self, keys: &str) {
        self.master()
            .write_all(keys.as_bytes())
            .expect("it takes keys");
    }

    /// Types a line.
    #[track_caller]
    pub(crate) fn line(&mut self, line: &str) {
        self.keys(&format!("{line}\n"));
    }

    /// Changes the size of the window.
    pub(crate) fn resize(&self, rows: u16, columns: u16) {
        let size = nix::pty::Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        #[expect(unsafe_code, reason = "no library at hand resizes a terminal")]
        // SAFETY: the size lives through the call (`ioctl_tty(2)`).
        unsafe {
            libc::ioctl(self.master().as_raw_fd(), libc::TIOCSWINSZ, &raw const size);
        }
    }

    /// Waits until `mark` appears, and returns all that appeared up to its end.
    #[track_caller]
    pub(crate) fn until(&mut self, mark: &str) -> String {
        loop {
            let found = self
                .seen
                .windows(mark.len())
                .position(|at| at == mark.as_bytes());
            if let Some(at) = found {
                let rest = self.seen.split_off(at + mark.len());
                return text(&std::mem::replace(&mut self.seen, rest));
            }
            let more = self.read();
            assert!(
                more,
                "\"{mark}\" does not appear after: {}",
                text(&self.seen)
            );
        }
    }

    /// Waits for the end of the leader; its exit code, and what had appeared by then.
    #[track_caller]
    pub(crate) fn end(mut self) -> (Option<i32>, String) {
        while self.read() {}
        let status = self.leader.wait().expect("the leader is ours");
        (status.code(), text(&self.seen))
    }

    /// False: nothing more comes, or nothing came for too long.
    fn read(&mut self) -> bool {
        let mut polled = [PollFd::new(self.master().as_fd(), PollFlags::POLLIN)];
        if poll(&mut polled, PollTimeout::from(LIMIT_MS)) != Ok(1) {
            return false;
        }
        let mut buffer = [0; 4096];
        // EIO: no process has the terminal any more.
        let got = self.master().read(&mut buffer).unwrap_or(0);
        self.seen.extend(buffer.iter().take(got));
        got > 0
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        for pid in descendants(self.pid()) {
            signal(pid, Signal::SIGKILL);
        }
        drop(self.leader.kill());
        drop(self.leader.wait());
    }
}

/// Makes what is started the leader of a session that has standard input for its terminal.
fn controlled(command: &mut Command) -> &mut Command {
    #[expect(unsafe_code, reason = "the child itself enters its session")]
    // SAFETY: two system calls, both allowed after fork.
    unsafe {
        command.pre_exec(|| {
            nix::unistd::setsid()?;
            match libc::ioctl(0, libc::TIOCSCTTY, 0) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        })
    }
}
