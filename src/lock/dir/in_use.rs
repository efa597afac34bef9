//! Who works in a directory: live processes whose working directory lies inside, and how far we see.
//!
//! Information for people, never a reason to take or to remove a lock. One pass over /proc: for each
//! process its working directory, as a path and as device and inode. A process of another mount
//! namespace may have another folder at the same path, and this one at another: there device and
//! inode decide, also of the folders above; a container that has but a part of it is not recognised.
//! No file server is asked (`AT_STATX_DONT_SYNC`, statx(2)).

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use super::record::Plain;
use crate::core::order;
use crate::lock::record::Origin;
use crate::sys::{proc, process, statx};

/// The inode number of the first PID namespace, which sees every other (`PROC_PID_INIT_INO`,
/// `include/linux/proc_ns.h`).
const FIRST_PID_NS: u64 = 0xEFFF_FFFC;
/// How many are named in a message.
const NAMED: usize = 5;
/// How far up a path of another mount namespace is followed.
const DEEPEST: usize = 64;

/// Who works in a directory. Displayed, it is a sentence, empty words included: nobody is said too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InUse {
    /// Those whose working directory lies inside, by number; not we ourselves.
    pub inside: Vec<Worker>,
    /// How many processes could not be looked at, as they are other users'.
    pub unseen: usize,
    /// How far that reaches.
    pub reach: Reach,
}

/// A process that works in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// Its number here.
    pub pid: i32,
    /// Its name, of at most 15 bytes (`proc_pid_comm(5)`), as it gave it itself.
    pub name: String,
}

/// Whose processes we see at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reach {
    /// All of this machine.
    Machine,
    /// Those of our PID namespace and below, and not those beside it.
    Container,
    /// Only our own: /proc hides others (`hidepid`, proc(5)).
    Own,
    /// None: /proc is that of another PID namespace, or not there.
    #[default]
    Nothing,
}

/// The directory that is asked about.
struct Place {
    path: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
    /// Our mount namespace, in which `path` means it.
    mounts: PathBuf,
}

/// Looks who works in `dir`.
///
/// # Errors
/// `dir` cannot be resolved.
pub fn look(dir: &Path) -> io::Result<InUse> {
    let path = fs::canonicalize(dir)?;
    let dir = Place {
        identity: statx::identity(&path)?,
        path,
        mounts: fs::read_link("/proc/self/ns/mnt").unwrap_or_default(),
    };
    let mut found = InUse {
        reach: reach(),
        ..InUse::default()
    };
    if found.reach == Reach::Nothing {
        return Ok(found);
    }
    let own = process::own_pid();
    for pid in proc::all().filter(|pid| *pid != own) {
        match works_inside(pid, &dir) {
            Ok(true) => found.inside.push(Worker {
                pid,
                name: proc::name(pid).unwrap_or_default(),
            }),
            Ok(false) => {}
            Err(error) => {
                let forbidden = error.kind() == io::ErrorKind::PermissionDenied;
                found.unseen += usize::from(forbidden && works_at_all(pid, found.reach));
            }
        }
    }
    order::sort_by_key(&mut found.inside, |worker| worker.pid);
    Ok(found)
}

/// Whose processes we see at all.
pub fn reach() -> Reach {
    let first = Some(FIRST_PID_NS);
    match Origin::read().pid_ns {
        _ if !proc::is_ours() => Reach::Nothing,
        _ if proc::stat(1).is_none() => Reach::Own,
        namespace if namespace == first => Reach::Machine,
        _ => Reach::Container,
    }
}

/// Whether the working directory of `pid` is `dir` or lies below. An error: it is gone, or we may
/// not look.
fn works_inside(pid: i32, dir: &Place) -> io::Result<bool> {
    let link = PathBuf::from(format!("/proc/{pid}/cwd"));
    let told = fs::read_link(&link)?;
    let theirs = statx::identity(&link)?;
    if theirs == dir.identity {
        return Ok(true);
    }
    // A removed folder keeps its path, with this behind (`proc_pid_cwd(5)`); which mount namespace
    // it was in is not to be known.
    let removed = told.as_os_str().as_bytes().strip_suffix(b" (deleted)");
    if let Some(former) = removed {
        return Ok(Path::new(OsStr::from_bytes(former)).starts_with(&dir.path));
    }
    if told.starts_with(&dir.path) && statx::identity(&told).is_ok_and(|ours| ours == theirs) {
        return Ok(true);
    }
    // The same folder has another path in a container: up from there, as long as it is one and the
    // same file system.
    let elsewhere = fs::read_link(format!("/proc/{pid}/ns/mnt"))? != dir.mounts;
    Ok(elsewhere && is_above(dir.identity, link, theirs))
}

/// Whether the folder `wanted` is one of those above `path`, which is the folder `here`.
fn is_above(wanted: (u64, u64), mut path: PathBuf, mut here: (u64, u64)) -> bool {
    for _ in 0..DEEPEST {
        path.push("..");
        match statx::identity(&path) {
            Ok(above) if above == wanted => return true,
            Ok(above) if above != here && above.0 == wanted.0 => here = above,
            _ => return false,
        }
    }
    false
}

/// Whether `pid` could have a working directory: a zombie has none any more, and the kernel's own
/// threads, children of process 2 where the first namespace is ours, work nowhere.
fn works_at_all(pid: i32, reach: Reach) -> bool {
    const KTHREADD: i32 = 2;
    proc::stat(pid).is_some_and(|stat| {
        let kernels = reach == Reach::Machine && (pid == KTHREADD || stat.parent == KTHREADD);
        !matches!(stat.state, b'Z' | b'X') && !kernels
    })
}

impl fmt::Display for InUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.reach == Reach::Nothing {
            return f.write_str("who works inside cannot be seen: /proc is not that of here");
        }
        match self.inside.len() {
            0 => f.write_str("no process works inside")?,
            1 => f.write_str("1 process works inside: ")?,
            count => write!(f, "{count} processes work inside: ")?,
        }
        for (number, worker) in self.inside.iter().take(NAMED).enumerate() {
            let comma = if number == 0 { "" } else { ", " };
            write!(f, "{comma}{} ({})", worker.pid, Plain(&worker.name))?;
        }
        if let Some(more @ 1..) = self.inside.len().checked_sub(NAMED) {
            write!(f, " and {more} more")?;
        }
        match self.unseen {
            0 => {}
            1 => f.write_str("; 1 process of another user could not be looked at")?,
            count => write!(
                f,
                "; {count} processes of other users could not be looked at"
            )?,
        }
        match self.reach {
            Reach::Own => f.write_str("; those of other users are hidden from here"),
            Reach::Container => f.write_str("; other containers cannot be seen from here"),
            Reach::Machine | Reach::Nothing => Ok(()),
        }
    }
}
