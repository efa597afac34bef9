//! Waiting for descriptors and a deadline: the one place in which a main loop rests.

use std::os::fd::BorrowedFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::{TimeSpec, TimeValLike};

use super::{clock, limits};
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

/// As [`wait`], for any number of descriptors; the most important stand first.
///
/// poll(2) takes no more than we may open (`RLIMIT_NOFILE`), and somebody may lower that from outside
/// (prlimit(1)): then the first are waited for, and the others are said to be ready whenever we wake.
pub fn wait_many(fds: &[Option<BorrowedFd<'_>>], until: Option<Time>) -> Vec<bool> {
    let mut polled: Vec<PollFd<'_>> = fds
        .iter()
        .flatten()
        .map(|fd| PollFd::new(*fd, PollFlags::POLLIN))
        .collect();
    let mut waited = rest(&mut polled, until);
    let mut most = polled.len();
    if waited == Err(Errno::EINVAL) {
        let own = limits::own(libc::RLIMIT_NOFILE as usize).map_or(0, |(soft, _)| soft);
        most = usize::try_from(own).unwrap_or(most).min(most);
        // Not even one: nothing is left to be told by but the time.
        let until = if most == 0 { Some(soon(until)) } else { until };
        let first = polled.get_mut(..most).unwrap_or_default();
        waited = rest(first, until);
    }
    // Out of memory is the only other error for valid descriptors; the loop's next turn tries again.
    if waited.is_err() {
        return vec![false; fds.len()];
    }
    let answers = polled.iter().enumerate();
    let mut answers = answers.map(|(at, fd)| at >= most || fd.any().unwrap_or(true));
    fds.iter()
        .map(|fd| fd.is_some() && answers.next().unwrap_or(false))
        .collect()
}

fn rest(fds: &mut [PollFd<'_>], until: Option<Time>) -> Result<(), Errno> {
    let limit = until.map(|until| {
        let nanos = until.since(clock::now()).as_nanos();
        TimeSpec::nanoseconds(i64::try_from(nanos).unwrap_or(i64::MAX))
    });
    ppoll(fds, limit, None).map(|_| ())
}

/// A second from now, or earlier.
fn soon(until: Option<Time>) -> Time {
    let soon = clock::now() + Duration::from_secs(1);
    until.map_or(soon, |until| until.min(soon))
}

/// Rests until `fd` can be written or has failed: for a thread that may block.
pub fn wait_for_room(fd: BorrowedFd<'_>) {
    // What woke us is told by the next write.
    let _ = wait_for_room_or(fd, [], None);
}

/// As [`wait`], and until `to` can be written or has failed; that is told first. Also where it cannot be
/// waited for: the next write tells.
pub fn wait_for_room_or<const N: usize>(
    to: BorrowedFd<'_>,
    fds: [Option<BorrowedFd<'_>>; N],
    until: Option<Time>,
) -> (bool, [bool; N]) {
    let mut polled = vec![PollFd::new(to, PollFlags::POLLOUT)];
    let others = fds.iter().flatten();
    polled.extend(others.map(|fd| PollFd::new(*fd, PollFlags::POLLIN)));
    if rest(&mut polled, until).is_err() {
        return (true, [false; N]);
    }
    let mut answers = polled.iter().map(|fd| fd.any().unwrap_or(true));
    let room = answers.next().unwrap_or(true);
    let others = fds.map(|fd| fd.is_some() && answers.next().unwrap_or(false));
    (room, others)
}
