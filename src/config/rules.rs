//! Rules that no table can break alone: one main job, one owner of the terminal, and who shares a
//! login with whom.

mod circle;

use std::ffi::OsString;
use std::path::Path;

use super::expand::Lookup;
use super::findings::Findings;
use super::plan::{Identity, KEPT, Kind, LEAST_SECRET, RunPlan, Start, Stdin};
use super::resolve::{Job, Resolved};
use super::sheet::{File, Sheet};

// The same on every Linux architecture (signal(7)).
const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// All rules over several tables.
pub(crate) fn check(
    file: &File,
    resolved: &Resolved<'_>,
    env: &Lookup<'_>,
    findings: &mut Findings,
) {
    one_main_job(resolved, findings);
    circle::check(file, resolved, findings);
    an_init_that_nothing_stops(file, resolved, findings);
    one_owner_of_the_terminal(resolved, findings);
    logins_shared_with_interactive_jobs(resolved, findings);
    batch_classes_that_take_no_turns(resolved, findings);
    logins_in_variables_that_are_not_set(resolved, env, findings);
    locks_that_nobody_names(file, findings);
    secrets_that_would_be_shown(resolved, env, findings);
}

/// What `redact` cannot keep: output that does not pass through us, and values that are too short
/// to be told from other text.
fn secrets_that_would_be_shown(resolved: &Resolved<'_>, env: &Lookup<'_>, findings: &mut Findings) {
    let mut told: Vec<(usize, &str)> = Vec::new();
    for job in &resolved.jobs {
        let run = &job.plan.run;
        if run.output.redact.is_empty() {
            continue;
        }
        let mut classes = resolved.classes.iter();
        let class = classes.find(|class| class.plan.name == run.class);
        let own = Some(job.sheet).filter(|sheet| sheet.has("redact"));
        let Some(sheet) = own.or(class.and_then(|class| class.sheet)) else {
            continue;
        };
        let span = sheet.value_span("redact");
        let mut tell = |name| {
            let new = !told.contains(&(span.start, name));
            told.push((span.start, name));
            new
        };
        if run.kind == Kind::Interactive && !run.output.is_kept() && tell("") {
            let message = format!(
                "`redact` for {}, whose output goes to its terminal and not through lockkeeper",
                job.sheet.title
            );
            let help =
                "write output = \"journal\", \"file\" or \"both\", or redact = [] in the job";
            findings.error(span, message, help);
        }
        for name in &run.output.redact {
            let set = run.env.iter().find(|(set, _)| set == name);
            let length = match set {
                Some((_, value)) => Some(value.len()),
                // What lies in a file is known when it is read.
                None if may_lie_in_a_file(run, name) => continue,
                None => inherited(run, name, env).map(|value| value.len()),
            };
            match length {
                Some(1..LEAST_SECRET) if tell(name) => {
                    let message = format!(
                        "`redact` names {name}, whose value is shorter than {LEAST_SECRET} characters"
                    );
                    let help = "so short a text stands in many words, which would all be masked: \
                                take it out, or give it a longer value";
                    findings.error(span, message, help);
                }
                None if tell(name) => {
                    let message = format!("`redact` names {name}, which is not set");
                    let help = "set it in the container or in `env`, or take it out; \
                                nothing is masked for it";
                    findings.warning(span, message, help);
                }
                _ => {}
            }
        }
    }
}

/// Whether a file may have the value of that variable, or has it.
fn may_lie_in_a_file(run: &RunPlan, name: &str) -> bool {
    let process = &run.process;
    !process.env_files.is_empty() || process.env_from.iter().any(|(set, _)| set == name)
}

/// What the command finds in that variable of what we were started with.
fn inherited(run: &RunPlan, name: &str, env: &Lookup<'_>) -> Option<OsString> {
    let is_left = !run.process.clear_env || KEPT.contains(&name);
    env(name).filter(|_| is_left)
}

/// A stop of the container would end in KILL, with all that runs in it.
fn an_init_that_nothing_stops(file: &File, resolved: &Resolved<'_>, findings: &mut Findings) {
    let signals = &resolved.init.signals;
    let stops = [SIGTERM, SIGINT]
        .into_iter()
        .any(|signo| signals.reaches(signo));
    if let (false, Some(init)) = (stops, &file.init) {
        let message = "`signals` leaves no signal that stops init";
        let help = "leave TERM or INT as it is, or take another for it: USR1 = \"TERM\"; \
                    else whoever stops the container kills all that runs in it";
        findings.warning(init.value_span("signals"), message, help);
    }
}

fn one_main_job(resolved: &Resolved<'_>, findings: &mut Findings) {
    let mut mains = resolved.jobs.iter().filter(|job| job.plan.main);
    let Some(first) = mains.next() else {
        return;
    };
    for job in mains {
        let message = format!(
            "{} is a second main job, beside {}",
            job.sheet.title, first.sheet.title
        );
        let help = "the container has one exit code: take one `main` out";
        findings.error(job.sheet.value_span("main"), message, help);
    }
}

/// Interactive jobs that start by themselves read from the terminal; two would steal each other's
/// keystrokes.
fn one_owner_of_the_terminal(resolved: &Resolved<'_>, findings: &mut Findings) {
    let wants = |job: &&Job<'_>| {
        job.plan.start == Start::Boot
            && job.plan.run.kind == Kind::Interactive
            && job.plan.run.stdin == Stdin::Inherit
    };
    let mut owners = resolved.jobs.iter().filter(wants);
    let Some(first) = owners.next() else {
        return;
    };
    for job in owners {
        let message = format!(
            "{} also wants the terminal, which {} has",
            job.sheet.title, first.sheet.title
        );
        let help = "write stdin = \"null\" in one of them, or start = \"manual\"";
        findings.error(&job.sheet.span, message, help);
    }
}

fn folder(run: &RunPlan) -> Option<&Path> {
    match run.identity.as_ref()? {
        Identity::Folder(folder) => Some(folder),
        Identity::Env(_) => None,
    }
}

fn logins_shared_with_interactive_jobs(resolved: &Resolved<'_>, findings: &mut Findings) {
    let is_batch = |job: &&Job<'_>| job.plan.run.kind != Kind::Interactive;
    let mut told: Vec<&str> = Vec::new();
    for job in resolved.jobs.iter().filter(|job| !is_batch(job)) {
        let run = &job.plan.run;
        let Some(shared) = folder(run) else {
            continue;
        };
        let mut batch = resolved.jobs.iter().filter(is_batch);
        let Some(other) = batch.find(|other| folder(&other.plan.run) == Some(shared)) else {
            continue;
        };
        if told.contains(&run.class.as_str()) {
            continue;
        }
        told.push(&run.class);
        let class = resolved
            .classes
            .iter()
            .find(|class| class.plan.name == run.class);
        let span = class
            .and_then(|class| class.sheet)
            .map_or(&job.sheet.span, |sheet| sheet.value_span("identity"));
        let message = format!(
            "{} and {} use one login, and the interactive one never waits its turn: if both \
             refresh its token at once, both are logged out",
            job.sheet.title, other.sheet.title
        );
        let help = "give the interactive class a login of its own: another folder, or\n\
                    identity = \"env:CLAUDE_CODE_OAUTH_TOKEN\" (a long-lived token) or \
                    \"env:ANTHROPIC_API_KEY\"";
        findings.warning(span, message, help);
    }
}

/// A batch class with neither identity nor lock is no error: a command that uses no login, or a key
/// in a variable, needs no turns. But whoever forgot the identity gets no protection at all.
fn batch_classes_that_take_no_turns(resolved: &Resolved<'_>, findings: &mut Findings) {
    for class in &resolved.classes {
        let plan = &class.plan;
        let said = |key| class.sheet.is_some_and(|sheet| sheet.has(key));
        let takes_turns = said("lock") || said("identity");
        if takes_turns || !matches!(plan.kind, Kind::Batch { lock: None, .. }) {
            continue;
        }
        let Some(job) = resolved
            .jobs
            .iter()
            .find(|job| job.plan.run.class == plan.name)
        else {
            continue;
        };
        let span = class
            .sheet
            .map_or(job.sheet.value_span("class"), |sheet| &sheet.span);
        let message = format!(
            "the class `{}` has neither identity nor lock: its jobs take no turns",
            plan.name
        );
        let help = format!(
            "write identity = \"/home/agent/.claude\" in [classes.{}], the folder of its login;\n\
             if the login is a key in a variable, identity = \"env:ANTHROPIC_API_KEY\"",
            plan.name
        );
        findings.warning(span, message, help);
    }
}

/// Without its variable an agent falls back to the login in its folder, and takes no turns on it.
fn logins_in_variables_that_are_not_set(
    resolved: &Resolved<'_>,
    env: &Lookup<'_>,
    findings: &mut Findings,
) {
    let unset = |run: &RunPlan, name: &str| {
        !run.env.iter().any(|(set, _)| set == name)
            && !may_lie_in_a_file(run, name)
            && inherited(run, name, env).is_none_or(|value| value.is_empty())
    };
    for class in &resolved.classes {
        let (Some(Identity::Env(name)), Some(sheet)) = (&class.plan.identity, class.sheet) else {
            continue;
        };
        let is_ours = |job: &&Job<'_>| job.plan.run.class == class.plan.name;
        let mut jobs = resolved.jobs.iter().filter(is_ours);
        if let Some(job) = jobs.find(|job| unset(&job.plan.run, name)) {
            let message = format!(
                "the variable {name} is not set, and is the login of {}",
                job.sheet.title
            );
            let help = "set it in the container; without it an agent may use the login in its \
                        folder, which takes no turns here";
            findings.warning(sheet.value_span("identity"), message, help);
        }
    }
}

fn locks_that_nobody_names(file: &File, findings: &mut Findings) {
    for lock in &file.locks {
        let names = |class: &Sheet| class.text("lock") == Some(&lock.name);
        if !file.classes.iter().any(names) {
            let message = format!("no class names {}", lock.title);
            let help = format!(
                "write lock = \"{}\" in a batch class, or take the table out",
                lock.name
            );
            findings.warning(&lock.span, message, help);
        }
    }
}
