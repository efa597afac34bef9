//! The command line: what was typed → what it means.
//!
//! One table of verbs and flags ([`flags`]) feeds the parser ([`mod@parse`]), `--help` ([`help`]) and
//! the suggestions for what was misspelt ([`suggest`]) or misplaced (`meant`). Invariants: outside
//! [`verb`], which does what was asked, nothing here looks at a file, the environment or a process; the
//! arguments of a command pass through untouched, whatever their bytes are.
#![forbid(unsafe_code)]

pub mod flags;
pub mod help;
mod meant;
pub mod parse;
pub mod print;
pub mod suggest;
mod typed;
pub mod verb;

pub use parse::{
    AskArgs, CheckArgs, Command, Form, InitArgs, LockArgs, LogsArgs, PauseArgs, RunArgs, Shows,
    StatusArgs, TimelineArgs, UsageError, parse,
};
