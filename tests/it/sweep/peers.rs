//! The real proper-lockfile, whose living locks the sweep must leave alone: aged from nothing to its
//! heartbeat when the run's tree is empty, made before the run, during it, or made anew during it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use crate::support::bin;
use crate::support::child::{self, bare};
use crate::support::dir::Dir;
use crate::support::need::need;
use crate::support::peer::Peer;
use crate::support::scene::ended;
use crate::support::wait::until;

/// So many rounds go side by side; `tests/chaos.sh sweep` plays 200.
const ROUNDS: u32 = 12;
/// No lock is older when its run's tree is empty.
const OLDEST: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, PartialEq)]
enum Made {
    Before,
    During,
    /// Given back and taken again during the run: perhaps with the same inode.
    Anew,
}

/// A round; what went wrong in it, if anything did. The owner may notice it later still.
fn round(peer: &Mutex<Peer>, dir: &Path, made: Made, age: Duration, refresh: &str) -> String {
    let lock = dir.join(".oauth_refresh.lock");
    let mut wrong = String::new();
    let begins = match made {
        Made::During => Duration::ZERO,
        Made::Before | Made::Anew => {
            wrong += &peer.lock().unwrap().lock(&lock);
            age
        }
    };
    // The lock is to be that old: this is a time to wait for, and nothing else happens.
    let since = Instant::now();
    until("it is old enough", || {
        made == Made::Anew || since.elapsed() >= begins
    });
    let script = match made {
        Made::Before => "echo begun".to_owned(),
        Made::During | Made::Anew => {
            // Until the lock is there, and then for its age.
            let secs = age.as_secs_f64();
            format!(
                "echo begun; until [ -e {0}/made ]; do sleep 0.01; done; sleep {secs}",
                dir.display()
            )
        }
    };
    let config = dir.join("lockkeeper.toml");
    let login = dir.display().to_string();
    let text = format!(
        "[classes.batch]\nidentity = {login:?}\nrefresh = {refresh:?}\n\
         [jobs.dev]\nclass = \"batch\"\ncommand = [\"sh\", \"-c\", {script:?}]\n"
    );
    fs::write(&config, text).unwrap();
    let mut command = Command::new(bin::lockkeeper());
    let mut run = child::start(
        bare(&mut command)
            .args(["run", "-q", "-c"])
            .arg(&config)
            .arg("dev"),
    );
    assert_eq!(run.line().as_deref(), Some("begun"));
    if made != Made::Before {
        let mut peer = peer.lock().unwrap();
        if made == Made::Anew {
            wrong += &peer.release(&lock);
        }
        wrong += &peer.lock(&lock);
        fs::write(dir.join("made"), "").unwrap();
    }
    let identity = |path: &Path| {
        let meta = fs::symlink_metadata(path).ok()?;
        Some((meta.ino(), meta.created().ok()))
    };
    let before = identity(&lock);
    let status = ended(&mut run);
    assert!(status.success(), "{status}");
    if identity(&lock) != before {
        wrong.push_str("another one, or gone: ");
        wrong.push_str(&lock.display().to_string());
        wrong.push('\n');
    }
    wrong
}

/// Plays `rounds` at once; what went wrong, until each owner has refreshed his lock once more.
fn play(rounds: u32, refresh: &str) -> String {
    let dirs: Vec<Dir> = (0..rounds).map(|_| Dir::new()).collect();
    let peers: Vec<_> = (0..4).map(|_| Mutex::new(Peer::start())).collect();
    // Each has several locks, as an agent has.
    let owners = || peers.iter().cycle();
    let mut wrong = String::new();
    std::thread::scope(|scope| {
        let kinds = [Made::Before, Made::During, Made::Anew];
        let rounds: Vec<_> = (0..rounds)
            .zip(&dirs)
            .zip(kinds.into_iter().cycle())
            .zip(owners())
            .map(|(((number, dir), made), peer)| {
                let age = OLDEST * number / rounds + Duration::from_millis(10);
                scope.spawn(move || round(peer, dir, made, age, refresh))
            })
            .collect();
        for round in rounds {
            wrong += &round.join().expect("the round comes to its end");
        }
    });
    let over = SystemTime::now() + Duration::from_millis(1100);
    for (dir, peer) in dirs.iter().zip(owners()) {
        let lock = dir.join(".oauth_refresh.lock");
        let refreshed = || fs::symlink_metadata(&lock).and_then(|meta| meta.modified());
        // An owner who misses his lock says so when he looks for it.
        until("it is refreshed, or its owner misses it", || {
            refreshed().map_or_else(
                |_| {
                    wrong += &peer.lock().unwrap().report();
                    wrong.contains("compromised")
                },
                |time| time > over,
            )
        });
    }
    for (dir, peer) in dirs.iter().zip(owners()) {
        wrong += &peer
            .lock()
            .unwrap()
            .release(&dir.join(".oauth_refresh.lock"));
    }
    wrong
}

#[test]
fn no_living_owner_of_any_age_loses_his_lock_or_ever_finds_it_broken() {
    need!("node", "peer");
    let rounds = std::env::var("LOCKKEEPER_SWEEP_ROUNDS");
    let rounds = rounds.ok().and_then(|text| text.parse().ok());
    assert_eq!(play(rounds.unwrap_or(ROUNDS), "6s"), "");
}

#[test]
fn a_watch_shorter_than_the_owners_heartbeat_would_be_caught() {
    need!("node", "peer");
    let wrong = play(6, "1s");
    assert!(
        wrong.contains("compromised") && wrong.contains("gone"),
        "{wrong}"
    );
}
