//! Showing that we hold a lock, and looking who else does, where no kernel lock says so: through
//! another mount of a file system that cannot be judged, a held latch looks free.
//!
//! Who is alive is not decided here, and no clock is read: a touch sets the latch's time of change to
//! whatever the file system has for now, and a look takes it for a number.

use std::os::fd::AsFd;
use std::path::Path;

use nix::sys::stat::{FileStat, SFlag, fstatat, futimens};
use nix::sys::time::TimeSpec;

use super::claim::{NO_FOLLOW, Names};
use super::folders::open_existing;
use super::listing::MAX_ENTRIES;

/// Touches the latch of a claim of ours. A file system that does not let us has no rivals for us to
/// find either.
pub fn touch(latch: impl AsFd) {
    let _ = futimens(latch.as_fd(), &TimeSpec::UTIME_NOW, &TimeSpec::UTIME_NOW);
}

/// Each claim in `folder` but that of run `own`, with a number that is another one after a touch.
/// `None`: nothing could be seen.
pub fn look(folder: &Path, own: &str) -> Option<Vec<(String, i64)>> {
    let dir = open_existing(folder).ok()?;
    let entries = std::fs::read_dir(folder).ok()?;
    let mut seen = Vec::new();
    for entry in entries.flatten().take(MAX_ENTRIES) {
        let name = entry.file_name();
        let Some(names) = name.to_str().and_then(Names::of_file) else {
            continue;
        };
        if name != *names.latch || names.run_id == own {
            continue;
        }
        let stat = fstatat(&dir, names.latch.as_str(), NO_FOLLOW);
        if let Some(stamp) = stat.ok().and_then(|stat| stamp(&stat)) {
            seen.push((names.run_id, stamp));
        }
    }
    Some(seen)
}

/// The time of change of a regular file, in whatever units its file system has.
#[expect(
    clippy::useless_conversion,
    reason = "the width of a time differs between architectures"
)]
fn stamp(stat: &FileStat) -> Option<i64> {
    let kind = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT;
    let seconds = i64::from(stat.st_mtime).wrapping_mul(1_000_000_000);
    (kind == SFlag::S_IFREG).then_some(seconds.wrapping_add(i64::from(stat.st_mtime_nsec)))
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::super::scratch::Scratch;
    use super::*;

    #[test]
    fn a_touch_changes_the_number_and_a_look_does_not() {
        let dir = Scratch::new();
        let latch = File::create(dir.join("r1.latch")).unwrap();
        latch.set_modified(std::time::UNIX_EPOCH).unwrap();
        let before = look(&dir, "r2").unwrap();
        assert_eq!(before, [("r1".to_owned(), 0)]);
        assert_eq!(look(&dir, "r2").unwrap(), before);
        touch(&latch);
        assert_ne!(look(&dir, "r2").unwrap(), before);
    }

    #[test]
    fn only_latches_of_others_that_are_files_are_seen() {
        let dir = Scratch::new();
        for name in ["own.latch", "r1.json", ".r1.tmp", "notes", "..latch"] {
            File::create(dir.join(name)).unwrap();
        }
        std::fs::create_dir(dir.join("r3.latch")).unwrap();
        std::os::unix::fs::symlink("own.latch", dir.join("r4.latch")).unwrap();
        assert_eq!(look(&dir, "own"), Some(vec![]));
        assert_eq!(look(&dir.join("missing"), "own"), None);
    }
}
