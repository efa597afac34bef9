//! What a run tells others of itself, and what it asks of them: the claim beside its lock (who
//! holds it, who waits) and the one among the runs of this container.
//!
//! Claims are information. One that cannot be written is a note, never a failed run.

use std::path::{Path, PathBuf};

use crate::config::plan::{Kind, RunPlan};
use crate::core::note::Note;
use crate::lock::claim::Claim;
use crate::lock::folders::claims_folder;
use crate::lock::listing::{list, lookup};
use crate::lock::record::{self, Origin, Record, State};
use crate::sys::clock;

/// The claims of one run. Made by the guard before the fork: their latches are held as long as one
/// of guard and monitor lives.
#[derive(Debug)]
pub struct Claims {
    record: Record,
    held: Vec<Claim>,
    /// The claims folder of the lock, if one is named.
    beside: Option<PathBuf>,
}

impl Claims {
    /// Claims nothing.
    pub fn none(plan: &RunPlan, run_id: &str) -> Self {
        Self {
            record: record_of(plan, run_id, None),
            held: Vec::new(),
            beside: None,
        }
    }

    /// Puts a claim into each of `folders`: the one beside the lock, and that of this container's runs.
    pub fn make(
        plan: &RunPlan,
        run_id: &str,
        container: Option<String>,
        runtime: Option<&Path>,
        notes: &mut Vec<Note>,
    ) -> Self {
        let beside = plan.kind.lock().map(|lock| claims_folder(&lock.path));
        let mut claims = Self {
            record: record_of(plan, run_id, container),
            held: Vec::new(),
            beside,
        };
        let folders = claims.beside.iter().map(PathBuf::as_path).chain(runtime);
        for folder in folders {
            match Claim::create(folder, run_id, &claims.record) {
                Ok(claim) => claims.held.push(claim),
                Err(error) => {
                    let path = folder.to_owned();
                    notes.push(Note::ClaimFailed {
                        path,
                        text: error.to_string(),
                    });
                }
            }
        }
        claims
    }

    /// The run has its lock, and its command runs as `pid`.
    pub fn running(&mut self, pid: i32) {
        self.record.state = State::Running;
        self.record.pid = Some(pid);
        self.record.start_time = record::start_time(pid);
        self.record.since_unix_ms = clock::unix_ms();
        for claim in &self.held {
            // The record that stands says less, and nothing wrong: that the run waits.
            let _ = claim.update(&self.record);
        }
    }

    /// Who holds the lock, in words; `None`: nobody says.
    pub fn holder(&self) -> Option<String> {
        let folder = self.beside.as_deref()?;
        record::holder_text(&list(folder).claims, Some(&self.record.run_id))
    }

    /// Takes the claims away.
    pub fn release(&mut self) {
        self.held.drain(..).for_each(Claim::release);
    }
}

/// The run of which we are a part, if it holds `lock` for us: `LOCKKEEPER_RUN_ID` names it, and its
/// claim says that it lives and holds.
pub fn ancestor_with(lock: &Path) -> Option<String> {
    let run_id = std::env::var("LOCKKEEPER_RUN_ID").ok()?;
    let record = lookup(&claims_folder(lock), &run_id)?;
    matches!(record.state, State::Holding | State::Running).then_some(run_id)
}

fn record_of(plan: &RunPlan, run_id: &str, container: Option<String>) -> Record {
    let origin = Origin::read();
    Record {
        v: record::VERSION,
        run_id: run_id.to_owned(),
        job: plan.job.clone(),
        class: plan.class.clone(),
        kind: match plan.kind {
            Kind::Interactive => record::Kind::Interactive,
            Kind::Batch { .. } => record::Kind::Batch,
        },
        state: State::Waiting,
        container,
        pid: None,
        start_time: None,
        boot_id: origin.boot_id,
        pid_ns: origin.pid_ns,
        uid: nix::unistd::getuid().as_raw(),
        lock: plan.kind.lock().map(|lock| lock.path.clone()),
        since_unix_ms: clock::unix_ms(),
    }
}
