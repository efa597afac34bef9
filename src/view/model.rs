//! From what was looked at to what is shown. All times are points in time, in milliseconds since 1970,
//! so that a view stays true while it is shown; what counts from them is the renderers' to say.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::lock::listing::survey::{Odd, Survey};
use crate::lock::pause::Pause;
use crate::lock::record::{By, Kind, Record, State};
use crate::lock::unclaimed::Holder;

/// What was looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// When.
    pub now: u64,
    /// init's reply to `status`.
    pub init: Option<Value>,
    /// Why no init answers, where none does.
    pub silent: Option<String>,
    /// The living runs of this container, as claims tell, and what among those is none.
    pub runs: Vec<Record>,
    /// What is no claim among those, by folder.
    pub odd: Vec<(PathBuf, Odd)>,
    /// The locks.
    pub locks: Vec<LockFacts>,
    /// The directories that the runs lock.
    pub dirs: Vec<Dir>,
    /// What was left out, a sentence each.
    pub left_out: Vec<String>,
}

/// A lock, and what lies beside it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LockFacts {
    /// Where it lies.
    pub path: PathBuf,
    /// Whether anything does.
    pub exists: bool,
    /// Its claims.
    pub survey: Survey,
    /// The processes that hold it by the kernel's table, where nobody claims to.
    pub unclaimed: Vec<Holder>,
    /// The pauses that stand, and what among them is none.
    pub pauses: Vec<Pause>,
    /// Files among the pauses that are none.
    pub odd_pauses: Vec<Odd>,
}

/// A directory that a run locks, or wants to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dir {
    /// Which.
    pub dir: PathBuf,
    /// The run.
    pub run_id: String,
    /// Its job.
    pub job: String,
    /// Since when the run has it; `None`: it has not.
    pub since: Option<u64>,
    /// Who has it instead, in words.
    pub in_way: Option<String>,
}

/// What is shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct View {
    /// When it was looked at.
    pub now: u64,
    /// The init that answers.
    pub init: Option<Init>,
    /// Why none does.
    pub silent: Option<String>,
    /// Jobs, and runs of none.
    pub jobs: Vec<Job>,
    /// Locks.
    pub locks: Vec<Lock>,
    /// Directories.
    pub dirs: Vec<Dir>,
    /// Files among this container's claims that are none.
    pub odd: Vec<(PathBuf, Odd)>,
    /// What was left out, a sentence each.
    pub left_out: Vec<String>,
}

/// The init that answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Init {
    /// As it says.
    pub name: String,
    /// Its process, as its own PID namespace numbers it.
    pub pid: u64,
    /// Its version.
    pub version: String,
    /// Whether it is about to end.
    pub stopping: bool,
}

/// A job and its run, or a run of no job.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Job {
    /// What init says of it, whole; empty: init says nothing.
    pub said: Map<String, Value>,
    /// Its name.
    pub name: String,
    /// Its class.
    pub class: String,
    /// `batch` or `interactive`.
    pub kind: String,
    /// Where it stands, in init's word, or the claim's.
    pub state: String,
    /// Since when.
    pub since: Option<u64>,
    /// When it starts next by itself.
    pub next: Option<u64>,
    /// How its last run ended.
    pub last: Option<Last>,
    /// How often it was started again.
    pub restarts: u64,
    /// Its living run.
    pub run_id: Option<String>,
    /// Somebody has begun that by hand.
    pub by_hand: bool,
    /// What its run says of itself.
    pub status: Option<String>,
    /// What the run's claim says.
    pub claim: Option<Record>,
}

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Last {
    /// Its exit code.
    pub code: u64,
    /// Why, in one word.
    pub reason: Option<String>,
    /// When.
    pub at: u64,
}

/// A lock, and who uses it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    /// The lock, its pauses, and what is odd beside it.
    pub facts: LockFacts,
    /// Who holds it: one, or more where locks there exclude nobody.
    pub holders: Vec<Record>,
    /// Who waits for it, in the order of the queue.
    pub waiting: Vec<Record>,
    /// Who passes it: interactive ones, and who has the same login and another lock; and who will queue
    /// when he has his directory.
    pub others: Vec<Record>,
}

impl View {
    /// What these facts make.
    pub fn of(facts: Facts) -> Self {
        let Facts {
            now,
            init: reply,
            silent,
            runs,
            odd,
            locks,
            dirs,
            left_out,
        } = facts;
        let init = reply.as_ref().and_then(init_of);
        let rows = reply.as_ref().and_then(|reply| reply.get("jobs"));
        let rows = rows.and_then(Value::as_array);
        let mut jobs: Vec<Job> = rows
            .into_iter()
            .flatten()
            .filter_map(Value::as_object)
            .map(|row| said(row, now))
            .collect();
        let of_init = jobs.len();
        for record in runs {
            let own = |job: &&mut Job| job.run_id.as_deref() == Some(&record.run_id);
            if let Some(job) = jobs.iter_mut().take(of_init).find(own) {
                job.refine(record);
            } else if init
                .as_ref()
                .is_none_or(|init| is_seen_beside(init, &record))
            {
                jobs.push(claimed(record));
            }
        }
        Self {
            now,
            init,
            silent,
            jobs,
            locks: locks.into_iter().map(Lock::of).collect(),
            dirs,
            odd,
            left_out,
        }
    }
}

/// A run by hand in this container that its init does not know yet.
fn is_seen_beside(init: &Init, record: &Record) -> bool {
    let by_hand = matches!(record.by, By::Hand | By::Command);
    by_hand && (init.pid == 1 || record.container.as_deref() == Some(&init.name))
}

fn init_of(reply: &Value) -> Option<Init> {
    let init = reply.get("init")?;
    Some(Init {
        name: text(init, "name").unwrap_or_default(),
        pid: number(init, "pid").unwrap_or_default(),
        version: text(init, "version").unwrap_or_default(),
        stopping: is(init, "stopping"),
    })
}

fn said(row: &Map<String, Value>, now: u64) -> Job {
    let whole = Value::Object(row.clone());
    let ago = |of: &Value, key| Some(now.saturating_sub(number(of, key)?));
    let last = whole.get("last").filter(|last| last.is_object());
    Job {
        name: text(&whole, "job").unwrap_or_default(),
        class: text(&whole, "class").unwrap_or_default(),
        kind: text(&whole, "kind").unwrap_or_default(),
        state: text(&whole, "state").unwrap_or_default(),
        since: ago(&whole, "since_ms"),
        next: number(&whole, "next_ms").map(|next| now.saturating_add(next)),
        last: last.map(|last| Last {
            code: number(last, "code").unwrap_or_default(),
            reason: text(last, "reason"),
            at: ago(last, "ago_ms").unwrap_or(now),
        }),
        restarts: number(&whole, "restarts").unwrap_or_default(),
        run_id: text(&whole, "run_id"),
        by_hand: is(&whole, "outside"),
        status: text(&whole, "status"),
        claim: None,
        said: row.clone(),
    }
}

/// A run of which the claim alone tells.
fn claimed(record: Record) -> Job {
    let mut job = Job {
        name: record.job.clone(),
        class: record.class.clone(),
        kind: kind(&record).to_owned(),
        state: "running".to_owned(),
        run_id: Some(record.run_id.clone()),
        by_hand: matches!(record.by, By::Hand | By::Command),
        ..Job::default()
    };
    job.refine(record);
    job
}

impl Job {
    fn refine(&mut self, claim: Record) {
        if self.state == "running" {
            let waits = matches!(claim.state, State::Waiting | State::WaitingForDir);
            if waits {
                "waiting".clone_into(&mut self.state);
            }
            if waits || claim.state == State::Running {
                self.since = Some(claim.since_unix_ms);
            }
        }
        self.claim = Some(claim);
    }
}

impl Lock {
    fn of(mut facts: LockFacts) -> Self {
        let living = std::mem::take(&mut facts.survey.living).into_iter();
        let (holders, rest): (Vec<Record>, Vec<Record>) = living.partition(Record::holds);
        let waits = |record: &Record| record.state == State::Waiting;
        let (waiting, mut others): (Vec<Record>, _) = rest.into_iter().partition(waits);
        others.append(&mut facts.survey.beside);
        Self {
            facts,
            holders,
            waiting,
            others,
        }
    }

    /// Each run, with what it is to the lock: `held`, its place in the queue, `passes`, or else.
    pub fn rows(&self) -> impl Iterator<Item = (String, &Record)> {
        let held = self.holders.iter().map(|it| ("held".to_owned(), it));
        let places = self.waiting.iter().enumerate();
        let waiting = places.map(|(place, it)| (format!("{}.", place + 1), it));
        let others = self.others.iter().map(|it| {
            let word = match (it.kind, it.state) {
                (_, State::WaitingForDir) => "later",
                (Kind::Unknown, _) | (_, State::Unknown) => "unclear",
                _ => "passes",
            };
            (word.to_owned(), it)
        });
        held.chain(waiting).chain(others)
    }
}

/// The word of a record's kind.
pub const fn kind(record: &Record) -> &'static str {
    match record.kind {
        Kind::Batch => "batch",
        Kind::Interactive => "interactive",
        Kind::Unknown => "unknown",
    }
}

fn text(object: &Value, key: &str) -> Option<String> {
    object.get(key)?.as_str().map(str::to_owned)
}

fn number(object: &Value, key: &str) -> Option<u64> {
    object.get(key)?.as_u64()
}

fn is(object: &Value, key: &str) -> bool {
    object.get(key).and_then(Value::as_bool) == Some(true)
}

/// A path as text, with marks where it is none.
pub fn shown(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
