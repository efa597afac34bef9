//! Every note there is, with the words that it gets: the library's own tests and those of the
//! journal read this one table.

use std::path::PathBuf;
use std::time::Duration;

use lockkeeper::config::plan::Want;
use lockkeeper::core::final_line::AgentResult;
use lockkeeper::core::note::{Dead, Fate, Note};
use lockkeeper::core::outcome::{Outcome, Reason, SpawnStep, Status};
use lockkeeper::core::refusal::Refusal;

pub(crate) fn lock() -> PathBuf {
    "/x".into()
}

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

pub(crate) fn outcome(code: u8, reason: Reason, status: Option<Status>) -> Note {
    let outcome = Outcome {
        code,
        reason,
        status,
        waited: secs(1),
        held: secs(3),
        ran: secs(3),
    };
    Note::Ended(outcome, AgentResult::default())
}

fn lock_dir(fate: Fate) -> Note {
    let path = lock();
    Note::LockDir { path, fate }
}

fn with_result(note: Note) -> Note {
    let Note::Ended(outcome, _) = note else {
        return note;
    };
    let result = AgentResult {
        session: Some("4f1c".into()),
        cost_usd: Some("0.04".into()),
        turns: Some("3".into()),
    };
    Note::Ended(outcome, result)
}

/// Every note, with the words that it gets.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(crate) fn table() -> Vec<(Note, &'static str)> {
    use Status::{Dumped, Exited, Killed};
    let job = || "dev".to_owned();
    let run_id = || "r1".to_owned();
    let text = || "why".to_owned();
    vec![
        (
            Note::Waiting {
                lock: lock(),
                holder: None,
                aloud: false,
            },
            r#"waiting for lock "/x""#,
        ),
        (
            Note::Waiting {
                lock: lock(),
                holder: Some("chat in agents-2".into()),
                aloud: false,
            },
            r#"waiting for lock "/x", held by chat in agents-2"#,
        ),
        (
            Note::Obtained {
                lock: lock(),
                waited: Duration::from_millis(2345),
                aloud: false,
            },
            r#"lock "/x" obtained after 2.3s"#,
        ),
        (
            Note::NotNested {
                lock: lock(),
                holder: "r1".into(),
            },
            r#"the environment is that of run r1, which holds lock "/x", but we are no part of it: we queue"#,
        ),
        (
            Note::Nested {
                lock: lock(),
                holder: "r0".into(),
            },
            r#"lock "/x" is already ours: run r0, which we are part of, holds it"#,
        ),
        (
            Note::WaitExpired {
                lock: lock(),
                waited: secs(600),
                holder: Some("dev".into()),
            },
            r#"lock "/x" not obtained within 10m, held by dev; end that run, or wait longer (--wait TIME, or wait = "TIME" in the file); who is in the way: `lockkeeper lock show /x`"#,
        ),
        (
            Note::DirWaiting {
                dir: "/w".into(),
                holder: "job \"dev\"".into(),
                aloud: false,
            },
            r#"waiting for directory "/w", held by job "dev""#,
        ),
        (
            Note::DirObtained {
                dir: "/w".into(),
                waited: secs(2),
                former: None,
                aloud: false,
            },
            r#"directory "/w" locked after 2s"#,
        ),
        (
            Note::DirObtained {
                dir: "/w".into(),
                waited: secs(2),
                former: Some("process 7".into()),
                aloud: false,
            },
            r#"directory "/w" locked after 2s, in place of one that has died: process 7"#,
        ),
        (
            Note::DirRefused {
                dir: "/w".into(),
                text: text(),
                waited: None,
            },
            "why",
        ),
        (
            Note::DirRefused {
                dir: "/w".into(),
                text: text(),
                waited: Some(secs(2)),
            },
            "waited 2s in vain: why",
        ),
        (
            Note::DirTrouble {
                dir: "/w".into(),
                text: text(),
            },
            r#"lock on directory "/w": why"#,
        ),
        (
            Note::DirReleased { dir: "/w".into() },
            r#"directory "/w" released"#,
        ),
        (
            Note::StartRefused(Refusal::NoPath {
                path: lock(),
                errno: 2,
            }),
            r#"not started now: "/x", which require_path asks for, is not there (no such file or directory); the next start of the job asks again"#,
        ),
        (
            Note::StartRefused(Refusal::NoVariable { name: "KEY".into() }),
            "not started now: the variable KEY, which require_env asks for, has no value; the next start of the job asks again",
        ),
        (
            Note::StartRefused(Refusal::File {
                variable: None,
                path: lock(),
                line: Some(3),
                why: text(),
            }),
            r#"not started now: "/x", which env_file names, cannot be used, in line 3: why; the next start of the job asks again"#,
        ),
        (
            Note::StartRefused(Refusal::File {
                variable: Some("KEY".into()),
                path: lock(),
                line: None,
                why: text(),
            }),
            r#"not started now: "/x", which has the value of KEY, cannot be used: why; the next start of the job asks again"#,
        ),
        (
            Note::StartRefused(Refusal::Memory {
                wanted: 1 << 30,
                free: 5 << 17,
                group: None,
            }),
            "not started now: this machine has 640k of memory left, and require_free_memory asks for 1G; the next start of the job asks again",
        ),
        (
            Note::StartRefused(Refusal::Memory {
                wanted: 3 << 29,
                free: 7,
                group: Some(lock()),
            }),
            r#"not started now: control group "/x" has 7 bytes of memory left, and require_free_memory asks for 1.5G; the next start of the job asks again"#,
        ),
        (
            Note::StartRefused(Refusal::NoFolder {
                path: lock(),
                why: text(),
            }),
            r#"not started now: the folder "/x", which create_dirs names, is not to be had: why; the next start of the job asks again"#,
        ),
        (
            Note::StartRefused(Refusal::Silent { path: lock() }),
            r#"not started now: the file system of "/x" does not answer; find out what has become of its mount; the next start of the job asks again"#,
        ),
        (
            Note::StartRefused(Refusal::NotAsked { errno: 11 }),
            "not started now: its conditions cannot be asked: no further process or thread is allowed; raise the limit of processes (ulimit -u, --pids-limit), or find who has so many; the next start of the job asks again",
        ),
        (
            Note::StartRefused(Refusal::Paused {
                set: 1_763_704_800_000,
                lock: lock(),
                until: 1_763_708_400_000,
                left: secs(3483),
                by: "ada".into(),
                said: "limit".into(),
            }),
            r#"not started now: no batch run on lock "/x" starts until 2025-11-21T07:00:00Z (58m 3s), by word of ada since 2025-11-21T06:00:00Z: "limit"; to end that pause: `lockkeeper pause end /x`; the next start of the job asks again"#,
        ),
        (
            Note::PauseSet {
                lock: lock(),
                until: 1_763_708_400_000,
                length: secs(3600),
                by: None,
                said: "limit\u{1b}".into(),
            },
            r#"pause until 2025-11-21T07:00:00Z (1h): no batch run on lock "/x" starts, in any container; the command said: "limit\u{1b}"; to end it: `lockkeeper pause end /x`"#,
        ),
        (
            Note::PauseSet {
                lock: lock(),
                until: u64::MAX,
                length: secs(1),
                by: Some("ada".into()),
                said: String::new(),
            },
            r#"pause until 18446744073709551 s after 1970 (1s): no batch run on lock "/x" starts, in any container; ada said: ""; to end it: `lockkeeper pause end /x`"#,
        ),
        (
            Note::PauseFailed {
                lock: lock(),
                text: text(),
            },
            r#"no pause beside lock "/x", others do not know that there should be one: why"#,
        ),
        (
            Note::PauseIgnored {
                lock: lock(),
                path: "/x.d/pauses/y".into(),
                why: text(),
            },
            r#"what lies at "/x.d/pauses/y" is no pause and stops nobody: why; to remove it: `lockkeeper pause end /x`"#,
        ),
        (
            Note::PauseEnded {
                lock: lock(),
                by: "ada".into(),
                count: 2,
            },
            r#"ada has ended 2 pauses beside lock "/x""#,
        ),
        (Note::GroupTrouble { text: text() }, "control group: why"),
        (
            Note::OutOfMemory { count: 2 },
            "the kernel killed 2 of its processes, as its control group had no memory left",
        ),
        (
            Note::LockReplacedWaiting { lock: lock() },
            r#"lock "/x" was replaced while we waited: queueing for the new file"#,
        ),
        (
            Note::LockReplacedHeld { lock: lock() },
            r#"lock "/x" was removed or replaced while we held it: others may hold the new file; find out who removes it, a lock file must stay"#,
        ),
        (
            Note::Split {
                lock: lock(),
                holders: ["job \"a\" (run r1)".into(), "job \"b\" (run r2)".into()],
            },
            r#"lock "/x" is held twice, by us, job "a" (run r1), and by job "b" (run r2): its file system does not keep them apart; end one of the two, and put the lock into a folder or named volume of a local file system that all of them mount"#,
        ),
        (
            Note::LockUnwatched {
                lock: lock(),
                errno: libc::EMFILE,
            },
            r#"lock "/x" cannot be watched for replacement (Too many open files): compared once, at the end"#,
        ),
        (
            Note::Placement {
                lock: lock(),
                text: text(),
                warning: true,
            },
            r#"lock "/x": why"#,
        ),
        (
            Note::Placement {
                lock: lock(),
                text: text(),
                warning: false,
            },
            r#"lock "/x": why"#,
        ),
        (
            Note::ClaimFailed {
                path: "/x.d".into(),
                text: text(),
            },
            r#"claim "/x.d" not written, others cannot see this run: why"#,
        ),
        (Note::Started { pid: 42 }, "started (pid 42)"),
        (
            Note::SpawnFailed {
                command: "claude".into(),
                on: None,
                step: SpawnStep::Exec,
                errno: libc::ENOENT,
            },
            r#"failed to execute "claude": no such file or directory; install it, or correct the name or PATH"#,
        ),
        (
            Note::SpawnFailed {
                command: "claude".into(),
                on: Some("/usr/bin:/bin".into()),
                step: SpawnStep::Exec,
                errno: libc::ENOENT,
            },
            r#"failed to execute "claude": no such file or directory; install it, or correct the name or PATH, which is "/usr/bin:/bin""#,
        ),
        (Note::Ready { after: secs(2) }, "ready after 2s"),
        (
            Note::NoticeRefused { pid: 7, uid: 1000 },
            "process 7 of user 1000 spoke in the name of this run and is no part of it: not heard",
        ),
        (
            Note::NoticeRefused {
                pid: 0,
                uid: 65_534,
            },
            "a process outside of this PID namespace of user 65534 spoke in the name of this run and is no part of it: not heard",
        ),
        (
            Note::FinalSeen {
                failed: false,
                grace: secs(30),
            },
            "the result is there, a success: the command has 30s to go",
        ),
        (
            Note::FinalSeen {
                failed: true,
                grace: secs(30),
            },
            "the result is there, a failure: the command has 30s to go",
        ),
        (
            Note::WokeLate { late: secs(3905) },
            "woke 1h 5m late, as after a pause: silence meanwhile does not count",
        ),
        (
            Note::Stopping {
                reason: Reason::IdleTimeout,
                signal: libc::SIGTERM,
                grace: secs(15),
            },
            "stopping (idle_timeout): SIGTERM now, the command has 15s to go",
        ),
        (
            Note::Leftovers {
                command_alive: true,
                grace: secs(1),
            },
            "the command is still there: SIGTERM to all, they have 1s to go",
        ),
        (
            Note::Leftovers {
                command_alive: false,
                grace: Duration::from_millis(340),
            },
            "the command has gone and left processes: SIGTERM to all, they have 340ms to go",
        ),
        (Note::Killing, "killing what is left"),
        (
            Note::Unkillable { pids: vec![7, 8] },
            "killed, but still there: 7 8; the lock stays held until they go",
        ),
        (
            lock_dir(Fate::Removed(Dead::Stale(secs(90)))),
            r#"lock directory "/x" removed: not refreshed for 1m 30s"#,
        ),
        (
            lock_dir(Fate::Removed(Dead::Ahead(secs(14_400)))),
            r#"lock directory "/x" removed: its time lies 4h in the future"#,
        ),
        (
            lock_dir(Fate::Removed(Dead::Alone)),
            r#"lock directory "/x" removed: nobody else uses the login"#,
        ),
        (
            lock_dir(Fate::Removed(Dead::Silent(secs(6)))),
            r#"lock directory "/x" removed: the run left it, no sign of life for 6s"#,
        ),
        (
            lock_dir(Fate::Remains),
            r#"lock directory "/x" removed for good: a sweep that was killed had put it aside"#,
        ),
        (
            lock_dir(Fate::BroughtBack),
            r#"lock directory "/x" is back in its place: a sweep that was killed had put it aside"#,
        ),
        (
            lock_dir(Fate::Owned),
            r#"lock directory "/x" left alone: it was there before the run"#,
        ),
        (
            lock_dir(Fate::Refreshed),
            r#"lock directory "/x" left alone: its owner lives"#,
        ),
        (
            lock_dir(Fate::CutShort),
            r#"lock directory "/x" left alone: no time to watch it; the start of a run removes it when it is stale"#,
        ),
        (
            lock_dir(Fate::Late),
            r#"lock directory "/x" left alone: we were not running all the time, and its owner perhaps was not either; the start of a run removes it when it is stale"#,
        ),
        (
            lock_dir(Fate::NotEmpty),
            r#"lock directory "/x" left alone: it is not empty, and no lock; remove it by hand, or take it out of lock_dirs"#,
        ),
        (
            lock_dir(Fate::NotAFolder),
            r#"lock directory "/x" left alone: it is no directory; remove it by hand, or take it out of lock_dirs"#,
        ),
        (
            lock_dir(Fate::Denied {
                errno: libc::EACCES,
            }),
            r#"lock directory "/x" left alone, it can be neither judged nor moved: permission denied"#,
        ),
        (
            lock_dir(Fate::Unwatched {
                errno: libc::EMFILE,
            }),
            r#"lock directory "/x" cannot be watched (Too many open files): compared once, at the end"#,
        ),
        (
            lock_dir(Fate::Disturbed { back: true }),
            r#"lock directory "/x" was refreshed in the instant in which it was moved, and is back: its owner may have missed it, and have to log in again"#,
        ),
        (
            lock_dir(Fate::Disturbed { back: false }),
            r#"lock directory "/x" was refreshed in the instant in which it was moved, and somebody has made another: two may have used the login at once; see whether both are still logged in"#,
        ),
        (
            Note::GitLockLeft { path: lock() },
            r#"git's lock "/x" is still there, and git refuses to work: remove it, if no git of somebody else's is at work there"#,
        ),
        (Note::OutputTrouble { text: text() }, "output: why"),
        (Note::UnkillableGone, "what could not be killed has gone"),
        (
            Note::ProcUnusable { text: text() },
            "processes cannot be read from /proc: why",
        ),
        (
            outcome(0, Reason::Ended, Some(Exited(0))),
            "ended after 3s (exit 0)",
        ),
        (
            with_result(outcome(0, Reason::Final { failed: false }, Some(Exited(0)))),
            "ended by final after 3s (exit 0)",
        ),
        (
            outcome(139, Reason::Ended, Some(Killed(libc::SIGSEGV))),
            "killed by SIGSEGV after 3s (exit 139)",
        ),
        (
            outcome(139, Reason::Ended, Some(Dumped(libc::SIGSEGV))),
            "killed by SIGSEGV after 3s, core dumped (exit 139)",
        ),
        (
            outcome(168, Reason::Ended, Some(Killed(40))),
            "killed by signal 40 after 3s (exit 168)",
        ),
        (
            outcome(124, Reason::Timeout, Some(Killed(libc::SIGKILL))),
            "ended by timeout after 3s (exit 124)",
        ),
        (
            outcome(124, Reason::IdleTimeout, Some(Exited(0))),
            "ended by idle_timeout after 3s (exit 124)",
        ),
        (
            outcome(1, Reason::Final { failed: true }, Some(Exited(0))),
            "ended by final after 3s (exit 1)",
        ),
        (
            outcome(143, Reason::Signal(libc::SIGTERM), None),
            "ended by SIGTERM after 3s (exit 143)",
        ),
        (
            outcome(0, Reason::GuardLost, Some(Exited(0))),
            "ended by the death of its guard after 3s (exit 0)",
        ),
        (
            outcome(143, Reason::InitStop, None),
            "ended by the stop of init after 3s (exit 143)",
        ),
        (
            outcome(75, Reason::WaitExpired, None),
            "not run, the lock was not obtained in time (exit 75)",
        ),
        (
            outcome(
                127,
                Reason::SpawnFailed {
                    step: SpawnStep::Exec,
                    errno: 2,
                },
                None,
            ),
            "not run, the command could not be started (exit 127)",
        ),
        (
            outcome(125, Reason::Failed, None),
            "lockkeeper failed after 3s (exit 125)",
        ),
        (
            Note::Released {
                lock: lock(),
                held: secs(61),
            },
            r#"lock "/x" released after 1m 1s"#,
        ),
        (
            Note::GuardCleaned { reaped: 3 },
            "the monitor died: its guard ended the run, 3 processes reaped",
        ),
        (
            Note::InitStarted {
                jobs: 1,
                pid1: true,
                below: None,
            },
            "init is at work as PID 1, 1 job",
        ),
        (
            Note::InitStarted {
                jobs: 4,
                pid1: false,
                below: Some("tini".into()),
            },
            "init is at work as a subreaper, 4 jobs; \"tini\" above it is not needed: leave --init out",
        ),
        (
            Note::TickSkipped { job: job() },
            "tick skipped: the last run is still going or waiting",
        ),
        (
            Note::RunStarting {
                job: job(),
                run_id: run_id(),
            },
            "run r1 starts",
        ),
        (
            Note::RunEnded {
                job: job(),
                run_id: run_id(),
                code: 124,
                reason: Some(Reason::Timeout),
            },
            "run r1 over, exit 124 (timeout)",
        ),
        (
            Note::RunEnded {
                job: job(),
                run_id: run_id(),
                code: 0,
                reason: None,
            },
            "run r1 over, exit 0",
        ),
        (
            Note::GuardFailed {
                job: job(),
                text: text(),
            },
            "no run started, tried again at the next tick: why",
        ),
        (
            Note::RunFound {
                job: job(),
                run_id: run_id(),
            },
            "run r1 was not begun by this init: it counts as running",
        ),
        (
            Note::Restarting {
                job: "web".into(),
                code: 1,
                delay: secs(4),
                row: 3,
            },
            "exit 1: started again in 4s, restart 3 in a row",
        ),
        (
            Note::GivenUp {
                job: "web".into(),
                code: 1,
                limit: 5,
                within: None,
                exits: false,
            },
            "exit 1 after 5 restarts in a row: given up; start it by hand when the cause is gone",
        ),
        (
            Note::GivenUp {
                job: "web".into(),
                code: 1,
                limit: 5,
                within: Some(secs(600)),
                exits: true,
            },
            "exit 1 after 5 restarts within 10m: given up; init stops",
        ),
        (
            Note::NeverStarts {
                job: "web".into(),
                after: "migrate".into(),
                want: Want::Succeeded,
                code: Some(2),
            },
            "not started: it waits for job migrate to succeed, which has ended with 2 and does not \
             start again by itself",
        ),
        (
            Note::PlaceAwaited {
                job: "dev".into(),
                class: "batch".into(),
                most: 2,
                before: 1,
            },
            "waits for a place: class batch has 2 runs at once, 1 due before it",
        ),
        (
            Note::Reloaded {
                added: vec!["a".into(), "b".into()],
                removed: Vec::new(),
                changed: vec!["dev".into()],
            },
            "the file was read again: 2 jobs added (a, b); 1 job changed (dev)",
        ),
        (
            Note::ReloadRefused {
                text: text(),
                errors: 1,
            },
            "the file was read again, and nothing has changed: why",
        ),
        (
            Note::ReloadRefused {
                text: text(),
                errors: 3,
            },
            "the file was read again, and nothing has changed: why (3 errors in all; to see \
             them: `lockkeeper check`)",
        ),
        (
            Note::ControlFailed { text: text() },
            "nobody can ask this init for anything: why",
        ),
        (
            Note::StopAsked {
                signal: libc::SIGTERM,
                runs: 2,
                within: secs(9),
            },
            "stop asked by SIGTERM: 2 runs to end within 9s",
        ),
        (
            Note::StopOverdue { runs: 1 },
            "the stop is overdue: 1 run left, killed with init",
        ),
        (Note::InitEnded { code: 3 }, "init ends (exit 3)"),
        (
            Note::Staying,
            "no job will run again; init stays, as the file says",
        ),
        (
            Note::NoJournal { text: text() },
            "no journal, notes go to standard error: why",
        ),
        (
            Note::NotesLost { count: 7 },
            "lost 7 notes: nobody took them in time",
        ),
        (Note::LockFailed { text: text() }, "why"),
        (Note::ConfigWarning { text: text() }, "configuration: why"),
        (
            Note::EventFailed {
                program: "tell".into(),
                how: "ended with exit code 3".into(),
            },
            r#"the command of on_event, "tell", ended with exit code 3; further failures are not told"#,
        ),
    ]
}
