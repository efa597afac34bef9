//! Bad input, as one table: what is typed or found, the exit code, the first words of the message.
//!
//! Each case is a line of shell in a folder of its own, so that it can be read, and typed. In it:
//! `lk` is the program, `run` is `lk run --lock lock`, `nobody` runs the rest as user 65534, `toml`
//! writes what follows as `jobs.toml`, `in_tmpfs OPTIONS` mounts one over `./mnt` for the rest.
//!
//! After each case, whatever came before: no process of the program lives, the lock is free, the
//! message begins in lower case behind the program's name, says what to do, and nobody panicked.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use fs2::FileExt as _;
use nix::sys::signal::Signal::SIGTERM;

use crate::support::bin;
use crate::support::child::{self, bare, text};
use crate::support::dir::Dir;
use crate::support::need::need;
use crate::support::ns::Ns;
use crate::support::wait::until;

/// The input, the exit code, the first words on standard error after `lockkeeper: `; none: it is
/// silent. DIR stands for the case's folder.
type Case = (&'static str, i32, &'static str);

/// What every line of shell may use.
const WORDS: &str = r#"
    lk() { ./lockkeeper "$@"; }
    run() { ./lockkeeper run --lock lock "$@"; }
    nobody() { chmod 755 .; setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@"; }
    toml() { printf '%s\n' "$@" > jobs.toml; }
    limited() { n=$1; shift; prlimit --nofile="$n" -- "$@"; }
    in_tmpfs() { mkdir mnt; unshare --mount sh -ec "mount -t tmpfs -o $1 none mnt; $2"; }
"#;

const CONFIGURATIONS: &[Case] = &[
    (
        "lk init -c none.toml",
        78,
        "none.toml: error: cannot open the configuration: no such file",
    ),
    (
        ": > c.toml; lk -c c.toml",
        78,
        "c.toml: error: the configuration is empty",
    ),
    (
        "head -c 10485760 /dev/zero | tr '\\0' '#' > c.toml; lk -c c.toml",
        78,
        "c.toml: error: cannot read the configuration: 10485760 bytes are more",
    ),
    (
        "printf 'a\\0b' > c.toml; lk -c c.toml",
        78,
        "c.toml: error: cannot read the configuration: it is binary",
    ),
    (
        "printf 'a = \"\\377\"' > c.toml; lk -c c.toml",
        78,
        "c.toml: error: cannot read the configuration: it is not UTF-8",
    ),
    (
        "mkdir c.toml; lk -c c.toml",
        78,
        "c.toml: error: cannot read the configuration: this is a folder",
    ),
    (
        "mkfifo c.toml; lk -c c.toml",
        78,
        "c.toml: error: cannot read the configuration: this is a pipe",
    ),
    (
        "lk -c /dev/zero",
        78,
        "/dev/zero: error: cannot read the configuration: this is a device",
    ),
    (
        "ln -s c.toml c.toml; lk -c c.toml",
        78,
        "c.toml: error: cannot open the configuration: too many symbolic links",
    ),
    (
        "touch c.toml; chmod 600 c.toml; nobody ./lockkeeper -c c.toml",
        78,
        "c.toml: error: cannot open the configuration: permission denied",
    ),
    ("lk -c ''", 64, "\"--config\" is empty"),
    (
        "toml '[jobs.a]' 'class = \"interactive\"' 'command = [\"true\"]'; lk run -c jobs.toml b",
        78,
        "no job in \"jobs.toml\" is named \"b\": there are \"a\"",
    ),
];

const LOCKS: &[Case] = &[
    (
        "mkdir lock; run -- true",
        78,
        "cannot open the lock \"DIR/lock\": it is a folder",
    ),
    (
        "mkfifo lock; run -- true",
        78,
        "cannot open the lock \"DIR/lock\": it is a FIFO",
    ),
    (
        "touch file; ln -s file lock; run -- true",
        78,
        "cannot open the lock \"DIR/lock\": it is a symbolic link; name the file itself, \"file\"",
    ),
    (
        "ln -s lock lock; run -- true",
        78,
        "cannot open the lock \"DIR/lock\": it is a symbolic link",
    ),
    (
        "ln -s loop loop; lk run --lock loop/lock -- true",
        78,
        "cannot open the lock \"DIR/loop/lock\": symbolic links on the way to it lead round",
    ),
    (
        "lk run --lock /dev/null -- true",
        78,
        "cannot open the lock \"/dev/null\": it is a device",
    ),
    (
        "mknod lock c 240 99; run -- true",
        78,
        "cannot open the lock \"DIR/lock\": it is a socket or a device",
    ),
    (
        "lk run --lock socket -- true",
        78,
        "cannot open the lock \"DIR/socket\": it is a socket",
    ),
    (
        "lk run --lock no/such/lock -- true",
        78,
        "cannot open the lock \"DIR/no/such/lock\": the folder \"DIR/no/such\" does not exist",
    ),
    (
        "touch file; lk run --lock file/lock -- true",
        78,
        "cannot open the lock \"DIR/file/lock\": a part of the path before the last is not a folder",
    ),
    (
        "lk run --lock $(printf 'a%.0s' $(seq 256)) -- true",
        78,
        "cannot open the lock \"DIR/aaaa",
    ),
    (
        "lk run --lock '' -- true",
        64,
        "\"--lock\" is empty: it needs a PATH",
    ),
    (
        "touch lock; chmod 600 lock; nobody ./lockkeeper run --lock lock -- true",
        78,
        "cannot open the lock \"DIR/lock\": permission denied for user 65534",
    ),
    (
        "mkdir -m 700 shut; touch shut/lock; nobody ./lockkeeper run --lock shut/lock -- true",
        78,
        "cannot open the lock \"DIR/shut/lock\": permission denied for user 65534",
    ),
    (
        "nobody ./lockkeeper run --lock lock -- true",
        78,
        "cannot open the lock \"DIR/lock\": it does not exist, and user 65534 may not create files",
    ),
    (
        "in_tmpfs size=64k,ro 'exec ./lockkeeper run --lock mnt/lock -- true'",
        78,
        "cannot open the lock \"DIR/mnt/lock\": it does not exist, and \"DIR/mnt\" is read-only",
    ),
    (
        "in_tmpfs size=64k,nr_inodes=1 'exec ./lockkeeper run --lock mnt/lock -- true'",
        78,
        "cannot open the lock \"DIR/mnt/lock\": it does not exist, and there is no room",
    ),
    (
        "mkdir gone; cd gone; rmdir ../gone; ../lockkeeper run --lock lock -- true",
        78,
        "finding the lock \"lock\": no such file or directory; name it by a path that begins with /",
    ),
];

/// Claims are information: what is wrong with them is said, and the command runs.
const CLAIMS: &[Case] = &[
    (
        "touch lock.d; run -- sh -c 'exit 3'",
        3,
        "job sh: claim \"DIR/lock.d\" not written",
    ),
    (
        "mkdir other; ln -s other lock.d; run -- sh -c 'exit 3'",
        3,
        "job sh: claim \"DIR/lock.d\" not written",
    ),
    (
        "touch lock; chmod 666 lock; nobody ./lockkeeper run --lock lock -- sh -c 'exit 3'",
        3,
        "job sh: claim \"DIR/lock.d\" not written",
    ),
    (
        "in_tmpfs size=64k 'head -c 65536 /dev/zero > mnt/full; exec ./lockkeeper run --lock mnt/lock -- sh -c \"exit 3\"'",
        3,
        "job sh: claim \"DIR/mnt/lock.d\" not written",
    ),
    (
        "in_tmpfs size=64k,nr_inodes=2 'exec ./lockkeeper run --lock mnt/lock -- sh -c \"exit 3\"'",
        3,
        "job sh: claim \"DIR/mnt/lock.d\" not written",
    ),
    // What LOCKKEEPER_RUN_ID names is no run of this lock: nothing passes as nested.
    ("LOCKKEEPER_RUN_ID= run --wait 0s -- true", 0, ""),
    ("LOCKKEEPER_RUN_ID=../../etc/passwd run -- true", 0, ""),
    ("LOCKKEEPER_RUN_ID=0123456789abcdef run -- true", 0, ""),
    (
        "LOCKKEEPER_RUN_ID=$(printf 'a%.0s' $(seq 9999)) run -- true",
        0,
        "",
    ),
    (
        "flock lock env LOCKKEEPER_RUN_ID=0123456789abcdef ./lockkeeper run --lock lock --wait 0s -- true",
        75,
        "job true: lock \"DIR/lock\" not obtained",
    ),
    (
        "touch held; run -- flock held ./lockkeeper run --lock held --wait 0s -- true",
        75,
        "job true: lock \"DIR/held\" not obtained",
    ),
    // A run whose guard and monitor were both killed leaves its claim: it names nobody.
    (
        "(run -- sh -c 'echo $LOCKKEEPER_RUN_ID > id; until ls lock.d/$LOCKKEEPER_RUN_ID*; do sleep 0.01; done; read _ _ _ guard _ < /proc/$PPID/stat; kill -9 $guard $PPID') > /dev/null 2>&1; \
         ls lock.d/$(cat id)* > /dev/null || exit; \
         flock lock env LOCKKEEPER_RUN_ID=$(cat id) ./lockkeeper run --lock lock --wait 0s -- true",
        75,
        "job true: lock \"DIR/lock\" not obtained",
    ),
];

const COMMANDS: &[Case] = &[
    (
        "run -- /no/such",
        127,
        "job such: failed to execute \"/no/such\": no such file",
    ),
    (
        "run -- nosuch",
        127,
        "job nosuch: failed to execute \"nosuch\": no such file",
    ),
    (
        "run -- ''",
        127,
        "job command: failed to execute \"\": no such file",
    ),
    (
        "mkdir x; run -- ./x",
        126,
        "job x: failed to execute \"./x\": permission denied",
    ),
    (
        "echo '#!/bin/sh' > x; run -- ./x",
        126,
        "job x: failed to execute \"./x\": permission denied",
    ),
    ("echo 'exit $#' > x; chmod 755 x; run -- ./x a b", 2, ""),
    (
        "echo '#!/no/such' > x; chmod 755 x; run -- ./x",
        127,
        "job x: failed to execute \"./x\": no such file",
    ),
    (
        "touch x; run -- ./x/y",
        127,
        "job y: failed to execute \"./x/y\": no such file",
    ),
    (
        "run --dir none -- true",
        78,
        "job true: failed to enter the folder \"none\" for \"true\": no such file",
    ),
    (
        "touch x; run --dir x -- true",
        78,
        "job true: failed to enter the folder \"x\" for \"true\": not a directory",
    ),
    (
        "mkdir -m 700 x; nobody ./lockkeeper run --dir x -- true",
        78,
        "job true: failed to enter the folder \"x\" for \"true\": permission denied",
    ),
    (
        "toml '[jobs.a]' 'class = \"interactive\"' 'command = [\"true\"]' 'user = \"nosuch\"'; lk run -c jobs.toml a",
        78,
        "job a: failed to become the user \"nosuch\" for \"true\": no such file",
    ),
    (
        "toml '[jobs.a]' 'class = \"interactive\"' 'command = [\"true\"]' 'group = \"nosuch\"'; lk run -c jobs.toml a",
        78,
        "job a: failed to become the user \"nosuch\" for \"true\": no such file",
    ),
    (
        "toml '[jobs.a]' 'class = \"interactive\"' 'command = [\"true\"]' 'user = \"65533\"'; nobody ./lockkeeper run -c jobs.toml a",
        78,
        "job a: failed to become the user \"65533\" for \"true\": operation not permitted",
    ),
    (
        "run -- sh -c 'exit $(($# % 256))' x $(seq 20000)",
        20000 % 256,
        "",
    ),
    (
        "HUGE=$(head -c 120000 /dev/zero | tr '\\0' x) run -- true",
        0,
        "",
    ),
    ("env -i ./lockkeeper run --lock lock -- true", 0, ""),
    (
        "mkdir gone; cd gone; rmdir ../gone; ../lockkeeper run --lock \"$HERE/lock\" -- true",
        0,
        "",
    ),
    (
        "mkdir gone; cd gone; rmdir ../gone; ../lockkeeper -- true",
        0,
        "",
    ),
];

/// `--idle-timeout` has the program read what the command writes.
const STREAMS: &[Case] = &[
    ("run -- sh -c 'exit 3' <&- >&- 2>&-", 3, ""),
    (
        "run --idle-timeout 1h -- sh -c 'exit 3' <&- >&- 2>&-",
        3,
        "",
    ),
    ("run --idle-timeout 1h -- sh -c 'echo a; exit 3' >&-", 3, ""),
    (
        "run --idle-timeout 1h -- sh -c 'echo a; exit 3' > /dev/full",
        3,
        "",
    ),
    (
        "run --idle-timeout 1h -- sh -c 'echo a; exit 3' 2> /dev/full",
        3,
        "",
    ),
    ("lk run --lock no/such -- true 2> /dev/full", 78, ""),
    ("lk run --lock no/such -- true 2>&-", 78, ""),
    (
        "{ run --idle-timeout 1h -- yes; echo $? > code; } | head -c 1; exit $(cat code)",
        141,
        "",
    ),
    ("lk --help | head -c 1; lk --help > /dev/full", 125, ""),
    (
        "run --report 99 -- true",
        64,
        "writing the report to descriptor 99: bad file number; open it for us",
    ),
    ("run --report 3 -- sh -c 'exit 3' 3> /dev/full", 3, ""),
    ("run --report 1 -- sh -c 'exit 3' > /dev/full", 3, ""),
    ("run --report x -- true", 64, "\"--report"),
];

/// How many processes the user may have. Only other users than root are counted.
const PROCESSES: &[Case] = &[
    (
        "touch lock; chmod 666 lock; nobody prlimit --nproc=1 ./lockkeeper run --lock lock -- true",
        125,
        "starting the monitor of job \"true\": no further process or thread is allowed; raise",
    ),
    (
        "chmod 777 .; setpriv --reuid $((100000 + $$)) --clear-groups prlimit --nproc=2 ./lockkeeper run --lock lock -- true",
        125,
        "job true: failed to fork for \"true\": no further process or thread is allowed; raise",
    ),
];

#[test]
fn a_bad_configuration_is_refused_with_the_way_out() {
    need!("root", "setpriv");
    all(CONFIGURATIONS);
}

#[test]
fn a_path_that_cannot_be_a_lock_is_refused_with_the_way_out() {
    need!("root", "setpriv");
    all(LOCKS);
}

#[test]
fn claims_that_cannot_be_written_or_believed_change_nothing_for_the_run() {
    need!("root", "setpriv");
    all(CLAIMS);
}

#[test]
fn a_command_that_cannot_be_run_is_told_as_a_shell_tells_it() {
    need!("root", "setpriv");
    all(COMMANDS);
}

#[test]
fn streams_that_are_closed_or_full_are_the_callers_loss_and_nobody_elses() {
    need!("root");
    all(STREAMS);
}

#[test]
fn a_user_without_processes_left_is_told_so() {
    need!("root", "setpriv", "prlimit");
    all(PROCESSES);
}

#[track_caller]
fn all(cases: &[Case]) {
    for (input, code, words) in cases {
        let place = Place::new();
        // A socket cannot be made by a line of shell.
        let socket = std::os::unix::net::UnixListener::bind(place.dir.join("socket"));
        let (got, said) = place.sh(input);
        drop(socket);
        let words = words.replace("DIR", &place.dir.display().to_string());
        assert_eq!(got, Some(*code), "{input}\n{said}");
        match said.strip_prefix("lockkeeper: ") {
            None => assert_eq!((&*said, &*words), ("", ""), "{input}"),
            Some(told) => {
                assert!(
                    told.starts_with(&words) && !words.is_empty(),
                    "{input}\n{said}"
                );
                assert!(says_what_to_do(&said), "{input}\n{said}");
            }
        }
        place.assert_clean(input);
    }
}

/// Whether the first line, or the help below it, goes on after what is wrong.
fn says_what_to_do(said: &str) -> bool {
    let first = said.lines().next().unwrap_or_default();
    let way_out = [
        "; ",
        "\n  = ",
        "there are ",
        "it needs ",
        ", held by ",
        " not obtained ",
        ": write ",
    ];
    !first.ends_with('.') && way_out.iter().any(|words| said.contains(words))
}

/// A folder with a copy of the program, by which its processes are found.
struct Place {
    dir: Dir,
    program: (u64, u64),
}

impl Place {
    fn new() -> Self {
        let dir = Dir::new();
        let copy = dir.join("lockkeeper");
        // A link costs nothing; where the folder is on another file system, a copy.
        if fs::hard_link(bin::lockkeeper(), &copy).is_err() {
            fs::copy(bin::lockkeeper(), &copy).expect("room for the program");
        }
        fs::set_permissions(&*dir, fs::Permissions::from_mode(0o755)).expect("it is ours");
        let program = identity(&copy).expect("it is there");
        Self { dir, program }
    }

    /// Runs a line of shell; its exit code, and what it said on standard error.
    fn sh(&self, line: &str) -> (Option<i32>, String) {
        let mut command = Command::new("timeout");
        let script = format!("{WORDS}\n{line}");
        bare(&mut command)
            .args(["--kill-after=1", "60", "sh", "-c", &script])
            .env("HERE", &*self.dir)
            .current_dir(&*self.dir);
        let output = child::output(&mut command);
        let said = text(&output.stderr);
        assert!(!said.contains("panicked"), "{line}\n{said}");
        (output.status.code(), said)
    }

    #[track_caller]
    fn assert_clean(&self, input: &str) {
        let own = Some(self.program);
        let runs_it = |pid: &String| identity(format!("/proc/{pid}/exe").as_ref()) == own;
        // The very file may be run by another test where it could be linked: by its folder then.
        let here = |pid: &String| {
            fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe.starts_with(&*self.dir))
        };
        let living: Vec<String> = fs::read_dir("/proc")
            .expect("/proc")
            .flatten()
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|pid| runs_it(pid) && here(pid))
            .collect();
        assert_eq!(living, Vec::<String>::new(), "left behind by: {input}");
        let lock = self.dir.join("lock");
        if fs::symlink_metadata(&lock).is_ok_and(|meta| meta.is_file()) {
            let file = File::open(&lock).expect("root may");
            assert!(file.try_lock_exclusive().is_ok(), "still held by: {input}");
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).map(|file| (file.dev(), file.ino())).ok()
}

#[test]
fn out_of_descriptors_is_a_clear_error_at_every_number_of_them() {
    need!("prlimit");
    let place = Place::new();
    for start in [
        "./lockkeeper run --lock lock --idle-timeout 1h",
        "./lockkeeper",
    ] {
        let mut worked = false;
        // Below, the program's own libraries cannot be opened.
        for limit in 4..40 {
            let line = format!("prlimit --nofile={limit} -- {start} -- sh -c 'exit 3'");
            let (code, said) = place.sh(&line);
            match code {
                Some(3) => worked = true,
                // Less is enough for the program than for the shell that it runs, or for itself.
                Some(125 | 78) => assert!(!worked && said.contains("ulimit -n"), "{line}\n{said}"),
                other => panic!("{line}: {other:?}\n{said}"),
            }
            place.assert_clean(&line);
        }
        assert!(worked, "{start} works with 40");
    }
}

#[test]
fn a_lock_that_cannot_be_watched_is_said_and_the_run_goes_on() {
    need!("userns");
    let place = Place::new();
    let mut command = Command::new("unshare");
    let line = "echo 0 > /proc/sys/user/max_inotify_instances; \
        exec ./lockkeeper run --lock lock -- cat 2>&1";
    bare(&mut command)
        .args(["--user", "--map-root-user", "sh", "-ec", line])
        .current_dir(&*place.dir);
    let mut run = child::start(&mut command);
    // Said when the lock has been held for a while, and the command goes on.
    let said = run.line().expect("it is said");
    assert!(said.starts_with("lockkeeper: job cat: "), "{said}");
    assert!(said.contains("/lock\""), "{said}");
    run.say("the command lives");
    assert_eq!(run.line().as_deref(), Some("the command lives"));
    assert!(run.wait().success());
    place.assert_clean(line);
}

#[test]
fn a_living_run_of_another_lock_does_not_pass_as_the_holder_of_this_one() {
    let place = Place::new();
    let line = "run -- sh -c 'exec flock other ./lockkeeper run --lock other --wait 0s -- true'";
    let (code, said) = place.sh(line);
    assert_eq!(code, Some(75), "{said}");
    // Of its own lock it does: the run inside does not wait for the one outside.
    let line = "run -- ./lockkeeper run --lock lock --wait 0s -- sh -c 'exit 3'";
    let (code, said) = place.sh(line);
    assert_eq!(code, Some(3), "{said}");
    place.assert_clean(line);
}

#[test]
fn pid_1_that_cannot_start_a_guard_says_so_lives_and_tries_again() {
    need!("root", "prlimit");
    let place = Place::new();
    let config = place.dir.join("jobs.toml");
    let jobs = r#"
        [jobs.long]
        class = "interactive"
        stdin = "null"
        command = ["sh", "-c", "trap 'echo long ends; exit 0' TERM; echo long begins; while :; do sleep 1000 & wait; done"]
        [jobs.often]
        class = "interactive"
        stdin = "null"
        every = "1s"
        command = ["echo", "often ran"]
    "#;
    fs::write(&config, jobs).expect("room for a file");
    let mut init = Ns::root().shell("exec 2>&1").start(
        bin::lockkeeper(),
        &["-v", "-c", &config.display().to_string()],
    );
    let mut seen = Vec::new();
    let mut until_said = |init: &mut crate::support::ns::Inside, words: &[&str]| {
        let mut missing: Vec<&str> = words.to_vec();
        while !missing.is_empty() {
            let line = init
                .process
                .line()
                .unwrap_or_else(|| panic!("ended: {seen:#?}"));
            missing.retain(|words| !line.contains(words));
            seen.push(line);
        }
    };
    until_said(&mut init, &["long begins", "often ran"]);
    let pid1 = init.pid1();
    let limit = |number: usize| {
        let pid = pid1.to_string();
        let mut command = Command::new("prlimit");
        child::read(command.args(["--pid", &pid, &format!("--nofile={number}:1024")]));
    };
    let open = || fs::read_dir(format!("/proc/{pid1}/fd")).map_or(0, Iterator::count);
    // A guard that is being started or ends has descriptors of its own there.
    until("only the long job runs", || open() <= 8);
    limit(open());
    until_said(
        &mut init,
        &["job often: no run started, tried again at the next tick"],
    );
    limit(1024);
    until_said(&mut init, &["often ran"]);
    child::signal(pid1, SIGTERM);
    until_said(&mut init, &["long ends"]);
    while init.process.line().is_some() {}
    assert_eq!(init.process.wait().code(), Some(0));
}
