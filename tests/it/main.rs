//! The integration tests: one crate, so that it links once. `support` holds what they share.
#![expect(
    clippy::disallowed_methods,
    reason = "a test is the outside world: it has a clock, looks again, and starts programs"
)]
#![expect(clippy::print_stderr, reason = "what a machine lacks is said loudly")]
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on says where, and fails"
)]

mod agent;
mod bad_input;
mod blocks;
mod cgroup;
mod chaos;
mod check;
mod completions;
mod conditions;
mod config;
mod containers;
mod contest;
mod control;
mod debian_package;
mod deploy;
mod directory;
mod early;
mod events;
mod features;
mod foreign;
mod hygiene;
mod invariants;
mod journal;
mod lock_clean;
mod lock_hold;
mod lock_list;
mod manual;
mod nested;
mod newcomer;
mod notify;
mod output;
mod parts;
mod pause;
mod plain_holder;
mod pty;
mod readme;
mod recipes;
mod refusals;
mod regression;
mod release;
mod schema;
mod signal_map;
mod signal_table;
mod signals;
mod split;
mod status;
mod supervise;
mod support;
mod sweep;
mod terminal;
mod timeline;
mod tree;
mod view;
mod waiting_line;
pub(crate) mod wrong_use;
