//! Chaos: processes are killed at every moment of a run's life, beside plain `flock(1)` users of
//! the same file and across PID namespaces, and the lock neither opens early nor stays shut.
//!
//! A round puts three contenders in three namespaces on one lock and kills one process. Most kills
//! are *placed*: the subject's monitor is stepped from system call to system call (ptrace(2)), and
//! the kill falls at a chosen stop within a chosen phase, so that the narrow ones are hit as often
//! as the wide ones. The others come by the clock. Every process of every job stands in the marker
//! page (`support::page`) while it lives.
//!
//! `tests/chaos.sh` plays long campaigns, the broken variants and the chain; the variables
//! `LOCKKEEPER_CHAOS_*` are its way to speak to [`campaign`].

#![expect(
    clippy::indexing_slicing,
    reason = "contenders and phases are few and known; a test that is wrong may panic"
)]

mod campaign;
mod lane;
mod phase;
mod plan;
mod replay;
mod rng;
mod round;
mod space;
mod tally;
mod tracer;

use std::env;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use campaign::{Options, Program};
use phase::PHASES;

use crate::support::bin::lockkeeper;
use crate::support::need::need;

fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    let value = env::var(format!("LOCKKEEPER_CHAOS_{name}"));
    value
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(default)
}

#[test]
fn no_kill_at_any_moment_opens_the_lock_early_or_leaves_it_shut() {
    need!("root", "flock");
    let options = Options {
        program: Program::Lockkeeper(setting::<PathBuf>("PROGRAM", lockkeeper().into())),
        seed: setting("SEED", 1),
        rounds: setting("ROUNDS", 1000),
        lanes: setting("LANES", 4),
        limit: Duration::from_secs(60),
    };
    let begin = Instant::now();
    let tally = campaign::run(&options);
    eprintln!("seed {}\n{tally}{:?}", options.seed, begin.elapsed());
    assert_eq!(tally.faults(), 0, "{tally}");
    let least = options.rounds / 100;
    for phase in PHASES {
        let kills = tally.in_phase(phase);
        assert!(kills >= least, "only {kills} kills {}", phase.name());
    }
}
