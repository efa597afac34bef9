//! Who can change what a path leads to. Root runs nothing that somebody else can put in its place: a
//! folder in an image's PATH is often the agent's own.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf, absolute};

/// Enough for every path that the kernel follows.
const MOST_STEPS: usize = 1024;
const WRITABLE_BY_GROUP: u32 = 0o020;
const WRITABLE_BY_ALL: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// The first thing on the way to `path`, through all links, that somebody but root can change; also what
/// cannot be looked at.
pub(super) fn changeable(path: &Path) -> Option<PathBuf> {
    let mut ahead = Vec::new();
    let mut at = PathBuf::new();
    push(&absolute(path).unwrap_or_default(), &mut ahead);
    for _ in 0..MOST_STEPS {
        // What is pushed onto a path and is absolute takes its place.
        match ahead.pop() {
            None => return None,
            Some(name) if name == ".." => drop(at.pop()),
            Some(name) => at.push(name),
        }
        let Ok(meta) = at.symlink_metadata() else {
            break;
        };
        let (mode, is_link) = (meta.mode(), meta.is_symlink());
        // What is root's in a sticky folder nobody else can move (inode(7)).
        let is_kept = meta.is_dir() && mode & STICKY != 0 && !ahead.is_empty();
        let by_group = mode & WRITABLE_BY_GROUP != 0 && meta.gid() != 0;
        let by_others = !is_link && !is_kept && (by_group || mode & WRITABLE_BY_ALL != 0);
        if meta.uid() != 0 || by_others {
            break;
        }
        if is_link {
            let Ok(target) = at.read_link() else { break };
            at.pop();
            push(&target, &mut ahead);
        }
    }
    Some(at)
}

fn push(path: &Path, ahead: &mut Vec<OsString>) {
    let names = path.components().rev();
    ahead.extend(names.map(|name| name.as_os_str().to_owned()));
}
