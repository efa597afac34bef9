//! statmount(2): what `/proc/self/mountinfo` says of one mount, without the others.
//!
//! The kernel prints a line for every mount into that file, at a microsecond each, and a machine
//! with containers has hundreds.

use nix::errno::Errno;

/// `statmount(2)`: the same number on every architecture that has it.
const SYS_STATMOUNT: libc::c_long = 457;

/// What is asked for: all of it came by Linux 6.13 (`linux/mount.h`).
const SB_BASIC: u64 = 0x01;
const MNT_BASIC: u64 = 0x02;
const MNT_ROOT: u64 = 0x08;
const MNT_POINT: u64 = 0x10;
const FS_TYPE: u64 = 0x20;
const MNT_OPTS: u64 = 0x80;
const FS_SUBTYPE: u64 = 0x100;
const SB_SOURCE: u64 = 0x200;

/// Longer paths and options are left to the table.
const ROOM: usize = 2048;

/// `struct mnt_id_req` in its first version.
#[repr(C)]
struct Request {
    size: u32,
    spare: u32,
    id: u64,
    wanted: u64,
}

/// `struct statmount`: the fields up to those that are read here, and the texts behind it. A number
/// that stands for a text is its place among the texts.
#[repr(C)]
struct Answer {
    size: u32,
    options: u32,
    mask: u64,
    major: u32,
    minor: u32,
    magic: u64,
    flags: u32,
    kind: u32,
    id: u64,
    parent: u64,
    old_id: u32,
    old_parent: u32,
    attributes: u64,
    propagation: u64,
    peer_group: u64,
    master: u64,
    propagate_from: u64,
    root: u32,
    point: u32,
    namespace: u64,
    subtype: u32,
    source: u32,
    rest: [u64; 48],
    texts: [u8; ROOM],
}

const _: () = assert!(std::mem::offset_of!(Answer, texts) == 512);

/// One mount; the texts are plain, without the escapes of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The device's numbers.
    pub device: (u32, u32),
    /// Which folder of the file system it shows.
    pub root: Vec<u8>,
    /// Where it is mounted.
    pub point: Vec<u8>,
    /// Whether mounts come into it from a peer group outside.
    pub is_slave: bool,
    /// The type of the file system.
    pub kind: Vec<u8>,
    /// The type below it, as FUSE has them; empty where there is none.
    pub subtype: Vec<u8>,
    /// What was mounted.
    pub source: Vec<u8>,
    /// The file system's own options.
    pub options: Vec<u8>,
}

/// Asks about the mount that [`super::statx::unique_mount_id`] numbers so. `None`: the kernel does not
/// know the call, forbids it here, does not tell everything, or has longer texts than there is room.
pub fn ask(id: u64) -> Option<Facts> {
    const ALWAYS: u64 = SB_BASIC | MNT_BASIC | MNT_ROOT | MNT_POINT | FS_TYPE | SB_SOURCE;
    let request = Request {
        size: 24,
        spare: 0,
        id,
        wanted: ALWAYS | MNT_OPTS | FS_SUBTYPE,
    };
    let mut answer = std::mem::MaybeUninit::<Answer>::zeroed();
    // SAFETY: the request is valid for the size that it names, the answer for writing its own, and all
    // zeros and any bytes are valid values of it.
    let answer = unsafe {
        let done = libc::syscall(
            SYS_STATMOUNT,
            &raw const request,
            answer.as_mut_ptr(),
            size_of::<Answer>(),
            0,
        );
        Errno::result(done).ok()?;
        answer.assume_init()
    };
    // A text that is empty is not in the mask; who knows of sources knows of subtypes and options.
    if answer.mask & ALWAYS != ALWAYS {
        return None;
    }
    let text = |of: u64, at: u32| {
        if answer.mask & of == 0 {
            return Some(Vec::new());
        }
        let rest = answer.texts.get(usize::try_from(at).ok()?..)?;
        rest.split(|byte| *byte == 0).next().map(<[u8]>::to_vec)
    };
    Some(Facts {
        device: (answer.major, answer.minor),
        root: text(MNT_ROOT, answer.root)?,
        point: text(MNT_POINT, answer.point)?,
        is_slave: answer.master != 0,
        kind: text(FS_TYPE, answer.kind)?,
        subtype: text(FS_SUBTYPE, answer.subtype)?,
        source: text(SB_SOURCE, answer.source)?,
        options: text(MNT_OPTS, answer.options)?,
    })
}
