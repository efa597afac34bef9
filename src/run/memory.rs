//! How much memory is free: on the machine, and in every control group above us, whose limit comes
//! sooner in a container.
//!
//! What the kernel can take back from its cache of files counts as free, as it does in `MemAvailable`;
//! else whoever has read large files would have none left for ever.

use std::fs;
use std::path::{Path, PathBuf};

use super::cgroup::{self, Hierarchy};

/// The least of what is free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Free {
    /// In bytes.
    pub bytes: u64,
    /// The control group that has no more; `None`: the machine.
    pub group: Option<PathBuf>,
}

/// What is free now; `None`: /proc cannot be read.
pub fn free() -> Option<Free> {
    let machine = fs::read_to_string("/proc/meminfo").ok()?;
    let machine = Free {
        bytes: available(&machine)?,
        group: None,
    };
    let groups = cgroup::own(Hierarchy::WithMemory)
        .into_iter()
        .flat_map(cgroup::Own::upwards);
    let groups = groups.filter_map(|folder| {
        let bytes = left_in(&folder)?;
        let group = Some(folder);
        Some(Free { bytes, group })
    });
    groups.chain([machine]).min_by_key(|free| free.bytes)
}

/// `MemAvailable` of /proc/meminfo, in bytes (`proc_meminfo(5)`).
fn available(text: &str) -> Option<u64> {
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let number = line?.trim().strip_suffix("kB")?.trim_end();
    number.parse::<u64>().ok()?.checked_mul(1024)
}

/// What is left of a group's limits; `None`: it has none (Linux, admin-guide/cgroup-v2 and
/// admin-guide/cgroup-v1/memory).
fn left_in(folder: &Path) -> Option<u64> {
    let read = |name: &str| fs::read_to_string(folder.join(name)).ok();
    let number = |name: &str| read(name)?.trim().parse::<u64>().ok();
    let (limit, used, cache) = if let Some(used) = number("memory.current") {
        let limits = ["memory.max", "memory.high"].into_iter().filter_map(number);
        (limits.min()?, used, "inactive_file")
    } else {
        let used = number("memory.usage_in_bytes")?;
        (
            number("memory.limit_in_bytes")?,
            used,
            "total_inactive_file",
        )
    };
    let cached = read("memory.stat").and_then(|stat| {
        let mut lines = stat.lines().filter_map(|line| line.split_once(' '));
        let (_, bytes) = lines.find(|(name, _)| *name == cache)?;
        bytes.trim().parse::<u64>().ok()
    });
    let used = used.saturating_sub(cached.unwrap_or_default());
    Some(limit.saturating_sub(used))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::scratch::Scratch;

    #[test]
    fn the_machine_has_what_the_kernel_calls_available() {
        let text = "MemTotal:       24684092 kB\nMemFree:  1 kB\nMemAvailable:   23089732 kB\n";
        assert_eq!(available(text), Some(23_089_732 * 1024));
        assert_eq!(available("MemFree: 1 kB\n"), None);
        assert!(free().unwrap().bytes > 0);
    }

    /// A folder with files as the kernel shows them.
    fn group(files: &[(&str, &str)]) -> Scratch {
        let group = Scratch::new();
        for (name, text) in files {
            fs::write(group.join(name), text).unwrap();
        }
        group
    }

    #[test]
    fn a_group_has_what_its_lower_limit_leaves_and_its_cache_of_files_is_free() {
        let v2 = |max: &str, high: &str| {
            group(&[
                ("memory.max", max),
                ("memory.high", high),
                ("memory.current", "3000\n"),
                (
                    "memory.stat",
                    "anon 1\nfile 9\ninactive_file 1000\nactive_file 5\n",
                ),
            ])
        };
        assert_eq!(left_in(&v2("5000\n", "max\n")), Some(3000));
        assert_eq!(left_in(&v2("5000\n", "4000\n")), Some(2000));
        assert_eq!(left_in(&v2("max\n", "max\n")), None);
        assert_eq!(left_in(&v2("1000\n", "max\n")), Some(0));
    }

    #[test]
    fn a_group_of_the_first_version_is_read_too() {
        let v1 = group(&[
            ("memory.limit_in_bytes", "5000\n"),
            ("memory.usage_in_bytes", "3000\n"),
            ("memory.stat", "inactive_file 7\ntotal_inactive_file 1000\n"),
        ]);
        assert_eq!(left_in(&v1), Some(3000));
    }

    #[test]
    fn a_folder_that_is_no_group_has_no_limit() {
        assert_eq!(left_in(&group(&[])), None);
        assert_eq!(left_in(Path::new("/nowhere")), None);
    }
}
