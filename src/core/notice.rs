//! What a command says of itself on `NOTIFY_SOCKET`: one datagram of assignments, a line each, as
//! `sd_notify(3)` describes them. Pure: bytes in, facts out.
//!
//! What is not known there, what has no sense here (`MAINPID`, `FDSTORE`, `BARRIER`, `RELOADING`, …)
//! and what cannot be read is passed over, as systemd does: nobody must fail who says more than we
//! listen to.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The longest status that is kept, in characters: it stands in one line of a listing.
const LONGEST_STATUS: usize = 200;

/// What one datagram says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a line of its own")]
#[serde(default)]
pub struct Notice {
    /// `READY=1`: it has started up.
    pub ready: bool,
    /// `STOPPING=1`: it begins to end by itself.
    pub stopping: bool,
    /// `WATCHDOG=1`: it is alive.
    pub alive: bool,
    /// `WATCHDOG=trigger`: it knows that something is wrong with itself.
    pub trigger: bool,
    /// `WATCHDOG_USEC=`: the longest time between two signs of life from here on; zero: none is asked
    /// for any more.
    pub interval: Option<Duration>,
    /// `EXTEND_TIMEOUT_USEC=`: it will say something again within this time.
    pub extend: Option<Duration>,
    /// `STATUS=`: what it does, in its own words, and as long as it likes.
    pub status: Option<String>,
}

impl Notice {
    /// What `datagram` says; `None`: nothing that matters here. Of two lines of one name the first
    /// counts, as with systemd.
    pub fn parse(datagram: &[u8]) -> Option<Self> {
        let mut notice = Self::default();
        for line in datagram.split(|byte| *byte == b'\n') {
            let Some(at) = line.iter().position(|byte| *byte == b'=') else {
                continue;
            };
            let (name, value) = (line.get(..at), line.get(at + 1..).unwrap_or_default());
            match (name.unwrap_or_default(), value) {
                (b"READY", b"1") => notice.ready = true,
                (b"STOPPING", b"1") => notice.stopping = true,
                (b"WATCHDOG", b"1") => notice.alive = true,
                (b"WATCHDOG", b"trigger") => notice.trigger = true,
                (b"WATCHDOG_USEC", value) if notice.interval.is_none() => {
                    // "No limit" is as much as "none", for systemd, too.
                    let micros =
                        number(value).map(|micros| if micros == u64::MAX { 0 } else { micros });
                    notice.interval = micros.map(Duration::from_micros);
                }
                (b"EXTEND_TIMEOUT_USEC", value) if notice.extend.is_none() => {
                    notice.extend = number(value).map(Duration::from_micros);
                }
                (b"STATUS", value) if notice.status.is_none() => {
                    notice.status = Some(String::from_utf8_lossy(value).into_owned());
                }
                _ => {}
            }
        }
        (notice != Self::default()).then_some(notice)
    }
}

fn number(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    text.starts_with(|first: char| first.is_ascii_digit())
        .then(|| text.parse().ok())?
}

/// A status as it may stand in a listing: one line, bounded, without what a terminal would obey or
/// not show. Secrets are to be masked before: they cannot be told any more where they were cut.
pub fn status_line(text: &str) -> String {
    let shown = |c: char| match c {
        '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{61c}'
        | '\u{feff}' => ' ',
        c if c.is_control() => ' ',
        c => c,
    };
    let line: String = text.chars().map(shown).collect();
    let line = line.trim();
    if line.chars().nth(LONGEST_STATUS).is_none() {
        return line.to_owned();
    }
    let mut cut: String = line.chars().take(LONGEST_STATUS - 1).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(datagram: &str, expected: Notice) {
        let expected = (expected != Notice::default()).then_some(expected);
        assert_eq!(Notice::parse(datagram.as_bytes()), expected, "{datagram:?}");
    }

    #[test]
    fn each_line_of_a_datagram_is_read_with_or_without_an_end_of_line() {
        for datagram in [
            "READY=1",
            "READY=1\n",
            "\n\nREADY=1\n\n",
            "X=y\nREADY=1\nMAINPID=7",
        ] {
            let ready = true;
            check(
                datagram,
                Notice {
                    ready,
                    ..Notice::default()
                },
            );
        }
        let all = "READY=1\nSTOPPING=1\nWATCHDOG=1\nWATCHDOG=trigger\nWATCHDOG_USEC=2500000\n\
                   EXTEND_TIMEOUT_USEC=7\nSTATUS=a = b\nRELOADING=1\nBARRIER=1\nFDSTORE=1";
        check(
            all,
            Notice {
                ready: true,
                stopping: true,
                alive: true,
                trigger: true,
                interval: Some(Duration::from_millis(2500)),
                extend: Some(Duration::from_micros(7)),
                status: Some("a = b".to_owned()),
            },
        );
    }

    #[test]
    fn what_is_no_assignment_that_we_know_is_passed_over() {
        for datagram in [
            "",
            "\n",
            "READY",
            "READY=",
            "READY=0",
            "READY=11",
            "READY=1 ",
            " READY=1",
            "ready=1",
            "READY=1\0",
            "WATCHDOG=2",
            "WATCHDOG_USEC=",
            "WATCHDOG_USEC=-1",
            "WATCHDOG_USEC=+1",
            "WATCHDOG_USEC=1s",
            "WATCHDOG_USEC=18446744073709551616",
            "EXTEND_TIMEOUT_USEC=x",
            "=",
            "=1",
            "MAINPID=1",
            "RELOADING=1\nMONOTONIC_USEC=4",
        ] {
            check(datagram, Notice::default());
        }
        assert_eq!(Notice::parse(&[0xff, b'=', 0xfe]), None);
    }

    #[test]
    fn no_time_and_all_time_both_end_the_watch_and_the_first_of_two_lines_counts() {
        for micros in ["0", "18446744073709551615"] {
            let interval = Some(Duration::ZERO);
            check(
                &format!("WATCHDOG_USEC={micros}"),
                Notice {
                    interval,
                    ..Notice::default()
                },
            );
        }
        let status = Some("a".to_owned());
        check(
            "STATUS=a\nSTATUS=b",
            Notice {
                status,
                ..Notice::default()
            },
        );
        let status = Some(String::new());
        check(
            "STATUS=",
            Notice {
                status,
                ..Notice::default()
            },
        );
        let status = Some("\u{fffd}x".to_owned());
        assert_eq!(
            Notice::parse(b"STATUS=\xffx").and_then(|notice| notice.status),
            status
        );
    }

    #[test]
    fn a_status_is_one_bounded_line_that_no_terminal_obeys() {
        assert_eq!(status_line(" a\tb\u{1b}[2J\r\u{7}c\u{9b} "), "a b [2J  c");
        assert_eq!(
            status_line("a\u{202e}b\u{200b}c\u{2028}d\u{feff}"),
            "a b c d"
        );
        assert_eq!(status_line("schön"), "schön");
        assert_eq!(status_line(&"ä".repeat(200)), "ä".repeat(200));
        let cut = status_line(&"ä".repeat(201));
        assert_eq!(cut, "ä".repeat(199) + "…");
    }

    proptest! {
        #[test]
        fn no_datagram_is_too_much(datagram in prop::collection::vec(any::<u8>(), 0..5000)) {
            if let Some(notice) = Notice::parse(&datagram) {
                let line = status_line(notice.status.as_deref().unwrap_or_default());
                prop_assert!(line.chars().count() <= LONGEST_STATUS);
                prop_assert!(!line.contains(char::is_control));
            }
        }
    }
}
