//! The queue of a lock, as the kernel shows it.

use std::fs::{self, File};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// How many wait in the kernel for a lock on this file (`proc_locks(5)`: `->`).
pub(crate) fn waiters(file: &Path) -> usize {
    let place = place(file);
    let locks = fs::read_to_string("/proc/locks").expect("/proc/locks");
    locks
        .lines()
        .filter(|line| line.contains("->") && line.contains(&place))
        .count()
}

/// How the table names the file: by its number and by its device, as two file systems have the same
/// numbers. The device is the mount's (`proc_pid_mountinfo(5)`), which on btrfs is another one than
/// stat(2) tells.
fn place(file: &Path) -> String {
    let open = File::open(file).expect("the lock's file");
    let info = format!("/proc/self/fdinfo/{}", open.as_raw_fd());
    let info = fs::read_to_string(info).expect("/proc");
    let mount = info.lines().find_map(|line| line.strip_prefix("mnt_id:"));
    let mount = mount.expect("a mount").trim();
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("/proc");
    let device = mounts.lines().find_map(|line| {
        let mut words = line.split(' ');
        (words.next() == Some(mount)).then(|| words.nth(1))?
    });
    let (major, minor) = device
        .and_then(|device| device.split_once(':'))
        .expect("the mount is listed");
    let number = |text: &str| text.parse::<u32>().expect("a number");
    format!(
        " {:02x}:{:02x}:{} ",
        number(major),
        number(minor),
        open.metadata().expect("the lock's file").ino()
    )
}
