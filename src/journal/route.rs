//! Where a note goes: to the journal, to standard error, to both or to nobody.
//!
//! Decided once per process, before the log thread exists, so that a note that nobody would see
//! costs nothing. Standard error is read by different people: the caller of `lockkeeper run` wants
//! to hear what went wrong and nothing else; behind init with a file it is the container's log.

use std::fs;
use std::io::IsTerminal as _;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::Arc;

use nix::sys::stat::fstat;
use serde::{Deserialize, Serialize};

use super::kind::Level;
pub use crate::config::plan::Format;
use crate::core::mask::Secrets;

/// The native socket of journald (`systemd-journald.service(8)`).
pub const SOCKET: &str = "/run/systemd/journal/socket";

/// Whose notes these are: the fields that every record of this process has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// `CONTAINER_NAME`; journald adds it only to what a container's log driver hands on.
    pub container_name: Option<String>,
    /// `JOB`, for a process that serves one run.
    pub job: Option<String>,
    /// `JOB_CLASS`, likewise.
    pub class: Option<String>,
    /// `RUN_ID`, likewise.
    pub run_id: Option<String>,
    /// The file that says what to do, by a path that holds wherever we are; `None`: there is none.
    pub file: Option<PathBuf>,
    /// For whom standard error is.
    pub speaker: Speaker,
    /// What a line on standard error looks like.
    pub format: Format,
    /// What no note shows.
    pub secrets: Arc<Secrets>,
}

/// For whom standard error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// init with a file: standard error is the container's log.
    Init,
    /// A run that such an init started: the same log, in which init has already said what there
    /// is to say about the journal.
    InitRun,
    /// `lockkeeper run`, or init with nothing but a command: standard error is the caller's.
    Run,
}

/// How much the caller asked for on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verbosity {
    /// `-q`: on standard error, errors only.
    Quiet,
    /// Neither.
    #[default]
    Normal,
    /// `-v`: info on standard error, debug in the journal.
    Verbose,
    /// `-vv`: debug on standard error.
    Debug,
}

/// What is found out about this process's surroundings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Surroundings {
    /// Whether the socket of journald is there.
    pub(super) socket: bool,
    /// What standard error is.
    pub(super) stderr: Stderr,
}

/// What standard error is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stderr {
    /// Somebody sits at it.
    Terminal,
    /// journald reads it line by line.
    Journal,
    /// A file, a pipe, a log driver.
    Other,
}

/// The least important level that each way still takes; `None`: the way is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// To journald's socket.
    pub(super) journal: Option<Level>,
    /// To standard error.
    pub(super) stderr: Option<Level>,
}

impl Route {
    /// Whether a note of this level goes anywhere at all.
    pub(super) fn takes(self, level: Level) -> bool {
        takes(self.journal, level) || takes(self.stderr, level)
    }
}

/// Whether a way with this limit takes a note of this level.
pub(super) fn takes(limit: Option<Level>, level: Level) -> bool {
    limit.is_some_and(|limit| level <= limit)
}

impl Surroundings {
    /// The same without a journal.
    pub(super) const fn without_journal(self) -> Self {
        Self {
            socket: false,
            ..self
        }
    }

    /// The route, from what was asked and what is there.
    ///
    /// - Without a journal everything goes to standard error.
    /// - With one, a caller, a person at a terminal and whoever asked by -v or -q still read standard
    ///   error; the container's log does not repeat what the journal has.
    /// - Standard error that is the journal itself repeats nothing either.
    pub(super) fn route(self, speaker: Speaker, verbosity: Verbosity) -> Route {
        let on_stderr = match (verbosity, speaker) {
            (Verbosity::Quiet, _) => Level::Error,
            (Verbosity::Normal, Speaker::Run) => Level::Warning,
            (Verbosity::Normal, Speaker::Init | Speaker::InitRun) | (Verbosity::Verbose, _) => {
                Level::Info
            }
            (Verbosity::Debug, _) => Level::Debug,
        };
        if !self.socket {
            return Route {
                journal: None,
                stderr: Some(on_stderr),
            };
        }
        let read_here = match self.stderr {
            Stderr::Terminal => true,
            Stderr::Journal => false,
            Stderr::Other => speaker == Speaker::Run || verbosity != Verbosity::Normal,
        };
        Route {
            journal: Some(match verbosity {
                Verbosity::Quiet | Verbosity::Normal => Level::Info,
                Verbosity::Verbose | Verbosity::Debug => Level::Debug,
            }),
            stderr: read_here.then_some(on_stderr),
        }
    }
}

/// What a line on standard error is to look like: what `LOCKKEEPER_LOG` says goes before the file.
pub fn format(in_file: Format) -> Format {
    let word = std::env::var("LOCKKEEPER_LOG").ok();
    word.and_then(|word| Format::of(&word)).unwrap_or(in_file)
}

/// Looks round: whether the socket is there, and what `fd`, standard error, is.
pub(super) fn surroundings(fd: BorrowedFd<'_>) -> Surroundings {
    let stream = std::env::var("JOURNAL_STREAM").ok();
    let stderr = if stream.is_some_and(|stream| is_stream(fd, &stream)) {
        Stderr::Journal
    } else if fd.is_terminal() {
        Stderr::Terminal
    } else {
        Stderr::Other
    };
    Surroundings {
        socket: fs::exists(SOCKET).unwrap_or(false),
        stderr,
    }
}

/// Whether `fd` is the stream that `JOURNAL_STREAM` names as device:inode; the variable alone says
/// nothing, as it is inherited by processes whose output was redirected (`systemd.exec(5)`).
fn is_stream(fd: BorrowedFd<'_>, stream: &str) -> bool {
    let Some((device, inode)) = stream.split_once(':') else {
        return false;
    };
    let (Ok(device), Ok(inode)) = (device.parse::<u64>(), inode.parse::<u64>()) else {
        return false;
    };
    fstat(fd).is_ok_and(|stat| stat.st_dev == device && stat.st_ino == inode)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    const BARE: Surroundings = Surroundings {
        socket: false,
        stderr: Stderr::Other,
    };

    fn with_socket(stderr: Stderr) -> Surroundings {
        Surroundings {
            socket: true,
            stderr,
        }
    }

    fn check(speaker: Speaker, verbosity: Verbosity, around: Surroundings, expected: [&str; 2]) {
        let route = around.route(speaker, verbosity);
        let word = |limit: Option<Level>| limit.map_or("-".into(), |level| format!("{level:?}"));
        assert_eq!(
            [word(route.journal), word(route.stderr)],
            expected,
            "{speaker:?} {verbosity:?} {around:?}"
        );
    }

    #[test]
    fn a_caller_hears_warnings_and_a_container_log_the_ordinary_course() {
        use Speaker::{Init, InitRun, Run};
        use Verbosity::{Debug, Normal, Quiet, Verbose};
        check(Run, Normal, BARE, ["-", "Warning"]);
        check(Run, Verbose, BARE, ["-", "Info"]);
        check(Run, Debug, BARE, ["-", "Debug"]);
        check(Run, Quiet, BARE, ["-", "Error"]);
        check(Init, Normal, BARE, ["-", "Info"]);
        check(InitRun, Normal, BARE, ["-", "Info"]);
        check(Init, Quiet, BARE, ["-", "Error"]);
    }

    #[test]
    fn with_a_journal_standard_error_repeats_only_what_somebody_there_wants() {
        use Speaker::{Init, InitRun, Run};
        use Stderr::{Journal, Other, Terminal};
        use Verbosity::{Normal, Quiet, Verbose};
        check(Init, Normal, with_socket(Other), ["Info", "-"]);
        check(InitRun, Normal, with_socket(Other), ["Info", "-"]);
        check(Init, Normal, with_socket(Terminal), ["Info", "Info"]);
        check(Init, Verbose, with_socket(Other), ["Debug", "Info"]);
        check(Run, Normal, with_socket(Other), ["Info", "Warning"]);
        check(Run, Quiet, with_socket(Other), ["Info", "Error"]);
        check(Run, Normal, with_socket(Journal), ["Info", "-"]);
        check(Init, Verbose, with_socket(Journal), ["Debug", "-"]);
    }

    #[test]
    fn a_note_below_every_limit_goes_nowhere() {
        let route = BARE.route(Speaker::Run, Verbosity::Normal);
        assert!(route.takes(Level::Error));
        assert!(route.takes(Level::Warning));
        assert!(!route.takes(Level::Info));
    }

    #[test]
    fn only_the_very_stream_that_journal_stream_names_is_the_journal() {
        let (reader, writer) = std::io::pipe().unwrap();
        let stat = fstat(&writer).unwrap();
        let name = format!("{}:{}", stat.st_dev, stat.st_ino);
        assert!(is_stream(writer.as_fd(), &name));
        let other = format!("{}:{}", stat.st_dev, stat.st_ino + 1);
        assert!(!is_stream(writer.as_fd(), &other));
        for nonsense in ["", ":", "1", "a:b", "1:2:3"] {
            assert!(!is_stream(writer.as_fd(), nonsense), "{nonsense}");
        }
        drop(reader);
    }
}
