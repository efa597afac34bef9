//! All directory locks below some roots, each looked at, and compared with each other.
//!
//! State: the locks that were found, sorted by path. Only now can be seen what no lock tells by
//! itself: one lock that two mounts show, and collisions.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nix::errno::Errno;

use super::look::{Judge, Lock, State, look, look_at};
use super::skip::Skip;
use super::walk::walk;
use crate::core::order;

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
            if lock.may_be_over() {
                // It may have been released or taken over since it was read: as it is now.
                match look_at(&lock.dir, judge) {
                    Ok(Some(now)) if now.identity == lock.identity => lock = now,
                    Ok(None) => continue,
                    // Too long a path, or another directory by now, perhaps one out of the root.
                    Ok(Some(_)) | Err(_) => {}
                }
            }
            survey.locks.push(lock);
        }
        survey.locks.extend(more);
        survey.compare();
        order::sort_by(&mut survey.unread, |(a, _), (b, _)| a.cmp(b));
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
        order::sort_by(&mut self.locks, |a, b| a.dir.cmp(&b.dir));
        // One root lay below another.
        let is_twice = |a: &Lock, b: &Lock| a.dir == b.dir && !a.of_agentctl && !b.of_agentctl;
        self.locks.dedup_by(|a, b| is_twice(a, b));
        self.one_of_each();
        let of_directory = |lock: &Lock| {
            let known = stands(lock) && lock.identity != (0, 0);
            known.then(|| format!("{:?}", lock.identity))
        };
        self.collide(&of_directory, &|_| {
            "another record claims the same directory".to_owned()
        });
        self.collide(&session, &|lock| {
            let (session, host) = lock
                .record
                .as_ref()
                .map_or(("", ""), |it| (&it.session_id, &it.hostname));
            format!("session {session:?} of host {host:?} claims more than one directory")
        });
    }

    /// Drops what is one and the same record of one and the same directory under a further path.
    fn one_of_each(&mut self) {
        let record = |lock: &Lock| {
            let record = lock.record_identity?;
            Some(format!("{:?} {record:?}", lock.identity))
        };
        let mut twice = Vec::new();
        for group in self.groups(&record) {
            let Some((first, others)) = group.split_first() else {
                continue;
            };
            let at = |other: &usize| Some(self.locks.get(*other)?.dir.clone());
            let also_at = others.iter().filter_map(at).collect();
            if let Some(first) = self.locks.get_mut(*first) {
                first.also_at = also_at;
            }
            twice.extend_from_slice(others);
        }
        let mut at = 0;
        self.locks.retain(|_| {
            at += 1;
            !twice.contains(&(at - 1))
        });
    }

    /// Marks those that have the same `key`.
    fn collide(&mut self, key: &dyn Fn(&Lock) -> Option<String>, why: &dyn Fn(&Lock) -> String) {
        for group in self.groups(key) {
            let of = |at: &usize| self.locks.get(*at).map(Owner::of);
            let owners: Vec<Owner> = group.iter().filter_map(of).collect();
            for (at, own) in group.iter().zip(&owners) {
                let is_other = |other: &&Owner| !own.is(other) && other.place != own.place;
                let others = owners.iter().filter(is_other);
                let others: Vec<PathBuf> = others.map(|other| other.place.1.clone()).collect();
                if let Some(lock) = self.locks.get_mut(*at).filter(|_| !others.is_empty()) {
                    lock.state = State::Collision;
                    lock.why = why(lock);
                    lock.collides_with = others;
                }
            }
        }
    }

    /// The places of locks with the same key, each group of two and more in the order of the paths.
    fn groups(&self, key: &dyn Fn(&Lock) -> Option<String>) -> Vec<Vec<usize>> {
        let keyed = self.locks.iter().enumerate();
        let mut keyed: Vec<(String, usize)> = keyed
            .filter_map(|(at, lock)| Some((key(lock)?, at)))
            .collect();
        order::sort_by(&mut keyed, Ord::cmp);
        let same = keyed.chunk_by(|(a, _), (b, _)| a == b);
        let several = same.filter(|group| group.len() > 1);
        let places = |group: &[(String, usize)]| group.iter().map(|(_, at)| *at).collect();
        several.map(places).collect()
    }
}

/// Whether a lock keeps others out. What a person holds may well be held by an agent, too:
/// agentctl's own locks are made so.
const fn stands(lock: &Lock) -> bool {
    !matches!(lock.state, State::Stale | State::Corrupt | State::Manual)
}

/// Whose a lock is, to tell whether another is the same one's.
struct Owner {
    /// Which file says so, or whose list, and of which directory.
    place: (bool, PathBuf, i32),
    run: Option<String>,
    pid: i32,
    of_agentctl: bool,
}

impl Owner {
    fn of(lock: &Lock) -> Self {
        let record = lock.record.as_ref();
        Self {
            place: (
                lock.of_agentctl,
                lock.dir.clone(),
                record.map_or(0, |record| record.pid),
            ),
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
    let named = !record.session_id.is_empty() && stands(lock);
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
