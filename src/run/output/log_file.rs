//! The file that a job's output goes to: appended to in whole lines, by both streams and by other runs
//! of the job; set aside as JOB.log.1, .2 and so on when it is full.
//!
//! Invariants: nothing is ever truncated, and nothing that was written is written over; the oldest file
//! alone is lost, when a newer one takes its name. A file that somebody else has moved away is not
//! followed: the next line begins a new one. Who sets it aside holds flock(2) on it meanwhile, so that two
//! runs do not do it one after the other.
//!
//! What agents print is for their owner, and whoever else may write in the folder can have put something
//! in the file's place: what is no file of ours alone (a link, a second name, another's file) is refused,
//! and other users lose the right to read it. A group keeps it: that is given by us or by root alone, as
//! logrotate's `create 0640 root adm` does.
//!
//! Each write asks the file system anew, so one that is full, read-only or gone is used again when it is
//! well again.

use std::fs::{self, DirBuilder, File, Metadata, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use fs2::FileExt;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::Mode;
use nix::unistd::geteuid;

use crate::config::plan::OutputPlan;

/// A line that is still going on at twice the size, and here at the least, is torn by a new file: what
/// draws its progress with carriage returns has no line's end at all.
const TEARS: u64 = 1024 * 1024;

/// What users that are neither its owner nor of its group may do with it.
const OTHERS: u32 = 0o007;

const NO_FILE: &str = "it is no regular file: move it away";

#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    /// From how many bytes on it is set aside.
    size: u64,
    /// How many that were are kept.
    keep: u64,
    file: Option<File>,
    /// The stream whose line has no end yet.
    open_line: Option<&'static str>,
}

impl LogFile {
    /// Opens nothing yet: a file system that hangs holds up only who writes.
    pub(super) fn new(job: &str, plan: &OutputPlan) -> Self {
        Self {
            path: plan.path(job),
            size: plan.log_size,
            keep: plan.log_files,
            file: None,
            open_line: None,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends `batch`, which ends a line or, if not, goes on in the same stream's next one. On failure
    /// says how much of it was written.
    pub(super) fn append(
        &mut self,
        stream: &'static str,
        batch: &[u8],
    ) -> Result<(), (io::Error, usize)> {
        self.ready(batch.len()).map_err(|error| (error, 0))?;
        let Some(mut file) = self.file.as_ref() else {
            return Ok(());
        };
        if self.open_line.is_some_and(|open| open != stream) {
            file.write_all(b"\n").map_err(|error| (error, 0))?;
            self.open_line = None;
        }
        let mut done = 0;
        while let Some(rest) = batch.get(done..).filter(|rest| !rest.is_empty()) {
            let error = match file.write(rest) {
                Ok(0) => io::ErrorKind::WriteZero.into(),
                Ok(length) => {
                    let ended = rest.get(..length).is_some_and(|done| done.ends_with(b"\n"));
                    self.open_line = (!ended).then_some(stream);
                    done += length;
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => error,
            };
            return Err((error, done));
        }
        Ok(())
    }

    /// Ends a line that the stream has left without an end.
    pub(super) fn end(&mut self, stream: &'static str) {
        if self.open_line == Some(stream)
            && let Some(mut file) = self.file.as_ref()
        {
            let _ = file.write_all(b"\n");
            self.open_line = None;
        }
    }

    /// Has the file of that name open, with room for so many bytes.
    fn ready(&mut self, more: usize) -> io::Result<()> {
        let here = self.file.as_ref().map(File::metadata).transpose()?;
        let there = fs::symlink_metadata(&self.path).ok();
        let size = match (&here, &there) {
            (Some(here), Some(there)) if is_same(here, there) => there.len(),
            _ => self.open()?,
        };
        let is_full = size > 0 && size.saturating_add(more as u64) > self.size;
        let has_no_end = size > self.size.saturating_mul(2).max(TEARS);
        if is_full && (self.open_line.is_none() || has_no_end) {
            self.set_aside()?;
        }
        Ok(())
    }

    /// Opens it, made where it is missing; returns its size.
    fn open(&mut self) -> io::Result<u64> {
        self.file = None;
        self.open_line = None;
        if let Some(folder) = self.path.parent() {
            DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(folder)?;
        }
        let file = self.open_at().map_err(in_words)?;
        let metadata = file.metadata()?;
        if let Some(why) = not_ours(&metadata) {
            return Err(io::Error::other(why));
        }
        let mode = metadata.mode();
        if mode & OTHERS != 0 {
            file.set_permissions(Permissions::from_mode(mode & 0o7777 & !OTHERS))?;
        }
        self.file = Some(file);
        Ok(metadata.len())
    }

    /// Follows no link in the folder's place or the file's, and waits for no reader of a FIFO.
    fn open_at(&self) -> nix::Result<File> {
        let folder = self.path.parent().unwrap_or(Path::new("/"));
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let folder = open(folder, flags, Mode::empty())?;
        let name = self.path.file_name().unwrap_or_default();
        let flags = OFlag::O_WRONLY
            | OFlag::O_APPEND
            | OFlag::O_CREAT
            | OFlag::O_NOFOLLOW
            | OFlag::O_NONBLOCK
            | OFlag::O_NOCTTY
            | OFlag::O_CLOEXEC;
        let owner = Mode::S_IRUSR | Mode::S_IWUSR;
        openat(&folder, name, flags, owner).map(File::from)
    }

    /// Gives it the name of an old one, and begins a new one. Where another run is at it, or the names
    /// cannot be changed, the file grows on.
    fn set_aside(&mut self) -> io::Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        if file.try_lock_exclusive().is_err() {
            return Ok(());
        }
        // Another run may have done it before we had the lock.
        let is_ours = match (file.metadata(), fs::symlink_metadata(&self.path)) {
            (Ok(here), Ok(there)) => is_same(&here, &there),
            _ => false,
        };
        let moved = !is_ours || {
            for number in (1..self.keep).rev() {
                let _ = fs::rename(self.old(number), self.old(number + 1));
            }
            fs::rename(&self.path, self.old(1)).is_ok()
        };
        let _ = FileExt::unlock(file);
        if moved {
            self.open()?;
        }
        Ok(())
    }

    fn old(&self, number: u64) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        name.into()
    }
}

/// Why a regular file of ours alone is not what stands there.
fn not_ours(there: &Metadata) -> Option<String> {
    if !there.is_file() {
        return Some(NO_FILE.to_owned());
    }
    let own = geteuid().as_raw();
    if there.uid() != own {
        return Some(format!(
            "it belongs to user {}, who could read what agents print, and not to us, user {own}: move \
             it away, and have what makes it (logrotate's `create`) leave its owner as it is",
            there.uid()
        ));
    }
    (there.nlink() > 1).then(|| {
        "it has a second name (a hard link), so it may be another file than it seems: remove it"
            .to_owned()
    })
}

/// What the error numbers of opening it mean here.
fn in_words(errno: Errno) -> io::Error {
    let words = match errno {
        Errno::ELOOP => "it is a symbolic link, which could lead anywhere: remove it",
        Errno::ENOTDIR => {
            "its folder is none, or a symbolic link, which could lead anywhere: write the folder's own \
             path in log_dir"
        }
        Errno::ENXIO | Errno::EISDIR => NO_FILE,
        _ => return errno.into(),
    };
    io::Error::other(words)
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(test)]
mod tests;
