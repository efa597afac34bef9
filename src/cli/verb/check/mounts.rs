//! The mounts as `check` asks about them: which one a folder lies on, and whether `/` is a
//! container's.

use std::path::{Path, PathBuf};

use crate::lock::mountinfo::{self, Mount};
use crate::lock::placement::{is_container_root, read_table};
use crate::sys::statx::mount_id;

/// The table of mounts, read once.
#[derive(Debug)]
pub(super) struct Mounts {
    table: Vec<u8>,
}

/// Where a folder lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It is itself a mount.
    Mount,
    /// It lies inside this mount, which is not that of `/`.
    Inside(PathBuf),
    /// It lies on the mount of `/`.
    Root,
    /// The table does not say.
    Unknown,
}

impl Mounts {
    /// Reads the table; unreadable, it says nothing.
    pub(super) fn read() -> Self {
        let table = read_table().unwrap_or_default();
        Self { table }
    }

    /// The file system type of `/`, where `/` is one that an engine makes for a container.
    pub(super) fn container_root(&self) -> Option<String> {
        let root = self.of(Path::new("/"))?;
        is_container_root(&root).then_some(root.kind)
    }

    /// Where `folder`, which exists, lies.
    pub(super) fn place(&self, folder: &Path) -> Place {
        let Ok(real) = std::fs::canonicalize(folder) else {
            return Place::Unknown;
        };
        match self.of(&real).map(|mount| mount.point) {
            None => Place::Unknown,
            Some(point) if point == real => Place::Mount,
            Some(point) if point == Path::new("/") => Place::Root,
            Some(point) => Place::Inside(point),
        }
    }

    /// The mounts right inside `folder`, which has no links in it.
    pub(super) fn inside(&self, folder: &Path) -> Vec<PathBuf> {
        mountinfo::mounts(&self.table)
            .map(|mount| mount.point)
            .filter(|point| point.parent() == Some(folder))
            .collect()
    }

    /// Whether something is mounted at this very path.
    pub(super) fn is_mount(&self, path: &Path) -> bool {
        mountinfo::mounts(&self.table).any(|mount| mount.point == path)
    }

    /// Whether /proc was mounted with this option.
    pub(super) fn proc_has(&self, option: &str) -> bool {
        let proc = mountinfo::mounts(&self.table).filter(|it| it.point == Path::new("/proc"));
        proc.last().is_some_and(|mount| mount.has_option(option))
    }

    fn of(&self, real: &Path) -> Option<Mount> {
        match mount_id(real, true).ok().flatten() {
            Some(id) => mountinfo::by_id(&self.table, id),
            None => mountinfo::covering(&self.table, real),
        }
    }
}
