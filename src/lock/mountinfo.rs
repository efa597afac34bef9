//! The kernel's table of mounts, `/proc/self/mountinfo` (`proc_pid_mountinfo(5)`).
//!
//! Pure: text in, facts out, so that lines recorded on other machines are tests. Only the lines that
//! are asked for are taken apart; a host may have hundreds.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use crate::sys::statmount;

/// One mount.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Its number, as statx(2) tells it: the short one of the table, or the unique one where the
    /// kernel was asked.
    pub id: u64,
    /// The device, `major:minor`: which file system it shows.
    pub device: String,
    /// Which folder (or file) of that file system it shows.
    pub root: PathBuf,
    /// Where it is mounted.
    pub point: PathBuf,
    /// Whether mounts come into it from a peer group outside (`master:N`).
    pub is_slave: bool,
    /// The type of the file system, with its subtype: `ext4`, `fuse.bindfs`.
    pub kind: String,
    /// What was mounted: a device, `server:/path`, or a word.
    pub source: String,
    /// The file system's own options, divided by commas.
    pub options: String,
}

impl Mount {
    /// Takes one line apart. `None`: it is none.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|&byte| byte == b' ');
        let id = text(fields.next()?).parse().ok()?;
        let _parent = fields.next()?;
        let device = text(fields.next()?);
        let root = path(fields.next()?);
        let point = path(fields.next()?);
        let _mount_options = fields.next()?;
        let tags = fields.by_ref().take_while(|field| *field != b"-");
        let is_slave = tags.filter(|tag| tag.starts_with(b"master:")).count() > 0;
        Some(Self {
            id,
            device,
            root,
            point,
            is_slave,
            kind: text(fields.next()?),
            source: text(fields.next()?),
            options: text(fields.next().unwrap_or_default()),
        })
    }

    /// Asks the kernel about one mount, by its unique number, which becomes its id here. `None`: it
    /// must be looked up in the table.
    pub fn ask(id: u64) -> Option<Self> {
        let facts = statmount::ask(id)?;
        let lossy = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
        let mut kind = lossy(&facts.kind);
        if !facts.subtype.is_empty() {
            kind.push('.');
            kind.push_str(&lossy(&facts.subtype));
        }
        let (major, minor) = facts.device;
        Some(Self {
            id,
            device: format!("{major}:{minor}"),
            root: OsString::from_vec(facts.root).into(),
            point: OsString::from_vec(facts.point).into(),
            is_slave: facts.is_slave,
            kind,
            source: lossy(&facts.source),
            options: lossy(&facts.options),
        })
    }

    /// Whether the file system has this very option: `nolock`, `local_lock=all`.
    pub fn has_option(&self, option: &str) -> bool {
        self.options.split(',').any(|one| one == option)
    }
}

/// All mounts of a table, in its order: a later one may lie over an earlier one.
pub fn mounts(table: &[u8]) -> impl Iterator<Item = Mount> + '_ {
    table.split(|&byte| byte == b'\n').filter_map(Mount::parse)
}

/// The mount with this number.
pub fn by_id(table: &[u8], id: u64) -> Option<Mount> {
    let start = format!("{id} ");
    let mut lines = table.split(|&byte| byte == b'\n');
    lines
        .find(|line| line.starts_with(start.as_bytes()))
        .and_then(Mount::parse)
}

/// The mount that `real_path` lies on, judged by names alone, for kernels that do not number it: the
/// deepest mount point above it, and of those at one place the last. The path must have no links.
pub fn covering(table: &[u8], real_path: &Path) -> Option<Mount> {
    mounts(table)
        .filter(|mount| real_path.starts_with(&mount.point))
        .max_by_key(|mount| mount.point.components().count())
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(&unescape(field)).into_owned()
}

fn path(field: &[u8]) -> PathBuf {
    OsString::from_vec(unescape(field)).into()
}

/// Blank, tab, newline, backslash and `#` stand in the table as a backslash and three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let octal = after
            .first_chunk()
            .copied()
            .filter(|_| byte == b'\\')
            .and_then(octal);
        plain.push(octal.unwrap_or(byte));
        let used = if octal.is_some() { 3 } else { 0 };
        rest = after.get(used..).unwrap_or_default();
    }
    plain
}

fn octal(digits: [u8; 3]) -> Option<u8> {
    let text = std::str::from_utf8(&digits).ok()?;
    u8::from_str_radix(text, 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"22 27 0:21 / /proc rw,relatime - proc proc rw\n\
        27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,discard\n\
        31 27 0:30 /a\\040b /home/x\\134y ro,noatime shared:4 master:7 - fuse.bindfs /s\\011t rw,nolock\n\
        32 27 0:31 / /home rw - tmpfs none rw\n\
        33 27 0:32 / /home rw - xfs none rw\n";

    #[test]
    fn a_line_is_taken_apart_with_its_escapes_and_optional_fields() {
        let mount = by_id(TABLE, 31).unwrap();
        assert_eq!(mount.root, Path::new("/a b"));
        assert_eq!(mount.point, Path::new("/home/x\\y"));
        assert_eq!(
            (mount.kind.as_str(), mount.device.as_str()),
            ("fuse.bindfs", "0:30")
        );
        assert_eq!(mount.source, "/s\tt");
        assert!(mount.is_slave && mount.has_option("nolock") && !mount.has_option("lock"));
        assert!(!by_id(TABLE, 27).unwrap().is_slave);
        assert_eq!(mounts(TABLE).count(), 5);
    }

    #[test]
    fn a_number_is_compared_whole() {
        assert_eq!(by_id(TABLE, 2), None);
        assert_eq!(by_id(TABLE, 7), None);
    }

    #[test]
    fn the_deepest_and_last_mount_covers_a_path() {
        let covers = |path| covering(TABLE, Path::new(path)).unwrap().id;
        assert_eq!(covers("/proc/self"), 22);
        assert_eq!(covers("/processes"), 27);
        assert_eq!(covers("/home/agent"), 33);
    }

    #[test]
    fn rubbish_is_no_mount() {
        for line in [
            "",
            "x",
            "22 27 0:21 / /proc rw",
            "22 27 0:21 / /proc rw - proc",
            "a b c d e f - g h i",
        ] {
            assert_eq!(Mount::parse(line.as_bytes()), None, "{line}");
        }
        assert_eq!(unescape(b"a\\04"), b"a\\04");
        assert_eq!(unescape(b"\\999\\"), b"\\999\\");
    }
}
