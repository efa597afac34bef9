//! A job: what its class says, what it says itself, and when it starts.

use super::common::{apply, check_command_is_asked, check_pty};
use super::directory::{conflicts, refuse_to_wait};
use super::pause;
use super::restart::check_restart;
use super::{Class, Job, unknown};
use crate::config::findings::Findings;
use crate::config::plan::{Every, JobPlan, Kind, Start};
use crate::config::sheet::Sheet;

pub(super) fn job<'f>(
    sheet: &'f Sheet,
    classes: &[Class<'f>],
    findings: &mut Findings,
) -> Option<Job<'f>> {
    for (key, help) in [
        (
            "class",
            "write class = \"batch\" if it can wait for its turn, class = \"interactive\" if somebody waits at it",
        ),
        ("command", "write command = [\"claude\", \"-p\", \"…\"]"),
    ] {
        if !sheet.has(key) {
            findings.missing(&sheet.span, format!("{} has no `{key}`", sheet.title), help);
        }
    }
    check_times(sheet, findings);
    check_restart(sheet, findings);
    let name = sheet.text("class")?;
    let Some(class) = classes.iter().find(|class| class.plan.name == name) else {
        let known = classes.iter().map(|class| class.plan.name.as_str());
        unknown(sheet, "class", known, findings);
        return None;
    };
    let mut plan = class.plan.clone();
    apply(sheet, &mut plan, findings);
    check_command_is_asked(sheet, &plan, findings);
    check_pty(sheet, &plan, findings);
    match (&mut plan.kind, sheet.limit("wait"), sheet.key_span("wait")) {
        (Kind::Interactive, _, Some(span)) => {
            let message = format!("`wait` in {}: an interactive job never waits", sheet.title);
            findings.error(span, message, "take it out, or give the job a batch class");
        }
        (
            Kind::Batch {
                lock: Some(lock), ..
            },
            Some(limit),
            _,
        ) => lock.wait = limit,
        _ => {}
    }
    if plan.kind == Kind::Interactive {
        refuse_to_wait(sheet, findings);
    }
    let class_lock = class.sheet.is_some_and(|class| class.has("lock"));
    if !class_lock || plan.kind.lock().is_some() {
        pause::apply(sheet, &mut plan.kind, findings);
    }
    let of_class = class.sheet.and_then(|class| class.limit("wait"));
    conflicts(sheet, &mut plan.kind, sheet.limit("wait").or(of_class));
    let refused = sheet.has("dir_lock") && sheet.dir_lock("dir_lock").is_none();
    if !plan.dirs.any() && !refused {
        for key in ["on_conflict", "subtree"] {
            if let Some(span) = sheet.key_span(key) {
                let message = format!("`{key}` in {}, which locks no directory", sheet.title);
                let help = "write dir_lock = true for the job's own, or take it out";
                findings.error(span, message, help);
            }
        }
    }
    if !plan.output.file {
        for key in ["log_dir", "log_size", "log_files"] {
            if let Some(span) = sheet.key_span(key) {
                let message = format!("`{key}` in {}, whose output goes to no file", sheet.title);
                let help = "write output = \"file\" or output = \"both\", or take it out";
                findings.missing(span, message, help);
            }
        }
    }
    let command = sheet.command("command").unwrap_or_default().to_vec();
    Some(Job {
        plan: JobPlan {
            start: match sheet.text("start") {
                Some("manual") => Start::Manual,
                _ => Start::Boot,
            },
            every: sheet.time("every").map(|period| Every {
                period,
                jitter: sheet.time("jitter").unwrap_or_default(),
            }),
            main: sheet.flag("main").unwrap_or(false),
            restart: plan.restart,
            after: sheet.after().iter().map(|one| one.after.clone()).collect(),
            max_parallel: plan.max_parallel,
            run: plan.run(sheet.name.clone(), command),
        },
        sheet,
    })
}

/// What `every`, `jitter`, `start` and `main` of one job mean together.
fn check_times(sheet: &Sheet, findings: &mut Findings) {
    let manual = sheet.text("start") == Some("manual");
    if let (true, Some(span)) = (manual, sheet.key_span("every")) {
        let message = "`every` in a job that starts only by hand";
        findings.error(span, message, "take out `every`, or start = \"manual\"");
    }
    if let (false, Some(span)) = (sheet.has("every"), sheet.key_span("jitter")) {
        let message = "`jitter` without `every`";
        let help =
            "it spreads the starts of jobs that come again: add every = \"5m\", or take it out";
        findings.missing(span, message, help);
    }
    if sheet.flag("main") == Some(true) {
        let span = sheet.value_span("main");
        let help = "take one of the two out: the main job runs once, from the start to the end";
        if sheet.has("every") {
            findings.error(span, "`main` in a job that comes again with `every`", help);
        }
        if manual {
            findings.error(span, "`main` in a job that starts only by hand", help);
        }
    }
}
