//! From a plan to a command that can be forked: environment, user, folder, session, streams.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{Group, User, fchown, getgrouplist};

use super::claims;
use super::env_file::FromFiles;
use super::output::Ends;
use crate::config::plan::{KEPT, RunPlan, Stdin};
use crate::core::outcome::SpawnStep;
use crate::sys::limits::{self, Limit};
use crate::sys::spawn::{Attributes, Command, Credentials, Failure, Memory, Session, Spawned};
use crate::sys::tty;

/// A command that lacks nothing but its output.
#[derive(Debug)]
pub struct Prepared {
    command: Command,
    stdin: Input,
    memory: Memory,
    /// The user it becomes, where that is another.
    user: Option<u32>,
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
    /// The user that it becomes, where that is another.
    pub const fn user(&self) -> Option<u32> {
        self.user
    }

    /// Starts it, with `ends` for its output where that is not ours.
    pub fn spawn(mut self, ends: Option<&Ends>) -> Result<Spawned, Failure> {
        let (stdout, stderr) = (ends.map(Ends::stdout), ends.and_then(Ends::stderr));
        let terminal = ends.and_then(Ends::terminal);
        if let (Some(terminal), Some(uid)) = (terminal, self.user) {
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

/// What `sd_watchdog_enabled(3)` reads: the longest time between two signs of life, in microseconds, and of
/// whom they are asked.
pub const WATCHDOG: [&str; 2] = ["WATCHDOG_USEC", WATCHDOG_PID];
const WATCHDOG_PID: &str = "WATCHDOG_PID";
/// What `sd_notify(3)` reads: where a process says how it is.
pub const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

/// Makes the command of `plan`, which says at the address `notify` how it is. A run that waits does it meanwhile, so that nothing stands between
/// the lock and the command but the fork.
pub fn prepare(
    plan: &RunPlan,
    run_id: &str,
    session: Session,
    started_in: Option<&Path>,
    notify: Option<&str>,
    read: Option<&FromFiles>,
    group: Option<OwnedFd>,
) -> Result<Prepared, Failure> {
    let account = account(plan)?;
    let changes = changes(plan, run_id, account.as_ref(), notify, read);
    let mut command = Command::new(&plan.command, &changes)?;
    if notify.is_some() {
        // Who asks for signs of life of whoever started us asks us.
        command.unset(&WATCHDOG);
        if plan.limits.heartbeat.is_some() {
            command.own_number(WATCHDOG_PID);
        }
    }
    command.session(session).attributes(attributes(plan));
    if plan.process.clear_env {
        command.bare();
    }
    if let Some(group) = group {
        command.group(group);
    }
    if let Some(dir) = plan.dir.as_deref().or(started_in) {
        command.dir(dir)?;
    }
    let credentials = account.and_then(|account| account.credentials);
    let user = credentials.as_ref().map(|credentials| credentials.uid);
    if let Some(credentials) = credentials {
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
        memory,
        user,
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

/// Who the command becomes; `None`: nobody else than we are.
pub(super) fn credentials(plan: &RunPlan) -> Result<Option<Credentials>, Failure> {
    Ok(account(plan)?.and_then(|account| account.credentials))
}

/// What its process is given, but for a control group.
fn attributes(plan: &RunPlan) -> Attributes {
    let process = &plan.process;
    let limits = process.rlimits.iter().filter_map(|limit| {
        Some(Limit {
            resource: limits::number(&limit.name)?,
            soft: limit.soft,
            hard: limit.hard,
        })
    });
    Attributes {
        limits: limits.collect(),
        umask: process.umask,
        nice: process.nice,
        oom_score_adj: process
            .oom_score_adj
            .and_then(|score| CString::new(score.to_string()).ok()),
        no_new_privs: process.no_new_privs,
    }
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
        Some(user) => CString::new(user.name.as_str())
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

/// What differs from the environment that we were started with: the user's own names, then what lies
/// in files, then the plan's variables, then ours. Of two of the same name the later one counts.
fn changes(
    plan: &RunPlan,
    run_id: &str,
    account: Option<&Account>,
    notify: Option<&str>,
    read: Option<&FromFiles>,
) -> Vec<(OsString, OsString)> {
    let mut changes: Vec<(OsString, OsString)> = Vec::new();
    let mut set = |name: &str, value: OsString| {
        changes.retain(|(other, _)| other != name);
        changes.push((name.into(), value));
    };
    if plan.process.clear_env {
        for name in KEPT {
            if let Some(value) = std::env::var_os(name) {
                set(name, value);
            }
        }
    }
    if let Some((name, home)) = account.and_then(|account| account.login.as_ref()) {
        set("HOME", home.into());
        set("USER", name.into());
        set("LOGNAME", name.into());
    }
    for (name, value) in read.into_iter().flat_map(|read| &read.lines) {
        set(name, value.clone());
    }
    // What reads the output is a log: no colours, unless somebody wants them.
    if plan.pty.is_some() && std::env::var_os("TERM").is_none() {
        set("TERM", "dumb".into());
    }
    for (name, value) in &plan.env {
        set(name, value.into());
    }
    for (name, value) in read.into_iter().flat_map(|read| &read.values) {
        set(name, value.clone());
    }
    set("LOCKKEEPER_JOB", (&plan.job).into());
    set("LOCKKEEPER_CLASS", (&plan.class).into());
    let outer = claims::ancestors();
    if !outer.is_empty() {
        set(claims::OUTER_RUNS, outer.into());
    }
    set(claims::RUN_ID, run_id.into());
    if let Some(address) = notify {
        set(NOTIFY_SOCKET, address.into());
        let [usec, _] = WATCHDOG;
        if let Some(heartbeat) = plan.limits.heartbeat {
            set(usec, heartbeat.as_micros().to_string().into());
        }
    }
    changes
}
