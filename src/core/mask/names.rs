//! Hides what stands behind a name that says it is secret: `API_TOKEN=…`, `"accessToken": "…"`, also
//! within a JSON text, where the quotes have backslashes before them.
//!
//! - A name in capitals counts when it ends in TOKEN, KEY or SECRET, or contains PASS; another one when
//!   it ends in token, secret, password, passphrase or a kind of key (`apiKey`, `private-key`).
//! - Behind `=` any value counts. Behind `:` only a quoted one, as JSON has it, or one that follows a
//!   name in capitals without quotes: program text is full of `token: string`.
//! - A quoted value ends at its quote or with the line, another one at white space or at a quote. Of one in
//!   three quotes the first line is hidden.
//!
//! The name goes out before it is known to be one, so nothing is ever held back.

use super::MASK;
use crate::core::bytes;

/// So much before a separator can belong to a name; a longer one is known by its end.
const REACH: usize = 96;

const CAPITALS: [&str; 3] = ["TOKEN", "KEY", "SECRET"];
const OTHERS: [&str; 9] = [
    "token",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
];

#[derive(Debug, Default)]
pub(super) struct Names {
    state: State,
    /// The last bytes of text before this piece.
    tail: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Text,
    /// Behind a name and its separator, before the value.
    Before {
        quoted_only: bool,
        /// Backslashes that have come and not gone out.
        backslashes: usize,
    },
    Value {
        quote: Option<u8>,
        /// How many backslashes stood before the opening quote.
        opening: usize,
        /// Backslashes that have come and not gone out.
        backslashes: usize,
        /// Whether anything has come: a quote that closes at once may be one of three.
        any: bool,
    },
}

/// How a name and its separator say that a secret follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Follows {
    Anything,
    Quoted,
}

impl Names {
    /// Whether there is nothing in `piece` to hide; then it has been taken. Most pieces are so.
    pub(super) fn shows_all(&mut self, piece: &[u8]) -> bool {
        let shows = matches!(self.state, State::Text) && self.search(piece).is_none();
        if shows {
            self.remember(piece);
        }
        shows
    }

    /// The first separator in `text` that follows the name of a secret.
    fn search(&self, text: &[u8]) -> Option<(usize, Follows)> {
        let mut follows = None;
        let found = bytes::find_where(text, b'=', b':', |at| {
            if at >= REACH && !may_be_a_name(text, at) {
                return false;
            }
            follows = self.judge(text, at);
            follows.is_some()
        });
        found.zip(follows)
    }

    pub(super) fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let mut at = 0;
        loop {
            let rest = piece.get(at..).unwrap_or_default();
            if matches!(self.state, State::Text) {
                let Some((found, follows)) = self.search(rest) else {
                    out.extend_from_slice(rest);
                    self.remember(rest);
                    return;
                };
                out.extend_from_slice(rest.get(..=found).unwrap_or_default());
                self.state = State::Before {
                    quoted_only: follows == Follows::Quoted,
                    backslashes: 0,
                };
                self.tail.clear();
                at += found + 1;
            } else if rest.is_empty() {
                return;
            } else {
                at += self.step(rest, out);
            }
        }
    }

    /// The stream ends here.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        match std::mem::take(&mut self.state) {
            State::Before { backslashes, .. } => put_backslashes(backslashes, out),
            State::Text | State::Value { .. } => {}
        }
    }

    /// What follows the separator at that place of `text`, if what stands before it, and before `text`,
    /// ends in the name of a secret.
    fn judge(&self, text: &[u8], at: usize) -> Option<Follows> {
        let before = text.get(at.saturating_sub(REACH)..at).unwrap_or_default();
        let separator = text.get(at).copied()?;
        if before.len() >= REACH || self.tail.is_empty() {
            return judge(before, separator);
        }
        let mut whole = self.tail.clone();
        whole.extend_from_slice(before);
        judge(&whole, separator)
    }

    fn remember(&mut self, text: &[u8]) {
        if text.len() >= REACH {
            self.tail.clear();
        }
        self.tail.extend_from_slice(
            text.get(text.len().saturating_sub(REACH)..)
                .unwrap_or_default(),
        );
        let surplus = self.tail.len().saturating_sub(REACH);
        self.tail.drain(..surplus);
    }

    /// One or more bytes behind a name; how many.
    fn step(&mut self, rest: &[u8], out: &mut Vec<u8>) -> usize {
        let Some(&byte) = rest.first() else { return 0 };
        match self.state {
            State::Text => 0,
            State::Before {
                quoted_only,
                backslashes,
            } => self.before(byte, quoted_only, backslashes, out),
            State::Value {
                quote,
                opening,
                backslashes,
                any,
            } => self.value(rest, (quote, opening), backslashes, any, out),
        }
    }

    fn before(
        &mut self,
        byte: u8,
        quoted_only: bool,
        backslashes: usize,
        out: &mut Vec<u8>,
    ) -> usize {
        match byte {
            b' ' | b'\t' if backslashes == 0 => out.push(byte),
            b'\\' => {
                self.state = State::Before {
                    quoted_only,
                    backslashes: backslashes + 1,
                };
            }
            b'"' | b'\'' => {
                put_backslashes(backslashes, out);
                out.push(byte);
                out.extend_from_slice(MASK);
                self.state = State::Value {
                    quote: Some(byte),
                    opening: backslashes,
                    backslashes: 0,
                    any: false,
                };
            }
            // No value, or `==`, `=>`, `=~`: a comparison.
            _ if quoted_only || byte < b' ' || b"=>~".contains(&byte) => {
                put_backslashes(backslashes, out);
                self.state = State::Text;
                return 0;
            }
            _ => {
                out.extend_from_slice(MASK);
                self.state = State::Value {
                    quote: None,
                    opening: 0,
                    backslashes: 0,
                    any: true,
                };
            }
        }
        1
    }

    fn value(
        &mut self,
        rest: &[u8],
        (quote, opening): (Option<u8>, usize),
        backslashes: usize,
        any: bool,
        out: &mut Vec<u8>,
    ) -> usize {
        let ends = |byte: &u8| match quote {
            Some(quote) => *byte == quote || *byte == b'\n' || *byte == b'\\',
            None => *byte <= b' ' || b"\"'`\\".contains(byte),
        };
        let hidden = rest.iter().position(ends).unwrap_or(rest.len());
        let still = |backslashes| State::Value {
            quote,
            opening,
            backslashes,
            any: true,
        };
        // Those that stand before more of the value are a part of it.
        let backslashes = if hidden > 0 { 0 } else { backslashes };
        let Some(end) = rest.get(hidden) else {
            self.state = still(0);
            return hidden;
        };
        if *end == b'\\' {
            self.state = still(backslashes + 1);
            return hidden + 1;
        }
        let closes = match quote {
            Some(quote) if *end == quote => {
                backslashes <= opening || (opening == 0 && backslashes % 2 == 0)
            }
            _ => true,
        };
        if !closes {
            self.state = still(0);
            return hidden + 1;
        }
        if *end != b'\n' && *end > b' ' {
            put_backslashes(backslashes, out);
        }
        self.state = State::Text;
        // The first two of three quotes: what they enclose comes behind the third.
        if quote == Some(*end) && !any && hidden == 0 {
            out.push(*end);
            self.state = State::Before {
                quoted_only: true,
                backslashes: 0,
            };
            return 1;
        }
        hidden
    }
}

fn put_backslashes(count: usize, out: &mut Vec<u8>) {
    out.resize(out.len() + count, b'\\');
}

/// Whether a variable of that name holds a secret.
pub(super) fn is_secret(name: &str) -> bool {
    judge(name.as_bytes(), b'=').is_some()
}

/// The same for what stands in one piece.
fn judge(before: &[u8], separator: u8) -> Option<Follows> {
    let before = before
        .get(before.len().saturating_sub(REACH)..)
        .unwrap_or_default();
    if !may_be_a_name(before, before.len()) {
        return None;
    }
    let spaces = |byte: &u8| *byte == b' ' || *byte == b'\t';
    let before = trim_end(before, spaces);
    let unquoted = trim_end(before, |byte| *byte == b'"' || *byte == b'\'');
    let quoted = unquoted.len() < before.len();
    let unquoted = trim_end(unquoted, |byte| *byte == b'\\');
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte == b'-';
    let name = unquoted
        .get(trim_end(unquoted, is_part).len()..)
        .unwrap_or_default();
    let name = std::str::from_utf8(name).unwrap_or_default();
    let in_capitals = !name.contains(|c: char| c.is_ascii_lowercase());
    let is_secret = if in_capitals {
        CAPITALS.iter().any(|end| name.ends_with(end)) || name.contains("PASS")
    } else {
        let mut bare = name.to_ascii_lowercase();
        bare.retain(|c| c != '_' && c != '-');
        OTHERS.iter().any(|end| bare.ends_with(end))
    };
    if !is_secret {
        return None;
    }
    Some(if separator == b':' && (quoted || !in_capitals) {
        Follows::Quoted
    } else {
        Follows::Anything
    })
}

/// By its last two letters: JSON has a separator every few bytes, and hardly one of them counts.
fn may_be_a_name(text: &[u8], mut end: usize) -> bool {
    while let Some(b' ' | b'\t' | b'"' | b'\'' | b'\\') = text.get(end.wrapping_sub(1)) {
        end -= 1;
    }
    match text.get(..end).unwrap_or_default() {
        [.., last, b'a'..=b'z'] if !last.is_ascii_alphabetic() => false,
        // A time of day is no name.
        [.., b':', b'0'..=b'9', b'0'..=b'9'] => false,
        [.., b'e' | b'E', b'n' | b't' | b'y']
        | [.., b'r' | b'R' | b'w' | b'W', b'd']
        | [.., b's' | b'S', b'e']
        | [.., b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-'] => true,
        _ => false,
    }
}

fn trim_end(text: &[u8], goes: impl Fn(&u8) -> bool) -> &[u8] {
    let end = text.iter().rposition(|byte| !goes(byte));
    text.get(..end.map_or(0, |end| end + 1)).unwrap_or_default()
}
