//! `[init]`: the container that the jobs share.

use std::ffi::OsString;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::SignalMap;

/// How long the command of `on_event` may take.
pub const DEFAULT_EVENT_TIMEOUT: Duration = Duration::from_secs(10);
/// The time for an orderly stop of everything; below the 10 s after which Docker and podman kill.
pub const DEFAULT_STOP_WITHIN: Duration = Duration::from_secs(9);

/// The `[init]` table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InitPlan {
    /// `CONTAINER_NAME` in the journal: `name`, else the host name.
    pub name: String,
    /// Time for the orderly stop of all runs, from the first stop signal.
    pub stop_within: Duration,
    /// Whether init lives on when no job can ever run again.
    pub stay: bool,
    /// What a line on standard error looks like.
    pub log: Format,
    /// What init takes a signal for that it gets.
    pub signals: SignalMap,
    /// The command that is told of events.
    pub on_event: Option<EventPlan>,
}

/// A command that is told what happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventPlan {
    /// The command and its arguments; never empty.
    pub command: Vec<OsString>,
    /// Of what it is told, by the names of the manual; empty: of all warnings and errors.
    pub kinds: Vec<String>,
    /// How long it may take for one event.
    pub timeout: Duration,
}

/// What a note looks like on standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Words.
    #[default]
    Text,
    /// One JSON object a line, with the names and values that `journalctl --output=json` shows.
    Json,
}

impl Format {
    /// The words for it.
    pub const WORDS: &'static [&'static str] = &["text", "json"];

    /// What `word` means; `None`: it is none of [`Self::WORDS`].
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "text" => Some(Self::Text),
            "json" => Some(Self::Json),
            _ => None,
        }
    }
}
