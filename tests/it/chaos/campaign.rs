//! A campaign: so many rounds from one seed, in several lanes at once, and a watchdog over them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use super::lane::{Lane, Shared, Slot};
use super::phase::PHASES;
use super::round::play;
use super::tally::Tally;

/// What is put to the test.
#[derive(Clone, Debug)]
pub(crate) enum Program {
    /// lockkeeper, as it lies here.
    Lockkeeper(PathBuf),
    /// `flock -w … timeout …`, what lockkeeper takes the place of.
    Chain,
}

/// A campaign to be.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) program: Program,
    pub(crate) seed: u64,
    pub(crate) rounds: u32,
    /// How many rounds at once, each with a lock of its own.
    pub(crate) lanes: usize,
    /// A round that is not over by then is stuck.
    pub(crate) limit: Duration,
}

/// Plays all rounds.
pub(crate) fn run(options: &Options) -> Tally {
    let shared = Shared {
        options,
        stops: [const { AtomicU32::new(8) }; PHASES.len()],
        next_round: AtomicU32::new(0),
    };
    let slots: Vec<Slot> = (0..options.lanes).map(|_| Slot::default()).collect();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let lanes: Vec<_> = slots
            .iter()
            .map(|slot| scope.spawn(|| lane(&shared, slot)))
            .collect();
        scope.spawn(|| {
            while !over.load(SeqCst) {
                thread::sleep(Duration::from_millis(50));
                for slot in &slots {
                    slot.check(options);
                }
            }
        });
        let mut tally = Tally::default();
        let mut broken = None;
        for lane in lanes {
            match lane.join() {
                Ok(part) => tally.add(part),
                Err(panic) => broken = Some(panic),
            }
        }
        over.store(true, SeqCst);
        if let Some(panic) = broken {
            std::panic::resume_unwind(panic);
        }
        tally
    })
}

fn lane(shared: &Shared<'_>, slot: &Slot) -> Tally {
    let mut tally = Tally::default();
    let mut lane = Lane::new(shared, slot);
    loop {
        let round = shared.next_round.fetch_add(1, SeqCst);
        if round >= shared.options.rounds {
            let (marks, full) = lane.page.marks();
            assert_eq!(full, 0, "every process found room in the page");
            tally.marks += marks;
            return tally;
        }
        play(&mut lane, round, &mut tally);
    }
}
