//! What is shown nowhere: the values of secrets, and what stands behind a name like `API_TOKEN`.
//!
//! A [`Mask`] stands in a stream of bytes that arrives in pieces, cut anywhere: first `values` hides
//! what is known to be secret, then `names` what looks so. `***` stands in the place of each. Its memory
//! is bounded by the longest secret, and what is not secret passes unchanged, binary data too.
//!
//! Where it must err it hides too much: two secrets that overlap are hidden together; one that the end
//! of the stream cuts off is hidden as far as it came.

use std::fmt;
use std::sync::Arc;

use crate::config::plan::LEAST_SECRET;

mod names;
mod values;

use names::Names;
use values::Values;

/// What stands in the place of a secret.
pub const MASK: &[u8] = b"***";

/// One line of a secret that has several is a secret of its own from this length on: a key in a file
/// is shown line by line, with something before each.
const LEAST_LINE: usize = 16;

/// The values that are shown nowhere. It does not show them either.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secrets {
    values: Vec<Vec<u8>>,
}

impl Secrets {
    /// Those of `values` that are long enough to be told from other text, each also as JSON writes
    /// it, where that differs.
    pub fn new(values: impl IntoIterator<Item = Vec<u8>>) -> Self {
        let mut all: Vec<Vec<u8>> = Vec::new();
        for value in values {
            let lines = value.split(|byte| *byte == b'\n' || *byte == b'\r');
            let long = lines.filter(|line| line.len() >= LEAST_LINE && line.len() < value.len());
            all.extend(long.map(<[u8]>::to_vec));
            let json = as_json(&value);
            if json != value {
                all.push(json);
            }
            all.push(value);
        }
        all.retain(|value| value.len() >= LEAST_SECRET);
        Self { values: all }
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The same text without what is shown nowhere.
    pub fn hide(self: &Arc<Self>, text: &str) -> String {
        let mut shown = Vec::with_capacity(text.len());
        let mut mask = Mask::new(self);
        mask.feed(text.as_bytes(), &mut shown);
        mask.end(&mut shown);
        String::from_utf8_lossy(&shown).into_owned()
    }

    /// How much of a secret stands at the start of `text`.
    fn at_start_of(&self, text: &[u8]) -> Start {
        let mut start = Start::default();
        for value in &self.values {
            if text.starts_with(value) {
                start.whole = start.whole.max(value.len());
            } else if value.starts_with(text) {
                start.may_go_on = true;
            }
        }
        start
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secrets({})", self.values.len())
    }
}

/// Whether what a variable of that name holds is hidden wherever it stands behind the name.
pub fn is_secret_name(name: &str) -> bool {
    names::is_secret(name)
}

/// What stands at the start of a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Start {
    /// The length of the longest secret that does; 0: none.
    whole: usize,
    /// Whether all of the text begins a longer one.
    may_go_on: bool,
}

/// A value as it stands within a text in JSON (RFC 8259, section 7).
fn as_json(value: &[u8]) -> Vec<u8> {
    let mut json = Vec::with_capacity(value.len());
    for byte in value {
        match byte {
            b'"' | b'\\' => json.extend([b'\\', *byte]),
            b'\n' => json.extend(b"\\n"),
            b'\r' => json.extend(b"\\r"),
            b'\t' => json.extend(b"\\t"),
            _ => json.push(*byte),
        }
    }
    json
}

/// The state of masking one stream.
#[derive(Debug)]
pub struct Mask {
    values: Option<Values>,
    names: Names,
    /// What `values` has let pass of a piece.
    passed: Vec<u8>,
}

impl Mask {
    /// At the start of a stream.
    pub fn new(secrets: &Arc<Secrets>) -> Self {
        let values = (!secrets.is_empty()).then(|| Values::new(Arc::clone(secrets)));
        Self {
            values,
            names: Names::default(),
            passed: Vec::new(),
        }
    }

    /// What of the next piece may be shown by now: the piece itself, or what is then in `out`.
    pub fn show<'a>(&mut self, piece: &'a [u8], out: &'a mut Vec<u8>) -> &'a [u8] {
        if self.values.is_none() && self.names.shows_all(piece) {
            return piece;
        }
        out.clear();
        self.feed(piece, out);
        out
    }

    /// Takes the next piece and appends to `out` what may be shown by now.
    pub fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let Some(values) = &mut self.values else {
            self.names.feed(piece, out);
            return;
        };
        self.passed.clear();
        values.feed(piece, &mut self.passed);
        self.names.feed(&self.passed, out);
    }

    /// The stream ends here: what was held back goes out, unless it is the greater part of a secret.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        if let Some(values) = &mut self.values {
            self.passed.clear();
            values.end(&mut self.passed);
            self.names.feed(&self.passed, out);
        }
        self.names.end(out);
    }
}

#[cfg(test)]
mod tests;
