//! agentctl's directory locks: `locks.json`, which its daemon keeps in memory and writes a second
//! later. Read and shown beside ours, never written, and nothing is ever removed from it.
//!
//! Its shape: an array of `{directory, type: "auto" | "manual", pid?, sessionId?, lockedBy?,
//! reason?, lockedAt}`. It names no host: its daemon runs where its home is, so its numbers are
//! taken as ours.
//!
//! Invariants: no more than [`MAX_FILE`] bytes are loaded; an entry that is none is reported as such
//! and spoils no other.

use std::fs::File;
use std::path::PathBuf;

use serde_json::{Map, Value};

use super::judge::{Here, Verdict, judge};
use super::record::{Corrupt, DirRecord, Fields, not_json, read_bounded};
use super::sessions::Sessions;

/// The longest file that is believed, in bytes: a thousand locks.
pub const MAX_FILE: usize = 256 * 1024;
/// Where it lies in a home (agentctl, `state.ts`).
pub const FILE: &str = ".agentctl/locks.json";

/// One lock of agentctl's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The directory, as its owner named it.
    pub directory: PathBuf,
    /// What it says, in the shape of all others: its `sessionId` is no session of tmux and stands in
    /// `run_id`; `by` and `reason` are there only with a manual one.
    pub record: DirRecord,
}

/// The entries of `file`, from where it stands; one that is none says why.
pub fn read(file: &File) -> Result<Vec<Result<Entry, Corrupt>>, Corrupt> {
    parse(&read_bounded(file, MAX_FILE)?)
}

/// The same for the whole content of a file.
pub fn parse(bytes: &[u8]) -> Result<Vec<Result<Entry, Corrupt>>, Corrupt> {
    if bytes.len() > MAX_FILE {
        return Err(Corrupt::TooLong);
    }
    let list: Value = serde_json::from_slice(bytes).map_err(not_json)?;
    let Value::Array(list) = list else {
        return Err(Corrupt::NoArray);
    };
    let entries = list.iter().map(|entry| match entry {
        Value::Object(fields) => entry_of(fields),
        _ => Err(Corrupt::NoObject),
    });
    Ok(entries.collect())
}

fn entry_of(fields: &Map<String, Value>) -> Result<Entry, Corrupt> {
    let fields = Fields(fields);
    let directory = fields.text("directory")?;
    let directory = directory.filter(|path| path.starts_with('/'));
    let manual = match fields.text("type")?.as_deref() {
        Some("auto") => false,
        Some("manual") => true,
        _ => return Err(Corrupt::Field("type")),
    };
    let (by, reason) = (fields.text("lockedBy")?, fields.text("reason")?);
    let record = DirRecord {
        pid: fields.pid()?.unwrap_or(0),
        acquired_at: fields.text("lockedAt")?.unwrap_or_default(),
        run_id: fields.text("sessionId")?,
        by: manual.then(|| by.unwrap_or_else(|| "somebody".to_owned())),
        reason: reason.filter(|_| manual),
        ..DirRecord::default()
    };
    if record.acquired().is_none() {
        return Err(Corrupt::Field("lockedAt"));
    }
    Ok(Entry {
        directory: directory.ok_or(Corrupt::Field("directory"))?.into(),
        record,
    })
}

/// What an entry is worth. Nothing follows from a dead one but that a person is told: the list
/// is agentctl's own.
pub fn worth(entry: &Entry, here: &Here, sessions: &Sessions) -> Verdict {
    let record = DirRecord {
        hostname: here.hostname.clone(),
        ..entry.record.clone()
    };
    judge(&record, None, &|| false, here, sessions)
}

#[cfg(test)]
mod tests;
