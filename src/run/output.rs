//! The command's output, where a watchdog has to see it: a thread for each stream reads the
//! command's pipe and writes on to where we were told to write, and may block in either.
//!
//! The main loop never waits for a stream: it is told of a final line through a descriptor, and
//! asks for the time of the last output when its idle deadline has come. A reader behind us that
//! does not take the output holds up the command, as a pipe would, and not the watchdogs.
//! When the tree is empty, what is there is read and written on; the end of the stream is not
//! waited for, as a process outside the tree may hold the pipe open for ever.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::unistd::pipe2;

use crate::config::plan::Limits;
use crate::core::final_line::{Found, Scanner};
use crate::core::time::Time;
use crate::sys::{clock, poll, thread};

/// One read; a pipe's own size (`pipe(7)`).
const PIECE: usize = 64 * 1024;
/// After the tree is empty, a writer outside it is followed no further than this.
const REST: usize = 1024 * 1024;
const STACK: usize = 128 * 1024;

/// What the threads and the main loop share.
#[derive(Debug)]
struct Shared {
    /// Nanoseconds of [`Time`] of the last read or write.
    last: AtomicU64,
    /// How many threads are in a write.
    writing: AtomicUsize,
    /// How many threads have not come to their end.
    going: AtomicUsize,
    final_seen: AtomicBool,
    final_failed: AtomicBool,
    /// Tells the main loop: a final line, or the end of a thread.
    news: EventFd,
    /// Tells the threads: the tree is empty.
    quit: EventFd,
}

/// The ends that the command gets; dropped after the spawn, so that only it holds them.
#[derive(Debug)]
pub struct Ends {
    /// Its standard output.
    pub stdout: OwnedFd,
    /// Its standard error, where silence on it counts too.
    pub stderr: Option<OwnedFd>,
}

/// The streams of one command.
#[derive(Debug)]
pub struct Output {
    shared: Arc<Shared>,
}

impl Output {
    /// Makes the pipes and threads that `limits` ask for; `None` where the command can have our own
    /// streams.
    pub fn start(limits: &Limits) -> io::Result<Option<(Self, Ends)>> {
        if limits.idle_timeout.is_none() && limits.final_line.is_none() {
            return Ok(None);
        }
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let shared = Arc::new(Shared {
            last: AtomicU64::new(clock::now().0),
            writing: AtomicUsize::new(0),
            going: AtomicUsize::new(0),
            final_seen: AtomicBool::new(false),
            final_failed: AtomicBool::new(false),
            news: EventFd::from_flags(flags)?,
            quit: EventFd::from_flags(flags)?,
        });
        let output = Self { shared };
        let scanner = limits.final_line.as_ref().map(Scanner::new);
        let stdout = output.stream("stdout", io::stdout().as_fd(), scanner)?;
        let stderr = match limits.idle_timeout {
            Some(_) => Some(output.stream("stderr", io::stderr().as_fd(), None)?),
            None => None,
        };
        Ok(Some((output, Ends { stdout, stderr })))
    }

    fn stream(
        &self,
        name: &str,
        to: BorrowedFd<'_>,
        scanner: Option<Scanner>,
    ) -> io::Result<OwnedFd> {
        let (from, end) = pipe2(OFlag::O_CLOEXEC)?;
        let to = File::from(to.try_clone_to_owned()?);
        let shared = Arc::clone(&self.shared);
        shared.going.fetch_add(1, Ordering::Relaxed);
        let stream = Stream {
            from: File::from(from),
            to,
            scanner,
            shared,
        };
        thread::start(name, STACK, move || stream.run())?;
        Ok(end)
    }

    /// A final line that came since this was last asked.
    pub fn final_line(&self) -> Option<Found> {
        let _ = self.shared.news.read();
        self.shared
            .final_seen
            .swap(false, Ordering::Acquire)
            .then(|| Found {
                failed: self.shared.final_failed.load(Ordering::Relaxed),
            })
    }

    /// When something was last heard; now, while a reader behind us holds up the command.
    pub fn last(&self) -> Time {
        if self.shared.writing.load(Ordering::Acquire) > 0 {
            clock::now()
        } else {
            Time(self.shared.last.load(Ordering::Acquire))
        }
    }

    /// The tree is empty: the threads write on what is there, and end.
    pub fn finish(&self) {
        // One for each thread that may wait for it; it is never read, so it stays readable.
        let _ = self.shared.quit.write(1);
    }

    /// Whether every thread has come to its end.
    pub fn is_finished(&self) -> bool {
        let _ = self.shared.news.read();
        self.shared.going.load(Ordering::Acquire) == 0
    }
}

impl AsFd for Output {
    /// Readable when [`Output::final_line`] or [`Output::is_finished`] may have an answer.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.news.as_fd()
    }
}

/// One thread's part.
struct Stream {
    from: File,
    to: File,
    scanner: Option<Scanner>,
    shared: Arc<Shared>,
}

impl Stream {
    fn run(mut self) {
        self.copy();
        if let Some(found) = self.scanner.as_mut().and_then(Scanner::end_of_line) {
            self.tell(found);
        }
        self.shared.going.fetch_sub(1, Ordering::Release);
        let _ = self.shared.news.write(1);
    }

    /// Ends at the end of the stream, when nobody takes it any more (the command then meets a broken
    /// pipe of its own), or when the tree is empty and nothing is left in the pipe.
    fn copy(&mut self) {
        let mut piece = vec![0; PIECE];
        let mut rest = REST;
        loop {
            let fds = [Some(self.from.as_fd()), Some(self.shared.quit.as_fd())];
            let [readable, quit] = poll::wait(fds, None);
            if !readable && quit {
                return;
            }
            if !readable {
                continue;
            }
            let Ok(length @ 1..) = self.from.read(&mut piece) else {
                return;
            };
            let Some(piece) = piece.get(..length) else {
                return;
            };
            if let Some(found) = self
                .scanner
                .as_mut()
                .and_then(|scanner| scanner.feed(piece))
            {
                self.tell(found);
            }
            self.shared.writing.fetch_add(1, Ordering::Release);
            let written = write_all(&self.to, piece);
            self.shared.last.store(clock::now().0, Ordering::Release);
            self.shared.writing.fetch_sub(1, Ordering::Release);
            if written.is_err() {
                return;
            }
            if quit {
                rest = rest.saturating_sub(length);
                if rest == 0 {
                    return;
                }
            }
        }
    }

    fn tell(&self, found: Found) {
        self.shared
            .final_failed
            .store(found.failed, Ordering::Relaxed);
        self.shared.final_seen.store(true, Ordering::Release);
        let _ = self.shared.news.write(1);
    }
}

/// Writes all of `piece`. Whoever shares our output may have made it non-blocking (the flag belongs
/// to the open file description, open(2)): then room is waited for.
fn write_all(to: &File, mut piece: &[u8]) -> Result<(), Errno> {
    while !piece.is_empty() {
        match nix::unistd::write(to, piece) {
            Ok(done) => piece = piece.get(done..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => poll::wait_for_room(to.as_fd()),
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
