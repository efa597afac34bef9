//! The logins that classes use: whether they are here, how they are mounted, and who shares one with
//! whom. Folders are compared by device and inode, as one may be spelt or mounted in several ways;
//! what the file alone shows has been said when it was read.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::{FsFlags, statvfs};

use super::mounts::{Mounts, Place};
use super::report::{About, Level, Report};
use super::{folder_of, inode, no_folder, quoted};
use crate::config::load::Loaded;
use crate::config::plan::{ClassPlan, Identity, Kind, LOCK_NAME};

/// Checks the identities of all classes; says which folders are missing.
pub(super) fn check(loaded: &Loaded, mounts: &Mounts, report: &mut Report) -> Vec<PathBuf> {
    let mut missing = Vec::new();
    let mut seen: Vec<&Identity> = Vec::new();
    for class in &loaded.classes {
        let Some(identity) = &class.identity else {
            continue;
        };
        if seen.contains(&identity) {
            continue;
        }
        seen.push(identity);
        match identity {
            Identity::Env(name) => variable(name, loaded, report),
            Identity::Folder(path) => match no_folder(path) {
                None => folder(path, mounts, report),
                Some(why) => {
                    absent(path, &why, identity, loaded, report);
                    missing.push(path.clone());
                }
            },
        }
    }
    shared(loaded, report);
    shared_elsewhere(&loaded.classes, report);
    missing
}

/// That a variable is not set has been said, with its place in the file, for each class with jobs.
fn variable(name: &str, loaded: &Loaded, report: &mut Report) {
    let is_set = |env: &[(String, String)]| env.iter().any(|(set, _)| set == name);
    let here = env::var_os(name).is_some_and(|value| !value.is_empty());
    let in_file = loaded.classes.iter().any(|class| is_set(&class.env))
        || loaded.plan.jobs.iter().any(|job| is_set(&job.run.env));
    let (level, text) = if here || in_file {
        let text = format!("the variable {name} is set: nothing rotates, no turns are needed");
        (Level::Ok, text)
    } else if loaded.plan.jobs.is_empty() {
        let text = format!(
            "the variable {name} is not set: set it in the container; without it an agent may use \
             the login in its folder, which takes no turns here"
        );
        (Level::Warning, text)
    } else {
        return;
    };
    report.say(level, About::Login, name, text);
}

/// A batch run opens its lock in that folder, so it would not start. An interactive agent may make
/// its folder; that some hang instead is worth a warning.
fn absent(path: &Path, why: &str, identity: &Identity, loaded: &Loaded, report: &mut Report) {
    let mut users = loaded
        .classes
        .iter()
        .filter(|class| class.identity.as_ref() == Some(identity));
    let level = if users.any(|class| class.kind.lock().is_some()) {
        Level::Error
    } else {
        Level::Warning
    };
    let text = format!(
        "the login {} {why}; mount the folder of the host that holds it, -v HOST_FOLDER:{}",
        quoted(path),
        path.display()
    );
    report.say(level, About::Login, path, text);
}

fn folder(path: &Path, mounts: &Mounts, report: &mut Report) {
    let name = format!("the login {}", quoted(path));
    let mut say = |level, text: String| report.say(level, About::Login, path, text);
    let in_container = mounts.container_root().is_some();
    match mounts.place(path) {
        Place::Inside(parent) if in_container => say(
            Level::Warning,
            format!(
                "{name} is shared by way of its parent: {} is mounted, so that containers share \
                 all else in it, too; mount the login alone, -v HOST_FOLDER:{}",
                quoted(parent),
                path.display()
            ),
        ),
        Place::Root if in_container => say(
            Level::Warning,
            format!(
                "{name} lies in this container alone, and no other one sees what is refreshed; \
                 mount it, -v HOST_FOLDER:{}",
                path.display()
            ),
        ),
        Place::Mount => say(Level::Ok, format!("{name} is here, a mount of its own")),
        Place::Inside(_) | Place::Root | Place::Unknown => {
            say(Level::Ok, format!("{name} is here"));
        }
    }
    if statvfs(path).is_ok_and(|fs| fs.flags().contains(FsFlags::ST_RDONLY)) {
        say(
            Level::Warning,
            format!(
                "{name} is mounted read-only: a token that is refreshed here is lost, and the old \
                 one is worth nothing any more; mount it without :ro"
            ),
        );
    }
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    for file in mounts.inside(&real).iter().filter(|point| point.is_file()) {
        say(
            Level::Warning,
            format!(
                "{} is mounted by itself: an agent that renames a new file over it fails, or \
                 leaves the others with the old one; mount its folder instead",
                quoted(file)
            ),
        );
    }
}

/// A class, the folder of its login, and that folder's device and inode.
type User<'a> = (&'a ClassPlan, &'a Path, (u64, u64));

fn users(classes: &[ClassPlan]) -> Vec<User<'_>> {
    classes
        .iter()
        .filter_map(|class| match class.identity.as_ref()? {
            Identity::Folder(path) => Some((class, path.as_path(), inode(path)?)),
            Identity::Env(_) => None,
        })
        .collect()
}

/// One login in several classes, and what that means for its turns.
fn shared(loaded: &Loaded, report: &mut Report) {
    let users = users(&loaded.classes);
    for (number, one) in users.iter().enumerate() {
        let others = users.iter().skip(number + 1);
        for other in others.filter(|other| other.2 == one.2) {
            if let Some(text) = pair(*one, *other, loaded) {
                report.say(Level::Warning, About::Login, one.1, text);
            }
        }
    }
}

/// What there is to say about two classes with one login, but for what the file alone has shown.
fn pair((one, path, _): User<'_>, (other, second, _): User<'_>, loaded: &Loaded) -> Option<String> {
    let classes = format!(
        "the classes `{}` and `{}` use one login",
        one.name, other.name
    );
    let is_one_spelling = path == second;
    let names = if is_one_spelling {
        format!(", {}", quoted(path))
    } else {
        format!(" under two names, {} and {}", quoted(path), quoted(second))
    };
    if let (Some(lock), Some(second)) = (one.kind.lock(), other.kind.lock())
        && !is_one_file(&lock.path, &second.path)
    {
        let (lock, second) = (quoted(&lock.path), quoted(&second.path));
        return Some(format!(
            "{classes}{names}, and take turns on two locks, {lock} and {second}: give them one"
        ));
    }
    if (one.kind == Kind::Interactive) != (other.kind == Kind::Interactive) {
        let has_jobs = |class: &ClassPlan| {
            loaded
                .plan
                .jobs
                .iter()
                .any(|job| job.run.class == class.name)
        };
        let is_told = is_one_spelling && has_jobs(one) && has_jobs(other);
        return (!is_told).then(|| {
            format!("{classes}{names}, and the interactive one never waits its turn: {WAYS_OUT}")
        });
    }
    (!is_one_spelling).then(|| format!("{classes}{names}: write the same path in both"))
}

const WAYS_OUT: &str = "if both refresh its token at once, both are logged out; give the interactive \
     one a login of its own, or identity = \"env:CLAUDE_CODE_OAUTH_TOKEN\" or \
     \"env:ANTHROPIC_API_KEY\"";

/// Interactive classes whose login batch jobs of another container take turns on.
fn shared_elsewhere(classes: &[ClassPlan], report: &mut Report) {
    let users = users(classes);
    let is_batch = |id: &(u64, u64)| {
        let mut batch = users.iter().filter(|user| user.0.kind != Kind::Interactive);
        batch.any(|user| user.2 == *id)
    };
    for (class, path, id) in &users {
        if class.kind == Kind::Interactive && !is_batch(id) && path.join(LOCK_NAME).is_file() {
            let text = format!(
                "the interactive class `{}` uses a login, {}, on which batch jobs take turns, as \
                 {LOCK_NAME} in it shows: {WAYS_OUT}",
                class.name,
                quoted(path)
            );
            report.say(Level::Warning, About::Login, path, text);
        }
    }
}

/// Whether two paths lead to one lock, which need not exist yet.
fn is_one_file(one: &Path, other: &Path) -> bool {
    if one == other {
        return true;
    }
    match (inode(one), inode(other)) {
        (Some(one), Some(other)) => one == other,
        (None, None) => {
            let folder = inode(&folder_of(one));
            one.file_name() == other.file_name()
                && folder.is_some()
                && folder == inode(&folder_of(other))
        }
        _ => false,
    }
}
