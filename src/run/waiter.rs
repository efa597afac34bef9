//! A thread that waits for something in the kernel: its turn in the queue of the lock, the end of
//! what keeps a directory from us, or a file system that answers when it likes.
//!
//! All signals are blocked in it, because a handled signal or a stop costs its place in the queue.
//! Nothing cancels it but the end of its process.
//!
//! It ends when its [`Waiter`] is dropped, if it has its answer by then. What a thread leaves is taken from
//! the process's memory, and every processor on which that is in use is interrupted for it: beside the
//! start of a command, to which the answer may lead, that would be a twelfth of a hand-off of the lock.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, OnceLock};

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::sys::thread;

/// Enough for a path, a message, and a record as deeply nested as one is read at all; what is not used
/// takes no memory.
const STACK: usize = 256 * 1024;

/// The thread's name.
const NAME: &str = "lock";

/// How a wait ended; an error is told in words.
pub type Answer = Result<(), String>;

/// A wait that goes on, or has come to its end.
#[derive(Debug)]
pub struct Waiter {
    done: Arc<EventFd>,
    answer: Arc<OnceLock<Answer>>,
    /// Set when nobody wants the thread any more.
    over: Arc<OnceLock<()>>,
}

impl Waiter {
    /// Begins to `wait`, for what belongs to open file descriptions, not to a thread.
    pub fn start(wait: Box<dyn FnOnce() -> Answer + Send>) -> io::Result<Self> {
        let done = Arc::new(EventFd::from_flags(
            EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK,
        )?);
        let answer = Arc::new(OnceLock::new());
        let over = Arc::new(OnceLock::new());
        let (announce, tell) = (Arc::clone(&done), Arc::clone(&answer));
        let end = Arc::clone(&over);
        thread::start(NAME, STACK, move || {
            let _ = tell.set(wait());
            let _ = announce.write(1);
            end.wait();
        })?;
        Ok(Self { done, answer, over })
    }

    /// The answer, once the descriptor can be read.
    pub fn answer(&self) -> Option<Answer> {
        self.answer.get().cloned()
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let _ = self.over.set(());
    }
}

impl AsFd for Waiter {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.done.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::sys::poll;

    /// How many threads of this process wait for something.
    fn waiting() -> usize {
        let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
        let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
        names.filter(|name| name.trim() == NAME).count()
    }

    #[test]
    fn the_thread_stays_with_its_answer_and_goes_with_its_waiter() {
        let waiter = Waiter::start(Box::new(|| Err("so it is".to_owned()))).unwrap();
        poll::wait([Some(waiter.as_fd())], None);
        assert_eq!(waiter.answer(), Some(Err("so it is".to_owned())));
        assert_eq!(waiting(), 1);
        drop(waiter);
        while waiting() > 0 {
            std::thread::yield_now();
        }
    }
}
