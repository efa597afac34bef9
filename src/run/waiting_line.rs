//! The line that a person sees while a run waits: what for, for how long, who has it, our place.
//!
//! A thread draws it, as the claims may lie on a file system that answers when it likes; once a second
//! at most, once a minute after the first hour, and only while our group has the terminal. Claims are
//! read anew when inotify tells of a change among them, or each time where it cannot.
//!
//! Who waits never waits for the line. The terminal is opened anew for it, non-blocking, so that one that
//! was stopped (`^S`) takes nothing rather than keeping us; the mutex is held for one such write; and
//! dropping a [`WaitingLine`] takes the line away itself, whatever the thread is doing. The thread is ended
//! by an eventfd, or by the end of its process.
//!
//! Words are ASCII: a character that is two columns wide would break the line, and leave a trace.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::core::text::took;
use crate::core::time::Time;
use crate::lock::folders::claims_folder;
use crate::lock::listing::list;
use crate::lock::record::{Record, State};
use crate::sys::{clock, poll, thread, tty};

/// Enough for a record as deeply nested as one is read at all.
const STACK: usize = 256 * 1024;
/// A wait that is shorter shows no line.
const SHOWN_AFTER: Duration = Duration::from_millis(300);
const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
/// To the first column, and nothing to the right of it (ECMA-48: EL).
const ERASE: &str = "\r\x1b[K";

/// What is waited for.
#[derive(Clone, Debug)]
pub enum Awaited {
    /// The shared lock.
    Lock {
        /// Its file.
        path: PathBuf,
        /// Our own run.
        run_id: String,
    },
    /// A directory.
    Dir {
        /// Which.
        path: PathBuf,
        /// Who has it, in words.
        holder: String,
    },
}

/// A line that is shown, or about to be. It is gone when this is dropped.
#[derive(Debug)]
pub struct WaitingLine {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    terminal: File,
    state: Mutex<Shown>,
    ended: EventFd,
}

#[derive(Debug, Default)]
struct Shown {
    is_there: bool,
    /// Nothing is drawn any more.
    is_over: bool,
}

impl WaitingLine {
    /// Shows it on the terminal of standard error, a moment from now.
    ///
    /// # Errors
    /// That terminal cannot be opened by us, or there is no thread to be had.
    pub fn start(awaited: Awaited, since: Time) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let terminal = options
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
            .open("/proc/self/fd/2")?;
        let shared = Arc::new(Shared {
            terminal,
            state: Mutex::default(),
            ended: EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?,
        });
        let drawn = Arc::clone(&shared);
        thread::start("line", STACK, move || {
            drawn.draw_until_ended(&awaited, since);
        })?;
        Ok(Self { shared })
    }
}

impl Drop for WaitingLine {
    fn drop(&mut self) {
        self.shared.with(|shown, mut terminal| {
            shown.is_over = true;
            // In the background others have written below it since.
            if shown.is_there && tty::is_ours(terminal.as_fd()) {
                let _ = terminal.write(ERASE.as_bytes());
            }
        });
        let _ = self.shared.ended.write(1);
    }
}

impl Shared {
    fn with(&self, act: impl FnOnce(&mut Shown, &File)) {
        let mut shown = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        act(&mut shown, &self.terminal);
    }

    fn draw_until_ended(&self, awaited: &Awaited, since: Time) {
        let mut teller = Teller::new(awaited);
        let mut next = clock::now() + SHOWN_AFTER;
        loop {
            poll::wait([Some(self.ended.as_fd())], Some(next));
            if poll::is_ready(self.ended.as_fd()) {
                return;
            }
            let now = clock::now();
            if now < next {
                continue;
            }
            let elapsed = now.since(since);
            let (told, is_young) = teller.tell();
            let width = tty::columns(self.terminal.as_fd());
            let text = line(teller.path, elapsed, &told, width);
            self.with(|shown, mut terminal| {
                if !shown.is_over && tty::is_ours(terminal.as_fd()) {
                    shown.is_there |= terminal.write(format!("{ERASE}{text}").as_bytes()).is_ok();
                }
            });
            let step = if is_young || elapsed.as_secs() < HOUR {
                1
            } else {
                MINUTE
            };
            next = since + Duration::from_secs((elapsed.as_secs() / step + 1) * step);
        }
    }
}

/// Who knows what is in the way.
struct Teller<'a> {
    path: &'a Path,
    claims: Option<Claims<'a>>,
    holder: &'a str,
}

struct Claims<'a> {
    folder: PathBuf,
    run_id: &'a str,
    changes: Option<Inotify>,
    known: Option<Queue>,
}

impl<'a> Teller<'a> {
    fn new(awaited: &'a Awaited) -> Self {
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
                known: None,
            }
        });
        Self {
            path,
            claims,
            holder,
        }
    }

    /// In words; and whether they count seconds.
    fn tell(&mut self) -> (String, bool) {
        let Some(claims) = &mut self.claims else {
            return (format!("held by {}", ascii(self.holder)), false);
        };
        let Claims {
            folder,
            run_id,
            changes,
            known,
        } = claims;
        let has_changed = changes.as_ref().is_none_or(drain);
        if has_changed || known.is_none() {
            *known = Some(Queue::of(&list(folder).claims, run_id));
        }
        let now = clock::unix_ms();
        let told = known.as_ref().map(|queue| queue.words(now));
        told.unwrap_or_default()
    }
}

fn watch(folder: &Path) -> nix::Result<Inotify> {
    let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)?;
    let events = AddWatchFlags::IN_MOVED_TO | AddWatchFlags::IN_DELETE | AddWatchFlags::IN_ONLYDIR;
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
}

impl Queue {
    fn of(claims: &[(Record, bool)], us: &str) -> Self {
        let alive = || claims.iter().filter(|(_, alive)| *alive);
        let holder = alive().find(|(record, _)| record.run_id != us && record.holds());
        let name = |record: &Record| match &record.container {
            Some(container) => format!("{} in {}", record.job, container),
            None => record.job.clone(),
        };
        let waiting = || alive().filter(|(record, _)| record.state == State::Waiting);
        Self {
            holder: holder.map(|(record, _)| (ascii(&name(record)), record.since_unix_ms)),
            waiting: waiting().count(),
            before: waiting().position(|(record, _)| record.run_id == us),
        }
    }

    fn words(&self, now_unix_ms: u64) -> (String, bool) {
        let (mut words, mut is_young) =
            ("held by a process that leaves no claim".to_owned(), false);
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

/// The line, shorter than `width` columns: first the path loses its beginning, then the line its end.
fn line(path: &Path, elapsed: Duration, told: &str, width: usize) -> String {
    const SHORTEST: usize = 12;
    const CUT: &str = "...";
    let path = ascii(&path.to_string_lossy());
    let begin = format!("waiting {} for ", took(elapsed.as_secs() * 1000));
    let end = format!(": {told}");
    let room = width.saturating_sub(1 + begin.len() + end.len());
    let path = if path.len() <= room.max(SHORTEST) {
        path
    } else {
        let kept = room.max(SHORTEST) - CUT.len();
        let tail = path.get(path.len() - kept..).unwrap_or_default();
        format!("{CUT}{tail}")
    };
    let mut line = begin + &path + &end;
    line.truncate(width.saturating_sub(1));
    line
}

fn ascii(text: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_graphic() || c == ' ' {
            c
        } else {
            '?'
        }
    };
    text.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let (words, is_young) = Queue::of(&claims, "us").words(1 + 75 * SECOND);
        assert_eq!(words, "held by dev in agents-1 for 1m 15s, place 2 of 3");
        assert!(is_young);
        let (_, is_young) = Queue::of(&claims, "us").words(1 + HOUR * SECOND);
        assert!(!is_young);
    }

    #[test]
    fn who_could_not_write_a_claim_is_told_no_place() {
        let claims = [
            claim("first", State::Waiting, 2),
            claim("second", State::Waiting, 3),
        ];
        let (words, _) = Queue::of(&claims, "us").words(SECOND);
        assert_eq!(words, "held by a process that leaves no claim");
    }

    #[test]
    fn where_nobody_says_that_he_holds_it_that_is_said() {
        let queue = Queue::of(&[claim("us", State::Waiting, 1)], "us");
        let (words, is_young) = queue.words(SECOND);
        assert_eq!(words, "held by a process that leaves no claim");
        assert!(!is_young);
    }

    #[test]
    fn a_line_never_reaches_the_last_column_and_is_plain_text() {
        let path = Path::new("/home/agent/\u{202e}.claude/session.lock\n");
        for width in 0..160 {
            let line = line(path, Duration::from_secs(3), "held by \"x\"", width);
            assert!(line.len() < width.max(1), "{width}: {line}");
            assert!(line.chars().all(|c| c == ' ' || c.is_ascii_graphic()));
        }
    }

    #[test]
    fn a_path_that_has_no_room_keeps_its_end_and_who_has_it_goes_last() {
        let path = Path::new("/home/agent/.claude/session.lock");
        let told = "held by dev in agents-1 for 14m 03s, place 2 of 3";
        let line = |width| line(path, Duration::from_secs(72), told, width);
        assert_eq!(
            line(140),
            format!("waiting 1m 12s for /home/agent/.claude/session.lock: {told}")
        );
        assert_eq!(
            line(86),
            format!("waiting 1m 12s for ...session.lock: {told}")
        );
        assert_eq!(
            line(70),
            "waiting 1m 12s for ...sion.lock: held by dev in agents-1 for 14m 03s,"
        );
    }
}
