//! What there is, where no file says what there should be: the container, agents and their logins.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use super::mounts::{Mounts, Place};
use super::report::{About, Level, Report};
use super::{inode, machine, quoted, sketch, versions};
use crate::cli::verb::programs::{find, find_inert};
use crate::cli::verb::start::elsewhere;
use crate::core::order;
use crate::core::shell::Command;
use crate::core::text::plain;
use crate::lock::probe::{Exclusion, probe_exclusion};

/// How many folders under /home are looked into.
const MOST_HOMES: usize = 64;

/// An agent that people run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Agent {
    /// Its command.
    pub(super) command: &'static str,
    /// What stands between the command and the words for it, where nobody is there to talk to.
    pub(super) batch: &'static str,
    /// The folder of its login in a home.
    folder: Option<&'static str>,
    /// The variable that names another folder.
    variable: Option<&'static str>,
    /// The variables that hold a login that does not rotate, where it has some.
    keys: &'static [&'static str],
}

/// Those that are looked for, the likeliest first. Documented behaviour, as of 2026:
///
/// | agent | its login | said in |
/// | --- | --- | --- |
/// | Claude Code | `.credentials.json` in `~/.claude`, or `CLAUDE_CONFIG_DIR` | its settings and its authentication pages |
/// | Codex | `auth.json` in `~/.codex`, or `CODEX_HOME`; `CODEX_API_KEY` for `codex exec` | its authentication page |
/// | Gemini CLI | `oauth_creds.json` in `~/.gemini`; `GEMINI_API_KEY` | its authentication page |
/// | opencode | `auth.json` in `~/.local/share/opencode` | its page on providers |
/// | Copilot CLI | `config.json` in `~/.copilot`, or `COPILOT_HOME`; `COPILOT_GITHUB_TOKEN` | "configuration directory" and "authenticating" in GitHub's docs |
/// | Cursor CLI | "securely stored locally", seen in `~/.config/cursor`; `CURSOR_API_KEY` | its authentication page |
/// | Aider | keys in the environment alone | its pages on keys |
const AGENTS: &[Agent] = &[
    Agent {
        variable: Some("CLAUDE_CONFIG_DIR"),
        keys: &["CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_API_KEY"],
        ..agent("claude", "-p", Some(".claude"))
    },
    Agent {
        variable: Some("CODEX_HOME"),
        keys: &["CODEX_API_KEY"],
        ..agent("codex", "exec", Some(".codex"))
    },
    Agent {
        keys: &["GEMINI_API_KEY"],
        ..agent("gemini", "-p", Some(".gemini"))
    },
    agent("opencode", "run", Some(".local/share/opencode")),
    Agent {
        variable: Some("COPILOT_HOME"),
        keys: &["COPILOT_GITHUB_TOKEN"],
        ..agent("copilot", "-p", Some(".copilot"))
    },
    Agent {
        keys: &["CURSOR_API_KEY"],
        ..agent("cursor-agent", "-p", Some(".config/cursor"))
    },
    agent("aider", "--message", None),
];

const fn agent(command: &'static str, batch: &'static str, folder: Option<&'static str>) -> Agent {
    Agent {
        command,
        batch,
        folder,
        variable: None,
        keys: &[],
    }
}

/// What was found of the likeliest agent: what its file is made of.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// The agent, if its command is here.
    pub(super) agent: Option<Agent>,
    /// The folder of its login.
    pub(super) folder: Option<PathBuf>,
    /// The variable that names that folder, if one does.
    pub(super) named_by: Option<&'static str>,
    /// The variable that holds its login, if one does.
    pub(super) key: Option<&'static str>,
}

impl Found {
    const fn is_nothing(&self) -> bool {
        self.agent.is_none() && self.folder.is_none() && self.key.is_none()
    }
}

/// Says what is here; `looked_for` is the file that is missing.
pub(super) fn look(
    looked_for: &Path,
    ask_versions: bool,
    mounts: &Mounts,
    report: &mut Report,
) -> Found {
    let mut say = |level, subject: &Path, text: String| {
        report.say(level, About::Here, subject, text);
    };
    let none = format!(
        "no file: neither -c nor $LOCKKEEPER_CONFIG names one, and {} does not exist",
        quoted(looked_for)
    );
    match elsewhere() {
        Some(other) => say(
            Level::Warning,
            &other,
            format!(
                "{none}; but {} does, and is not looked for there: {}, or move it",
                quoted(&other),
                Command::on("lockkeeper check -c", &other)
            ),
        ),
        None => say(
            Level::Ok,
            looked_for,
            format!("{none}; this is what is here"),
        ),
    }
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
    let path = env::var_os("PATH");
    let here = |agent: &Agent| find(OsStr::new(agent.command), path.as_deref());
    let programs: Vec<Option<PathBuf>> = AGENTS.iter().map(here).collect();
    let mut says = if ask_versions {
        versions::ask(&programs)
    } else {
        Vec::new()
    }
    .into_iter();
    let mut best = Found::default();
    for (agent, program) in AGENTS.iter().zip(programs) {
        let inert = find_inert(OsStr::new(agent.command), path.as_deref());
        if let (None, Some(file)) = (&program, inert) {
            let text = format!(
                "{} is in PATH, and cannot be executed: {}",
                agent.command,
                Command::on("chmod +x", &file)
            );
            say(Level::Warning, &file, text);
        }
        let says = says.next().unwrap_or_default();
        let container = container.as_deref();
        let found = one(agent, program, &says, mounts, container, &mut say);
        if best.is_nothing() {
            best = found;
        }
    }
    if best.is_nothing() {
        let text =
            "no agent is here: none in PATH that can be executed, no folder of one in a home";

        say(Level::Ok, Path::new(""), text.to_owned());
    }
    if let Some(text) = sketch::unnameable(&best) {
        let folder = best.folder.clone().unwrap_or_default();
        say(Level::Warning, &folder, text);
    }
    best
}

fn one(
    agent: &Agent,
    program: Option<PathBuf>,
    says: &str,
    mounts: &Mounts,
    container: Option<&str>,
    say: &mut impl FnMut(Level, &Path, String),
) -> Found {
    let mut found = Found::default();
    let name = agent.command;
    if let Some(path) = program {
        let text = format!("{name} is in PATH: {}{says}", quoted(&path));
        say(Level::Ok, &path, text);
        found.agent = Some(*agent);
    }
    for key in agent.keys {
        if env::var_os(key).is_some_and(|value| !value.is_empty()) {
            let text = format!("the variable {key} is set: a login that does not rotate");
            say(Level::Ok, Path::new(key), text);
            found.key = found.key.or(Some(key));
        }
    }
    let Some(folder) = agent.folder else {
        return found;
    };
    let variable = agent.variable.unwrap_or_default();
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
        if let Some(text) = unfit(&path) {
            say(Level::Warning, &path, text);
        }
        if found.folder.is_none() {
            found.named_by = agent.variable.filter(|_| is_named);
            found.folder = Some(path);
        }
    }
    found
}

/// What keeps a login's folder from being written, or a lock in it from excluding anybody.
fn unfit(path: &Path) -> Option<String> {
    let login = quoted(path);
    if !machine::may_write(path) {
        let user = geteuid();
        return Some(format!(
            "{login} cannot be written by user {user}, whom we are: neither a lock nor a token that \
             is refreshed can be kept there; mount it writable, and chown it to that user"
        ));
    }
    match probe_exclusion(path) {
        Ok(Exclusion::Excludes) => None,
        Ok(Exclusion::ExcludesNobody) => Some(format!(
            "a lock in {login} would exclude nobody: tried out, one lock was given to two; put the \
             login on a local file system"
        )),
        Err(error) => Some(error.to_string()),
    }
}

fn lies(path: &Path, agent: &str, mounts: &Mounts, container: Option<&str>) -> (Level, String) {
    let login = format!("{}, the login of {agent},", quoted(path));
    let target = plain(&path.display().to_string());
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

#[cfg(test)]
pub(super) fn agent_named(command: &str) -> Option<Agent> {
    AGENTS
        .iter()
        .find(|agent| agent.command == command)
        .copied()
}
