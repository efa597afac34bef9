//! lockkeeper: a tiny init for the containers in which AI coding agents run.
//!
//! One batch job at a time through the shared lock, interactive jobs straight past it, nobody left
//! behind, and the lock neither freed early nor held for ever.
//!
//! # The map
//!
//! | room | what is in it |
//! | --- | --- |
//! | [`exit`] | every exit code |
//! | [`cli`] | the command line: one table of flags, one file a verb |
//! | [`config`] | TOML → [`config::plan::Plan`], and its error reports |
//! | [`core`] | pure: the state machines of a run and of the job table, timers, notes |
//! | [`run`] | guard and monitor: the shell round one run |
//! | [`init`] | the shell round the job table |
//! | [`lock`] | the shared lock, claims, placement |
//! | [`journal`] | notes → journald or standard error |
//! | [`trouble`] | error numbers in words: why, and what to do |
//! | [`sys`] | the only unsafe code: signals, wait, spawn, /proc, poll, clock |

pub mod cli;
pub mod config;
pub mod core;
pub mod exit;
pub mod init;
pub mod journal;
pub mod lock;
pub mod run;
pub mod sys;
pub mod trouble;
