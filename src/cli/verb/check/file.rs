//! The file itself: what is wrong with it, or what is in it.

use std::path::Path;

use super::quoted;
use super::report::{About, Fact, Level, Report, count};
use crate::config::load::Loaded;
use crate::config::report::{Finding, Place, Problems, Severity};

/// All that is wrong with a file that makes no plan.
pub(super) fn problems(problems: &Problems, report: &mut Report) {
    for finding in &problems.errors {
        report.add(fact(finding));
    }
    if problems.more > 0 {
        let text = format!("{} more, not shown", count(problems.more, "error"));
        report.say(Level::Error, About::File, "", text);
    }
}

/// What works but probably not as meant; else what is in the file.
pub(super) fn loaded(loaded: &Loaded, path: &Path, report: &mut Report) {
    for finding in &loaded.warnings {
        report.add(fact(finding));
    }
    let jobs = &loaded.plan.jobs;
    let names: Vec<String> = jobs
        .iter()
        .map(|job| format!("{} ({})", job.run.job, job.run.class))
        .collect();
    let text = match names.as_slice() {
        [] => format!(
            "{} can be read, and has classes but no job: for lockkeeper run --class",
            quoted(path)
        ),
        names => format!("{} can be read: jobs {}", quoted(path), names.join(", ")),
    };
    report.say(Level::Ok, About::File, path, text);
}

fn fact(finding: &Finding) -> Fact {
    let place = finding.place.as_ref();
    let position = match place {
        Some(place) => format!("{}:{}:{}", finding.file, place.line, place.column),
        None => finding.file.clone(),
    };
    // Between the first line and the help stand the source line and its caret, if it has one.
    let whole = finding.to_string();
    let excerpt = place.map_or(0, Place::rows);
    Fact {
        level: match finding.severity {
            Severity::Error => Level::Error,
            Severity::Warning => Level::Warning,
        },
        about: About::File,
        subject: Some(finding.file.clone()),
        text: format!("{position}: {}", finding.message),
        line: place.map(|place| place.line),
        column: place.map(|place| place.column),
        help: Some(finding.help.clone()).filter(|help| !help.is_empty()),
        excerpt: whole
            .lines()
            .skip(1)
            .take(excerpt)
            .map(str::to_owned)
            .collect(),
    }
}
