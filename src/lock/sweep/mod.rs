//! Lock directories: locks that *are* a directory, made by mkdir(2), as npm's proper-lockfile and so
//! Claude Code make them. Whoever is killed leaves his behind, and the next one starves.
//!
//! | file | what is in it |
//! | --- | --- |
//! | [`listed`] | the directories of one run: looked at before it, swept after it |
//! | [`judge`] | pure: dead, somebody else's, or to be watched |
//! | [`watch`] | waiting for a sign of life |
//! | [`remove`] | taking a dead one away without ever taking a living one |
//!
//! A living owner sets the modification time of his directory every few seconds (5 s, Claude Code);
//! with proper-lockfile it lies up to a second in the future when new, as it rounds up to find out how
//! exact the file system's times are. He takes a directory that he does not find for his own for a
//! broken lock, and ends; so a living one must not be moved even for an instant.
//!
//! Invariants:
//! - Only what is judged dead is touched at all, and only by rename and rmdir(2), never recursively.
//! - What was there before the run is somebody else's, unless he gave no sign of life for
//!   `stale_after`, after which other users of the same library take it over, too.
//! - What is new, with an owner who may live, is watched for longer than owners are silent.
//! - Where all who use the login run under lockkeeper (`exclusive`), and no claim but ours is alive,
//!   nobody is left whose it could be, before the run or after it.
//! - Ages are of the wall clock, by which the owners write. Where it was set or the machine slept
//!   while we looked on, only times are believed that we have measured ourselves.
//! - Killed at any instruction, a sweep leaves at most an empty directory under a name of our own,
//!   which the next one knows.
//!
//! The residue: a clock that is set (or hosts that share a folder and disagree) by more than
//! `stale_after` within the few seconds before a run starts, and an owner who is stopped for longer
//! than `refresh`, make a living one look dead. For the library's other users it is so, too.

pub mod judge;
pub mod listed;
pub mod remove;
pub mod watch;
