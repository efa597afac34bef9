//! `[jobs.NAME]`: when a job starts, and what it waits for.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{RestartPlan, RunPlan};

/// A job: what runs, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobPlan {
    /// When it starts of itself.
    pub start: Start,
    /// At which rate it starts again; `None`: it runs once.
    pub every: Option<Every>,
    /// Whether it is *the* main command, whose exit code is the container's.
    pub main: bool,
    /// Whether it starts again when a run of it is over.
    pub restart: RestartPlan,
    /// What must have come true before it starts for the first time: all of it.
    pub after: Vec<After>,
    /// How many runs of its class go at once; the same in all jobs of a class.
    pub max_parallel: Option<u64>,
    /// What one run of it does.
    pub run: RunPlan,
}

impl JobPlan {
    /// A job that starts with init and runs once.
    pub const fn once(run: RunPlan) -> Self {
        Self {
            start: Start::Boot,
            every: None,
            main: false,
            restart: RestartPlan::NEVER,
            after: Vec::new(),
            max_parallel: None,
            run,
        }
    }
}

/// Something that must have come true before a job starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct After {
    /// The job it is about.
    pub job: String,
    /// What.
    pub want: Want,
}

/// What a job waits for in another one. Once it was true it stays true.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Want {
    /// A run of it was begun.
    Started,
    /// A run of it has ended with 0.
    Succeeded,
    /// A run of it has said that it is ready.
    Ready,
}

impl Want {
    /// The words for it.
    pub const WORDS: &'static [&'static str] = &["started", "succeeded", "ready"];

    /// What `word` means; `None`: it is none of [`Self::WORDS`].
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "started" => Some(Self::Started),
            "succeeded" => Some(Self::Succeeded),
            "ready" => Some(Self::Ready),
            _ => None,
        }
    }
}

/// When a job starts of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// When init starts.
    Boot,
    /// Only when somebody asks: `lockkeeper run JOB`.
    Manual,
}

/// A fixed rate: the first tick at boot, no drift, no second run beside a living one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Every {
    /// The time between two ticks; at least one second.
    pub period: Duration,
    /// The first tick is spread over this time, so that many jobs do not start at once.
    pub jitter: Duration,
}
