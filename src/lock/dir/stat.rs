//! What stat(2) says of the files of a lock: what a thing is, and whether it is still the same.

use nix::sys::stat::{FileStat, SFlag};

/// Which file a record was read from, and which writing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: i64,
    modified: (i64, i64),
}

pub(super) fn is_regular(stat: &FileStat) -> bool {
    kind(stat).is_none()
}

/// What a thing is that is no regular file.
pub(super) fn kind(stat: &FileStat) -> Option<&'static str> {
    match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFREG => None,
        SFlag::S_IFLNK => Some("a symbolic link"),
        SFlag::S_IFDIR => Some("a folder"),
        SFlag::S_IFIFO => Some("a FIFO"),
        SFlag::S_IFSOCK => Some("a socket"),
        _ => Some("a device"),
    }
}

#[expect(
    clippy::useless_conversion,
    reason = "the widths of these numbers differ between architectures"
)]
pub(super) fn identity(stat: &FileStat) -> (u64, u64) {
    (u64::from(stat.st_dev), u64::from(stat.st_ino))
}

#[expect(
    clippy::useless_conversion,
    reason = "the widths of these numbers differ between architectures"
)]
pub(super) fn stamp(stat: &FileStat) -> Stamp {
    let (device, inode) = identity(stat);
    Stamp {
        device,
        inode,
        size: i64::from(stat.st_size),
        modified: (i64::from(stat.st_mtime), i64::from(stat.st_mtime_nsec)),
    }
}
