//! gastown's own lock on the record, `agent.lock.flock`: held while we read and write the record, as
//! its tools hold it (its `internal/lock/lock.go`).

use std::fs::File;
use std::time::Duration;

use nix::errno::Errno;

use super::conflict::{DirError, Doing};
use super::place::{Place, errno_of};
use crate::sys::{clock, poll};

/// What gastown's tools lock while they read and write the record.
const COORDINATION: &str = "agent.lock.flock";
/// How long others may keep the record to themselves, who need microseconds for it: ten waits, each
/// twice as long as the one before.
const COORDINATION_WAITS: u32 = 10;

/// The record is ours to read and write as long as this lives.
#[derive(Debug)]
pub(in crate::lock) struct Coordination(#[expect(dead_code, reason = "held open")] File);

impl Place {
    /// Has the record to ourselves, as gastown's tools have it (its `internal/lock/lock.go`): flock(2)
    /// on a file of its own. Not awaited in the kernel's queue but tried, at most for a second: those
    /// who follow the protocol need microseconds, and one that does not must not hold us for ever.
    pub(in crate::lock) fn coordinate(&self) -> Result<Coordination, DirError> {
        let file = self.open_coordination()?;
        for wait in 0..=COORDINATION_WAITS {
            match fs2::FileExt::try_lock_exclusive(&file) {
                Ok(()) => return Ok(Coordination(file)),
                Err(error) => match errno_of(&error) {
                    Errno::EWOULDBLOCK if wait < COORDINATION_WAITS => {
                        let pause = Duration::from_millis(1 << wait);
                        poll::wait([], Some(clock::now() + pause));
                    }
                    Errno::EINTR => {}
                    errno => return Err(self.error(Doing::Coordination, errno)),
                },
            }
        }
        Err(self.error(Doing::Coordination, Errno::EWOULDBLOCK))
    }

    /// Waits in the kernel until the record is ours to write, without a limit: for a thread of its
    /// own.
    pub(super) fn await_coordination(&self) -> Result<(), DirError> {
        let file = self.open_coordination()?;
        loop {
            match fs2::FileExt::lock_exclusive(&file).map_err(|error| errno_of(&error)) {
                Ok(()) => return Ok(()),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(self.error(Doing::Coordination, errno)),
            }
        }
    }

    fn open_coordination(&self) -> Result<File, DirError> {
        self.open_or_create(COORDINATION)
            .map(File::from)
            .map_err(|errno| self.error(Doing::Coordination, errno))
    }
}
