//! Text of a job as a terminal may have it: what the terminal would obey is shown, not obeyed.
//!
//! Invariant: of control characters nothing but line feeds and tabs goes out, neither as C0, as C1, nor
//! as the bytes that a terminal which knows no UTF-8 takes for C1; wherever the pieces are cut.

use std::fmt::Write as _;

/// A stream that is shown.
#[derive(Debug, Default)]
pub(super) struct Shown {
    /// The first bytes of a character that goes on in the next piece: three at most.
    held: Vec<u8>,
}

impl Shown {
    /// What of the next piece can be shown by now.
    pub(super) fn feed(&mut self, piece: &[u8]) -> String {
        let mut text = std::mem::take(&mut self.held);
        text.extend_from_slice(piece);
        let mut shown = String::with_capacity(text.len());
        let mut rest = text.as_slice();
        loop {
            let (good, after, bad) = match std::str::from_utf8(rest) {
                Ok(good) => (good, &[][..], None),
                Err(error) => {
                    let (good, after) = rest.split_at(error.valid_up_to());
                    let good = std::str::from_utf8(good).unwrap_or_default();
                    (good, after, error.error_len())
                }
            };
            good.chars().for_each(|c| show(c, &mut shown));
            let Some(bad) = bad else {
                self.held = after.to_vec();
                return shown;
            };
            let (bad, after) = after.split_at(bad);
            shows_bytes(bad, &mut shown);
            rest = after;
        }
    }

    /// The stream ends here.
    pub(super) fn end(&mut self) -> String {
        let mut shown = String::new();
        shows_bytes(&std::mem::take(&mut self.held), &mut shown);
        shown
    }
}

fn show(c: char, to: &mut String) {
    if c.is_control() && c != '\n' && c != '\t' {
        to.extend(c.escape_default());
    } else {
        to.push(c);
    }
}

fn shows_bytes(bytes: &[u8], to: &mut String) {
    for byte in bytes {
        // Writing to a string does not fail.
        let _ = write!(to, "\\x{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_wherever_the_pieces_are_cut() {
        let text = b"a\tb\n\x1b[2J\r\xc2\x9b1m \xe2\x82\xac \x9b1m\x7f\0 \xe2\x82";
        let expected = "a\tb\n\\u{1b}[2J\\r\\u{9b}1m \u{20ac} \\x9b1m\\u{7f}\\u{0} \\xe2\\x82";
        for cut in 0..=text.len() {
            let (one, other) = text.split_at(cut);
            let mut shown = Shown::default();
            let told = [shown.feed(one), shown.feed(other), shown.end()].concat();
            assert_eq!(told, expected, "cut at {cut}");
        }
    }
}
