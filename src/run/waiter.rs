//! The thread that waits for the lock in the kernel's queue.
//!
//! All signals are blocked in it, because a handled signal or a stop costs its place in the queue.
//! Nothing cancels it but the end of its process.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::lock::fault::LockError;
use crate::lock::shared::SharedLock;

/// Enough for flock(2) and one message.
const STACK: usize = 32 * 1024;

/// A wait that goes on, or has come to its end.
#[derive(Debug)]
pub struct Waiter {
    done: Arc<EventFd>,
    answer: Receiver<Result<(), LockError>>,
}

impl Waiter {
    /// Begins to wait for `lock`, which both threads use: flock(2) belongs to its open file
    /// description, not to a thread.
    pub fn start(lock: Arc<SharedLock>) -> io::Result<Self> {
        let done = Arc::new(EventFd::from_flags(
            EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK,
        )?);
        let (send, answer) = channel();
        let announce = Arc::clone(&done);
        thread::Builder::new()
            .name("lock".into())
            .stack_size(STACK)
            .spawn(move || {
                let _ = send.send(lock.lock_blocking());
                let _ = announce.write(1);
            })?;
        Ok(Self { done, answer })
    }

    /// The answer, once the descriptor can be read.
    pub fn answer(&self) -> Option<Result<(), LockError>> {
        self.answer.try_recv().ok()
    }
}

impl AsFd for Waiter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.done.as_fd()
    }
}
