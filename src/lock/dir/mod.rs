//! Directory locks: one agent per working copy, and what killed agents leave behind.
//!
//! The lock lies in the directory itself, so that all who mount it share it: a latch, which the
//! kernel frees when its holder dies, and a record beside it, for people and other tools. Both
//! are judged from here: ours by the latch, and by its process where that is free, a person's by its mark, another tool's by what the
//! record says. Only the provably dead are taken over or cleared away.
//!
//! | file | what is in it |
//! | --- | --- |
//! | [`claim`] | the lock itself: taken, kept up to date, released, taken over from the dead |
//! | [`manual`] | locks by hand |
//! | [`place`] | `.runtime` in the directory, and the files in it |
//! | [`conflict`] | why a lock was not obtained: who has it, and what to do |
//! | [`await_end`] | waiting for the end of another's claim |
//! | [`subtree`] | locks that cover the folders below |
//! | [`record`] | what `.runtime/agent.lock` says, ours and gastown's |
//! | [`judge`] | whether the owner of a record lives, is dead, or cannot be judged from here |
//! | [`sessions`] | which tmux sessions live |
//! | [`agentctl`] | agentctl's `locks.json`, read and judged |
//! | [`in_use`] | live processes whose working directory lies inside |

pub mod agentctl;
pub mod await_end;
pub mod claim;
pub mod conflict;
pub mod in_use;
pub mod judge;
pub mod manual;
pub mod place;
pub mod record;
pub mod sessions;
pub mod subtree;

mod coordination;
mod owner;
mod stat;
mod step;
