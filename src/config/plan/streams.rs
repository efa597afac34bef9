//! What a command reads from and where its output goes.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where the files of jobs lie whose output goes to files.
const DEFAULT_LOG_DIR: &str = "/var/log/lockkeeper";
/// From how many bytes on such a file is set aside.
const DEFAULT_LOG_SIZE: u64 = 10 << 20;
/// How many that were set aside are kept.
const DEFAULT_LOG_FILES: u64 = 5;
/// The fewest bytes of a value that can be masked: a shorter one stands in too many other words.
pub const LEAST_SECRET: usize = 4;

/// Where a command's standard input comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stdin {
    /// Ours.
    Inherit,
    /// `/dev/null`: agents hang on an open pipe.
    Null,
    /// The command's own terminal, on which nobody types ([`PtyPlan`]).
    Pty,
}

/// A pseudo-terminal of a command's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PtyPlan {
    /// Its height, in lines.
    pub rows: u16,
    /// Its width, in columns.
    pub cols: u16,
    /// Whether it echoes what is typed.
    pub echo: bool,
}

impl Default for PtyPlan {
    fn default() -> Self {
        Self {
            rows: 24,
            cols: 80,
            echo: false,
        }
    }
}

/// Where a command's standard output and standard error go, and what is shown nowhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputPlan {
    /// Whether it goes to the journal, a record a line.
    pub journal: bool,
    /// Whether it goes to a file. To neither: where ours goes; then nothing of it passes through us
    /// unless a watchdog or `redact` needs that.
    pub file: bool,
    /// The folder of the file.
    pub log_dir: PathBuf,
    /// The size of the file from which on it is set aside, in bytes.
    pub log_size: u64,
    /// How many that were set aside are kept; at least one.
    pub log_files: u64,
    /// The variables whose values are shown nowhere.
    pub redact: Vec<String>,
}

impl Default for OutputPlan {
    fn default() -> Self {
        Self {
            journal: false,
            file: false,
            log_dir: DEFAULT_LOG_DIR.into(),
            log_size: DEFAULT_LOG_SIZE,
            log_files: DEFAULT_LOG_FILES,
            redact: Vec::new(),
        }
    }
}

impl OutputPlan {
    /// Whether it is kept, and not just handed on to a reader of ours.
    pub const fn is_kept(&self) -> bool {
        self.journal || self.file
    }

    /// The file of that job.
    pub fn path(&self, job: &str) -> PathBuf {
        self.log_dir.join(format!("{job}.log"))
    }
}
