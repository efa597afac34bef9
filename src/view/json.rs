//! The view for programs: one JSON object on one line, version 1.
//!
//! Fields are added and never change their meaning; `v` changes if one must. Times are ages and waits in
//! milliseconds, at `at_unix_ms`. Text of others is as it stands there, with what a terminal would obey
//! written as numbers.

use nix::errno::Errno;
use serde_json::{Map, Value};

use super::model::{Dir, Job, Lock, View, kind, shown};
use crate::core::text;
use crate::lock::listing::survey::Odd;
use crate::lock::pause::Pause;
use crate::lock::record::{By, Record, State};

/// The version of the object.
pub const VERSION: u32 = 1;

/// What the fields say, of the object and of what is in it: packaging/reference/status.md has the table, and the goldens' keys.
pub const FIELDS: &[(&str, &str)] = &[
    ("v", "1"),
    (
        "ok",
        "whether an init answers; with `false` the exit code is 69",
    ),
    ("silent", "why none does, and what to do; else null"),
    (
        "at_unix_ms",
        "when it was looked at, in milliseconds since 1970",
    ),
    (
        "init",
        "the init that answers: `name`, `pid`, `version`, `stopping`; else null",
    ),
    (
        "jobs",
        "each job in the order of the file, then runs of none; without an init the runs that claims tell of",
    ),
    (
        "jobs[].job, class, kind",
        "its names; `batch` or `interactive`",
    ),
    (
        "jobs[].state",
        "`idle`, `waiting-for-after`, `queued`, `running`, `ready`, `stopping`, `backing-off`, `given-up`, `stopped` or `over`, as init says it: a run that waits for its lock is `running`; without an init `running` or `waiting`",
    ),
    (
        "jobs[].since_ms, next_ms",
        "for how long it has stood so; in how long it starts next by itself; null: not known, not at all",
    ),
    (
        "jobs[].last",
        "how its last run ended: `code`, `reason`, `ago_ms`; null: none has",
    ),
    (
        "jobs[].run_id, outside, status",
        "its living run; whether somebody else than this init has begun it; what it says of itself",
    ),
    ("jobs[].lock", "the lock that its runs queue for, or pass"),
    (
        "jobs[].restarts, removed, of_no_job, main",
        "how often it was started again; whether the file names it no more; whether it is a command that no file names; whether its end is the container's",
    ),
    (
        "jobs[].claim",
        "what its run's claim says: a user, as below; null: it has none",
    ),
    (
        "locks",
        "each lock that the jobs, the file, the runs or the command line name",
    ),
    (
        "locks[].path, exists",
        "the lock; whether the file is there",
    ),
    (
        "locks[].holders, waiting",
        "users: who holds it (several: locks exclude nobody there); who waits, in the order of the queue",
    ),
    (
        "locks[].others",
        "users that have the same login and take no turn: interactive ones, and with another lock; and who waits for a directory first",
    ),
    (
        "locks[].unsaid",
        "runs that live and have not said yet what they are",
    ),
    (
        "locks[].unclaimed, unclaimed_names",
        "processes that hold it without a claim, where nobody claims to, as flock(1) does, only of our PID namespace; what each calls itself (null: not known, or it has gone and left the lock to another)",
    ),
    (
        "locks[].pauses",
        "what keeps runs from starting: `by`, `class`, `container`, `run_id`, `said`, `since_ms`, `left_ms`",
    ),
    (
        "locks[].no_claims, more_no_claims",
        "files beside it that are no claims, 16 at most: `name`, `why`; how many more",
    ),
    (
        "locks[].truncated, unread",
        "whether more lies there than is looked at; why nothing can be seen, else null",
    ),
    (
        "directories",
        "that runs known here lock: `dir`, `job`, `run_id`, `since_ms` (null: it only waits), `in_way` (who has it instead)",
    ),
    (
        "no_claims",
        "files among this container's claims that are none: `folder`, `name`, `why`",
    ),
    ("left_out", "what was not looked at, a sentence each"),
    (
        "user: run_id, job, class, kind, by",
        "the run; `batch` or `interactive`; begun by `init`, by `hand`, or a `command`",
    ),
    (
        "user: state, since_ms, since_unix_ms",
        "`waiting`, `waiting_for_dir`, `holding`, `running` or `unknown`, and since when",
    ),
    (
        "user: container, pid, uid, dirs",
        "where it runs; its command as that PID namespace numbers it; its user; the directories that it locks",
    ),
];

/// The view as one line.
pub fn line(view: &View) -> String {
    text::json(&value(view))
}

/// Whether nothing is different but what counts as time goes by. A tick that moved on is a difference;
/// that two clocks are read one after the other is none.
pub fn same(one: &View, other: &View) -> bool {
    const JITTER: u64 = 500;
    let near = |one: Option<u64>, other: Option<u64>| match (one, other) {
        (Some(one), Some(other)) => one.abs_diff(other) < JITTER,
        (one, other) => one.is_none() && other.is_none(),
    };
    let mut jobs = one.jobs.iter().zip(&other.jobs);
    let timeless = |view: &View| {
        let mut value = value(view);
        drop_times(&mut value);
        value.to_string()
    };
    jobs.all(|(one, other)| near(one.next, other.next) && near(one.since, other.since))
        && timeless(one) == timeless(other)
}

fn drop_times(value: &mut Value) {
    const TIMES: [&str; 5] = ["at_unix_ms", "since_ms", "next_ms", "ago_ms", "left_ms"];
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !TIMES.contains(&name.as_str()));
            fields.values_mut().for_each(drop_times);
        }
        Value::Array(values) => values.iter_mut().for_each(drop_times),
        _ => {}
    }
}

fn value(view: &View) -> Value {
    let now = view.now;
    let init = view.init.as_ref().map(|init| {
        object(&mut [
            ("name", init.name.as_str().into()),
            ("pid", init.pid.into()),
            ("version", init.version.as_str().into()),
            ("stopping", init.stopping.into()),
        ])
    });
    let odd = view.odd.iter().map(|(folder, odd)| {
        object(&mut [
            ("folder", shown(folder).into()),
            ("name", odd.name.as_str().into()),
            ("why", odd.why.as_str().into()),
        ])
    });
    object(&mut [
        ("v", VERSION.into()),
        ("ok", init.is_some().into()),
        ("silent", view.silent.clone().into()),
        ("at_unix_ms", now.into()),
        ("init", init.unwrap_or_default()),
        ("jobs", view.jobs.iter().map(|it| job(it, now)).collect()),
        ("locks", view.locks.iter().map(|it| lock(it, now)).collect()),
        (
            "directories",
            view.dirs.iter().map(|it| dir(it, now)).collect(),
        ),
        ("no_claims", odd.collect()),
        (
            "left_out",
            view.left_out.iter().map(String::as_str).collect(),
        ),
    ])
}

fn object(fields: &mut [(&str, Value)]) -> Value {
    let mut object = Map::new();
    for (name, value) in fields {
        object.insert((*name).to_owned(), value.take());
    }
    Value::Object(object)
}

fn job(job: &Job, now: u64) -> Value {
    let mut fields = job.said.clone();
    if fields.is_empty()
        && let Value::Object(told) = object(&mut [
            ("job", job.name.as_str().into()),
            ("class", job.class.as_str().into()),
            ("kind", job.kind.as_str().into()),
            ("state", job.state.as_str().into()),
            ("run_id", job.run_id.clone().into()),
            ("outside", job.by_hand.into()),
            ("since_ms", ago(job.since, now)),
            ("next_ms", Value::Null),
            ("last", Value::Null),
            ("restarts", 0.into()),
            ("status", Value::Null),
            ("removed", false.into()),
            ("of_no_job", is_command(job).into()),
            ("main", false.into()),
            ("lock", lock_of(job)),
        ])
    {
        fields = told;
    }
    let claim = job.claim.as_ref().map(|claim| user(claim, now));
    fields.insert("claim".to_owned(), claim.unwrap_or_default());
    Value::Object(fields)
}

fn is_command(job: &Job) -> bool {
    job.claim
        .as_ref()
        .is_some_and(|claim| claim.by == By::Command)
}

fn lock_of(job: &Job) -> Value {
    let claim = job.claim.as_ref();
    let lock = claim.and_then(|claim| claim.lock.as_deref());
    lock.map(shown).into()
}

fn user(record: &Record, now: u64) -> Value {
    let state = match record.state {
        State::Waiting => "waiting",
        State::WaitingForDir => "waiting_for_dir",
        State::Holding => "holding",
        State::Running => "running",
        State::Unknown => "unknown",
    };
    let by = match record.by {
        By::Init => "init",
        By::Hand => "hand",
        By::Command => "command",
        By::Unknown => "unknown",
    };
    object(&mut [
        ("run_id", record.run_id.as_str().into()),
        ("job", record.job.as_str().into()),
        ("class", record.class.as_str().into()),
        ("kind", kind(record).into()),
        ("by", by.into()),
        ("state", state.into()),
        ("since_ms", ago(Some(record.since_unix_ms), now)),
        ("since_unix_ms", record.since_unix_ms.into()),
        ("container", record.container.clone().into()),
        ("pid", record.pid.into()),
        ("uid", record.uid.into()),
        ("dirs", record.dirs.iter().map(|dir| shown(dir)).collect()),
    ])
}

fn lock(lock: &Lock, now: u64) -> Value {
    let facts = &lock.facts;
    let users = |records: &[Record]| records.iter().map(|it| user(it, now)).collect();
    let odd = facts.survey.odd.iter().chain(&facts.odd_pauses);
    let odd = odd.map(|Odd { name, why }| {
        object(&mut [("name", name.as_str().into()), ("why", why.as_str().into())])
    });
    object(&mut [
        ("path", shown(&facts.path).into()),
        ("exists", facts.exists.into()),
        ("holders", users(&lock.holders)),
        ("waiting", users(&lock.waiting)),
        ("others", users(&lock.others)),
        (
            "unsaid",
            facts.survey.unsaid.iter().map(String::as_str).collect(),
        ),
        (
            "unclaimed",
            facts.unclaimed.iter().map(|it| it.pid).collect(),
        ),
        (
            "unclaimed_names",
            facts
                .unclaimed
                .iter()
                .map(|it| it.name.as_deref())
                .collect(),
        ),
        (
            "pauses",
            facts.pauses.iter().map(|it| pause(it, now)).collect(),
        ),
        ("no_claims", odd.collect()),
        ("more_no_claims", facts.survey.more_odd.into()),
        ("truncated", facts.survey.truncated.into()),
        ("unread", facts.survey.unread.map(Errno::desc).into()),
    ])
}

fn pause(pause: &Pause, now: u64) -> Value {
    object(&mut [
        ("by", pause.by.as_str().into()),
        ("class", pause.class.clone().into()),
        ("container", pause.container.clone().into()),
        ("run_id", pause.run_id.clone().into()),
        ("said", pause.said.as_str().into()),
        ("since_ms", ago(Some(pause.set), now)),
        ("left_ms", pause.until.saturating_sub(now).into()),
    ])
}

fn dir(dir: &Dir, now: u64) -> Value {
    object(&mut [
        ("dir", shown(&dir.dir).into()),
        ("job", dir.job.as_str().into()),
        ("run_id", dir.run_id.as_str().into()),
        ("since_ms", ago(dir.since, now)),
        ("in_way", dir.in_way.clone().into()),
    ])
}

fn ago(since: Option<u64>, now: u64) -> Value {
    since.map(|since| now.saturating_sub(since)).into()
}
