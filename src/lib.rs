//! lockkeeper: a tiny init for the containers in which AI coding agents run.
//!
//! One batch job at a time through the shared lock, interactive jobs straight past it, nobody left
//! behind, and the lock neither freed early nor held for ever.
//!
//! # The map
//!
//! | room | what is in it |
//! | --- | --- |
//! | [`exit`] | every exit code |
//! | [`cli`] | the command line: one table of flags, one file a verb |
//! | [`config`] | TOML → [`config::plan::Plan`], and its error reports |
//! | [`core`] | pure: the state machines of a run and of the job table, timers, notes |
//! | [`run`] | guard and monitor: the shell round one run |
//! | [`init`] | the shell round the job table |
//! | [`lock`] | the shared lock, claims, directory locks, lock directories, placement |
//! | [`journal`] | notes → journald or standard error |
//! | [`view`] | what `status` shows: facts in, rows out; as a table, JSON, metrics |
//! | [`trouble`] | error numbers in words: why, and what to do |
//! | [`sys`] | the only unsafe code: signals, wait, spawn, /proc, poll, clock |
//!
//! `core` imports nothing of the others but the plan and the exit codes; `sys` knows no policy; the
//! shells (`run`, `init`) have no `if` about policy: they turn what happens into an event, ask the
//! core, and do what it answers.
//!
//! # The processes
//!
//! | process | started as | does |
//! | --- | --- | --- |
//! | init | the container's ENTRYPOINT, PID 1 or a subreaper | starts a guard for each run, reaps every orphan, stops in order ([`init::shell`]) |
//! | guard | by init, or `lockkeeper run` | holds the lock beside the monitor; ends the run's orphans if the monitor dies ([`run::guard`]) |
//! | monitor | forked by the guard | the life of one run ([`run::monitor`]) |
//! | single | `lockkeeper -- COMMAND` without a lock | init and monitor in one process ([`run::start::alone`]) |
//!
//! # Invariants
//!
//! Each is a test of that name in `tests/it/invariants`.
//!
//! 1. `exclusive`: never do two batch runs that name the same lock execute at once, whichever single
//!    process is killed at whatever moment, also beside plain flock(1) users.
//! 2. `interactive_never_locks`: by type; an interactive class has no lock field.
//! 3. `held_until_tree_empty`: the lock is held until the last process of the job's tree is gone.
//! 4. `released_after_end`: a run that is over, by whatever path, holds nothing; within its stop's graces
//!    and 3 s, and `refresh` more where it left a lock directory that is watched.
//! 5. `no_survivors`: no process of a run's tree outlives the run.
//! 6. `pid1_never_blocks`: not on a log, a lock, a pipe, a client, a child or a file system; idle, no process
//!    makes a system call.
//! 7. `exit_status_kept`: the command's own status is the caller's, unchanged.
//! 8. `nothing_removed_on_doubt`: absent on purpose is any code that removes or unlocks what it
//!    cannot judge. The sweep of lock directories, to which this applies most, moves nothing but what
//!    is dead ([`lock::sweep`]).
//! 9. `deterministic_core`: recorded event logs replay to the same actions ([`run::event_log`]).
//!
//! The residue, by design: guard and monitor of one run killed in the same instant. When a PID 1 is
//! killed the kernel sends KILL to all of its namespace in one go and frees what they held in any
//! order: no process of the old run executes any more beside the next holder, but one may still be
//! on its way out when the lock is free.
//!
//! # Choices that a reader may wonder about
//!
//! - **signalfd(2), not handlers.** All signals are blocked before `main` and stay so; they are read
//!   from a descriptor. No disposition is changed, so a job gets back what we were started with for
//!   nothing, no handler can run between fork and exec, and starting costs no system call a signal.
//!   signal-hook gives the signals their names.
//! - **A guard for every run but the single command,** interactive ones under init too: it is what
//!   ends a run's orphans, and a monitor can be killed there as well.
//! - **The file is read anew by a process of its own,** which may hang on a dead file server and be killed,
//!   and not by init; what it found valid init reads from a memfd ([`init::reload`]).
//! - **One epoll instance for all who ask init,** and no words for strangers: a socket of mode 0600, a
//!   bounded number of connections, none of which is ever waited for ([`init::control`]).
//! - **A run by hand is found by its claim:** a record that is moved to its name wakes init, which reads
//!   nothing itself, as that folder may hang, too ([`init::found`]).
//! - **A status is init's table and the claims, put together by who asks:** init knows nothing of other
//!   containers and opens no claim for it; a watch is a request that init keeps until something has
//!   happened, and inotify on the claims ([`view`], [`cli::verb::status`]).
//! - **A guard under init is an exec, not a fork:** init has a log thread, and a lock that a thread
//!   holds at the instant of a fork stays locked in the copy.
//! - **A claim's latch is taken before the fork, its record written when the command has run for two
//!   milliseconds:** information is off the command's path, and off the processor on which it begins. A
//!   nested run asks the latch, as who started us has the lock, and where the record can tell it, whether
//!   it is below that run's monitor ([`run::nested`]). Nor is anybody woken by the exec, unless a signal
//!   waits for it.
//! - **Directories are locked before the shared lock,** in the order of their real paths, so that nobody
//!   waits in a circle, and nobody for a directory while he holds the lock. A run inside a run waits
//!   for no directory at all: the outer one perhaps holds what the other one wants.
//! - **A directory lock is its latch; its record is for people and for other tools,** which know nothing
//!   else. So it is written before the command starts, and a lock without a record is not taken. Each
//!   try is the monitor's own; a thread only waits for the end of what is in the way, be it a latch, a
//!   record or a process, and then the monitor tries again ([`lock::dir`]).
//! - **A lock that covers the folders below finds those by looking,** as there is no place in which all
//!   containers could register: each writes its record first and looks then ([`lock::dir::subtree`]).
//! - **Lock directories are swept by the monitor alone.** A guard that has lost its monitor does not know
//!   what was there before the run. What is left goes at the start of a later one: at once if the login
//!   is `exclusive`, else when it is stale.
//! - **An interactive run claims its login, beside the lock that it never opens:** so the sweep of an
//!   `exclusive` login knows that it is not alone.
//! - **The lock's file is watched from the second second on.** The kernel takes milliseconds to end an
//!   inotify watch; a shorter run compares the file once, at its end.
//! - **Where a file system cannot be judged, two holders are found out, not prevented**
//!   ([`core::run`]): each touches its claim once a second and looks at the others', in a thread of its
//!   own, as such a file system may hang. Nothing beside such a lock is cleared away: what looks free
//!   there may be held through another mount.
//! - **The monitor prepares the command while it waits,** so that nothing but a fork stands between
//!   the lock and the command.
//! - **A command starts in its monitor's memory** (`CLONE_VM`, and not `CLONE_VFORK`): nothing is copied
//!   between the lock and the program, and a monitor never waits for a program that lies on a dead file
//!   server. The child calls the kernel without libc, whose `errno` is the monitor's. Who becomes another
//!   user, or shares a terminal, gets a copy ([`sys::spawn`]).
//! - **What must hold before a command is asked in a thread** ([`run::conditions`]): paths and files may
//!   lie where nobody answers, and a stop must be heard. A run without conditions has no such thread.
//! - **A pause is asked for in the monitor's own thread,** before it queues and when it has waited; one
//!   system call where there never was one. What a command says last is read before its lock is free:
//!   the next in the queue must find the pause ([`run::pause`], [`lock::pause`]).
//! - **Variables from files exist in the monitor alone:** the plan, which goes through a memory file and
//!   into no log, has their paths ([`run::env_file`]).
//! - **A control group is entered by the child, by writing "0",** and not by clone3(2), which many seccomp
//!   filters refuse: one way for all, and none for who asks for no group ([`run::cgroup`]).
//! - **A command's own terminal stays open with us,** and it is we who type the end of the input: a
//!   command may let go of it and come back, and whoever asks a question gets no answer instead of none
//!   for ever ([`sys::pty`]).
//! - **`check` runs the agents that it finds, once, for their version,** where there is no file yet: with
//!   no login, for root no network, and two seconds in all. They are below a process of its own, which
//!   ends all that they start also when `check` is killed, and nothing else that `check` finds among its
//!   children. Root runs nothing that somebody else can change ([`cli::verb::check`]). `--no-versions`
//!   leaves that out.
//! - **The end of a process is left to the kernel,** which frees all of it in one go.
//! - **Two mounts are asked about, by statmount(2),** where the kernel knows it (6.13): it prints the whole
//!   table at a microsecond a line.
//! - **Not built for NFS:** the waiter is a thread, not a process of its own; a wait that hangs in the
//!   kernel ends only with its process.

// What the library's own tests share with the integration tests names it from outside.
#[cfg(test)]
extern crate self as lockkeeper;

pub mod cli;
pub mod config;
pub mod core;
pub mod exit;
pub mod init;
pub mod journal;
pub mod lock;
pub mod run;
pub mod sys;
pub mod trouble;
pub mod view;
