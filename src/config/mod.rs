//! From the TOML to a [`plan::Plan`]: what a valid configuration means, and reports of all that is
//! wrong with one, each with line, column and a suggestion.
//!
//! Invariant: whatever leaves this folder as a plan is complete and valid; nothing behind it asks
//! the TOML again. Reading never takes the program down, whatever the bytes are.

pub mod plan;
