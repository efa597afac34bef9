//! The queue of a lock, as the kernel shows it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// How many wait in the kernel for a lock on this file (`proc_locks(5)`: `->`).
pub(crate) fn waiters(file: &Path) -> usize {
    let inode = format!(":{} ", fs::metadata(file).expect("the lock's file").ino());
    let locks = fs::read_to_string("/proc/locks").expect("/proc/locks");
    locks
        .lines()
        .filter(|line| line.contains("->") && line.contains(&inode))
        .count()
}
