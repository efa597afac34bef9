//! The sweep: lock directories, before the command and after its tree, while the lock is held; and
//! the lock file of git, which is only named.
//!
//! Owns `Monitor::lock_dirs`. If the monitor is killed nothing is swept: its guard cannot know what
//! was there before the run. What is left then goes at the start of a later run, when it is stale.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::AT_FDCWD;

use super::Monitor;
use crate::config::plan::{Identity, RunPlan};
use crate::core::event::{Event, Watched};
use crate::core::note::Note;
use crate::lock::sweep::listed::Listed;
use crate::run::waiter::Waiter;
use crate::sys::statx::stamp;
use crate::sys::{clock, poll};

/// How long the look for git's lock may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// The lock directories of a run of `plan`; `None`: none are listed.
pub(super) fn listed(plan: &RunPlan) -> Option<Listed> {
    let identity = match &plan.identity {
        Some(Identity::Folder(folder)) => Some(folder.as_path()),
        Some(Identity::Env(_)) | None => None,
    };
    Some(Listed::new(plan.kind.sweep()?, identity))
}

impl Monitor<'_> {
    pub(super) fn look_at_lock_dirs(&mut self) {
        let (claims, run_id) = (&self.setup.claims, self.setup.run_id);
        let alone = || claims.nobody_else(run_id);
        let dirs = self.lock_dirs.as_mut();
        let notes = dirs.map(|dirs| dirs.look(&alone));
        self.note_all(notes.into_iter().flatten());
    }

    pub(super) fn sweep(&mut self) -> Event {
        let (claims, run_id) = (&self.setup.claims, self.setup.run_id);
        let alone = || claims.nobody_else(run_id);
        let mut notes = Vec::new();
        let dirs = self.lock_dirs.as_mut();
        let doubtful = dirs.is_some_and(|dirs| dirs.sweep(&alone, &mut notes));
        self.note_all(notes);
        Event::Swept { doubtful }
    }

    pub(super) fn read_signs(&mut self) {
        let mut notes = Vec::new();
        let dirs = self.lock_dirs.as_mut();
        let doubtful = dirs.is_some_and(|dirs| dirs.read_signs(&mut notes));
        self.note_all(notes);
        self.step(Event::Swept { doubtful });
    }

    pub(super) fn end_watch(&mut self, watched: Watched) {
        let mut notes = Vec::new();
        if let Some(dirs) = &mut self.lock_dirs {
            dirs.end_watch(watched, &mut notes);
        }
        self.note_all(notes);
    }

    /// A git that was killed leaves `index.lock`, and each later one refuses to work. Looked for in a
    /// thread: what has just been ended may have hung with the file system of its folder.
    pub(super) fn name_git_lock(&mut self) {
        let Some(dir) = self.setup.plan.dir.clone() else {
            return;
        };
        let found = Arc::new(OnceLock::new());
        let tell = Arc::clone(&found);
        let look = move || {
            let _ = tell.set(git_lock(&dir));
            Ok(())
        };
        let Ok(look) = Waiter::start(Box::new(look)) else {
            return;
        };
        let [looked] = poll::wait([Some(look.as_fd())], Some(clock::now() + PATIENCE));
        self.at_git = (!looked).then_some(look);
        if let Some(Some(path)) = found.get() {
            let path = path.clone();
            self.setup.journal.note(Note::GitLockLeft { path });
        }
    }
}

/// The lock file of git's index for the working copy at `dir`, if it is there: one system call, but
/// for working trees, whose `.git` is a file that names the folder (gitrepository-layout(5)).
fn git_lock(dir: &Path) -> Option<PathBuf> {
    let git = dir.join(".git");
    let is_there = |path: &PathBuf| stamp(AT_FDCWD, path);
    let lock = git.join("index.lock");
    match is_there(&lock) {
        Ok(_) => return Some(lock),
        Err(Errno::ENOTDIR) => {}
        Err(_) => return None,
    }
    // Not to hang on a FIFO.
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(&git)
        .ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = Vec::new();
    file.take(8192).read_to_end(&mut text).ok()?;
    let folder = text.strip_prefix(b"gitdir: ")?.trim_ascii_end();
    // A relative one counts from where the file lies.
    let lock = dir
        .join(std::ffi::OsStr::from_bytes(folder))
        .join("index.lock");
    is_there(&lock).is_ok().then_some(lock)
}

#[cfg(test)]
mod tests {
    use std::fs::{create_dir_all, write};

    use super::*;
    use crate::lock::scratch::Scratch;

    #[test]
    fn gits_lock_is_found_in_a_repository_and_in_a_working_tree_beside_it() {
        let dir = Scratch::new();
        let (whole, tree) = (dir.join("whole"), dir.join("tree"));
        let theirs = whole.join(".git/worktrees/tree");
        create_dir_all(&theirs).unwrap();
        create_dir_all(&tree).unwrap();
        for text in ["gitdir: ../whole/.git/worktrees/tree\n", "gitdir: WHOLE"] {
            let text = text.replace("WHOLE", theirs.to_str().unwrap());
            write(tree.join(".git"), text).unwrap();
            assert_eq!((git_lock(&whole), git_lock(&tree)), (None, None));
            write(theirs.join("index.lock"), "").unwrap();
            let found = git_lock(&tree).unwrap();
            assert_eq!(found.canonicalize().unwrap(), theirs.join("index.lock"));
            std::fs::remove_file(theirs.join("index.lock")).unwrap();
        }
        write(whole.join(".git/index.lock"), "").unwrap();
        assert_eq!(git_lock(&whole), Some(whole.join(".git/index.lock")));
        assert_eq!(git_lock(&tree), None);
        // Neither hangs on nor believes what is no such file.
        write(tree.join(".git"), "what\n").unwrap();
        assert_eq!(git_lock(&tree), None);
        assert_eq!(git_lock(&dir), None);
        std::fs::remove_file(tree.join(".git")).unwrap();
        nix::unistd::mkfifo(&tree.join(".git"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(git_lock(&tree), None);
    }
}
