//! A claims folder as people want to see it: who lives and says what he is, who lives and has not said
//! it yet, and each file that is no claim, by its name and with what is wrong with it.
//!
//! A record counts while the kernel says that the latch beside it is held, and not otherwise; whatever
//! else a folder that anybody may write to has in it is named, and neither believed nor waited for:
//! nothing but a regular file is opened, never through a link, and no file of more than one name.
//!
//! Bounded, whatever somebody puts there: [`MAX_ENTRIES`] names, [`MAX_RECORD`] bytes of a record and
//! [`MAX_BYTES`] of all, so some tens of milliseconds; that something was left out is said.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstatat};

use super::MAX_ENTRIES;
use crate::lock::claim::{FLAGS, MAX_RECORD, NO_FOLLOW, Names};
use crate::lock::folders::open_existing;
use crate::lock::latch;
use crate::lock::record::Record;
use crate::sys::dents::Buffer;

/// How many bytes of records are read in a folder: a thousand usual ones are half of it.
pub const MAX_BYTES: usize = 1024 * 1024;
/// So many files that are no claims are named; the others are counted.
pub const MAX_ODD: usize = 16;

/// What lies in a claims folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The records of those that live, in the order of `since_unix_ms`.
    pub living: Vec<Record>,
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
    for (run_id, has_record) in &runs {
        let Some(names) = Names::of(run_id) else {
            continue;
        };
        let seen = if *has_record {
            read(&dir, &names, &mut room)
        } else {
            lives(&dir, &names, None).map(|lives| lives.then_some(Seen::Unsaid))
        };
        match seen {
            Ok(Some(Seen::Claim(record))) => survey.living.push(*record),
            Ok(Some(Seen::Unsaid)) => survey.unsaid.push(run_id.clone()),
            Ok(Some(Seen::LeftOut)) => survey.truncated = true,
            Ok(None) => {}
            Err(wrong) => odd.push(wrong),
        }
    }
    survey
        .living
        .sort_by(|a, b| (a.since_unix_ms, &a.run_id).cmp(&(b.since_unix_ms, &b.run_id)));
    odd.sort();
    survey.more_odd = odd.len().saturating_sub(MAX_ODD);
    odd.truncate(MAX_ODD);
    survey.odd = odd;
    survey
}

/// What is seen of a run.
enum Seen {
    Claim(Box<Record>),
    Unsaid,
    LeftOut,
}

impl Survey {
    /// The runs that files are named by, each with whether it has a record; and all other names.
    fn names(&mut self, dir: &OwnedFd) -> (BTreeMap<String, bool>, Vec<String>) {
        let (mut runs, mut others) = (BTreeMap::new(), Vec::new());
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
                    Some(names) if name == names.record => drop(runs.insert(names.run_id, true)),
                    Some(names) if name == names.latch => {
                        runs.entry(names.run_id).or_insert(false);
                    }
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
        Ok("a socket") if name.ends_with(".sock") => return None,
        Ok(kind) => format!("{kind} that belongs to no claim"),
        Err(Errno::ENOENT) if !name.contains(char::REPLACEMENT_CHARACTER) => return None,
        Err(_) => "it belongs to no claim".to_owned(),
    };
    Some(Odd { name, why })
}

/// The record first and its latch afterwards: an owner that is alive now was alive when we read.
/// `None`: its owner is dead, or it has gone.
fn read(dir: &OwnedFd, names: &Names, room: &mut usize) -> Result<Option<Seen>, Odd> {
    let wrong = |why: String| {
        let name = names.record.clone();
        Err(Odd { name, why })
    };
    // Before it is opened: to open a device may have it do something.
    match fstatat(dir, names.record.as_str(), NO_FOLLOW) {
        Ok(stat) if !is_file(&stat) => return wrong(kind(&stat).to_owned()),
        Err(Errno::ENOENT) => return Ok(None),
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
        Err(Errno::ENOENT) => return Ok(None),
        Err(errno) => return wrong(format!("it cannot be opened: {}", errno.desc())),
    };
    let Ok(meta) = file.metadata() else {
        return wrong("it cannot be looked at".to_owned());
    };
    if !meta.is_file() {
        return wrong("no regular file".to_owned());
    }
    if meta.nlink() > 1 {
        return wrong("a file with a second name (a hard link)".to_owned());
    }
    let size = usize::try_from(meta.len()).unwrap_or(usize::MAX);
    if size > MAX_RECORD {
        return wrong(format!(
            "{size} bytes, and a record has {MAX_RECORD} at most"
        ));
    }
    let Some(left) = room.checked_sub(size) else {
        return Ok(Some(Seen::LeftOut));
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
    let lives = lives(dir, names, Some(meta.uid()))?;
    Ok(lives.then(|| Seen::Claim(Box::new(record))))
}

/// Whether the latch of a run is held; `owner` is the user whose record lies beside it.
fn lives(dir: &OwnedFd, names: &Names, owner: Option<u32>) -> Result<bool, Odd> {
    let name = names.latch.as_str();
    let wrong = |why: String| {
        let name = names.latch.clone();
        Err(Odd { name, why })
    };
    match fstatat(dir, name, NO_FOLLOW) {
        Ok(stat) if !is_file(&stat) => return wrong(kind(&stat).to_owned()),
        Ok(stat) if stat.st_nlink > 1 => {
            return wrong("a latch with a second name (a hard link)".to_owned());
        }
        Ok(stat) if owner.is_some_and(|owner| owner != stat.st_uid) => {
            let record = owner.unwrap_or_default();
            return wrong(format!(
                "the latch of user {}, with a record of user {record} beside it",
                stat.st_uid
            ));
        }
        Err(Errno::ENOENT) => return Ok(false),
        _ => {}
    }
    // A socket is claimed by its own name; its latch says nothing of a run.
    if owner.is_none() && names.run_id.ends_with(".sock") {
        return Ok(false);
    }
    match openat(dir, name, FLAGS | OFlag::O_RDONLY, Mode::empty()).and_then(latch::is_held) {
        Ok(held) => Ok(held),
        Err(Errno::ENOENT) => Ok(false),
        Err(errno) => wrong(format!("a latch that cannot be asked: {}", errno.desc())),
    }
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
