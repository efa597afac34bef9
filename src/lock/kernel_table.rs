//! The kernel's own table of locks, `/proc/locks` (`proc_locks(5)`): which processes hold flock(2) locks.
//!
//! It shows those of our PID namespace, by the process that took each, which may have ended since while
//! a copy of its descriptor lives on; and it names a device as the kernel does, which on btrfs and
//! overlays is another one than stat(2) tells. So what it says counts, and what it does not say does
//! not.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::errno::Errno;

use crate::sys::process;

/// A machine with more locks than fit is read in part.
const LIMIT: u64 = 4 * 1024 * 1024;

/// A file, as the kernel names it where it speaks of locks.
#[derive(Debug)]
pub struct Place(String);

impl Place {
    /// `None`: there is no such file.
    pub fn of(file: &Path) -> Option<Self> {
        let meta = fs::symlink_metadata(file).ok()?;
        let dev = meta.dev();
        let (major, minor) = (libc::major(dev), libc::minor(dev));
        Some(Self(format!("{major:02x}:{minor:02x}:{}", meta.ino())))
    }
}

/// The processes that took the lock on `file` alone (`LOCK_EX`) and hold it still.
pub fn holders(file: &Place) -> Vec<i32> {
    let mut table = Vec::new();
    let read = File::open("/proc/locks").and_then(|file| file.take(LIMIT).read_to_end(&mut table));
    if read.is_err() {
        return Vec::new();
    }
    let table = String::from_utf8_lossy(&table);
    let all = table.lines().filter_map(|line| holder(line, file));
    // One of another PID namespace has none, or is not there at all.
    all.filter(|pid| *pid > 0).collect()
}

/// Whether a descriptor of `pid` has the lock on `file` alone, whoever took it (`proc_pid_fdinfo(5)`,
/// `lock`). No more than `room` are looked at, which become fewer. `None`: we may not see all of them.
pub fn has(pid: i32, file: &Place, room: &mut usize) -> Option<bool> {
    let Ok(all) = fs::read_dir(format!("/proc/{pid}/fdinfo")) else {
        // It has gone, or we may not look, or /proc hides it (`hidepid`).
        return (process::kill(pid, 0) == Err(Errno::ESRCH)).then_some(false);
    };
    for descriptor in all {
        *room = room.checked_sub(1)?;
        // Locks stand before what may be long.
        let mut text = [0; 1024];
        let read = File::open(descriptor.ok()?.path()).and_then(|mut file| file.read(&mut text));
        let text = match read {
            Ok(length) => String::from_utf8_lossy(text.get(..length)?),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(_) => return None,
        };
        let mut locks = text.lines().filter_map(|line| line.strip_prefix("lock:"));
        if locks.any(|line| holder(line, file).is_some()) {
            return Some(true);
        }
    }
    Some(false)
}

/// `1: FLOCK  ADVISORY  WRITE 4711 fe:00:1234 0 EOF`; who waits has `->` in the second place.
fn holder(line: &str, Place(place): &Place) -> Option<i32> {
    let mut words = line.split_ascii_whitespace().skip(1);
    let kind = [words.next()?, words.next()?, words.next()?];
    let (pid, at) = (words.next()?, words.next()?);
    (kind == ["FLOCK", "ADVISORY", "WRITE"] && at == place)
        .then(|| pid.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use fs2::FileExt;

    use super::super::scratch::Scratch;
    use super::*;

    #[test]
    fn who_holds_a_lock_alone_is_named_and_nobody_else() {
        let dir = Scratch::new();
        let path = dir.join("lock");
        let file = File::create(&path).unwrap();
        let place = Place::of(&path).unwrap();
        assert_eq!(holders(&place), [0; 0]);
        FileExt::lock_shared(&file).unwrap();
        assert_eq!(holders(&place), [0; 0]);
        FileExt::lock_exclusive(&file).unwrap();
        // Some file systems have another device in the table.
        let own = i32::try_from(std::process::id()).unwrap();
        let found = holders(&place);
        assert!([vec![own], vec![]].contains(&found));
        assert_eq!(has(own, &place, &mut 100), Some(!found.is_empty()));
        assert_eq!(has(own, &place, &mut 0), None);
        FileExt::unlock(&file).unwrap();
        assert_eq!(has(own, &place, &mut 100), Some(false));
        assert_eq!(holders(&place), [0; 0]);
    }

    #[test]
    fn a_line_of_the_table_is_taken_apart() {
        let at = &Place("fe:00:99".to_owned());
        let held = "7: FLOCK  ADVISORY  WRITE 4711 fe:00:99 0 EOF";
        assert_eq!(holder(held, at), Some(4711));
        for other in [
            "7: -> FLOCK  ADVISORY  WRITE 4711 fe:00:99 0 EOF",
            "7: FLOCK  ADVISORY  READ 4711 fe:00:99 0 EOF",
            "7: OFDLCK ADVISORY  WRITE -1 fe:00:99 0 EOF",
            "7: FLOCK  ADVISORY  WRITE 4711 fe:00:9 0 EOF",
            "7: FLOCK",
            "",
        ] {
            assert_eq!(holder(other, at), None, "{other}");
        }
    }
}
