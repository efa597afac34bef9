//! A folder of its own for each test, gone when the test is over.

use std::fs;
use std::io::ErrorKind;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("lockkeeper-lock-{}-{number}", std::process::id());
            let folder = folder_of_the_machine().join(name);
            match fs::create_dir(&folder) {
                Ok(()) => return Self(folder),
                // Of a process with our number: of one that was killed, or of one that lives in another
                // PID namespace.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => panic!("{}: {error}", folder.display()),
            }
        }
    }
}

/// Not a longer one than leaves room for the name of a socket, which has 108 bytes (unix(7)).
fn folder_of_the_machine() -> PathBuf {
    let folder = std::env::temp_dir();
    if folder.as_os_str().len() > 64 {
        return PathBuf::from("/tmp");
    }
    folder
}

impl Deref for Scratch {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
