//! `lockkeeper lock show`: one directory's lock, or who holds a shared lock and who waits for it.

use std::fmt::Write as _;
use std::os::fd::OwnedFd;
use std::path::Path;

use serde_json::Value;

use super::super::check::wrap;
use super::text::{advice, ago, owner};
use super::{code, json, tell, unseen};
use crate::cli::LockArgs;
use crate::lock::dir::record::{DirRecord, Plain};
use crate::lock::fault::Quoted;
use crate::lock::folders::claims_folder;
use crate::lock::listing;
use crate::lock::record::{Kind, Named, Record, State};
use crate::lock::scan::look::{Judge, Lock, look_at};
use crate::run::start::Refused;

pub(super) fn show(args: &LockArgs, report: Option<OwnedFd>) -> Result<u8, Refused> {
    let named = args.paths.first().map_or(Path::new("."), |path| path);
    let path = named
        .canonicalize()
        .map_err(|error| unseen(named, &error))?;
    if path.is_dir() {
        directory(args, &path, report)
    } else {
        shared(args, &path, report)
    }
}

fn directory(args: &LockArgs, path: &Path, report: Option<OwnedFd>) -> Result<u8, Refused> {
    let lock = look_at(path, &Judge::new()).map_err(|error| unseen(path, &error))?;
    let mut whole = json::versioned();
    whole.extend(json::object([
        ("dir", json::path(path)),
        (
            "lock",
            lock.as_ref()
                .map_or(Value::Null, |lock| json::lock(lock).into()),
        ),
    ]));
    tell(args, report, &whole.into(), || {
        let mut text = String::new();
        match &lock {
            None => {
                let _ = writeln!(text, "{}: not locked", Quoted(path));
            }
            Some(lock) => of_directory(&mut text, lock),
        }
        text
    })?;
    Ok(code(lock.is_some_and(|lock| lock.state.needs_a_person())))
}

fn of_directory(text: &mut String, lock: &Lock) {
    let _ = writeln!(text, "{}: {}", Quoted(&lock.dir), lock.state.word());
    let mut say = |line: String| wrap(text, &format!("    {line}"), "      ");
    if let Some(record) = &lock.record {
        say(format!("owner: {}", who(record)));
        if let Some(ago) = ago(&record.acquired_at) {
            say(format!("since: {} ({ago})", Plain(&record.acquired_at)));
        }
        if let Some(reason) = &record.reason {
            say(format!("reason: {}", Plain(reason)));
        }
    }
    say(format!("why: {}", advice(lock)));
}

/// All that a record tells of its owner.
fn who(record: &DirRecord) -> String {
    let mut text = owner(record);
    let more = [
        ("class", record.class.as_deref()),
        ("run", record.run_id.as_deref()),
        ("session", Some(record.session_id.as_str())),
        ("host", Some(record.hostname.as_str())),
    ];
    if !record.is_manual() {
        let _ = write!(text, ", process {}", record.pid);
    }
    for (name, value) in more {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            let _ = write!(text, ", {name} {}", Plain(value));
        }
    }
    match record.state {
        Some(State::Waiting) => text.push_str(", waits for a shared lock"),
        Some(State::Running) => text.push_str(", runs"),
        _ => {}
    }
    text
}

fn shared(args: &LockArgs, path: &Path, report: Option<OwnedFd>) -> Result<u8, Refused> {
    let listing = listing::list(&claims_folder(path));
    let living = || {
        let claims = listing.claims.iter();
        claims.filter(|(_, alive)| *alive).map(|(record, _)| record)
    };
    let waits = |record: &&Record| record.state == State::Waiting;
    let passes = |record: &&Record| record.kind == Kind::Interactive;
    let holders: Vec<&Record> = living().filter(|it| !waits(it) && !passes(it)).collect();
    let waiting: Vec<&Record> = living().filter(waits).collect();
    let interactive: Vec<&Record> = living().filter(passes).collect();
    let array = |records: &[&Record]| {
        let value = |record: &&Record| serde_json::to_value(record).unwrap_or_default();
        Value::Array(records.iter().map(value).collect())
    };
    let mut whole = json::versioned();
    whole.extend(json::object([
        ("path", json::path(path)),
        ("holders", array(&holders)),
        ("waiting", array(&waiting)),
        ("interactive", array(&interactive)),
        ("ignored", listing.ignored.into()),
        ("truncated", listing.truncated.into()),
    ]));
    tell(args, report, &whole.into(), || {
        let mut text = format!("{}: a shared lock\n", Quoted(path));
        let mut say = |line: String| wrap(&mut text, &format!("    {line}"), "      ");
        if holders.is_empty() {
            say("nobody says that he holds it (flock(1) leaves no claim)".to_owned());
        }
        for record in &holders {
            say(format!("held by {}", Named(record)));
        }
        for (place, record) in (1..).zip(&waiting) {
            say(format!("{place}. in the queue: {}", Named(record)));
        }
        for record in &interactive {
            say(format!("passed by {}", Named(record)));
        }
        if listing.ignored > 0 {
            say(format!(
                "{} claims that cannot be believed",
                listing.ignored
            ));
        }
        text
    })?;
    Ok(code(false))
}
