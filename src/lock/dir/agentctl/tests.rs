use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::super::judge::{Life, Why};
use super::*;
use crate::lock::record::start_time;
use crate::sys::process::own_pid;

const LOCKS: &str = r#"[
  {"directory":"/srv/a","type":"auto","pid":PID,"sessionId":"s-1","lockedAt":"2026-03-01T10:00:00.000Z"},
  {"directory":"/srv/b","type":"manual","lockedBy":"ada","reason":"a rebase","lockedAt":"2026-03-01T10:00:00.000Z"},
  {"directory":"/srv/c","type":"auto","pid":2147483647,"lockedAt":"2026-03-01T10:00:00.000Z"},
  {"directory":"/srv/d","type":"auto","lockedAt":"2026-03-01T10:00:00.000Z"},
  {"directory":"srv","type":"auto","lockedAt":"2026-03-01T10:00:00.000Z"},
  {"directory":"/srv/f","type":"leased","lockedAt":"2026-03-01T10:00:00.000Z"},
  {"directory":"/srv/g","type":"auto","lockedAt":"yesterday"},
  {"directory":"/srv/h","type":"auto","pid":-4,"lockedAt":"2026-03-01T10:00:00.000Z"},
  7
]"#;

#[test]
fn each_entry_is_judged_and_a_broken_one_spoils_no_other() {
    let here = Here {
        // So long ago that whoever lives now began before the entries.
        booted: Some(std::time::UNIX_EPOCH),
        ..Here::read()
    };
    assert!(start_time(own_pid()).is_some());
    let text = LOCKS.replace("PID", &own_pid().to_string());
    let found = parse(text.as_bytes()).unwrap();
    let sessions = Sessions::known(&[], false);
    let worths: Vec<_> = found
        .iter()
        .map(|entry| {
            entry
                .as_ref()
                .map(|entry| worth(entry, &here, &sessions).why)
        })
        .collect();
    let field = |name| Err(Corrupt::Field(name));
    let expected = [
        Ok(Why::ProcessLives),
        Ok(Why::Manual),
        Ok(Why::ProcessGone),
        Ok(Why::NoProcess),
        field("directory"),
        field("type"),
        field("lockedAt"),
        field("pid"),
        Err(Corrupt::NoObject),
    ];
    assert_eq!(worths.len(), expected.len());
    for (worth, expected) in worths.iter().zip(&expected) {
        assert_eq!(worth.map_err(|error| *error), *expected);
    }
}

#[test]
fn an_entry_has_the_shape_of_all_others() {
    let found = parse(LOCKS.replace("PID", "9").as_bytes()).unwrap();
    let auto = found[0].as_ref().unwrap();
    assert_eq!(auto.directory, PathBuf::from("/srv/a"));
    assert_eq!(
        (auto.record.pid, auto.record.run_id.as_deref()),
        (9, Some("s-1"))
    );
    assert!(
        auto.record.session_id.is_empty(),
        "it is no session of tmux"
    );
    let manual = &found[1].as_ref().unwrap().record;
    assert_eq!(manual.by.as_deref(), Some("ada"));
    assert_eq!(manual.reason.as_deref(), Some("a rebase"));
}

#[test]
fn a_manual_lock_without_a_name_is_manual_all_the_same() {
    let text = r#"[{"directory":"/a","type":"manual","pid":2147483647,"lockedAt":"2026-03-01T10:00:00Z"}]"#;
    let found = parse(text.as_bytes()).unwrap();
    let verdict = worth(found[0].as_ref().unwrap(), &Here::read(), &Sessions::new());
    assert_eq!(verdict.life, Life::Alive);
}

#[test]
fn a_corrupt_file_is_reported_and_is_not_an_empty_one() {
    assert_eq!(parse(b"{}"), Err(Corrupt::NoArray));
    assert_eq!(parse(b"[]"), Ok(Vec::new()));
    assert!(matches!(parse(b"[{\"a\":"), Err(Corrupt::Json { .. })));
    assert!(matches!(parse(b""), Err(Corrupt::Json { .. })));
    assert_eq!(parse(&vec![b' '; MAX_FILE + 1]), Err(Corrupt::TooLong));
    let deep = "[".repeat(MAX_FILE);
    assert!(matches!(parse(deep.as_bytes()), Err(Corrupt::Json { .. })));
    assert_eq!(
        read(&File::open("/dev/zero").unwrap()),
        Err(Corrupt::TooLong)
    );
}

proptest! {
    #[test]
    fn any_bytes_are_a_list_or_an_error(bytes in vec(any::<u8>(), 0..1024)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn any_json_is_a_list_or_an_error(
        words in vec(select(&["{", "}", "[", "]", ",", ":", "\"pid\"", "\"directory\"", "\"/a\"",
            "\"type\"", "\"auto\"", "\"manual\"", "1", "1e999", "null", "\"lockedAt\"",
            "\"1970-01-01T00:00:00Z\""]), 0..200),
    ) {
        for entry in parse(words.concat().as_bytes()).into_iter().flatten().flatten() {
            assert!(entry.directory.is_absolute() && entry.record.pid >= 0);
        }
    }
}
