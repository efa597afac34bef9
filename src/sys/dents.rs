//! What lies in a directory, as the kernel lists it: names with their types, many in one call.
//!
//! std's `read_dir` hides the descriptor that openat(2) needs, and allocates for each name.

use std::ffi::CStr;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use nix::errno::Errno;

/// Where `d_type` and `d_name` lie in `linux_dirent64` (getdents(2)).
const TYPE_AT: usize = 18;
const NAME_AT: usize = 19;

/// Room for what one call lists; the kernel's own callers use as much.
#[derive(Debug)]
pub struct Buffer {
    /// Of 64-bit words, as `linux_dirent64` wants to be aligned.
    words: Box<[u64]>,
    filled: usize,
}

/// What an entry is, by `d_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// The file system does not say (`DT_UNKNOWN`): ask statx(2).
    Unknown,
    /// Anything else.
    Other,
}

/// One entry; never `.` or `..`.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Its name in the directory.
    pub name: &'a CStr,
    /// What it is.
    pub kind: Kind,
}

impl Buffer {
    /// Room for `bytes`, at least for some names of the longest kind.
    pub fn new(bytes: usize) -> Self {
        Self {
            words: vec![0; bytes.max(4096) / 8].into_boxed_slice(),
            filled: 0,
        }
    }

    /// Lists what follows in `dir`; `false`: nothing does.
    ///
    /// # Errors
    /// What getdents(2) says; `ENOENT` where the directory was removed.
    pub fn fill(&mut self, dir: BorrowedFd<'_>) -> Result<bool, Errno> {
        self.filled = 0;
        let room = self.words.len() * 8;
        // SAFETY: the words are valid for writing `room` bytes during the call.
        let got = unsafe {
            libc::syscall(
                libc::SYS_getdents64,
                dir.as_raw_fd(),
                self.words.as_mut_ptr(),
                room,
            )
        };
        self.filled = usize::try_from(Errno::result(got)?).unwrap_or(0).min(room);
        Ok(self.filled > 0)
    }

    /// What the last call listed.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        // SAFETY: `filled` bytes at most as many as the words have, all initialised, borrowed from
        // `self`; any bit pattern is a byte.
        let mut rest =
            unsafe { std::slice::from_raw_parts(self.words.as_ptr().cast::<u8>(), self.filled) };
        std::iter::from_fn(move || {
            loop {
                let (entry, length) = entry(rest)?;
                rest = rest.get(length..)?;
                if !matches!(entry.name.to_bytes(), b"." | b"..") {
                    return Some(entry);
                }
            }
        })
    }
}

/// The first entry, and how many bytes it takes.
fn entry(bytes: &[u8]) -> Option<(Entry<'_>, usize)> {
    let length = bytes.get(16..TYPE_AT)?.try_into().ok()?;
    let length = usize::from(u16::from_ne_bytes(length));
    let name = CStr::from_bytes_until_nul(bytes.get(NAME_AT..length)?).ok()?;
    let kind = match *bytes.get(TYPE_AT)? {
        libc::DT_DIR => Kind::Directory,
        libc::DT_LNK => Kind::Link,
        libc::DT_UNKNOWN => Kind::Unknown,
        _ => Kind::Other,
    };
    Some((Entry { name, kind }, length))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs::{self, File};
    use std::os::fd::AsFd as _;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::lock::scratch::Scratch;

    #[test]
    fn every_entry_is_listed_once_with_its_type_in_as_many_calls_as_it_takes() {
        let dir = Scratch::new();
        for number in 0..300 {
            fs::write(dir.join(format!("{number:0200}")), "").unwrap();
        }
        fs::create_dir(dir.join("folder")).unwrap();
        symlink("folder", dir.join("link")).unwrap();
        let odd = std::ffi::OsStr::from_bytes(b"\xff\n");
        fs::write(dir.join(odd), "").unwrap();
        let open = File::open(&*dir).unwrap();
        let (mut buffer, mut seen, mut calls) = (Buffer::new(0), BTreeMap::new(), 0);
        while buffer.fill(open.as_fd()).unwrap() {
            calls += 1;
            for entry in buffer.entries() {
                assert_eq!(seen.insert(entry.name.to_owned(), entry.kind), None);
            }
        }
        assert!(calls > 1);
        assert_eq!(seen.len(), 303);
        assert_eq!(seen[c"folder"], Kind::Directory);
        assert_eq!(seen[c"link"], Kind::Link);
        assert_eq!(seen[c"\xff\n"], Kind::Other);
    }

    #[test]
    fn bytes_that_are_no_entries_end_the_list() {
        assert!(entry(&[]).is_none());
        assert!(entry(&[0; 24]).is_none());
        assert!(entry(&[0xff; 24]).is_none());
    }
}
