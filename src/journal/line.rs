//! One record as one line on standard error, in words or as JSON.
//!
//! Invariant: one write(2) a line, so that lines of several processes do not mix within
//! `PIPE_BUF` (pipe(7)), and no control character of a job's name or a path reaches a terminal.

use std::fmt::{Display, Write as _};
use std::io::{Stderr, stderr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::write;

use super::kind;
use super::render::Record;
use super::route::{self, Format, Surroundings};
use crate::sys::clock;

/// The longest event, in bytes: with the quotes that it gets on the way, one message to init.
const EVENT: usize = 6 * 1024;

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
    /// (pipe(7)), and a longer line is not written. Whether it was.
    pub(super) fn put_at_once(&self, line: &str) -> bool {
        let mut room = [PollFd::new(self.as_fd(), PollFlags::POLLOUT)];
        line.len() <= libc::PIPE_BUF
            && poll(&mut room, PollTimeout::ZERO) == Ok(1)
            && write(self, line.as_bytes()) == Ok(line.len())
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
pub(super) fn line(record: &Record<'_>, around: Surroundings, format: Format) -> String {
    let mut line = String::with_capacity(128);
    if around.stderr == route::Stderr::Journal {
        line.push('<');
        line.push(char::from(b'0' + record.level.priority()));
        line.push('>');
    }
    match format {
        Format::Text => words(&mut line, record),
        Format::Json => object(&mut line, record),
    }
    line.push('\n');
    line
}

fn words(line: &mut String, record: &Record<'_>) {
    line.push_str("lockkeeper: ");
    for c in record.message().chars() {
        if c.is_control() {
            // Writing to a string does not fail.
            let _ = write!(line, "{}", c.escape_default());
        } else {
            line.push(c);
        }
    }
}

/// An event for the command of `on_event`: the record as JSON, with the name of its kind. At most
/// [`EVENT`] bytes: of one that is longer the fields that may be long are left out, and its words cut.
pub(super) fn event(record: &mut Record<'_>) -> String {
    let write = |record: &Record<'_>| {
        let mut line = String::with_capacity(512);
        object(&mut line, record);
        line.pop();
        member(&mut line, "KIND", &kind::name(record.id));
        line.push('}');
        line
    };
    let line = write(record);
    if line.len() <= EVENT {
        return line;
    }
    let fields = &mut record.fields;
    (fields.lock, fields.holder, fields.directory) = (None, None, None);
    (fields.claim, fields.command, fields.pids) = (None, None, None);
    let words = |c: char| if c.is_control() { '?' } else { c };
    record.text = record.text.chars().take(EVENT / 16).map(words).collect();
    record.text.push('…');
    write(record)
}

/// As journald would have it, so that what reads `journalctl --output=json` reads this: names in
/// capitals, every value a text, the time in microseconds.
fn object(line: &mut String, record: &Record<'_>) {
    let time = clock::unix_nanos() / 1000;
    let _ = write!(line, "{{\"__REALTIME_TIMESTAMP\":\"{time}\"");
    member(line, "PRIORITY", &record.level.priority());
    member(line, "SYSLOG_IDENTIFIER", &"lockkeeper");
    member(line, "MESSAGE_ID", &record.id.0);
    member(line, "MESSAGE", &record.message());
    record
        .fields
        .each(|name, value| member(line, &name.to_ascii_uppercase(), value));
    line.push('}');
}

fn member(line: &mut String, name: &str, value: &dyn Display) {
    // A text can always be written as JSON.
    let value = serde_json::to_string(&value.to_string()).unwrap_or_default();
    let _ = write!(line, ",\"{name}\":");
    for c in value.chars() {
        // What JSON lets stand, and a terminal would obey: U+007F to U+009F.
        if c.is_control() {
            let _ = write!(line, "\\u{:04x}", u32::from(c));
        } else {
            line.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::note::Note;
    use crate::journal::render::render;
    use crate::journal::route::{Context, Speaker};

    fn line_of(note: &Note, job: &str, stderr: route::Stderr, format: Format) -> String {
        let context = Context {
            container_name: None,
            job: Some(job.into()),
            class: None,
            run_id: None,
            file: None,
            speaker: Speaker::Run,
            format,
            secrets: std::sync::Arc::default(),
        };
        let around = Surroundings {
            socket: false,
            stderr,
        };
        line(&render(note, &context), around, format)
    }

    #[test]
    fn the_priority_stands_before_the_line_only_where_journald_reads_it() {
        let text = "lockkeeper: job dev: killing what is left\n";
        let line = |stderr| line_of(&Note::Killing, "dev", stderr, Format::Text);
        assert_eq!(line(route::Stderr::Other), text);
        assert_eq!(line(route::Stderr::Terminal), text);
        assert_eq!(line(route::Stderr::Journal), format!("<4>{text}"));
    }

    #[test]
    fn no_control_character_of_a_name_or_a_path_reaches_the_reader() {
        let note = Note::LockReplacedWaiting {
            lock: "/a\nb\x1b[2J".into(),
        };
        let line = line_of(&note, "d\nev\x07", route::Stderr::Other, Format::Text);
        assert_eq!(line.matches(char::is_control).collect::<Vec<_>>(), ["\n"]);
        assert!(line.starts_with(r"lockkeeper: job d\nev\u{7}: "), "{line}");
    }

    #[test]
    fn a_line_of_json_has_the_names_and_values_that_journalctl_shows() {
        let note = Note::LockReplacedWaiting {
            lock: "/a\n\"b\u{7f}\u{9b}".into(),
        };
        let line = line_of(&note, "dev", route::Stderr::Other, Format::Json);
        assert_eq!(line.matches(char::is_control).collect::<Vec<_>>(), ["\n"]);
        let object: serde_json::Value = serde_json::from_str(&line).unwrap();
        let context = Context {
            container_name: None,
            job: Some("dev".into()),
            class: None,
            run_id: None,
            file: None,
            speaker: Speaker::Run,
            format: Format::Json,
            secrets: std::sync::Arc::default(),
        };
        let record = render(&note, &context);
        for (name, value) in [
            ("MESSAGE", &*record.message()),
            ("MESSAGE_ID", record.id.0),
            ("PRIORITY", "4"),
            ("SYSLOG_IDENTIFIER", "lockkeeper"),
            ("JOB", "dev"),
            ("LOCK", "/a\n\"b\u{7f}\u{9b}"),
        ] {
            assert_eq!(object[name], value, "{line}");
        }
        let time = object["__REALTIME_TIMESTAMP"].as_str().unwrap();
        assert!(
            time.parse::<u64>().unwrap() > 1_500_000_000_000_000,
            "{line}"
        );
        assert_eq!(object.as_object().unwrap().len(), 7, "{line}");
    }
}
