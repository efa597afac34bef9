//! The command's output, where it passes through us: because a watchdog has to see it, or whoever sets a
//! pause, because it goes to the journal or to a file, or because something in it must be masked.
//!
//! A thread for each stream reads the command's pipe and writes on, and may block in either. The main
//! loop never waits for a stream: it is told of a final line, or of what a thread has to say, through a
//! descriptor, and asks for the time of the last output when its idle deadline has come. A reader
//! behind us that does not take the output (a journal that hangs, too) holds up the command, as a pipe
//! would, and not the watchdogs.
//! When the tree is empty, what is there is read and written on; the end of the stream is not
//! waited for, as a process outside the tree may hold the pipe open for ever.
//!
//! A command with a terminal of its own has one stream, which counts as standard output. The kernel brings
//! what was written there to our side before it says that nothing is there (`n_tty_read` in its source).
//!
//! | room | what is in it |
//! | --- | --- |
//! | this file | what the threads and the main loop share; one thread's loop |
//! | `sink` | where a stream goes, and where to when it cannot go there |
//! | `lines` | a stream as whole lines; the longest one |
//! | `record` | a line as a record of the journal |
//! | `log_file` | the file: appended to, set aside when it is full |

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::unistd::pipe2;

use super::claims::Owner;
use crate::config::plan::RunPlan;
use crate::core::final_line::{Found, Scanner};
use crate::core::mask::{Mask, Secrets};
use crate::core::note::Note;
use crate::core::pause::{self, Said};
use crate::core::time::Time;
use crate::sys::pty::Pty;
use crate::sys::{clock, poll, thread};

mod lines;
mod log_file;
mod record;
mod sink;

use log_file::LogFile;
use sink::{Place, Sink};

/// One read: as much as cat(1) takes, and it stays in the cache on its way out.
const PIECE: usize = 128 * 1024;
/// The size of the pipe where output is kept: a writer at full speed then meets a reader at work.
const PIPE: i32 = 128 * 1024;
/// After the tree is empty, a writer outside it is followed no further than this.
const REST: usize = 1024 * 1024;
const STACK: usize = 128 * 1024;

/// What the threads and the main loop share.
#[derive(Debug)]
struct Shared {
    /// Nanoseconds of [`Time`] of the last read or write.
    last: AtomicU64,
    /// How many threads are in a write.
    writing: AtomicUsize,
    /// How many threads have not come to their end.
    going: AtomicUsize,
    /// The tree is empty.
    over: AtomicBool,
    /// What the threads have to say.
    told: Mutex<Told>,
    /// Tells the main loop that they have, or that one has ended.
    news: EventFd,
    /// Tells the threads that the tree is empty.
    quit: EventFd,
}

#[derive(Debug, Default)]
struct Told {
    /// The last final line that the main loop has not asked for.
    found: Option<Found>,
    /// The last line that asks for a pause, likewise.
    said: Option<Said>,
    notes: Vec<Note>,
    /// What was said to take nothing.
    unwilling: Vec<Target>,
}

/// Where output is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Journal,
    File,
    /// Where ours goes: for what neither of the two takes.
    Own,
}

impl Shared {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Something has come, or was taken.
    fn moves(&self) {
        self.last.store(clock::now().0, Ordering::Release);
    }

    /// Says that `target` takes nothing, and why, if nobody has.
    fn note_once(&self, why: &str, target: Target) {
        let mut told = self.told();
        if !told.unwilling.contains(&target) {
            told.unwilling.push(target);
            let then = match target {
                Target::Journal | Target::File => {
                    "output goes where lockkeeper's own goes meanwhile"
                }
                Target::Own => "what is not kept is lost",
            };
            let text = format!("{why}; {then}");
            told.notes.push(Note::OutputTrouble { text });
            let _ = self.news.write(1);
        }
    }
}

/// The ends that the command gets; dropped after the spawn, so that only it holds them.
#[derive(Debug)]
pub enum Ends {
    /// Pipes.
    Pipes {
        /// Its standard output.
        stdout: OwnedFd,
        /// Its standard error, where that passes through us too.
        stderr: Option<OwnedFd>,
    },
    /// A terminal for both, and perhaps for standard input.
    Terminal(OwnedFd),
}

impl Ends {
    /// Its standard output.
    pub const fn stdout(&self) -> &OwnedFd {
        match self {
            Self::Pipes { stdout, .. } | Self::Terminal(stdout) => stdout,
        }
    }

    /// Its standard error, where that is not ours.
    pub const fn stderr(&self) -> Option<&OwnedFd> {
        match self {
            Self::Pipes { stderr, .. } => stderr.as_ref(),
            Self::Terminal(terminal) => Some(terminal),
        }
    }

    /// Its terminal.
    pub const fn terminal(&self) -> Option<&OwnedFd> {
        match self {
            Self::Pipes { .. } => None,
            Self::Terminal(terminal) => Some(terminal),
        }
    }
}

/// The streams of one command.
#[derive(Debug)]
pub struct Output {
    shared: Arc<Shared>,
    /// Whether it is kept, and not just handed on to a reader of ours.
    kept: bool,
}

/// The line that asks for a pause, which may stand on either stream.
fn pauses(plan: &RunPlan) -> Option<pause::Scanner> {
    let line = plan.kind.lock()?.pause.as_ref();
    line.map(pause::Scanner::new)
}

/// Whether a run of `plan` has its output pass through us, and of its two streams only the first.
fn passes(plan: &RunPlan) -> (bool, bool) {
    let both = plan.output.is_kept()
        || !plan.output.redact.is_empty()
        || plan.limits.idle_timeout.is_some()
        || pauses(plan).is_some();
    (both || plan.limits.final_line.is_some(), !both)
}

impl Output {
    /// Makes the pipes and threads that the plan asks for; `None` where the command can have our own
    /// streams.
    pub fn start(
        owner: Owner<'_>,
        secrets: &Arc<Secrets>,
        pty: Option<Pty>,
    ) -> io::Result<Option<(Self, Ends)>> {
        let plan = owner.plan;
        let (any, only_stdout) = passes(plan);
        if !any && pty.is_none() {
            return Ok(None);
        }
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let shared = Arc::new(Shared {
            last: AtomicU64::new(clock::now().0),
            writing: AtomicUsize::new(0),
            going: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            told: Mutex::default(),
            news: EventFd::from_flags(flags)?,
            quit: EventFd::from_flags(flags)?,
        });
        let kept = plan.output.is_kept();
        let output = Self { shared, kept };
        let to_file = plan.output.file;
        let file = to_file.then(|| Arc::new(Mutex::new(LogFile::new(&plan.job, &plan.output))));
        let place = |fd: BorrowedFd<'_>, name| -> io::Result<Place> {
            Ok(Place {
                own: File::from(fd.try_clone_to_owned()?),
                journal: plan.output.journal.then(|| record::head(owner, name)),
                file: file.clone(),
                stream: name,
            })
        };
        // Byte for byte where nothing was asked for, and nothing is to be hidden: what lies in files was read
        // before the command is started.
        let masks = kept || !plan.output.redact.is_empty() || !secrets.is_empty();
        let mask = || masks.then(|| Mask::new(secrets));
        let scanner = || Scanners {
            last: plan.limits.final_line.as_ref().map(Scanner::new),
            pause: pauses(plan),
        };
        let stdout = place(io::stdout().as_fd(), "stdout")?;
        if let Some(pty) = pty {
            let terminal = pty.terminal()?;
            output.stream(Source::Pty(pty), stdout, scanner(), mask())?;
            return Ok(Some((output, Ends::Terminal(terminal))));
        }
        let stdout = output.piped(stdout, scanner(), mask())?;
        let stderr = if only_stdout {
            None
        } else {
            let stderr = place(io::stderr().as_fd(), "stderr")?;
            let last = None;
            Some(output.piped(stderr, Scanners { last, ..scanner() }, mask())?)
        };
        Ok(Some((output, Ends::Pipes { stdout, stderr })))
    }

    fn piped(&self, place: Place, scanners: Scanners, mask: Option<Mask>) -> io::Result<OwnedFd> {
        let (from, end) = pipe2(OFlag::O_CLOEXEC)?;
        // The flag is our end's alone: a pipe has two open file descriptions (pipe(7)).
        fcntl(&from, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        if self.kept {
            // A user without privileges may have used up what pipes he may have.
            let _ = fcntl(&from, FcntlArg::F_SETPIPE_SZ(PIPE));
        }
        self.stream(Source::Pipe(File::from(from)), place, scanners, mask)?;
        Ok(end)
    }

    fn stream(
        &self,
        from: Source,
        place: Place,
        scanners: Scanners,
        mask: Option<Mask>,
    ) -> io::Result<()> {
        let shared = Arc::clone(&self.shared);
        shared.going.fetch_add(1, Ordering::Relaxed);
        let name = place.stream;
        let stream = Stream {
            from,
            sink: Sink::new(place, Arc::clone(&shared)),
            scanners,
            mask,
            shown: Vec::new(),
            shared,
        };
        thread::start(name, STACK, move || stream.run())
    }

    /// A final line, one that asks for a pause, and notes, that came since this was last asked.
    pub fn told(&self) -> (Option<Found>, Option<Said>, Vec<Note>) {
        let _ = self.shared.news.read();
        let mut told = self.shared.told();
        let notes = std::mem::take(&mut told.notes);
        (told.found.take(), told.said.take(), notes)
    }

    /// When something was last heard; now, while a reader behind us holds up the command.
    pub fn last(&self) -> Time {
        if self.shared.writing.load(Ordering::Acquire) > 0 {
            clock::now()
        } else {
            Time(self.shared.last.load(Ordering::Acquire))
        }
    }

    /// When something was last taken, or came.
    pub fn last_taken(&self) -> Time {
        Time(self.shared.last.load(Ordering::Acquire))
    }

    /// The tree is empty: the threads write on what is there, and end.
    pub fn finish(&self) {
        self.shared.over.store(true, Ordering::Release);
        // One for each thread that may wait for it; it is never read, so it stays readable.
        let _ = self.shared.quit.write(1);
    }

    /// Whether every thread has come to its end.
    pub fn is_finished(&self) -> bool {
        self.shared.going.load(Ordering::Acquire) == 0
    }

    /// Whether it goes to the journal or to a file, and not to a reader of ours.
    pub const fn is_kept(&self) -> bool {
        self.kept
    }
}

impl AsFd for Output {
    /// Readable when [`Output::told`] or [`Output::is_finished`] may have an answer.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.news.as_fd()
    }
}

/// Where a stream is read from.
#[derive(Debug)]
enum Source {
    Pipe(File),
    Pty(Pty),
}

impl Source {
    fn read(&self, piece: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Pipe(pipe) => { pipe }.read(piece),
            Self::Pty(pty) => pty.ours().read(piece),
        }
    }
}

impl AsFd for Source {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Pipe(pipe) => pipe.as_fd(),
            Self::Pty(pty) => pty.as_fd(),
        }
    }
}

/// What a stream is looked through for.
struct Scanners {
    /// The final line.
    last: Option<Scanner>,
    /// The line that asks for a pause.
    pause: Option<pause::Scanner>,
}

/// One thread's part.
struct Stream {
    from: Source,
    sink: Sink,
    scanners: Scanners,
    mask: Option<Mask>,
    /// What may be shown of a piece.
    shown: Vec<u8>,
    shared: Arc<Shared>,
}

impl Stream {
    fn run(mut self) {
        self.copy();
        let Scanners { last, pause } = &mut self.scanners;
        let found = last.as_mut().and_then(Scanner::end_of_line);
        let said = pause.as_mut().and_then(pause::Scanner::end_of_line);
        self.tell(found, said);
        if let Some(mask) = &mut self.mask {
            self.shown.clear();
            mask.end(&mut self.shown);
            let _ = self.sink.put(&self.shown);
        }
        self.sink.end();
        self.shared.going.fetch_sub(1, Ordering::Release);
        let _ = self.shared.news.write(1);
    }

    /// Ends at the end of the stream, when nobody takes it any more (the command then meets a broken
    /// pipe of its own), or when the tree is empty and nothing is left in the pipe.
    fn copy(&mut self) {
        let mut piece = vec![0; PIECE];
        let mut rest = REST;
        loop {
            let over = self.shared.is_over();
            let length = match self.from.read(&mut piece) {
                Ok(0) => return,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if over {
                        return;
                    }
                    poll::wait(
                        [Some(self.from.as_fd()), Some(self.shared.quit.as_fd())],
                        None,
                    );
                    continue;
                }
                Err(_) => return,
            };
            let Some(piece) = piece.get(..length) else {
                return;
            };
            if !self.take(piece) {
                return;
            }
            // Who asks something waits for an answer.
            if let Source::Pty(pty) = &self.from {
                pty.type_end();
            }
            if over {
                rest = rest.saturating_sub(length);
                if rest == 0 {
                    return;
                }
            }
        }
    }

    /// Looks at a piece and writes it on; whether anybody took it.
    fn take(&mut self, piece: &[u8]) -> bool {
        let Scanners { last, pause } = &mut self.scanners;
        let found = last.as_mut().and_then(|scanner| scanner.feed(piece));
        let said = pause.as_mut().and_then(|scanner| scanner.feed(piece));
        self.tell(found, said);
        self.shared.writing.fetch_add(1, Ordering::Release);
        let taken = match &mut self.mask {
            None => self.sink.put(piece),
            Some(mask) => self.sink.put(mask.show(piece, &mut self.shown)),
        };
        self.shared.moves();
        self.shared.writing.fetch_sub(1, Ordering::Release);
        taken.is_ok()
    }

    fn tell(&self, found: Option<Found>, said: Option<Said>) {
        if found.is_none() && said.is_none() {
            return;
        }
        let mut told = self.shared.told();
        told.found = found.or(told.found.take());
        told.said = said.or(told.said.take());
        let _ = self.shared.news.write(1);
    }
}
