//! The closed list of field names, as one table: it makes [`Fields`], the journal's record and the
//! JSON line. The journal shows each name in capitals, and what is `None` not at all.
//!
//! A field of one name means one thing in the whole journal, also where systemd wrote it:
//! - `EXIT_CODE` and `EXIT_STATUS` are systemd's own (its message 98e322203f7a4ed290d09fe03c09fe15,
//!   "unit process exited"): how *a process* ended, `exited`, `killed` or `dumped`, and with which
//!   code, or by which signal's number. Who knows them from services finds the commands of jobs by
//!   them: `EXIT_CODE=dumped`. They are not there where no command ever ran.
//! - `RUN_CODE` is how *the run* ended, as lockkeeper's exit code, the table of [`crate::exit`]: 124
//!   for a time that was over, 75 for a lock that was not obtained, whatever the command's process
//!   said when it was ended.
//! - `INVOCATION_ID` is the `RUN_ID`, written twice to make the 128 bits that systemd's tools ask of
//!   one: a run is to a job what an invocation is to a unit (`systemd.journal-fields(7)`).
//!
//! Adding a field is a row here; the sink has its names from the same table.

use std::borrow::Cow;
use std::fmt::Display;

/// Calls the macro that it is given with the table. Times are milliseconds.
macro_rules! each_field {
    ($then:ident $($more:tt)*) => {
        $then! {
            [$($more)*]
            /// `CONTAINER_NAME`; journald adds it only to what a container's log driver hands on.
            container_name: &'a str,
            /// `JOB`: the note's own, else the process's.
            job: &'a str,
            /// `JOB_CLASS`.
            job_class: &'a str,
            /// `RUN_ID`: the note's own, else the process's.
            run_id: &'a str,
            /// `INVOCATION_ID`, at the end of a run.
            invocation_id: String,
            /// `JOB_PID`: the command's process id, in the PID namespace of the writer.
            job_pid: i32,
            /// `LOCK`: the path of the lock file, or of the lock directory.
            lock: Cow<'a, str>,
            /// `HOLDER`: who holds the lock.
            holder: Cow<'a, str>,
            /// `WAITED_MS`: time in the queue.
            waited_ms: u64,
            /// `HELD_MS`: time from the lock obtained to its release.
            held_ms: u64,
            /// `GRACE_MS`: the time that somebody has from now on.
            grace_ms: u64,
            /// `DELAY_MS`: the time to a restart.
            delay_ms: u64,
            /// `PAUSED_MS`: how long a pause lasts from now on.
            paused_ms: u64,
            /// `LATE_MS`: how much too late we woke.
            late_ms: u64,
            /// `REASON`: why a run ended or is being stopped, or what became of a lock directory, in
            /// one word.
            reason: &'static str,
            /// `RUN_CODE`: the exit code of the run.
            run_code: u8,
            /// `EXIT_CODE`: how the command's process ended, or init's: `exited`, `killed`, `dumped`.
            exit_code: &'static str,
            /// `EXIT_STATUS`: the code that it exited with, or the number of the signal.
            exit_status: i32,
            /// `SIGNAL`: the signal that was sent, received or died of, as `SIGTERM`.
            signal: Cow<'static, str>,
            /// `ERRNO` (`systemd.journal-fields(7)`).
            errno: i32,
            /// `COMMAND`: the name of the command.
            command: Cow<'a, str>,
            /// `CONDITION`: the key of the file whose condition did not hold.
            condition: &'static str,
            /// `STEP`: at which step a start failed.
            step: &'static str,
            /// `DIRECTORY`: the path of a directory that is locked.
            directory: Cow<'a, str>,
            /// `CLAIM`: the path of a claim.
            claim: Cow<'a, str>,
            /// `PIDS`: process ids, with blanks between them.
            pids: String,
            /// `SESSION_ID`: of the agent, as its result line says it.
            session_id: &'a str,
            /// `COST_USD`, likewise.
            cost_usd: &'a str,
            /// `TURNS`, likewise.
            turns: &'a str,
            /// `COUNT`: of jobs, runs, restarts, processes or notes, whichever the message id is about.
            count: u64,
        }
    };
}
pub(super) use each_field;

macro_rules! make {
    ([] $($(#[$doc:meta])* $name:ident: $kind:ty,)+) => {
        /// The fields of one record.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Fields<'a> {
            $($(#[$doc])* pub $name: Option<$kind>,)+
        }

        impl Fields<'_> {
            /// Gives `take` each field that is there, in the order of the table, with its name in
            /// small letters.
            pub fn each(&self, mut take: impl FnMut(&'static str, &dyn Display)) {
                $(if let Some(value) = &self.$name {
                    take(stringify!($name), value);
                })+
            }
        }
    };
}

each_field! { make }
