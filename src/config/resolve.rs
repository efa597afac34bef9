//! From the sheets of a file to its plan: jobs inherit from classes, classes find their locks.
//!
//! A job's scalar or list replaces its class's, key by key also inside `final` and `stop`; `env` is
//! merged. Kind, identity and lock are the class's alone: who takes turns with whom must be read in
//! one place.
//!
//! Where something is wrong that has been said, the plan is filled with what is left and never used.

mod class;
mod common;
mod directory;
mod init;
mod job;
mod lock;
mod pause;
mod process;
mod restart;

use super::findings::Findings;
use super::nearest::nearest;
use super::plan::{ClassPlan, InitPlan, JobPlan, Kind, Want};
use super::report::shown;
use super::sheet::{File, Sheet};
use crate::core::order;

/// The classes that need no table.
const BUILT_IN: [&str; 2] = ["batch", "interactive"];

/// A class, and its table where it has one.
#[derive(Debug)]
pub(crate) struct Class<'f> {
    pub(crate) plan: ClassPlan,
    pub(crate) sheet: Option<&'f Sheet>,
}

/// A job, its table, and the place of its class among the classes.
#[derive(Debug)]
pub(crate) struct Job<'f> {
    pub(crate) plan: JobPlan,
    pub(crate) sheet: &'f Sheet,
}

/// What a file means.
#[derive(Debug)]
pub(crate) struct Resolved<'f> {
    pub(crate) init: InitPlan,
    pub(crate) classes: Vec<Class<'f>>,
    pub(crate) jobs: Vec<Job<'f>>,
}

/// What the file means, as far as it means anything.
pub(crate) fn resolve<'f>(
    file: &'f File,
    host_name: &str,
    findings: &mut Findings,
) -> Resolved<'f> {
    for lock in &file.locks {
        lock::check_lock(lock, findings);
    }
    let mut classes: Vec<Class<'f>> = file
        .classes
        .iter()
        .map(|sheet| class::class(sheet, file, findings))
        .collect();
    for name in BUILT_IN {
        if !classes.iter().any(|class| class.plan.name == name) {
            let plan = built_in_class(name);
            classes.push(Class { plan, sheet: None });
        }
    }
    let mut jobs: Vec<Job<'f>> = file
        .jobs
        .iter()
        .filter_map(|sheet| job::job(sheet, &classes, findings))
        .collect();
    listen_to_awaited(&mut jobs);
    Resolved {
        init: init::init(file.init.as_ref(), host_name, findings),
        classes,
        jobs,
    }
}

/// A job for whose readiness another one waits can say that it is ready.
fn listen_to_awaited(jobs: &mut [Job<'_>]) {
    let all = jobs.iter().flat_map(|job| &job.plan.after);
    let ready = all.filter(|after| after.want == Want::Ready);
    let mut awaited: Vec<String> = ready.map(|after| after.job.clone()).collect();
    order::sort_by(&mut awaited, Ord::cmp);
    for job in jobs {
        job.plan.run.notify |= awaited.binary_search(&job.plan.run.job).is_ok();
    }
}

/// The class of that name where no table refines it: `interactive`, or else batch.
pub(crate) fn built_in_class(name: &str) -> ClassPlan {
    let kind = match name {
        "interactive" => Kind::Interactive,
        _ => Kind::batch(None),
    };
    ClassPlan::new(name, kind)
}

/// A class or lock that no table names.
fn unknown<'a>(
    sheet: &Sheet,
    what: &str,
    known: impl Iterator<Item = &'a str>,
    findings: &mut Findings,
) {
    let name = shown(sheet.as_written(what));
    let help = match (nearest(&name, known), what) {
        (Some(near), _) => format!("did you mean \"{near}\"?"),
        (None, "lock") if name.contains('/') => {
            format!(
                "a class names its lock: write [locks.NAME] with path = \"{name}\" and lock = \"NAME\""
            )
        }
        (None, "lock") => format!("write a table [locks.{name}] with its path"),
        (None, _) => {
            format!(
                "write a table [classes.{name}] with its kind, or use \"batch\" or \"interactive\""
            )
        }
    };
    let message = format!("there is no {what} \"{name}\"");
    findings.missing(sheet.value_span(what), message, help);
}
