//! Whether the owner of a directory lock's record lives, is dead, or cannot be judged from here.
//!
//! Ours are judged by their latch first: held, they live. That it is free proves their death only
//! where their process is not seen to live, and where the file system shows every holder. Foreign ones (gastown's, agentctl's) by what the record
//! says: in this order, where it was written, which tmux session it names, which process.
//!
//! Invariants:
//! - Dead is only what is proved dead from here; each doubt is [`Life::CannotTell`], and nobody
//!   removes that.
//! - A process number is looked up only where it means the same process as in the record: the same
//!   boot and PID namespace, or none named and our host's name.
//! - EPERM means alive; a zombie is dead only without another thread (its leader may be gone while
//!   they run on).
//! - The wall clock alone judges nobody: it jumps, and a virtual machine that slept sees all its
//!   processes start late. A record from the future is judged like any other.
//! - Looking signals nobody and takes no lock.
//!
//! The residue: through a second mount of a file system that shows no holder, a run of our own PID
//! namespace looks dead from the end of its command until its tree is empty. And gastown names no PID namespace. A container that shares its host's name (as with
//! `--network=host`) and keeps its records in a shared folder looks like the host itself.

use std::fmt;
use std::time::{Duration, SystemTime};

use nix::errno::Errno;

use super::record::DirRecord;
use super::sessions::{Session, Sessions};
use crate::lock::record::Origin;
use crate::sys::{clock, proc, process};

/// By how much a process must have started after its record to count as another one: clocks are
/// slewed, and gastown writes its record a moment after it starts.
pub const CLOCK_TOLERANCE: Duration = Duration::from_mins(1);

/// Whether an owner lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Its lock stands.
    Alive,
    /// Provably: its lock may be taken over or cleared away, once that is so under the kernel lock.
    Dead,
    /// Nobody can know it from here: its lock stands, and a person decides.
    CannotTell,
}

/// What a record is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether its owner lives.
    pub life: Life,
    /// Why that is so.
    pub why: Why,
}

/// Why a verdict is what it is. Displayed, it is a sentence about "it", the record's owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The latch beside the record is held.
    LatchHeld,
    /// Ours, and nobody holds its latch.
    LatchFree,
    /// Ours, and its process lives, whose guard and monitor are gone or not to be seen from here.
    Unguarded,
    /// Ours, and nobody holds its latch, where a holder in another container would not be seen.
    LatchUnsure,
    /// Ours, and its latch cannot be asked.
    LatchUnknown,
    /// Held by hand.
    Manual,
    /// Its tmux session lives.
    SessionLives,
    /// Its process lives.
    ProcessLives,
    /// Its process lives, but the tmux session it names is gone.
    Orphaned,
    /// Its process is gone.
    ProcessGone,
    /// Its process has ended, and its parent has not yet taken notice.
    Zombie,
    /// Its process number belongs to another process now.
    Recycled,
    /// Process and session are gone.
    SessionGone,
    /// It was written before this machine's last start.
    Rebooted,
    /// Its process number belongs to a process that started after the record, by the wall clock.
    Younger,
    /// Its process is gone, and whether its session lives cannot be known.
    SessionUnknown,
    /// It was written on another host, or says not where.
    OtherHost,
    /// It was written in another PID namespace.
    OtherNamespace,
    /// There is such a process, and /proc does not show it.
    ProcessHidden,
    /// Our /proc is that of another PID namespace, or none.
    ProcUnusable,
    /// It names no process.
    NoProcess,
}

impl Verdict {
    /// Whether the owner lives and its session, or what guarded it, is gone: worth a person's look.
    pub fn is_orphaned(&self) -> bool {
        matches!(self.why, Why::Orphaned | Why::Unguarded)
    }
}

impl Why {
    const fn life(self) -> Life {
        match self {
            Self::LatchHeld
            | Self::Unguarded
            | Self::Manual
            | Self::SessionLives
            | Self::ProcessLives
            | Self::Orphaned => Life::Alive,
            Self::LatchFree
            | Self::ProcessGone
            | Self::Zombie
            | Self::Recycled
            | Self::SessionGone
            | Self::Rebooted => Life::Dead,
            Self::LatchUnsure
            | Self::LatchUnknown
            | Self::Younger
            | Self::SessionUnknown
            | Self::OtherHost
            | Self::OtherNamespace
            | Self::ProcessHidden
            | Self::ProcUnusable
            | Self::NoProcess => Life::CannotTell,
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LatchHeld => "its latch is held",
            Self::LatchFree => "nobody holds its latch",
            Self::Unguarded => "its process lives, though nobody holds its latch",
            Self::LatchUnsure => {
                "nobody seems to hold its latch, but this file system may hide a holder in another \
                 container or on another machine"
            }
            Self::LatchUnknown => "its latch cannot be asked",
            Self::Manual => "it is held by hand",
            Self::SessionLives => "its tmux session lives",
            Self::ProcessLives => "its process lives",
            Self::Orphaned => "its process lives, but its tmux session is gone",
            Self::ProcessGone => "its process is gone",
            Self::Zombie => "its process has ended, its parent has not yet taken notice",
            Self::Recycled => "its process number belongs to another process now",
            Self::SessionGone => "its process and its tmux session are gone",
            Self::Rebooted => "the machine was started anew since",
            Self::Younger => {
                "its process seems to have started after it was written, or the clock was set"
            }
            Self::SessionUnknown => {
                "its process is gone, and tmux cannot say whether its session lives"
            }
            Self::OtherHost => "it was not written on this host, as far as it says",
            Self::OtherNamespace => "it was written in another container",
            Self::ProcessHidden => "its process is there, but /proc does not show it",
            Self::ProcUnusable => "/proc does not show the processes of here",
            Self::NoProcess => "it names no process",
        })
    }
}

/// Where we are: what makes the process numbers of a record comparable to ours.
#[derive(Clone, Debug, Default)]
pub struct Here {
    /// Our boot and our PID namespace.
    pub origin: Origin,
    /// Our host's name.
    pub hostname: String,
    /// Whether /proc is that of our own PID namespace.
    pub proc_is_ours: bool,
    /// When the kernel started, by the clock of now; `None`: it says before 1970.
    pub booted: Option<SystemTime>,
}

impl Here {
    /// Reads it all, in a handful of system calls: once per process.
    pub fn read() -> Self {
        let host = nix::sys::utsname::uname();
        let now = SystemTime::UNIX_EPOCH + Duration::from_millis(clock::unix_ms());
        Self {
            origin: Origin::read(),
            hostname: host.map_or_else(
                |_| String::new(),
                |host| host.nodename().to_string_lossy().into_owned(),
            ),
            proc_is_ours: proc::is_ours(),
            booted: now.checked_sub(clock::since_boot()),
        }
    }
}

/// What `record` is worth. `latch_held`: whether somebody holds the latch beside it, where a latch
/// that is not there is held by nobody; `None`: it cannot be asked. `is_unsure`: whether it lies where
/// a held latch may look free ([`Verdict::is_unsure`](crate::lock::placement::Verdict::is_unsure)); asked
/// only where all depends on it.
///
/// Asks tmux only for a foreign record that names a session, and only the first time.
pub fn judge(
    record: &DirRecord,
    latch_held: Option<bool>,
    is_unsure: &dyn Fn() -> bool,
    here: &Here,
    sessions: &Sessions,
) -> Verdict {
    let why = match (record.is_manual(), record.is_ours(), latch_held) {
        (true, _, _) => Why::Manual,
        // Also under a record that another program put in place of ours.
        (_, _, Some(true)) => Why::LatchHeld,
        (_, true, Some(false)) => behind_free_latch(record, is_unsure, here),
        (_, true, None) => Why::LatchUnknown,
        (_, false, _) => match doubt(record, here) {
            Some(why) => why,
            None => witnesses(record, here, sessions),
        },
    };
    Verdict {
        life: why.life(),
        why,
    }
}

/// What one of ours is worth whose latch nobody holds, as far as can be seen. What can be judged by its
/// process is; else the latch decides, if it can.
fn behind_free_latch(record: &DirRecord, is_unsure: &dyn Fn() -> bool, here: &Here) -> Why {
    let one_boot = record.boot_id.is_some() && record.boot_id == here.origin.boot_id;
    let one_namespace = record.pid_ns.is_some() && record.pid_ns == here.origin.pid_ns;
    if one_boot && one_namespace && here.proc_is_ours && record.start_time.is_some() {
        return match of_process(record, here) {
            Why::ProcessLives => Why::Unguarded,
            why @ Why::ProcessHidden => why,
            _ => Why::LatchFree,
        };
    }
    if is_unsure() {
        Why::LatchUnsure
    } else {
        Why::LatchFree
    }
}

/// What settles a foreign record, or forbids to judge it, before any process is looked at.
fn doubt(record: &DirRecord, here: &Here) -> Option<Why> {
    let our_host = !record.hostname.is_empty() && record.hostname == here.hostname;
    let (boot, namespace) = (&record.boot_id, record.pid_ns);
    if boot.is_some() && *boot != here.origin.boot_id {
        let rebooted = our_host && here.origin.boot_id.is_some();
        return Some(if rebooted {
            Why::Rebooted
        } else {
            Why::OtherHost
        });
    }
    // Inode numbers of namespaces repeat on other hosts and after a boot, so one without the other
    // says nothing.
    if !our_host && (boot.is_none() || namespace.is_none()) {
        return Some(Why::OtherHost);
    }
    if namespace.is_some() && namespace != here.origin.pid_ns {
        return Some(Why::OtherNamespace);
    }
    (!here.proc_is_ours).then_some(Why::ProcUnusable)
}

/// What session and process say. gastown's process is a `gt prime` that ends at once, so where a
/// session is named that decides, and a dead process alone proves nothing.
fn witnesses(record: &DirRecord, here: &Here, sessions: &Sessions) -> Why {
    let process = of_process(record, here);
    if record.session_id.is_empty() {
        return process;
    }
    match (sessions.state(&record.session_id), process) {
        (Session::Alive, _) => Why::SessionLives,
        (Session::Gone, Why::ProcessLives) => Why::Orphaned,
        // Two witnesses: its session is gone, and its number was given away.
        (Session::Gone, Why::Younger) => Why::Recycled,
        (Session::Gone, why) if why.life() == Life::Dead => Why::SessionGone,
        (Session::CannotTell, why) if why.life() == Life::Dead => Why::SessionUnknown,
        (_, why) => why,
    }
}

fn of_process(record: &DirRecord, here: &Here) -> Why {
    if record.pid <= 0 {
        return Why::NoProcess;
    }
    match look(record.pid) {
        Seen::Gone => Why::ProcessGone,
        Seen::Zombie => Why::Zombie,
        Seen::Hidden => Why::ProcessHidden,
        Seen::Lives(started) => match record.start_time {
            Some(own) if own != started => Why::Recycled,
            None if is_younger(record, started, here) => Why::Younger,
            _ => Why::ProcessLives,
        },
    }
}

/// Whether a process that started so many ticks after boot did so after `record` was written.
fn is_younger(record: &DirRecord, started: u64, here: &Here) -> bool {
    let since_boot = Duration::from_secs(started / clock::ticks_per_second());
    let started = here.booted.and_then(|boot| boot.checked_add(since_boot));
    let (Some(started), Some(written)) = (started, record.acquired()) else {
        return false;
    };
    started
        .duration_since(written)
        .is_ok_and(|later| later > CLOCK_TOLERANCE)
}

/// What there is at a process number.
enum Seen {
    Gone,
    /// All its threads have ended.
    Zombie,
    /// /proc hides it (`hidepid`, proc(5)): it may be a zombie, or a stranger.
    Hidden,
    /// It started so many clock ticks after boot.
    Lives(u64),
}

fn look(pid: i32) -> Seen {
    let is_there = || process::kill(pid, 0) != Err(Errno::ESRCH);
    if !is_there() {
        return Seen::Gone;
    }
    match proc::stat(pid) {
        Some(stat) if has_ended(stat.state) && !has_living_thread(pid) => Seen::Zombie,
        Some(stat) => Seen::Lives(stat.start_time),
        None if is_there() => Seen::Hidden,
        None => Seen::Gone,
    }
}

/// Zombie, or dead on the way out (`proc_pid_stat(5)`).
const fn has_ended(state: u8) -> bool {
    matches!(state, b'Z' | b'X' | b'x')
}

/// `true` also where nobody can know.
fn has_living_thread(pid: i32) -> bool {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else {
        return process::kill(pid, 0) != Err(Errno::ESRCH);
    };
    tasks.flatten().any(|task| {
        let thread = task.file_name().to_str().and_then(|name| name.parse().ok());
        thread
            .and_then(proc::stat)
            .is_some_and(|stat| !has_ended(stat.state))
    })
}

#[cfg(test)]
mod tests;
