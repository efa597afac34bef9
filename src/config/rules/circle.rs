//! What `after` means over all jobs: each name is that of a job, nobody waits for himself, and who
//! starts by himself does not wait for what never does.

use crate::config::findings::Findings;
use crate::config::names::Names;
use crate::config::nearest::nearest;
use crate::config::plan::Start;
use crate::config::report::shown;
use crate::config::resolve::Resolved;
use crate::config::sheet::{File, Sheet};

/// How many names of a circle are shown.
const SHOWN: usize = 12;

pub(super) fn check(file: &File, resolved: &Resolved<'_>, findings: &mut Findings) {
    let names = || file.jobs.iter().map(|sheet| sheet.name.as_str());
    let places = Names::of(names().zip(0..).collect());
    for sheet in &file.jobs {
        for awaited in sheet.after() {
            if places.find(&awaited.after.job).is_none() {
                let name = shown(&awaited.after.job);
                let message = format!("`after` names \"{name}\", which is no job");
                let help = match nearest(&name, names()) {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None => format!("write a table [jobs.{name}], or take it out"),
                };
                findings.missing(&awaited.span, message, help);
            }
        }
    }
    circles(&file.jobs, &places, findings);
    waits_for_a_person(resolved, findings);
}

/// Where a walk along `after` stands with a job.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    New,
    /// On the path that is being walked.
    OnPath,
    Done,
}

/// Walks along `after` from each job, without recursion: a file may have thousands in a row. Each
/// circle is told once, where the walk closes it.
fn circles(jobs: &[Sheet], places: &Names<'_>, findings: &mut Findings) {
    let mut marks = vec![Mark::New; jobs.len()];
    for first in 0..jobs.len() {
        // Each job of the path, and how many of those that it waits for have been looked at.
        let mut path: Vec<(usize, usize)> = vec![(first, 0)];
        if marks.get(first) != Some(&Mark::New) {
            continue;
        }
        while let Some((place, looked)) = path.pop() {
            let mark = |marks: &mut Vec<Mark>, as_what| {
                if let Some(mark) = marks.get_mut(place) {
                    *mark = as_what;
                }
            };
            let Some(awaited) = jobs.get(place).and_then(|job| job.after().get(looked)) else {
                mark(&mut marks, Mark::Done);
                continue;
            };
            mark(&mut marks, Mark::OnPath);
            path.push((place, looked + 1));
            let Some(next) = places.find(&awaited.after.job) else {
                continue;
            };
            match marks.get(next) {
                Some(Mark::New) => path.push((next, 0)),
                Some(Mark::OnPath) => {
                    let begins = path.iter().position(|(place, _)| *place == next);
                    let circle = path.get(begins.unwrap_or(0)..).unwrap_or_default();
                    let names: Vec<&str> = circle
                        .iter()
                        .filter_map(|(place, _)| Some(jobs.get(*place)?.name.as_str()))
                        .collect();
                    let message = format!("`after` goes in a circle: {}", round(&names));
                    let help = "none of them could ever start: take one `after` out";
                    findings.error(&awaited.span, message, help);
                }
                Some(Mark::Done) | None => {}
            }
        }
    }
}

/// `a → b → a`.
fn round(names: &[&str]) -> String {
    let first = names.first().copied().unwrap_or_default();
    let (shown, more) = names.split_at_checked(SHOWN).unwrap_or((names, &[]));
    let more = match more.len() {
        0 => String::new(),
        more => format!("{more} more → "),
    };
    format!("{} → {more}{first}", shown.join(" → "))
}

fn waits_for_a_person(resolved: &Resolved<'_>, findings: &mut Findings) {
    let jobs = &resolved.jobs;
    let names = jobs.iter().map(|job| job.plan.run.job.as_str());
    let names = Names::of(names.zip(0..).collect());
    let manual = |name: &str| {
        let job = names.find(name).and_then(|at| jobs.get(at));
        job.is_some_and(|job| job.plan.start == Start::Manual && !job.plan.main)
    };
    for job in jobs.iter().filter(|job| job.plan.start == Start::Boot) {
        for awaited in job
            .sheet
            .after()
            .iter()
            .filter(|awaited| manual(&awaited.after.job))
        {
            let name = &awaited.after.job;
            let message = format!(
                "{} waits for \"{name}\", which starts only by hand",
                job.sheet.title
            );
            let help = "it starts when somebody has started that one; \
                        if it is to start with init, take out its start = \"manual\"";
            findings.warning(&awaited.span, message, help);
        }
    }
}
