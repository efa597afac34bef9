//! When init itself panics or faults: the guards see the end of their wires and stop their runs by
//! the ladder, init reaps them for as long as an orderly stop may take, and exits 125.
//!
//! The mechanism is [`crate::sys::crash`]; here stands how long it may take.

use std::time::Duration;

use crate::sys;

/// From here on a crash of this process ends in order, within `stop_within`.
pub fn prepare(stop_within: Duration) {
    sys::crash::arm(stop_within, None);
}
