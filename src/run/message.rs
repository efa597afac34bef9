//! What guard, monitor and init say to each other, one value a message ([`super::packed`]).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::packed::{pack, unpack};
use crate::core::outcome::Outcome;
use crate::sys::fd::{Received, Wire};

/// Downwards: from init to the guard, and from the guard to the monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// A signal that reached the process above.
    Signal(i32),
    /// Stop, and be over within this time; `None`: the run's own graces.
    Stop(Option<Duration>),
}

/// Upwards: from the monitor to the guard, and from the guard to init.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// The command has what was inherited for it; only said where something was.
    Spawned,
    /// The command was stopped, and the monitor stops with it.
    Stopped,
    /// The lock file was replaced: guard and monitor start over with the new one.
    StartOver,
    /// The command has started up. Straight to init.
    Ready,
    /// What the command does, in its own words: one line, empty for nothing. Straight to init.
    Status(String),
    /// What was noted and init's command is to be told, as JSON. Straight to init.
    Event(String),
    /// The run is over and its locks are free.
    Ended(Outcome),
}

/// Sends `message` without waiting. An order that cannot be sent has no receiver any more, or one
/// that has not read hundreds of them: it is dropped.
pub fn send(wire: &Wire, message: &impl Serialize) {
    if let Ok(bytes) = pack(message) {
        let _ = wire.send(&bytes);
    }
}

/// Sends an event, unless the other side has much to read already: it is lost then.
pub fn send_event(wire: &Wire, event: String) {
    if let Ok(bytes) = pack(&Progress::Event(event)) {
        let _ = wire.send_if_read(&bytes);
    }
}

/// What came, if anything did.
#[derive(Debug, PartialEq, Eq)]
pub enum Incoming<T> {
    /// A message.
    Message(T),
    /// Nothing more for now.
    Nothing,
    /// The other side has gone.
    Gone,
}

/// Receives one message without waiting; what cannot be understood is passed over.
pub fn receive<T: for<'de> Deserialize<'de>>(wire: &Wire) -> Incoming<T> {
    loop {
        match wire.receive() {
            Received::Nothing => return Incoming::Nothing,
            Received::Gone => return Incoming::Gone,
            Received::Message(bytes) => {
                if let Ok(message) = unpack(&bytes) {
                    return Incoming::Message(message);
                }
            }
        }
    }
}
