//! PID and mount namespaces that live over many rounds, all with one folder bound into them, and
//! starting programs in there without a helper's exec in between.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::ptr::{null, null_mut};
use std::thread::sleep;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::tracer;
use crate::support::child;

/// A namespace with its PID 1.
pub(crate) struct Space {
    pub(crate) pid1: i32,
    pids: File,
    mounts: File,
}

/// The folder `from` is to be seen at `to`.
#[derive(Clone, Debug)]
pub(crate) struct Bind {
    pub(crate) from: PathBuf,
    pub(crate) to: PathBuf,
}

impl Space {
    /// Starts `command` as PID 1 of new namespaces.
    pub(crate) fn open(mut command: Command, bind: &Bind) -> io::Result<Self> {
        let [from, to] =
            [&bind.from, &bind.to].map(|path| CString::new(path.as_os_str().as_bytes()));
        let (from, to) = (from?, to?);
        let enter = move || {
            let (none, private) = (null(), libc::MS_REC | libc::MS_PRIVATE);
            let proc = c"proc".as_ptr();
            #[expect(unsafe_code, reason = "no library at hand makes a namespace")]
            // SAFETY: valid C strings or null, as mount(2) allows for these flags.
            unsafe {
                done(libc::unshare(libc::CLONE_NEWNS))?;
                done(libc::mount(none, c"/".as_ptr(), none, private, null()))?;
                done(libc::mount(
                    from.as_ptr(),
                    to.as_ptr(),
                    none,
                    libc::MS_BIND,
                    null(),
                ))?;
                done(libc::mount(proc, c"/proc".as_ptr(), proc, 0, null()))
            }
        };
        let pid1 = born(None, || start(&mut command, enter))?;
        Ok(Self {
            pid1,
            pids: File::open(format!("/proc/{pid1}/ns/pid"))?,
            mounts: File::open(format!("/proc/{pid1}/ns/mnt"))?,
        })
    }

    /// Starts `command` in there, as `docker exec` would.
    pub(crate) fn start(&self, command: &mut Command, traced: bool) -> io::Result<i32> {
        let mounts = self.mounts.as_raw_fd();
        let enter = move || {
            set_namespace(mounts, libc::CLONE_NEWNS)?;
            if traced { tracer::trace_me() } else { Ok(()) }
        };
        born(Some(&self.pids), || start(command, enter))
    }
}

/// Starts `command`, tied to this thread; `enter` runs in it before exec. Its status is for
/// [`tracer::wait`].
fn start(
    command: &mut Command,
    enter: impl Fn() -> io::Result<()> + Send + Sync + 'static,
) -> io::Result<i32> {
    #[expect(unsafe_code, reason = "namespaces are entered between fork and exec")]
    // SAFETY: `enter` makes system calls alone.
    unsafe {
        child::tie(command).pre_exec(enter);
    }
    command.stdin(Stdio::null()).stdout(Stdio::null());
    loop {
        match command.spawn() {
            Ok(child) => return Ok(child.id().cast_signed()),
            // Out of processes: a storm of another test is about to end.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                sleep(Duration::from_millis(20));
            }
            Err(error) => return Err(error),
        }
    }
}

/// Has this thread's children be born in the namespace `pids`, or a new one, while `start` runs.
fn born<T>(pids: Option<&File>, start: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let own = File::open("/proc/thread-self/ns/pid_for_children")?;
    match pids {
        Some(pids) => set_namespace(pids.as_raw_fd(), libc::CLONE_NEWPID)?,
        None => {
            #[expect(unsafe_code, reason = "no library at hand makes a namespace")]
            // SAFETY: changes only where this thread's children will be born.
            done(unsafe { libc::unshare(libc::CLONE_NEWPID) })?;
        }
    }
    let started = start();
    set_namespace(own.as_raw_fd(), libc::CLONE_NEWPID)?;
    started
}

fn set_namespace(fd: RawFd, kind: i32) -> io::Result<()> {
    #[expect(unsafe_code, reason = "no library at hand enters a namespace")]
    // SAFETY: takes numbers only.
    done(unsafe { libc::setns(fd, kind) })
}

fn done(answer: i32) -> io::Result<()> {
    if answer == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// A process that cannot be mistaken for another one of the same number.
pub(crate) struct Handle(OwnedFd);

impl Handle {
    /// The process `pid`, if it is `parent`'s child; 0 for any parent.
    pub(crate) fn of(pid: i32, parent: i32) -> Option<Self> {
        #[expect(unsafe_code, reason = "pidfd_open(2) has no wrapper")]
        // SAFETY: takes numbers only, and the descriptor is fresh.
        let fd = unsafe {
            let fd = libc::syscall(libc::SYS_pidfd_open, pid, 0);
            (fd >= 0)
                .then(|| RawFd::try_from(fd).ok())
                .flatten()
                .map(|fd| OwnedFd::from_raw_fd(fd))
        }?;
        (parent == 0 || parent_of(pid) == Some(parent)).then_some(Self(fd))
    }

    pub(crate) fn signal(&self, signal: i32) -> bool {
        let info = null_mut::<libc::siginfo_t>();
        #[expect(unsafe_code, reason = "pidfd_send_signal(2) has no wrapper")]
        // SAFETY: no siginfo is allowed.
        let sent = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                self.0.as_raw_fd(),
                signal,
                info,
                0,
            )
        };
        sent == 0
    }

    /// Waits until the process has ended (`pidfd_open(2)`: then it can be read).
    pub(crate) fn await_end(&self) {
        let mut fds = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        while poll(&mut fds, PollTimeout::NONE).is_err() {}
    }
}

fn parent_of(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after = stat.rsplit(')').next()?;
    after.split_whitespace().nth(1)?.parse().ok()
}

/// Holds the lock at `path` once it is free: what `flock(1)` does.
pub(crate) fn hold(path: &Path) -> io::Result<Held> {
    let file = File::open(path)?;
    loop {
        match fs2::FileExt::lock_exclusive(&file) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            answer => return answer.map(|()| Held(file)),
        }
    }
}

pub(crate) struct Held(File);

impl Drop for Held {
    fn drop(&mut self) {
        // By word: another thread's child may have a copy of the descriptor until its exec.
        drop(fs2::FileExt::unlock(&self.0));
    }
}
