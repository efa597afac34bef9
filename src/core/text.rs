//! Text of others on its way to people: freed of what a terminal would obey, cut to the room that there
//! is, with durations in few letters.

use std::fmt::Write as _;

use serde_json::Value;

/// Whether a terminal would obey this character, or show others elsewhere for it, or show nothing:
/// controls (C0, DEL, C1), the marks of bidirectional text and other format characters, and the ends of
/// lines that are none to us.
pub const fn is_command(character: char) -> bool {
    matches!(character,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{ad}' | '\u{61c}' | '\u{180e}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// The text with a mark in place of each of these.
pub fn plain(text: &str) -> String {
    let safe = |c: char| if is_command(c) { '?' } else { c };
    text.chars().map(safe).collect()
}

/// JSON on one line, without a byte that a terminal would obey: `serde_json` leaves those beyond ASCII
/// as they are, so they are written as numbers.
pub fn json(value: &Value) -> String {
    let mut text = String::new();
    for character in value.to_string().chars() {
        if is_command(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        } else {
            text.push(character);
        }
    }
    text.push('\n');
    text
}

/// How many columns of a terminal a character takes: two for those of East Asia and for pictures, none
/// for a mark that stands on the one before it. (Unicode, UAX 11, by whole blocks.)
const fn width(character: char) -> usize {
    match character {
        '\u{300}'..='\u{36f}'
        | '\u{1ab0}'..='\u{1aff}'
        | '\u{20d0}'..='\u{20ff}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{fe20}'..='\u{fe2f}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f000}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}

/// Appends `text`, plain, in at most `room` columns: what is cut off has an ellipsis in its place. Says
/// how many columns are left.
pub fn put(to: &mut String, text: &str, room: usize) -> usize {
    let whole = |text: &str| {
        let mut left = room;
        // Marks without a width are some, and not thousands.
        let fits = |(at, c): (usize, char)| {
            left = left.checked_sub(width(c)).filter(|_| at < 4 * room + 4)?;
            Some(())
        };
        let fitting = text.char_indices().map_while(fits).count();
        (fitting == text.chars().count()).then_some(left)
    };
    if let Some(left) = whole(text) {
        to.push_str(&plain(text));
        return left;
    }
    let Some(mut left) = room.checked_sub(1) else {
        return 0;
    };
    for (count, character) in text.chars().enumerate() {
        match left.checked_sub(width(character)) {
            Some(rest) if count < 2 * room => left = rest,
            _ => break,
        }
        to.push(if is_command(character) {
            '?'
        } else {
            character
        });
    }
    to.push('…');
    left
}

/// A duration in its two greatest units: `340ms`, `2.3s`, `12m 3s`, `5h 2m`, `3d 1h`.
pub fn took(ms: u64) -> String {
    let secs = ms / 1000;
    let of = |[big, small]: [u64; 2], [many, few]: [char; 2]| match small {
        0 => format!("{big}{many}"),
        _ => format!("{big}{many} {small}{few}"),
    };
    match secs {
        0 if ms > 0 => format!("{ms}ms"),
        0..60 if ms % 1000 >= 100 => format!("{secs}.{}s", ms % 1000 / 100),
        0..60 => format!("{secs}s"),
        60..3600 => of([secs / 60, secs % 60], ['m', 's']),
        3600..86400 => of([secs / 3600, secs / 60 % 60], ['h', 'm']),
        _ => of([secs / 86400, secs / 3600 % 24], ['d', 'h']),
    }
}

/// The same for a narrow column, in whole seconds, `12m4s`, and after how many milliseconds more it reads
/// otherwise.
pub fn age(ms: u64) -> (String, u64) {
    let (secs, unit) = (ms / 1000, |unit: u64| unit - ms % unit);
    match (secs / 86400, secs / 3600 % 24, secs / 60 % 60, secs % 60) {
        (0, 0, 0, secs) => (format!("{secs}s"), unit(1000)),
        (0, 0, minutes, secs) => (format!("{minutes}m{secs}s"), unit(1000)),
        (0, hours, minutes, _) => (format!("{hours}h{minutes}m"), unit(60_000)),
        (days, hours, _, _) => (format!("{days}d{hours}h"), unit(3_600_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn cut(text: &str, room: usize, expected: &str, left: usize) {
        let mut to = String::new();
        assert_eq!(put(&mut to, text, room), left, "{text}");
        assert_eq!(to, expected);
    }

    #[test]
    fn what_is_too_wide_ends_with_an_ellipsis_and_nothing_is_obeyed() {
        cut("dev", 5, "dev", 2);
        cut("gardener", 8, "gardener", 0);
        cut("gardener", 5, "gard…", 0);
        cut("\u{1b}[2J\u{9b}1m\u{202e}x", 20, "?[2J?1m?x", 11);
        cut("日本語", 6, "日本語", 0);
        cut("日本語", 5, "日本…", 0);
        cut("日本語", 4, "日…", 1);
        cut("x", 0, "", 0);
        let mut to = String::new();
        put(&mut to, &"e\u{301}".repeat(5000), 10);
        assert!(to.len() < 200, "{}", to.len());
        put(&mut to, &"\u{301}".repeat(5000), 10);
        assert!(to.len() < 400, "{}", to.len());
    }

    #[test]
    fn a_time_is_as_long_as_somebody_wants_to_read_it() {
        for (ms, text) in [
            (0, "0s"),
            (1, "1ms"),
            (999, "999ms"),
            (1_000, "1s"),
            (2_399, "2.3s"),
            (59_999, "59.9s"),
            (60_000, "1m"),
            (3_599_999, "59m 59s"),
            (3_600_000, "1h"),
            (86_399_000, "23h 59m"),
            (90_000_000, "1d 1h"),
        ] {
            assert_eq!(took(ms), text);
        }
    }

    #[test]
    fn json_keeps_its_meaning_and_commands_nobody() {
        let value = Value::from("\u{1b}\u{9b}\u{202e}\u{e0041}ü\n");
        let text = json(&value);
        assert_eq!(text, "\"\\u001b\\u009b\\u202e\\udb40\\udc41ü\\n\"\n");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn a_time_says_when_it_reads_otherwise() {
        for (ms, text, changes) in [
            (0, "0s", 1000),
            (59_999, "59s", 1),
            (724_000, "12m4s", 1000),
            (3_600_500, "1h0m", 59_500),
            (90_000_000, "1d1h", 3_600_000),
        ] {
            assert_eq!(age(ms), (text.to_owned(), changes));
            assert_eq!(age(ms + changes - 1).0, text);
            assert_ne!(age(ms + changes).0, text);
        }
    }
}
