//! Picks three values out of a line of JSON that arrives in pieces and may be megabytes long: those
//! that say which session an agent's result is of, what it cost and how many turns it took.
//!
//! The order of the keys does not matter. Only those of the outermost object count, as the text of a
//! result may contain anything. What the end of the stream cuts off is not taken.

use serde::{Deserialize, Serialize};

use crate::core::bytes;

/// The longest value that is kept, in bytes.
const LONGEST: usize = 128;

/// What a result line says of itself, as text that is safe to print.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentResult {
    /// `session_id`.
    pub session: Option<String>,
    /// `total_cost_usd`, in the digits of the line.
    pub cost_usd: Option<String>,
    /// `num_turns`.
    pub turns: Option<String>,
}

/// The state of the search within one line.
#[derive(Clone, Debug, Default)]
pub(super) struct Picker {
    /// Whether this line does not begin as an object does.
    is_other: bool,
    /// How many objects and lists we are in.
    depth: u32,
    in_string: bool,
    escaped: bool,
    /// The text or number at hand, of the outermost object; one more than [`LONGEST`] at most.
    text: Vec<u8>,
    key: Key,
    found: AgentResult,
}

#[derive(Clone, Copy, Debug, Default)]
enum Key {
    /// None yet, or none that matters.
    #[default]
    Other,
    Session,
    Cost,
    Turns,
}

impl Picker {
    /// The next part of the line.
    pub(super) fn feed(&mut self, part: &[u8]) {
        let mut rest = part;
        while let Some((&byte, after)) = rest.split_first() {
            if self.is_other {
                return;
            }
            rest = after;
            if self.in_string {
                self.string(byte);
                if self.in_string && !self.escaped && self.depth > 1 {
                    let end = bytes::find(rest, b'"', b'\\').unwrap_or(rest.len());
                    rest = rest.get(end..).unwrap_or_default();
                }
            } else {
                self.plain(byte);
            }
        }
    }

    /// The line ends here; what it said.
    pub(super) fn take(&mut self) -> AgentResult {
        std::mem::take(self).found
    }

    fn string(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => {
                self.escaped = false;
                self.push(byte);
            }
            b'"' => self.in_string = false,
            b'\\' => {
                self.escaped = true;
                self.push(byte);
            }
            _ => self.push(byte),
        }
    }

    fn plain(&mut self, byte: u8) {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {}
            b'{' if self.depth == 0 => self.depth = 1,
            _ if self.depth == 0 => self.is_other = true,
            b'{' | b'[' => self.depth = self.depth.saturating_add(1),
            b'}' | b']' => {
                self.value_ends();
                self.depth -= 1;
            }
            b'"' => {
                self.in_string = true;
                if self.depth == 1 {
                    self.text.clear();
                }
            }
            b':' if self.depth == 1 => {
                self.key = match self.text.as_slice() {
                    b"session_id" => Key::Session,
                    b"total_cost_usd" => Key::Cost,
                    b"num_turns" => Key::Turns,
                    _ => Key::Other,
                };
                self.text.clear();
            }
            b',' => self.value_ends(),
            _ => self.push(byte),
        }
    }

    fn push(&mut self, byte: u8) {
        if self.depth == 1 && self.text.len() <= LONGEST {
            self.text.push(byte);
        }
    }

    fn value_ends(&mut self) {
        if self.depth != 1 {
            return;
        }
        let text = std::mem::take(&mut self.text);
        let (to, fits): (_, fn(&u8) -> bool) = match std::mem::take(&mut self.key) {
            Key::Other => return,
            Key::Session => (&mut self.found.session, |byte| {
                byte.is_ascii_graphic() && *byte != b'\\'
            }),
            Key::Cost => (&mut self.found.cost_usd, |byte| {
                byte.is_ascii_digit() || b"+-.eE".contains(byte)
            }),
            Key::Turns => (&mut self.found.turns, u8::is_ascii_digit),
        };
        if (1..=LONGEST).contains(&text.len()) && text.iter().all(fits) {
            *to = String::from_utf8(text).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picked(pieces: &[&str]) -> [Option<String>; 3] {
        let mut picker = Picker::default();
        for piece in pieces {
            picker.feed(piece.as_bytes());
        }
        let AgentResult {
            session,
            cost_usd,
            turns,
        } = picker.take();
        [session, cost_usd, turns]
    }

    fn all(session: &str, cost: &str, turns: &str) -> [Option<String>; 3] {
        [session, cost, turns].map(|text| Some(text.to_owned()))
    }

    const LINE: &str = r#"{"type":"result","subtype":"success","is_error":false,"num_turns":3,"result":"said \"session_id\":\"no\", {","session_id":"4f1c-9","usage":{"num_turns":9,"list":[1,{"session_id":"x"}]},"total_cost_usd":0.0421}"#;

    #[test]
    fn the_three_values_are_found_wherever_the_line_is_cut() {
        for cut in 0..LINE.len() {
            let (one, other) = LINE.split_at(cut);
            assert_eq!(picked(&[one, other]), all("4f1c-9", "0.0421", "3"), "{cut}");
        }
    }

    #[test]
    fn their_order_does_not_matter() {
        let line = r#" { "total_cost_usd" : 1e-3 , "session_id" : "a", "num_turns" : 12 } "#;
        assert_eq!(picked(&[line]), all("a", "1e-3", "12"));
    }

    #[test]
    fn megabytes_of_result_cost_no_memory_and_hide_nothing_behind_them() {
        let long = "x\\\"{[".repeat(500_000);
        let line = format!("{{\"result\":\"{long}\",\"a\":{{\"b\":\"{long}\"}},\"num_turns\":1,");
        let mut picker = Picker::default();
        picker.feed(line.as_bytes());
        assert!(picker.text.capacity() <= 2 * (LONGEST + 1));
        assert_eq!(picker.take().turns.as_deref(), Some("1"));
    }

    #[test]
    fn what_the_end_cuts_off_is_not_taken() {
        let line = r#"{"session_id":"a","num_turns":12,"total_cost_usd":0.0"#;
        let cut = [Some("a".to_owned()), None, Some("12".to_owned())];
        assert_eq!(picked(&[line]), cut);
    }

    #[test]
    fn what_is_no_object_or_no_fitting_value_gives_nothing() {
        for line in [
            r#"["session_id":"a"]"#,
            r#"text {"session_id":"a"}"#,
            r#"{"session_id":"a\u001bb","num_turns":-1,"total_cost_usd":null}"#,
            r#"{"session_id":{"a":1},"num_turns":[1],"total_cost_usd":"1$"}"#,
            "}}}}",
            "",
        ] {
            assert_eq!(picked(&[line]), [None, None, None], "{line}");
        }
        let long = format!("{{\"session_id\":\"{}\"}}", "a".repeat(200));
        assert_eq!(picked(&[&long]), [None, None, None]);
    }
}
