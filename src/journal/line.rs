//! One record as one line on standard error.
//!
//! Invariant: one write(2) a line, so that lines of several processes do not mix within
//! `PIPE_BUF` (pipe(7)), and no control character of a job's name or a path reaches a terminal.

use std::fmt::Write as _;
use std::io::{Stderr, stderr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::write;

use super::render::Record;

/// The descriptor that lines go to. Whoever writes to it may be blocked for ever.
#[derive(Debug)]
pub(super) enum Out {
    /// Ours.
    Stderr(Stderr),
    /// Another one in its place.
    Other(OwnedFd),
}

impl Out {
    pub(super) fn stderr() -> Self {
        Self::Stderr(stderr())
    }

    /// Writes the whole of `line`, whatever it takes: partial writes, a full non-blocking pipe.
    /// What cannot be written at all (nobody has it open any more) is dropped: there is nobody
    /// left to tell.
    pub(super) fn put(&self, line: &str) {
        let mut rest = line.as_bytes();
        while !rest.is_empty() {
            match write(self, rest) {
                Ok(done) => rest = rest.get(done..).unwrap_or_default(),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => {
                    let mut room = [PollFd::new(self.as_fd(), PollFlags::POLLOUT)];
                    match poll(&mut room, PollTimeout::NONE) {
                        Ok(_) | Err(Errno::EINTR) => {}
                        Err(_) => return,
                    }
                }
                Err(_) => return,
            }
        }
    }

    /// Writes `line` if that waits for nobody: a pipe that has room has it for `PIPE_BUF` bytes
    /// (pipe(7)). Whether it did.
    pub(super) fn put_at_once(&self, line: &str) -> bool {
        let mut room = [PollFd::new(self.as_fd(), PollFlags::POLLOUT)];
        let takes = poll(&mut room, PollTimeout::ZERO) == Ok(1);
        let most = line.as_bytes().chunks(libc::PIPE_BUF).next();
        takes && most.is_some_and(|most| write(self, most).is_ok())
    }
}

impl AsFd for Out {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Stderr(ours) => ours.as_fd(),
            Self::Other(other) => other.as_fd(),
        }
    }
}

/// The line of a record. Where journald reads it, the priority stands before it (`sd-daemon(3)`).
pub(super) fn line(record: &Record<'_>, to_journal: bool) -> String {
    let mut line = String::with_capacity(128);
    if to_journal {
        line.push('<');
        line.push(char::from(b'0' + record.level.priority()));
        line.push('>');
    }
    line.push_str("lockkeeper: ");
    for c in record.message().chars() {
        if c.is_control() {
            // Writing to a string does not fail.
            let _ = write!(line, "{}", c.escape_default());
        } else {
            line.push(c);
        }
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::note::Note;
    use crate::journal::render::render;
    use crate::journal::route::{Context, Speaker};

    fn line_of(note: &Note, job: &str, to_journal: bool) -> String {
        let context = Context {
            container_name: None,
            job: Some(job.into()),
            class: None,
            run_id: None,
            speaker: Speaker::Run,
            secrets: std::sync::Arc::default(),
        };
        line(&render(note, &context), to_journal)
    }

    #[test]
    fn the_priority_stands_before_the_line_only_where_journald_reads_it() {
        let text = "lockkeeper: job dev: killing what is left\n";
        assert_eq!(line_of(&Note::Killing, "dev", false), text);
        assert_eq!(line_of(&Note::Killing, "dev", true), format!("<4>{text}"));
    }

    #[test]
    fn no_control_character_of_a_name_or_a_path_reaches_the_reader() {
        let note = Note::LockReplacedWaiting {
            lock: "/a\nb\x1b[2J".into(),
        };
        let line = line_of(&note, "d\nev\x07", false);
        assert_eq!(line.matches(char::is_control).collect::<Vec<_>>(), ["\n"]);
        assert!(line.starts_with(r"lockkeeper: job d\nev\u{7}: "), "{line}");
    }
}
