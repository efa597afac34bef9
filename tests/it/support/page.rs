//! The marker page: a file that every process of a run maps and in which it stands for as long as
//! it lives.
//!
//! A process takes a slot and writes *its own thread id and its run* into it with one 64-bit
//! compare-and-swap. From then on the **kernel** keeps the slot: the thread id lies in the
//! process's robust futex list (`set_robust_list(2)`), so when the process ends in whatever way, by
//! KILL as well, the kernel itself clears it, before the process becomes a zombie. Nothing else is
//! needed from the process: it may close all descriptors (a mapping stays), clear its environment,
//! ignore signals, be stopped or never get the processor.
//!
//! **What counts as an overlap:** every process, right after taking its slot, looks at all others.
//! If a slot is live under another run, two runs lived at that instant, and the pair is recorded in
//! the page.
//!
//! * *No false alarm.* A slot is live only from its owner's own write until the kernel's clearing,
//!   which comes before the process can be reaped and before its descriptors are closed. Whoever
//!   frees a lock after reaping, or holds it by a descriptor of the process, frees it later than
//!   that. Run and thread id change together, so a slot taken over by another run is never read
//!   half.
//! * *None missed, however short.* Slot first, look second, both sequentially consistent: of two
//!   processes that live at once, the later one sees the earlier. A heartbeat would see only
//!   overlaps longer than its period, and nothing of a stopped process.
//! * *The residue* can only hide, never invent. A child between fork and its first instruction
//!   stands nowhere; if it lives to run one, it registers and looks. And a process killed within
//!   the few instructions of taking a slot, while one with the same thread id in *another* PID
//!   namespace takes the same slot, clears that one's mark.
//!
//! Not seen: what is no longer the process. `exec` clears the mark, so the marked program must be
//! the puppet itself.
#![expect(
    unsafe_code,
    reason = "a mapping shared by processes, and the kernel's robust list, are had in no other way"
)]
#![expect(clippy::cast_possible_truncation, reason = "halves of a 64-bit word")]

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io;
use std::mem::size_of;
use std::num::NonZeroU32;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// How many processes can stand in the page at once.
const SLOTS: usize = 8192;
/// How many overlaps are kept with their runs; all are counted.
const PAIRS: usize = 64;
/// How many runs can beat apart from each other; those that live at once have numbers close together.
const BEATS: usize = 64;
/// An overlap is followed no longer than this.
const LONG: Duration = Duration::from_millis(100);
/// The part of a futex word that names its owner: `FUTEX_TID_MASK`, `linux/futex.h`.
const OWNER: u64 = 0x3fff_ffff;

/// The number of a run; the tests give them out, or the page does.
pub(crate) type Run = NonZeroU32;

#[repr(C)]
struct Shared {
    runs: AtomicU32,
    /// Slots from here on were never taken: nobody needs to look at them.
    top: AtomicU32,
    marks: AtomicU64,
    full: AtomicU32,
    overlaps: AtomicU32,
    /// Nanoseconds of the longest overlap since [`Page::take_longest`].
    longest: AtomicU64,
    /// Overlaps in which the earlier run was seen to beat.
    beating: AtomicU32,
    /// Counted up by processes that run; the run's number picks the word.
    beats: [AtomicU64; BEATS],
    pairs: [AtomicU64; PAIRS],
    /// Low half: the futex word that the kernel clears. High half: the run.
    slots: [AtomicU64; SLOTS],
}

/// The robust list of this process as the kernel reads it: the empty list (pointing to itself), the
/// offset 0, and our slot as the *pending* entry, which the kernel treats like a listed one. A
/// child of fork(2) starts without a list.
static ROBUST: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];

/// The marker page, mapped into this process.
pub(crate) struct Page(NonNull<Shared>);

// SAFETY: everything behind the pointer is atomic, and the mapping lasts as long as the value.
unsafe impl Send for Page {}
// SAFETY: as above.
unsafe impl Sync for Page {}

impl Drop for Page {
    fn drop(&mut self) {
        // SAFETY: mapped with this length in `open`, and nothing borrowed from it outlives the
        // value.
        unsafe { libc::munmap(self.0.as_ptr().cast(), size_of::<Shared>()) };
    }
}

/// Two runs that lived at the same instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overlap {
    /// The run whose process came second and looked.
    pub(crate) newcomer: u32,
    /// The run that it found alive.
    pub(crate) beside: u32,
}

impl Page {
    /// Maps the page at `path`, making it first where there is none. All processes of one test open
    /// the same file: bind-mounted, not copied.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        // Growing to a fixed size changes nothing for those who mapped it already.
        file.set_len(size_of::<Shared>() as u64)?;
        // SAFETY: a fresh mapping of a file that is long enough; the address is the kernel's
        // choice.
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
        // SAFETY: mapped until drop; all zeroes is a valid value, and every field is atomic.
        unsafe { self.0.as_ref() }
    }

    /// A run number that nobody had before.
    pub(crate) fn new_run(&self) -> Run {
        let taken = self.shared().runs.fetch_add(1, SeqCst);
        Run::MIN.saturating_add(taken)
    }

    /// Marks the calling process as one of `run` until it ends. Once per process: again after each
    /// fork. The mapping must last as long as the process (`std::mem::forget` the page). False if
    /// all slots are taken.
    ///
    /// Replaces the calling thread's robust futex list: not for programs that use robust mutexes.
    pub(crate) fn mark(&self, run: Run) -> bool {
        let shared = self.shared();
        let [list, offset, pending] = &ROBUST;
        pending.store(0, SeqCst);
        offset.store(0, SeqCst);
        list.store(std::ptr::from_ref(&ROBUST).addr(), SeqCst);
        // SAFETY: the head is static and has the layout of struct robust_list_head
        // (set_robust_list(2)).
        let tid = unsafe {
            libc::syscall(
                libc::SYS_set_robust_list,
                ROBUST.as_ptr(),
                size_of::<[AtomicUsize; 3]>(),
            );
            libc::syscall(libc::SYS_gettid)
        };
        let mine = u64::from(tid.unsigned_abs() as u32) | (u64::from(run.get()) << 32);
        for (index, slot) in (1..).zip(&shared.slots) {
            let seen = slot.load(SeqCst);
            if seen & OWNER != 0 {
                continue;
            }
            // Pending before the swap: killed in between, the kernel looks and finds a word that is
            // not ours.
            pending.store(std::ptr::from_ref(slot).addr(), SeqCst);
            if slot.compare_exchange(seen, mine, SeqCst, SeqCst).is_ok() {
                shared.top.fetch_max(index, SeqCst);
                shared.marks.fetch_add(1, SeqCst);
                self.look(run);
                return true;
            }
        }
        pending.store(0, SeqCst);
        shared.full.fetch_add(1, SeqCst);
        false
    }

    /// What the slots hold that are live at this moment.
    fn live(&self) -> impl Iterator<Item = u64> {
        let top = self.shared().top.load(SeqCst) as usize;
        let slots = self.shared().slots.iter().take(top);
        slots
            .map(|slot| slot.load(SeqCst))
            .filter(|seen| seen & OWNER != 0)
    }

    /// Looks at all others, and records one that is of another run.
    pub(crate) fn look(&self, run: Run) {
        let shared = self.shared();
        let other = self
            .live()
            .map(|seen| seen >> 32)
            .find(|&other| other != u64::from(run.get()));
        if let Some(beside) = other {
            let index = shared.overlaps.fetch_add(1, SeqCst) as usize;
            if let Some(pair) = shared.pairs.get(index) {
                pair.store(u64::from(run.get()) | (beside << 32), SeqCst);
            }
            // How long it lasts, counted from the look, and whether that run executes in it.
            let beat = self.beat_of(beside).load(SeqCst);
            let begin = Instant::now();
            while self.live().any(|seen| seen >> 32 == beside) && begin.elapsed() < LONG {
                std::thread::yield_now();
            }
            let nanos = u64::try_from(begin.elapsed().as_nanos()).unwrap_or(u64::MAX);
            shared.longest.fetch_max(nanos, SeqCst);
            if self.beat_of(beside).load(SeqCst) != beat {
                shared.beating.fetch_add(1, SeqCst);
            }
        }
    }

    fn beat_of(&self, run: u64) -> &AtomicU64 {
        let [first, ..] = &self.shared().beats;
        let word = self.shared().beats.get(run as usize % BEATS);
        word.unwrap_or(first)
    }

    /// Shows that a process of `run` executes at this moment: a process that is killed may stand in
    /// the page for a while, until the kernel finds the time to end it, and executes nothing more.
    pub(crate) fn beat(&self, run: Run) {
        self.beat_of(run.get().into()).fetch_add(1, SeqCst);
    }

    /// In how many overlaps the earlier run was seen to execute, by [`Page::beat`].
    pub(crate) fn beating(&self) -> u32 {
        self.shared().beating.load(SeqCst)
    }

    /// How long the longest overlap lasted since this was last asked; none is zero, and longer than
    /// [`LONG`] is that.
    pub(crate) fn take_longest(&self) -> Duration {
        Duration::from_nanos(self.shared().longest.swap(0, SeqCst))
    }

    /// The runs that live at this moment, each with its number of processes.
    pub(crate) fn alive(&self) -> BTreeMap<u32, usize> {
        let mut alive = BTreeMap::new();
        for seen in self.live() {
            *alive.entry((seen >> 32) as u32).or_default() += 1;
        }
        alive
    }

    /// How many processes have ever marked the page, and how many found no room: a test that relies
    /// on the page asserts that the second is 0.
    pub(crate) fn marks(&self) -> (u64, u32) {
        (
            self.shared().marks.load(SeqCst),
            self.shared().full.load(SeqCst),
        )
    }

    /// How many overlaps were seen, and the first of them.
    pub(crate) fn overlaps(&self) -> (u32, Vec<Overlap>) {
        let count = self.shared().overlaps.load(SeqCst);
        let pairs = self.shared().pairs.iter().take(count as usize).map(|pair| {
            let pair = pair.load(SeqCst);
            Overlap {
                newcomer: pair as u32,
                beside: (pair >> 32) as u32,
            }
        });
        (count, pairs.collect())
    }
}
