//! Where contenders meet: counters in a file that all of them map, whatever their PID namespace.

#![expect(
    unsafe_code,
    reason = "a mapping shared by processes is had in no other way"
)]

use std::fs::OpenOptions;
use std::hint::spin_loop;
use std::io;
use std::mem::size_of;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::thread;

use super::Tally;

/// So often is looked before the processor is offered to others: the longer, the closer together
/// two that run at once begin.
const SPINS: u32 = 20_000;

#[repr(C)]
struct Shared {
    enlisted: AtomicU32,
    arrived: AtomicU32,
    holders: AtomicU32,
    rounds: AtomicU32,
    doubles: AtomicU32,
    nobody: AtomicU32,
    stale: AtomicU32,
}

/// The counters, mapped into this process.
pub(super) struct Ring(NonNull<Shared>);

impl Ring {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        file.set_len(size_of::<Shared>() as u64)?;
        // SAFETY: a fresh mapping of a file that is long enough; the address is the kernel's choice.
        let at = unsafe {
            libc::mmap(
                null_mut(),
                size_of::<Shared>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if at == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(at.cast())
            .map(Self)
            .ok_or_else(|| io::Error::other("mmap gave address 0"))
    }

    fn shared(&self) -> &Shared {
        // SAFETY: mapped as long as the value lives; all in it is atomic, and zero is a value of it.
        unsafe { self.0.as_ref() }
    }

    /// The number of this contender.
    pub(super) fn enlist(&self) -> u32 {
        self.shared().enlisted.fetch_add(1, SeqCst)
    }

    /// Waits until all `contenders` are here.
    pub(super) fn meet(&self, contenders: u32) {
        let arrived = &self.shared().arrived;
        let number = arrived.fetch_add(1, SeqCst);
        let complete = (number / contenders + 1) * contenders;
        let mut spins = 0;
        while arrived.load(SeqCst) < complete {
            spins += 1;
            if spins % SPINS == 0 {
                thread::yield_now();
            }
            spin_loop();
        }
    }

    pub(super) fn begin_round(&self, stale: bool) {
        self.shared().holders.store(0, SeqCst);
        self.shared().stale.fetch_add(u32::from(stale), SeqCst);
    }

    /// The caller has the lock.
    pub(super) fn holds(&self) {
        self.shared().holders.fetch_add(1, SeqCst);
    }

    /// All have tried, and none has let go.
    pub(super) fn end_round(&self) {
        let shared = self.shared();
        shared.rounds.fetch_add(1, SeqCst);
        match shared.holders.load(SeqCst) {
            0 => &shared.nobody,
            1 => return,
            _ => &shared.doubles,
        }
        .fetch_add(1, SeqCst);
    }

    pub(super) fn tally(&self) -> Tally {
        let shared = self.shared();
        let read = |counter: &AtomicU32| counter.load(SeqCst);
        Tally {
            rounds: read(&shared.rounds),
            doubles: read(&shared.doubles),
            nobody: read(&shared.nobody),
            stale: read(&shared.stale),
        }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        // SAFETY: mapped with this length in `open`, and nothing borrowed from it outlives the value.
        unsafe { libc::munmap(self.0.as_ptr().cast(), size_of::<Shared>()) };
    }
}
