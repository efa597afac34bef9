//! The directory locks below a root: finding them, and saying how each one stands.
//!
//! | file | what is in it |
//! | --- | --- |
//! | [`survey`] | all locks below some roots, and how they stand beside each other |
//! | [`look`] | one directory's lock, and how it stands |
//! | [`clean`] | removing the record of a dead owner |
//! | [`walk`] | every directory below a root, by several threads |
//! | [`skip`] | which folders cannot hold a working copy |
//! | [`depth`] | the way from a root down to where one thread is |
//!
//! Invariants of this room: nothing is followed out of a root; no system call is made for a file that
//! is no lock; what is kept grows with the locks that are found, not with the tree; only
//! what is judged dead twice, the second time under the kernel's locks, is removed.

pub mod clean;
pub mod depth;
pub mod look;
pub mod skip;
pub mod survey;
pub mod walk;
