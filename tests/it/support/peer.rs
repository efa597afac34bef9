//! Another user of lock directories: the real proper-lockfile from npm, installed by
//! tests/setup.sh, with the times of Claude Code.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::bin;
use super::child::{self, Tied, bare};

/// The library. `need!("node", "peer")` comes before any use of it.
pub(crate) fn library() -> PathBuf {
    bin::real("peer/node_modules/proper-lockfile")
}

/// A process that holds any number of locks.
pub(crate) struct Peer(Tied);

impl Peer {
    pub(crate) fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/peer.js");
        let mut command = Command::new("node");
        Self(child::start(bare(&mut command).arg(script).arg(library())))
    }

    /// Takes the lock; what has gone wrong since the last word, if anything has.
    pub(crate) fn lock(&mut self, path: &Path) -> String {
        self.0.ask(&format!("lock {}", path.display()))
    }

    /// Gives it back; what has gone wrong since the last word, if anything has.
    pub(crate) fn release(&mut self, path: &Path) -> String {
        self.0.ask(&format!("release {}", path.display()))
    }

    /// What has gone wrong since the last word, if anything has.
    pub(crate) fn report(&mut self) -> String {
        self.0.ask("report")
    }
}
