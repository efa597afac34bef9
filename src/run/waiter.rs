//! A thread that waits for something in the kernel: its turn in the queue of the lock, the end of
//! what keeps a directory from us, or a file system that answers when it likes.
//!
//! All signals are blocked in it, because a handled signal or a stop costs its place in the queue.
//! Nothing cancels it but the end of its process.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, OnceLock};

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::sys::thread;

/// Enough for a path, a message, and a record as deeply nested as one is read at all; what is not used
/// takes no memory.
const STACK: usize = 256 * 1024;

/// How a wait ended; an error is told in words.
pub type Answer = Result<(), String>;

/// A wait that goes on, or has come to its end.
#[derive(Debug)]
pub struct Waiter {
    done: Arc<EventFd>,
    answer: Arc<OnceLock<Answer>>,
}

impl Waiter {
    /// Begins to `wait`, for what belongs to open file descriptions, not to a thread.
    pub fn start(wait: Box<dyn FnOnce() -> Answer + Send>) -> io::Result<Self> {
        let done = Arc::new(EventFd::from_flags(
            EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK,
        )?);
        let answer = Arc::new(OnceLock::new());
        let (announce, tell) = (Arc::clone(&done), Arc::clone(&answer));
        thread::start("lock", STACK, move || {
            let _ = tell.set(wait());
            let _ = announce.write(1);
        })?;
        Ok(Self { done, answer })
    }

    /// The answer, once the descriptor can be read.
    pub fn answer(&self) -> Option<Answer> {
        self.answer.get().cloned()
    }
}

impl AsFd for Waiter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.done.as_fd()
    }
}
