//! A claims folder as people want to see it: who lives and says what he is, who lives and has not said
//! it yet, and each file that is no claim, by its name and with what is wrong with it.
//!
//! A record counts while the kernel says that the latch beside it is held, and not otherwise; whatever
//! else a folder that anybody may write to has in it is named, and neither believed nor waited for:
//! nothing but a regular file is opened, and never through a symbolic link.
//!
//! Nobody hides another's run. Who may write here sees a latch before the record is there, and can take the
//! record's name: so a run whose latch is held is shown as one that has not said yet what it is, whatever
//! lies where its record would. A second name (link(2)) gives life only to a record of the latch's own
//! user, who may lock another file as well; of what has no record it is no run only where the same latch
//! is that of a claim.
//!
//! Bounded, whatever somebody puts there: [`MAX_ENTRIES`] names, [`MAX_RECORD`] bytes of a record and
//! [`MAX_BYTES`] of all, so some tens of milliseconds; that something was left out is said.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};

use super::MAX_ENTRIES;
use crate::core::order;
use crate::lock::claim::{FLAGS, MAX_RECORD, NO_FOLLOW, Names, identity};
use crate::lock::folders::open_existing;
use crate::lock::latch::{self, Part};
use crate::lock::pause;
use crate::lock::record::Record;
use crate::sys::dents::Buffer;

/// How many bytes of records are read in a folder: a thousand usual ones are half of it.
pub const MAX_BYTES: usize = 1024 * 1024;
/// So many files that are no claims are named; the others are counted.
pub const MAX_ODD: usize = 16;

/// What lies in a claims folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The records of those that live and take turns on the lock, in the order of `since_unix_ms`.
    pub living: Vec<Record>,
    /// Of those that live and take none here: interactive ones, and who has another lock and the same
    /// login; among the runs of a container all.
    pub beside: Vec<Record>,
    /// The runs of those that live and have not said yet what they are.
    pub unsaid: Vec<String>,
    /// Files that are no claims, in the order of their names.
    pub odd: Vec<Odd>,
    /// How many more of them there are.
    pub more_odd: usize,
    /// There was more than may be looked at: some who live may be missing.
    pub truncated: bool,
    /// Why nothing can be seen; a folder that does not exist has no claims, and that is all.
    pub unread: Option<Errno>,
}

/// A file that is no claim.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Odd {
    /// Its name, as it stands there: with whatever bytes, but for marks where it is no text.
    pub name: String,
    /// What is wrong with it, a part of a sentence. It may quote the file.
    pub why: String,
}

/// Looks at all that lies in `folder`. Disturbs nobody, and never waits.
pub fn survey(folder: &Path) -> Survey {
    let mut survey = Survey::default();
    let dir = match open_existing(folder) {
        Ok(dir) => dir,
        Err(Errno::ENOENT) => return survey,
        Err(errno) => {
            survey.unread = Some(errno);
            return survey;
        }
    };
    let (runs, others) = survey.names(&dir);
    let mut odd: Vec<Odd> = others
        .into_iter()
        .filter_map(|name| foreign(&dir, name))
        .collect();
    let mut room = MAX_BYTES;
    let mut unsaid: Vec<(Names, Latch, Option<Odd>)> = Vec::new();
    let mut claimed: Vec<(u64, u64)> = Vec::new();
    for (_, run_id, has_record) in &runs {
        let Some(names) = Names::of(run_id) else {
            continue;
        };
        let seen = if *has_record == RECORD {
            read(&dir, &names, &mut room)
        } else {
            Ok(Seen::Nothing)
        };
        if matches!(seen, Ok(Seen::Gone)) {
            continue;
        }
        // Afterwards: an owner that is alive now was alive when we read.
        let latch = match lives(&dir, &names) {
            Ok(latch) => latch,
            Err(wrong) => {
                odd.push(wrong);
                None
            }
        };
        match (seen, latch) {
            (Ok(Seen::Record(record, uid)), Some(latch)) if uid == latch.uid => {
                claimed.push(latch.identity);
                match latch.part {
                    Part::Whole => survey.living.push(*record),
                    Part::Rest => survey.beside.push(*record),
                }
            }
            (Ok(Seen::Record(_, uid)), Some(latch)) => {
                let name = names.record.clone();
                let whose = latch.uid;
                let why =
                    format!("a record of user {uid}, with the latch of user {whose} beside it");
                unsaid.push((names, latch, Some(Odd { name, why })));
            }
            (Ok(Seen::LeftOut), _) => survey.truncated = true,
            (Ok(_), Some(latch)) => unsaid.push((names, latch, None)),
            (Ok(_), None) => {}
            (Err(wrong), latch) => {
                odd.push(wrong);
                unsaid.extend(latch.map(|latch| (names, latch, None)));
            }
        }
    }
    for (names, latch, wrong) in unsaid {
        if latch.is_linked && claimed.contains(&latch.identity) {
            let name = names.latch;
            let why = "a second name (a hard link) of the latch of a claim".to_owned();
            odd.push(Odd { name, why });
            continue;
        }
        odd.extend(wrong);
        // The latch of a socket says that an init listens, and nothing of a run.
        if !is_socket_name(&names.run_id) {
            survey.unsaid.push(names.run_id);
        }
    }
    order::sort_by(&mut survey.unsaid, Ord::cmp);
    survey.living = in_order(survey.living);
    survey.beside = in_order(survey.beside);
    order::sort_by(&mut odd, |a, b| a.name.cmp(&b.name));
    survey.more_odd = odd.len().saturating_sub(MAX_ODD);
    odd.truncate(MAX_ODD);
    survey.odd = odd;
    survey
}

/// The records in the order of their times.
pub fn in_order(mut records: Vec<Record>) -> Vec<Record> {
    order::sort_by(&mut records, |a, b| {
        (a.since_unix_ms, &a.run_id).cmp(&(b.since_unix_ms, &b.run_id))
    });
    records
}

/// A run that has a record, before one that has a latch alone.
const RECORD: u64 = 0;
const LATCH: u64 = 1;

/// What is read of a run.
enum Seen {
    /// Its record, and whose that is.
    Record(Box<Record>, u32),
    /// It has none.
    Nothing,
    /// It has one no more.
    Gone,
    LeftOut,
}

/// A latch that is held.
struct Latch {
    part: Part,
    uid: u32,
    /// Device and inode.
    identity: (u64, u64),
    /// Whether it has a second name.
    is_linked: bool,
}

impl Survey {
    /// The runs that files are named by, each once, with [`RECORD`] or without; and all other names.
    fn names(&mut self, dir: &OwnedFd) -> (Vec<(u64, String, u64)>, Vec<String>) {
        let (mut runs, others) = self.all_names(dir);
        // A record comes first, and its latch goes.
        order::sort_by(&mut runs, Ord::cmp);
        runs.dedup_by(|later, first| later.1 == first.1);
        (runs, others)
    }

    fn all_names(&mut self, dir: &OwnedFd) -> (Vec<(u64, String, u64)>, Vec<String>) {
        let (mut runs, mut others) = (Vec::new(), Vec::new());
        let mut buffer = Buffer::new(32 * 1024);
        let mut count = 0;
        loop {
            match buffer.fill(dir.as_fd()) {
                Ok(true) => {}
                Ok(false) => return (runs, others),
                Err(errno) => {
                    self.unread = Some(errno);
                    return (runs, others);
                }
            }
            for entry in buffer.entries() {
                count += 1;
                if count > MAX_ENTRIES {
                    self.truncated = true;
                    return (runs, others);
                }
                let name = entry.name.to_string_lossy();
                match Names::of_file(&name) {
                    Some(names) if name == names.record => runs.push((0, names.run_id, RECORD)),
                    Some(names) if name == names.latch => runs.push((0, names.run_id, LATCH)),
                    // One that is being written, or whose writer was killed.
                    Some(_) => {}
                    None => others.push(name.into_owned()),
                }
            }
        }
    }
}

/// A name that no claim has; an init's socket, which is claimed by its own name, is none.
fn foreign(dir: &OwnedFd, name: String) -> Option<Odd> {
    let stat = fstatat(dir, name.as_str(), NO_FOLLOW);
    let why = match stat.as_ref().map(kind) {
        Ok("a socket") if is_socket_name(&name) => return None,
        // Not a claim, and read by `lock::pause`.
        Ok("a folder") if name == pause::NAME => return None,
        Ok(kind) => format!("{kind} that belongs to no claim"),
        Err(Errno::ENOENT) if !name.contains(char::REPLACEMENT_CHARACTER) => return None,
        Err(_) => "it belongs to no claim".to_owned(),
    };
    Some(Odd { name, why })
}

fn read(dir: &OwnedFd, names: &Names, room: &mut usize) -> Result<Seen, Odd> {
    let wrong = |why: String| {
        let name = names.record.clone();
        Err(Odd { name, why })
    };
    // Before it is opened: to open a device may have it do something.
    match fstatat(dir, names.record.as_str(), NO_FOLLOW) {
        Ok(stat) if !is_file(&stat) => return wrong(kind(&stat).to_owned()),
        Err(Errno::ENOENT) => return Ok(Seen::Gone),
        _ => {}
    }
    let opened = openat(
        dir,
        names.record.as_str(),
        FLAGS | OFlag::O_RDONLY,
        Mode::empty(),
    );
    let file = match opened.map(File::from) {
        Ok(file) => file,
        Err(Errno::ENOENT) => return Ok(Seen::Gone),
        Err(errno) => return wrong(format!("it cannot be opened: {}", errno.desc())),
    };
    let Ok(meta) = file.metadata() else {
        return wrong("it cannot be looked at".to_owned());
    };
    if !meta.is_file() {
        return wrong("no regular file".to_owned());
    }
    let size = usize::try_from(meta.len()).unwrap_or(usize::MAX);
    if size > MAX_RECORD {
        return wrong(format!(
            "{size} bytes, and a record has {MAX_RECORD} at most"
        ));
    }
    let Some(left) = room.checked_sub(size) else {
        return Ok(Seen::LeftOut);
    };
    *room = left;
    let mut text = Vec::with_capacity(size + 1);
    let limit = u64::try_from(MAX_RECORD).unwrap_or(u64::MAX);
    if let Err(error) = file.take(limit).read_to_end(&mut text) {
        return wrong(format!("it cannot be read: {}", error.kind()));
    }
    let record = match serde_json::from_slice::<Record>(&text) {
        Ok(record) => record,
        Err(_) if text.is_empty() => return wrong("an empty file".to_owned()),
        Err(error) if error.is_eof() => return wrong("half a record".to_owned()),
        Err(error) if error.is_data() => return wrong("JSON, and no record".to_owned()),
        Err(_) => return wrong("no JSON".to_owned()),
    };
    if record.run_id != names.run_id {
        return wrong(format!("the record of another run, {:?}", record.run_id));
    }
    Ok(Seen::Record(Box::new(record), meta.uid()))
}

/// The latch of a run, if it is held.
fn lives(dir: &OwnedFd, names: &Names) -> Result<Option<Latch>, Odd> {
    let name = names.latch.as_str();
    let wrong = |why: String| {
        let name = names.latch.clone();
        Err(Odd { name, why })
    };
    match fstatat(dir, name, NO_FOLLOW) {
        Ok(stat) if !is_file(&stat) => return wrong(kind(&stat).to_owned()),
        Err(Errno::ENOENT) => return Ok(None),
        _ => {}
    }
    let opened = openat(dir, name, FLAGS | OFlag::O_RDONLY, Mode::empty());
    match opened.and_then(|latch| ask(&latch)) {
        Ok(held) => Ok(held),
        Err(Errno::ENOENT) => Ok(None),
        Err(errno) => wrong(format!("a latch that cannot be asked: {}", errno.desc())),
    }
}

fn ask(latch: &OwnedFd) -> Result<Option<Latch>, Errno> {
    if !latch::is_held(latch)? {
        return Ok(None);
    }
    let stat = fstat(latch)?;
    Ok(Some(Latch {
        part: if latch::is_held_whole(latch)? {
            Part::Whole
        } else {
            Part::Rest
        },
        uid: stat.st_uid,
        identity: identity(&stat),
        is_linked: stat.st_nlink > 1,
    }))
}

/// Of an init's control socket.
fn is_socket_name(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|end| end == "sock")
}

fn is_file(stat: &FileStat) -> bool {
    kind(stat) == "a file"
}

fn kind(stat: &FileStat) -> &'static str {
    match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
        SFlag::S_IFREG => "a file",
        SFlag::S_IFDIR => "a folder",
        SFlag::S_IFLNK => "a symbolic link, which is not followed",
        SFlag::S_IFIFO => "a FIFO",
        SFlag::S_IFSOCK => "a socket",
        _ => "a device",
    }
}

#[cfg(test)]
mod tests;
