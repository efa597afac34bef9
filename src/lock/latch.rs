//! The kernel lock below a claim: an open file description lock on an empty file.
//!
//! OFD locks and not flock(2), because they can be *asked* about: `F_OFD_GETLK` through a read-only
//! descriptor tells whether somebody holds one, and disturbs nobody (fcntl(2), "Open file
//! description locks"). As with flock(2), the owner is the open file description: it lives across
//! fork(2) until the last descriptor of it is closed. They see nothing of flock(2) locks.

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};

/// How much of a latch its owner takes. Either says that it lives, and neither goes beside the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole = 0,
    /// All but the first byte: it takes no turn on the lock that the claim lies beside.
    Rest = 1,
}

/// `part` of the file, whatever its length.
const fn range(kind: libc::c_int, part: Part) -> libc::flock {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the kinds and whences are numbers below ten; the kernel's struct has shorts"
    )]
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: part as libc::off_t,
        l_len: 0,
        // An OFD lock has no process; anything else is EINVAL.
        l_pid: 0,
    }
}

const fn whole(kind: libc::c_int) -> libc::flock {
    range(kind, Part::Whole)
}

/// Takes the latch; `false`: somebody else has it. Needs a descriptor open for writing.
///
/// # Errors
/// What fcntl(2) says: `EINVAL` on kernels before 3.15, `ENOLCK` on file systems without locks.
pub(super) fn try_lock(latch: impl AsFd) -> Result<bool, Errno> {
    try_lock_part(latch, Part::Whole)
}

/// [`try_lock`] for an owner that takes no more than `part`.
pub(super) fn try_lock_part(latch: impl AsFd, part: Part) -> Result<bool, Errno> {
    match fcntl(latch, FcntlArg::F_OFD_SETLK(&range(libc::F_WRLCK, part))) {
        Ok(_) => Ok(true),
        // fcntl(2) allows both.
        Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// [`try_lock`] where others may wait for the latch to be free ([`await_free`]): each has it for a
/// moment then, and is no owner.
pub(super) fn try_lock_beside_readers(latch: impl AsFd) -> Result<bool, Errno> {
    /// So many of them at once are an owner, for all we know.
    const ROUNDS: u32 = 64;
    for _ in 0..ROUNDS {
        if try_lock(latch.as_fd())? {
            return Ok(true);
        }
        if is_held(latch.as_fd())? {
            return Ok(false);
        }
        std::thread::yield_now();
    }
    Ok(false)
}

/// Waits in the kernel until the latch is ours, without a time limit: for a thread of its own. Needs
/// a descriptor open for writing.
pub(super) fn lock_blocking(latch: impl AsFd) -> Result<(), Errno> {
    loop {
        match fcntl(latch.as_fd(), FcntlArg::F_OFD_SETLKW(&whole(libc::F_WRLCK))) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// Frees the latch for every process that shares this open file description.
pub(super) fn unlock(latch: impl AsFd) -> Result<(), Errno> {
    fcntl(latch, FcntlArg::F_OFD_SETLK(&whole(libc::F_UNLCK))).map(drop)
}

/// Whether an owner holds the latch. A read-only descriptor is enough, and nothing is taken.
///
/// It is asked as a reader would ask: only a write lock answers, which needs write permission on
/// the latch, so that nobody who may merely read it can make a dead claim look alive.
pub(super) fn is_held(latch: impl AsFd) -> Result<bool, Errno> {
    blocks(latch, whole(libc::F_RDLCK))
}

/// Whether an owner holds all of the latch ([`Part::Whole`]), asked in the same way.
pub(super) fn is_held_whole(latch: impl AsFd) -> Result<bool, Errno> {
    let first_byte = libc::flock {
        l_len: 1,
        ..whole(libc::F_RDLCK)
    };
    blocks(latch, first_byte)
}

fn blocks(latch: impl AsFd, mut asked: libc::flock) -> Result<bool, Errno> {
    fcntl(latch, FcntlArg::F_OFD_GETLK(&mut asked))?;
    Ok(libc::c_int::from(asked.l_type) != libc::F_UNLCK)
}

/// Waits in the kernel until no owner holds the latch, without a time limit: for a thread of its own.
/// A read lock is asked for, so that a read-only descriptor is enough, and given back at once.
pub(super) fn await_free(latch: impl AsFd) -> Result<(), Errno> {
    loop {
        match fcntl(latch.as_fd(), FcntlArg::F_OFD_SETLKW(&whole(libc::F_RDLCK))) {
            Ok(_) => return unlock(latch),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{File, OpenOptions};

    use super::super::scratch::Scratch;
    use super::*;

    #[test]
    fn asking_takes_nothing_and_two_askers_see_the_same() {
        let dir = Scratch::new();
        let path = dir.join("latch");
        let owner = File::create(&path).unwrap();
        let asker = File::open(&path).unwrap();
        let another = File::open(&path).unwrap();
        assert_eq!(is_held(&asker), Ok(false));
        assert_eq!(is_held(&another), Ok(false));
        assert_eq!(try_lock(&owner), Ok(true));
        assert_eq!(is_held(&asker), Ok(true));
        assert_eq!(is_held(&another), Ok(true));
        unlock(&owner).unwrap();
        assert_eq!(is_held(&asker), Ok(false));
    }

    #[test]
    fn the_latch_lives_until_the_last_copy_is_closed() {
        let dir = Scratch::new();
        let path = dir.join("latch");
        let owner = File::create(&path).unwrap();
        assert_eq!(try_lock(&owner), Ok(true));
        let copy = owner.try_clone().unwrap();
        let other = OpenOptions::new().write(true).open(&path).unwrap();
        // A process lock would be lost here, by the close of any other descriptor of the file.
        drop(File::open(&path).unwrap());
        drop(owner);
        assert_eq!(try_lock(&other), Ok(false));
        drop(copy);
        assert_eq!(try_lock(&other), Ok(true));
    }

    #[test]
    fn an_owner_of_a_part_lives_and_keeps_all_others_out() {
        let dir = Scratch::new();
        let path = dir.join("latch");
        let owner = File::create(&path).unwrap();
        let other = File::create(&path).unwrap();
        let held = || (is_held(&other).unwrap(), is_held_whole(&other).unwrap());
        assert_eq!(try_lock_part(&owner, Part::Rest), Ok(true));
        assert_eq!(held(), (true, false));
        for part in [Part::Whole, Part::Rest] {
            assert_eq!(try_lock_part(&other, part), Ok(false));
        }
        unlock(&owner).unwrap();
        assert_eq!(try_lock_part(&owner, Part::Whole), Ok(true));
        assert_eq!(held(), (true, true));
        assert_eq!(try_lock_part(&other, Part::Rest), Ok(false));
    }

    #[test]
    fn who_may_only_read_cannot_feign_life() {
        let dir = Scratch::new();
        let path = dir.join("latch");
        File::create(&path).unwrap();
        let reader = File::open(&path).unwrap();
        fcntl(&reader, FcntlArg::F_OFD_SETLK(&whole(libc::F_RDLCK))).unwrap();
        assert_eq!(is_held(File::open(&path).unwrap()), Ok(false));
    }
}
