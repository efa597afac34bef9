//! Reading the file anew, in a process of its own.
//!
//! A file may lie on a server that has gone: whoever opens it then waits for ever, and cannot be killed.
//! And it may be anything, while a fault in PID 1 ends the container. So neither init nor a thread of it
//! reads: a fresh image of our own program does, as for a guard, in init's own environment, and leaves the
//! file's bytes or all that is wrong with them in a memfd, which init reads when the process has gone. What
//! was found to be a plan init makes one of in its turn: the same bytes, by the same code, in the same
//! environment, so that nothing else can come of it. A client of the
//! control socket would be another choice; but HUP has none, and what `docker exec` starts has another
//! environment, user and view of the files than init.
//!
//! One such process at a time. What is asked for while it reads is answered by a next one, as the file may
//! have changed after it was read; one that takes longer than [`LIMIT`] is killed, and until it has gone
//! nothing is read.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::load;
use crate::config::report::Finding;
use crate::core::outcome::Status;
use crate::core::time::Time;
use crate::exit;
use crate::lock::fault::Quoted;
use crate::run::start::Refused;
use crate::sys::spawn::{Command, Memory, Session};
use crate::sys::{fd, memfd, process};
use crate::trouble;

/// The word that makes the program such a reader; no verb, as nobody types it.
pub const WORD: &str = "@plan";

/// How long reading may take.
pub const LIMIT: Duration = Duration::from_secs(10);
/// The most that such a process leaves, in bytes: a file has at most a million, its errors are few.
const LARGEST: u64 = 16 * 1024 * 1024;
/// The first line of what it leaves, where the file is valid; else how many errors there are.
const VALID: &str = "valid";

/// Somebody who wants the file read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The request at the control socket; zero: nobody waits for an answer.
    pub client: u64,
    /// What would change is to be said, and nothing changed.
    pub dry_run: bool,
}

/// What is in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A valid configuration.
    Valid {
        /// Its name and its bytes.
        name: String,
        /// As they were when they were found valid.
        bytes: Vec<u8>,
    },
    /// Errors.
    Errors {
        /// All of them, for people.
        report: String,
        /// The first, in one line.
        first: String,
        /// How many.
        count: usize,
    },
    /// It could not be found out: what failed, and what to do.
    Failed {
        /// In one line.
        text: String,
    },
}

/// The file, and the process that reads it.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    wishes: Vec<Wish>,
    child: Option<Child>,
}

#[derive(Debug)]
struct Child {
    pid: i32,
    result: File,
    until: Time,
    /// Those that it reads for; none any more, once it has taken too long.
    wishes: Vec<Wish>,
    killed: bool,
}

impl Reader {
    /// For the file at `path`, which does not depend on where we are.
    pub const fn new(path: PathBuf) -> Self {
        Self {
            path,
            wishes: Vec::new(),
            child: None,
        }
    }

    /// Has the file read for `wish`, and for those of the others that are `still_wanted`. What comes
    /// back could not even be begun.
    pub fn read(
        &mut self,
        program: &OwnedFd,
        wish: Wish,
        still_wanted: impl Fn(&Wish) -> bool,
        now: Time,
    ) -> Option<(Vec<Wish>, Content)> {
        self.wishes
            .retain(|other| other != &wish && still_wanted(other));
        self.wishes.push(wish);
        if self.child.as_ref().is_some_and(|child| child.killed) {
            let text = self.sentence("an earlier reader still hangs; look at its file system");
            return Some((std::mem::take(&mut self.wishes), Content::Failed { text }));
        }
        self.begin(program, now)
    }

    /// A child of ours has ended; if it is the reader, what it found and for whom.
    pub fn reaped(&mut self, pid: i32, status: Status) -> Option<(Vec<Wish>, Content)> {
        let child = self.child.take_if(|child| child.pid == pid)?;
        if child.killed {
            return None;
        }
        let content = match (status, self.taken(child.result)) {
            (Status::Exited(0), Some(content)) => content,
            _ => Content::Failed {
                text: self.sentence("the process that reads it was ended; try it again"),
            },
        };
        Some((child.wishes, content))
    }

    /// Reads for those that wished it meanwhile.
    pub fn go_on(&mut self, program: &OwnedFd, now: Time) -> Option<(Vec<Wish>, Content)> {
        let waits = self.child.is_none() && !self.wishes.is_empty();
        waits.then(|| self.begin(program, now)).flatten()
    }

    /// Those for whom nothing was begun yet: nothing will be.
    pub fn give_up(&mut self) -> Vec<Wish> {
        std::mem::take(&mut self.wishes)
    }

    /// Whether somebody waits for the file to be read who does not only want to know.
    pub fn is_at_work(&self) -> bool {
        let child = self.child.as_ref();
        let all = child.into_iter().flat_map(|child| &child.wishes);
        all.chain(&self.wishes).any(|wish| !wish.dry_run)
    }

    /// When [`Self::expire`] has something to do; `None`: never.
    pub fn next_deadline(&self) -> Option<Time> {
        let child = self.child.as_ref().filter(|child| !child.killed)?;
        Some(child.until)
    }

    /// Gives up a reader that has had its time.
    pub fn expire(&mut self, now: Time) -> Option<(Vec<Wish>, Content)> {
        let child = self.child.as_mut()?;
        if child.killed || now < child.until {
            return None;
        }
        child.killed = true;
        let _ = process::kill(child.pid, libc::SIGKILL);
        let mut wishes = std::mem::take(&mut child.wishes);
        wishes.append(&mut self.wishes);
        let text = self.sentence("it takes too long; look at its file system");
        Some((wishes, Content::Failed { text }))
    }

    fn begin(&mut self, program: &OwnedFd, now: Time) -> Option<(Vec<Wish>, Content)> {
        if self.child.is_some() {
            return None;
        }
        let wishes = std::mem::take(&mut self.wishes);
        match self.start(program) {
            Ok((pid, result)) => {
                self.child = Some(Child {
                    pid,
                    result,
                    until: now + LIMIT,
                    wishes,
                    killed: false,
                });
                None
            }
            Err(why) => {
                let text = self.sentence(&format!("starting a process for it: {why}"));
                Some((wishes, Content::Failed { text }))
            }
        }
    }

    fn start(&self, program: &OwnedFd) -> Result<(i32, File), String> {
        let result = memfd::create().map_err(|error| trouble::text_of(&error))?;
        let number = result.as_raw_fd();
        let words = [
            "lockkeeper".into(),
            WORD.into(),
            number.to_string().into(),
            self.path.clone().into_os_string(),
        ];
        let pass = [number];
        let spawned = Command::new(&words, &[]).and_then(|mut command| {
            command.program(program)?.pass(&pass).session(Session::Own);
            command.spawn(Memory::Copied)
        });
        match spawned {
            Ok(spawned) => Ok((spawned.pid, result.into())),
            Err((step, errno)) => Err(trouble::start(step, errno, "lockkeeper")),
        }
    }

    /// The first line says what follows.
    fn taken(&self, mut result: File) -> Option<Content> {
        let mut bytes = Vec::new();
        result.rewind().ok()?;
        result.take(LARGEST).read_to_end(&mut bytes).ok()?;
        let end = bytes.iter().position(|byte| *byte == b'\n')?;
        let rest = bytes.split_off(end + 1);
        match std::str::from_utf8(bytes.get(..end)?).ok()? {
            VALID => Some(Content::Valid {
                name: load::name_of(&self.path),
                bytes: rest,
            }),
            count => {
                let count = count.parse().ok()?;
                let text = String::from_utf8(rest).ok()?;
                let (first, report) = text.split_once('\n')?;
                Some(Content::Errors {
                    report: report.to_owned(),
                    first: first.to_owned(),
                    count,
                })
            }
        }
    }

    fn sentence(&self, what: &str) -> String {
        format!("reading {} again: {what}", Quoted(&self.path))
    }
}

/// Is the reader that `words` (a descriptor's number and a path, behind [`WORD`]) ask for.
pub fn be_one(words: &[OsString]) -> Result<u8, Refused> {
    process::set_name(c"lockkeeper");
    let number = words.first().and_then(|word| word.to_str()?.parse().ok());
    let (Some(number), Some(path)) = (number, words.get(1)) else {
        return Err(Refused {
            code: exit::USAGE,
            text: format!("\"{WORD}\" is how init reads its file; people say \"lockkeeper check\""),
        });
    };
    let failed = |error: io::Error| Refused {
        code: exit::FAILED,
        text: format!("handing on a plan: {}", trouble::text_of(&error)),
    };
    let number: RawFd = number;
    let adopted = fd::adopt(number).map_err(|errno| failed(errno.into()))?;
    let path = Path::new(path);
    let read = load::bytes(path)
        .and_then(|bytes| load::parse_here(&load::name_of(path), &bytes).map(|_| bytes));
    let (head, rest) = match read {
        Ok(bytes) => (VALID.to_owned(), bytes),
        Err(problems) => {
            let count = problems.errors.len() + problems.more;
            let first = problems.errors.first().map(Finding::one_line);
            let first = first.unwrap_or_default();
            (format!("{count}\n{first}"), problems.to_string().into())
        }
    };
    let mut to = File::from(adopted);
    to.write_all(head.as_bytes())
        .and_then(|()| to.write_all(b"\n"))
        .and_then(|()| to.write_all(&rest))
        .map_err(failed)?;
    Ok(exit::OK)
}
