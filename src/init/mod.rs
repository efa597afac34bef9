//! The shell round the job table: the container's ENTRYPOINT, as PID 1 or as a subreaper.
//!
//! | file | what is in it |
//! | --- | --- |
//! | [`shell`] | the loop: signals, reaping, the wires to the guards, the actions of the table |
//! | [`guards`] | starting a guard for a run, and being one |
//! | [`control`] | the socket at which people ask this init |
//! | [`reload`] | reading the file anew |
//! | [`found`] | runs that live on from an earlier init |
//! | [`hook`] | the command that is told of events |
//! | [`outer`] | what whoever started init is told of it |
//! | [`crash`] | what happens when init itself panics or faults |
//! | [`farewell`] | the end: nobody of the container outlives init |
//!
//! Invariants: all policy is [`crate::core::table`]; nothing here blocks (every wire is read without
//! waiting, notes go through the log thread); unknown children are reaped and never killed until
//! init's own end, as they may be what somebody started by `exec` in the container.

pub mod control;
pub mod crash;
pub mod farewell;
pub mod found;
pub mod guards;
pub mod hook;
pub mod outer;
pub mod reload;
pub mod shell;
