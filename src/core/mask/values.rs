//! Hides the values of secrets in a stream.
//!
//! Invariant: a byte goes out only when no secret that begins at or before it can contain it, whatever
//! comes next. What may begin one at the end of a piece is held back until that is known; that is never
//! more than the longest secret.

use std::sync::Arc;

use super::{LEAST_SECRET, MASK, Secrets};

#[derive(Debug)]
pub(super) struct Values {
    secrets: Arc<Secrets>,
    /// Whether a secret begins with this byte.
    firsts: Box<[bool; 256]>,
    /// Bytes that may begin a secret.
    held: Vec<u8>,
    /// So many of the bytes that come next are part of a secret.
    hidden: usize,
}

impl Values {
    pub(super) fn new(secrets: Arc<Secrets>) -> Self {
        let mut firsts = Box::new([false; 256]);
        for first in secrets.values.iter().filter_map(|value| value.first()) {
            if let Some(first) = firsts.get_mut(usize::from(*first)) {
                *first = true;
            }
        }
        Self {
            secrets,
            firsts,
            held: Vec::new(),
            hidden: 0,
        }
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
            let is_first = |byte: &u8| self.firsts.get(usize::from(*byte)) == Some(&true);
            let plain = rest.iter().position(is_first).unwrap_or(rest.len());
            let (plain, rest) = rest.split_at(plain);
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
