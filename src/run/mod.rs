//! The shell round one run: a guard and a monitor, two processes that share one open file
//! description of the lock, so that the lock outlives either of them.
//!
//! | process | owns | ends |
//! | --- | --- | --- |
//! | [`guard`] | the caller's process id, the lock file opened before the fork | when the monitor has reported, or has died and no process of the run is left |
//! | [`monitor`] | the command and its tree, every deadline, the terminal's job control | when the tree is empty and the lock is free |
//!
//! Invariants: the lock file, and the latch of each directory that is locked, is opened close-on-exec before the fork, so no job ever has the
//! descriptor; each of the two is a subreaper, so that when the monitor dies, exactly this run's
//! orphans become the guard's children; whichever of the two is killed, the other ends the tree
//! before the lock is free. All policy is [`crate::core::run`]; nothing here decides.

pub mod cgroup;
pub mod claims;
pub mod command;
pub mod conditions;
pub mod dirs;
pub mod env_file;
pub mod errand;
pub mod event_log;
mod folders;
pub mod guard;
pub mod look;
pub mod memory;
pub mod message;
pub mod monitor;
pub mod nested;
pub mod notify;
pub mod output;
pub mod packed;
pub mod pause;
pub mod report;
pub mod secrets;
pub mod start;
pub mod waiter;
pub mod waiting_line;
