//! The line that a person sees while a run waits: what for, for how long, who has it, our place.
//!
//! A thread draws it, as the claims may lie on a file system that answers when it likes; once a second
//! at most, once a minute after the first hour where nothing changes, and only while our group has the
//! terminal.
//!
//! Who waits never waits for the line. The terminal is opened anew for it, non-blocking, so that one that
//! was stopped (`^S`) takes nothing rather than keeping us; the mutex is held for one such write; and
//! dropping a [`WaitingLine`] takes the line away itself, whatever the thread is doing. The thread is ended
//! by an eventfd, or by the end of its process.
//!
//! Words are ASCII: a character that is two columns wide would break the line, and leave a trace.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::core::text::took;
use crate::core::time::Time;
use crate::sys::{clock, poll, thread, tty};
use queue::Teller;

mod queue;

/// Enough for a record as deeply nested as one is read at all.
const STACK: usize = 256 * 1024;
/// A wait that is shorter shows no line.
const SHOWN_AFTER: Duration = Duration::from_millis(300);
const SECOND: Duration = Duration::from_secs(1);
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
        // Where the next line is due within a second a change is seen then: whoever may write among the
        // claims wakes us no more often than that.
        let mut is_slow = false;
        loop {
            let changes = teller.changes().filter(|_| is_slow);
            let [ended, is_told] = poll::wait([Some(self.ended.as_fd()), changes], Some(next));
            if ended {
                return;
            }
            let now = clock::now();
            if is_told {
                is_slow = false;
                next = next.min(now + SECOND);
            }
            if now < next {
                continue;
            }
            let elapsed = now.since(since);
            let (told, counts) = teller.tell();
            let width = tty::columns(self.terminal.as_fd());
            let text = line(teller.path, elapsed, &told, width);
            self.with(|shown, mut terminal| {
                if !shown.is_over && tty::is_ours(terminal.as_fd()) {
                    shown.is_there |= terminal.write(format!("{ERASE}{text}").as_bytes()).is_ok();
                }
            });
            is_slow = !counts && elapsed.as_secs() >= HOUR;
            let step = if is_slow { MINUTE } else { 1 };
            next = since + Duration::from_secs((elapsed.as_secs() / step + 1) * step);
        }
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
