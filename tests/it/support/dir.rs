//! A folder of a test's own, gone with it.

use std::io::ErrorKind;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::{env, fs, process};

use nix::sys::stat::{Mode, umask};

/// The name of a socket has 108 bytes (unix(7)), and a line of what is told 80 columns: a longer path of
/// the machine's own folder for such things leaves too little of them.
const LONGEST: usize = 40;

/// A fresh empty folder that anybody may enter; removed when dropped. Reads as a `Path`.
pub(crate) struct Dir(PathBuf);

impl Dir {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // What a test makes is read by other users, too, whatever the mask of who starts the tests.
        umask(Mode::from_bits_truncate(0o022));
        let above = env::temp_dir().canonicalize().expect("a temporary folder");
        let above = if above.as_os_str().len() > LONGEST {
            PathBuf::from("/tmp")
        } else {
            above
        };
        loop {
            let number = NEXT.fetch_add(1, Relaxed);
            let path = above.join(format!("lockkeeper-{}-{number}", process::id()));
            match fs::create_dir(&path) {
                Ok(()) => return Self(path),
                // Of a process with our number: of one that was killed, or of one that lives in another
                // PID namespace.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => panic!("no room at {}: {error}", path.display()),
            }
        }
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
