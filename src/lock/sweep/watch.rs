//! Waiting for a sign of life of the owners of lock directories, without polling.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

/// A watch over directories, each with a number of the caller's; its descriptor becomes readable when
/// something has happened to one of them.
///
/// Blind on NFS, FUSE, 9p and virtiofs to what other hosts do: compare once more in the end.
#[derive(Debug)]
pub struct Watch {
    inotify: Inotify,
    watched: Vec<(WatchDescriptor, usize)>,
}

impl Watch {
    /// A watch over nothing yet.
    ///
    /// # Errors
    /// No inotify instance was to be had (`EMFILE`: the limit is per user over all containers).
    pub fn new() -> Result<Self, Errno> {
        Ok(Self {
            inotify: Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?,
            watched: Vec::new(),
        })
    }

    /// Watches a directory. Setting its times shows as `IN_ATTRIB` (inotify(7)), setting that of its
    /// modification alone as `IN_MODIFY`; what happens in it is not asked for.
    ///
    /// # Errors
    /// It is gone, or no watch was to be had (`ENOSPC`).
    pub fn add(&mut self, path: &Path, number: usize) -> Result<(), Errno> {
        let events = AddWatchFlags::IN_ATTRIB
            | AddWatchFlags::IN_MODIFY
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_ONLYDIR
            | AddWatchFlags::IN_DONT_FOLLOW;
        let descriptor = self.inotify.add_watch(path, events)?;
        self.watched.push((descriptor, number));
        Ok(())
    }

    /// The numbers of those to which something has happened since it was last asked. Never blocks.
    pub fn drain(&self) -> Vec<usize> {
        let mut happened = Vec::new();
        while let Ok(events) = self.inotify.read_events() {
            for event in events {
                let lost = event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW);
                let touched =
                    |(descriptor, _): &&(WatchDescriptor, usize)| lost || *descriptor == event.wd;
                happened.extend(
                    self.watched
                        .iter()
                        .filter(touched)
                        .map(|(_, number)| number),
                );
            }
        }
        happened
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}
