//! Pauses: records beside a shared lock that keep batch runs from starting until their time is over.
//!
//! They lie in `<lock>.d/pauses/`, one file of JSON each, `ID.pause`, written whole (`.ID.tmp`, then
//! rename) under a name that was never used before. How long one stands is [`crate::core::pause`]'s
//! business; several of them: the longest counts.
//!
//! Invariants:
//! - Whoever is stopped by a pause can end it, whoever set it. So this folder has no sticky bit, unlike
//!   the one that it lies in, and one in which we could not remove what others wrote counts for nothing.
//!   (With a sticky folder an end would have to be a record of its own, and believed or not in its turn.)
//! - What is no record of a few bytes in a file of its own is neither followed nor waited for, and stops
//!   nobody; so does a temporary file, whose writer may have been killed.
//! - Reading changes nothing. What is over is removed by [`tidy`]; as names are never used again, nobody
//!   removes another record in its place.
//! - Nobody who may write here gains anything: he could as well use the login without asking.
//!
//! Cost where no pause was ever set: one system call.

use std::ffi::{CStr, CString, OsString};
use std::fmt;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat, renameat};
use nix::sys::stat::{Mode, fchmod, fstat, mkdirat};
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};
use serde_json::{Value, json};

use super::claim::{FLAGS, remove};
use super::folders::{SHARED, claims_folder, open_existing, open_folder};
use super::record::{Origin, Plain};
use crate::core::order;
use crate::core::pause::{At, SHOWN, Stands, Times, judge};
use crate::sys::{clock, dents, process};

/// The folder's name in `<lock>.d`.
pub(super) const NAME: &str = "pauses";
/// What a record's name ends with.
const SUFFIX: &[u8] = b".pause";
/// The form of a record.
const VERSION: u64 = 1;
/// The longest record that is believed, in bytes.
const LONGEST: u64 = 4096;
/// How many entries are looked at: who puts more there ends pauses, which he may anyhow.
const MOST: usize = 256;
/// Everybody may write, and remove what others wrote.
const OPEN: Mode = Mode::from_bits_truncate(0o777);
const FOLDER: OFlag = OFlag::O_RDONLY
    .union(OFlag::O_DIRECTORY)
    .union(OFlag::O_NOFOLLOW)
    .union(OFlag::O_CLOEXEC);

/// One pause, as its record tells it. The words are another's, and may be anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pause {
    /// When it ends, in milliseconds since 1970; where it was found, as far as that is believed.
    pub until: u64,
    /// When it was set.
    pub set: u64,
    /// The job whose command said so, or the person.
    pub by: String,
    /// The class of that job.
    pub class: Option<String>,
    /// The run of that job.
    pub run_id: Option<String>,
    /// The container of that run, or of that person.
    pub container: Option<String>,
    /// What the command, or the person, said.
    pub said: String,
}

/// What lies beside a lock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pauses {
    /// The pauses that stand, the longest first.
    pub active: Vec<Pause>,
    /// The names of those that are over.
    pub over: Vec<CString>,
    /// What stops nobody, and why.
    pub ignored: Vec<(OsString, &'static str)>,
}

/// What [`end`] has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// How many entries were removed.
    pub removed: usize,
    /// What could not be.
    pub left: Vec<(OsString, Errno)>,
}

/// Who set a pause, in words, without what a terminal would obey.
#[derive(Debug)]
pub struct Setter<'a>(pub &'a Pause);

impl fmt::Display for Setter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(pause) = self;
        match &pause.run_id {
            Some(_) => write!(f, "job \"{}\"", Plain(&pause.by))?,
            None => write!(f, "{}", Plain(&pause.by))?,
        }
        if let Some(container) = &pause.container {
            write!(f, " in container \"{}\"", Plain(container))?;
        }
        if let Some(run_id) = &pause.run_id {
            write!(f, " (run {})", Plain(run_id))?;
        }
        Ok(())
    }
}

impl Pause {
    /// How long it stands from now on.
    pub fn left(&self) -> Duration {
        Duration::from_millis(self.until.saturating_sub(clock::unix_ms()))
    }
}

/// Until when, by whom, why.
impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let left = humantime::format_duration(Duration::from_secs(self.left().as_secs()));
        let (until, setter, since) = (At(self.until), Setter(self), At(self.set));
        write!(
            f,
            "until {until} ({left}), by word of {setter} since {since}: {:?}",
            self.said
        )
    }
}

/// The folder of the pauses beside `lock`.
pub fn folder(lock: &Path) -> PathBuf {
    claims_folder(lock).join(NAME)
}

/// The pauses beside `lock`, at this moment.
pub fn pauses(lock: &Path) -> Pauses {
    let mut found = Pauses::default();
    // The folder itself has no name in it.
    let mut ignored = |name: &[u8], why| {
        let name = OsString::from_vec(name.to_vec());
        found.ignored.push((name, why));
    };
    let dir = match openat(AT_FDCWD, &folder(lock), FOLDER, Mode::empty()) {
        Ok(dir) => dir,
        Err(Errno::ENOENT) => return found,
        Err(_) => {
            ignored(b"", "it is no folder that we can read");
            return found;
        }
    };
    if !is_open(&dir) {
        ignored(b"", "not everybody may remove what lies in it");
        return found;
    }
    let mut origin = None;
    for name in names(&dir, MOST) {
        match read(&dir, &name, &mut origin) {
            Ok(Some((pause, Stands::Until(until)))) => {
                found.active.push(Pause { until, ..pause });
            }
            Ok(Some((_, Stands::Over))) => found.over.push(name),
            Ok(Some((_, Stands::Ahead))) => {
                ignored(name.to_bytes(), "it was set in the future");
            }
            Ok(None) => {}
            Err(why) => ignored(name.to_bytes(), why),
        }
    }
    order::sort_by_key(&mut found.active, |pause| std::cmp::Reverse(pause.until));
    found
}

/// Removes the records that are over.
pub fn tidy(lock: &Path, pauses: &Pauses) {
    if pauses.over.is_empty() {
        return;
    }
    if let Ok(Some(dir)) = open(lock) {
        for name in &pauses.over {
            let _ = unlinkat(&dir, name.as_c_str(), UnlinkatFlags::NoRemoveDir);
        }
    }
}

/// Opens the folder for who changes it, through no link below the lock; `None`: there is none.
fn open(lock: &Path) -> Result<Option<OwnedFd>, Errno> {
    let opened = open_existing(&claims_folder(lock))
        .and_then(|parent| openat(parent, NAME, FOLDER, Mode::empty()));
    match opened {
        Ok(dir) => Ok(Some(dir)),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Whether all may remove what others put there, or else we may (unlink(2), `EPERM`).
fn is_open(dir: &OwnedFd) -> bool {
    fstat(dir).is_ok_and(|stat| {
        let for_all = stat.st_mode & 0o1002 == 0o0002;
        for_all || stat.st_uid == geteuid().as_raw()
    })
}

/// What lies in `dir`, up to so many.
fn names(dir: &OwnedFd, most: usize) -> Vec<CString> {
    let mut buffer = dents::Buffer::new(16 * 1024);
    let mut names: Vec<CString> = Vec::new();
    while names.len() < most && buffer.fill(dir.as_fd()).unwrap_or(false) {
        let room = most - names.len();
        names.extend(buffer.entries().take(room).map(|it| it.name.to_owned()));
    }
    names
}

/// `None`: it is no record yet, or none any more.
fn read(
    dir: &OwnedFd,
    name: &CStr,
    origin: &mut Option<Origin>,
) -> Result<Option<(Pause, Stands)>, &'static str> {
    if name.to_bytes().starts_with(b".") {
        return Ok(None);
    }
    if !name.to_bytes().ends_with(SUFFIX) {
        return Err("its name is not that of a pause");
    }
    let file = match openat(dir, name, FLAGS | OFlag::O_RDONLY, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::ENOENT) => return Ok(None),
        Err(_) => return Err("it is no file that we can read"),
    };
    let meta = file.metadata().map_err(|_| "it cannot be looked at")?;
    if !meta.is_file() || meta.nlink() > 1 {
        return Err("it is no file of its own");
    }
    let mut text = Vec::with_capacity(1024);
    let taken = file.take(LONGEST + 1).read_to_end(&mut text);
    if taken.is_err() || text.len() as u64 > LONGEST {
        return Err("it is too long, or cannot be read");
    }
    let record: Value = serde_json::from_slice(&text).map_err(|_| "it is no record of a pause")?;
    let number = |key| record.get(key).and_then(Value::as_u64);
    if number("v") != Some(VERSION) {
        return Err("it is not of our version");
    }
    let (Some(set), Some(until)) = (number("set_unix_ms"), number("until_unix_ms")) else {
        return Err("it is no record of a pause");
    };
    let word = |key| Some(record.get(key)?.as_str()?.to_owned());
    let ours = origin.get_or_insert_with(Origin::read).boot_id.as_deref();
    let is_of_this_start = ours.is_some() && record.get("boot_id").and_then(Value::as_str) == ours;
    let since_boot = number("set_boot_ms").filter(|_| is_of_this_start);
    let written = meta.mtime().saturating_mul(1000);
    let written = written.saturating_add(meta.mtime_nsec() / 1_000_000);
    let times = Times {
        set,
        until,
        written: u64::try_from(written).unwrap_or(0),
        // Another time namespace may be ahead of ours (time_namespaces(7)).
        passed: since_boot.and_then(|set| boot_ms().checked_sub(set)),
    };
    let pause = Pause {
        until,
        set,
        by: word("by").unwrap_or_default(),
        class: word("class"),
        run_id: word("run_id"),
        container: word("container"),
        said: word("said").map_or_else(String::new, |said| said.chars().take(SHOWN).collect()),
    };
    Ok(Some((pause, judge(clock::unix_ms(), times))))
}

fn boot_ms() -> u64 {
    u64::try_from(clock::since_boot().as_millis()).unwrap_or(u64::MAX)
}

/// Writes `pause` beside `lock`, and says what its record is called there. Killed at any instant, it
/// leaves no record, or a whole one.
///
/// # Errors
/// It could not be written: nobody else knows of it.
pub fn set(lock: &Path, pause: &Pause) -> Result<String, Errno> {
    let dir = make(lock)?;
    let id = process::random_hex::<8>();
    let (temporary, name) = (format!(".{id}.tmp"), format!("{id}.pause"));
    // Short enough to be believed.
    let plain = |word: Option<&str>| word.map(|word| Plain(word).to_string());
    let text = json!({
        "v": VERSION,
        "until_unix_ms": pause.until,
        "set_unix_ms": pause.set,
        "set_boot_ms": boot_ms(),
        "boot_id": Origin::read().boot_id,
        "by": Plain(&pause.by).to_string(),
        "class": plain(pause.class.as_deref()),
        "run_id": plain(pause.run_id.as_deref()),
        "container": plain(pause.container.as_deref()),
        "uid": geteuid().as_raw(),
        "said": pause.said.chars().take(SHOWN).collect::<String>(),
    });
    let text = text.to_string();
    let try_once = || {
        write(&dir, &temporary, text.as_bytes())?;
        renameat(&dir, temporary.as_str(), &dir, name.as_str())
    };
    let written = match try_once() {
        // Somebody has ended all pauses in between: ours comes after that.
        Err(Errno::ENOENT) => try_once(),
        answer => answer,
    };
    if let Err(errno) = written {
        let _ = remove(&dir, &temporary);
        return Err(errno);
    }
    Ok(name)
}

/// Opens the folder, and makes it where it is missing.
fn make(lock: &Path) -> Result<OwnedFd, Errno> {
    let parent = open_folder(&claims_folder(lock), SHARED)?;
    match mkdirat(&parent, NAME, OPEN) {
        Ok(()) | Err(Errno::EEXIST) => {}
        Err(errno) => return Err(errno),
    }
    let dir = openat(&parent, NAME, FOLDER, Mode::empty())?;
    if fstat(&dir)?.st_mode & 0o1777 != OPEN.bits() {
        // The umask cut it, or who made it was killed before this call.
        let _ = fchmod(&dir, OPEN);
    }
    Ok(dir)
}

fn write(dir: &OwnedFd, name: &str, text: &[u8]) -> Result<(), Errno> {
    let mode = Mode::from_bits_truncate(0o644);
    let flags = FLAGS | OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL;
    let file = openat(dir, name, flags, mode)?;
    // The umask cut it.
    let _ = fchmod(&file, mode);
    File::from(file)
        .write_all(text)
        .map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
}

/// Removes the record of that name, which a longer one follows.
pub fn forget(lock: &Path, name: &str) {
    if let Ok(Some(dir)) = open(lock) {
        let _ = remove(&dir, name);
    }
}

/// Ends all pauses beside `lock`: removes whatever lies in their folder, and what lies in its place.
///
/// # Errors
/// There is a folder, and it cannot be opened; or what lies in its place cannot be removed.
pub fn end(lock: &Path) -> Result<Ended, Errno> {
    let mut ended = Ended::default();
    let dir = match open(lock) {
        Ok(Some(dir)) => dir,
        Ok(None) => return Ok(ended),
        Err(errno @ (Errno::ENOTDIR | Errno::ELOOP)) => {
            // Or it is the folder around it that is none.
            let parent = open_existing(&claims_folder(lock)).map_err(|_| errno)?;
            unlinkat(parent, NAME, UnlinkatFlags::NoRemoveDir)?;
            ended.removed = 1;
            return Ok(ended);
        }
        Err(errno) => return Err(errno),
    };
    for name in names(&dir, usize::MAX) {
        let gone = match unlinkat(&dir, name.as_c_str(), UnlinkatFlags::NoRemoveDir) {
            // unlink(2): Linux has EISDIR for a folder, POSIX EPERM.
            Err(Errno::EISDIR) => unlinkat(&dir, name.as_c_str(), UnlinkatFlags::RemoveDir),
            answer => answer,
        };
        match gone {
            Ok(()) => ended.removed += 1,
            Err(Errno::ENOENT) => {}
            Err(errno) => {
                let name = OsString::from_vec(name.into_bytes());
                ended.left.push((name, errno));
            }
        }
    }
    Ok(ended)
}

#[cfg(test)]
mod tests;
