//! The file that a job's output goes to: appended to in whole lines, by both streams and by other runs
//! of the job; set aside as JOB.log.1, .2 and so on when it is full.
//!
//! Invariants: nothing is ever truncated, and nothing that was written is written over; the oldest file
//! alone is lost, when a newer one takes its name. A file that somebody else has moved away is not
//! followed: the next line begins a new one. Who sets it aside holds flock(2) on it meanwhile, so that two
//! runs do not do it one after the other.
//!
//! Each write asks the file system anew, so one that is full, read-only or gone is used again when it is
//! well again.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use fs2::FileExt;

use crate::config::plan::OutputPlan;

/// A line that is still going on at twice the size, and here at the least, is torn by a new file: what
/// draws its progress with carriage returns has no line's end at all.
const TEARS: u64 = 1024 * 1024;

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
        // What agents print is for their owner. Whoever may write in the folder must not send us
        // elsewhere by a link, nor have us wait for the reader of a FIFO.
        let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY;
        let mut options = OpenOptions::new();
        options
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(flags);
        let file = options.open(&self.path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        self.file = Some(file);
        Ok(metadata.len())
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

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(test)]
mod tests;
