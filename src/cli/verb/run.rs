//! `lockkeeper run`: one run, in the foreground.

use std::ffi::OsString;
use std::path::{Path, PathBuf, absolute};

use super::programs::meant_by;
use super::start::{
    adopt_report, class, config_path, host_name, is_missing, job_name, load, no_file_is,
    nothing_names_one, refused,
};
use crate::cli::RunArgs;
use crate::config::nearest::nearest;
use crate::config::plan::{
    ClassPlan, DEFAULT_WAIT, InitPlan, Kind, LockPlan, OnConflict, RunPlan, SharedMount, Stdin,
    Wait,
};
use crate::core::shell::Typed;
use crate::exit;
use crate::journal::{Format, route};
use crate::lock::fault::Quoted;
use crate::lock::folders::runtime_folder;
use crate::lock::record::By;
use crate::run::start::{Caller, Refused, guarded};
use crate::trouble;

/// Runs what `args` ask for; says the exit code.
pub fn run(args: RunArgs) -> Result<u8, Refused> {
    let report = args.report.map(adopt_report).transpose()?;
    let (verbosity, named) = (args.verbosity, args.job.is_some());
    let (plan, file) = plan(args)?;
    let (container, log, file) = match file {
        Some((path, init)) => (Some(init.name), init.log, absolute(path).ok()),
        None => (host_name(), Format::Text, None),
    };
    let mut caller = Caller::person(&plan, container, verbosity, report);
    caller.context.format = route::format(log);
    caller.context.file = file;
    // So that the init of this container sees it.
    caller.runtime = runtime_folder();
    caller.by = if named { By::Hand } else { By::Command };
    guarded(&plan, &caller)
}

/// A file, and what it says of init: the container's name, the look of a line.
type OfFile = Option<(PathBuf, InitPlan)>;

/// The plan, and its file, if there is one.
fn plan(args: RunArgs) -> Result<(RunPlan, OfFile), Refused> {
    if let Some(job) = &args.job {
        return of_file(job, args.config.as_deref());
    }
    let (class, file) = match (&args.class, &args.config) {
        (None, None) => (without_file(&args)?, None),
        (None, Some(_)) => return Err(refused(exit::USAGE, CONFIG_WITHOUT_CLASS.to_owned())),
        (Some(name), config) => named_class(name, config.as_deref())?,
    };
    let mut plan = class.run(job_name(&args.command), args.command);
    plan.dir = args.dir.or(plan.dir);
    plan.limits.timeout = args.timeout.or(plan.limits.timeout);
    plan.limits.idle_timeout = args.idle_timeout.or(plan.limits.idle_timeout);
    plan.stop.grace = args.grace.unwrap_or(plan.stop.grace);
    plan.dirs.also.extend(args.dir_locks);
    if let (Kind::Batch { lock, on_conflict }, Some(wait)) = (&mut plan.kind, args.wait) {
        if let Some(lock) = lock {
            lock.wait = wait;
        }
        if matches!(on_conflict, OnConflict::Wait(_)) {
            *on_conflict = OnConflict::Wait(wait);
        }
    }
    Ok((plan, file))
}

/// A job of the file.
fn of_file(job: &str, config: Option<&Path>) -> Result<(RunPlan, OfFile), Refused> {
    let path = config_path(config);
    if nothing_names_one(config) && path.symlink_metadata().is_err_and(is_missing) {
        let taking = |path: &Path| {
            let words = [path.into(), job.into()];
            Typed("lockkeeper run -c", &words).to_string()
        };
        let no_file = no_file_is(taking);
        let text = format!("no job {job:?} is here: {no_file}{}", meant(job));
        return Err(refused(exit::CONFIG, text));
    }
    let loaded = load(&path)?;
    let jobs = &loaded.plan.jobs;
    let Some(found) = jobs.iter().find(|plan| plan.run.job == job) else {
        let names = jobs.iter().map(|plan| &*plan.run.job);
        let near = nearest(job, names.clone())
            .map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
        let known: Vec<String> = names.map(|name| format!("\"{name}\"")).collect();
        let path = Quoted(&path);
        let known = if known.is_empty() {
            "none".to_owned()
        } else {
            known.join(", ")
        };
        let text = format!(
            "no job in {path} is named {job:?}: there are {known}{near}{}",
            meant(job)
        );
        return Err(refused(exit::CONFIG, text));
    };
    Ok((found.run.clone(), Some((path, loaded.plan.init))))
}

/// A line for who meant a command, possibly with quotes round all of it.
fn meant(job: &str) -> String {
    let words: Vec<OsString> = job.split_whitespace().map(OsString::from).collect();
    let program = words.first().and_then(|word| meant_by(word));
    program.map_or_else(String::new, |path| {
        let command = [vec!["--".into()], words].concat();
        let command = Typed("lockkeeper run", &command);
        format!("\n  = to run the program {}: {command}", Quoted(&path))
    })
}

const CONFIG_WITHOUT_CLASS: &str = "\"--config\" with a command needs \"--class CLASS\", which says \
     how to run it; a job of the file is run by its name: lockkeeper run -c FILE JOB";

/// A class of the file if there is one, else a built-in one.
fn named_class(name: &str, config: Option<&Path>) -> Result<(ClassPlan, OfFile), Refused> {
    let path = config_path(config);
    if nothing_names_one(config) && !path.exists() {
        return Ok((class(None, name)?, None));
    }
    let loaded = load(&path)?;
    Ok((class(Some(&loaded), name)?, Some((path, loaded.plan.init))))
}

/// The class of a run that names none: in place of `flock` and `timeout`. With a lock, or a time to
/// wait for a directory, it is a batch run; without, an interactive one that only its limits, or a
/// directory that it takes at once or not at all, tell from the bare command. Standard input is ours
/// in both, as it is with those tools.
fn without_file(args: &RunArgs) -> Result<ClassPlan, Refused> {
    let kind = match (&args.lock, args.wait) {
        (Some(path), wait) => Kind::batch(Some(LockPlan {
            path: absolute_path(path)?,
            shared_mount: SharedMount::Auto,
            wait: wait.unwrap_or(Wait::AtMost(DEFAULT_WAIT)),
            sweep: None,
            pause: None,
        })),
        (None, Some(_)) => Kind::batch(None),
        (None, None) => Kind::Interactive,
    };
    let mut class = ClassPlan::new(kind.name(), kind);
    class.stdin = Some(Stdin::Inherit);
    Ok(class)
}

fn absolute_path(path: &Path) -> Result<PathBuf, Refused> {
    absolute(path).map_err(|error| {
        refused(
            exit::CONFIG,
            format!(
                "finding the lock \"{}\": {}; name it by a path that begins with /",
                path.display(),
                trouble::text_of(&error)
            ),
        )
    })
}
