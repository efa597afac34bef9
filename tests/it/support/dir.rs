//! A folder of a test's own, gone with it.

use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::{env, fs, process};

/// A fresh empty folder that anybody may enter; removed when dropped. Reads as a `Path`.
pub(crate) struct Dir(PathBuf);

impl Dir {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "lockkeeper-{}-{}",
            process::id(),
            NEXT.fetch_add(1, Relaxed)
        );
        let path = env::temp_dir()
            .canonicalize()
            .expect("a temporary folder")
            .join(name);
        // Of an earlier process with our number that was killed.
        drop(fs::remove_dir_all(&path));
        fs::create_dir(&path).expect("room for a temporary folder");
        Self(path)
    }
}

impl Deref for Dir {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl AsRef<Path> for Dir {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}
