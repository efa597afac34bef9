//! Whether notes reach a journal from here, or which mount to add.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use super::mounts::Mounts;
use super::report::{About, Level, Report};
use crate::journal::route::SOCKET;

/// The mount that brings the journal into a container. The folder: a socket that is mounted by
/// itself stays the old one when journald makes a new one.
const MOUNT: &str = "-v /run/systemd/journal:/run/systemd/journal:ro";

/// Connects to journald's socket and sends nothing.
pub(super) fn check(mounts: &Mounts, report: &mut Report) {
    let path = Path::new(SOCKET);
    let answer = UnixDatagram::unbound().and_then(|socket| socket.connect(path));
    let (level, text) = match answer {
        Ok(()) if mounts.is_mount(path) => (
            Level::Warning,
            format!(
                "the journal's socket is mounted by itself, and leads nowhere once journald \
                 starts anew; mount its folder, {MOUNT}"
            ),
        ),
        Ok(()) => (Level::Ok, "the journal can be reached".to_owned()),
        Err(error) => match error.kind() {
            ErrorKind::NotFound => (
                Level::Warning,
                format!(
                    "no journal can be reached, so notes go to standard error; in a container, \
                     mount its folder: {MOUNT}"
                ),
            ),
            ErrorKind::ConnectionRefused => (
                Level::Warning,
                format!(
                    "the journal's socket is there and nobody listens, so notes go to standard error; start \
                     systemd-journald, or in a container mount its folder, {MOUNT}"
                ),
            ),
            ErrorKind::PermissionDenied => (
                Level::Warning,
                "the journal's socket may not be written by this user, so notes go to standard error; let \
                 every user write it (chmod a+w), as journald does"
                    .to_owned(),
            ),
            _ => (
                Level::Warning,
                format!("the journal cannot be reached: {error}; see that systemd-journald runs"),
            ),
        },
    };
    report.say(level, About::Journal, path, text);
}
