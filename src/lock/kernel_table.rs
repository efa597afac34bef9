//! The kernel's own table of locks, `/proc/locks` (`proc_locks(5)`): which processes hold flock(2) locks.
//!
//! It shows those of our PID namespace, by the process that took each, which may have ended since while
//! a copy of its descriptor lives on; and it names a device as the kernel does, which on btrfs and
//! overlays is another one than stat(2) tells. So what it says counts, and what it does not say does
//! not.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// A machine with more locks than fit is read in part.
const LIMIT: u64 = 4 * 1024 * 1024;

/// The processes that took the lock on `file` alone (`LOCK_EX`) and hold it still.
pub fn holders(file: &Path) -> Vec<i32> {
    let Ok(meta) = std::fs::symlink_metadata(file) else {
        return Vec::new();
    };
    let mut table = Vec::new();
    let read = File::open("/proc/locks").and_then(|file| file.take(LIMIT).read_to_end(&mut table));
    if read.is_err() {
        return Vec::new();
    }
    let dev = meta.dev();
    let place = format!(
        "{:02x}:{:02x}:{}",
        libc::major(dev),
        libc::minor(dev),
        meta.ino()
    );
    let table = String::from_utf8_lossy(&table);
    table
        .lines()
        .filter_map(|line| holder(line, &place))
        .collect()
}

/// `1: FLOCK  ADVISORY  WRITE 4711 fe:00:1234 0 EOF`; who waits has `->` in the second place.
fn holder(line: &str, place: &str) -> Option<i32> {
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
        assert_eq!(holders(&path), [0; 0]);
        FileExt::lock_shared(&file).unwrap();
        assert_eq!(holders(&path), [0; 0]);
        FileExt::lock_exclusive(&file).unwrap();
        // Some file systems have another device in the table.
        let own = i32::try_from(std::process::id()).unwrap();
        assert!([vec![own], vec![]].contains(&holders(&path)));
        FileExt::unlock(&file).unwrap();
        assert_eq!(holders(&path), [0; 0]);
    }

    #[test]
    fn a_line_of_the_table_is_taken_apart() {
        let at = "fe:00:99";
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
