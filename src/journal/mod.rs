//! What happened, told to the journal: [`crate::core::note::Note`] → journald or standard error.
//!
//! A note passes three rooms: [`kind`] gives it a message id and a level, [`render`] its words and
//! fields, `sink` carries it out. [`queue`] stands before them: the process puts notes in, the
//! log thread takes them out.
//!
//! Invariants:
//! - [`Journal::note`] never waits for a reader: a stalled journald blocks `send(2)` for ever, and
//!   standard error is a pipe that somebody may have stopped reading. Only the log thread writes.
//! - A note that nobody would see starts no thread and costs no text.
//! - No field is given twice, and the names are a closed list ([`mod@fields`]).
//!
//! The log thread inherits the mask of the thread that writes the first note, which must have all
//! signals blocked by then. A thread does not survive fork(2): whoever forks without execve(2)
//! makes its [`Journal`] afterwards.
#![forbid(unsafe_code)]

pub mod fields;
pub mod kind;
mod line;
pub mod queue;
pub mod render;
pub mod route;
mod sink;
mod spanless;
mod words;

pub use queue::Journal;
pub use route::{Context, Format, Speaker, Verbosity};
