//! A pause, as far as it is arithmetic: the line that sets one, how often, and how long a record that
//! was found still stands.
//!
//! Times are milliseconds since 1970 by the wall clock, as nothing else means the same in all containers
//! and after a reboot. That clock can be set and a record can lie, so whoever finds a record believes the
//! shortest of what it says:
//!
//! - no further from where it says that it was set than [`LONGEST_PAUSE`], nor from where its file was
//!   written: one that was laid down long ago for today stops nobody;
//! - no longer than its own length from now on, nor, where it was set since this machine's last start,
//!   from when it was set by the clock that nobody sets: a clock that is put back prolongs nothing;
//! - one that was set in the future not at all: a clock was put back, or it lies.
//!
//! The worst that follows from an error is one more run that finds the usage limit reached, and says so.

use std::time::Duration;

use super::final_line::Search;
use super::time::Time;
use crate::config::plan::{LONGEST_PAUSE, PausePlan};

/// How much of a line is kept to be shown.
const HEAD: usize = 4096;
/// How far the clocks of machines that share a folder may differ.
const SKEW: u64 = 60_000;
/// One run sets no second pause within this time, however often its command says the line.
const AGAIN: Duration = Duration::from_mins(1);

/// What a line that sets a pause says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The beginning of the line, as it came.
    pub head: Vec<u8>,
    /// Whether the line is longer: a secret may be cut in two.
    pub cut: bool,
}

/// The search for such a line in a stream that arrives in pieces.
#[derive(Clone, Debug)]
pub struct Scanner {
    line: Search,
    head: Vec<u8>,
    cut: bool,
}

impl Scanner {
    /// A search at the start of a line.
    pub fn new(plan: &PausePlan) -> Self {
        Self {
            line: Search::new(plan.line.as_bytes()),
            head: Vec::new(),
            cut: false,
        }
    }

    /// Takes the next piece; says what the last such line in it says, if one was completed.
    pub fn feed(&mut self, piece: &[u8]) -> Option<Said> {
        let mut said = None;
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.line.feed(part);
            let text = part.strip_suffix(b"\n").unwrap_or(part);
            let room = HEAD.saturating_sub(self.head.len());
            self.cut |= text.len() > room;
            self.head.extend(text.iter().take(room));
            if part.ends_with(b"\n") {
                said = self.end_of_line().or(said);
            }
        }
        said
    }

    /// The line ends here, also where the stream ends without a newline.
    pub fn end_of_line(&mut self) -> Option<Said> {
        let cut = std::mem::take(&mut self.cut);
        if self.line.take() {
            let head = std::mem::take(&mut self.head);
            Some(Said { head, cut })
        } else {
            self.head.clear();
            None
        }
    }
}

/// When a run has set a pause: a command that tries on says the line again and again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Course {
    set: Option<Time>,
}

impl Course {
    /// The line was said; whether a pause is to be set, in the place of an earlier one of this run.
    pub fn said(&mut self, now: Time) -> bool {
        let sets = self.set.is_none_or(|set| now.since(set) >= AGAIN);
        if sets {
            self.set = Some(now);
        }
        sets
    }
}

/// When a pause ends that is set at `now`.
pub fn end(now: u64, length: Duration) -> u64 {
    now.saturating_add(ms(length.min(LONGEST_PAUSE)))
}

/// What is known of a record's times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// When it says that it was set.
    pub set: u64,
    /// When it says that it ends.
    pub until: u64,
    /// When its file was written.
    pub written: u64,
    /// The milliseconds since it was set, by the clock that nobody sets; `None`: nobody knows.
    pub passed: Option<u64>,
}

/// How a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stands {
    /// It stops runs until then.
    Until(u64),
    /// It is over.
    Over,
    /// It was set in the future, and stops nobody.
    Ahead,
}

/// How a record with these times stands at `now`.
pub fn judge(now: u64, times: Times) -> Stands {
    let longest = ms(LONGEST_PAUSE);
    let length = times.until.saturating_sub(times.set).min(longest);
    let latest = times.written.saturating_add(longest + SKEW);
    let end = times.set.saturating_add(length).min(latest);
    let rest = length.saturating_sub(times.passed.unwrap_or(0));
    let left = end.saturating_sub(now).min(rest);
    if left == 0 {
        Stands::Over
    } else if times.set.max(times.written) > now.saturating_add(SKEW) {
        Stands::Ahead
    } else {
        Stands::Until(now.saturating_add(left))
    }
}

fn ms(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
