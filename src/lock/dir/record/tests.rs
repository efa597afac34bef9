use std::io::{Seek as _, SeekFrom, Write as _};
use std::time::UNIX_EPOCH;

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::lock::scratch::Scratch;

/// As gastown writes it on a host in Berlin, outside of tmux.
const GASTOWN: &str = r#"{
  "pid": 4711,
  "acquired_at": "2026-03-03T10:11:12.123456789+01:00",
  "hostname": "build-1"
}"#;

fn ours() -> DirRecord {
    DirRecord {
        pid: 7,
        acquired_at: "2026-08-07T06:05:04Z".to_owned(),
        session_id: "%2".to_owned(),
        hostname: "build-1".to_owned(),
        token: Some("abc".to_owned()),
        start_time: Some(u64::MAX),
        boot_id: Some("b".to_owned()),
        pid_ns: Some(4_026_531_836),
        container: Some("agents-1".to_owned()),
        job: Some("dev".to_owned()),
        class: Some("batch".to_owned()),
        run_id: Some("r1".to_owned()),
        cwd: Some("/srv/\"quoted\"\n".to_owned()),
        state: Some(State::Running),
        subtree: true,
        by: None,
        reason: None,
    }
}

fn refused(text: &str) -> Corrupt {
    DirRecord::parse(text.as_bytes()).unwrap_err()
}

#[test]
fn a_record_survives_the_way_through_its_file() {
    let record = ours();
    assert!(record.is_ours() && !record.is_manual());
    assert_eq!(DirRecord::parse(record.render().as_bytes()), Ok(record));
}

#[test]
fn gastowns_record_is_read_and_is_not_ours() {
    let record = DirRecord::parse(GASTOWN.as_bytes()).unwrap();
    assert_eq!((record.pid, record.hostname.as_str()), (4711, "build-1"));
    assert!(!record.is_ours() && !record.is_manual() && record.session_id.is_empty());
    let seconds = Duration::from_nanos(1_772_529_072_123_456_789);
    assert_eq!(record.acquired(), Some(UNIX_EPOCH + seconds));
}

#[test]
fn what_is_not_known_is_left_out_as_go_leaves_it_out() {
    let record = DirRecord {
        pid: 1,
        acquired_at: "2026-08-07T06:05:04Z".to_owned(),
        ..DirRecord::default()
    };
    let bare = "{\n  \"pid\": 1,\n  \"acquired_at\": \"2026-08-07T06:05:04Z\"\n}\n";
    assert_eq!(record.render(), bare);
}

#[test]
fn a_word_of_a_later_version_is_read_and_null_is_nothing() {
    let text = r#"{"pid":1,"acquired_at":"2026-08-07T06:05:04Z","state":"asleep","token":null,"mood":[{}]}"#;
    let record = DirRecord::parse(text.as_bytes()).unwrap();
    assert_eq!((record.state, record.token), (Some(State::Unknown), None));
}

#[test]
fn a_record_that_lacks_what_makes_it_one_is_corrupt() {
    assert_eq!(refused("[]"), Corrupt::NoObject);
    assert_eq!(refused("{}"), Corrupt::Field("pid"));
    assert_eq!(refused(r#"{"pid":1}"#), Corrupt::Field("acquired_at"));
    for pid in [
        "0",
        "-1",
        "1.5",
        "4294967297",
        "2147483648",
        "\"1\"",
        "null",
    ] {
        let text = format!(r#"{{"pid":{pid},"acquired_at":"2026-08-07T06:05:04Z"}}"#);
        assert_eq!(refused(&text), Corrupt::Field("pid"), "{pid}");
    }
    let token = r#"{"pid":1,"acquired_at":"2026-08-07T06:05:04Z","token":7}"#;
    assert_eq!(refused(token), Corrupt::Field("token"));
    for text in [
        "",
        "\0\0\0",
        "{\"pid\":1",
        "{\"pid\":1}x",
        "\u{feff}{}",
        "{'pid':1}",
    ] {
        assert!(matches!(refused(text), Corrupt::Json { .. }), "{text:?}");
    }
}

#[test]
fn a_person_needs_no_process() {
    let text = r#"{"pid":0,"acquired_at":"2026-08-07T06:05:04Z","by":"ada","reason":"a rebase"}"#;
    assert!(DirRecord::parse(text.as_bytes()).unwrap().is_manual());
}

#[test]
fn a_time_is_read_with_its_offset_and_nothing_else_is_a_time() {
    let seconds = |text: &str| {
        let time = time_of(text)?.duration_since(UNIX_EPOCH).ok()?;
        Some(time.as_secs())
    };
    assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0));
    assert_eq!(seconds("1970-01-01T02:00:01+02:00"), Some(1));
    assert_eq!(
        seconds("1969-12-31T23:00:00-05:30"),
        None,
        "humantime begins in 1970"
    );
    assert_eq!(seconds("1970-01-01T00:00:00-00:30"), Some(1800));
    assert_eq!(seconds("2026-03-01T10:00:00.000Z"), Some(1_772_359_200));
    let wrong = [
        "",
        "Z",
        "now",
        "1970-01-01",
        "1970-01-01T00:00:00",
        "1970-01-01T00:00:00+02:00",
        "1970-01-01T05:00:00+2:00",
        "1970-01-01T05:00:00+24:00",
        "1970-01-01T05:00:00*02:00",
        "1970-01-01T05:00:00++2:00",
        "1970-01-01 05:00:00Z",
        "1970-13-01T05:00:00Z",
        "99999-01-01T05:00:00Z",
        "1970-01-01T05:00:0ö02:00",
    ];
    for text in wrong {
        assert_eq!(time_of(text), None, "{text:?}");
    }
    assert!(time_of(&now()).is_some());
}

#[test]
fn deep_json_is_refused_before_it_costs_the_stack() {
    for open in ["[", "{\"a\":", "{\"pid\":[{\"x\":["] {
        let text = open.repeat(MAX_RECORD / open.len());
        assert!(matches!(refused(&text), Corrupt::Json { .. }), "{open}");
    }
}

#[test]
fn a_hundred_megabytes_are_never_loaded() {
    let dir = Scratch::new();
    let mut file = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(dir.join("agent.lock"))
        .unwrap();
    file.write_all(GASTOWN.as_bytes()).unwrap();
    file.set_len(100 << 20).unwrap();
    file.rewind().unwrap();
    assert_eq!(DirRecord::read(&file), Err(Corrupt::TooLong));
    // Where the reader stands tells how much was taken from the file.
    let read = file.stream_position().unwrap();
    assert_eq!(read, MAX_RECORD as u64 + 1);

    file.set_len(MAX_RECORD as u64).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    assert!(
        matches!(DirRecord::read(&file), Err(Corrupt::Json { .. })),
        "NUL bytes behind a record are no record"
    );
}

#[test]
fn what_is_longer_than_a_record_is_none_though_its_rest_is_blank() {
    let mut text = GASTOWN.to_owned();
    text.push_str(&" ".repeat(MAX_RECORD - text.len()));
    assert!(DirRecord::parse(text.as_bytes()).is_ok());
    text.push(' ');
    assert_eq!(refused(&text), Corrupt::TooLong);
}

#[test]
fn what_cannot_be_read_is_said_in_words() {
    let folder = File::open("/").unwrap();
    let error = DirRecord::read(&folder).unwrap_err();
    assert_eq!(error.to_string(), "it cannot be read: Is a directory");
    assert_eq!(
        refused("{}").to_string(),
        "its field \"pid\" is missing or wrong"
    );
}

fn text() -> impl Strategy<Value = String> {
    // Any character, those included that JSON must escape and a terminal would obey.
    vec(any::<char>(), 0..20).prop_map(|text| text.into_iter().collect())
}

prop_compose! {
    fn record()(
        pid in 1..=i32::MAX,
        seconds in 0_u64..253_402_300_799,
        (session_id, hostname) in (text(), text()),
        (token, boot_id, container, job) in (of(text()), of(text()), of(text()), of(text())),
        (class, run_id, cwd) in (of(text()), of(text()), of(text())),
        (by, reason) in (of(text()), of(text())),
        (start_time, pid_ns) in (of(any::<u64>()), of(any::<u64>())),
        subtree in any::<bool>(),
        state in of(select(&[State::Waiting, State::Holding, State::Running])),
    ) -> DirRecord {
        let time = UNIX_EPOCH + Duration::from_secs(seconds);
        let acquired_at = humantime::format_rfc3339_seconds(time).to_string();
        DirRecord {
            pid, acquired_at, session_id, hostname, token, start_time, boot_id, pid_ns, container,
            job, class, run_id, cwd, state, subtree, by, reason,
        }
    }
}

/// What somebody may do to a file.
#[derive(Clone, Debug)]
enum Damage {
    Flip(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Repeat(Index, Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let sign = select(b"{}[]\",:\\\0-+.eE0139ntf \n\x1b\xff".as_slice());
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Damage::Flip(at, byte)),
        any::<Index>().prop_map(Damage::Cut),
        (any::<Index>(), vec(sign, 1..9)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (any::<Index>(), any::<Index>()).prop_map(|(from, to)| Damage::Repeat(from, to)),
    ]
}

fn harm(bytes: &mut Vec<u8>, damage: Damage) {
    if bytes.is_empty() {
        return;
    }
    let length = bytes.len();
    match damage {
        Damage::Flip(at, byte) => bytes[at.index(length)] ^= byte,
        Damage::Cut(at) => bytes.truncate(at.index(length)),
        Damage::Insert(at, new) => {
            let at = at.index(length);
            bytes.splice(at..at, new);
        }
        Damage::Repeat(from, to) => {
            let (from, to) = (from.index(length), to.index(length));
            let part = bytes[from.min(to)..from.max(to)].to_vec();
            bytes.extend(part);
        }
    }
}

/// What holds of everything that was believed.
fn holds_what_was_promised(record: &DirRecord) {
    assert!(record.pid > 0 || record.is_manual());
    assert!(record.acquired().is_some());
    // What was read can be written and read again.
    let mut again = record.clone();
    again.state = again.state.filter(|state| *state != State::Unknown);
    assert_eq!(DirRecord::parse(again.render().as_bytes()), Ok(again));
}

fn is_harmless(text: &str) -> bool {
    !text.contains(char::is_control) && text.chars().count() <= 81
}

proptest! {
    #[test]
    fn every_record_survives_the_way_through_its_file(record in record()) {
        prop_assert_eq!(DirRecord::parse(record.render().as_bytes()), Ok(record));
    }

    #[test]
    fn random_bytes_are_a_record_or_an_error(bytes in vec(any::<u8>(), 0..2048)) {
        if let Ok(record) = DirRecord::parse(&bytes) {
            holds_what_was_promised(&record);
        }
    }

    #[test]
    fn a_damaged_record_is_a_record_or_an_error(
        record in record(),
        damages in vec(damage(), 1..6),
    ) {
        let mut bytes = record.render().into_bytes();
        for damage in damages {
            harm(&mut bytes, damage);
        }
        match DirRecord::parse(&bytes) {
            Ok(record) => holds_what_was_promised(&record),
            Err(error) => prop_assert!(is_harmless(&error.to_string())),
        }
    }

    #[test]
    fn any_json_is_a_record_or_an_error(
        words in vec(select(&["{", "}", "[", "]", ",", ":", "\"pid\"", "\"acquired_at\"", "1",
            "-0", "1e99", "1e999", "null", "true", "\"1970-01-01T00:00:00Z\"", "\"\\u0000\"",
            "\"\\ud800\"", "\"by\""]), 0..300),
    ) {
        if let Ok(record) = DirRecord::parse(words.concat().as_bytes()) {
            holds_what_was_promised(&record);
        }
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_shown(text in text()) {
        prop_assert!(is_harmless(&Plain(&text).to_string()));
    }

    #[test]
    fn no_text_makes_the_reader_of_times_panic(text in "[-+0-9TtZz:. ö]{0,40}") {
        let _ = time_of(&text);
    }
}
