//! From the TOML to a [`plan::Plan`]: what a valid configuration means, and reports of all that is
//! wrong with one, each with line, column and a suggestion.
//!
//! The way of a file: [`source`] reads the bytes and refuses what is no text; `repair` takes out
//! what is no TOML, so that the rest can be judged; `sheet` walks the tables by the one table of
//! keys in [`keys`]; `value` and `text` make each value what its key asks for; `resolve` lets jobs
//! inherit from classes and finds each class its lock; `rules` checks what concerns several tables.
//! Whatever is wrong becomes a [`report::Finding`] and none ends the reading, so that all of them
//! are reported at once.
//!
//! Invariant: whatever leaves this folder as a plan is complete and valid; nothing behind it asks
//! the TOML again. Reading never takes the program down, whatever the bytes are.

pub mod keys;
pub mod plan;
pub mod report;
pub mod source;

mod expand;
mod findings;
pub mod load;
pub mod names;
pub(crate) mod nearest;
mod repair;
mod resolve;
mod rules;
mod secrets;
mod sheet;
mod signals;
mod text;
mod value;

pub use load::{Loaded, Surroundings, built_in, parse, read};
pub use nearest::nearest;
