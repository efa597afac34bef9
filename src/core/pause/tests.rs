use proptest::prelude::*;

use super::*;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// Noon of some day.
const NOON: u64 = 1_700_000_000_000;

fn scanner() -> Scanner {
    Scanner::new(&PausePlan {
        line: "limit reached".into(),
        length: Duration::from_hours(1),
    })
}

fn said(head: &str) -> Said {
    let (head, cut) = (head.as_bytes().to_vec(), false);
    Said { head, cut }
}

/// One hour, set and written at noon.
const HONEST: Times = Times {
    set: NOON,
    until: NOON + HOUR,
    written: NOON,
    passed: None,
};

#[test]
fn a_line_counts_when_it_is_complete() {
    let mut scanner = scanner();
    assert_eq!(scanner.feed(b"usage limit rea"), None);
    assert_eq!(scanner.feed(b"ched|17"), None);
    assert_eq!(
        scanner.feed(b"00\nnext"),
        Some(said("usage limit reached|1700"))
    );
    assert_eq!(scanner.feed(b"\n"), None);
}

#[test]
fn the_last_line_needs_no_newline() {
    let mut scanner = scanner();
    assert_eq!(scanner.feed(b"one\nlimit reached"), None);
    assert_eq!(scanner.end_of_line(), Some(said("limit reached")));
    assert_eq!(scanner.end_of_line(), None);
}

#[test]
fn a_text_on_two_lines_is_none() {
    assert_eq!(scanner().feed(b"limit \nreached\n"), None);
}

#[test]
fn a_line_of_megabytes_is_found_and_not_kept() {
    let mut scanner = scanner();
    let piece = vec![b'x'; 65536];
    for _ in 0..100 {
        assert_eq!(scanner.feed(&piece), None);
        assert!(scanner.head.len() <= HEAD);
    }
    let found = scanner.feed(b"limit reached\n").unwrap();
    assert_eq!((found.head.len(), found.cut), (HEAD, true));
    assert_eq!(
        scanner.feed(b"limit reached\n"),
        Some(said("limit reached"))
    );
}

#[test]
fn a_command_that_tries_on_sets_a_pause_once_a_minute() {
    let mut course = Course::default();
    let at = |secs: u64| Time(secs * 1_000_000_000);
    let set = (0..200).filter(|secs| course.said(at(*secs)));
    assert_eq!(set.collect::<Vec<_>>(), [0, 60, 120, 180]);
}

#[test]
fn a_pause_stands_until_its_end_and_never_again() {
    assert_eq!(judge(NOON, HONEST), Stands::Until(NOON + HOUR));
    assert_eq!(judge(NOON + HOUR - 1, HONEST), Stands::Until(NOON + HOUR));
    assert_eq!(judge(NOON + HOUR, HONEST), Stands::Over);
    assert_eq!(judge(NOON + DAY, HONEST), Stands::Over);
}

#[test]
fn no_record_stops_anybody_for_longer_than_a_day() {
    let endless = Times {
        until: u64::MAX,
        ..HONEST
    };
    assert_eq!(judge(NOON, endless), Stands::Until(NOON + DAY));
    assert_eq!(judge(NOON + DAY, endless), Stands::Over);
}

#[test]
fn a_record_that_was_laid_down_long_ago_for_today_stops_nobody() {
    let written = NOON - DAY - HOUR;
    assert_eq!(judge(NOON, Times { written, ..HONEST }), Stands::Over);
}

#[test]
fn a_record_from_the_future_stops_nobody_before_it_or_after() {
    assert_eq!(judge(NOON - DAY, HONEST), Stands::Ahead);
    let written = NOON + 2 * MINUTE;
    assert_eq!(judge(NOON, Times { written, ..HONEST }), Stands::Ahead);
    // A clock that is a little ahead, as between machines.
    assert_eq!(
        judge(NOON - MINUTE, HONEST),
        Stands::Until(NOON - MINUTE + HOUR)
    );
}

#[test]
fn a_record_that_ends_before_it_was_set_is_over() {
    let until = NOON - 1;
    assert_eq!(judge(NOON, Times { until, ..HONEST }), Stands::Over);
    assert_eq!(judge(0, Times { until: 0, ..HONEST }), Stands::Over);
}

#[test]
fn a_clock_that_is_put_back_prolongs_nothing() {
    // Fifty minutes have gone by; the wall clock says ten.
    let passed = Some(50 * MINUTE);
    let now = NOON + 10 * MINUTE;
    assert_eq!(
        judge(now, Times { passed, ..HONEST }),
        Stands::Until(now + 10 * MINUTE)
    );
    let passed = Some(HOUR);
    assert_eq!(judge(now, Times { passed, ..HONEST }), Stands::Over);
}

#[test]
fn a_clock_that_is_put_forward_ends_it_early() {
    let passed = Some(MINUTE);
    assert_eq!(
        judge(NOON + 2 * HOUR, Times { passed, ..HONEST }),
        Stands::Over
    );
}

#[test]
fn a_pause_that_is_set_for_longer_is_set_for_a_day() {
    assert_eq!(end(NOON, Duration::from_hours(1)), NOON + HOUR);
    assert_eq!(end(NOON, Duration::MAX), NOON + DAY);
    assert_eq!(end(u64::MAX, Duration::from_hours(1)), u64::MAX);
}

/// Times near noon, and any at all.
fn time() -> impl Strategy<Value = u64> {
    prop_oneof![NOON - 3 * DAY..NOON + 3 * DAY, any::<u64>()]
}

proptest! {
    #[test]
    fn whatever_a_record_says_it_stops_for_no_longer_than_it_says_and_at_most_a_day(
        now in time(),
        set in time(),
        until in time(),
        written in time(),
        passed in prop::option::of(any::<u64>()),
    ) {
        let times = Times { set, until, written, passed };
        if let Stands::Until(end) = judge(now, times) {
            prop_assert!(end > now);
            prop_assert!(end - now <= DAY);
            prop_assert!(end - now <= until - set);
            prop_assert!(end <= until);
            prop_assert!(end.saturating_sub(written) <= DAY + SKEW);
        }
    }
}
