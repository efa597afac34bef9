//! The thread that waits for the lock in the kernel's queue.
//!
//! All signals are blocked in it, because a handled signal or a stop costs its place in the queue.
//! Nothing cancels it but the end of its process.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, OnceLock};

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::lock::fault::LockError;
use crate::lock::shared::SharedLock;
use crate::sys::thread;

/// Enough for flock(2) and one message.
const STACK: usize = 32 * 1024;

/// A wait that goes on, or has come to its end.
#[derive(Debug)]
pub struct Waiter {
    done: Arc<EventFd>,
    answer: Arc<OnceLock<Result<(), LockError>>>,
}

impl Waiter {
    /// Begins to wait for `lock`, which both threads use: flock(2) belongs to its open file
    /// description, not to a thread.
    pub fn start(lock: Arc<SharedLock>) -> io::Result<Self> {
        let done = Arc::new(EventFd::from_flags(
            EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK,
        )?);
        let answer = Arc::new(OnceLock::new());
        let (announce, tell) = (Arc::clone(&done), Arc::clone(&answer));
        thread::start("lock", STACK, move || {
            let _ = tell.set(lock.lock_blocking());
            let _ = announce.write(1);
        })?;
        Ok(Self { done, answer })
    }

    /// The answer, once the descriptor can be read.
    pub fn answer(&self) -> Option<Result<(), LockError>> {
        self.answer.get().cloned()
    }
}

impl AsFd for Waiter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.done.as_fd()
    }
}
