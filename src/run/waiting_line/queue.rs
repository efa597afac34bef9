//! Who has what is waited for, and who waits before us, in words for the line.
//!
//! Claims are read when the watch begins, when inotify tells of a change among them, and once more a second
//! later; each time where there is no inotify to be had. Not always each time: there may be thousands.

use std::fmt::Write as _;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use super::{Awaited, HOUR, ascii};
use crate::core::text::took;
use crate::lock::dir::in_use::{Reach, reach};
use crate::lock::folders::claims_folder;
use crate::lock::listing::queue;
use crate::lock::record::{Record, State};
use crate::lock::unclaimed::{self, Effort, Holder};
use crate::sys::clock;

/// Who holds a lock, where that is all that is known of him.
const NAMELESS: &str = "a process that leaves no claim";

/// Who knows what is in the way.
pub(super) struct Teller<'a> {
    pub(super) path: &'a Path,
    claims: Option<Claims<'a>>,
    holder: &'a str,
}

struct Claims<'a> {
    folder: PathBuf,
    run_id: &'a str,
    changes: Option<Inotify>,
    known: Queue,
    /// Who holds the lock and leaves no claim, if none of the claims says that.
    unclaimed: Option<Holder>,
    /// How many of the next looks read them anew.
    looks: u8,
}

impl<'a> Teller<'a> {
    pub(super) fn new(awaited: &'a Awaited) -> Self {
        let (path, run_id, holder) = match awaited {
            Awaited::Lock { path, run_id } => (path, Some(run_id), ""),
            Awaited::Dir { path, holder } => (path, None, holder.as_str()),
        };
        let claims = run_id.map(|run_id| {
            let folder = claims_folder(path);
            Claims {
                changes: watch(&folder).ok(),
                folder,
                run_id,
                known: Queue::default(),
                unclaimed: None,
                looks: 1,
            }
        });
        Self {
            path,
            claims,
            holder,
        }
    }

    /// Can be read when something has changed since [`Teller::tell`].
    pub(super) fn changes(&self) -> Option<BorrowedFd<'_>> {
        let changes = self.claims.as_ref()?.changes.as_ref()?;
        Some(changes.as_fd())
    }

    /// In words; and whether others may be true a second from now.
    pub(super) fn tell(&mut self) -> (String, bool) {
        let Some(claims) = &mut self.claims else {
            return (format!("held by {}", ascii(self.holder)), false);
        };
        claims.read_anew(self.path);
        let nameless = match &claims.unclaimed {
            Some(holder) => ascii(&holder.in_full()),
            None if reach() == Reach::Machine => NAMELESS.to_owned(),
            None => format!("{NAMELESS} and cannot be seen from here"),
        };
        let (words, is_young) = claims.known.words(clock::unix_ms(), &nameless);
        (words, is_young || claims.looks > 0)
    }
}

impl Claims<'_> {
    fn read_anew(&mut self, lock: &Path) {
        match self.changes.as_ref().map(drain) {
            // The kernel tells of a close an instant before it frees the latch.
            Some(true) => self.looks = 2,
            None => self.looks = 1,
            Some(false) => {}
        }
        let is_due = self.looks > 0;
        if is_due {
            self.looks -= 1;
            self.known = Queue::of(&queue(&self.folder).claims, self.run_id);
        }
        self.look_for_unclaimed(lock, is_due);
    }

    /// Nothing tells of a change here. To ask a process for its descriptors, or else the kernel for its
    /// table, is cheap enough to be done for each line; all processes are asked when the claims have changed.
    fn look_for_unclaimed(&mut self, lock: &Path, is_due: bool) {
        let has_it = |holder: &mut Holder| holder.still_has(lock);
        self.unclaimed = self.unclaimed.take_if(has_it);
        if self.known.holder.is_some() || self.unclaimed.is_some() {
            return;
        }
        let effort = if is_due { Effort::All } else { Effort::Table };
        let found = unclaimed::look_beside(lock, &self.known.monitors, effort);
        self.unclaimed = found.into_iter().next();
    }
}

/// A record that is put in its place, a claim that is taken away, and a latch that is closed: that of an
/// owner who was killed, once, when guard and monitor are both gone, as they share one open file
/// description (inotify(7), `IN_CLOSE_WRITE`). Who only looks at claims closes nothing that he could write.
fn watch(folder: &Path) -> nix::Result<Inotify> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    let events = AddWatchFlags::IN_MOVED_TO
        | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_CLOSE_WRITE
        | AddWatchFlags::IN_ONLYDIR;
    inotify.add_watch(folder, events)?;
    Ok(inotify)
}

/// Whether anything has happened since the last time.
fn drain(changes: &Inotify) -> bool {
    let mut events = [0_u8; 1024];
    let mut any = false;
    while nix::unistd::read(changes, &mut events).is_ok_and(|bytes| bytes > 0) {
        any = true;
    }
    any
}

/// The queue of a lock as the claims beside it have it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Queue {
    /// Who has it, and since when, in milliseconds since 1970.
    holder: Option<(String, u64)>,
    /// How many wait, and how many of them came before us; `None`: our own claim is not among them.
    waiting: usize,
    before: Option<usize>,
    /// Those of the waiting that have a number here.
    monitors: Vec<i32>,
}

impl Queue {
    fn of(claims: &[(Record, bool)], us: &str) -> Self {
        let alive = || claims.iter().filter(|(_, alive)| *alive);
        let holder = alive().find(|(record, _)| record.run_id != us && record.holds());
        let name = |record: &Record| match &record.container {
            Some(container) => format!("{} in {}", record.job, container),
            None => record.job.clone(),
        };
        let waiting = alive().filter(|(record, _)| record.state == State::Waiting);
        let waiting: Vec<&Record> = waiting.map(|(record, _)| record).collect();
        Self {
            holder: holder.map(|(record, _)| (ascii(&name(record)), record.since_unix_ms)),
            waiting: waiting.len(),
            before: waiting.iter().position(|record| record.run_id == us),
            monitors: unclaimed::monitors(&waiting),
        }
    }

    /// `nameless` is who holds it where no claim says that.
    fn words(&self, now_unix_ms: u64, nameless: &str) -> (String, bool) {
        let (mut words, mut is_young) = (format!("held by {nameless}"), false);
        if let Some((name, since)) = &self.holder {
            let held = Duration::from_millis(now_unix_ms.saturating_sub(*since));
            is_young = held.as_secs() < HOUR;
            words = format!("held by {name} for {}", took(held.as_secs() * 1000));
        }
        if let Some(before) = self.before.filter(|_| self.waiting > 1) {
            let place = before + 1;
            // Writing to a string does not fail.
            let _ = write!(words, ", place {place} of {}", self.waiting);
        }
        (words, is_young)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::claim::Claim;
    use crate::lock::scratch::Scratch;
    use crate::sys::poll;

    const SECOND: u64 = 1000;

    fn claim(run_id: &str, state: State, since_unix_ms: u64) -> (Record, bool) {
        let json = format!(r#"{{"run_id":"{run_id}","job":"dev","kind":"batch"}}"#);
        let record: Record = serde_json::from_str(&json).unwrap();
        let record = Record {
            state,
            since_unix_ms,
            container: Some("agents-1".to_owned()),
            ..record
        };
        (record, true)
    }

    #[test]
    fn the_queue_names_the_holder_and_our_place_among_the_living() {
        let (_, alive) = claim("dead", State::Waiting, 3);
        assert!(alive);
        let claims = [
            claim("holder", State::Running, 1),
            claim("first", State::Waiting, 2),
            (claim("dead", State::Waiting, 3).0, false),
            claim("us", State::Waiting, 4),
            claim("last", State::Waiting, 5),
        ];
        let (words, is_young) = Queue::of(&claims, "us").words(1 + 75 * SECOND, NAMELESS);
        assert_eq!(words, "held by dev in agents-1 for 1m 15s, place 2 of 3");
        assert!(is_young);
        let (_, is_young) = Queue::of(&claims, "us").words(1 + HOUR * SECOND, NAMELESS);
        assert!(!is_young);
    }

    #[test]
    fn who_could_not_write_a_claim_is_told_no_place() {
        let claims = [
            claim("first", State::Waiting, 2),
            claim("second", State::Waiting, 3),
        ];
        let (words, _) = Queue::of(&claims, "us").words(SECOND, NAMELESS);
        assert_eq!(words, "held by a process that leaves no claim");
    }

    #[test]
    fn where_nobody_says_that_he_holds_it_that_is_said() {
        let queue = Queue::of(&[claim("us", State::Waiting, 1)], "us");
        let (words, is_young) = queue.words(SECOND, NAMELESS);
        assert_eq!(words, "held by a process that leaves no claim");
        assert!(!is_young);
    }

    #[test]
    fn a_holder_that_was_killed_is_told_of_and_named_no_more_and_no_other_claim_is_needed_for_that()
    {
        let dir = Scratch::new();
        let awaited = Awaited::Lock {
            path: dir.join("lock"),
            run_id: "us".to_owned(),
        };
        let (record, _) = claim("holder", State::Running, 1);
        let holder = Claim::create(&claims_folder(&dir.join("lock")), "holder", &record).unwrap();
        let mut teller = Teller::new(&awaited);
        let (words, _) = teller.tell();
        assert!(words.starts_with("held by dev in agents-1"), "{words}");
        let is_told = |teller: &Teller<'_>| poll::is_ready(teller.changes().unwrap());
        // Guard and monitor share the latch: while one of them lives, nothing happens.
        let latch = holder.as_fd().try_clone_to_owned().unwrap();
        drop(holder);
        assert!(!is_told(&teller));
        drop(latch);
        assert!(is_told(&teller));
        let (words, counts) = teller.tell();
        assert!(!words.contains("agents-1"), "{words}");
        // And once more: the latch may have been free an instant too late.
        assert!(counts);
        let (_, counts) = teller.tell();
        // To look is no change, or each look would bring the next.
        assert!(!counts && !is_told(&teller));
    }
}
