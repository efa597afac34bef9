//! The policy, pure: what happens next, as a function of state, event and time.
//!
//! Invariants: no I/O, no clock, no process, no thread is named here; `now` is always a parameter
//! ([`time::Time`]). The same events at the same times give the same actions, so that an event log
//! recorded from a real run replays ([`run`]).
#![forbid(unsafe_code)]

pub mod bytes;
pub mod event;
pub mod final_line;
pub mod hook;
pub mod mask;
pub mod note;
pub mod notice;
pub mod order;
pub mod outcome;
pub mod pause;
pub mod refusal;
pub mod run;
pub mod shell;
pub mod table;
pub mod text;
pub mod time;
pub mod timeline;
pub mod timers;

#[cfg(test)]
mod tests;
