//! Text to standard output or standard error for people, without std's print macros: those panic
//! where the reader has gone, and buffer what a fork would then write twice.

use std::env;
use std::ffi::OsStr;
use std::io::{stderr, stdout};
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::write;

use crate::sys::{clock, poll, tty};

/// A pipe with any room takes so much without waiting (pipe(7), `PIPE_BUF`), and as a whole.
const PIECE: usize = 4096;
/// How long standard error that takes nothing is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Prints `text` to standard output. A reader that has gone (`lockkeeper --help | head -1`) is no
/// failure: it has what it wanted.
pub fn out(text: &str) -> Result<(), Errno> {
    match out_or_pipe(text) {
        Err(Errno::EPIPE) => Ok(()),
        other => other,
    }
}

/// The same for who prints again and again: `EPIPE`, the reader has gone.
pub fn out_or_pipe(text: &str) -> Result<(), Errno> {
    put(stdout(), text.as_bytes())
}

/// Whether what goes to standard output may have colours: a terminal, and nobody has said no.
pub fn wants_colour() -> bool {
    let says = |name, no: fn(&OsStr) -> bool| env::var_os(name).is_some_and(|value| no(&value));
    let unwanted =
        says("NO_COLOR", |value| !value.is_empty()) || says("TERM", |value| value == "dumb");
    !unwanted && tty::is_terminal(stdout().as_fd())
}

/// Prints one line, `lockkeeper: text`, to standard error, in one write(2). Where that fails there
/// is nobody to tell. Not for processes that must never block: they have a journal.
pub fn complain(text: &str) {
    let _ = put(stderr(), format!("lockkeeper: {text}\n").as_bytes());
}

/// The same from a process that ends with it, and that nobody can end before: its signals are blocked, it
/// may be PID 1, and an init that has started it waits for its end. Who reads nothing for a while gets
/// no more.
pub fn last_words(text: &str) {
    let line = format!("lockkeeper: {text}\n");
    for piece in line.as_bytes().chunks(PIECE) {
        let due = clock::now() + PATIENCE;
        let (room, []) = poll::wait_for_room_or(stderr().as_fd(), [], Some(due));
        if !room || put(stderr(), piece).is_err() {
            return;
        }
    }
}

/// Prints text to standard error, likewise.
pub fn error(text: &str) {
    let _ = put(stderr(), text.as_bytes());
}

fn put(to: impl AsFd, mut rest: &[u8]) -> Result<(), Errno> {
    while !rest.is_empty() {
        match write(&to, rest) {
            Ok(done) => rest = rest.get(done..).unwrap_or_default(),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, pipe};

    #[test]
    fn the_whole_text_arrives() {
        let (mut reader, writer) = pipe().unwrap();
        put(&writer, b"a text\n").unwrap();
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "a text\n");
    }

    #[test]
    fn a_reader_that_has_gone_is_an_errno_and_no_panic() {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        assert_eq!(put(&writer, b"a text\n"), Err(Errno::EPIPE));
    }
}
