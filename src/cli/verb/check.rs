//! `lockkeeper check`: what a run would meet, found out before it does.
//!
//! With a file: all that is wrong with it; else each lock, each login, each job, the journal and the
//! time for the stop, judged where we are. Without one: what is here, and the smallest file that fits.
//! `--toml` prints that file alone to standard output, so that it can be saved, and the rest to standard
//! error; where a file is already, it is not read. (Not whenever standard output is no terminal: what a
//! pipe gets would change when somebody writes the file.)
//!
//! Invariants:
//! - It changes nothing: no lock is taken or created, no claim is written, no value of a variable is
//!   printed. (A scratch file beside a lock, or in a login, lives for an instant, to see whether locks
//!   there exclude anybody.)
//! - An error is what would keep a run from starting here; whatever is merely unwise is a warning.

mod changeable;
mod file;
mod here;
mod jobs;
mod journal;
mod locks;
mod logins;
mod machine;
mod mounts;
mod report;
mod sketch;
mod start;
mod stop;
mod versions;

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use super::start::{adopt_report, config_path, nothing_names_one, refused};
use crate::cli::{CheckArgs, Shows, print};
use crate::config::load;
use crate::core::shell;
use crate::exit;
use crate::journal::Verbosity;
use crate::lock::fault::Quoted;
use crate::run::secrets;
use crate::run::start::Refused;
use crate::sys::signals;
use crate::trouble;
use mounts::Mounts;
use report::Report;
pub(super) use report::{WIDTH, count, wrap};

/// Checks what `args` ask for; says the exit code: 78 on errors, else 0.
pub fn check(args: &CheckArgs) -> Result<u8, Refused> {
    // Nobody here is init: a mount that does not answer must not keep anybody from ending us.
    signals::let_through();
    let to = args.report.map(adopt_report).transpose()?;
    let path = config_path(args.config.as_deref());
    let mut report = match args.shows {
        Shows::Names => return names(args.config.as_deref()),
        Shows::Toml => without_file(&path, args),
        Shows::Text | Shows::Json if is_stdout(&path) => return Err(overwritten(&path)),
        Shows::Text | Shows::Json if is_missing(args.config.as_deref(), &path) => {
            without_file(&path, args)
        }
        Shows::Text | Shows::Json => with_file(&path),
    };
    if let Some(to) = to {
        // A descriptor that cannot be written is the caller's loss.
        let _ = File::from(to).write_all(report.json().as_bytes());
    }
    let all = args.verbosity != Verbosity::Quiet;
    let text = match args.shows {
        Shows::Json => report.json(),
        // The file that fits, and elsewhere what else was found.
        Shows::Toml => {
            let sketch = report.sketch.take().unwrap_or_default();
            print::error(&report.text(all, false));
            sketch
        }
        Shows::Text | Shows::Names => report.text(all, print::wants_colour()),
    };
    printed(&text)?;
    Ok(if report.errors > 0 {
        exit::CONFIG
    } else {
        exit::OK
    })
}

/// Whether there is no file, and need be none.
fn is_missing(named: Option<&Path>, path: &Path) -> bool {
    nothing_names_one(named) && !path.exists()
}

fn overwritten(path: &Path) -> Refused {
    let command = shell::Command::on("lockkeeper check --toml >", path);
    let text = format!(
        "standard output is the file that is to be checked, and the shell has emptied it; to write \
         one that fits: {command}"
    );
    refused(exit::USAGE, text)
}

/// For programs, a shell that completes a command line above all: the text of the file is read and
/// nothing else is looked at.
pub(super) fn names(config: Option<&Path>) -> Result<u8, Refused> {
    let path = config_path(config);
    let bytes = if is_missing(config, &path) {
        Vec::new()
    } else {
        load::bytes(&path).map_err(|problems| refused(exit::CONFIG, problems.to_string()))?
    };
    printed(&load::names(&bytes))
}

pub(super) fn printed(text: &str) -> Result<u8, Refused> {
    print::out(text).map(|()| exit::OK).map_err(|errno| {
        let why = trouble::why(errno);
        refused(exit::FAILED, format!("printing what was found: {why}"))
    })
}

/// Whether what we print goes into this file.
fn is_stdout(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let own = std::io::stdout().as_fd().try_clone_to_owned();
    let own = own.and_then(|fd| File::from(fd).metadata());
    own.is_ok_and(|own| own.is_file() && inode(path) == Some((own.dev(), own.ino())))
}

fn with_file(path: &Path) -> Report {
    let mut report = Report::new(Some(path));
    let loaded = match load::read(path) {
        Ok(loaded) => loaded,
        Err(problems) => {
            file::problems(&problems, &mut report);
            return report;
        }
    };
    report.secrets = secrets::of(loaded.plan.jobs.iter().map(|job| &job.run));
    let mounts = Mounts::read();
    file::loaded(&loaded, path, &mut report);
    let missing = logins::check(&loaded, &mounts, &mut report);
    locks::check(&loaded.classes, &missing, &mut report);
    jobs::check(&loaded, &mut report);
    journal::check(&mounts, &mut report);
    stop::check(&loaded, &mut report);
    machine::look(&mounts, false, &mut report);
    report
}

/// `looked_for`: where the file would lie.
fn without_file(looked_for: &Path, args: &CheckArgs) -> Report {
    let mut report = Report::new(None);
    let mounts = Mounts::read();
    let found = here::look(looked_for, !args.no_versions, &mounts, &mut report);
    machine::look(&mounts, true, &mut report);
    journal::check(&mounts, &mut report);
    report.sketch = Some(sketch::draw(&found));
    report
}

/// A path as reports name it: in double quotes, with marks in place of what a terminal would obey.
fn quoted(path: impl AsRef<Path>) -> String {
    Quoted(path.as_ref()).to_string()
}

/// Why `path` is no folder that we can use; `None`: it is one.
fn no_folder(path: &Path) -> Option<String> {
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_dir() => None,
        Ok(_) => Some("is not a folder".to_owned()),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Some(format!(
            "cannot be looked at by user {}, whom we are: check as the user that lockkeeper runs \
             as, or make its parents passable (chmod a+x)",
            geteuid()
        )),
        Err(_) => Some("does not exist here".to_owned()),
    }
}

/// Device and inode, which tell one file or folder from another however it is spelt.
fn inode(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let meta = std::fs::metadata(path).ok()?;
    Some((meta.dev(), meta.ino()))
}

/// The folder that `path` lies in.
fn folder_of(path: &Path) -> PathBuf {
    path.parent().unwrap_or(Path::new("/")).to_owned()
}
