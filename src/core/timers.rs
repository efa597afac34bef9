//! The timers of one run: a fixed table, each with the one line that says when it fires.

use serde::{Deserialize, Serialize};

use super::time::Time;

/// What can fall due in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Timer {
    /// The time in the queue of the lock is over.
    LockWait,
    /// The lock has been held long enough for its file to be worth watching.
    Watch,
    /// The command has run for `timeout`.
    Timeout,
    /// Nothing has been heard of the command for `idle_timeout`, unless the shell knows better.
    Idle,
    /// The final line was there, and the command has not gone within `final.grace`.
    FinalGrace,
    /// The command had its stop signal and has not gone within `stop.grace`.
    StopGrace,
    /// Descendants are looked for again, as new ones appear without an event.
    Rescan,
    /// The descendants had their TERM and are not gone within `stop.leftover_grace`.
    LeftoverGrace,
    /// KILL was sent and something is still there.
    KillRetry,
}

/// Every timer, in the order in which those that fall due together are handled.
pub const ALL: [Timer; 9] = [
    Timer::LockWait,
    Timer::Watch,
    Timer::Timeout,
    Timer::Idle,
    Timer::FinalGrace,
    Timer::StopGrace,
    Timer::Rescan,
    Timer::LeftoverGrace,
    Timer::KillRetry,
];

/// Which timers are armed, and for when.
#[derive(Clone, Debug, Default)]
pub struct Timers {
    armed: Vec<(Timer, Time)>,
}

impl Timers {
    /// Arms `timer` for `due`, in place of what it was armed for.
    pub fn arm(&mut self, timer: Timer, due: Time) {
        self.disarm(timer);
        self.armed.push((timer, due));
    }

    /// Arms `timer` for `due` unless it is armed for an earlier time.
    pub fn arm_by(&mut self, timer: Timer, due: Time) {
        let due = self.due(timer).map_or(due, |now| now.min(due));
        self.arm(timer, due);
    }

    /// Disarms `timer`.
    pub fn disarm(&mut self, timer: Timer) {
        self.armed.retain(|(other, _)| *other != timer);
    }

    /// Disarms every timer.
    pub fn clear(&mut self) {
        self.armed.clear();
    }

    /// What `timer` is armed for.
    pub fn due(&self, timer: Timer) -> Option<Time> {
        self.armed
            .iter()
            .find(|(other, _)| *other == timer)
            .map(|(_, due)| *due)
    }

    /// The earliest time for which any timer is armed.
    pub fn next(&self) -> Option<Time> {
        self.armed.iter().map(|(_, due)| *due).min()
    }

    /// Takes `timer` out if it is due at `now`, and says for when it was armed.
    pub fn take_due(&mut self, timer: Timer, now: Time) -> Option<Time> {
        let due = self.due(timer).filter(|due| *due <= now)?;
        self.disarm(timer);
        Some(due)
    }
}
