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
mod judge;
mod lane;
mod phase;
mod plan;
mod replay;
mod rng;
mod round;
mod space;
mod stepping;
mod tally;
mod tracer;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use campaign::{Options, Program};
use phase::PHASES;
use tally::Tally;

use crate::support::bin::lockkeeper;
use crate::support::child::output;
use crate::support::need::need;

/// A round that takes longer is stuck: on a machine however busy, it takes milliseconds.
const LIMIT: Duration = Duration::from_mins(1);

/// A setting of the long campaigns: `LOCKKEEPER_CHAOS_name`.
fn setting<T: std::str::FromStr>(name: &str, default: T) -> T {
    let value = env::var(format!("LOCKKEEPER_CHAOS_{name}"));
    let value = value.ok().and_then(|text| text.parse().ok());
    value.unwrap_or(default)
}

fn campaign(program: Program, rounds: u32, limit: Duration) -> Tally {
    let options = Options {
        program,
        seed: setting("SEED", 1),
        rounds: setting("ROUNDS", rounds),
        lanes: setting("LANES", 4),
        limit,
    };
    let begin = Instant::now();
    let tally = campaign::run(&options);
    let seconds = begin.elapsed().as_secs();
    eprintln!("seed {}, {seconds} s\n{tally}", options.seed);
    tally
}

#[test]
fn no_kill_at_any_moment_opens_the_lock_early_or_leaves_it_shut() {
    need!("root", "flock");
    let program = setting::<PathBuf>("PROGRAM", lockkeeper().into());
    let tally = campaign(Program::Lockkeeper(program), 1000, LIMIT);
    // A program broken on purpose is caught by the fault that it has, and by no other.
    let red: String = setting("RED", String::new());
    if !red.is_empty() {
        let caught = match red.as_str() {
            "overlaps" => tally.overlaps,
            "claims lost" => tally.claims_lost,
            other => panic!("nobody counts \"{other}\""),
        };
        assert_ne!(caught, 0, "the broken program was not caught");
        assert_eq!(caught, tally.faults(), "{tally}");
        return;
    }
    assert_eq!(tally.faults(), 0, "{tally}");
    for phase in PHASES {
        let kills = tally.in_phase(phase);
        let name = phase.name();
        assert!(kills >= tally.rounds / 100, "only {kills} kills {name}");
    }
}

/// What the harness can see, it sees in what lockkeeper takes the place of.
#[test]
fn the_chain_of_flock_and_timeout_leaks_frees_early_and_loses_the_status() {
    need!("root", "flock", "timeout");
    let tally = campaign(Program::Chain, 80, Duration::from_secs(1));
    assert_ne!(tally.stuck, 0, "no lock was leaked to a daemon: {tally}");
    assert_ne!(tally.overlaps, 0, "no lock was freed early: {tally}");
    assert_ne!(tally.beating, 0, "no job ran beside the next: {tally}");
    assert_ne!(tally.survivors, 0, "nothing outlived its run: {tally}");
    assert_ne!(tally.wrong_statuses, 0, "no status was lost: {tally}");
}

/// `tests/chaos.sh red` plays them; that they no longer fit would come out only then.
#[test]
fn the_broken_variants_still_fit_the_program() {
    need!("patch");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let variants: Vec<_> = fs::read_dir(root.join("tests/chaos"))
        .unwrap()
        .flatten()
        .collect();
    assert!(!variants.is_empty());
    for variant in variants {
        let mut patch = Command::new("patch");
        patch
            .args(["--dry-run", "--force", "--strip", "1", "--directory"])
            .arg(root);
        patch.arg("--input").arg(variant.path());
        let told = output(&mut patch);
        assert!(told.status.success(), "{:?}: {told:?}", variant.path());
    }
}
