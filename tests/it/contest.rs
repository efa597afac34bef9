//! Two contenders for one stale directory lock, in PID namespaces of their own, started together:
//! never two holders, and always one.
//!
//! The contenders are processes of this very program, told by their environment what to do. In each
//! round they meet at a barrier in shared memory, try to take the lock at once, and meet again: then
//! whoever has it is counted. The holder then lets go as the dead do, without a word, so that the
//! next round begins with his stale record.
//!
//! Beside it, in the same harness, a lock as people write it: read the record, look whether its
//! process lives, remove it, write one's own. That the harness counts two holders of that is what
//! its zero for ours is worth.
//!
//! `tests/contest.sh` plays 10,000 rounds of each; the tests here a few hundred.

mod naive;
mod ring;

use std::env;
use std::fmt;
use std::fs;
use std::hint::spin_loop;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use lockkeeper::lock::dir::claim::{DirLock, Obstacle};
use lockkeeper::lock::dir::record::{self, DirRecord};

use crate::support::child::{self, Tied};
use crate::support::dir::Dir;
use crate::support::need::need;
use crate::support::ns::in_new_pid_namespace;
use crate::support::scene::ended;
use ring::Ring;

const RING: &str = "LOCKKEEPER_CONTEST_RING";
const ROUNDS: &str = "LOCKKEEPER_CONTEST_ROUNDS";
const PROTOCOL: &str = "LOCKKEEPER_CONTEST_PROTOCOL";
const CONTENDERS: u32 = 2;

/// What came of a contest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    rounds: u32,
    /// Rounds with more than one holder.
    doubles: u32,
    /// Rounds with none.
    nobody: u32,
    /// Rounds that began with a stale record.
    stale: u32,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rounds,
            doubles,
            nobody,
            stale,
        } = self;
        write!(
            f,
            "{rounds} rounds, {stale} with a stale lock: {doubles} with two holders, {nobody} with none"
        )
    }
}

/// Not a test but for its parent, which names what it shall do.
#[test]
fn contends() {
    let (Some(ring), Ok(protocol)) = (env::var_os(RING), env::var(PROTOCOL)) else {
        return;
    };
    let ring = Path::new(&ring);
    let dir = ring.parent().unwrap();
    let ring = Ring::open(ring).unwrap();
    let rounds: u32 = env::var(ROUNDS).unwrap().parse().unwrap();
    let first = ring.enlist() == 0;
    for number in 0..rounds {
        match protocol.as_str() {
            "ours" => round(&ring, first, || stale(dir), || ours(dir, false)),
            "subtree" => {
                let below = dir.join("below");
                let wanted = if first { dir } else { &below };
                let take = || {
                    // The upper one takes longer: the lower one begins in each phase of that.
                    let begin = Instant::now();
                    let late = Duration::from_micros(u64::from(number % 64) * 40);
                    while !first && begin.elapsed() < late {
                        spin_loop();
                    }
                    ours(wanted, first)
                };
                round(&ring, first, || stale(dir), take);
            }
            _ => round(&ring, first, || naive::prepare(dir), || naive::take(dir)),
        }
    }
}

/// One round; `prepare` says whether there is a stale record, `take` gives what holds the lock.
fn round<T>(
    ring: &Ring,
    first: bool,
    prepare: impl FnOnce() -> bool,
    take: impl FnOnce() -> Option<T>,
) {
    if first {
        ring.begin_round(prepare());
    }
    ring.meet(CONTENDERS);
    let held = take();
    if held.is_some() {
        ring.holds();
    }
    ring.meet(CONTENDERS);
    if first {
        ring.end_round();
    }
    ring.meet(CONTENDERS);
    drop(held);
    // He has let go before the next round begins.
    ring.meet(CONTENDERS);
}

fn stale(dir: &Path) -> bool {
    dir.join(".runtime/agent.lock").exists()
}

fn ours(dir: &Path, subtree: bool) -> Option<DirLock> {
    let claim = DirRecord {
        pid: std::process::id().cast_signed(),
        acquired_at: record::now(),
        job: Some("contender".into()),
        subtree,
        ..DirRecord::default()
    };
    match DirLock::take(dir, &claim) {
        Ok(lock) => Some(lock),
        Err(Obstacle::Conflict(..)) => None,
        Err(other) => panic!("{other}"),
    }
}

/// Plays a contest; `apart`: each contender is process 1 of a PID namespace of its own.
fn contest(protocol: &str, apart: bool, rounds: u32) -> Tally {
    let dir = Dir::new();
    fs::create_dir(dir.join("below")).unwrap();
    let ring = Ring::open(&dir.join("ring")).unwrap();
    let rounds = env::var(ROUNDS).map_or(rounds, |text| text.parse().unwrap());
    let start = || -> Tied {
        let mut command = Command::new(env::current_exe().unwrap());
        child::bare(&mut command)
            .args(["--exact", "contest::contends"])
            .env(RING, dir.join("ring"))
            .env(ROUNDS, rounds.to_string())
            .env(PROTOCOL, protocol);
        if apart {
            in_new_pid_namespace(|| child::start(&mut command)).unwrap()
        } else {
            child::start(&mut command)
        }
    };
    let contenders = [start(), start()];
    for mut contender in contenders {
        let status = if rounds > 5000 {
            contender.wait()
        } else {
            ended(&mut contender)
        };
        assert!(status.success(), "{status}");
    }
    let tally = ring.tally();
    assert_eq!(tally.rounds, rounds);
    let place = if apart {
        "two PID namespaces"
    } else {
        "one PID namespace"
    };
    eprintln!("{protocol}, {place}: {tally}");
    drop(fs::remove_file(dir.join("ring")));
    tally
}

#[test]
fn of_two_contenders_for_a_stale_lock_in_two_namespaces_exactly_one_gets_it() {
    need!("root");
    let tally = contest("ours", true, 300);
    assert_eq!((tally.doubles, tally.nobody), (0, 0));
    assert_eq!(tally.stale, tally.rounds - 1, "each round but the first");
}

#[test]
fn of_two_contenders_for_a_stale_lock_in_one_namespace_exactly_one_gets_it() {
    let tally = contest("ours", false, 300);
    assert_eq!((tally.doubles, tally.nobody), (0, 0));
}

/// Both may give way to each other, as neither waits.
#[test]
fn of_a_directory_with_its_subtree_and_one_below_never_both_are_held() {
    let tally = contest("subtree", false, 300);
    assert_eq!(tally.doubles, 0);
}

/// In two namespaces it needs no race to begin with: both are process 1, and take the other for
/// themselves.
#[test]
fn the_harness_catches_the_lock_that_reads_checks_removes_and_writes() {
    let tally = contest("naive", false, 300);
    assert_ne!(tally.doubles, 0, "{tally}");
    need!("root");
    let tally = contest("naive", true, 300);
    assert_ne!(tally.doubles, 0, "{tally}");
}
