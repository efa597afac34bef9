//! Control groups: where this process stands among those that it can see, and the one of a run
//! ([`group`]).

pub mod group;

use std::fs;
use std::path::{Path, PathBuf};

use crate::lock::mountinfo::{Mount, mounts};

/// Which tree of groups is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hierarchy {
    /// That of cgroup v2.
    Unified,
    /// The one that counts memory: that of the first version where it is mounted so.
    WithMemory,
}

/// A group, and the top of what can be seen of its tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Own {
    /// Its folder.
    pub folder: PathBuf,
    /// Where the tree is mounted.
    pub top: PathBuf,
}

impl Own {
    /// The folders of the group and of those above it, up to the top.
    pub fn upwards(self) -> impl Iterator<Item = PathBuf> {
        let Self { folder, top } = self;
        let next = move |folder: &PathBuf| {
            let above = folder.parent()?;
            (*folder != top).then(|| above.to_owned())
        };
        std::iter::successors(Some(folder), next)
    }
}

/// The group that we are in; `None`: its tree is not mounted here.
pub fn own(hierarchy: Hierarchy) -> Option<Own> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let table = fs::read("/proc/self/mountinfo").ok()?;
    find(hierarchy, &groups, &table)
}

/// From the lines of `/proc/self/cgroup` (cgroups(7)) and of the table of mounts.
fn find(hierarchy: Hierarchy, groups: &str, table: &[u8]) -> Option<Own> {
    let unified = || {
        let mount = mounts(table)
            .filter(|mount| mount.kind == "cgroup2")
            .last()?;
        let group = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
        Some(place(&mount, group))
    };
    let first = || {
        let is_memory = |mount: &Mount| mount.kind == "cgroup" && mount.has_option("memory");
        let mount = mounts(table).filter(is_memory).last()?;
        let group = groups.lines().find_map(|line| {
            let (_, line) = line.split_once(':')?;
            let (controllers, group) = line.split_once(':')?;
            controllers
                .split(',')
                .any(|one| one == "memory")
                .then_some(group)
        })?;
        Some(place(&mount, group))
    };
    match hierarchy {
        Hierarchy::Unified => unified(),
        Hierarchy::WithMemory => first().or_else(unified),
    }
}

/// Where a group is shown by a mount that may show a part of the tree alone. A group outside of what
/// is shown (`/../…`) is the top of it, as near as we come.
fn place(mount: &Mount, group: &str) -> Own {
    let below = Path::new(group).strip_prefix(&mount.root);
    let below = below.ok().filter(|below| !below.starts_with(".."));
    let folder = below.map_or_else(|| mount.point.clone(), |below| mount.point.join(below));
    Own {
        // Without the slash at the end that joining nothing leaves.
        folder: folder.components().collect(),
        top: mount.point.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    fn found(hierarchy: Hierarchy, groups: &str, table: &str) -> Option<(String, String)> {
        let own = find(hierarchy, groups, table.as_bytes())?;
        let text = |path: PathBuf| path.into_os_string().into_string().unwrap();
        Some((text(own.folder), text(own.top)))
    }

    fn is(folder: &str, top: &str) -> (String, String) {
        (folder.to_owned(), top.to_owned())
    }

    #[test]
    fn both_trees_of_a_machine_that_has_both() {
        let groups = "4:memory:/agents/one\n1:cpu:/\n0::/init.scope\n";
        let memory = "/sys/fs/cgroup/memory";
        assert_eq!(
            found(Hierarchy::WithMemory, groups, HYBRID),
            Some(is("/sys/fs/cgroup/memory/agents/one", memory))
        );
        let unified = "/sys/fs/cgroup/unified";
        assert_eq!(
            found(Hierarchy::Unified, groups, HYBRID),
            Some(is("/sys/fs/cgroup/unified/init.scope", unified))
        );
    }

    #[test]
    fn a_container_sees_a_part_of_the_tree_at_its_own_top() {
        // Docker, the first version, without a namespace for groups.
        let groups = "3:cpu,memory:/docker/abc\n";
        let table = "9 1 0:3 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,cpu,memory\n";
        let top = "/sys/fs/cgroup/memory";
        assert_eq!(
            found(Hierarchy::WithMemory, groups, table),
            Some(is(top, top))
        );
        // The second version, with a namespace.
        let table = "9 1 0:3 / /sys/fs/cgroup ro - cgroup2 cgroup rw,nsdelegate\n";
        for groups in ["0::/\n", "0::/../other\n"] {
            for hierarchy in [Hierarchy::WithMemory, Hierarchy::Unified] {
                let top = "/sys/fs/cgroup";
                assert_eq!(found(hierarchy, groups, table), Some(is(top, top)));
            }
        }
        assert_eq!(found(Hierarchy::Unified, "1:cpu:/\n", table), None);
        assert_eq!(found(Hierarchy::WithMemory, "0::/\n", ""), None);
    }

    #[test]
    fn upwards_ends_at_the_top() {
        let own = Own {
            folder: "/c/a/b".into(),
            top: "/c".into(),
        };
        let all: Vec<_> = own.upwards().collect();
        assert_eq!(all, ["/c/a/b", "/c/a", "/c"].map(PathBuf::from));
    }
}
