//! What there is, where no file says what there should be: PID 1, the container, agents and their
//! logins.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use super::jobs::find;
use super::mounts::{Mounts, Place};
use super::report::{About, Level, Report};
use super::{inode, quoted};
use crate::core::order;
use crate::sys::process;

/// How many folders under /home are looked into.
const MOST_HOMES: usize = 64;

/// An agent that people run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Agent {
    /// Its command.
    pub(super) command: &'static str,
    /// The folder of its login in a home, and the variable that names another.
    folder: Option<(&'static str, &'static str)>,
    /// The variables that hold a login that does not rotate, where it has some.
    keys: &'static [&'static str],
}

/// Those that are looked for, the likeliest first.
const AGENTS: &[Agent] = &[
    Agent {
        command: "claude",
        folder: Some((".claude", "CLAUDE_CONFIG_DIR")),
        keys: &["CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_API_KEY"],
    },
    Agent {
        command: "codex",
        folder: Some((".codex", "CODEX_HOME")),
        keys: &[],
    },
    other("gemini"),
    other("opencode"),
    other("copilot"),
    other("cursor-agent"),
    other("aider"),
];

const fn other(command: &'static str) -> Agent {
    Agent {
        command,
        folder: None,
        keys: &[],
    }
}

/// What was found of the likeliest agent: what its file is made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Its command.
    pub(super) command: Option<&'static str>,
    /// The folder of its login.
    pub(super) folder: Option<PathBuf>,
    /// The variable that names that folder, if one does.
    pub(super) named_by: Option<&'static str>,
    /// The variable that holds its login, if one does.
    pub(super) key: Option<&'static str>,
}

/// Says what is here; `looked_for` is the file that is missing.
pub(super) fn look(looked_for: &Path, mounts: &Mounts, report: &mut Report) -> Found {
    let mut say = |level, subject: &Path, text: String| {
        report.say(level, About::Here, subject, text);
    };
    say(
        Level::Ok,
        looked_for,
        format!(
            "no file: neither -c nor $LOCKKEEPER_CONFIG names one, and {} does not exist; this \
             is what is here",
            quoted(looked_for)
        ),
    );
    say(Level::Ok, Path::new("/proc/1"), pid1());
    let container = mounts.container_root();
    say(
        Level::Ok,
        Path::new("/"),
        match &container {
            Some(kind) => format!("/ is a container's own, of type {kind}"),
            None => {
                "/ is no container's own: this is a machine, or cannot be told from one".to_owned()
            }
        },
    );
    let mut best = Found::default();
    for agent in AGENTS {
        let found = one(agent, mounts, container.as_deref(), &mut say);
        if best == Found::default() {
            best = found;
        }
    }
    if best == Found::default() {
        let text = "no agent is here: none in PATH, no folder of one in a home".to_owned();
        say(Level::Ok, Path::new(""), text);
    }
    best
}

fn pid1() -> String {
    let own = process::own_pid();
    if own == 1 {
        return "we are PID 1: as lockkeeper -c FILE we would reap orphans and pass on the stop"
            .to_owned();
    }
    let name = fs::read_to_string("/proc/1/comm").unwrap_or_default();
    match name.trim_end() {
        "" => format!("we are process {own}, and /proc does not say what PID 1 is"),
        "lockkeeper" => format!("we are process {own}; PID 1 is lockkeeper"),
        name => format!(
            "we are process {own}; PID 1 is {name:?}; in a container, lockkeeper belongs there, \
             as its ENTRYPOINT"
        ),
    }
}

fn one(
    agent: &Agent,
    mounts: &Mounts,
    container: Option<&str>,
    say: &mut impl FnMut(Level, &Path, String),
) -> Found {
    let mut found = Found::default();
    let name = agent.command;
    if let Some(path) = find(OsStr::new(name), env::var_os("PATH").as_deref()) {
        let text = format!("{name} is in PATH: {}", quoted(&path));
        say(Level::Ok, &path, text);
        found.command = Some(name);
    }
    for key in agent.keys {
        if env::var_os(key).is_some_and(|value| !value.is_empty()) {
            let text = format!("the variable {key} is set: a login that does not rotate");
            say(Level::Ok, Path::new(key), text);
            found.key = found.key.or(Some(key));
        }
    }
    let Some((folder, variable)) = agent.folder else {
        return found;
    };
    let named = env::var_os(variable).filter(|value| !value.is_empty());
    let mut folders: Vec<PathBuf> = named.iter().map(PathBuf::from).collect();
    folders.extend(homes().iter().map(|home| home.join(folder)));
    let mut seen = Vec::new();
    for path in folders {
        let is_named = named.as_deref() == Some(path.as_os_str());
        let Some(id) = inode(&path).filter(|_| path.is_dir()) else {
            if is_named {
                let text = format!("{variable} names {}, which is no folder", quoted(&path));
                say(Level::Warning, &path, text);
            }
            continue;
        };
        if seen.contains(&id) {
            continue;
        }
        seen.push(id);
        let (level, text) = lies(&path, name, mounts, container);
        say(level, &path, text);
        if found.folder.is_none() {
            found.named_by = is_named.then_some(variable);
            found.folder = Some(path);
        }
    }
    found
}

fn lies(path: &Path, agent: &str, mounts: &Mounts, container: Option<&str>) -> (Level, String) {
    let login = format!("{}, the login of {agent},", quoted(path));
    let target = path.display();
    match (mounts.place(path), container) {
        (Place::Mount, _) => (
            Level::Ok,
            format!(
                "{login} is a mount of its own: containers that mount the same folder share it"
            ),
        ),
        (Place::Inside(parent), Some(_)) => (
            Level::Warning,
            format!(
                "{login} is shared by way of its parent, {}; mount it alone: -v \
                 HOST_FOLDER:{target}",
                quoted(parent)
            ),
        ),
        (Place::Root | Place::Unknown, Some(kind)) => (
            Level::Warning,
            format!(
                "{login} lies on the container's own {kind}, where no other container sees it; \
                 mount a folder of the host into every container: -v HOST_FOLDER:{target}"
            ),
        ),
        (Place::Inside(_) | Place::Root | Place::Unknown, None) => (
            Level::Ok,
            format!(
                "{login} is here; each container that shares it mounts it: -v {target}:{target}"
            ),
        ),
    }
}

/// Our own home first, then those of this machine or image.
fn homes() -> Vec<PathBuf> {
    let own = env::var_os("HOME").map(PathBuf::from);
    let mut homes: Vec<PathBuf> = own.into_iter().filter(|home| home.is_absolute()).collect();
    let entries = fs::read_dir("/home").into_iter().flatten().flatten();
    let mut others: Vec<PathBuf> = entries.take(MOST_HOMES).map(|entry| entry.path()).collect();
    order::sort_by(&mut others, Ord::cmp);
    homes.extend(others);
    homes
}
