//! What must hold before a command is started.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// The conditions of a run's start. They are asked each time, and none that fails is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conditions {
    /// Paths that exist.
    pub paths: Vec<PathBuf>,
    /// The least memory that is free, in bytes.
    pub free_memory: Option<u64>,
    /// Folders that are made where they are missing.
    pub create_dirs: Vec<PathBuf>,
    /// Variables that the command finds with a value.
    pub variables: Vec<String>,
}

impl Conditions {
    /// Whether there is any.
    pub const fn any(&self) -> bool {
        !self.paths.is_empty()
            || !self.variables.is_empty()
            || self.free_memory.is_some()
            || !self.create_dirs.is_empty()
    }
}
