//! Directory locks: one agent per working copy, and what killed agents leave behind.
//!
//! | file | what is in it |
//! | --- | --- |
//! | [`record`] | what `.runtime/agent.lock` says, ours and gastown's |
//! | [`judge`] | whether the owner of a record lives, is dead, or cannot be judged from here |
//! | [`sessions`] | which tmux sessions live |
//! | [`agentctl`] | agentctl's `locks.json`, read and judged |
//! | [`in_use`] | live processes whose working directory lies inside |

pub mod agentctl;
pub mod in_use;
pub mod judge;
pub mod record;
pub mod sessions;
