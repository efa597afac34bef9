//! Runs that this init did not start: from what is found to what the table is told.
//!
//! A run of a job of the file counts as running. Any other is shown, and nothing else.

use super::Shell;
use crate::core::table::{Event, JobIndex, Outside};
use crate::init::found::News;
use crate::lock::record::{By, Kind, Record};

impl Shell {
    pub(super) fn look_outside(&mut self) {
        let own = |run_id: &str| {
            let mut guards = self.running.iter();
            guards.any(|guard| guard.run.to_string() == run_id)
        };
        self.found.read_names(own);
        for news in self.found.news(own) {
            match news {
                News::Lives(record) => self.run_lives(*record),
                News::Gone(run_id) => self.run_gone(&run_id),
                News::Named(_) => {}
            }
        }
    }

    pub(super) fn run_lives(&mut self, record: Record) {
        let job = self.job_of(&record);
        self.tell_of(&record, job);
        self.outside.push((record.run_id, job));
    }

    fn run_gone(&mut self, run_id: &str) {
        let mut known = self.outside.iter();
        let Some(at) = known.position(|(known, _)| known == run_id) else {
            return;
        };
        let (run_id, job) = self.outside.swap_remove(at);
        self.step(match job {
            Some(job) => Event::FoundGone { job, run_id },
            None => Event::OutsideGone { run_id },
        });
    }

    /// A command may have the name of a job, and is none.
    fn job_of(&self, record: &Record) -> Option<JobIndex> {
        let of_file = record.by != By::Command;
        of_file.then(|| self.table.find(&record.job)).flatten()
    }

    fn tell_of(&mut self, record: &Record, job: Option<JobIndex>) {
        let run_id = record.run_id.clone();
        self.step(match job {
            Some(job) => Event::RunFound { job, run_id },
            None => Event::OutsideRun {
                run: Outside {
                    run_id,
                    job: record.job.clone(),
                    class: record.class.clone(),
                    kind: match record.kind {
                        Kind::Batch => "batch",
                        Kind::Interactive => "interactive",
                        Kind::Unknown => "",
                    }
                    .to_owned(),
                    command: record.by == By::Command,
                },
            },
        });
    }
}
