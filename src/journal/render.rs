//! From a note to the record that a reader sees: one line of words, and the named fields.
//!
//! One exhaustive match; the record is complete before any sink sees it. The words are for people
//! and may change, the fields and the message id ([`super::kind`]) are for programs.

mod ended;
mod refused;
mod swept;

use std::borrow::Cow;
use std::time::Duration;

use nix::errno::Errno;

use self::ended::{ended, invocation};
pub use self::refused::because;
use self::refused::end_pause;
use self::swept::fate_of;
pub use super::fields::Fields;
use super::kind::{Level, MessageId, heard, kind};
use super::route::Context;
use super::words::{
    Short, cause, held_by, listed, plural, signal_name, step_verb, step_word, until,
};
use crate::config::plan::Want;
use crate::core::note::Note;
use crate::core::outcome::{Reason, SpawnStep};
use crate::core::refusal::Refusal;
use crate::core::shell::Command;
use crate::trouble;

/// A note, ready to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Which fact it states.
    pub id: MessageId,
    /// How much it matters.
    pub level: Level,
    /// How much to whoever reads standard error.
    pub heard: Level,
    /// One line for people, lower case, no final dot; the job is not in it.
    pub text: String,
    /// The fields for programs.
    pub fields: Fields<'a>,
}

impl Record<'_> {
    /// The line with the job before it, as `MESSAGE` and standard error show it.
    pub fn message(&self) -> Cow<'_, str> {
        match self.fields.job {
            Some(job) => Cow::Owned(format!("job {job}: {}", self.text)),
            None => Cow::Borrowed(&self.text),
        }
    }
}

/// The record of `note`, written by the process that `context` describes.
pub fn render<'a>(note: &'a Note, context: &'a Context) -> Record<'a> {
    let (id, level) = kind(note);
    let mut fields = Fields {
        container_name: context.container_name.as_deref(),
        job: context.job.as_deref(),
        job_class: context.class.as_deref(),
        run_id: context.run_id.as_deref(),
        ..Fields::default()
    };
    let text = context.secrets.hide(&describe(note, context, &mut fields));
    if !context.secrets.is_empty() {
        let shown = [
            &mut fields.lock,
            &mut fields.holder,
            &mut fields.command,
            &mut fields.directory,
            &mut fields.claim,
        ];
        for shown in shown.into_iter().flatten() {
            *shown = Cow::Owned(context.secrets.hide(shown));
        }
    }
    Record {
        id,
        level,
        heard: heard(note),
        text,
        fields,
    }
}

/// The words of `note`; its facts go into `to`.
#[expect(
    clippy::too_many_lines,
    reason = "one arm for each note, and nothing beside the match"
)]
#[expect(
    clippy::unnecessary_debug_formatting,
    reason = "a path stands in quotes, and what is no text in it as an escape"
)]
fn describe<'a>(note: &'a Note, context: &Context, to: &mut Fields<'a>) -> String {
    match note {
        Note::Waiting { lock, holder, .. } => {
            to.lock = Some(lock.to_string_lossy());
            to.holder = holder.as_deref().map(Cow::Borrowed);
            format!("waiting for lock {lock:?}{}", held_by(holder.as_deref()))
        }
        Note::Obtained { lock, waited, .. } => {
            to.lock = Some(lock.to_string_lossy());
            to.waited_ms = Some(ms(*waited));
            format!("lock {lock:?} obtained after {}", Short(*waited))
        }
        Note::Nested { lock, holder } => {
            to.lock = Some(lock.to_string_lossy());
            to.holder = Some(Cow::Borrowed(holder));
            format!("lock {lock:?} is already ours: run {holder}, which we are part of, holds it")
        }
        Note::NotNested { lock, holder } => {
            to.lock = Some(lock.to_string_lossy());
            to.holder = Some(Cow::Borrowed(holder));
            format!(
                "the environment is that of run {holder}, which holds lock {lock:?}, but we are no part of it: we queue"
            )
        }
        Note::WaitExpired {
            lock,
            waited,
            holder,
        } => {
            to.lock = Some(lock.to_string_lossy());
            to.waited_ms = Some(ms(*waited));
            to.holder = holder.as_deref().map(Cow::Borrowed);
            let waited = Short(*waited);
            format!(
                "lock {lock:?} not obtained within {waited}{}; end that run, or wait longer (--wait TIME, \
                 or wait = \"TIME\" in the file); who is in the way: {}",
                held_by(holder.as_deref()),
                Command::on("lockkeeper lock show", lock)
            )
        }
        Note::LockReplacedWaiting { lock } => {
            to.lock = Some(lock.to_string_lossy());
            format!("lock {lock:?} was replaced while we waited: queueing for the new file")
        }
        Note::LockReplacedHeld { lock } => {
            to.lock = Some(lock.to_string_lossy());
            format!(
                "lock {lock:?} was removed or replaced while we held it: others may hold the \
                 new file; find out who removes it, a lock file must stay"
            )
        }
        Note::Split {
            lock,
            holders: [us, rival],
        } => {
            to.lock = Some(lock.to_string_lossy());
            to.holder = Some(Cow::Borrowed(rival));
            format!(
                "lock {lock:?} is held twice, by us, {us}, and by {rival}: its file system does not \
                 keep them apart; end one of the two, and put the lock into a folder or named \
                 volume of a local file system that all of them mount"
            )
        }
        Note::LockUnwatched { lock, errno } => {
            to.lock = Some(lock.to_string_lossy());
            to.errno = Some(*errno);
            format!(
                "lock {lock:?} cannot be watched for replacement ({}): compared once, at the end",
                Errno::from_raw(*errno).desc()
            )
        }
        Note::LockFailed { text } => text.clone(),
        Note::DirWaiting { dir, holder, .. } => {
            to.directory = Some(dir.to_string_lossy());
            to.holder = Some(Cow::Borrowed(holder));
            format!("waiting for directory {dir:?}, held by {holder}")
        }
        Note::DirObtained {
            dir,
            waited,
            former,
            ..
        } => {
            to.directory = Some(dir.to_string_lossy());
            to.waited_ms = Some(ms(*waited));
            let after = Short(*waited);
            match former {
                Some(former) => format!(
                    "directory {dir:?} locked after {after}, in place of one that has died: {former}"
                ),
                None => format!("directory {dir:?} locked after {after}"),
            }
        }
        Note::DirRefused { dir, text, waited } => {
            to.directory = Some(dir.to_string_lossy());
            to.waited_ms = waited.map(ms);
            match waited {
                Some(waited) => format!("waited {} in vain: {text}", Short(*waited)),
                None => text.clone(),
            }
        }
        Note::DirTrouble { dir, text } => {
            to.directory = Some(dir.to_string_lossy());
            format!("lock on directory {dir:?}: {text}")
        }
        Note::DirReleased { dir } => {
            to.directory = Some(dir.to_string_lossy());
            format!("directory {dir:?} released")
        }
        Note::Placement { lock, text, .. } => {
            to.lock = Some(lock.to_string_lossy());
            format!("lock {lock:?}: {text}")
        }
        Note::ClaimFailed { path, text } => {
            to.claim = Some(path.to_string_lossy());
            format!("claim {path:?} not written, others cannot see this run: {text}")
        }
        Note::StartRefused(refusal) => {
            to.condition = refusal.key();
            if let Refusal::NoPath { errno, .. } | Refusal::NotAsked { errno } = refusal {
                to.errno = Some(*errno);
            }
            if let Refusal::Paused { lock, left, by, .. } = refusal {
                to.lock = Some(lock.to_string_lossy());
                to.holder = Some(Cow::Borrowed(by));
                to.paused_ms = Some(ms(*left));
            }
            let why = because(refusal);
            let more = match (&context.file, refusal) {
                // Its own command says it all.
                (_, Refusal::Paused { .. }) | (None, _) => String::new(),
                (Some(file), _) => {
                    format!("; to see all: {}", Command::on("lockkeeper check -c", file))
                }
            };
            format!("not started now: {why}; the next start of the job asks again{more}")
        }
        Note::PauseSet {
            lock,
            until: end,
            length,
            by,
            said,
        } => {
            to.lock = Some(lock.to_string_lossy());
            to.holder = by.as_deref().map(Cow::Borrowed);
            to.paused_ms = Some(ms(*length));
            let (end, by) = (until(*end, *length), by.as_deref().unwrap_or("the command"));
            format!(
                "pause until {end}: no batch run on lock {lock:?} starts, in any container; {by} said: \
                 {said:?}; to end it: {}",
                end_pause(lock)
            )
        }
        Note::PauseFailed { lock, text } => {
            to.lock = Some(lock.to_string_lossy());
            format!(
                "no pause beside lock {lock:?}, others do not know that there should be one: {text}"
            )
        }
        Note::PauseIgnored { lock, path, why } => {
            to.lock = Some(lock.to_string_lossy());
            to.claim = Some(path.to_string_lossy());
            format!(
                "what lies at {path:?} is no pause and stops nobody: {why}; to remove it: {}",
                end_pause(lock)
            )
        }
        Note::PauseEnded {
            lock,
            by,
            count: ended,
        } => {
            to.lock = Some(lock.to_string_lossy());
            to.holder = Some(Cow::Borrowed(by));
            to.count = Some(count(*ended));
            let pauses = plural(*ended, "pause");
            format!("{by} has ended {pauses} beside lock {lock:?}")
        }
        Note::GroupTrouble { text } => format!("control group: {text}"),
        Note::OutOfMemory { count } => {
            to.count = Some(*count);
            format!(
                "the kernel killed {count} of its processes, as its control group had no memory left"
            )
        }
        Note::Started { pid } => {
            to.job_pid = Some(*pid);
            format!("started (pid {pid})")
        }
        Note::SpawnFailed {
            command,
            on,
            step,
            errno,
        } => {
            to.command = Some(Cow::Borrowed(command));
            to.step = Some(step_word(*step));
            to.errno = Some(*errno);
            let verb = step_verb(*step);
            let is_path = *step == SpawnStep::Exec;
            let what = on.as_ref().filter(|_| !is_path).unwrap_or(command);
            let why = trouble::start(*step, *errno, what);
            match on {
                Some(path) if is_path && *errno == libc::ENOENT => {
                    format!("failed to {verb} {command:?}: {why}, which is {path:?}")
                }
                Some(_) if is_path => format!("failed to {verb} {command:?}: {why}"),
                Some(on) => format!("failed to {verb} {on:?} for {command:?}: {why}"),
                None => format!("failed to {verb} {command:?}: {why}"),
            }
        }
        Note::Ready { after } => format!("ready after {}", Short(*after)),
        Note::NoticeRefused { pid, uid } => {
            to.pids = Some(pid.to_string());
            let who = match pid {
                0 => "a process outside of this PID namespace".to_owned(),
                pid => format!("process {pid}"),
            };
            format!(
                "{who} of user {uid} spoke in the name of this run and is no part of it: not heard"
            )
        }
        Note::FinalSeen { failed, grace } => {
            to.grace_ms = Some(ms(*grace));
            let result = if *failed { "a failure" } else { "a success" };
            format!(
                "the result is there, {result}: the command has {} to go",
                Short(*grace)
            )
        }
        Note::WokeLate { late } => {
            to.late_ms = Some(ms(*late));
            format!(
                "woke {} late, as after a pause: silence meanwhile does not count",
                Short(*late)
            )
        }
        Note::Stopping {
            reason,
            signal,
            grace,
        } => {
            to.reason = Some(reason.word());
            to.signal = Some(signal_name(*signal));
            to.grace_ms = Some(ms(*grace));
            format!(
                "stopping ({}): {} now, the command has {} to go",
                cause(*reason),
                signal_name(*signal),
                Short(*grace)
            )
        }
        Note::Leftovers {
            command_alive,
            grace,
        } => {
            to.grace_ms = Some(ms(*grace));
            let who = if *command_alive {
                "the command is still there"
            } else {
                "the command has gone and left processes"
            };
            format!("{who}: SIGTERM to all, they have {} to go", Short(*grace))
        }
        Note::Killing => {
            to.signal = Some(signal_name(libc::SIGKILL));
            "killing what is left".into()
        }
        Note::Unkillable { pids } => {
            let list = pids.iter().map(ToString::to_string).collect::<Vec<_>>();
            let list = list.join(" ");
            let text =
                format!("killed, but still there: {list}; the lock stays held until they go");
            to.pids = Some(list);
            text
        }
        Note::UnkillableGone => "what could not be killed has gone".into(),
        Note::ProcUnusable { text } => format!("processes cannot be read from /proc: {text}"),
        Note::LockDir { path, fate } => {
            to.lock = Some(path.to_string_lossy());
            format!("lock directory {path:?} {}", fate_of(*fate, to))
        }
        Note::GitLockLeft { path } => {
            to.lock = Some(path.to_string_lossy());
            format!(
                "git's lock {path:?} is still there, and git refuses to work: remove it, if no git \
                 of somebody else's is at work there"
            )
        }
        Note::OutputTrouble { text } => format!("output: {text}"),
        Note::Ended(outcome, result) => {
            to.session_id = result.session.as_deref();
            to.cost_usd = result.cost_usd.as_deref();
            to.turns = result.turns.as_deref();
            ended(outcome, to)
        }
        Note::Released { lock, held } => {
            to.lock = Some(lock.to_string_lossy());
            to.held_ms = Some(ms(*held));
            format!("lock {lock:?} released after {}", Short(*held))
        }
        Note::GuardCleaned { reaped } => {
            to.count = Some(u64::from(*reaped));
            format!("the monitor died: its guard ended the run, {reaped} processes reaped")
        }
        Note::InitStarted { jobs, pid1, below } => {
            to.count = Some(count(*jobs));
            let role = if *pid1 { "PID 1" } else { "a subreaper" };
            let jobs = plural(*jobs, "job");
            match below {
                Some(name) => format!(
                    "init is at work as {role}, {jobs}; {name:?} above it is not needed: leave --init out"
                ),
                None => format!("init is at work as {role}, {jobs}"),
            }
        }
        Note::TickSkipped { job } => {
            to.job = Some(job);
            "tick skipped: the last run is still going or waiting".into()
        }
        Note::RunStarting { job, run_id } => {
            to.job = Some(job);
            to.run_id = Some(run_id);
            format!("run {run_id} starts")
        }
        Note::RunEnded {
            job,
            run_id,
            code,
            reason,
        } => {
            to.job = Some(job);
            to.run_id = Some(run_id);
            to.run_code = Some(*code);
            to.invocation_id = Some(invocation(run_id));
            to.reason = reason.map(Reason::word);
            let why = reason.map(|reason| format!(" ({})", cause(reason)));
            format!(
                "run {run_id} over, exit {code}{}",
                why.as_deref().unwrap_or("")
            )
        }
        Note::Restarting {
            job,
            code,
            delay,
            row,
        } => {
            to.job = Some(job);
            to.run_code = Some(*code);
            to.delay_ms = Some(ms(*delay));
            to.count = Some(u64::from(*row));
            format!(
                "exit {code}: started again in {}, restart {row} in a row",
                Short(*delay)
            )
        }
        Note::GivenUp {
            job,
            code,
            limit,
            within,
            exits,
        } => {
            to.job = Some(job);
            to.run_code = Some(*code);
            to.count = Some(*limit);
            let restarts = plural(usize::try_from(*limit).unwrap_or(usize::MAX), "restart");
            let counted = match within {
                Some(within) => format!("{restarts} within {}", Short(*within)),
                None => format!("{restarts} in a row"),
            };
            let then = if *exits {
                "init stops"
            } else {
                "start it by hand when the cause is gone"
            };
            format!("exit {code} after {counted}: given up; {then}")
        }
        Note::NeverStarts {
            job,
            after,
            want,
            code,
        } => {
            to.job = Some(job);
            to.run_code = *code;
            let does = match want {
                Want::Started => "start",
                Want::Succeeded => "succeed",
                Want::Ready => "be ready",
            };
            let ended = code.map(|code| format!(" has ended with {code} and"));
            format!(
                "not started: it waits for job {after} to {does}, which{} does not start again by \
                 itself",
                ended.as_deref().unwrap_or_default()
            )
        }
        Note::PlaceAwaited {
            job,
            class,
            most,
            before,
        } => {
            to.job = Some(job);
            to.job_class = Some(class);
            to.count = Some(*most);
            let runs = plural(usize::try_from(*most).unwrap_or(usize::MAX), "run");
            let others = match before {
                0 => String::new(),
                before => format!(", {before} due before it"),
            };
            format!("waits for a place: class {class} has {runs} at once{others}")
        }
        Note::GuardFailed { job, text } => {
            to.job = Some(job);
            format!("no run started, tried again at the next tick: {text}")
        }
        Note::RunFound { job, run_id } => {
            to.job = Some(job);
            to.run_id = Some(run_id);
            format!("run {run_id} was not begun by this init: it counts as running")
        }
        Note::Reloaded {
            added,
            removed,
            changed,
        } => {
            let parts = [(added, "added"), (removed, "removed"), (changed, "changed")];
            let parts = parts.map(|(jobs, what)| listed(jobs, what));
            let parts: Vec<String> = parts.into_iter().flatten().collect();
            if parts.is_empty() {
                "the file was read again: no job differs".into()
            } else {
                format!("the file was read again: {}", parts.join("; "))
            }
        }
        Note::ReloadRefused { text, errors } => {
            to.count = Some(count(*errors));
            let more = match errors {
                0 | 1 => String::new(),
                errors => format!(
                    " ({} in all; to see them: {})",
                    plural(*errors, "error"),
                    match &context.file {
                        Some(file) => Command::on("lockkeeper check -c", file).to_string(),
                        None => "`lockkeeper check`".to_owned(),
                    }
                ),
            };
            format!("the file was read again, and nothing has changed: {text}{more}")
        }
        Note::ControlFailed { text } => {
            format!("nobody can ask this init for anything: {text}")
        }
        Note::StopAsked {
            signal,
            runs,
            within,
        } => {
            to.signal = Some(signal_name(*signal));
            to.count = Some(count(*runs));
            to.grace_ms = Some(ms(*within));
            format!(
                "stop asked by {}: {} to end within {}",
                signal_name(*signal),
                plural(*runs, "run"),
                Short(*within)
            )
        }
        Note::StopOverdue { runs } => {
            to.count = Some(count(*runs));
            format!(
                "the stop is overdue: {} left, killed with init",
                plural(*runs, "run")
            )
        }
        Note::InitEnded { code } => {
            to.exit_code = Some("exited");
            to.exit_status = Some(i32::from(*code));
            format!("init ends (exit {code})")
        }
        Note::Staying => "no job will run again; init stays, as the file says".into(),
        Note::NoJournal { text } => format!("no journal, notes go to standard error: {text}"),
        Note::NotesLost { count } => {
            to.count = Some(*count);
            let notes = plural(usize::try_from(*count).unwrap_or(usize::MAX), "note");
            format!("lost {notes}: nobody took them in time")
        }
        Note::ConfigWarning { text } => format!("configuration: {text}"),
        Note::EventFailed { program, how } => {
            to.command = Some(Cow::Borrowed(program));
            format!("the command of on_event, {program:?}, {how}; further failures are not told")
        }
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
