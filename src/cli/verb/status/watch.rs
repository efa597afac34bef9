//! `status --watch`: shown anew when something changes, and at rest in between.
//!
//! What wakes it: a file that comes, goes or is closed among the claims (inotify), also the latch of an
//! owner who was killed; init, which answers when something has happened to a job; the terminal's size
//! and signals; and a clock, only where a time is shown, and then when that reads otherwise.
//!
//! State: the desk; `changed`, when it is looked at again after the first word of a change, which gathers
//! those that come together; `settled`, a last look a second after the last word: the kernel tells that
//! a latch is closed an instant before it frees it, and of an init's socket before it listens.
//!
//! On a terminal signals are read, as the screen has to be given back before they strike, and whatever init
//! is asked meanwhile is broken off; elsewhere they strike at once.

use std::ffi::OsString;
use std::io::stdout;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use nix::sys::stat::{SFlag, fstat};
use serde_json::Value;

use super::super::start::refused;
use super::desk::Desk;
use super::screen::Screen;
use super::unprinted;
use crate::cli::{Form, StatusArgs, print};
use crate::core::time::Time;
use crate::exit;
use crate::run::start::Refused;
use crate::sys::signals::{self, Signals};
use crate::sys::{clock, poll, tty};
use crate::trouble;
use crate::view::json;
use crate::view::model::View;
use crate::view::table::{Paper, draw};

/// How long a change gathers others.
const GATHER: Duration = Duration::from_millis(50);
/// When what was too early is looked at again.
const SETTLE: Duration = Duration::from_secs(1);

/// What is watched in a folder of claims.
const CLAIMS: AddWatchFlags = AddWatchFlags::IN_CREATE
    .union(AddWatchFlags::IN_DELETE)
    .union(AddWatchFlags::IN_MOVE)
    .union(AddWatchFlags::IN_CLOSE_WRITE)
    .union(AddWatchFlags::IN_DELETE_SELF)
    .union(AddWatchFlags::IN_MOVE_SELF)
    .union(AddWatchFlags::IN_ONLYDIR)
    .union(AddWatchFlags::IN_DONT_FOLLOW);
/// What is watched in the folder above one that is not there yet.
const ABOVE: AddWatchFlags = AddWatchFlags::IN_CREATE
    .union(AddWatchFlags::IN_MOVED_TO)
    .union(AddWatchFlags::IN_ONLYDIR);

/// Folders, each with the names in it that matter; none: all do. A handful, so they are looked through.
type Watched = Vec<(WatchDescriptor, Vec<OsString>)>;

struct Watch {
    desk: Desk,
    form: Form,
    inotify: Inotify,
    watched: Watched,
    /// init answers when something has happened.
    awaited: bool,
    changed: Option<Time>,
    settled: Option<Time>,
    /// When a time that is shown reads otherwise.
    tick: Option<Time>,
    view: View,
    screen: Option<Screen>,
    /// Whether anything was written yet, where there is no screen.
    written: bool,
}

/// Shows until a signal comes, or nobody reads any more.
pub(super) fn watch(args: &StatusArgs, mut desk: Desk) -> Result<u8, Refused> {
    let unseen = |what: &str, errno: Errno| {
        let why = trouble::text(errno as i32);
        refused(exit::FAILED, format!("watching {what}: {why}"))
    };
    let flags = InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK;
    let inotify = Inotify::init(flags).map_err(|errno| unseen("the claims", errno))?;
    let on_screen = args.form == Form::Table && tty::is_terminal(stdout().as_fd());
    let signals = if on_screen {
        let opened = Signals::open();
        let failed = |error: std::io::Error| {
            let text = trouble::text_of(&error);
            refused(exit::FAILED, format!("reading signals: {text}"))
        };
        Some(opened.map_err(failed)?)
    } else {
        signals::let_through();
        None
    };
    // An init that hangs keeps nobody from leaving.
    let stop = signals.as_ref().map(AsFd::as_fd);
    desk.stop = stop.and_then(|stop| stop.try_clone_to_owned().ok());
    let screen = on_screen
        .then(Screen::enter)
        .transpose()
        .map_err(unprinted)?;
    let mut watch = Watch {
        desk,
        form: args.form,
        inotify,
        watched: Watched::new(),
        awaited: false,
        changed: None,
        settled: None,
        tick: None,
        view: View::default(),
        screen,
        written: false,
    };
    watch.look().map_err(unprinted)?;
    loop {
        match watch.turn(signals.as_ref()) {
            Ok(None) => {}
            Ok(Some(signo)) => {
                drop(watch);
                signals::die_by(signo);
                return Ok(exit::by_signal(signo));
            }
            // The reader has what he wanted.
            Err(Errno::EPIPE | Errno::EIO) => return Ok(exit::OK),
            Err(errno) => return Err(unprinted(errno)),
        }
    }
}

impl Watch {
    /// Rests until something happens, and sees to it; says by which signal it ends.
    fn turn(&mut self, signals: Option<&Signals>) -> Result<Option<i32>, Errno> {
        let due = [self.changed, self.settled, self.tick];
        let due = due.into_iter().flatten().min();
        let init = self.desk.init.as_ref().filter(|_| self.awaited);
        let out = stdout();
        let ready = poll::wait(
            [
                signals.map(AsFd::as_fd),
                Some(self.inotify.as_fd()),
                init.map(AsFd::as_fd),
                pipe(out.as_fd()),
            ],
            due,
        );
        let [signal, file, init, reader_gone] = ready;
        if reader_gone {
            return Err(Errno::EPIPE);
        }
        if signal && let Some(signo) = self.hear_signals(signals)? {
            return Ok(Some(signo));
        }
        // Perhaps the signal has broken off what was asked.
        if signal && self.desk.init.is_none() {
            self.has_changed();
        }
        if file && self.read_names() {
            self.has_changed();
        }
        if init {
            self.hear_init();
        }
        let now = clock::now();
        let is_due = |at: Option<Time>| at.is_some_and(|at| at <= now);
        if is_due(self.changed) || is_due(self.settled) {
            self.changed = None;
            self.settled = self.settled.filter(|at| *at > now);
            self.look()?;
        } else if is_due(self.tick) {
            self.show()?;
        }
        Ok(None)
    }

    fn has_changed(&mut self) {
        let now = clock::now();
        self.changed.get_or_insert(now + GATHER);
        self.settled = Some(now + SETTLE);
    }

    /// Looks at all, shows it where it is not what is shown, and has itself woken when it changes.
    fn look(&mut self) -> Result<(), Errno> {
        if self.desk.init.is_none() {
            self.desk.ask();
        }
        let seen = self.desk.reply.as_ref().and_then(|reply| reply.get("seen"));
        if !self.awaited
            && let Some(seen) = seen.and_then(Value::as_u64)
            && let Some(init) = &mut self.desk.init
        {
            match init.await_change(seen) {
                Ok(()) => self.awaited = true,
                Err(silence) => self.desk.miss(&silence),
            }
        }
        let mut view = self.desk.look();
        // What is not there yet is looked at once more when it can no longer come unseen.
        if self.watch_folders() {
            view = self.desk.look();
        }
        let is_new = !self.written || !json::same(&view, &self.view);
        self.view = view;
        if self.screen.is_some() || is_new {
            self.show()?;
        }
        Ok(())
    }

    fn show(&mut self) -> Result<(), Errno> {
        let (wall, now) = (clock::unix_ms(), clock::now());
        let mut paper = Paper {
            alone: true,
            ..Paper::default()
        };
        let Some(screen) = &mut self.screen else {
            self.written = true;
            return print::out_or_pipe(&match self.form {
                Form::Json => json::line(&self.view),
                _ => draw(&self.view, wall, paper).text + "\n",
            });
        };
        let (columns, lines) = Screen::size();
        paper.columns = columns;
        paper.lines = Some(lines);
        paper.colour = print::wants_colour();
        let drawn = draw(&self.view, wall, paper);
        self.tick = drawn.changes_in.map(|ms| now + Duration::from_millis(ms));
        screen.show(drawn.text)
    }

    fn hear_init(&mut self) {
        let Some(init) = &mut self.desk.init else {
            return;
        };
        match init.take() {
            Ok(None) => return,
            Ok(Some(line)) => self.desk.hear(&line),
            Err(silence) => self.desk.miss(&silence),
        }
        self.awaited = false;
        self.has_changed();
    }

    /// Whether a name has come or gone that matters.
    fn read_names(&mut self) -> bool {
        let mut matters = false;
        while let Ok(events) = self.inotify.read_events() {
            matters |= events.iter().any(|event| {
                let gone = AddWatchFlags::IN_IGNORED;
                let mut all = self.watched.iter();
                match all.find(|(wd, _)| *wd == event.wd) {
                    _ if event.mask.contains(gone) => true,
                    Some((_, names)) if !names.is_empty() => {
                        event.name.as_ref().is_some_and(|name| names.contains(name))
                    }
                    _ => true,
                }
            });
            if events.is_empty() {
                break;
            }
        }
        matters
    }

    /// Watches what was looked at; whether anything of it is new.
    fn watch_folders(&mut self) -> bool {
        let mut watched: Watched = Watched::new();
        let add = |folder: &Path, flags: AddWatchFlags| {
            // One folder may be watched for two reasons.
            let flags = flags | AddWatchFlags::from_bits_retain(libc::IN_MASK_ADD);
            self.inotify.add_watch(folder, flags).ok()
        };
        for folder in &self.desk.folders {
            let pauses = folder.join("pauses");
            if let Some(wd) = add(folder, CLAIMS) {
                // Where there are no pauses, the folder itself tells when there are.
                let more = add(&pauses, CLAIMS);
                for wd in [Some(wd), more].into_iter().flatten() {
                    watched.retain(|(known, _)| *known != wd);
                    watched.push((wd, Vec::new()));
                }
            } else if let (Some(above), Some(name)) = (folder.parent(), folder.file_name())
                && let Some(wd) = add(above, ABOVE)
            {
                match watched.iter_mut().find(|(known, _)| *known == wd) {
                    Some((_, names)) if names.is_empty() => {}
                    Some((_, names)) => names.push(name.to_owned()),
                    None => watched.push((wd, vec![name.to_owned()])),
                }
            }
        }
        let has = |all: &Watched, wd| all.iter().any(|(known, _)| *known == wd);
        let is_new = watched.iter().any(|(wd, _)| !has(&self.watched, *wd));
        for (old, _) in std::mem::replace(&mut self.watched, watched) {
            if !has(&self.watched, old) {
                let _ = self.inotify.rm_watch(old);
            }
        }
        is_new
    }

    /// What a terminal sends, and who would end us: says by what.
    fn hear_signals(&mut self, signals: Option<&Signals>) -> Result<Option<i32>, Errno> {
        let Some((signals, screen)) = signals.zip(self.screen.as_mut()) else {
            return Ok(None);
        };
        let ignored = signals::started_ignored();
        while let Ok(Some(signal)) = signals.next() {
            match signal.signo {
                signo if ignored.contains(&signo) => continue,
                libc::SIGWINCH | libc::SIGCONT => screen.forget(),
                // Who has no shell that could continue him stays.
                libc::SIGTSTP if !tty::has_shell_above() => continue,
                libc::SIGTSTP => {
                    Screen::leave()?;
                    signals::stop_self();
                    screen.enter_again()?;
                }
                libc::SIGINT | libc::SIGTERM | libc::SIGHUP | libc::SIGQUIT | libc::SIGPIPE => {
                    return Ok(Some(signal.signo));
                }
                _ => continue,
            }
            self.tick = Some(clock::now());
        }
        Ok(None)
    }
}

/// A pipe, which tells when nobody reads it any more; a terminal or a file would be readable for ever.
fn pipe(out: BorrowedFd<'_>) -> Option<BorrowedFd<'_>> {
    let kind = SFlag::from_bits_truncate(fstat(out).ok()?.st_mode) & SFlag::S_IFMT;
    (kind == SFlag::S_IFIFO).then_some(out)
}
