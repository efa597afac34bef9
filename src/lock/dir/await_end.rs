//! Waiting for the end of another's claim, by an event of the kernel's in each case: the latch is
//! free, the record changes, its owner's process ends. Nothing is polled.
//!
//! Everything here blocks without a limit, in a thread of its own, and is cancelled only by the end
//! of the process. It decides nothing: whoever waited tries again.

use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::conflict::{DirError, Doing};
use super::place::Place;
use super::stat::Stamp;
use crate::lock::latch;
use crate::sys::pidfd::PidFd;
use crate::sys::poll;

/// What would be the end of a claim.
#[derive(Debug)]
pub enum Until {
    /// Its latch is free; it is ours then.
    Latch,
    /// The record is no longer kept by another tool.
    Coordination,
    /// The record is no longer this one, or the process of its owner has ended.
    Record(Stamp, Option<PidFd>),
    /// The latch of another directory's lock is free.
    Other(OwnedFd),
    /// One of these, at another directory's lock.
    Elsewhere(Box<(Place, Until)>),
    /// Nothing that could be awaited: a person decides.
    Never,
}

impl Until {
    pub(super) fn wait(&self, place: &Place, latch: &OwnedFd) -> Result<(), DirError> {
        let failed = |doing| move |errno| place.error(doing, errno);
        match self {
            Self::Latch => latch::lock_blocking(latch).map_err(failed(Doing::Locking)),
            Self::Coordination => place.await_coordination(),
            Self::Record(stamp, process) => {
                await_change(place, *stamp, process.as_ref()).map_err(failed(Doing::Watching))
            }
            Self::Other(latch) => latch::await_free(latch).map_err(failed(Doing::Locking)),
            Self::Elsewhere(there) => there.1.wait(&there.0, latch),
            Self::Never => Ok(()),
        }
    }
}

/// The watch is on the folder, as a record is replaced by rename(2); what other files do in it wakes
/// nobody but this thread.
fn await_change(place: &Place, stamp: Stamp, process: Option<&PidFd>) -> Result<(), Errno> {
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
    let events = AddWatchFlags::IN_MOVED_TO
        | AddWatchFlags::IN_MOVED_FROM
        | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_CLOSE_WRITE
        | AddWatchFlags::IN_DELETE_SELF
        | AddWatchFlags::IN_MOVE_SELF
        | AddWatchFlags::IN_ONLYDIR
        | AddWatchFlags::IN_DONT_FOLLOW;
    match inotify.add_watch(&place.folder_path(), events) {
        // Somebody has cleared it away: there is nothing to wait for.
        Err(_) if !place.has_folder() => return Ok(()),
        answer => answer?,
    };
    loop {
        // First: what happened before the watch began is not reported, and it may be the watch of a
        // folder that was put in the place of ours.
        if place.stamp() != Some(stamp) || !place.has_folder() {
            return Ok(());
        }
        let [_, ended] = poll::wait([Some(inotify.as_fd()), process.map(AsFd::as_fd)], None);
        if ended {
            return Ok(());
        }
        let mut events = [0_u8; 1024];
        while nix::unistd::read(&inotify, &mut events).is_ok_and(|bytes| bytes > 0) {}
    }
}
