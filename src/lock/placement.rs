//! Whether a lock lies where other containers see it.
//!
//! The classic mistake is a lock on the container's own root: every container locks a copy of its
//! own, and nobody is excluded. [`judge`] is pure: the table of mounts and three mount numbers in,
//! a verdict out. [`check`] reads those. ([`super::probe`] shows by experiment whether flock(2)
//! excludes at all.)
//!
//! # What is judged by
//! The mount that the lock's folder lies on (statx(2) numbers it, so that links and binds need no
//! guess), beside the mount of `/`:
//!
//! - **We are in a container** if `/` itself says so: an overlay, or the layer of a storage driver
//!   (a 64-digit name in its root or source). Not the PID namespace: `--pid=host` leaves the initial
//!   one to a container whose lock is as private as any. Not variables or marker files: virtual
//!   machines have them, too. The price: a live system on an overlay counts as a container, and
//!   `shared_mount = "off"` is its way out.
//! - **A tmpfs was made in the container** if we are in one and the mount shows a whole tmpfs. A
//!   folder of the host's tmpfs shows a part of it and passes. A *whole* tmpfs of the host, or an
//!   emptyDir in memory, looks just like one made here, unless mounts still come in from outside
//!   (`master:N`); it is refused with words that say so, as the other mistake would exclude nobody.
//! - On bare metal, `/tmp` and `/run/lock` are what every program on the machine sees: accepted,
//!   and said at the level of information.
//!
//! What no container can know: whether the *others* mount the same folder. And where the file
//! system answers for another kernel (FUSE, virtiofs, 9p), [`Verdict::is_unsure`] says so, and holders
//! look for each other ([`super::rivals`]).

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::fault::{Quoted, folder_of};
use super::mountinfo::{self, Mount};
use crate::config::plan::SharedMount;
use crate::sys::statx::{mount_id, unique_mount_id};

/// What is to be said about a place that is accepted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// What the user should know.
    pub remarks: Vec<Remark>,
    /// Whether only a second holder could show that this lock excludes nobody.
    pub is_unsure: bool,
}

/// One thing to say about the place of a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark {
    /// How loud.
    pub severity: Severity,
    /// What it is, and what to do.
    pub text: String,
}

/// How loud a remark is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// As it should be on this machine; worth a line when somebody asks.
    Info,
    /// It may exclude fewer than is hoped for.
    Warning,
}

/// A lock that lies where it would exclude nobody, or where nobody can tell and the policy asks.
/// Displayed, it is one sentence that names the mount to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The lock file.
    pub lock: PathBuf,
    /// What is wrong with its place.
    pub reason: Reason,
    /// What to do.
    pub remedy: Remedy,
}

/// What is wrong with the place of a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It lies on the container's own root, which is of this type.
    ContainerRoot(String),
    /// It lies on a tmpfs, mounted here, that the container has for itself.
    ContainerTmpfs(PathBuf),
    /// It lies on the mount of `/`, and the policy is `require`.
    RootMount,
    /// It lies on a whole tmpfs, mounted here, and the policy is `require`.
    WholeTmpfs(PathBuf),
    /// The mounts cannot be read, and the policy is `require`.
    CannotTell,
}

/// How a lock comes to lie where the others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// A folder is mounted already: the lock belongs into it, at this path.
    MoveInto(PathBuf),
    /// Mount a folder of the host at `mount`, and let the lock lie at `lock`.
    Mount {
        /// Where.
        mount: PathBuf,
        /// The lock in it.
        lock: PathBuf,
    },
}

/// The mounts that a lock has to do with, as statx(2) numbers them; `None`: not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// The mount of `/`.
    pub root: Option<u64>,
    /// The mount of the lock's folder.
    pub folder: Option<u64>,
    /// The mount of the lock file itself, if it exists: another one where the file is bind-mounted.
    pub file: Option<u64>,
}

/// Reads where `lock` lies, and judges it. With [`SharedMount::Off`] nothing is even read.
///
/// A folder that is missing or closed to us passes: opening the lock tells that better.
///
/// # Errors
/// The lock lies where the policy does not allow it.
pub fn check(lock: &Path, policy: SharedMount) -> Result<Verdict, Refusal> {
    if policy == SharedMount::Off {
        return Ok(Verdict::default());
    }
    if let Some(answer) = judge_asked(lock, policy) {
        let refusal = |reason| refusal(lock, reason, &read_table().unwrap_or_default());
        return answer.map_err(refusal);
    }
    let folder = folder_of(lock);
    let folder_id = match mount_id(folder, true) {
        Err(Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES | Errno::ELOOP) => {
            return Ok(Verdict::default());
        }
        answer => answer.ok().flatten(),
    };
    let table = read_table().unwrap_or_default();
    let numbers = Numbers {
        root: mount_id(Path::new("/"), true).ok().flatten(),
        folder: folder_id,
        file: mount_id(lock, false).ok().flatten(),
    };
    if numbers.root.is_some() && numbers.folder.is_some() {
        judge(lock, &table, numbers, policy)
    } else {
        judge(lock, &table, numbers_by_name(lock, &table), policy)
    }
}

/// Whether `lock` lies where a lock that somebody holds may look free.
pub fn is_unsure(lock: &Path) -> bool {
    check(lock, SharedMount::Auto).is_ok_and(|verdict| verdict.is_unsure)
}

/// Judges by what the kernel says of the two mounts in question, which saves printing and reading all
/// of them: this is on the path of every batch run. `None`: it does not say enough.
fn judge_asked(lock: &Path, policy: SharedMount) -> Option<Result<Verdict, Reason>> {
    let id = |path: &Path, follow| unique_mount_id(path, follow).ok().flatten();
    let (root, folder) = (id(Path::new("/"), true)?, id(folder_of(lock), true)?);
    let place = id(lock, false).unwrap_or(folder);
    let root = Mount::ask(root)?;
    let is_file_mount = place != folder;
    let place = if place == root.id {
        root.clone()
    } else {
        Mount::ask(place)?
    };
    Some(judge_mounts(lock, &root, &place, is_file_mount, policy))
}

/// With room for most tables at once, as this is on the path of every batch run. Cut off where a
/// machine has more mounts than anybody could mean: what is not found is said as such.
pub fn read_table() -> io::Result<Vec<u8>> {
    const ROOM: usize = 16 * 1024;
    const LIMIT: u64 = 16 * 1024 * 1024;
    let mut table = Vec::with_capacity(ROOM);
    let file = File::open("/proc/self/mountinfo")?;
    file.take(LIMIT).read_to_end(&mut table)?;
    Ok(table)
}

/// For kernels that do not number the mount of a path.
fn numbers_by_name(lock: &Path, table: &[u8]) -> Numbers {
    let id = |path: &Path| mountinfo::covering(table, path).map(|mount| mount.id);
    let real = std::fs::canonicalize(folder_of(lock)).ok();
    let file = real.as_deref().zip(lock.file_name());
    Numbers {
        root: id(Path::new("/")),
        folder: real.as_deref().and_then(id),
        file: file.and_then(|(folder, name)| id(&folder.join(name))),
    }
}

/// Judges the place of `lock` by the text of `/proc/self/mountinfo` and the numbers of its mounts.
///
/// # Errors
/// The lock lies where the policy does not allow it.
pub fn judge(
    lock: &Path,
    table: &[u8],
    numbers: Numbers,
    policy: SharedMount,
) -> Result<Verdict, Refusal> {
    if policy == SharedMount::Off {
        return Ok(Verdict::default());
    }
    let is_file_mount = numbers.file.is_some() && numbers.file != numbers.folder;
    let place = if is_file_mount {
        numbers.file
    } else {
        numbers.folder
    };
    let find = |id: Option<u64>| id.and_then(|id| mountinfo::by_id(table, id));
    let judged = match (find(numbers.root), find(place)) {
        (Some(root), Some(place)) => judge_mounts(lock, &root, &place, is_file_mount, policy),
        _ if policy == SharedMount::Require => Err(Reason::CannotTell),
        _ => Ok(Verdict {
            remarks: vec![warning(
                lock,
                "its mount cannot be read from /proc/self/mountinfo, so nobody can tell whether other containers see it; mount /proc",
            )],
            is_unsure: false,
        }),
    };
    judged.map_err(|reason| refusal(lock, reason, table))
}

fn refusal(lock: &Path, reason: Reason, table: &[u8]) -> Refusal {
    Refusal {
        lock: lock.to_owned(),
        reason,
        remedy: remedy(lock, table),
    }
}

fn judge_mounts(
    lock: &Path,
    root: &Mount,
    place: &Mount,
    is_file_mount: bool,
    policy: SharedMount,
) -> Result<Verdict, Reason> {
    let strict = policy == SharedMount::Require;
    let in_container = is_container_root(root);
    if place.id == root.id || (place.kind == "overlay" && place.device == root.device) {
        return match (in_container, strict) {
            (true, _) => Err(Reason::ContainerRoot(root.kind.clone())),
            (false, true) => Err(Reason::RootMount),
            (false, false) => Ok(private_to_this_machine(lock, "the root file system")),
        };
    }
    if is_whole_tmpfs(place) {
        return match (in_container, strict) {
            (true, _) => Err(Reason::ContainerTmpfs(place.point.clone())),
            (false, true) => Err(Reason::WholeTmpfs(place.point.clone())),
            (false, false) => Ok(private_to_this_machine(lock, "a tmpfs")),
        };
    }
    Ok(remarks_on(lock, place, is_file_mount))
}

fn private_to_this_machine(lock: &Path, what: &str) -> Verdict {
    let text = format!(
        "the lock {} lies on {what}: private to this machine; containers share it only if its \
         folder is mounted into each",
        Quoted(lock)
    );
    let remark = Remark {
        severity: Severity::Info,
        text,
    };
    Verdict {
        remarks: vec![remark],
        is_unsure: false,
    }
}

/// What there is to say about a mount of its own.
fn remarks_on(lock: &Path, place: &Mount, is_file_mount: bool) -> Verdict {
    let mut remarks = Vec::new();
    let mut warn = |text: &str| remarks.push(warning(lock, text));
    if is_file_mount {
        warn(
            "the file itself is bind-mounted: replaced on the host, it would be another file for \
             each container, and claims cannot lie beside it; mount its folder instead",
        );
    }
    if is_anonymous_volume(&place.root) {
        warn(
            "it lies on an anonymous volume, which each container has for itself; mount a folder \
             of the host, or a volume with a name",
        );
    }
    if has_component(&place.root, |name| name == "kubernetes.io~empty-dir") {
        warn(
            "it lies on an emptyDir, which only the containers of this pod share; use a \
             persistent volume for several pods",
        );
    }
    if is_tmpfs(place) && place.root == Path::new("/") {
        warn("it lies on a tmpfs from outside; see that every container mounts the same one");
    }
    let local_locks = |options: &[&str]| options.iter().any(|option| place.has_option(option));
    let mut is_unsure = false;
    match place.kind.as_str() {
        "nfs" | "nfs4" if local_locks(&["local_lock=flock", "local_lock=all", "nolock"]) => warn(
            "it lies on NFS whose mount options keep locks on this machine; drop local_lock and \
             nolock where other machines take part",
        ),
        "cifs" | "smb3" if local_locks(&["nobrl", "nolock"]) => warn(
            "it lies on an SMB share whose mount options keep locks on this machine; drop nobrl \
             and nolock where other machines take part",
        ),
        "nfs" | "nfs4" | "cifs" | "smb3" => {}
        "fakeowner" | "fuse.fakeowner" => {
            is_unsure = true;
            warn(
                "it lies on a folder that Docker Desktop shares with its machine, where two \
                 containers can hold one lock; put it on a named volume",
            );
        }
        kind if is_local(kind) => {}
        kind => {
            is_unsure = true;
            let what = format!(
                "it lies on a file system of type {kind:?}, where nobody can tell from here \
                 whether a lock excludes other containers; a local folder or a named volume is safe"
            );
            warn(&what);
        }
    }
    Verdict { remarks, is_unsure }
}

fn warning(lock: &Path, text: &str) -> Remark {
    Remark {
        severity: Severity::Warning,
        text: format!("the lock {} may not exclude all: {text}", Quoted(lock)),
    }
}

/// File systems of one kernel, where flock(2) belongs to the inode for every container.
fn is_local(kind: &str) -> bool {
    const LOCAL: &[&str] = &[
        "bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "ramfs", "tmpfs",
        "xfs", "zfs",
    ];
    LOCAL.contains(&kind)
}

fn is_tmpfs(mount: &Mount) -> bool {
    matches!(mount.kind.as_str(), "tmpfs" | "ramfs")
}

/// Not a part of the host's, nor one that comes from there (see above).
fn is_whole_tmpfs(mount: &Mount) -> bool {
    is_tmpfs(mount) && mount.root == Path::new("/") && !mount.is_slave
}

/// Whether `/` is what an engine makes for one container: an overlay, or a layer of the drivers
/// vfs, btrfs and zfs, which engines name by 64 hexadecimal digits.
pub fn is_container_root(root: &Mount) -> bool {
    matches!(
        root.kind.as_str(),
        "overlay" | "aufs" | "fuse.fuse-overlayfs"
    ) || has_component(&root.root, |name| {
        is_hex64(name) || name.starts_with("io.containerd.snapshotter")
    }) || has_component(Path::new(&root.source), is_hex64)
}

/// `…/volumes/<64 digits>/_data`, in Docker and podman.
fn is_anonymous_volume(root: &Path) -> bool {
    root.ends_with("_data")
        && root
            .parent()
            .and_then(Path::file_name)
            .and_then(|name| name.to_str())
            .is_some_and(is_hex64)
}

fn has_component(path: &Path, wanted: impl Fn(&str) -> bool) -> bool {
    path.iter().filter_map(|part| part.to_str()).any(wanted)
}

fn is_hex64(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The best place nearby: a folder that is mounted already and has the lock's name before its
/// suffix; else a mount to add.
fn remedy(lock: &Path, table: &[u8]) -> Remedy {
    const FILE: &str = "session.lock";
    let beside = lock.with_extension("");
    let is_beside = lock.extension().is_some_and(|suffix| suffix == "lock");
    let mounted = |mount: Mount| mount.point == beside && !is_whole_tmpfs(&mount);
    if is_beside && mountinfo::mounts(table).any(mounted) {
        return Remedy::MoveInto(beside.join(FILE));
    }
    let folder = folder_of(lock);
    // `.claude.lock` is the lock of the folder `.claude`, as agents name it.
    let hidden = beside.file_name().and_then(|name| name.to_str());
    if is_beside && hidden.is_some_and(|name| name.starts_with('.')) {
        let lock = beside.join(FILE);
        return Remedy::Mount {
            mount: beside,
            lock,
        };
    }
    if is_system_folder(folder) {
        let mount = PathBuf::from("/locks");
        let lock = mount.join(lock.file_name().unwrap_or_else(|| FILE.as_ref()));
        return Remedy::Mount { mount, lock };
    }
    Remedy::Mount {
        mount: folder.to_owned(),
        lock: lock.to_owned(),
    }
}

/// Folders over which nobody should mount another.
fn is_system_folder(folder: &Path) -> bool {
    const SYSTEM: &[&str] = &["/dev", "/etc", "/run", "/tmp", "/usr", "/var"];
    folder.components().count() <= 2 || SYSTEM.iter().any(|system| folder.starts_with(system))
}

impl std::error::Error for Refusal {}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the lock {} ", Quoted(&self.lock))?;
        match &self.reason {
            Reason::ContainerRoot(kind) => write!(
                f,
                "lies on the container's own {kind}: every container locks a copy of its own, and \
                 nobody is excluded"
            )?,
            Reason::ContainerTmpfs(point) => write!(
                f,
                "lies on a tmpfs at {} that was made in this container: every container locks a \
                 copy of its own, and nobody is excluded (if it is a tmpfs of the host, mount a \
                 folder of it, or say shared_mount = \"off\")",
                Quoted(point)
            )?,
            Reason::RootMount => f.write_str(
                "lies on the root file system, and shared_mount = \"require\" asks for a mount of \
                 its own",
            )?,
            Reason::WholeTmpfs(point) => write!(
                f,
                "lies on the tmpfs at {}, and shared_mount = \"require\" asks for a mount that \
                 others share",
                Quoted(point)
            )?,
            Reason::CannotTell => f.write_str(
                "cannot be judged, as its mount cannot be read from /proc/self/mountinfo, and \
                 shared_mount = \"require\" asks for it; mount /proc, and see that it",
            )?,
        }
        match (&self.reason, &self.remedy) {
            (Reason::CannotTell, Remedy::MoveInto(lock) | Remedy::Mount { lock, .. }) => {
                write!(f, " lies in a mounted folder, as {}", Quoted(lock))
            }
            (_, Remedy::MoveInto(lock)) => {
                write!(f, "; put it inside the mounted folder, {}", Quoted(lock))
            }
            (_, Remedy::Mount { mount, lock }) if *lock == self.lock => write!(
                f,
                "; put it into a folder that every container mounts, or mount its own: \
                 -v HOST_FOLDER:{}",
                mount.display()
            ),
            (_, Remedy::Mount { mount, lock }) => write!(
                f,
                "; mount a folder of the host into every container, -v HOST_FOLDER:{}, and put the \
                 lock inside it, {}",
                mount.display(),
                Quoted(lock)
            ),
        }
    }
}

#[cfg(test)]
mod tests;
