//! Words for a reader: names without what would steer a terminal or is no XML, as wide as is known
//! beforehand; times and durations.

use std::time::{Duration, UNIX_EPOCH};

use crate::core::timeline::{End, Mark, Ms, Run};

/// How many columns a sign takes in a terminal, and in a font whose signs are all as wide; `None`: nobody
/// knows, or it steers something, or it stands upon another one.
fn columns_of(sign: char) -> Option<usize> {
    match sign {
        // ASCII, Latin; Greek and Cyrillic without what is put above other signs; and our own.
        ' '..='~'
        | '\u{a1}'..='\u{ac}'
        | '\u{ae}'..='\u{17f}'
        | '\u{391}'..='\u{3a1}'
        | '\u{3a3}'..='\u{3ce}'
        | '\u{400}'..='\u{481}'
        | '–'
        | '…' => Some(1),
        // Kana, the common ideographs, Hangul.
        '\u{3041}'..='\u{3096}'
        | '\u{30a1}'..='\u{30fa}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7a3}' => Some(2),
        _ => None,
    }
}

/// The width of what [`plain`] or [`cut`] has made.
pub(super) fn columns(text: &str) -> usize {
    text.chars().filter_map(columns_of).sum()
}

/// The text with a mark in place of each sign that could do harm.
pub(super) fn plain(text: &str) -> String {
    let safe = |sign| {
        if columns_of(sign).is_some() {
            sign
        } else {
            '?'
        }
    };
    text.chars().map(safe).collect()
}

/// The same, at most so wide: the end of a longer one is left out.
pub(super) fn cut(text: &str, most: usize) -> String {
    let text = plain(text);
    if columns(&text) <= most {
        return text;
    }
    let (mut kept, mut width) = (String::new(), 1);
    for sign in text.chars() {
        width += columns_of(sign).unwrap_or(0);
        if width > most {
            break;
        }
        kept.push(sign);
    }
    kept.push('…');
    kept
}

/// The name of a row in two parts, together at most so wide: the container with a slash, and the job. Of a
/// container's name at least two signs are shown, or nothing.
pub(super) fn name(container: &str, job: &str, most: usize) -> [String; 2] {
    let job = if job.is_empty() { "-" } else { job };
    let job = cut(job, most);
    let left = most.saturating_sub(columns(&job) + 1);
    if container.is_empty() || left < 3 {
        return [String::new(), job];
    }
    [cut(container, left) + "/", job]
}

/// `2026-11-21T06:40:20.123Z`.
pub(super) fn stamp(at: Ms) -> String {
    let time = UNIX_EPOCH + Duration::from_millis(at);
    humantime::format_rfc3339_millis(time).to_string()
}

/// The day, and the time of the day to the second, to the minute, to the thousandth.
#[derive(Debug)]
pub(super) struct Moment(String);

impl Moment {
    pub(super) fn of(at: Ms) -> Self {
        Self(stamp(at))
    }

    pub(super) fn day(&self) -> &str {
        self.part(0, 10)
    }

    pub(super) fn time(&self) -> &str {
        self.part(11, 19)
    }

    pub(super) fn part(&self, from: usize, to: usize) -> &str {
        self.0.get(from..to).unwrap_or_default()
    }
}

/// `2026-11-21 06:40:20 – 07:10:00 Z`, with the second day where it is another one.
pub(super) fn window(from: Ms, to: Ms) -> String {
    let (from, to) = (Moment::of(from), Moment::of(to));
    let (first, last) = (from.day(), to.day());
    let second = if first == last { "" } else { last };
    let blank = if second.is_empty() { "" } else { " " };
    let (from, to) = (from.time(), to.time());
    format!("{first} {from} – {second}{blank}{to} Z")
}

/// How a run ended, in a word or two.
pub(super) fn end(run: &Run) -> String {
    let memory = if run.out_of_memory {
        ", out of memory"
    } else {
        ""
    };
    let end = match (&run.end, run.end.mark()) {
        (
            End::Told {
                reason,
                code,
                signal,
            },
            _,
        ) => match (reason.as_str(), signal.as_str(), code) {
            ("ended", "", Some(code)) => format!("exit {code}"),
            ("ended", signal, _) => cut(signal, 10),
            (reason, ..) => cut(reason, 20),
        },
        (_, Mark::Lost) => "no end told".to_owned(),
        _ => "still going".to_owned(),
    };
    end + memory
}
