//! What a directory lock says: `.runtime/agent.lock`, in the shape of gastown's tools and ours.
//!
//! The first four fields are gastown's (`internal/lock/lock.go`): `pid`, a number; `acquired_at`, a
//! time as RFC 3339 has it; `session_id` and `hostname`, texts that are left out when empty. Its
//! reader (Go, `encoding/json`) passes over all others, which are ours.
//!
//! Invariants:
//! - A record is believed up to [`MAX_RECORD`] bytes; no more than that is ever loaded, and
//!   `serde_json` refuses what is nested deeper than 128.
//! - What is no whole record is [`Corrupt`], never a guess: whoever finds one reports it and leaves
//!   it alone.
//! - A text of a record reaches people only through [`Plain`].
//! - A record proves nothing: [`super::judge`] says what it is worth.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

pub use crate::lock::claim::MAX_RECORD;
pub use crate::lock::record::{Plain, State};

/// The record of a directory lock. What a record does not say is empty or `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DirRecord {
    /// The agent's process, as its own PID namespace numbers it; 0 only where `by` names a person.
    pub pid: i32,
    /// Since when, as RFC 3339 has it; [`DirRecord::acquired`] reads it.
    pub acquired_at: String,
    /// The tmux session, or pane, of the agent.
    pub session_id: String,
    /// The host's name, as that container has it.
    pub hostname: String,
    /// Ours alone: what makes this record the owner's, for its removal.
    pub token: Option<String>,
    /// When `pid` started, in clock ticks since boot (field 22, `proc_pid_stat(5)`).
    pub start_time: Option<u64>,
    /// Which boot of which kernel (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: Option<String>,
    /// The inode number of the PID namespace in which `pid` means something (namespaces(7)).
    pub pid_ns: Option<u64>,
    /// The container's name, as the journal has it.
    pub container: Option<String>,
    /// The job's name.
    pub job: Option<String>,
    /// The class's name.
    pub class: Option<String>,
    /// The run.
    pub run_id: Option<String>,
    /// The directory, as its owner names it.
    pub cwd: Option<String>,
    /// How far the run is.
    pub state: Option<State>,
    /// Whether it covers the folders below.
    pub subtree: bool,
    /// Who holds it by hand.
    pub by: Option<String>,
    /// Why it is held by hand.
    pub reason: Option<String>,
}

impl DirRecord {
    /// Reads a record from the whole content of its file.
    pub fn parse(bytes: &[u8]) -> Result<Self, Corrupt> {
        if bytes.len() > MAX_RECORD {
            return Err(Corrupt::TooLong);
        }
        let Value::Object(fields) = serde_json::from_slice(bytes).map_err(not_json)? else {
            return Err(Corrupt::NoObject);
        };
        let fields = Fields(&fields);
        let record = Self {
            pid: fields.pid()?.ok_or(Corrupt::Field("pid"))?,
            acquired_at: fields.text("acquired_at")?.unwrap_or_default(),
            session_id: fields.text("session_id")?.unwrap_or_default(),
            hostname: fields.text("hostname")?.unwrap_or_default(),
            token: fields.text("token")?,
            start_time: fields.number("start_time")?,
            boot_id: fields.text("boot_id")?,
            pid_ns: fields.number("pid_ns")?,
            container: fields.text("container")?,
            job: fields.text("job")?,
            class: fields.text("class")?,
            run_id: fields.text("run_id")?,
            cwd: fields.text("cwd")?,
            state: fields.text("state")?.as_deref().map(state_of),
            subtree: fields.flag("subtree")?,
            by: fields.text("by")?,
            reason: fields.text("reason")?,
        };
        if record.acquired().is_none() {
            return Err(Corrupt::Field("acquired_at"));
        }
        // To kill(2) 0 is a whole group of processes, and to nobody an owner.
        if record.pid == 0 && !record.is_manual() {
            return Err(Corrupt::Field("pid"));
        }
        Ok(record)
    }

    /// Reads a record from `file`, from where it stands, and never more than [`MAX_RECORD`] of it.
    /// The caller has seen to it that this is a regular file.
    pub fn read(file: &File) -> Result<Self, Corrupt> {
        Self::parse(&read_bounded(file, MAX_RECORD)?)
    }

    /// The record as its file has it: one field a line, what is not known left out.
    pub fn render(&self) -> String {
        let text = |text: &String| (!text.is_empty()).then(|| Value::from(text.as_str()));
        let some = |text: &Option<String>| text.as_deref().map(Value::from);
        let fields = [
            ("pid", Some(Value::from(self.pid))),
            ("acquired_at", Some(Value::from(self.acquired_at.as_str()))),
            ("session_id", text(&self.session_id)),
            ("hostname", text(&self.hostname)),
            ("token", some(&self.token)),
            ("start_time", self.start_time.map(Value::from)),
            ("boot_id", some(&self.boot_id)),
            ("pid_ns", self.pid_ns.map(Value::from)),
            ("container", some(&self.container)),
            ("job", some(&self.job)),
            ("class", some(&self.class)),
            ("run_id", some(&self.run_id)),
            ("cwd", some(&self.cwd)),
            ("state", self.state.and_then(word_of).map(Value::from)),
            ("subtree", self.subtree.then_some(Value::Bool(true))),
            ("by", some(&self.by)),
            ("reason", some(&self.reason)),
        ];
        let mut whole = String::from("{");
        for (name, value) in fields {
            let Some(value) = value else { continue };
            let comma = if whole.len() == 1 { "" } else { "," };
            whole.push_str(comma);
            whole.push_str("\n  \"");
            whole.push_str(name);
            whole.push_str("\": ");
            whole.push_str(&value.to_string());
        }
        whole.push_str("\n}\n");
        whole
    }

    /// Whether lockkeeper wrote it: then the latch beside it is the truth.
    pub fn is_ours(&self) -> bool {
        self.token.is_some()
    }

    /// Whether a person holds it by hand: true until released by hand.
    pub fn is_manual(&self) -> bool {
        self.by.is_some() || self.reason.is_some()
    }

    /// [`DirRecord::acquired_at`] as a time; `None`: before 1970, or no time at all.
    pub fn acquired(&self) -> Option<SystemTime> {
        time_of(&self.acquired_at)
    }
}

/// Now, as `acquired_at` has it.
pub fn now() -> String {
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(crate::sys::clock::unix_ms());
    humantime::format_rfc3339_seconds(now).to_string()
}

/// A time as RFC 3339 has it, with an offset as Go writes it; `None`: it is none, or before 1970.
pub fn time_of(text: &str) -> Option<SystemTime> {
    let (local, offset) = if let Some(local) = text.strip_suffix(['Z', 'z']) {
        (local, 0)
    } else {
        let (local, offset) = text.split_at_checked(text.len().checked_sub(6)?)?;
        (local, offset_of(offset)?)
    };
    if !matches!(local.as_bytes().get(10), Some(b'T' | b't')) {
        return None;
    }
    let local = humantime::parse_rfc3339_weak(local).ok()?;
    if offset < 0 {
        local.checked_add(Duration::from_secs(offset.unsigned_abs()))
    } else {
        let utc = local.checked_sub(Duration::from_secs(offset.unsigned_abs()))?;
        (utc >= SystemTime::UNIX_EPOCH).then_some(utc)
    }
}

/// `+02:00` in seconds.
fn offset_of(text: &str) -> Option<i64> {
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let two = |digits: &str, below: i64| {
        let plain = digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit());
        let value = plain.then(|| digits.parse::<i64>().ok())??;
        (value < below).then_some(value)
    };
    let seconds = two(hours, 24)? * 3600 + two(minutes, 60)? * 60;
    match text.as_bytes().first()? {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

fn state_of(word: &str) -> State {
    match word {
        "waiting" => State::Waiting,
        "holding" => State::Holding,
        "running" => State::Running,
        "waiting_for_dir" => State::WaitingForDir,
        _ => State::Unknown,
    }
}

fn word_of(state: State) -> Option<&'static str> {
    match state {
        State::Waiting => Some("waiting"),
        State::Holding => Some("holding"),
        State::Running => Some("running"),
        State::WaitingForDir => Some("waiting_for_dir"),
        State::Unknown => None,
    }
}

/// The fields of a record, or of one entry of a list. One that is null is not there.
pub(super) struct Fields<'a>(pub(super) &'a Map<String, Value>);

impl Fields<'_> {
    pub(super) fn text(&self, name: &'static str) -> Result<Option<String>, Corrupt> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Corrupt::Field(name)),
        }
    }

    pub(super) fn number(&self, name: &'static str) -> Result<Option<u64>, Corrupt> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_u64().map(Some).ok_or(Corrupt::Field(name)),
        }
    }

    fn flag(&self, name: &'static str) -> Result<bool, Corrupt> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(value) => value.as_bool().ok_or(Corrupt::Field(name)),
        }
    }

    /// No process has a number below 1; 0 says that there is none.
    pub(super) fn pid(&self) -> Result<Option<i32>, Corrupt> {
        let pid = self.number("pid")?.map(i32::try_from).transpose();
        pid.map_err(|_| Corrupt::Field("pid"))
    }
}

/// The whole of `file`, but an error where it is longer than `most` bytes: no more is ever loaded.
pub(super) fn read_bounded(file: &File, most: usize) -> Result<Vec<u8>, Corrupt> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    match file.take(limit).read_to_end(&mut bytes) {
        Ok(_) if bytes.len() > most => Err(Corrupt::TooLong),
        Ok(_) => Ok(bytes),
        Err(error) => Err(Corrupt::Read(error.raw_os_error().unwrap_or(libc::EIO))),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands in map_err")]
pub(super) fn not_json(error: serde_json::Error) -> Corrupt {
    Corrupt::Json {
        line: error.line(),
        column: error.column(),
    }
}

/// Why a file is no record. Displayed, it continues "… is no record: ".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corrupt {
    /// Longer than what is believed.
    TooLong,
    /// JSON, but no object.
    NoObject,
    /// JSON, but no array.
    NoArray,
    /// No JSON, from here on.
    Json {
        /// Counted from 1.
        line: usize,
        /// Counted from 1; 0 at the start of a line.
        column: usize,
    },
    /// A field that must be there is not, or is of another type than it has to be.
    Field(&'static str),
    /// It cannot be read: an error number.
    Read(i32),
}

impl Error for Corrupt {}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => f.write_str("it is longer than a record can be"),
            Self::NoObject => f.write_str("it is no JSON object"),
            Self::NoArray => f.write_str("it is no JSON array"),
            Self::Json { line, column } => {
                write!(f, "it is no JSON (line {line}, column {column})")
            }
            Self::Field(name) => write!(f, "its field \"{name}\" is missing or wrong"),
            Self::Read(errno) => {
                let errno = nix::errno::Errno::from_raw(*errno);
                write!(f, "it cannot be read: {}", errno.desc())
            }
        }
    }
}

#[cfg(test)]
mod tests;
