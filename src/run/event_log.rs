//! The event log of a run: every event with its time and the actions that followed, so that what
//! happened can be replayed through [`crate::core::run::Run`] and compared.
//!
//! Off unless `LOCKKEEPER_EVENT_LOG` names a folder; each run then writes `RUN_ID.jsonl` there, for its own
//! user to read, and without its secrets.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::core::event::{Action, Event, Facts};
use crate::core::mask::Secrets;
use crate::core::time::Time;

/// The first line: what the policy knew.
#[derive(Debug, Serialize, Deserialize)]
pub struct Head {
    /// The version of this format.
    pub v: u32,
    /// The facts of the run.
    pub facts: Facts,
}

/// Each line after it.
#[derive(Debug, Serialize, Deserialize)]
pub struct Entry {
    /// When.
    pub at: Time,
    /// What happened.
    pub event: Event,
    /// What followed.
    pub actions: Vec<Action>,
}

/// An open log, or none.
#[derive(Debug)]
pub struct EventLog {
    file: Option<File>,
    secrets: Arc<Secrets>,
}

impl EventLog {
    /// Opens the log of `run_id` if one is wanted. A log that cannot be written is none.
    pub fn open(run_id: &str, facts: &Facts, secrets: &Arc<Secrets>) -> Self {
        let file = std::env::var_os("LOCKKEEPER_EVENT_LOG").and_then(|folder| {
            let path = PathBuf::from(folder).join(format!("{run_id}.jsonl"));
            OpenOptions::new()
                .create_new(true)
                .append(true)
                .mode(0o600)
                .open(path)
                .ok()
        });
        let secrets = Arc::clone(secrets);
        let mut log = Self { file, secrets };
        log.write(&Head {
            v: 1,
            facts: facts.clone(),
        });
        log
    }

    /// Whether anything is written at all.
    pub const fn is_on(&self) -> bool {
        self.file.is_some()
    }

    /// Adds an entry.
    pub fn record(&mut self, entry: &Entry) {
        self.write(entry);
    }

    fn write(&mut self, line: &impl Serialize) {
        let Some(file) = &mut self.file else { return };
        if let Ok(text) = serde_json::to_string(line) {
            let _ = file.write_all(format!("{}\n", self.secrets.hide(&text)).as_bytes());
        }
    }
}
