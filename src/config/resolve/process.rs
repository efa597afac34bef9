//! What a class or a job says of a command's surroundings: the conditions of its start, its
//! environment, its limits.
//!
//! A job's lists replace its class's; `env`, `rlimits` and `cgroup` are merged, name by name.

use crate::config::plan::{ClassPlan, ProcessPlan, Rlimit};
use crate::config::sheet::Sheet;
use crate::config::value::Variable;

pub(super) fn conditions(sheet: &Sheet, plan: &mut ClassPlan) {
    let conditions = &mut plan.conditions;
    if let Some(paths) = sheet.paths("require_path") {
        conditions.paths = paths.to_vec();
    }
    if let Some(names) = sheet.names("require_env") {
        conditions.variables = names.to_vec();
    }
    if let Some(paths) = sheet.paths("create_dirs") {
        conditions.create_dirs = paths.to_vec();
    }
    let free = sheet.number("require_free_memory");
    conditions.free_memory = free.or(conditions.free_memory);
}

/// Of two values of one variable the job's counts, wherever each comes from.
pub(super) fn environment(sheet: &Sheet, plan: &mut ClassPlan) {
    let process = &mut plan.process;
    if let Some(files) = sheet.path_or_paths("env_file") {
        process.env_files = files.to_vec();
    }
    for (name, value) in sheet.env("env") {
        plan.env.retain(|(earlier, _)| earlier != name);
        process.env_from.retain(|(earlier, _)| earlier != name);
        match value {
            Variable::Text(text) => plan.env.push((name.clone(), text.clone())),
            Variable::File(file) => process.env_from.push((name.clone(), file.clone())),
        }
    }
}

pub(super) fn attributes(sheet: &Sheet, process: &mut ProcessPlan) {
    let limits = sheet.sheet("rlimits").into_iter().flat_map(Sheet::limits);
    for (name, soft, hard) in limits {
        process.rlimits.retain(|earlier| earlier.name != name);
        let name = name.to_owned();
        process.rlimits.push(Rlimit { name, soft, hard });
    }
    let umask = sheet.number("umask");
    let umask = umask.and_then(|mask| u32::try_from(mask).ok());
    process.umask = umask.or(process.umask);
    process.nice = sheet.signed("nice").or(process.nice);
    process.oom_score_adj = sheet.signed("oom_score_adj").or(process.oom_score_adj);
    let no_new_privs = sheet.flag("no_new_privs");
    process.no_new_privs = no_new_privs.unwrap_or(process.no_new_privs);
    process.clear_env = sheet.flag("clear_env").unwrap_or(process.clear_env);
    if let Some(inner) = sheet.sheet("cgroup") {
        cgroup(inner, &mut process.cgroup);
    }
}

/// The files of a control group and what they take (Linux, admin-guide/cgroup-v2).
fn cgroup(sheet: &Sheet, files: &mut Vec<(String, String)>) {
    for (key, file, before, behind) in [
        ("memory_max", "memory.max", "", ""),
        ("memory_high", "memory.high", "", ""),
        ("pids_max", "pids.max", "", ""),
        ("cpu_max", "cpu.max", "", " 100000"),
        ("cpu_weight", "cpu.weight", "", ""),
        ("io_weight", "io.weight", "default ", ""),
    ] {
        if let Some(number) = sheet.number(key) {
            files.retain(|(earlier, _)| earlier != file);
            files.push((file.to_owned(), format!("{before}{number}{behind}")));
        }
    }
}
