//! What a job needs before its command runs: user, group, working directory, program.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{Group, User, geteuid};

use super::report::{About, Level, Report, count};
use super::{no_folder, quoted, start};
use crate::cli::verb::programs::{find, find_inert, is_program};
use crate::config::load::Loaded;
use crate::config::plan::{ClassPlan, RunPlan};
use crate::core::outcome::SpawnStep;
use crate::sys::pty::{MULTIPLEXER, Pty};
use crate::trouble;

/// Checks each job, and each class that has none; one line where all is well with all of them.
pub(super) fn check(loaded: &Loaded, report: &mut Report) {
    let jobs = &loaded.plan.jobs;
    let named: Vec<(String, RunPlan)> = jobs
        .iter()
        .map(|job| (format!("job \"{}\"", job.run.job), job.run.clone()))
        .chain(classes_alone(loaded))
        .collect();
    let mut is_clean = true;
    for (name, run) in &named {
        let mut say = |level, text: Option<String>| {
            if let Some(text) = text {
                is_clean = false;
                let subject = if run.job.is_empty() {
                    &run.class
                } else {
                    &run.job
                };
                report.say(level, About::Job, subject, format!("{name}: {text}"));
            }
        };
        say(Level::Error, no_user(run));
        say(Level::Error, no_group(run));
        say(Level::Warning, not_allowed(run));
        say(Level::Error, no_directory(run));
        say(Level::Error, no_command(run));
        say(Level::Warning, open_log_dir(run));
        say(Level::Error, no_terminal(run));
        for (level, text) in start::look(run) {
            let subject = if run.job.is_empty() {
                &run.class
            } else {
                &run.job
            };
            is_clean &= level == Level::Ok;
            report.say(level, About::Job, subject, format!("{name}: {text}"));
        }
    }
    if is_clean && !jobs.is_empty() {
        let what = count(jobs.len(), "job");
        let text = format!("the commands, folders and users of {what} are here");
        report.say(Level::Ok, About::Job, "", text);
    }
}

/// Classes that only `lockkeeper run --class` uses, as runs without a command.
fn classes_alone(loaded: &Loaded) -> impl Iterator<Item = (String, RunPlan)> {
    let has_jobs = |class: &&ClassPlan| {
        let mut jobs = loaded.plan.jobs.iter();
        jobs.any(|job| job.run.class == class.name)
    };
    let alone = loaded.classes.iter().filter(move |class| !has_jobs(class));
    alone.map(|class| {
        let name = format!("class \"{}\"", class.name);
        (name, class.clone().run(String::new(), Vec::new()))
    })
}

/// A number needs no entry; a name does.
fn no_user(run: &RunPlan) -> Option<String> {
    let name = run.user.as_deref()?;
    match User::from_name(name) {
        Ok(Some(_)) => None,
        _ if name.parse::<u32>().is_ok() => None,
        Ok(None) => Some(format!(
            "there is no user {name:?} in /etc/passwd: add it to the image, or write its number"
        )),
        Err(errno) => Some(unknown("user", name, errno)),
    }
}

fn no_group(run: &RunPlan) -> Option<String> {
    let name = run.group.as_deref()?;
    match Group::from_name(name) {
        Ok(Some(_)) => None,
        _ if name.parse::<u32>().is_ok() => None,
        Ok(None) => Some(format!(
            "there is no group {name:?} in /etc/group: add it to the image, or write its number"
        )),
        Err(errno) => Some(unknown("group", name, errno)),
    }
}

fn unknown(what: &str, name: &str, errno: Errno) -> String {
    let why = errno.desc().to_ascii_lowercase();
    format!("looking up the {what} {name:?} failed: {why}; see that the account files can be read")
}

/// Only a warning: the capabilities that matter are those of the lockkeeper that will run it.
fn not_allowed(run: &RunPlan) -> Option<String> {
    let name = run.user.as_deref()?;
    let uid = match User::from_name(name).ok().flatten() {
        Some(user) => user.uid.as_raw(),
        None => name.parse().ok()?,
    };
    let own = geteuid();
    (!own.is_root() && own.as_raw() != uid).then(|| {
        format!(
            "it runs as user {name:?}, which user {own}, whom we are, cannot become: start \
             lockkeeper as root, or as that user and without `user`"
        )
    })
}

fn no_directory(run: &RunPlan) -> Option<String> {
    let dir = run.dir.as_deref()?;
    let why = no_folder(dir)?;
    let dir = quoted(dir);
    Some(format!("its directory {dir} {why}; create it, or mount it"))
}

/// Whoever may write where its output is kept can put something in the file's place: lines of a run are
/// refused by that, or go where he can read them.
fn open_log_dir(run: &RunPlan) -> Option<String> {
    let dir = Some(run.output.log_dir.as_path()).filter(|_| run.output.file)?;
    let there = fs::symlink_metadata(dir).ok()?;
    let (mode, shown) = (there.mode(), quoted(dir));
    if there.is_symlink() {
        return Some(format!(
            "its log_dir {shown} is a symbolic link, which is not followed: write the folder's own path"
        ));
    }
    let own = geteuid().as_raw();
    let user = run.user.as_deref().and_then(ids);
    let user = user.filter(|(uid, _)| *uid != own && *uid != 0);
    let by_user = user.is_some_and(|(uid, gid)| {
        (there.uid() == uid && mode & 0o200 != 0) || (there.gid() == gid && mode & 0o020 != 0)
    });
    let who = if mode & 0o002 != 0 {
        "any user"
    } else if by_user {
        "the job's own user"
    } else {
        return None;
    };
    Some(format!(
        "{who} may write in its log_dir {shown}, and put another file in the place of its output: \
         chown it to user {own}, and chmod 755"
    ))
}

/// The user's number, and that of his group.
fn ids(name: &str) -> Option<(u32, u32)> {
    let number = || {
        User::from_uid(name.parse::<u32>().ok()?.into())
            .ok()
            .flatten()
    };
    let user = User::from_name(name).ok().flatten().or_else(number)?;
    Some((user.uid.as_raw(), user.gid.as_raw()))
}

fn no_command(run: &RunPlan) -> Option<String> {
    let program = Path::new(run.command.first()?);
    let has_slash = program.as_os_str().as_encoded_bytes().contains(&b'/');
    if has_slash {
        let base = run.dir.clone().unwrap_or_default();
        let path = base.join(program);
        if path.exists() && !is_program(&path) {
            let path = quoted(path);
            return Some(format!("{path} cannot be executed: chmod +x (exit 126)"));
        }
        return (!path.exists()).then(|| {
            let path = quoted(path);
            format!("there is no command {path}: correct the path, or install it (exit 127)")
        });
    }
    let mut set = run.env.iter().rev().filter(|(name, _)| name == "PATH");
    let path = set.next().map(|(_, value)| value.into());
    let path = path.or_else(|| env::var_os("PATH"));
    let (name, path) = (program.as_os_str(), path.as_deref());
    if find(name, path).is_some() {
        return None;
    }
    Some(match find_inert(name, path) {
        Some(file) => format!("{} cannot be executed: chmod +x (exit 126)", quoted(file)),
        None => format!(
            "the command {} is not in PATH: install it, or write its whole path (exit 127)",
            quoted(program)
        ),
    })
}

fn no_terminal(run: &RunPlan) -> Option<String> {
    let pty = run.pty?;
    let error = Pty::open(pty.rows, pty.cols, pty.echo).err()?;
    let errno = error.raw_os_error().unwrap_or(Errno::ENOTTY as i32);
    let why = trouble::start(SpawnStep::Terminal, errno, MULTIPLEXER);
    Some(format!("no terminal from \"{MULTIPLEXER}\": {why}"))
}
