//! A thread that waits for something in the kernel: its turn in the queue of the lock, or the end of
//! what keeps a directory from us.
//!
//! All signals are blocked in it, because a handled signal or a stop costs its place in the queue.
//! Nothing cancels it but the end of its process.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use nix::sys::eventfd::{EfdFlags, EventFd};

/// Enough for a system call, a path and one message.
const STACK: usize = 32 * 1024;

/// How a wait ended; an error is told in words.
pub type Answer = Result<(), String>;

/// A wait that goes on, or has come to its end.
#[derive(Debug)]
pub struct Waiter {
    done: Arc<EventFd>,
    answer: Receiver<Answer>,
}

impl Waiter {
    /// Begins to `wait`, for what belongs to open file descriptions, not to a thread.
    pub fn start(wait: Box<dyn FnOnce() -> Answer + Send>) -> io::Result<Self> {
        let done = Arc::new(EventFd::from_flags(
            EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK,
        )?);
        let (send, answer) = channel();
        let announce = Arc::clone(&done);
        thread::Builder::new()
            .name("lock".into())
            .stack_size(STACK)
            .spawn(move || {
                let _ = send.send(wait());
                let _ = announce.write(1);
            })?;
        Ok(Self { done, answer })
    }

    /// The answer, once the descriptor can be read.
    pub fn answer(&self) -> Option<Answer> {
        self.answer.try_recv().ok()
    }
}

impl AsFd for Waiter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.done.as_fd()
    }
}
