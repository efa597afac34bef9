//! What a run tells others of itself, and what it asks of them: the claim beside its lock (who
//! holds it, who waits, and who uses the login without waiting) and the one among the runs of this
//! container.
//!
//! The guard takes the latches before the fork, so that a claim is true as long as one of guard and
//! monitor lives; the monitor writes the records, off the path of the command. A command of no job is
//! claimed among the runs of the container by the monitor alone, with its record: init shows it and
//! decides nothing by it, and one that has ended by then costs nothing. Claims are information. One that cannot be written is a note, never a failed run.

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use super::dirs::Dirs;
use super::look::Look;
use crate::config::plan::{Identity, Kind, LOCK_NAME, RunPlan};
use crate::core::note::Note;
use crate::lock::claim::{Claim, ClaimError};
use crate::lock::folders::claims_folder;
use crate::lock::latch::Part;
use crate::lock::listing::{clear_dead, has_other_user, list, queue};
use crate::lock::record::{self, By, Named, Origin, Record, State};
use crate::lock::unclaimed::{self, Effort};
use crate::sys::{clock, process};

/// The claims of one run.
#[derive(Debug, Default)]
pub struct Claims {
    held: Vec<Claim>,
    /// Where a claim is made as soon as there is a record to write.
    later: Option<PathBuf>,
    /// The claims folder of the lock, if one is named.
    beside: Option<PathBuf>,
    /// Whether a latch beside the lock tells only of those who use the same mount: then nobody is
    /// taken for dead there.
    unsure: bool,
    /// Those of the lock and of the login.
    of_login: Vec<PathBuf>,
    /// The directories that the run locks, which its records name.
    dirs: Vec<PathBuf>,
}

/// Whose claims these are.
#[derive(Clone, Copy, Debug)]
pub struct Owner<'a> {
    /// What it runs.
    pub plan: &'a RunPlan,
    /// Its run's id.
    pub run_id: &'a str,
    /// `CONTAINER_NAME`.
    pub container: Option<&'a str>,
    /// Who has begun it.
    pub by: By,
    /// Whether its lock lies where nobody can know if it keeps two holders apart.
    pub unsure: bool,
}

impl Claims {
    /// Takes a latch in each place: beside the lock, beside that of the login, where that is another
    /// or none is named, and among the runs of this container (that of a command of no job: later).
    pub fn open(
        owner: Owner<'_>,
        runtime: Option<&Path>,
        dirs: &Dirs,
        notes: &mut Vec<Note>,
    ) -> Self {
        let beside = owner.plan.kind.lock().map(|lock| claims_folder(&lock.path));
        let of_login = folders(owner.plan);
        let mut held = Vec::new();
        let (runtime, later) = match owner.by {
            By::Command => (None, runtime),
            By::Init | By::Hand | By::Unknown => (runtime, None),
        };
        for folder in of_login.iter().map(PathBuf::as_path).chain(runtime) {
            let part = if beside.as_deref() == Some(folder) {
                Part::Whole
            } else {
                Part::Rest
            };
            match Claim::open(folder, owner.run_id, part) {
                Ok(claim) => held.push(claim),
                // A login that does not exist yet has no other user either.
                Err(error) if error.is_missing() && beside.is_none() => {}
                Err(error) => notes.push(failed(&error)),
            }
        }
        Self {
            held,
            later: later.map(Path::to_owned),
            beside,
            unsure: owner.unsure,
            of_login,
            dirs: dirs
                .locks()
                .iter()
                .map(|lock| lock.dir().to_owned())
                .collect(),
        }
    }

    /// Touches the claim beside the lock, and looks at the others there; `None`: there is none.
    pub fn look(&self, run_id: &str) -> Option<Look> {
        let folder = self.beside.as_deref()?;
        let claim = self.held.iter().find(|claim| claim.folder() == folder)?;
        let latch = claim.as_fd().try_clone_to_owned().ok()?;
        Look::start(latch, folder.to_owned(), run_id.to_owned()).ok()
    }

    /// Whose claim beside the lock this is, in words.
    pub fn named(&self, run_id: &str) -> String {
        let claims = self.beside.as_deref().map(list).unwrap_or_default().claims;
        let found = claims.iter().find(|(record, _)| record.run_id == run_id);
        found.map_or_else(
            || format!("run {run_id}"),
            |(record, _)| Named(record).to_string(),
        )
    }

    /// Whether no other run uses our login, as far as they run under lockkeeper; `false` also where
    /// that cannot be known.
    pub fn nobody_else(&self, run_id: &str) -> bool {
        let mut folders = self.of_login.iter();
        !self.unsure && folders.all(|folder| has_other_user(folder, run_id) == Some(false))
    }

    /// The run waits for its lock. Says who holds it, in words, where somebody says so.
    pub fn waiting(&mut self, owner: Owner<'_>) -> (Option<String>, Vec<Note>) {
        if let Some(folder) = self.beside.as_deref().filter(|_| !self.unsure) {
            clear_dead(folder);
        }
        let notes = self.write(owner, State::Waiting, None);
        // We are not in the queue yet: no time for all processes.
        (self.holder(owner, Effort::Table), notes)
    }

    /// The run waits for a directory.
    pub fn waiting_for_dir(&mut self, owner: Owner<'_>) -> Vec<Note> {
        self.write(owner, State::WaitingForDir, None)
    }

    /// The run has its lock, and its command runs as `pid`.
    pub fn running(&mut self, owner: Owner<'_>, pid: i32) -> Vec<Note> {
        self.write(owner, State::Running, Some(pid))
    }

    fn write(&mut self, owner: Owner<'_>, state: State, pid: Option<i32>) -> Vec<Note> {
        let mut notes = Vec::new();
        if let Some(folder) = self.later.take() {
            match Claim::open(&folder, owner.run_id, Part::Rest) {
                Ok(claim) => self.held.push(claim),
                Err(error) => notes.push(failed(&error)),
            }
        }
        if self.held.is_empty() {
            return notes;
        }
        let record = Record {
            dirs: self.dirs.clone(),
            ..record_of(owner, state, pid)
        };
        let mut errors = self
            .held
            .iter()
            .filter_map(|claim| claim.update(&record).err());
        notes.extend(errors.next().map(|error| failed(&error)));
        notes
    }

    /// Who holds the lock, in words; `None`: nobody says.
    pub fn holder(&self, owner: Owner<'_>, effort: Effort) -> Option<String> {
        let lock = &owner.plan.kind.lock()?.path;
        let claims = queue(&claims_folder(lock)).claims;
        let unclaimed = || {
            let living = claims.iter().filter(|(_, alive)| *alive);
            let living: Vec<&Record> = living.map(|(record, _)| record).collect();
            unclaimed::words(lock, &living, effort)
        };
        record::holder_text(&claims, Some(owner.run_id), unclaimed)
    }

    /// Takes the claims away.
    pub fn release(&mut self) {
        self.held.drain(..).for_each(Claim::release);
    }
}

/// Removes what the dead left where `owner` claims; beside a lock that nobody can judge, nothing.
pub fn clear(owner: Owner<'_>, runtime: Option<&Path>) {
    let of_login = if owner.unsure {
        Vec::new()
    } else {
        folders(owner.plan)
    };
    for folder in of_login.iter().map(PathBuf::as_path).chain(runtime) {
        clear_dead(folder);
    }
}

/// The claims folders of the lock and of the login of `plan`.
fn folders(plan: &RunPlan) -> Vec<PathBuf> {
    let lock = plan.kind.lock().map(|lock| claims_folder(&lock.path));
    let login = match &plan.identity {
        Some(Identity::Folder(folder)) => Some(claims_folder(&folder.join(LOCK_NAME))),
        Some(Identity::Env(_)) | None => None,
    };
    let login = login.filter(|login| lock.as_ref() != Some(login));
    lock.into_iter().chain(login).collect()
}

/// The variable that names the run a command belongs to.
pub const RUN_ID: &str = "LOCKKEEPER_RUN_ID";
/// The variable that names the runs round that one, the outermost first, with blanks in between.
pub const OUTER_RUNS: &str = "LOCKKEEPER_OUTER_RUNS";

/// The runs that we are a part of, the outermost first, with blanks in between; empty: none.
pub fn ancestors() -> String {
    let named = |name| std::env::var(name).unwrap_or_default();
    let (mut all, innermost) = (named(OUTER_RUNS), named(RUN_ID));
    if !all.is_empty() {
        all.push(' ');
    }
    all + &innermost
}

fn failed(error: &ClaimError) -> Note {
    Note::ClaimFailed {
        path: error.folder.clone(),
        text: error.to_string(),
    }
}

fn record_of(owner: Owner<'_>, state: State, pid: Option<i32>) -> Record {
    let origin = Origin::read();
    let plan = owner.plan;
    Record {
        v: record::VERSION,
        run_id: owner.run_id.to_owned(),
        job: plan.job.clone(),
        class: plan.class.clone(),
        kind: match plan.kind {
            Kind::Interactive => record::Kind::Interactive,
            Kind::Batch { .. } => record::Kind::Batch,
        },
        state,
        container: owner.container.map(str::to_owned),
        pid,
        monitor: Some(process::own_pid()),
        start_time: pid.and_then(record::start_time),
        boot_id: origin.boot_id,
        pid_ns: origin.pid_ns,
        uid: nix::unistd::getuid().as_raw(),
        lock: plan.kind.lock().map(|lock| lock.path.clone()),
        dirs: Vec::new(),
        by: owner.by,
        since_unix_ms: clock::unix_ms(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan::ClassPlan;
    use crate::lock::scratch::Scratch;

    /// The claims of a run that `by` has begun, and what lies in its container's folder then.
    fn begun(by: By, runtime: &Scratch) -> (Claims, usize) {
        let plan = plan();
        let claims = Claims::open(
            owner(&plan, by),
            Some(runtime),
            &Dirs::default(),
            &mut Vec::new(),
        );
        (claims, entries(runtime))
    }

    fn plan() -> RunPlan {
        let class = ClassPlan::new("interactive", Kind::Interactive);
        class.run("job".to_owned(), vec!["true".into()])
    }

    const fn owner(plan: &RunPlan, by: By) -> Owner<'_> {
        Owner {
            plan,
            run_id: "0123456789abcdef",
            container: None,
            by,
            unsure: false,
        }
    }

    fn entries(folder: &Scratch) -> usize {
        std::fs::read_dir(&**folder).unwrap().count()
    }

    #[test]
    fn a_command_of_no_job_is_claimed_in_its_container_with_its_record_and_a_job_at_once() {
        let folder = Scratch::new();
        let (mut job, latches) = begun(By::Hand, &folder);
        assert_eq!(latches, 1);
        job.release();
        let (mut command, latches) = begun(By::Command, &folder);
        assert_eq!(latches, 0);
        let plan = plan();
        assert_eq!(command.running(owner(&plan, By::Command), 1), []);
        let claims = list(&folder).claims;
        let lives: Vec<_> = claims
            .iter()
            .map(|(record, lives)| (record.by, *lives))
            .collect();
        assert_eq!(lives, [(By::Command, true)]);
        command.release();
        assert_eq!(entries(&folder), 0);
    }
}
