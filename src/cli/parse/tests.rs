use std::os::unix::ffi::OsStringExt as _;

use super::super::typed::time;
use super::*;

fn words(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(Into::into).collect()
}

fn check_ok(line: &str, expected: Command) {
    assert_eq!(parse(words(line)), Ok(expected), "lockkeeper {line}");
}

fn run_of(command: &str) -> RunArgs {
    RunArgs {
        command: words(command),
        ..RunArgs::default()
    }
}

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn init_is_meant_where_no_verb_is_named() {
    let init = InitArgs::default();
    check_ok("", Command::Init(init.clone()));
    check_ok("init", Command::Init(init.clone()));
    let with_command = InitArgs {
        command: words("claude -p --help"),
        ..init.clone()
    };
    check_ok("-- claude -p --help", Command::Init(with_command.clone()));
    check_ok("init -- claude -p --help", Command::Init(with_command));
    let full = InitArgs {
        config: Some("/f".into()),
        class: Some("chat".into()),
        socket: Some("/s".into()),
        command: words("claude -- x"),
        verbosity: Verbosity::Debug,
        report: Some(3),
    };
    for line in [
        "-c /f --class chat --socket /s -vv --report 3 -- claude -- x",
        "init --config=/f --class=chat --socket=/s -v -v --report=3 -- claude -- x",
        "-c/f -v init --class chat --socket /s --verbose --report 3 -- claude -- x",
    ] {
        check_ok(line, Command::Init(full.clone()));
    }
}

#[test]
fn a_timeline_is_of_all_or_of_a_job_a_lock_a_time() {
    let all = TimelineArgs::default();
    check_ok("timeline", Command::Timeline(all.clone()));
    let some = TimelineArgs {
        job: Some("agents-1/dev".into()),
        lock: Some("/l".into()),
        since: Some("2h".into()),
        until: Some("-5m".into()),
        svg: Some("-".into()),
        options: words("--merge"),
        ..all.clone()
    };
    let line = "timeline agents-1/dev --lock /l --since 2h --until=-5m --svg=- -- --merge";
    check_ok(line, Command::Timeline(some));
    let log = TimelineArgs {
        from: Some("-".into()),
        json: true,
        ..all
    };
    check_ok("timeline --from=- --json", Command::Timeline(log));
}

#[test]
fn the_running_init_is_asked_about_a_job_or_about_all() {
    let ask = |verb, job: Option<&str>| AskArgs {
        verb,
        job: job.map(str::to_owned),
        socket: None,
        no_wait: false,
        dry_run: false,
        verbosity: Verbosity::Normal,
        report: None,
    };
    for (line, args) in [
        ("start dev", ask(Verb::Start, Some("dev"))),
        ("restart dev", ask(Verb::Restart, Some("dev"))),
        ("health", ask(Verb::Health, None)),
        ("health dev", ask(Verb::Health, Some("dev"))),
        (
            "stop --no-wait dev --socket /s",
            AskArgs {
                no_wait: true,
                socket: Some("/s".into()),
                ..ask(Verb::Stop, Some("dev"))
            },
        ),
        (
            "reload --dry-run -q",
            AskArgs {
                dry_run: true,
                verbosity: Verbosity::Quiet,
                ..ask(Verb::Reload, None)
            },
        ),
    ] {
        check_ok(line, Command::Ask(args));
    }
}

#[test]
fn status_takes_locks_and_a_form() {
    let plain = StatusArgs::default();
    for (line, args) in [
        ("status", plain.clone()),
        (
            "status --json --report 3",
            StatusArgs {
                form: Form::Json,
                report: Some(3),
                ..plain.clone()
            },
        ),
        (
            "status /a -c f --watch b -- -c",
            StatusArgs {
                locks: vec!["/a".into(), "b".into(), "-c".into()],
                config: Some("f".into()),
                watch: true,
                ..plain.clone()
            },
        ),
        (
            "status --metrics --socket /s -q",
            StatusArgs {
                form: Form::Metrics,
                socket: Some("/s".into()),
                verbosity: Verbosity::Quiet,
                ..plain
            },
        ),
    ] {
        check_ok(line, Command::Status(args));
    }
}

#[test]
fn run_takes_a_job_of_the_file() {
    let job = RunArgs {
        job: Some("dev".into()),
        ..RunArgs::default()
    };
    check_ok("run dev", Command::Run(job.clone()));
    let with_flags = RunArgs {
        config: Some("/f".into()),
        verbosity: Verbosity::Quiet,
        ..job
    };
    check_ok("run -c /f dev -q", Command::Run(with_flags.clone()));
    check_ok("-q run dev -c /f", Command::Run(with_flags));
}

#[test]
fn run_takes_a_command_with_its_limits() {
    check_ok("run -- true", Command::Run(run_of("true")));
    let full = RunArgs {
        lock: Some("L".into()),
        wait: Some(Wait::AtMost(secs(600))),
        timeout: Some(secs(7200)),
        idle_timeout: Some(secs(90)),
        grace: Some(Duration::from_millis(1500)),
        dir: Some("/d".into()),
        ..run_of("cmd -x")
    };
    let line = "run --lock L --wait 10m --timeout 2h --idle-timeout 90 --grace 1.5 --dir /d";
    check_ok(&format!("{line} -- cmd -x"), Command::Run(full.clone()));
    check_ok(&format!("{line} cmd -x"), Command::Run(full));
    let of_class = RunArgs {
        class: Some("batch".into()),
        config: Some("/f".into()),
        wait: Some(Wait::Forever),
        ..run_of("cmd")
    };
    check_ok(
        "run -c /f --class batch --wait forever -- cmd",
        Command::Run(of_class),
    );
}

#[test]
fn behind_a_flag_of_a_command_options_end_at_the_first_word() {
    let locked = RunArgs {
        lock: Some("L".into()),
        ..run_of("cmd --lock M -v -- --help")
    };
    check_ok(
        "run --lock L cmd --lock M -v -- --help",
        Command::Run(locked),
    );
    let directories = RunArgs {
        dir_locks: vec!["D".into(), "/E".into()],
        wait: Some(Wait::AtMost(secs(5))),
        ..run_of("cmd")
    };
    check_ok(
        "run --dir-lock D --wait 5 --dir-lock=/E cmd",
        Command::Run(directories),
    );
    let limited = RunArgs {
        timeout: Some(secs(5)),
        ..run_of("run dev")
    };
    check_ok("run --timeout 5s run dev", Command::Run(limited));
}

#[test]
fn the_arguments_of_a_command_keep_their_bytes() {
    let bytes = OsString::from_vec(vec![b'a', 0xff, b'=', 0xfe]);
    let path = OsString::from_vec(vec![b'/', 0xff]);
    let mut args = words("run --lock");
    args.extend([path.clone(), "--".into(), bytes.clone(), bytes.clone()]);
    let Ok(Command::Run(run)) = parse(args) else {
        panic!("not understood");
    };
    assert_eq!(run.command, [bytes.clone(), bytes]);
    assert_eq!(run.lock, Some(path.into()));
}

#[test]
fn check_help_and_version() {
    let args = CheckArgs {
        config: Some("/f".into()),
        shows: Shows::Json,
        ..CheckArgs::default()
    };
    check_ok("check --json -c /f", Command::Check(args));
    let args = CheckArgs {
        shows: Shows::Names,
        ..CheckArgs::default()
    };
    check_ok("check --names", Command::Check(args));
    check_ok("--help", Command::Help(None));
    check_ok("run -h", Command::Help(Some(Verb::Run)));
    check_ok("run --lock L --help", Command::Help(Some(Verb::Run)));
    check_ok("-V", Command::Version);
    check_ok("check --version", Command::Version);
}

#[test]
fn a_time_is_seconds_or_carries_its_units() {
    for (text, expected) in [
        ("90", Some(secs(90))),
        ("0", Some(secs(0))),
        ("0.25", Some(Duration::from_millis(250))),
        ("90s", Some(secs(90))),
        ("10m", Some(secs(600))),
        ("1h 30m", Some(secs(5400))),
        ("1h30m", Some(secs(5400))),
        ("", None),
        ("-1", None),
        ("nan", None),
        ("inf", None),
        ("1e300", None),
        ("99999999999999999999h", None),
        ("soon", None),
    ] {
        assert_eq!(time(text), expected, "{text}");
    }
}

/// What cannot be understood, and what the error says.
const REFUSED: &[(&str, &str)] = &[
    (
        "status --json --metrics",
        r#""--json" and "--metrics" exclude each other"#,
    ),
    (
        "status --names --json",
        r#""--names" goes neither with a lock nor with another form or "--watch""#,
    ),
    (
        "status --names L",
        r#""--names" goes neither with a lock nor with another form or "--watch""#,
    ),
    (
        "status --watch --metrics",
        r#""--metrics" does not go with "--watch": whoever scrapes it asks again"#,
    ),
    (
        "true",
        r#"unknown verb "true"; to run it as a command: `lockkeeper -- true`"#,
    ),
    (
        "claude -p x",
        r#"unknown verb "claude"; to run it as a command: `lockkeeper -- claude -p x`"#,
    ),
    ("rnu --lock L", r#"unknown verb "rnu": did you mean "run"?"#),
    ("help", r#"unknown verb "help": did you mean "--help"?"#),
    (
        "check --json --names",
        r#""--json", "--names" and "--toml" exclude each other"#,
    ),
    (
        "timeline --json --svg F",
        r#""--json" and "--svg" exclude each other"#,
    ),
    (
        "timeline --from F -- -D /x",
        r#"what stands behind "--" is journalctl's, and "--from" asks no journal"#,
    ),
    (
        "timeline a b",
        r#"unexpected argument "b" behind job "a": journalctl's own stand behind "--""#,
    ),
    (
        "timeline --report 3",
        r#""--report" does not go with "timeline", which runs nothing"#,
    ),
    (
        "timeline -c F",
        r#""--config" does not go with "timeline": see "lockkeeper --help""#,
    ),
    ("start", r#""start" needs a job: lockkeeper start JOB"#),
    (
        "stop --no-wait",
        r#""stop" needs a job: lockkeeper stop JOB"#,
    ),
    (
        "stop a b",
        r#"unexpected argument "b" behind job "a": "stop" takes one job"#,
    ),
    (
        "start a --no-wait",
        r#""--no-wait" does not go with "start": see "lockkeeper stop --help""#,
    ),
    (
        "reload dev",
        r#"unexpected argument "dev": see "lockkeeper reload --help""#,
    ),
    (
        "check dev",
        r#"unexpected argument "dev": see "lockkeeper check --help""#,
    ),
    ("health a -- x", r#""health" takes no command"#),
    (
        "start --socket= a",
        r#""--socket" is empty: it needs a PATH"#,
    ),
    ("--", r#"no command behind "--""#),
    ("run --lock L --", r#"no command behind "--""#),
    (
        "run",
        "nothing to run: lockkeeper run JOB, or lockkeeper run [--lock PATH] -- COMMAND...",
    ),
    (
        "run --lock L",
        "nothing to run: lockkeeper run JOB, or lockkeeper run [--lock PATH] -- COMMAND...",
    ),
    (
        "run --lokc L -- x",
        r#"unknown option "--lokc": did you mean "--lock"?"#,
    ),
    (
        "run --frobnicate",
        r#"unknown option "--frobnicate": see "lockkeeper run --help""#,
    ),
    ("-x", r#"unknown option "-x": see "lockkeeper --help""#),
    (
        "run claude -p x",
        r#"unknown option "-p" behind job "claude"; if "claude" is a command: `lockkeeper run -- claude -p x`"#,
    ),
    (
        "run ls /",
        r#"unexpected argument "/" behind job "ls"; if "ls" is a command: `lockkeeper run -- ls /`"#,
    ),
    (
        "run dev --timeout 5s",
        r#""--timeout" goes with a command, and "dev" is taken for a job of the file; if "dev" is a command: `lockkeeper run --timeout 5s -- dev`"#,
    ),
    (
        "run -q -c F claude --lock L --wait=5 -p x --lock M",
        r#"unknown option "-p" behind job "claude"; if "claude" is a command: `lockkeeper run --quiet --lock L '--wait=5' -- claude -p x --lock M`"#,
    ),
    (
        "run claude -c -p x",
        r#""--config" needs a FILE, but "-p" follows; a FILE that begins with - is written --config=FILE; if "claude" is a command: `lockkeeper run -- claude -c -p x`"#,
    ),
    (
        "run claude --json",
        r#""--json" does not go with "run": see "lockkeeper --help"; if "claude" is a command: `lockkeeper run -- claude --json`"#,
    ),
    (
        "run claude -p -- x",
        r#"unknown option "-p" behind job "claude"; if "claude" is a command: `lockkeeper run -- claude -p -- x`"#,
    ),
    (
        "run dev -- x",
        r#"job "dev" and a command behind "--": run either the one or the other; if "dev" is a command: `lockkeeper run -- dev x`"#,
    ),
    (
        "init true",
        r#"unexpected argument "true"; to run it as a command: `lockkeeper -- true`"#,
    ),
    (
        "--class batch init true -- x",
        r#"unexpected argument "true"; to run it as a command: `lockkeeper --class batch -- true x`"#,
    ),
    (
        "-c F --lock L true x",
        r#"unknown verb "true"; to run it as a command: `lockkeeper run --lock L -- true x`"#,
    ),
    (
        "-c F dev",
        r#"unknown verb "dev"; to run it as a command: `lockkeeper --config F -- dev`; to run the job of that name: `lockkeeper run -c F dev`"#,
    ),
    (
        "jobs.toml",
        r#"unexpected argument "jobs.toml"; the file is named with -c: `lockkeeper -c jobs.toml`"#,
    ),
    (
        "init jobs.toml",
        r#"unexpected argument "jobs.toml"; the file is named with -c: `lockkeeper -c jobs.toml`"#,
    ),
    (
        "check jobs.toml",
        r#"unexpected argument "jobs.toml"; the file is named with -c: `lockkeeper check -c jobs.toml`"#,
    ),
    (
        "help run",
        r#"unknown verb "help": did you mean `lockkeeper run --help`?"#,
    ),
    ("help", r#"unknown verb "help": did you mean "--help"?"#),
    (
        "--check",
        r#"unknown option "--check": did you mean "check"?"#,
    ),
    ("RUN dev", r#"unknown verb "RUN": did you mean "run"?"#),
    (
        "check f",
        r#"unexpected argument "f": see "lockkeeper check --help""#,
    ),
    ("check -- x", r#""check" takes no command"#),
    (
        "--lock L -- x",
        r#""--lock" goes with "run": `lockkeeper run --lock L -- x`"#,
    ),
    (
        "-c F --wait 5 --report 3 -- x",
        r#""--wait" goes with "run": `lockkeeper run --wait 5 --report 3 -- x`"#,
    ),
    (
        "check --lock L",
        r#""--lock" does not go with "check", but with run and timeline"#,
    ),
    (
        "run --json -- x",
        r#""--json" does not go with "run": see "lockkeeper --help""#,
    ),
    (
        "--class c",
        r#""--class" without a command: the file gives each job its class; to run a command: lockkeeper --class CLASS -- COMMAND..."#,
    ),
    ("run --lock L --lock M -- x", r#""--lock" is given twice"#),
    (
        "run --lock L --class c -- x",
        r#""--lock" and "--class" exclude each other: the class says which lock its runs take"#,
    ),
    (
        "run --wait 5 -- x",
        r#""--wait" without a lock to wait for: add --lock PATH, --dir-lock DIR or --class CLASS"#,
    ),
    (
        "run --dir-lock= -- x",
        r#""--dir-lock" is empty: it needs a DIR"#,
    ),
    (
        "run --lock --wait 5 -- x",
        r#""--lock" needs a PATH, but "--wait" follows; a PATH that begins with - is written --lock=PATH"#,
    ),
    ("run --lock", r#""--lock" needs a PATH"#),
    ("run --lock= -- x", r#""--lock" is empty: it needs a PATH"#),
    (
        "run --timeout soon -- x",
        r#""--timeout" "soon" is no time: write 90, 90s, 10m or 2h"#,
    ),
    (
        "run --timeout 0 -- x",
        r#""--timeout" is zero: for no limit, leave --timeout out"#,
    ),
    (
        "run --idle-timeout 0s -- x",
        r#""--idle-timeout" is zero: for no limit, leave --idle-timeout out"#,
    ),
    (
        "run --report x -- x",
        r#""--report" "x" is no descriptor: write its number, as in --report 3"#,
    ),
    (
        "run --report=-1 -- x",
        r#""--report" "-1" is no descriptor: write its number, as in --report 3"#,
    ),
    ("check --json=1", r#""--json" takes no value, but has "1""#),
    ("check -v=3", r#""-v" takes no value, but has "3""#),
    ("-qv", r#""--quiet" and "--verbose" exclude each other"#),
];

fn lock_of(verb: Verb, paths: &[&str]) -> LockArgs {
    LockArgs {
        verb,
        paths: paths.iter().map(PathBuf::from).collect(),
        json: false,
        skip: Vec::new(),
        no_skip: false,
        agentctl: None,
        dry_run: false,
        by: None,
        reason: None,
        force: false,
        verbosity: Verbosity::Normal,
        report: None,
    }
}

#[test]
fn lock_takes_a_verb_of_its_own_and_paths_before_and_behind_flags() {
    check_ok("lock list", Command::Lock(lock_of(Verb::LockList, &[])));
    let list = LockArgs {
        json: true,
        skip: words("a b"),
        no_skip: true,
        agentctl: Some("/l".into()),
        ..lock_of(Verb::LockList, &["x", "y", "-z"])
    };
    check_ok(
        "lock list x --skip a --json y --skip b --no-skip --agentctl /l -- -z",
        Command::Lock(list),
    );
    let clean = LockArgs {
        dry_run: true,
        verbosity: Verbosity::Quiet,
        ..lock_of(Verb::LockClean, &["x"])
    };
    check_ok("-q lock clean --dry-run x", Command::Lock(clean));
    let hold = LockArgs {
        by: Some("me".into()),
        reason: Some("why".into()),
        ..lock_of(Verb::LockHold, &["x"])
    };
    check_ok("lock hold x --by me --reason why", Command::Lock(hold));
    let release = LockArgs {
        force: true,
        ..lock_of(Verb::LockRelease, &["x"])
    };
    check_ok("lock release --force x", Command::Lock(release));
    check_ok("lock list --help", Command::Help(Some(Verb::LockList)));
    check_ok("lock --help", Command::Help(Some(Verb::Lock)));
}

#[test]
fn logs_takes_a_job_and_leaves_what_stands_behind_the_dashes_to_journalctl() {
    check_ok("logs", Command::Logs(LogsArgs::default()));
    let full = LogsArgs {
        job: Some("dev".into()),
        config: Some("/f".into()),
        follow: true,
        since: Some("-600s".into()),
        options: words("-o json --since x"),
    };
    for line in [
        "logs dev -c /f -f --since 10m -- -o json --since x",
        "logs --follow --since=600 --config=/f dev -- -o json --since x",
    ] {
        check_ok(line, Command::Logs(full.clone()));
    }
    let journalctls = LogsArgs {
        since: Some("yesterday".into()),
        ..LogsArgs::default()
    };
    check_ok("logs --since yesterday", Command::Logs(journalctls));
    for (line, expected) in [
        (
            "logs dev chat",
            "unexpected argument \"chat\" behind job \"dev\": journalctl's own stand behind \"--\"",
        ),
        (
            "logs -o json",
            "unknown option \"-o\": journalctl's own stand behind \"--\"",
        ),
        (
            "logs --json",
            "\"--json\" does not go with \"logs\": see \"lockkeeper --help\"",
        ),
        (
            "logs --report 3",
            "\"--report\" does not go with \"logs\", which ends as journalctl does",
        ),
    ] {
        let error = parse(words(line)).unwrap_err();
        assert_eq!(error.to_string(), expected, "lockkeeper {line}");
    }
}

#[test]
fn pause_shows_sets_and_ends() {
    let args = PauseArgs {
        verb: Verb::Pause,
        locks: Vec::new(),
        config: None,
        length: None,
        by: None,
        reason: None,
        json: false,
        verbosity: Verbosity::Normal,
        report: None,
    };
    check_ok("pause", Command::Pause(args.clone()));
    let shows = PauseArgs {
        locks: vec!["/l".into(), "end".into()],
        json: true,
        ..args.clone()
    };
    check_ok("pause /l end --json", Command::Pause(shows));
    let sets = PauseArgs {
        config: Some("/f".into()),
        length: Some(Duration::from_hours(1)),
        by: Some("ada".into()),
        reason: Some("x".into()),
        ..args.clone()
    };
    check_ok(
        "pause --for 1h -c /f --by ada --reason x",
        Command::Pause(sets),
    );
    let ends = PauseArgs {
        verb: Verb::PauseEnd,
        locks: vec!["/l".into()],
        ..args
    };
    check_ok("pause end /l", Command::Pause(ends));
    for (line, expected) in [
        (
            "pause --reason x",
            "\"pause\" sets one only with a time: add --for 1h",
        ),
        (
            "pause --for 0",
            "\"--for\" is zero: to end a pause, lockkeeper pause end",
        ),
        (
            "pause --for 25h",
            "\"--for\" is longer than 24h: no pause lasts longer, set it again then",
        ),
        (
            "pause end --for 1h",
            "\"--for\" does not go with \"pause end\": see \"lockkeeper pause --help\"",
        ),
    ] {
        let error = parse(words(line)).unwrap_err();
        assert_eq!(error.to_string(), expected, "lockkeeper {line}");
    }
}

#[test]
fn a_lock_verb_that_cannot_be_understood_is_refused_with_what_to_type_instead() {
    for (line, expected) in [
        (
            "lock",
            "\"lock\" needs one of list, show, clean, hold and release: \
             see \"lockkeeper lock --help\"",
        ),
        (
            "lock lsit",
            "unknown verb \"lsit\" behind \"lock\": did you mean \"list\"?",
        ),
        (
            "lock steal",
            "unknown verb \"steal\" behind \"lock\": there are list, show, clean, hold and release; \
             see \"lockkeeper lock --help\"",
        ),
        (
            "lock show",
            "\"lock show\" needs a PATH: lockkeeper lock show PATH [--json]",
        ),
        (
            "lock release a b",
            "unexpected argument \"b\" behind \"lock release\": it takes one DIR",
        ),
        (
            "lock hold x --by me",
            "\"lock hold\" needs a --reason: whoever finds the directory held reads it",
        ),
        (
            "lock list --skip a/b",
            "\"--skip\" \"a/b\" is no name of a folder: write it without a slash",
        ),
        (
            "lock list --dry-run",
            "\"--dry-run\" does not go with \"lock list\", but with lock clean and reload",
        ),
        (
            "lock list --jsno",
            "unknown option \"--jsno\": did you mean \"--json\"?",
        ),
    ] {
        let error = parse(words(line)).unwrap_err();
        assert_eq!(error.to_string(), expected, "lockkeeper {line}");
    }
}

#[test]
fn what_cannot_be_understood_is_refused_with_what_to_type_instead() {
    for (line, expected) in REFUSED {
        let error = parse(words(line)).expect_err(line);
        assert_eq!(error.to_string(), *expected, "lockkeeper {line}");
    }
}

#[test]
fn a_name_that_is_no_text_is_refused() {
    let bytes = OsString::from_vec(vec![b'a', 0xff]);
    let error = parse(["run".into(), bytes.clone()]).unwrap_err();
    assert_eq!(error.to_string(), "a job's name \"a\u{fffd}\" is not UTF-8");
    let error = parse(["--class".into(), bytes, "--".into(), "x".into()]).unwrap_err();
    assert_eq!(error.to_string(), "\"--class\" \"a\u{fffd}\" is not UTF-8");
}
