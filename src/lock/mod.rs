//! Locks: the shared lock, the claims that say who is where, and the place in which a lock lies.
//!
//! | file | what is in it |
//! | --- | --- |
//! | [`shared`] | the shared lock: flock(2) on a file that is never written, renamed or removed |
//! | [`fault`] | why a lock file cannot be opened or locked, and what to do |
//! | [`claim`] | "this run is mine": a record that is true as long as its owner holds the latch |
//! | [`latch`] | the kernel lock below a claim |
//! | [`kernel_table`] | who holds a lock, as the kernel lists it |
//! | [`unclaimed`] | who holds a lock and leaves no claim, in words |
//! | [`record`] | what a claim says, and how an error message puts it |
//! | [`listing`] | reading the claims of others, and clearing away the dead |
//! | [`dir`] | directory locks: one agent per working copy |
//! | [`scan`] | the directory locks below a root |
//! | [`rivals`] | touching our claim and looking at others', where no kernel lock says who lives |
//! | [`folders`] | where claims lie |
//! | [`sweep`] | lock directories: what a killed agent leaves, and the next one waits for |
//! | [`pause`] | records that keep batch runs from starting for a while |
//! | [`placement`] | whether a lock lies where other containers see it |
//! | [`mountinfo`] | the kernel's table of mounts |
//! | [`probe`] | whether a folder's file system excludes anybody at all |
//!
//! Invariants of this room:
//! - the shared lock and directory locks are all that excludes anybody; claims are information, and
//!   no error of theirs may fail a run;
//! - nobody is asked by taking his lock: who holds it is read from claims and records;
//! - what cannot be read or judged is left alone;
//! - absent on purpose: polling, heartbeats (but for [`rivals`]), ages, guesses from process ids.

pub mod claim;
pub mod dir;
pub mod fault;
pub mod folders;
pub mod kernel_table;
pub mod latch;
pub mod listing;
pub mod mountinfo;
pub mod pause;
pub mod placement;
pub mod probe;
pub mod scan;

pub mod record;
pub mod rivals;
pub mod shared;
pub mod sweep;
pub mod unclaimed;

#[cfg(test)]
pub(crate) mod scratch;
