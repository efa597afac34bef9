//! `lockkeeper status`: jobs and runs of this container, and who uses each lock in all of them.
//!
//! What init knows it is asked for, what it does not know is read from the claims; the two are put
//! together in [`crate::view`]. Nothing is changed, nobody is disturbed, and without an init the claims
//! are shown alone, with exit code 69.

mod desk;
mod names;
mod screen;
mod watch;

use std::fs::File;
use std::io::{Write as _, stdout};
use std::os::fd::AsFd as _;

use super::start::{adopt_report, refused};
use crate::cli::{Form, StatusArgs, print};
use crate::exit;
use crate::journal::Verbosity;
use crate::run::start::Refused;
use crate::sys::{clock, signals, tty};
use crate::trouble;
use crate::view::model::View;
use crate::view::table::{Paper, draw};
use crate::view::{json, metrics};
use desk::Desk;

/// Shows what `args` ask for; gives the exit code.
pub fn status(args: &StatusArgs) -> Result<u8, Refused> {
    if args.form == Form::Names {
        return names::names(args);
    }
    let report = args.report.map(adopt_report).transpose()?;
    let desk = Desk::new(args)?;
    if args.watch {
        return watch::watch(args, desk);
    }
    // Nobody here is init: what does not answer must not keep anybody from ending us.
    signals::let_through();
    let mut desk = desk;
    desk.ask();
    let view = desk.look();
    if let Some(to) = report {
        // A descriptor that cannot be written is the caller's loss.
        let _ = File::from(to).write_all(json::line(&view).as_bytes());
    }
    if args.verbosity != Verbosity::Quiet {
        print::out(&written(args.form, &view)).map_err(unprinted)?;
    }
    match view.silent {
        None => Ok(exit::OK),
        Some(silent) => Err(refused(exit::UNAVAILABLE, silent)),
    }
}

fn unprinted(errno: nix::errno::Errno) -> Refused {
    let why = trouble::why(errno);
    refused(exit::FAILED, format!("printing the status: {why}"))
}

fn written(form: Form, view: &View) -> String {
    match form {
        Form::Json => json::line(view),
        Form::Metrics => metrics::page(view),
        Form::Table | Form::Names => {
            let columns = tty::size(stdout().as_fd()).map_or(0, |(columns, _)| columns);
            let paper = Paper {
                columns,
                colour: print::wants_colour(),
                ..Paper::default()
            };
            draw(view, clock::unix_ms(), paper).text
        }
    }
}
