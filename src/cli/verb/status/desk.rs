//! Looking: what init answers, and what lies among the claims.
//!
//! State: the connection to init and its last answer; the locks that were named once, by the command
//! line, the file or init, which stay on the desk while it is there.
//!
//! Order: init is asked first, then the claims of this container's runs, then those beside each lock.
//! Bounded: so many locks and directories, and of each what `listing::survey` says.

use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use serde_json::Value;

use super::super::start::{config_path, load, refused};
use crate::cli::StatusArgs;
use crate::config::load::Loaded;
use crate::config::plan::{LOCK_NAME, shared_lock};
use crate::exit;
use crate::init::control::ask::{Conversation, HELLO, Silence};
use crate::init::control::place;
use crate::init::control::words::Request;
use crate::lock::dir::conflict::Owner;
use crate::lock::fault::Quoted;
use crate::lock::folders::claims_folder;
use crate::lock::listing::survey::{Odd, in_order, survey};
use crate::lock::pause;
use crate::lock::record::{Origin, Record};
use crate::lock::scan::look;
use crate::lock::unclaimed::{self, Effort};
use crate::run::start::Refused;
use crate::sys::clock;
use crate::view::model::{Dir, Facts, LockFacts, View};

/// How long init may take to say how its jobs stand.
const STATUS: Duration = Duration::from_secs(10);
/// So many locks are looked at.
const MOST_LOCKS: usize = 64;
/// So many directories.
const MOST_DIRS: usize = 256;

/// What has been asked for, and what is known so far.
#[derive(Debug)]
pub(super) struct Desk {
    socket: Option<PathBuf>,
    origin: Origin,
    /// The locks, the named ones first.
    locks: Vec<PathBuf>,
    /// A file that is there, and cannot be used.
    wrong_file: Option<String>,
    file: Option<PathBuf>,
    pub(super) init: Option<Conversation>,
    /// As soon as this is readable init is not waited for any longer.
    pub(super) stop: Option<OwnedFd>,
    /// Its last answer, and when that came.
    pub(super) reply: Option<Value>,
    silent: Option<String>,
    /// The folders whose changes change what is shown; one that is none yet, or never will be, is a name
    /// in the folder above.
    pub(super) folders: Vec<PathBuf>,
}

impl Desk {
    /// Takes the locks that the command line and the file of `-c` name.
    pub(super) fn new(args: &StatusArgs) -> Result<Self, Refused> {
        let mut desk = Self {
            socket: args.socket.clone(),
            origin: Origin::read(),
            locks: Vec::new(),
            wrong_file: None,
            file: None,
            init: None,
            stop: None,
            reply: None,
            silent: None,
            folders: Vec::new(),
        };
        for path in &args.locks {
            // The folder of a login stands for the lock in it.
            let inside = path.is_dir().then(|| path.join(LOCK_NAME));
            let path = inside.as_ref().unwrap_or(path);
            let whole = std::path::absolute(path).unwrap_or_else(|_| path.clone());
            // One that a file names may not have been made yet; one that is typed may be mistyped.
            if whole.symlink_metadata().is_err() {
                let text = "it is not there; name a lock that is, or leave it out to see all jobs";
                let text = format!("cannot look at {}: {text}", Quoted(path));
                return Err(refused(exit::FAILED, text));
            }
            desk.add(whole);
        }
        match &args.config {
            Some(path) => desk.take_file(&load(path)?),
            // Of use where no init says what its file does.
            None => desk.file = Some(config_path(None)),
        }
        Ok(desk)
    }

    fn take_file(&mut self, loaded: &Loaded) {
        let of_jobs = loaded.plan.jobs.iter().map(|job| job.run.shared_lock());
        let classes = loaded.classes.iter();
        let of_classes = classes.map(|it| shared_lock(&it.kind, it.identity.as_ref()));
        for lock in of_jobs.chain(of_classes).flatten() {
            self.add(lock);
        }
    }

    fn add(&mut self, lock: PathBuf) {
        if !self.locks.contains(&lock) {
            self.locks.push(lock);
        }
    }

    /// Asks init, anew if there is none yet.
    pub(super) fn ask(&mut self) {
        let until = clock::now() + HELLO;
        let asked = self.init.take().map_or_else(
            || {
                let stop = self.stop.as_ref().and_then(|stop| stop.try_clone().ok());
                Conversation::begin(self.socket.as_deref(), until, stop)
            },
            Ok,
        );
        let asked = asked.and_then(|mut init| {
            let request = Request {
                op: "status".to_owned(),
                ..Request::default()
            };
            let line = init.ask(request, Some(clock::now() + STATUS))?;
            Ok((init, line))
        });
        match asked {
            Ok((init, line)) => {
                self.init = Some(init);
                self.hear(&line);
            }
            Err(silence) => self.miss(&silence),
        }
    }

    /// init says this.
    pub(super) fn hear(&mut self, line: &[u8]) {
        let reply: Option<Value> = serde_json::from_slice(line).ok();
        let Some(reply) = reply.filter(|reply| reply.get("jobs").is_some()) else {
            self.init = None;
            self.reply = None;
            self.silent = Some("asking init how it stands: its answer is none".to_owned());
            return;
        };
        self.silent = None;
        let jobs = reply.get("jobs").and_then(Value::as_array);
        for job in jobs.into_iter().flatten() {
            if let Some(lock) = job.get("lock").and_then(Value::as_str) {
                self.add(lock.into());
            }
        }
        self.reply = Some(reply);
    }

    /// init says nothing, or nothing any more.
    pub(super) fn miss(&mut self, silence: &Silence) {
        self.init = None;
        self.reply = None;
        self.silent = Some(silence.to_string());
        if let Some(path) = self.file.take().filter(|path| path.exists()) {
            if let Ok(loaded) = load(&path) {
                self.take_file(&loaded);
            } else {
                let text = "cannot be used, so its locks are not known: see `lockkeeper check`";
                self.wrong_file = Some(format!(
                    "the locks of the file {}: it {text}",
                    Quoted(&path)
                ));
            }
        }
    }

    /// Looks at the claims, and puts all together.
    pub(super) fn look(&mut self) -> View {
        let mut facts = Facts {
            init: self.reply.clone(),
            silent: self.silent.clone(),
            left_out: self.wrong_file.iter().cloned().collect(),
            ..Facts::default()
        };
        // An init that comes makes its socket, be it among the claims or where it is told to.
        self.folders = place::named(self.socket.as_deref()).into_iter().collect();
        self.runs(&mut facts);
        let mut locks = self.locks.clone();
        let of_runs = facts.runs.iter().filter_map(|run| run.lock.clone());
        locks.extend(of_runs.filter(|lock| lock.is_absolute()));
        self.look_at_locks(locks, &mut facts);
        self.look_at_dirs(&mut facts);
        // The last: nothing that was read is younger.
        facts.now = clock::unix_ms();
        View::of(facts)
    }

    /// The runs of this container; the folder may be shared with others (`--ipc=host`).
    fn runs(&mut self, facts: &mut Facts) {
        for folder in place::folders() {
            let survey = survey(&folder);
            let own = |record: &Record| record.shares_pids_with(&self.origin);
            let living = survey.living.into_iter().chain(survey.beside);
            let of_others = facts.runs.len();
            for record in living.filter(own) {
                let mut others = facts.runs.iter().take(of_others);
                let known = others.any(|it| it.run_id == record.run_id);
                if !known {
                    facts.runs.push(record);
                }
            }
            let odd = survey.odd.into_iter();
            facts.odd.extend(odd.map(|odd| (folder.clone(), odd)));
            if survey.more_odd > 0 {
                let text = format!("{} more files in {}", survey.more_odd, Quoted(&folder));
                facts.left_out.push(text);
            }
            if survey.truncated {
                let text = format!("{} has more than is looked at", Quoted(&folder));
                facts.left_out.push(text);
            }
            self.folders.push(folder);
        }
        facts.runs = in_order(std::mem::take(&mut facts.runs));
    }

    fn look_at_locks(&mut self, paths: Vec<PathBuf>, facts: &mut Facts) {
        let mut seen = Vec::new();
        let mut more = 0;
        for path in paths {
            let folder = claims_folder(&path);
            // One lock may be named in several ways.
            let identity = std::fs::metadata(&folder)
                .ok()
                .map(|meta| (meta.dev(), meta.ino()));
            let key = (identity, identity.is_none().then(|| path.clone()));
            if seen.contains(&key) {
                continue;
            }
            if seen.len() >= MOST_LOCKS {
                more += 1;
                continue;
            }
            seen.push(key);
            facts.locks.push(one(path));
            self.folders.push(folder);
        }
        if more > 0 {
            facts.left_out.push(format!("{more} more locks"));
        }
    }

    fn look_at_dirs(&mut self, facts: &mut Facts) {
        let all = || {
            let runs = facts.runs.iter();
            runs.flat_map(|run| run.dirs.iter().map(move |dir| (run, dir)))
        };
        let more = all().count().saturating_sub(MOST_DIRS);
        facts.dirs = all()
            .take(MOST_DIRS)
            .map(|(run, dir)| directory(run, dir))
            .collect();
        for dir in &facts.dirs {
            self.folders.push(dir.dir.join(".runtime"));
        }
        if more > 0 {
            facts.left_out.push(format!("{more} more directories"));
        }
    }
}

fn one(path: PathBuf) -> LockFacts {
    let survey = survey(&claims_folder(&path));
    let pauses = pause::pauses(&path);
    let odd_pauses = pauses.ignored.into_iter().map(|(name, why)| Odd {
        name: format!("pauses/{}", name.to_string_lossy()),
        why: why.to_owned(),
    });
    let living: Vec<&Record> = survey.living.iter().collect();
    LockFacts {
        exists: path.symlink_metadata().is_ok(),
        // All processes at each look of a watch would be much.
        unclaimed: unclaimed::look(&path, &living, Effort::Table),
        pauses: pauses.active,
        odd_pauses: odd_pauses.collect(),
        survey,
        path,
    }
}

fn directory(run: &Record, dir: &Path) -> Dir {
    let seen = look::seen(dir);
    let is_own = |run_id: &Option<String>| run_id.as_deref() == Some(&run.run_id);
    let mut told = Dir {
        dir: dir.to_owned(),
        run_id: run.run_id.clone(),
        job: run.job.clone(),
        ..Dir::default()
    };
    match seen {
        Some((record, true)) if is_own(&record.run_id) => {
            let since = record.acquired();
            let since = since.and_then(|since| since.duration_since(UNIX_EPOCH).ok());
            told.since = since.and_then(|since| u64::try_from(since.as_millis()).ok());
        }
        Some((record, _)) if !is_own(&record.run_id) => {
            told.in_way = Some(Owner(&record).to_string());
        }
        _ => {}
    }
    told
}
