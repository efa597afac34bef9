//! How a run ended: its fields, and its words.

use super::super::fields::Fields;
use super::super::words::{Short, cause, signal_name};
use super::ms;
use crate::core::outcome::{Outcome, Reason, Status};

/// The words for `outcome`; its facts go into `to`.
pub(super) fn ended(outcome: &Outcome, to: &mut Fields<'_>) -> String {
    let Outcome {
        code,
        reason,
        status,
        waited,
        held,
        ran,
    } = *outcome;
    to.run_code = Some(code);
    to.invocation_id = to.run_id.map(invocation);
    to.reason = Some(reason.word());
    to.waited_ms = Some(ms(waited));
    to.held_ms = Some(ms(held));
    (to.exit_code, to.exit_status) = match status {
        Some(Status::Exited(code)) => (Some("exited"), Some(i32::from(code))),
        Some(Status::Killed(signal)) => (Some("killed"), Some(signal)),
        Some(Status::Dumped(signal)) => (Some("dumped"), Some(signal)),
        None => (None, None),
    };
    let died_of = match status {
        Some(Status::Killed(signal) | Status::Dumped(signal)) => Some(signal_name(signal)),
        Some(Status::Exited(_)) | None => None,
    };
    let after = Short(ran);
    let text = match reason {
        Reason::Ended => match &died_of {
            Some(signal) => {
                let dumped = matches!(status, Some(Status::Dumped(_)));
                let dumped = if dumped { ", core dumped" } else { "" };
                format!("killed by {signal} after {after}{dumped} (exit {code})")
            }
            None => format!("ended after {after} (exit {code})"),
        },
        Reason::Timeout
        | Reason::IdleTimeout
        | Reason::ReadyTimeout
        | Reason::Heartbeat
        | Reason::Final { .. }
        | Reason::Signal(_)
        | Reason::GuardLost
        | Reason::InitStop => format!("ended by {} after {after} (exit {code})", cause(reason)),
        Reason::WaitExpired
        | Reason::DirNotLocked
        | Reason::StartRefused
        | Reason::Paused
        | Reason::SpawnFailed { .. } => {
            format!("not run, {} (exit {code})", cause(reason))
        }
        Reason::Failed => format!("lockkeeper failed after {after} (exit {code})"),
    };
    to.signal = died_of;
    text
}

/// The id of a run in the shape that systemd's tools take: 128 bits.
pub(super) fn invocation(run_id: &str) -> String {
    format!("{run_id}{run_id}")
}
