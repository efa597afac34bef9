//! Waiting for descriptors and a deadline: the one place in which a main loop rests.

use std::os::fd::BorrowedFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::{TimeSpec, TimeValLike};

use super::clock;
use crate::core::time::Time;

/// Rests until one of `fds` can be read, has hung up or failed, or `until` has come; says which.
/// `None` in `fds` never answers, and no `until` means no limit of time.
pub fn wait<const N: usize>(fds: [Option<BorrowedFd<'_>>; N], until: Option<Time>) -> [bool; N] {
    let mut answers = wait_many(&fds, until).into_iter();
    fds.map(|_| answers.next().unwrap_or(false))
}

/// Whether `fd` can be read now, has hung up or failed.
pub fn is_ready(fd: BorrowedFd<'_>) -> bool {
    let mut polled = [PollFd::new(fd, PollFlags::POLLIN)];
    ppoll(&mut polled, Some(TimeSpec::nanoseconds(0)), None).is_ok_and(|ready| ready > 0)
}

/// As [`wait`], for any number of descriptors.
pub fn wait_many(fds: &[Option<BorrowedFd<'_>>], until: Option<Time>) -> Vec<bool> {
    let mut polled: Vec<PollFd<'_>> = fds
        .iter()
        .flatten()
        .map(|fd| PollFd::new(*fd, PollFlags::POLLIN))
        .collect();
    let limit = until.map(|until| {
        let nanos = until.since(clock::now()).as_nanos();
        TimeSpec::nanoseconds(i64::try_from(nanos).unwrap_or(i64::MAX))
    });
    // Out of memory is the only other error for valid descriptors; the loop's next turn tries again.
    if let Err(Errno::EINTR | Errno::ENOMEM) = ppoll(&mut polled, limit, None) {
        return vec![false; fds.len()];
    }
    let mut answers = polled.iter().map(|fd| fd.any().unwrap_or(true));
    fds.iter()
        .map(|fd| fd.is_some() && answers.next().unwrap_or(false))
        .collect()
}

/// Rests until `fd` can be written or has failed: for a thread that may block.
pub fn wait_for_room(fd: BorrowedFd<'_>) {
    let mut polled = [PollFd::new(fd, PollFlags::POLLOUT)];
    // What woke us is told by the next write.
    let _ = ppoll(&mut polled, None, None);
}
