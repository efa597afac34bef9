//! The thread that touches our claim and looks at those of others, on a file system that answers when
//! it likes: our own deadlines must not wait for it. One look at a time, and nothing cancels it but
//! the end of its process.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::lock::rivals;

/// Enough for a folder and its entries, one at a time.
const STACK: usize = 64 * 1024;

/// A look that goes on, or has come to its end.
#[derive(Debug)]
pub struct Look {
    done: Arc<EventFd>,
    thread: JoinHandle<Option<Vec<(String, i64)>>>,
}

impl Look {
    /// Touches `latch`, then looks at the other claims in `folder`.
    pub fn start(latch: OwnedFd, folder: PathBuf, run_id: String) -> io::Result<Self> {
        let done = Arc::new(EventFd::from_flags(
            EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK,
        )?);
        let announce = Arc::clone(&done);
        let thread = thread::Builder::new()
            .name("look".into())
            .stack_size(STACK)
            .spawn(move || {
                rivals::touch(&latch);
                let seen = rivals::look(&folder, &run_id);
                let _ = announce.write(1);
                seen
            })?;
        Ok(Self { done, thread })
    }

    /// What was seen, once the descriptor can be read; `None`: nothing could be.
    pub fn seen(self) -> Option<Vec<(String, i64)>> {
        self.thread.join().ok().flatten()
    }
}

impl AsFd for Look {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.done.as_fd()
    }
}
