//! All directory locks below some roots, each looked at, and compared with each other.
//!
//! State: the locks that were found, sorted by path. Only now can be seen what no lock tells by
//! itself: one lock that two mounts show, and collisions.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nix::errno::Errno;

use super::super::dir::judge::Life;
use super::look::{Identity, Judge, Lock, State, look, look_at};
use super::skip::Skip;
use super::walk::walk;

/// All that was found.
#[derive(Debug, Default)]
pub struct Survey {
    /// Each lock, in the order of the paths.
    pub locks: Vec<Lock>,
    /// How many directories were read.
    pub directories: usize,
    /// Folders that could not be read, and why; some thousand at most.
    pub unread: Vec<(PathBuf, Errno)>,
    /// How many more there are.
    pub more_unread: usize,
    /// Other tools' files that cannot be understood, and why.
    pub broken: Vec<(PathBuf, String)>,
}

impl Survey {
    /// Looks at all below `roots`, which are real paths; `more` are locks that were found elsewhere.
    ///
    /// # Errors
    /// The root that cannot be opened as a directory, and why.
    pub fn of(
        roots: &[PathBuf],
        skip: &Skip,
        judge: &Judge,
        more: Vec<Lock>,
    ) -> Result<Self, (PathBuf, io::Error)> {
        let mut survey = Self::default();
        let found = Mutex::new(Vec::new());
        for root in roots {
            let seen = walk(root, skip, &|place| {
                if let Some(lock) = look(place.path, place.dir) {
                    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                    found.push(lock);
                }
            })
            .map_err(|error| (root.clone(), error))?;
            survey.directories += seen.directories;
            survey.unread.extend(seen.unread);
            survey.more_unread += seen.more_unread;
        }
        let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        for mut lock in found {
            lock.judge(judge);
            if lock.life == Life::Dead {
                // It may have been released or taken over since it was read: as it is now.
                match look_at(&lock.dir, judge) {
                    Ok(Some(now)) => lock = now,
                    Ok(None) => continue,
                    // Too long a path, perhaps: as it was.
                    Err(_) => {}
                }
            }
            survey.locks.push(lock);
        }
        survey.locks.extend(more);
        survey.compare();
        survey.unread.sort_by(|(a, _), (b, _)| a.cmp(b));
        survey.unread.dedup();
        Ok(survey)
    }

    /// Whether anything needs a person.
    pub fn needs_a_person(&self) -> bool {
        !self.unread.is_empty()
            || !self.broken.is_empty()
            || self.locks.iter().any(|lock| lock.state.needs_a_person())
    }

    fn compare(&mut self) {
        self.locks.sort_by(|a, b| a.dir.cmp(&b.dir));
        // One root lay below another.
        let is_twice = |a: &Lock, b: &Lock| a.dir == b.dir && !a.of_agentctl && !b.of_agentctl;
        self.locks.dedup_by(|a, b| is_twice(a, b));
        self.locks = one_of_each(std::mem::take(&mut self.locks));
        let of_directory = |lock: &Lock| {
            let known = lock.identity != (0, 0);
            known.then(|| format!("{:?}", lock.identity))
        };
        collide(&mut self.locks, of_directory, |_| {
            "another record claims the same directory".to_owned()
        });
        collide(&mut self.locks, session, |lock| {
            let (session, host) = lock
                .record
                .as_ref()
                .map_or(("", ""), |it| (&it.session_id, &it.hostname));
            format!("session {session:?} of host {host:?} claims more than one directory")
        });
    }
}

/// Drops what is one and the same record of one and the same directory under a further path.
fn one_of_each(locks: Vec<Lock>) -> Vec<Lock> {
    let mut first: BTreeMap<(Identity, Identity), usize> = BTreeMap::new();
    let mut kept: Vec<Lock> = Vec::with_capacity(locks.len());
    for lock in locks {
        let Some(record) = lock.record_identity else {
            kept.push(lock);
            continue;
        };
        let at = *first.entry((lock.identity, record)).or_insert(kept.len());
        match kept.get_mut(at) {
            Some(known) => known.also_at.push(lock.dir),
            None => kept.push(lock),
        }
    }
    kept
}

/// Marks those that stand and have the same `key`. What a person holds may well be held by an agent,
/// too: agentctl's own locks are made so.
fn collide(
    locks: &mut [Lock],
    key: impl Fn(&Lock) -> Option<String>,
    why: impl Fn(&Lock) -> String,
) {
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, lock) in locks.iter().enumerate() {
        let stands = !matches!(lock.state, State::Stale | State::Corrupt | State::Manual);
        if let Some(key) = key(lock).filter(|_| stands) {
            groups.entry(key).or_default().push(at);
        }
    }
    for group in groups.values() {
        let of = |at: &usize| Some((*at, locks.get(*at)?));
        let members: Vec<(usize, Owner, PathBuf)> = group
            .iter()
            .filter_map(of)
            .map(|(at, lock)| (at, Owner::of(lock), lock.dir.clone()))
            .collect();
        for at in group {
            let Some(lock) = locks.get_mut(*at) else {
                continue;
            };
            let own = Owner::of(lock);
            let others: Vec<PathBuf> = members
                .iter()
                .filter(|(other, owner, _)| other != at && !own.is(owner))
                .map(|(_, _, dir)| dir.clone())
                .collect();
            if !others.is_empty() {
                lock.state = State::Collision;
                lock.why = why(lock);
                lock.collides_with = others;
            }
        }
    }
}

/// Whose a lock is, to tell whether another is the same one's.
struct Owner {
    run: Option<String>,
    pid: i32,
    of_agentctl: bool,
}

impl Owner {
    fn of(lock: &Lock) -> Self {
        let record = lock.record.as_ref();
        Self {
            run: record.and_then(|record| record.run_id.clone()),
            pid: record.map_or(0, |record| record.pid),
            of_agentctl: lock.of_agentctl,
        }
    }

    /// A run may well hold several directories; and an agent that both agentctl and a record know
    /// has one number, as both are of this machine.
    fn is(&self, other: &Self) -> bool {
        let one_run = self.run.is_some() && self.run == other.run;
        let one_process = self.of_agentctl != other.of_agentctl && self.pid == other.pid;
        one_run || one_process
    }
}

fn session(lock: &Lock) -> Option<String> {
    let record = lock.record.as_ref()?;
    let named = !record.session_id.is_empty() && !record.is_manual();
    named.then(|| format!("{}\n{}", record.hostname, record.session_id))
}

/// The real paths of `roots`; none: of the working directory.
///
/// # Errors
/// The root that has none, and why.
pub fn real_roots(roots: &[PathBuf]) -> Result<Vec<PathBuf>, (PathBuf, io::Error)> {
    let here = [PathBuf::from(".")];
    let roots = if roots.is_empty() { &here } else { roots };
    let real = |root: &PathBuf| real(root).map_err(|error| (root.clone(), error));
    roots.iter().map(real).collect()
}

fn real(path: &Path) -> io::Result<PathBuf> {
    path.canonicalize()
}
