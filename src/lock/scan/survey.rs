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
use super::super::dir::record::DirRecord;
use super::look::{Identity, Judge, Lock, State, look};
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
}

impl Survey {
    /// Looks at all below `roots`, which are real paths.
    ///
    /// # Errors
    /// The root that cannot be opened as a directory, and why.
    pub fn of(roots: &[PathBuf], skip: &Skip, judge: &Judge) -> Result<Self, (PathBuf, io::Error)> {
        let mut survey = Self::default();
        let locks = Mutex::new(Vec::new());
        for root in roots {
            let seen = walk(root, skip, &|found| {
                if let Some(lock) = look(found.path, found.dir, judge) {
                    let mut locks = locks.lock().unwrap_or_else(PoisonError::into_inner);
                    locks.push(lock);
                }
            })
            .map_err(|error| (root.clone(), error))?;
            survey.directories += seen.directories;
            survey.unread.extend(seen.unread);
            survey.more_unread += seen.more_unread;
        }
        survey.locks = locks.into_inner().unwrap_or_else(PoisonError::into_inner);
        survey.compare();
        survey.unread.sort_by(|(a, _), (b, _)| a.cmp(b));
        survey.unread.dedup();
        Ok(survey)
    }

    /// Whether anything needs a person.
    pub fn needs_a_person(&self) -> bool {
        !self.unread.is_empty() || self.locks.iter().any(|lock| lock.state.needs_a_person())
    }

    fn compare(&mut self) {
        self.locks.sort_by(|a, b| a.dir.cmp(&b.dir));
        // One root lay below another.
        self.locks.dedup_by(|a, b| a.dir == b.dir);
        self.locks = one_of_each(std::mem::take(&mut self.locks));
        let of_directory = |lock: &Lock| Some(format!("{:?}", lock.identity));
        collide(&mut self.locks, of_directory, |_| {
            "another record claims the same directory, which is mounted twice".to_owned()
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

/// Marks those that are not dead and have the same `key`.
fn collide(
    locks: &mut [Lock],
    key: impl Fn(&Lock) -> Option<String>,
    why: impl Fn(&Lock) -> String,
) {
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (at, lock) in locks.iter().enumerate() {
        let stands = lock.life != Life::Dead && lock.state != State::Corrupt;
        if let Some(key) = key(lock).filter(|_| stands) {
            groups.entry(key).or_default().push(at);
        }
    }
    for group in groups.values() {
        let of = |at: &usize| locks.get(*at);
        let members: Vec<(PathBuf, Option<String>)> = group
            .iter()
            .filter_map(of)
            .map(|lock| (lock.dir.clone(), run(lock.record.as_ref())))
            .collect();
        for at in group {
            let Some(lock) = locks.get_mut(*at) else {
                continue;
            };
            let own = run(lock.record.as_ref());
            // A run may well hold several directories.
            let is_other = |(dir, run): &&(PathBuf, Option<String>)| {
                *dir != lock.dir && (own.is_none() || *run != own)
            };
            let others: Vec<PathBuf> = members
                .iter()
                .filter(is_other)
                .map(|(dir, _)| dir.clone())
                .collect();
            if !others.is_empty() {
                lock.state = State::Collision;
                lock.why = why(lock);
                lock.collides_with = others;
            }
        }
    }
}

fn run(record: Option<&DirRecord>) -> Option<String> {
    record?.run_id.clone()
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
