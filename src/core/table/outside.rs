//! Runs that belong to no job: a command that somebody runs in this container (`lockkeeper run -- …`
//! by `docker exec`, in a script), or a job of another file. They are nobody's to start or to stop here,
//! and keep nothing; they are shown. When the file comes to name such a job, its runs become found ones.

use serde::{Deserialize, Serialize};

use super::view::{RowState, RowView};
use super::{JobIndex, Table};
use crate::core::time::Time;

/// So many are shown.
const MOST: usize = 256;

/// Such a run, as its claim tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outside {
    /// The run.
    pub run_id: String,
    /// What it is called: the base name of its command, or a job that the file does not name.
    pub job: String,
    /// Its class.
    pub class: String,
    /// `batch` or `interactive`.
    pub kind: String,
    /// It is a command, and no job of any file.
    pub command: bool,
}

/// One that is known.
#[derive(Debug)]
pub(super) struct Known {
    run: Outside,
    since: Time,
}

impl Table {
    pub(super) fn outside_run(&mut self, now: Time, run: Outside) {
        let mut known = self.outside.iter();
        let new = known.all(|known| known.run.run_id != run.run_id);
        if new && self.outside.len() < MOST {
            self.outside.push(Known { run, since: now });
        }
    }

    pub(super) fn outside_gone(&mut self, now: Time, run_id: &str) {
        self.outside.retain(|known| known.run.run_id != run_id);
        let mut rows = self.rows.iter();
        let of_job = rows.position(|row| row.as_ref().is_some_and(|row| row.has_found(run_id)));
        if let Some(index) = of_job {
            self.found_gone(now, JobIndex(index), run_id);
        }
    }

    /// The runs of a job that the file did not name until now.
    pub(super) fn take_outside(&mut self, job: JobIndex) -> Vec<String> {
        let Some(plan) = self.rows.get(job.0).and_then(Option::as_ref) else {
            return Vec::new();
        };
        let name = plan.name();
        let of_job = |known: &mut Known| !known.run.command && known.run.job == name;
        let taken = self.outside.extract_if(.., of_job);
        taken.map(|known| known.run.run_id).collect()
    }

    pub(super) fn view_outside(&self, now: Time) -> impl Iterator<Item = RowView> + '_ {
        self.outside.iter().map(move |Known { run, since }| {
            let since = u64::try_from(now.since(*since).as_millis()).ok();
            RowView {
                job: run.job.clone(),
                class: run.class.clone(),
                kind: run.kind.clone(),
                state: RowState::Running,
                lock: None,
                run_id: Some(run.run_id.clone()),
                outside: true,
                since_ms: since,
                next_ms: None,
                last: None,
                restarts: 0,
                status: None,
                removed: false,
                of_no_job: true,
                main: false,
            }
        })
    }
}
