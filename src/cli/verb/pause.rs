//! `lockkeeper pause`: pauses for all who use a login, seen, set and ended by people. Straight on the
//! folder beside the lock, so that it needs no init, and does the same in every container.
//!
//! The JSON object, version 1: `v` and `locks`, each with `path`, `pauses` (those that stand, the longest
//! first: `until_unix_ms`, `set_unix_ms`, `by`, `class`, `run_id`, `container`, `said`) and `ignored`
//! (what is no pause and stops nobody: `path`, `why`); of `pause end` also `ended`, how many entries were
//! removed, and `left`: those that could not be (`path`, `why`).

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf, absolute};
use std::time::Duration;

use serde_json::{Value, json};

use super::lock::user;
use super::start::{adopt_report, config_path, host_name, load, refused};
use crate::cli::flags::Verb;
use crate::cli::suggest::nearest;
use crate::cli::{PauseArgs, print};
use crate::config::plan::LOCK_NAME;
use crate::core::note::Note;
use crate::core::pause::end;
use crate::core::shell::Command;
use crate::core::text::json as one_line;
use crate::exit;
use crate::journal::{Context, Format, Journal, Speaker, Verbosity};
use crate::lock::fault::Quoted;
use crate::lock::folders::claims_folder;
use crate::lock::pause::{self, Ended, Pause, Pauses};
use crate::run::pause::failed;
use crate::run::start::Refused;
use crate::sys::{clock, signals};
use crate::trouble;

/// How long the note may take to reach the journal.
const FLUSH: Duration = Duration::from_secs(1);

/// Whose pauses are meant, and what the container is called.
struct Meant {
    locks: Vec<PathBuf>,
    container: Option<String>,
}

/// Does what `args` ask for; says the exit code.
pub fn pause(args: &PauseArgs) -> Result<u8, Refused> {
    signals::let_through();
    let report = args.report.map(adopt_report).transpose()?;
    let meant = meant(args)?;
    let (mut text, mut locks, mut code) = (String::new(), Vec::new(), exit::OK);
    for lock in &meant.locks {
        let ended = match (args.verb, args.length) {
            (Verb::PauseEnd, _) => Some(end_all(lock, &meant)?),
            (_, Some(length)) => {
                set(lock, length, args, &meant)?;
                None
            }
            _ => None,
        };
        let found = pause::pauses(lock);
        pause::tidy(lock, &found);
        if ended.as_ref().is_some_and(|ended| !ended.left.is_empty()) {
            code = exit::NEEDS_A_PERSON;
        }
        words(&mut text, lock, &found, ended.as_ref());
        locks.push(object(lock, &found, ended.as_ref()));
    }
    let json = one_line(&json!({"v": 1, "locks": locks}));
    if let Some(report) = report {
        // A descriptor that cannot be written is the caller's loss.
        let _ = File::from(report).write_all(json.as_bytes());
    }
    let said = match args.verbosity {
        _ if args.json => json,
        Verbosity::Quiet => String::new(),
        _ => text,
    };
    print::out(&said).map_err(|errno| {
        let why = trouble::why(errno);
        refused(exit::FAILED, format!("printing the result: {why}"))
    })?;
    Ok(code)
}

/// The locks that were named, each by its file or by the folder of the login; else those of the file.
fn meant(args: &PauseArgs) -> Result<Meant, Refused> {
    if !args.locks.is_empty() {
        let locks = args.locks.iter().map(|named| lock_at(named));
        return Ok(Meant {
            locks: locks.collect::<Result<_, _>>()?,
            container: host_name(),
        });
    }
    let path = config_path(args.config.as_deref());
    let loaded = load(&path)?;
    let mut locks: Vec<PathBuf> = Vec::new();
    for class in &loaded.classes {
        let of_class = class.pause_locks().into_iter();
        // Who uses the login is stopped by what lies beside its own lock.
        let most = if args.length.is_some() { 1 } else { usize::MAX };
        for lock in of_class.take(most) {
            if !locks.contains(&lock) {
                locks.push(lock);
            }
        }
    }
    if locks.is_empty() {
        let text = format!(
            "finding the lock in {}: no class there has one; name it: lockkeeper pause LOCK",
            Quoted(&path)
        );
        return Err(refused(exit::CONFIG, text));
    }
    let container = Some(loaded.plan.init.name);
    Ok(Meant { locks, container })
}

fn lock_at(named: &Path) -> Result<PathBuf, Refused> {
    let unseen = |why: &str| {
        let text = format!(
            "finding the lock {}: {why}; name the lock file, or the folder of the login",
            Quoted(named)
        );
        refused(exit::FAILED, text)
    };
    let path = absolute(named).map_err(|error| unseen(&trouble::text_of(&error)))?;
    let lock = if path.is_dir() {
        path.join(LOCK_NAME)
    } else {
        path
    };
    if lock.exists() || claims_folder(&lock).exists() {
        Ok(lock)
    } else {
        Err(match nearest(&named.to_string_lossy(), ["end"]) {
            Some(_) => unseen("there is none; did you mean `lockkeeper pause end`?"),
            None => unseen("there is none"),
        })
    }
}

fn set(lock: &Path, length: Duration, args: &PauseArgs, meant: &Meant) -> Result<(), Refused> {
    let now = clock::unix_ms();
    let by = args.by.clone().unwrap_or_else(user);
    let said = args.reason.clone().unwrap_or_default();
    let pause = Pause {
        until: end(now, length),
        set: now,
        by: by.clone(),
        container: meant.container.clone(),
        said: said.clone(),
        ..Pause::default()
    };
    pause::set(lock, &pause).map_err(|errno| {
        let text = format!("setting a pause: {}", failed(lock, errno));
        refused(exit::FAILED, text)
    })?;
    note(
        meant,
        Note::PauseSet {
            lock: lock.to_owned(),
            until: pause.until,
            length,
            by: Some(by),
            said,
        },
    );
    Ok(())
}

fn end_all(lock: &Path, meant: &Meant) -> Result<Ended, Refused> {
    let count = pause::pauses(lock).active.len();
    let ended = pause::end(lock).map_err(|errno| {
        let (folder, why) = (pause::folder(lock), trouble::why(errno));
        let text = format!(
            "ending the pauses in {}: {why}; remove what lies there by hand, as a user who may",
            Quoted(&folder)
        );
        refused(exit::FAILED, text)
    })?;
    if ended.removed > 0 {
        note(
            meant,
            Note::PauseEnded {
                lock: lock.to_owned(),
                by: user(),
                count,
            },
        );
    }
    Ok(ended)
}

/// Tells the journal, where there is one: who looks for the reason looks there.
fn note(meant: &Meant, note: Note) {
    let context = Context {
        container_name: meant.container.clone(),
        job: None,
        class: None,
        run_id: None,
        file: None,
        speaker: Speaker::Run,
        format: Format::Text,
        secrets: std::sync::Arc::default(),
    };
    let journal = Journal::new(context, Verbosity::Quiet);
    journal.note(note);
    journal.finish(FLUSH);
}

fn words(text: &mut String, lock: &Path, found: &Pauses, ended: Option<&Ended>) {
    let lock_shown = Quoted(lock);
    if let Some(ended) = ended.filter(|ended| ended.removed > 0) {
        let _ = writeln!(text, "{lock_shown}: ended, {} removed", ended.removed);
    }
    for pause in &found.active {
        let _ = writeln!(text, "{lock_shown}: no batch run starts {pause}");
    }
    match (found.active.is_empty(), ended) {
        (true, None) => {
            let _ = writeln!(text, "{lock_shown}: no pause");
        }
        (true, Some(ended)) if ended.removed == 0 => {
            let _ = writeln!(text, "{lock_shown}: there was no pause");
        }
        (true, Some(_)) => {}
        (false, _) => {
            let end = Command::on("lockkeeper pause end", lock);
            let _ = writeln!(text, "    to end it: {end}");
        }
    }
    for (name, why) in &found.ignored {
        let path = pause::folder(lock).join(name);
        let path = Quoted(&path);
        let _ = writeln!(text, "    {path} is no pause and stops nobody: {why}");
    }
    for (name, errno) in ended.iter().flat_map(|ended| &ended.left) {
        let path = pause::folder(lock).join(name);
        let (path, why) = (Quoted(&path), trouble::why(*errno));
        let _ = writeln!(text, "    {path} could not be removed: {why}");
    }
}

/// What lies beside one lock, for programs.
pub(super) fn object(lock: &Path, found: &Pauses, ended: Option<&Ended>) -> Value {
    let at = |name: &std::ffi::OsString| {
        pause::folder(lock)
            .join(name)
            .to_string_lossy()
            .into_owned()
    };
    let ignored = found.ignored.iter();
    let ignored = ignored.map(|(name, why)| json!({"path": at(name), "why": why}));
    let mut object = json!({
        "path": lock.to_string_lossy(),
        "pauses": found.active.iter().map(one).collect::<Vec<_>>(),
        "ignored": ignored.collect::<Vec<_>>(),
    });
    if let (Some(ended), Some(fields)) = (ended, object.as_object_mut()) {
        let left = ended.left.iter();
        let left = left.map(|(name, errno)| json!({"path": at(name), "why": trouble::why(*errno)}));
        fields.insert("ended".to_owned(), ended.removed.into());
        fields.insert("left".to_owned(), left.collect());
    }
    object
}

/// One pause, for programs.
pub(super) fn one(pause: &Pause) -> Value {
    json!({
        "until_unix_ms": pause.until,
        "set_unix_ms": pause.set,
        "by": pause.by,
        "class": pause.class,
        "run_id": pause.run_id,
        "container": pause.container,
        "said": pause.said,
    })
}
