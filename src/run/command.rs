//! From a plan to a command that can be forked: environment, user, folder, session, streams.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{Group, User, fchown, getgrouplist};

use super::claims;
use super::output::Ends;
use crate::config::plan::{RunPlan, Stdin};
use crate::core::outcome::SpawnStep;
use crate::sys::spawn::{Command, Credentials, Failure, Memory, Session, Spawned};
use crate::sys::tty;

/// A command that lacks nothing but its output.
#[derive(Debug)]
pub struct Prepared {
    command: Command,
    stdin: Input,
    /// The user whom it becomes.
    owner: Option<u32>,
    memory: Memory,
}

/// Where standard input comes from.
#[derive(Debug)]
enum Input {
    Ours,
    Null(OwnedFd),
    /// Its own terminal.
    Pty,
}

impl Prepared {
    /// Starts it, with `ends` for its output where that is not ours.
    pub fn spawn(mut self, ends: Option<&Ends>) -> Result<Spawned, Failure> {
        let (stdout, stderr) = (ends.map(Ends::stdout), ends.and_then(Ends::stderr));
        let terminal = ends.and_then(Ends::terminal);
        if let (Some(terminal), Some(uid)) = (terminal, self.owner) {
            // It may want to open it by its name, too. What we may not change was ours to begin with.
            let _ = fchown(terminal, Some(uid.into()), None);
        }
        let stdin = match &self.stdin {
            Input::Ours => None,
            Input::Null(null) => Some(null),
            Input::Pty => terminal,
        };
        self.command.stdio(stdin, stdout, stderr);
        self.command.spawn(self.memory)
    }
}

/// Makes the command of `plan`. A run that waits does it meanwhile, so that nothing stands between
/// the lock and the command but the fork.
pub fn prepare(
    plan: &RunPlan,
    run_id: &str,
    session: Session,
    started_in: Option<&Path>,
) -> Result<Prepared, Failure> {
    let account = account(plan)?;
    let mut command = Command::new(&plan.command, &changes(plan, run_id, account.as_ref()))?;
    command.session(session);
    if let Some(dir) = plan.dir.as_deref().or(started_in) {
        command.dir(dir)?;
    }
    let mut owner = None;
    if let Some(credentials) = account.and_then(|account| account.credentials) {
        owner = Some(credentials.uid);
        command.user(credentials);
    }
    let stdin = match plan.stdin {
        Stdin::Pty if plan.pty.is_some() => Input::Pty,
        Stdin::Inherit if !reads_past_job_control(session) => Input::Ours,
        Stdin::Inherit | Stdin::Null | Stdin::Pty => {
            let null = File::open("/dev/null");
            let errno = |error: io::Error| error.raw_os_error().unwrap_or(Errno::EINVAL as i32);
            Input::Null(OwnedFd::from(
                null.map_err(|error| (SpawnStep::Stdio, errno(error)))?,
            ))
        }
    };
    // Before Linux 5.17 whoever dumps core takes along all that use its memory.
    let memory = match plan.stop.signal {
        libc::SIGQUIT | libc::SIGABRT | libc::SIGTRAP | libc::SIGXCPU | libc::SIGSYS => {
            Memory::Copied
        }
        _ => Memory::Shared,
    };
    Ok(Prepared {
        command,
        stdin,
        owner,
        memory,
    })
}

/// Whether the command could read our terminal from a session of its own, where no job control keeps
/// it from taking what is typed for the shell.
fn reads_past_job_control(session: Session) -> bool {
    matches!(session, Session::Own | Session::OwnPty) && tty::is_terminal(io::stdin().as_fd())
}

/// A user's entry in the account database, and who to become.
struct Account {
    /// `None`: we are that user.
    credentials: Option<Credentials>,
    /// Name and home, where a user was named.
    login: Option<(String, PathBuf)>,
}

/// Looks the user and the group up, by name or number, in the files of this container.
fn account(plan: &RunPlan) -> Result<Option<Account>, Failure> {
    let missing = (SpawnStep::User, Errno::ENOENT as i32);
    if plan.user.is_none() && plan.group.is_none() {
        return Ok(None);
    }
    let failed = |errno: Errno| (SpawnStep::User, errno as i32);
    let user = match &plan.user {
        Some(name) => Some(
            match (User::from_name(name).map_err(failed)?, name.parse::<u32>()) {
                (Some(user), _) => (user.uid.as_raw(), Some(user)),
                (None, Ok(uid)) => (uid, User::from_uid(uid.into()).map_err(failed)?),
                (None, Err(_)) => return Err(missing),
            },
        ),
        None => None,
    };
    let group = match &plan.group {
        Some(name) => Some(
            match (Group::from_name(name).map_err(failed)?, name.parse::<u32>()) {
                (Some(group), _) => group.gid.as_raw(),
                (None, Ok(gid)) => gid,
                (None, Err(_)) => return Err(missing),
            },
        ),
        None => None,
    };
    let (uid, entry) = user.unwrap_or_else(|| (nix::unistd::getuid().as_raw(), None));
    let own_gid = nix::unistd::getgid().as_raw();
    let gid = group
        .or(entry.as_ref().map(|user| user.gid.as_raw()))
        .unwrap_or(own_gid);
    let groups = match &entry {
        Some(user) => std::ffi::CString::new(user.name.as_str())
            .ok()
            .and_then(|name| getgrouplist(&name, gid.into()).ok())
            .map_or_else(
                || vec![gid],
                |groups| groups.iter().map(|gid| gid.as_raw()).collect(),
            ),
        None => vec![gid],
    };
    let login = entry.map(|user| (user.name, user.dir));
    // Who is no root may not even become who he is already (setgroups(2)).
    let already = (uid, gid) == (nix::unistd::geteuid().as_raw(), own_gid) && uid != 0;
    let credentials = (!already).then_some(Credentials { uid, gid, groups });
    Ok(Some(Account { credentials, login }))
}

/// What differs from the environment that we were started with: the user's own names, then the
/// plan's variables, then ours. Of two of the same name the later one counts.
fn changes(plan: &RunPlan, run_id: &str, account: Option<&Account>) -> Vec<(OsString, OsString)> {
    let mut changes: Vec<(OsString, OsString)> = Vec::new();
    let mut set = |name: &str, value: OsString| {
        changes.retain(|(other, _)| other != name);
        changes.push((name.into(), value));
    };
    if let Some((name, home)) = account.and_then(|account| account.login.as_ref()) {
        set("HOME", home.into());
        set("USER", name.into());
        set("LOGNAME", name.into());
    }
    // What reads the output is a log: no colours, unless somebody wants them.
    if plan.pty.is_some() && std::env::var_os("TERM").is_none() {
        set("TERM", "dumb".into());
    }
    for (name, value) in &plan.env {
        set(name, value.into());
    }
    set("LOCKKEEPER_JOB", (&plan.job).into());
    set("LOCKKEEPER_CLASS", (&plan.class).into());
    let outer = claims::ancestors();
    if !outer.is_empty() {
        set(claims::OUTER_RUNS, outer.into());
    }
    set(claims::RUN_ID, run_id.into());
    changes
}
