//! One line of JSON, as `journalctl --output=json` and our own log have it → what it says of a run.
//!
//! A value is a text; a number where somebody else wrote it; an array of numbers, its bytes, where
//! journalctl finds no text in it, or of values where a field is there more than once; or null where it is
//! too long (journalctl(1), `--output=json`). What is none of these, or too long to be one of ours, is as
//! good as missing. In front of an object may stand what an engine writes there, such as the time.

use serde_json::{Map, Value};

use crate::core::timeline::{Fact, Ms, Sign};
use crate::journal::kind::{self, MessageId};

/// The fields that journalctl is asked for; it adds the time by itself.
pub(super) const FIELDS: &str = "--output-fields=MESSAGE_ID,SYSLOG_IDENTIFIER,CONTAINER_NAME,JOB,\
    JOB_CLASS,RUN_ID,LOCK,HOLDER,WAITED_MS,HELD_MS,REASON,RUN_CODE,EXIT_CODE,SIGNAL,\
    _SOURCE_REALTIME_TIMESTAMP";
/// The end of the year 9999, which is the last one that can be written.
const LAST: Ms = 253_402_300_799_999;
/// How many bytes a text may have: those of a path, and of all else.
const PATH: usize = 4096;
const WORD: usize = 256;

/// What a line is.
pub(super) enum Line {
    /// It says something of a run.
    Sign(Box<Sign>),
    /// A note about something else, or that is not understood.
    Note,
    /// A note in words.
    Words,
    /// What a job has printed, or anything else.
    Other,
}

/// Reads a line.
pub(super) fn of_line(line: &[u8]) -> Line {
    let begin = line.iter().position(|byte| *byte == b'{');
    let object = begin.and_then(|begin| serde_json::from_slice(line.get(begin..)?).ok());
    match object {
        Some(Value::Object(object)) if text(&object, "SYSLOG_IDENTIFIER", WORD) == "lockkeeper" => {
            of_object(&object).map_or(Line::Note, |sign| Line::Sign(Box::new(sign)))
        }
        None if String::from_utf8_lossy(line).contains("lockkeeper: ") => Line::Words,
        _ => Line::Other,
    }
}

fn of_object(object: &Map<String, Value>) -> Option<Sign> {
    let word = |name| text(object, name, WORD);
    let time = ["_SOURCE_REALTIME_TIMESTAMP", "__REALTIME_TIMESTAMP"];
    let at = time.iter().find_map(|name| number(object, name))? / 1000;
    let fact = fact(object, &word("MESSAGE_ID"))?;
    (1..=LAST).contains(&at).then(|| Sign {
        at,
        container: word("CONTAINER_NAME"),
        job: word("JOB"),
        class: word("JOB_CLASS"),
        run_id: word("RUN_ID"),
        lock: text(object, "LOCK", PATH),
        holder: word("HOLDER"),
        reason: match fact {
            Fact::Seen if word("REASON").is_empty() => "crashed".to_owned(),
            _ => word("REASON"),
        },
        signal: word("SIGNAL"),
        code: number(object, "RUN_CODE").and_then(|code| u8::try_from(code).ok()),
        fact,
    })
}

/// What a record of this kind says.
fn fact(object: &Map<String, Value>, id: &str) -> Option<Fact> {
    let ms = |name| number(object, name).unwrap_or(0).min(LAST);
    let (waited, held) = (ms("WAITED_MS"), ms("HELD_MS"));
    let ran = object.contains_key("EXIT_CODE");
    let table: [(MessageId, Fact); 22] = [
        (kind::WAITING, Fact::Waits),
        (kind::DIR_WAITING, Fact::Waits),
        (kind::OBTAINED, Fact::Obtained(waited)),
        (kind::DIR_OBTAINED, Fact::DirObtained(waited)),
        (kind::NESTED, Fact::Nested),
        (kind::STARTED, Fact::Starts),
        (kind::READY, Fact::Runs),
        (kind::FINAL_SEEN, Fact::Runs),
        (kind::WOKE_LATE, Fact::Runs),
        (kind::UNKILLABLE, Fact::Stops),
        (kind::SPLIT, Fact::Split),
        (kind::OUT_OF_MEMORY, Fact::OutOfMemory),
        (kind::STOPPING, Fact::Stops),
        (kind::LEFTOVERS, Fact::Stops),
        (kind::KILLING, Fact::Stops),
        (kind::RELEASED, Fact::Released(held)),
        (kind::ENDED, Fact::Ended { waited, held, ran }),
        (kind::GUARD_CLEANED, Fact::Seen),
        (kind::RUN_ENDED, Fact::Seen),
        (kind::INIT_STARTED, Fact::Init),
        (kind::INIT_ENDED, Fact::Init),
        (kind::RUN_STARTING, Fact::Told),
    ];
    let known = table.iter().find(|(known, _)| known.0 == id);
    let other = || (!id.is_empty()).then_some(Fact::Told);
    known.map(|(_, fact)| *fact).or_else(other)
}

fn text(object: &Map<String, Value>, name: &str, most: usize) -> String {
    let mut text = object.get(name).map_or_else(String::new, text_of);
    if text.len() > most {
        let end = (0..=most).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or(0));
    }
    text
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Array(values) => {
            let byte = |value: &Value| u8::try_from(value.as_u64()?).ok();
            let bytes: Option<Vec<u8>> = values.iter().map(byte).collect();
            match (bytes, values.first()) {
                (Some(bytes), _) => String::from_utf8_lossy(&bytes).into_owned(),
                (None, Some(first @ Value::String(_))) => text_of(first),
                _ => String::new(),
            }
        }
        _ => String::new(),
    }
}

fn number(object: &Map<String, Value>, name: &str) -> Option<u64> {
    text(object, name, WORD).parse().ok()
}
