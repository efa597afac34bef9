//! Hides the values of secrets in a stream.
//!
//! Invariant: a byte goes out only when no secret that begins at or before it can contain it, whatever
//! comes next. What may begin one at the end of a piece is held back until that is known; that is never
//! more than the longest secret.
//!
//! Where one may begin is found as Wu and Manber do ("A fast algorithm for multi-pattern searching",
//! 1994): the last two bytes of a window as long as the shortest secret say how far the next place is at
//! which one can begin, and that is mostly behind the window.

use std::sync::Arc;

use super::{LEAST_SECRET, MASK, Secrets};

/// Places in the table of shifts.
const PLACES: usize = 4096;

#[derive(Debug)]
pub(super) struct Values {
    secrets: Arc<Secrets>,
    /// The window: as long as the shortest secret, at most 256.
    window: usize,
    /// How far the next place is at which a secret can begin, by the last two bytes of the window.
    shifts: Vec<u8>,
    /// Bytes that may begin a secret.
    held: Vec<u8>,
    /// So many of the bytes that come next are part of a secret.
    hidden: usize,
}

impl Values {
    /// `secrets` has one at least.
    pub(super) fn new(secrets: Arc<Secrets>) -> Self {
        let shortest = secrets.all().map(Vec::len).min();
        let window = shortest.unwrap_or_default().clamp(LEAST_SECRET, 256);
        let far = u8::try_from(window - 1).unwrap_or(u8::MAX);
        let mut shifts = vec![far; PLACES];
        for value in secrets.all() {
            let pairs = value.windows(2).zip((0..far).rev());
            for (pair, shift) in pairs {
                if let Some(place) = shifts.get_mut(place(pair)) {
                    *place = (*place).min(shift);
                }
            }
        }
        Self {
            secrets,
            window,
            shifts,
            held: Vec::new(),
            hidden: 0,
        }
    }

    /// The next place from `at` on at which a secret may begin, complete or not.
    fn next(&self, text: &[u8], mut at: usize) -> usize {
        while let Some(pair) = text.get(at + self.window - 2..at + self.window) {
            match self.shifts.get(place(pair)) {
                Some(shift @ 1..) => at += usize::from(*shift),
                _ => return at,
            }
        }
        at.min(text.len())
    }

    pub(super) fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        if self.held.is_empty() {
            let done = self.scan(piece, false, out);
            self.held
                .extend_from_slice(piece.get(done..).unwrap_or_default());
            return;
        }
        let mut text = std::mem::take(&mut self.held);
        text.extend_from_slice(piece);
        let done = self.scan(&text, false, out);
        text.drain(..done);
        self.held = text;
    }

    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        let text = std::mem::take(&mut self.held);
        self.scan(&text, true, out);
    }

    /// Passes on what can be decided of `text`, and says how much that was.
    fn scan(&mut self, text: &[u8], ended: bool, out: &mut Vec<u8>) -> usize {
        let mut at = 0;
        loop {
            let rest = text.get(at..).unwrap_or_default();
            let (plain, rest) = rest.split_at(self.next(text, at) - at);
            self.pass(plain, out);
            at += plain.len();
            let Some(first) = rest.get(..1) else {
                return at;
            };
            let start = self.secrets.at_start_of(rest);
            if start.may_go_on && !ended {
                return at;
            }
            let mut length = start.whole;
            if start.may_go_on && rest.len() >= LEAST_SECRET {
                length = length.max(rest.len());
            }
            if length > 0 {
                if self.hidden == 0 {
                    out.extend_from_slice(MASK);
                }
                self.hidden = self.hidden.max(length);
            }
            self.pass(first, out);
            at += 1;
        }
    }

    fn pass(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let hidden = self.hidden.min(bytes.len());
        self.hidden -= hidden;
        out.extend_from_slice(bytes.get(hidden..).unwrap_or_default());
    }
}

fn place(pair: &[u8]) -> usize {
    match pair {
        [one, other] => (usize::from(*one) << 4 ^ usize::from(*other)) % PLACES,
        _ => 0,
    }
}
