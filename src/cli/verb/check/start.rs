//! What stands before a job's command, as it stands now: the conditions of its start, the files with its
//! variables, its limits, its control group.
//!
//! A condition that does not hold is a warning: it may hold when the job is due. A file that cannot be
//! used now is one, too, as a secret may be mounted later.

use std::path::Path;

use nix::unistd::geteuid;

use super::quoted;
use super::report::Level;
use crate::config::plan::{RunPlan, UNLIMITED};
use crate::core::refusal::Refusal;
use crate::journal::render::because;
use crate::run::cgroup::group;
use crate::run::{conditions, env_file, memory};
use crate::sys::limits;

/// All there is to say of it.
pub(super) fn look(run: &RunPlan) -> Vec<(Level, String)> {
    let mut told = Vec::new();
    let mut say = |answer: Result<String, Refusal>| {
        told.push(match answer {
            Ok(text) => (Level::Ok, text),
            Err(refusal) => (
                Level::Warning,
                format!("would not start now: {}", because(&refusal)),
            ),
        });
    };
    let conditions = &run.conditions;
    for path in &conditions.paths {
        let there = format!("{} is there (require_path)", quoted(path));
        say(conditions::exists(path).map(|()| there));
    }
    let files = &run.process.env_files;
    for path in files {
        let read = env_file::of_env_file(path);
        say(read.map(|all| format!("{} has {} variables (env_file)", quoted(path), all.len())));
    }
    for (name, path) in &run.process.env_from {
        let there = format!("{} has the value of {name}", quoted(path));
        say(env_file::value_in(name, path).map(|_| there));
    }
    let read = env_file::FromFiles::read(run, &|_| ()).ok();
    for name in &conditions.variables {
        let there = format!("{name} has a value (require_env)");
        say(conditions::is_set(run, read.as_ref(), name).map(|()| there));
    }
    if let Some(wanted) = conditions.free_memory {
        say(conditions::has_memory(wanted).map(|()| free_memory()));
    }
    told.extend(conditions.create_dirs.iter().map(|path| folder(path)));
    told.extend(refused_limits(run));
    if !run.process.cgroup.is_empty() {
        told.push(match group::foreseen(&run.process.cgroup) {
            None => (Level::Ok, "its control group can be had here".to_owned()),
            Some(why) => {
                let text =
                    format!("what `cgroup` asks for is not to be had here: {why}; it runs without");
                (Level::Warning, text)
            }
        });
    }
    told
}

fn free_memory() -> String {
    let free = memory::free().map_or(0, |free| free.bytes);
    format!(
        "{} MiB of memory are free (require_free_memory)",
        free >> 20
    )
}

fn folder(path: &Path) -> (Level, String) {
    let name = quoted(path);
    match path.metadata() {
        Ok(meta) if meta.is_dir() => (Level::Ok, format!("{name} is there (create_dirs)")),
        Ok(_) => {
            let text =
                format!("would not start now: {name}, which create_dirs names, is no folder");
            (Level::Warning, text)
        }
        Err(_) => (
            Level::Ok,
            format!("{name} is made when it starts (create_dirs)"),
        ),
    }
}

/// Root may raise them, if its container lets it.
fn refused_limits(run: &RunPlan) -> impl Iterator<Item = (Level, String)> {
    let limits = run.process.rlimits.iter().filter(|_| !geteuid().is_root());
    limits.filter_map(|limit| {
        let (_, own) = limits::own(limits::number(&limit.name)?).ok()?;
        let wanted = limit.hard.or(limit.soft).filter(|wanted| *wanted > own)?;
        let wanted = match wanted {
            UNLIMITED => "unlimited".to_owned(),
            number => number.to_string(),
        };
        let name = &limit.name;
        let text = format!(
            "the limit {name} = {wanted} is above ours, {own}, and only root may raise it: raise it \
             for the container (--ulimit), or write less"
        );
        Some((Level::Warning, text))
    })
}
