//! The one table of keys: it drives the reader and its suggestions, and makes the schema and the
//! manual.
//!
//! Invariant: a key that is not in [`KEYS`] does not exist. Adding one is a row here and one line
//! in `resolve`, which says what the value means.

mod shape;

use std::time::Duration;

use super::plan::{Format, When};
pub use shape::{Key, Scope, Shape, Unit};

/// The tables at the top of a file: name, what each holds, and whether it holds named tables.
pub const TABLES: &[(&str, Scope, bool)] = &[
    ("init", Scope::Init, false),
    ("locks", Scope::Lock, true),
    ("classes", Scope::Class, true),
    ("jobs", Scope::Job, true),
];

const fn at_least(least: Duration) -> Shape {
    Shape::Time {
        least,
        forever: false,
    }
}

const fn or_forever(least: Duration) -> Shape {
    Shape::Time {
        least,
        forever: true,
    }
}

const TENTH: Duration = Duration::from_millis(100);
const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const ANY: Duration = Duration::ZERO;

macro_rules! keys {
    ($($name:literal in $($scope:ident)+: $shape:expr, $default:literal, $doc:literal
       $(, also $($also:literal)+)?;)+) => {
        &[$(Key {
            name: $name,
            scopes: &[$(Scope::$scope),+],
            shape: $shape,
            default: $default,
            doc: $doc,
            also: &[$($($also),+)?],
        }),+]
    };
}

/// Every key of a configuration file.
#[rustfmt::skip]
pub const KEYS: &[Key] = keys! {
    // [init]
    "name" in Init: Shape::Text, "the host name",
        "what the journal calls this container (CONTAINER_NAME)", also "container" "container_name" "hostname";
    "stop_within" in Init: at_least(SECOND), "9s",
        "the time for an orderly stop of all runs; keep it below the container's own stop time-out", also "stop_timeout" "shutdown_timeout";
    "stay" in Init: Shape::Flag, "false",
        "whether init lives on when no job can ever run again", also "keep_alive";
    "log" in Init: Shape::Word(Format::WORDS), "text",
        "what notes look like on standard error, where there is no journal; LOCKKEEPER_LOG in the environment goes before it", also "log_format" "format";

    "signals" in Init: Shape::Signals, "none",
        "what init takes a signal for that it gets: another one, or \"drop\" for none", also "signal_map" "rewrite" "forward_signals" "ignore_signals";
    "on_event" in Init: Shape::Table(Scope::OnEvent), "none",
        "a command that gets each event as one line of JSON on its standard input", also "event_hook" "hook" "notify_command" "on_failure";

    // [locks.NAME]
    "path" in Lock: Shape::Path, "required",
        "the lock file; it is created where it is missing, its folder is not", also "file" "lockfile" "lock_file";
    "shared_mount" in Lock Class: Shape::Word(&["auto", "require", "off"]), "auto",
        "what is asked of the mount that the lock lies on: not private to this container, a mount of its own, nothing";
    "wait" in Lock Class Job: or_forever(ANY), "10m",
        "the longest time in the queue of the lock, or \"forever\"", also "lock_timeout" "wait_timeout";

    // [classes.NAME]
    "kind" in Class: Shape::Word(&["batch", "interactive"]), "required in a class of one's own",
        "batch takes turns on the lock, interactive never waits for it", also "type" "mode";
    "identity" in Class: Shape::Identity, "none",
        "the login that the jobs use: a folder whose tokens rotate, or env:NAME for a key that does not", also "login" "account" "credentials" "config_dir";
    "lock" in Class: Shape::Name, "session.lock in the identity's folder",
        "the [locks.NAME] on which the jobs take turns", also "locks" "mutex";

    "lock_dirs" in Class: Shape::Paths, "those that Claude Code makes for the identity's folder",
        "lock directories that a killed agent leaves: cleared when their owner is dead", also "lock_directories" "sweep" "sweep_dirs";
    "refresh" in Class: at_least(MILLISECOND), "6s",
        "how long a new lock directory is watched after a run: longer than an owner takes to refresh his own", also "heartbeat_interval" "update";
    "stale_after" in Class: at_least(SECOND), "60s",
        "the owner of a lock directory that was not refreshed for so long is dead", also "stale";
    "exclusive" in Class: Shape::Flag, "false",
        "whether all who use the identity run under lockkeeper: a new lock directory need not be watched then";

    // [classes.NAME] and [jobs.NAME]
    "timeout" in Class Job: or_forever(MILLISECOND), "forever",
        "the longest a command may run", also "max_runtime" "time_limit" "runtime";
    "idle_timeout" in Class Job: or_forever(MILLISECOND), "forever",
        "the longest a command may be silent on standard output and standard error", also "idle" "silence" "inactivity_timeout";
    "heartbeat" in Class Job: or_forever(MILLISECOND), "forever",
        "the longest time between two `WATCHDOG=1` that the command sends to $NOTIFY_SOCKET", also "watchdog" "watchdog_sec" "keepalive";
    "ready_timeout" in Class Job: or_forever(MILLISECOND), "forever",
        "the longest time from the command's start to the `READY=1` that it sends to $NOTIFY_SOCKET", also "start_timeout" "startup_timeout" "timeout_start";
    "notify" in Class Job: Shape::Flag, "false",
        "whether the command gets a NOTIFY_SOCKET where no other key asks for one: for its `STATUS=`, and `READY=1`", also "sd_notify" "notify_socket";
    "final" in Class Job: Shape::Table(Scope::Final), "none",
        "the line after which the command should go by itself, and is ended if it does not", also "result" "final_line";
    "pause" in Class Job: Shape::Table(Scope::Pause), "none",
        "the line that says that the account's usage limit is reached: no batch run that uses the login starts for a while, in any container", also "usage_limit" "rate_limit" "cooldown";
    "stop" in Class Job: Shape::Table(Scope::Stop), "{ signal = \"TERM\", grace = \"15s\", leftover_grace = \"1s\" }",
        "how a command is stopped", also "kill";
    "signals" in Class Job: Shape::Signals, "none",
        "what the command is sent in a signal's place, or \"drop\": then neither it nor its run hears it; those of a job are added to its class's", also "signal_map" "rewrite" "forward_signals" "ignore_signals";
    "env" in Class Job: Shape::Env, "none",
        "variables that are added to the environment; those of a job are added to its class's", also "environment" "variables";
    "dir" in Class Job: Shape::Path, "the one that lockkeeper was started in",
        "the working directory", also "cwd" "workdir" "working_dir" "working_directory" "chdir";
    "dir_lock" in Class Job: Shape::DirLock, "false",
        "one agent at a time in the working directory, or in the directories that are named", also "directory_lock" "workdir_lock";
    "on_conflict" in Class Job: Shape::Word(&["wait", "fail"]), "wait for batch; interactive only fails",
        "what is done where a directory is locked: wait, at most for `wait`, or fail at once", also "if_locked";
    "subtree" in Class Job: Shape::Flag, "false",
        "whether a directory lock covers the folders below it", also "recursive";
    "user" in Class Job: Shape::Text, "lockkeeper's own",
        "the user to run as, by name or number", also "uid" "run_as";
    "group" in Class Job: Shape::Text, "the user's own",
        "the group to run as, by name or number", also "gid";
    "stdin" in Class Job: Shape::Word(&["inherit", "null"]), "null for batch, inherit for interactive, the terminal with `pty`",
        "where standard input comes from", also "input" "tty" "terminal";
    "pty" in Class Job: Shape::FlagOr(Scope::Pty), "false",
        "whether the command has a terminal of its own, for one that hangs on a pipe", also "pseudo_terminal" "use_pty" "allocate_tty";
    "output" in Class Job: Shape::Word(&["inherit", "journal", "file", "both"]), "inherit",
        "where standard output and standard error go: where lockkeeper's own do, or line by line to the journal, to a file, to both", also "log" "logs" "stdout" "log_driver";
    "log_dir" in Class Job: Shape::Path, "/var/log/lockkeeper",
        "the folder of the file, JOB.log; it is created where it is missing", also "log_path" "log_folder" "log_directory" "logdir";
    "log_size" in Class Job: Shape::Size { least: 4096 }, "10M",
        "the size from which on the file is set aside, as JOB.log.1 and so on, and a new one begun", also "max_size" "log_max_size";
    "log_files" in Class Job: Shape::Count { least: 1, most: 1000 }, "5",
        "how many files that were set aside are kept", also "max_files" "log_max_files" "log_keep" "rotate";
    "redact" in Class Job: Shape::Names, "none",
        "variables whose values are shown nowhere: *** stands in their place", also "mask" "secrets" "hide";
    "require_path" in Class Job: Shape::Paths, "none",
        "paths that must exist before the command starts; else the run ends at once, and the next one asks again", also "condition_path_exists" "wait_for" "requires_mounts_for" "require_paths";
    "require_env" in Class Job: Shape::Names, "none",
        "variables that must have a value before the command starts", also "required_env" "require_environment" "condition_environment";
    "require_free_memory" in Class Job: Shape::Size { least: 1 }, "none",
        "the memory that must be free before the command starts, of the machine and of every cgroup above", also "min_free_memory" "require_memory" "free_memory" "min_memory";
    "create_dirs" in Class Job: Shape::Paths, "none",
        "folders that are made, as the command's user and for nobody else, where they are missing", also "mkdir" "make_dirs" "ensure_dirs" "create_directories";
    "env_file" in Class Job: Shape::PathOrPaths, "none",
        "files of NAME=value lines, read when a run begins; `env` goes before them", also "env_files" "environment_file" "environmentfile" "dotenv";
    "clear_env" in Class Job: Shape::Flag, "false",
        "whether the command finds nothing of lockkeeper's own environment but PATH, HOME, USER, LOGNAME and TERM", also "clean_env" "env_clear" "clear_environment";
    "rlimits" in Class Job: Shape::Table(Scope::Rlimits), "lockkeeper's own",
        "resource limits of the command, as ulimit sets them", also "ulimits" "ulimit" "rlimit";
    "umask" in Class Job: Shape::Mask, "lockkeeper's own",
        "the mode bits that new files do not get";
    "nice" in Class Job: Shape::Number { least: -20, most: 19 }, "lockkeeper's own",
        "the nice value: 19 yields to everybody, below 0 needs CAP_SYS_NICE", also "niceness" "nice_level";
    "oom_score_adj" in Class Job: Shape::Number { least: -1000, most: 1000 }, "lockkeeper's own",
        "how soon the kernel kills the command when memory runs out: 1000 first, -1000 never", also "oom_score" "oom_score_adjust" "oom";
    "no_new_privs" in Class Job: Shape::Flag, "false",
        "whether no program below the command gains privileges, as by sudo", also "no_new_privileges" "nonewprivileges";
    "cgroup" in Class Job: Shape::Table(Scope::Cgroup), "none",
        "limits of all processes of a run together, where control groups can be made (cgroup v2)", also "cgroups" "resources" "slice";

    "max_parallel" in Class: Shape::Count { least: 1, most: 1000 }, "no limit",
        "how many runs of its jobs go at once; the others wait in the order in which they were due", also "parallel" "concurrency" "max_jobs" "max_runs";
    "restart" in Class Job: Shape::WordOrTable(When::WORDS, Scope::Restart), "never",
        "whether a job starts again when its run is over, after a time that doubles", also "restart_policy" "autorestart" "respawn" "retry" "backoff";

    // [jobs.NAME]
    "class" in Job: Shape::Name, "required",
        "the class of the job: batch, interactive or one of [classes.NAME]", also "type";
    "command" in Job: Shape::Command, "required",
        "the command and its arguments, as a list; no shell, and ${…} is left to the command", also "cmd" "exec" "run" "args" "entrypoint";
    "every" in Job: at_least(SECOND), "none: it runs once",
        "the time from one start to the next; a run still going skips the tick", also "interval" "schedule" "period" "cron";
    "jitter" in Job: at_least(ANY), "0s",
        "the first start is spread over this time", also "splay" "random_delay";
    "start" in Job: Shape::Word(&["boot", "manual"]), "boot",
        "whether it starts with init, or only when somebody asks", also "autostart" "when";
    "after" in Job: Shape::After, "none",
        "jobs that must have started before it starts for the first time, or succeeded, or said that they are ready: [\"a\", \"b:succeeded\", \"c:ready\"]", also "depends_on" "needs" "requires" "start_after" "wait_for";
    "main" in Job: Shape::Flag, "false",
        "whether its exit code is the container's, and its end the container's end";

    // final = { … }
    "line" in Final: Shape::Literal, "required",
        "text that the final line on standard output contains", also "text" "contains" "pattern" "match";
    "grace" in Final: at_least(ANY), "30s",
        "how long the command has after that line", also "timeout" "wait";
    "failed" in Final: Shape::Literal, "none",
        "if the same line contains this text the exit code is 1, else 0", also "error" "failure";

    // pause = { … }
    "line" in Pause: Shape::Literal, "required",
        "text that a line on standard output or standard error contains", also "text" "contains" "pattern" "match";
    "for" in Pause: at_least(SECOND), "1h",
        "how long from then on; at most 24h", also "time" "duration" "length" "wait";

    // stop = { … }
    "signal" in Stop: Shape::Signal, "TERM",
        "the first signal", also "sig";
    "grace" in Stop: at_least(ANY), "15s",
        "how long the command has after it, before KILL", also "timeout" "wait";
    "leftover_grace" in Stop: at_least(ANY), "1s",
        "how long processes that outlive the command have after TERM, before KILL", also "leftover";

    // restart = { … }
    "when" in Restart: Shape::Word(When::WORDS), "on-failure",
        "after which ends", also "policy" "strategy" "condition";
    "delay" in Restart: at_least(TENTH), "1s",
        "the time to the first restart; it doubles with each one in a row", also "backoff" "restart_sec" "wait" "interval";
    "max_delay" in Restart: at_least(TENTH), "5m",
        "what the time doubles up to", also "max_backoff" "max_interval";
    "reset_after" in Restart: at_least(ANY), "1m",
        "a command that ran for so long, or succeeded, ends the row: the next delay is the first again", also "startsecs" "reset" "stable_after";
    "limit" in Restart: Shape::Count { least: 1, most: 1000 }, "no limit",
        "how many restarts in a row there are", also "attempts" "retries" "max_restarts" "startretries" "burst";
    "within" in Restart: at_least(SECOND), "those in a row are counted",
        "the time in which the restarts are counted that `limit` limits", also "window" "period";
    "then" in Restart: Shape::Word(&["give-up", "exit"]), "give-up",
        "what follows then: the job has failed, or init stops all and exits with its code", also "on_limit" "action";
    // rlimits = { … }
    "nofile" in Rlimits: Shape::Limit(Unit::Each), "as it is",
        "open files", also "files" "open_files" "n";
    "nproc" in Rlimits: Shape::Limit(Unit::Each), "as it is",
        "processes and threads of the user", also "processes" "pids" "u";
    "core" in Rlimits: Shape::Limit(Unit::Bytes), "as it is",
        "size of a core file", also "coredump" "core_size" "c";
    "as" in Rlimits: Shape::Limit(Unit::Bytes), "as it is",
        "address space of a process", also "memory" "vmem" "v" "address_space";
    "data" in Rlimits: Shape::Limit(Unit::Bytes), "as it is",
        "data segment of a process", also "d";
    "stack" in Rlimits: Shape::Limit(Unit::Bytes), "as it is",
        "stack of a process", also "stack_size" "s";
    "fsize" in Rlimits: Shape::Limit(Unit::Bytes), "as it is",
        "size of a file that is written", also "file_size" "f";
    "memlock" in Rlimits: Shape::Limit(Unit::Bytes), "as it is",
        "memory that is kept from being swapped", also "l" "locked_memory";
    "cpu" in Rlimits: Shape::Limit(Unit::Seconds), "as it is",
        "processor time of a process", also "cpu_time" "t";
    "sigpending" in Rlimits: Shape::Limit(Unit::Each), "as it is",
        "signals that wait", also "i" "pending_signals";
    "msgqueue" in Rlimits: Shape::Limit(Unit::Bytes), "as it is",
        "bytes in POSIX message queues", also "q";
    "rtprio" in Rlimits: Shape::Limit(Unit::Each), "as it is",
        "real-time priority", also "r";

    // cgroup = { … }
    "memory_max" in Cgroup: Shape::Size { least: 1 << 20 }, "none",
        "the most memory: beyond it the kernel kills", also "memory" "mem" "mem_max" "memory_limit";
    "memory_high" in Cgroup: Shape::Size { least: 1 << 20 }, "none",
        "memory from which on the processes are slowed down", also "mem_high" "memory_reservation";
    "pids_max" in Cgroup: Shape::Count { least: 1, most: 4_194_304 }, "none",
        "the most processes and threads", also "pids" "pids_limit" "tasks_max";
    "cpu_max" in Cgroup: Shape::Percent, "none",
        "the most processor time, in percent of one processor", also "cpus" "cpu" "cpu_quota" "cpu_limit";
    "cpu_weight" in Cgroup: Shape::Count { least: 1, most: 10_000 }, "100",
        "the share of the processors beside others", also "cpu_shares";
    "io_weight" in Cgroup: Shape::Count { least: 1, most: 10_000 }, "100",
        "the share of the disks beside others", also "blkio_weight" "io";

    // pty = { … }
    "rows" in Pty: Shape::Count { least: 1, most: 9999 }, "24",
        "its height", also "lines" "height";
    "cols" in Pty: Shape::Count { least: 1, most: 9999 }, "80",
        "its width", also "columns" "width";
    "echo" in Pty: Shape::Flag, "false",
        "whether it is set to show what is typed";

    // on_event = { … }
    "command" in OnEvent: Shape::Command, "required",
        "the command and its arguments, as a list; one process at a time, with init's own environment", also "cmd" "exec" "run";
    "kinds" in OnEvent: Shape::Kinds, "all warnings and errors",
        "of which kinds it is told, by their names in packaging/journal.md: [\"ended\", \"wait_expired\"]", also "events" "kind" "types";
    "timeout" in OnEvent: at_least(SECOND), "10s",
        "how long it may take for one event, before it is killed", also "limit";

    // Later versions.
    "slots" in Lock: Shape::NotBuilt, "", "several holders of one lock";
    "priority" in Class Job: Shape::NotBuilt, "", "overtaking in the queue of a lock";
};

/// The key of that name in that scope.
pub fn find(name: &str, scope: Scope) -> Option<&'static Key> {
    KEYS.iter()
        .find(|key| key.name == name && key.scopes.contains(&scope))
}

/// The keys of a scope, in the order of the table.
pub fn of(scope: Scope) -> impl Iterator<Item = &'static Key> {
    KEYS.iter().filter(move |key| key.scopes.contains(&scope))
}

#[cfg(test)]
mod tests;
