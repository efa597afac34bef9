//! What `status` shows: facts in, rows out, and three ways to write them down.
//!
//! | file | what is in it |
//! | --- | --- |
//! | [`model`] | the facts, and the view that they make |
//! | [`table`] | for people: a table of as many columns as there is room for |
//! | [`json`] | for programs: one object, version 1 |
//! | [`metrics`] | for Prometheus: its text format |
//!
//! Pure: no file, no clock, no terminal is asked here; `cli::verb::status` looks, and prints.
//!
//! # Who is believed
//!
//! init's table and the claims are looked at one after the other, init first, and may disagree for an
//! instant. Which jobs there are, which run each has, whether it stops, is ready or is over: there init's
//! word counts. How far a run is that init calls running, waiting or at work, and all about locks and
//! directories: there the claim counts, as init does not know it. A run that only a claim knows is shown
//! where somebody has begun it by hand, as init hears of it a little later, and not where an init has.
//! Without an init all is what the claims say. A claim is a record whose latch the kernel says is held.
//!
//! A run that has just got its lock is still among those that wait until its record says so, a few
//! milliseconds after its command has started; nobody is shown as the holder then.
#![forbid(unsafe_code)]

pub mod json;
pub mod metrics;
pub mod model;
pub mod table;
