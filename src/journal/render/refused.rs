//! Why a run was not begun: the words for a condition that does not hold.

use std::path::Path;

use nix::errno::Errno;

use super::super::words::{Bytes, until};
use crate::core::pause::At;
use crate::core::refusal::Refusal;
use crate::core::shell::Command;
use crate::trouble;

/// What does not hold, and what to do.
#[expect(
    clippy::unnecessary_debug_formatting,
    reason = "a path stands in quotes, and what is no text in it as an escape"
)]
pub fn because(refusal: &Refusal) -> String {
    match refusal {
        Refusal::NoPath { path, errno } => {
            let why = trouble::why(Errno::from_raw(*errno));
            format!("{path:?}, which require_path asks for, is not there ({why})")
        }
        Refusal::NoVariable { name } => {
            format!("the variable {name}, which require_env asks for, has no value")
        }
        Refusal::File {
            variable,
            path,
            line,
            why,
        } => {
            // Behind `NAME:` would stand a secret.
            let of = match variable {
                Some(name) => format!("has the value of {name}"),
                None => "env_file names".to_owned(),
            };
            let line = line.map_or_else(String::new, |line| format!(", in line {line}"));
            format!("{path:?}, which {of}, cannot be used{line}: {why}")
        }
        Refusal::Memory {
            wanted,
            free,
            group,
        } => {
            let place = match group {
                Some(group) => format!("control group {group:?}"),
                None => "this machine".to_owned(),
            };
            let (free, wanted) = (Bytes(*free), Bytes(*wanted));
            format!("{place} has {free} of memory left, and require_free_memory asks for {wanted}")
        }
        Refusal::NoFolder { path, why } => {
            format!("the folder {path:?}, which create_dirs names, is not to be had: {why}")
        }
        Refusal::Paused {
            lock,
            until: end,
            set,
            left,
            by,
            said,
        } => {
            let end = until(*end, *left);
            format!(
                "no batch run on lock {lock:?} starts until {end}, by word of {by} since {}: {said:?}; \
                 to end that pause: {}",
                At(*set),
                end_pause(lock)
            )
        }
        Refusal::Silent { path } => format!(
            "the file system of {path:?} does not answer; find out what has become of its mount"
        ),
        Refusal::NotAsked { errno } => {
            format!("its conditions cannot be asked: {}", trouble::text(*errno))
        }
    }
}

pub(super) const fn end_pause(lock: &Path) -> Command<'_> {
    Command::on("lockkeeper pause end", lock)
}
