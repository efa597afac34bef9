//! Which folders cannot hold a working copy, and need not be looked into.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::super::mountinfo;

/// Folders that programs fill by themselves: stores of versions, what was built, what was fetched.
/// Nobody works in one, and they hold most of the files of a working copy.
pub const DEFAULT: &[&str] = &[
    ".cache",
    ".dolt-backup",
    ".dolt-data",
    ".git",
    ".gradle",
    ".hg",
    ".jj",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".svn",
    ".terraform",
    ".tox",
    ".venv",
    "__pycache__",
    "lost+found",
    "node_modules",
    "target",
    "vendor",
    "venv",
];

/// File systems that the kernel makes up: no agent works there, some have no end, and looking into
/// an automounter's folder mounts things.
const MADE_UP: &[&str] = &[
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "proc",
    "pstore",
    "securityfs",
    "sysfs",
    "tracefs",
];

/// What a walk does not look into.
#[derive(Debug, Default)]
pub struct Skip {
    names: Vec<OsString>,
    /// Where file systems of [`MADE_UP`] are mounted.
    places: Vec<PathBuf>,
}

impl Skip {
    /// The folders of [`DEFAULT`], if `usual`, and those that are called as in `more`; besides, what
    /// the kernel makes up.
    pub fn new(usual: bool, more: &[OsString]) -> Self {
        let usual = if usual { DEFAULT } else { &[] };
        let table = fs::read("/proc/self/mountinfo").unwrap_or_default();
        let made_up = |mount: &mountinfo::Mount| MADE_UP.contains(&mount.kind.as_str());
        Self {
            names: usual.iter().map(Into::into).chain(more.to_vec()).collect(),
            places: mountinfo::mounts(&table)
                .filter(made_up)
                .map(|mount| mount.point)
                .collect(),
        }
    }

    /// Whether a folder of this name is passed over, wherever it lies.
    pub(super) fn is_skipped(&self, name: &[u8]) -> bool {
        self.names.iter().any(|skipped| skipped.as_bytes() == name)
    }

    /// Forgets the places that do not lie below `root`, which most walks then need not compare.
    pub(super) fn below(&self, root: &Path) -> Vec<PathBuf> {
        let places = self.places.iter();
        let below = places.filter(|place| place.starts_with(root) && *place != root);
        below.cloned().collect()
    }
}

/// Whether `path` is one of `places`.
pub(super) fn is_place(places: &[PathBuf], path: &[u8]) -> bool {
    let path = OsStr::from_bytes(path);
    places.iter().any(|place| place.as_os_str() == path)
}
