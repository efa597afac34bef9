//! The thread that touches our claim and looks at those of others, on a file system that answers when
//! it likes: our own deadlines must not wait for it. One look at a time, and nothing cancels it but
//! the end of its process.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::lock::rivals;
use crate::sys::thread;

/// Enough for a folder and its entries, one at a time.
const STACK: usize = 64 * 1024;

/// A look that goes on, or has come to its end.
#[derive(Debug)]
pub struct Look {
    done: Arc<EventFd>,
    seen: Arc<OnceLock<Vec<(String, i64)>>>,
}

impl Look {
    /// Touches `latch`, then looks at the other claims in `folder`.
    pub fn start(latch: OwnedFd, folder: PathBuf, run_id: String) -> io::Result<Self> {
        let done = Arc::new(EventFd::from_flags(
            EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK,
        )?);
        let seen = Arc::new(OnceLock::new());
        let (announce, tell) = (Arc::clone(&done), Arc::clone(&seen));
        thread::start("look", STACK, move || {
            rivals::touch(&latch);
            if let Some(stamps) = rivals::look(&folder, &run_id) {
                let _ = tell.set(stamps);
            }
            let _ = announce.write(1);
        })?;
        Ok(Self { done, seen })
    }

    /// What was seen, once the descriptor can be read; `None`: nothing could be.
    pub fn seen(self) -> Option<Vec<(String, i64)>> {
        self.seen.get().cloned()
    }
}

impl AsFd for Look {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.done.as_fd()
    }
}
