//! `lockkeeper lock show`: one directory's lock, or who holds a shared lock and who waits for it.

use std::os::fd::OwnedFd;
use std::path::{Path, absolute};

use serde_json::Value;

use super::super::check::wrap;
use super::text::{advice, ago};
use super::{code, json, tell, unseen};
use crate::cli::LockArgs;
use crate::config::plan::SharedMount;
use crate::lock::dir::conflict::Owner;
use crate::lock::dir::in_use::{self, InUse, Reach};
use crate::lock::fault::Quoted;
use crate::lock::folders::claims_folder;
use crate::lock::listing;
use crate::lock::pause;
use crate::lock::placement;
use crate::lock::record::{Kind, Named, Record, State};
use crate::lock::scan::look::{Judge, look_at};
use crate::lock::unclaimed::{self, Effort};
use crate::run::start::Refused;

pub(super) fn show(args: &LockArgs, report: Option<OwnedFd>) -> Result<u8, Refused> {
    let named = args.paths.first().map_or(Path::new("."), |path| path);
    let path = match named.canonicalize() {
        Ok(path) => path,
        // A run that was refused for the place of its lock has not made it.
        Err(error) => match absolute(named) {
            Ok(path) if placement::check(&path, SharedMount::Auto).is_err() => path,
            _ => return Err(unseen(named, &error)),
        },
    };
    if path.is_dir() {
        directory(args, &path, report)
    } else {
        shared(args, &path, report)
    }
}

fn directory(args: &LockArgs, path: &Path, report: Option<OwnedFd>) -> Result<u8, Refused> {
    let failed = |error| unseen(path, &error);
    let lock = look_at(path, &Judge::new()).map_err(failed)?;
    let in_use = in_use::look(path).map_err(failed)?;
    let known = lock.as_ref().map(|lock| Value::Object(json::lock(lock)));
    let mut whole = json::versioned();
    whole.extend(json::object(&mut [
        ("dir", json::path(path)),
        ("lock", known.unwrap_or_default()),
        ("in_use", workers(&in_use)),
    ]));
    tell(args, report, &whole.into(), &mut || {
        let word = lock.as_ref().map_or("not locked", |lock| lock.state.word());
        let mut text = format!("{}: {word}\n", Quoted(path));
        let mut say = |line: String| wrap(&mut text, &format!("    {line}"), "      ");
        if let Some(lock) = &lock {
            if let Some(record) = &lock.record {
                let ago = ago(&record.acquired_at).unwrap_or_default();
                say(format!("{}, {ago} ago", Owner(record)));
            }
            say(advice(lock));
        }
        say(in_use.to_string());
        text
    })?;
    Ok(code(lock.is_some_and(|lock| lock.state.needs_a_person())))
}

fn workers(in_use: &InUse) -> Value {
    let inside = in_use.inside.iter().map(|worker| {
        let name = worker.name.as_str().into();
        Value::Object(json::object(&mut [
            ("pid", worker.pid.into()),
            ("name", name),
        ]))
    });
    let reach = match in_use.reach {
        Reach::Machine => "machine",
        Reach::Container => "container",
        Reach::Own => "own",
        Reach::Nothing => "nothing",
    };
    Value::Object(json::object(&mut [
        ("inside", Value::Array(inside.collect())),
        ("unseen", in_use.unseen.into()),
        ("reach", reach.into()),
    ]))
}

fn shared(args: &LockArgs, path: &Path, report: Option<OwnedFd>) -> Result<u8, Refused> {
    let listing = listing::list(&claims_folder(path));
    let queue = listing::queue(&claims_folder(path));
    let alive = |(_, alive): &&(Record, bool)| *alive;
    let living = || queue.claims.iter().filter(alive).map(|(record, _)| record);
    let all = listing.claims.iter().filter(alive);
    let waits = |record: &&Record| record.state == State::Waiting;
    let passes = |record: &&Record| record.kind == Kind::Interactive;
    let holders: Vec<&Record> = living().filter(|it| it.holds()).collect();
    let waiting: Vec<&Record> = living().filter(waits).collect();
    let interactive: Vec<&Record> = all.map(|(record, _)| record).filter(passes).collect();
    let array = |records: &[&Record]| {
        let value = |record: &&Record| {
            let text = serde_json::to_vec(record).unwrap_or_default();
            serde_json::from_slice(&text).unwrap_or_default()
        };
        Value::Array(records.iter().map(value).collect())
    };
    let unclaimed = unclaimed::look(path, &living().collect::<Vec<_>>(), Effort::All);
    let (placed, place) = match placement::check(path, SharedMount::Auto) {
        Ok(verdict) => {
            let texts = verdict.remarks.into_iter().map(|remark| remark.text);
            (true, texts.collect())
        }
        Err(refusal) => (false, vec![refusal.to_string()]),
    };
    let paused = pause::pauses(path);
    let mut whole = json::versioned();
    whole.extend(json::object(&mut [
        ("path", json::path(path)),
        ("holders", array(&holders)),
        ("unclaimed", unclaimed.iter().map(|it| it.pid).collect()),
        (
            "unclaimed_names",
            unclaimed.iter().map(|it| it.name.as_deref()).collect(),
        ),
        ("waiting", array(&waiting)),
        ("interactive", array(&interactive)),
        (
            "pauses",
            paused.active.iter().map(super::super::pause::one).collect(),
        ),
        ("placed", placed.into()),
        ("place", place.clone().into()),
        ("ignored", listing.ignored.into()),
        ("truncated", listing.truncated.into()),
    ]));
    tell(args, report, &whole.into(), &mut || {
        let mut text = format!("{}: a shared lock\n", Quoted(path));
        let mut say = |line: String| wrap(&mut text, &format!("    {line}"), "      ");
        for holder in &unclaimed {
            say(format!("held by {}", holder.in_full()));
        }
        if holders.is_empty() && unclaimed.is_empty() {
            let elsewhere = if in_use::reach() == Reach::Machine {
                ""
            } else {
                ", and in another container nobody who does so can be seen from here"
            };
            say(format!(
                "nobody says that he holds it (flock(1) leaves no claim{elsewhere})"
            ));
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
        for pause in &paused.active {
            say(format!("no batch run starts {pause}"));
        }
        for (name, why) in &paused.ignored {
            let path = pause::folder(path).join(name);
            say(format!(
                "{} is no pause and stops nobody: {why}",
                Quoted(&path)
            ));
        }
        for text in &place {
            say(text.clone());
        }
        if listing.ignored > 0 {
            say(format!(
                "{} claims that cannot be believed",
                listing.ignored
            ));
        }
        text
    })?;
    Ok(code(!placed))
}
