//! What was found, for programs.
//!
//! The JSON object, version 1. Fields are added and never change their meaning; `v` changes if one
//! must. A path that is no text has marks in place of its odd bytes.
//!
//! | field | what it says |
//! | --- | --- |
//! | `v` | 1 |
//! | `roots` | the real paths that were looked below |
//! | `directories` | how many were read |
//! | `locks` | each lock, sorted by its path; of `lock show` it is `lock`, or null |
//! | `unread` | each folder that could not be read: `path`, `why`; `more_unread` counts the rest |
//! | `broken` | each file of another tool that is not understood: `path`, `why` |
//!
//! `lock show DIR` has `dir`, `lock` (one of these, or null) and `in_use`: `inside` (each `pid` and
//! `name` of a process that works there), `unseen` (how many could not be looked at) and `reach`
//! (`machine`, `container`, `own` or `nothing`: whose processes are seen at all). Of a shared lock it
//! has `path`, `holders`, `waiting` (in the order of the queue) and `interactive` (those who pass it),
//! each with the records of living claims, and `pauses`, as `lockkeeper pause --json` shows them. `lock hold` has `dir`, `state` and `record`, `lock release`
//! `dir` and `released`: `manual`, `dead`, `foreign`, `corrupt` or `nothing`.
//!
//! Of a lock:
//!
//! | field | what it says |
//! | --- | --- |
//! | `dir` | the directory |
//! | `state` | `held`, `manual`, `foreign`, `stale`, `cannot-tell`, `orphaned`, `corrupt` or `collision` |
//! | `needs_a_person` | with one of these the exit code is 1 |
//! | `life` | of the owner: `alive`, `dead` or `cannot-tell` |
//! | `why` | why it stands so, a part of a sentence |
//! | `record` | what `agent.lock` says, as far as it is understood; null: it is none |
//! | `source` | `record`, or `agentctl` where it stands in agentctl's list |
//! | `also_at` | further paths of the same lock |
//! | `collides_with` | the directories that it collides with |
//! | `removed`, `left` | of `lock clean`: whether it is removed; why one of a dead owner was left |

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::lock::dir::judge::Life;
use crate::lock::dir::record::DirRecord;
use crate::lock::scan::look::Lock;
use crate::lock::scan::survey::Survey;

/// The version of the JSON object.
const VERSION: u32 = 1;

pub(in crate::cli::verb) type Object = Map<String, Value>;

/// An object of version 1.
pub(in crate::cli::verb) fn versioned() -> Object {
    object(&mut [("v", VERSION.into())])
}

/// An object with these fields, which are taken out.
pub(in crate::cli::verb) fn object(fields: &mut [(&str, Value)]) -> Object {
    let mut object = Object::new();
    for (name, value) in fields {
        object.insert((*name).to_owned(), value.take());
    }
    object
}

/// All of a survey; `more` adds to each lock.
pub(super) fn survey(
    roots: &[PathBuf],
    survey: &Survey,
    more: &dyn Fn(usize, &mut Object),
) -> Value {
    let locks = survey.locks.iter().enumerate().map(|(at, found)| {
        let mut object = lock(found);
        more(at, &mut object);
        Value::Object(object)
    });
    let unread = survey.unread.iter().map(|(unread, errno)| {
        let why = crate::trouble::why(*errno);
        Value::Object(object(&mut [("path", path(unread)), ("why", why.into())]))
    });
    let broken = survey.broken.iter().map(|(broken, why)| {
        let why = why.as_str().into();
        Value::Object(object(&mut [("path", path(broken)), ("why", why)]))
    });
    let mut whole = versioned();
    whole.extend(object(&mut [
        ("roots", paths(roots)),
        ("directories", survey.directories.into()),
        ("locks", Value::Array(locks.collect())),
        ("unread", Value::Array(unread.collect())),
        ("more_unread", survey.more_unread.into()),
        ("broken", Value::Array(broken.collect())),
    ]));
    Value::Object(whole)
}

/// One lock.
pub(super) fn lock(lock: &Lock) -> Object {
    let life = match lock.life {
        Life::Alive => "alive",
        Life::Dead => "dead",
        Life::CannotTell => "cannot-tell",
    };
    let source = if lock.of_agentctl {
        "agentctl"
    } else {
        "record"
    };
    object(&mut [
        ("dir", path(&lock.dir)),
        ("state", lock.state.word().into()),
        ("needs_a_person", lock.state.needs_a_person().into()),
        ("life", life.into()),
        ("why", lock.why.as_str().into()),
        ("record", lock.record.as_ref().map_or(Value::Null, record)),
        ("source", source.into()),
        ("also_at", paths(&lock.also_at)),
        ("collides_with", paths(&lock.collides_with)),
    ])
}

/// What a record says.
pub(super) fn record(record: &DirRecord) -> Value {
    // What we render is JSON.
    serde_json::from_slice(record.render().as_bytes()).unwrap_or_default()
}

pub(super) fn path(path: &Path) -> Value {
    path.to_string_lossy().into()
}

fn paths(paths: &[PathBuf]) -> Value {
    paths.iter().map(|one| path(one)).collect()
}
