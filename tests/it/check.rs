//! `lockkeeper check`: what it finds, on real mounts, real locks and a real journal.

mod helper;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use nix::sys::signal::Signal;

use super::support::bin::{lockkeeper, puppet};
use super::support::child::{self, bare, halt, output, signal, text};
use super::support::dir::Dir;
use super::support::journald::Journald;
use super::support::need::need;
use super::support::ns::{Ns, children};
use super::support::podman::{Podman, Run};
use super::support::wait::{until, until_some};

/// Two classes on one login, of which `identity` is the folder.
fn config(dir: &Dir, toml: &str) -> String {
    let file = dir.join("lockkeeper.toml");
    fs::write(&file, toml).unwrap();
    file.display().to_string()
}

/// One batch job with its login in `folder`. The machine that tests may itself be a container.
fn batch(folder: &Path) -> String {
    format!(
        "[classes.batch]\nidentity = \"{}\"\nshared_mount = \"off\"\n\
         [jobs.dev]\nclass = \"batch\"\ncommand = [\"true\"]\n",
        folder.display()
    )
}

fn check(args: &[&str]) -> Output {
    output(
        bare(&mut Command::new(lockkeeper()))
            .arg("check")
            .args(args),
    )
}

/// The text, and the exit code, of a file.
fn told(file: &str) -> (String, Option<i32>) {
    let output = check(&["-c", file]);
    assert_eq!(text(&output.stderr), "");
    (unwrapped(&output), output.status.code())
}

/// The text with each fact on one line.
fn unwrapped(output: &Output) -> String {
    text(&output.stdout).replace("\n    ", " ")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// The texts of all facts with this level and subject matter.
fn facts(report: &Value, level: &str, about: &str) -> Vec<String> {
    let checks = report["checks"].as_array().unwrap();
    let wanted = |fact: &&Value| fact["level"] == level && fact["about"] == about;
    let text = |fact: &Value| fact["text"].as_str().unwrap().to_owned();
    checks.iter().filter(wanted).map(text).collect()
}

#[test]
fn a_file_without_faults_is_told_fact_by_fact_and_exits_0() {
    let dir = Dir::new();
    let login = dir.join("login");
    fs::create_dir(&login).unwrap();
    let file = config(&dir, &batch(&login));
    let (text, code) = told(&file);
    assert_eq!(code, Some(0), "{text}");
    for fact in [
        "can be read: jobs dev (batch)",
        "the login ",
        "session.lock\" does not exist yet: the first run makes it",
        "is removed after 6s without a sign of life: \"",
        "login/.oauth_refresh.lock\", \"",
        "ok: the commands, folders and users of 1 job are here",
        "ok: stop_within = \"9s\" is below the 10s",
    ] {
        assert!(text.contains(fact), "no {fact:?} in {text}");
    }
    assert!(!text.contains("error: "), "{text}");
}

#[test]
fn checking_creates_no_lock_and_leaves_nothing_behind() {
    let dir = Dir::new();
    let login = dir.join("login");
    fs::create_dir(&login).unwrap();
    let file = config(&dir, &batch(&login));
    let (text, code) = told(&file);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(fs::read_dir(&login).unwrap().count(), 0);
}

#[test]
fn every_error_of_a_file_is_told_with_its_place_and_exits_78() {
    let dir = Dir::new();
    let toml = "[jobs.dev]\nclas = \"batch\"\ncommand = [\"true\"]\n[classes.x]\nkind = \"cron\"\n";
    let file = config(&dir, toml);
    let (text, code) = told(&file);
    assert_eq!(code, Some(78), "{text}");
    for place in [":2:1: ", ":5:8: "] {
        assert!(text.contains(&format!("error: {file}{place}")), "{text}");
    }
    assert!(text.contains("^^^^"), "{text}");
    let report = json(&check(&["--json", "-c", &file]));
    let lines: Vec<_> = report["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|fact| fact["line"].as_u64().unwrap())
        .collect();
    assert!(lines.contains(&2) && lines.contains(&5), "{report}");
    assert_eq!(report["errors"], lines.len());
}

#[test]
fn a_secret_beside_an_error_is_not_shown() {
    let dir = Dir::new();
    let file = config(
        &dir,
        "[jobs.a]\nclass = \"interactive\"\ncommand = [\"true\"]\n\
         env = { GH_TOKEN = \"hunter22\", \"B=D\" = \"x\" }\n",
    );
    let (told, code) = told(&file);
    assert_eq!(code, Some(78));
    assert!(told.contains("GH_TOKEN = \"***\""), "{told}");
    assert!(!told.contains("hunter22"), "{told}");
    assert_eq!(told.matches("= a name has").count(), 1, "{told}");
}

#[test]
fn the_names_alone_are_those_that_a_command_line_can_have_whatever_else_is_wrong_with_the_file() {
    let dir = Dir::new();
    let toml = "jobs.late.class = \"mine\"\n[classes.mine]\nkind = 7\n[classes.batch]\nwait = \"1m\"\n\
                [classes.\"jobs.dev\"]\n[jobs.dev]\nnonsense\n[jobs.\"two words\"]\n[locks.other]\n";
    let file = config(&dir, toml);
    let told = check(&["-c", &file, "--names"]);
    assert_eq!(text(&told.stderr), "");
    assert_eq!(
        text(&told.stdout),
        "classes.batch\nclasses.interactive\nclasses.jobs.dev\nclasses.mine\njobs.dev\njobs.late\n"
    );
    assert_eq!(told.status.code(), Some(0));

    let missing = dir.join("missing.toml").display().to_string();
    let told = check(&["-c", &missing, "--names"]);
    assert_eq!(
        (text(&told.stdout), told.status.code()),
        (String::new(), Some(78))
    );
}

/// A shell waits for them while somebody types.
#[test]
fn the_names_of_the_largest_file_come_at_once() {
    let dir = Dir::new();
    let jobs: Vec<String> = (0..60_000).map(|it| format!("[jobs.a{it}]\n")).collect();
    let jobs = jobs.concat();
    let path = config(&dir, &jobs);
    let names = check(&["--names", "-c", &path]);
    assert_eq!(text(&names.stdout).lines().count(), 60_002);
}

#[test]
fn a_file_that_is_named_and_missing_is_an_error_and_no_occasion_to_explain() {
    let dir = Dir::new();
    let missing = dir.join("none.toml");
    let output = check(&["-c", missing.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(78));
    assert!(text(&output.stdout).starts_with("error: "));
    let mut command = Command::new(lockkeeper());
    let by_env = bare(&mut command)
        .arg("check")
        .env("LOCKKEEPER_CONFIG", &missing);
    assert_eq!(child::output(by_env).status.code(), Some(78));
}

#[test]
fn every_fact_begins_with_its_word_and_no_line_is_wider_than_a_terminal() {
    let dir = Dir::new();
    let login = dir.join("login");
    fs::create_dir(&login).unwrap();
    let long = "x".repeat(120);
    let toml = format!(
        "{}[jobs.{}]\nclass = \"batch\"\ncommand = [\"{long}\"]\ndir = \"/no/such\"\nuser = \"nobody-here\"\n",
        batch(&login),
        "y".repeat(40)
    );
    for args in [
        vec!["-c".to_owned(), config(&dir, &toml)],
        vec!["-c".to_owned(), "/dev/null".to_owned()],
        vec![],
    ] {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = check(&args);
        let text = text(&output.stdout);
        assert!(!text.contains('\u{1b}'));
        let facts = text.split("\n\n").next().unwrap();
        for line in facts.lines() {
            let begins = ["ok: ", "warning: ", "error: ", "    "];
            assert!(begins.iter().any(|word| line.starts_with(word)), "{line}");
            let is_one_word = !line.trim_start().contains(' ');
            assert!(line.chars().count() <= 80 || is_one_word, "{line}");
        }
    }
}

#[test]
fn what_a_job_lacks_before_its_command_runs_is_an_error_each() {
    let dir = Dir::new();
    let plain = dir.join("plain");
    fs::write(&plain, "").unwrap();
    let file = config(
        &dir,
        &format!(
            "[jobs.user]\nclass = \"interactive\"\ncommand = [\"true\"]\nuser = \"nobody-here\"\n\
             stdin = \"null\"\n\
             [jobs.group]\nclass = \"interactive\"\ncommand = [\"true\"]\ngroup = \"nobody-here\"\n\
             stdin = \"null\"\n\
             [jobs.dir]\nclass = \"interactive\"\ncommand = [\"true\"]\ndir = \"/no/such\"\n\
             stdin = \"null\"\n\
             [jobs.command]\nclass = \"interactive\"\ncommand = [\"no-such-command\"]\n\
             stdin = \"null\"\n\
             [jobs.plain]\nclass = \"interactive\"\ncommand = [{plain:?}]\nstdin = \"null\"\n\
             [jobs.number]\nclass = \"interactive\"\ncommand = [\"true\"]\ngroup = \"54321\"\n\
             stdin = \"null\"\n"
        ),
    );
    let output = check(&["--json", "-c", &file]);
    assert_eq!(output.status.code(), Some(78));
    let errors = facts(&json(&output), "error", "job");
    let by_class = config(
        &dir,
        "[classes.batch]\nuser = \"nobody-here\"\nidentity = \"env:X\"\n",
    );
    let report = json(&check(&["--json", "-c", &by_class]));
    let expected = "class \"batch\": there is no user \"nobody-here\"";
    assert!(
        facts(&report, "error", "job")[0].starts_with(expected),
        "{report}"
    );
    for (number, expected) in [
        "job \"user\": there is no user \"nobody-here\"",
        "job \"group\": there is no group \"nobody-here\"",
        "job \"dir\": its directory \"/no/such\" does not exist",
        "job \"command\": the command \"no-such-command\" is not in PATH",
        "cannot be executed: chmod +x",
    ]
    .into_iter()
    .enumerate()
    {
        assert!(errors[number].contains(expected), "{errors:?}");
    }
    assert_eq!(errors.len(), 5, "{errors:?}");
}

#[test]
fn a_lock_that_cannot_be_opened_or_made_is_an_error_with_its_remedy() {
    let dir = Dir::new();
    fs::create_dir(dir.join("folder")).unwrap();
    symlink("/elsewhere", dir.join("link")).unwrap();
    for (lock, expected) in [
        ("folder", "it is a folder"),
        ("link", "name the file itself, \"/elsewhere\""),
        ("none/lock", "create the folder, or mount it"),
    ] {
        let toml = format!(
            "[locks.l]\npath = {:?}\nshared_mount = \"off\"\n[classes.batch]\nlock = \"l\"\n",
            dir.join(lock)
        );
        let output = check(&["--json", "-c", &config(&dir, &toml)]);
        assert_eq!(output.status.code(), Some(78));
        let errors = facts(&json(&output), "error", "lock");
        assert!(
            errors.len() == 1 && errors[0].contains(expected),
            "{errors:?}"
        );
    }
}

#[test]
fn the_holder_of_a_lock_and_its_queue_are_named() {
    let dir = Dir::new();
    let login = dir.join("login");
    fs::create_dir(&login).unwrap();
    let job = |name| {
        format!(
            "[jobs.{name}]\nclass = \"batch\"\nstdin = \"inherit\"\ncommand = [\"sh\", \"-c\", \"echo on; read x\"]\n"
        )
    };
    let class = format!("[classes.batch]\nidentity = {login:?}\nshared_mount = \"off\"\n");
    let toml = format!(
        "[init]\nname = \"boat\"\n{class}{}{}",
        job("first"),
        job("second")
    );
    let file = config(&dir, &toml);
    let run = |job: &str| {
        let mut command = Command::new(lockkeeper());
        child::start(bare(&mut command).args(["run", "-c", &file, job]))
    };
    let mut first = run("first");
    assert_eq!(first.line().as_deref(), Some("on"));
    let mut second = run("second");
    let report = until_some("the second waits", || {
        let report = json(&check(&["--json", "-c", &file]));
        let one = |what: &str| report["locks"][0][what].as_array().unwrap().len() == 1;
        (one("holders") && one("waiting")).then_some(report)
    });
    let lock = &report["locks"][0];
    assert_eq!(lock["holders"][0]["job"], "first", "{lock}");
    assert_eq!(lock["waiting"][0]["job"], "second", "{lock}");
    let (text, code) = told(&file);
    assert_eq!(code, Some(0));
    let held = "is held by job \"first\" in container \"boat\" (run ";
    let waits = "; waiting, in this order: job \"second\" in container \"boat\" (run ";
    assert!(text.contains(held) && text.contains(waits), "{text}");
    first.hang_up();
    assert_eq!(second.line().as_deref(), Some("on"));
    second.wait();
    first.wait();
    let (text, _) = told(&file);
    assert!(
        text.contains("can be opened, and no run claims it"),
        "{text}"
    );
}

#[test]
fn a_login_that_is_not_here_is_an_error_and_one_that_may_not_be_seen_is_no_missing_one() {
    let dir = Dir::new();
    let login = dir.join("closed/login");
    let file = config(&dir, &batch(&login));
    let error = |command: &mut Command| {
        let output = output(bare(command).args(["check", "--json", "-c", &file]));
        assert_eq!(output.status.code(), Some(78));
        let report = json(&output);
        // The lock in it is not told a second time.
        assert_eq!(report["errors"], 1, "{report}");
        facts(&report, "error", "login").remove(0)
    };
    let text = error(&mut Command::new(lockkeeper()));
    assert!(
        text.contains("does not exist here; mount the folder"),
        "{text}"
    );
    need!("root", "setpriv");
    fs::create_dir_all(&login).unwrap();
    fs::set_permissions(dir.join("closed"), fs::Permissions::from_mode(0o700)).unwrap();
    // A copy where others may go, which Cargo's folder need not be.
    let copy = dir.join("lockkeeper");
    fs::copy(lockkeeper(), &copy).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    let text = error(command.arg(&copy));
    assert!(text.contains("cannot be looked at by user 65534"), "{text}");
}

#[test]
fn a_claim_whose_owner_is_gone_names_nobody() {
    let dir = Dir::new();
    let login = dir.join("login");
    let claims = login.join("session.lock.d");
    fs::create_dir_all(&claims).unwrap();
    let record =
        r#"{"v":1,"run_id":"0123456789abcdef","job":"dead","kind":"batch","state":"running"}"#;
    fs::write(claims.join("0123456789abcdef.json"), record).unwrap();
    fs::write(claims.join("rubbish.json"), "{").unwrap();
    let output = check(&["--json", "-c", &config(&dir, &batch(&login))]);
    let report = json(&output);
    assert_eq!(
        report["locks"][0]["holders"].as_array().unwrap().len(),
        0,
        "{report}"
    );
    let warnings = facts(&report, "warning", "lock");
    assert!(warnings[0].contains("1 file in"), "{report}");
}

#[test]
fn two_spellings_of_one_login_are_found_out_and_an_interactive_one_is_shown_its_ways_out() {
    let dir = Dir::new();
    let (login, link) = (dir.join("login"), dir.join("link"));
    fs::create_dir(&login).unwrap();
    symlink(&login, &link).unwrap();
    let toml = format!(
        "[classes.batch]\nidentity = {login:?}\nshared_mount = \"off\"\n\
         [classes.other]\nkind = \"batch\"\nidentity = {link:?}\nshared_mount = \"off\"\n\
         [classes.interactive]\nidentity = {link:?}\n"
    );
    let output = check(&["--json", "-c", &config(&dir, &toml)]);
    assert_eq!(output.status.code(), Some(0));
    let warnings = facts(&json(&output), "warning", "login");
    let find = |parts: &[&str]| {
        warnings
            .iter()
            .any(|text| parts.iter().all(|part| text.contains(part)))
    };
    assert!(
        find(&["`batch` and `other`", "under two names", "the same path"]),
        "{warnings:?}"
    );
    assert!(
        find(&[
            "`batch` and `interactive`",
            "both are logged out",
            "env:CLAUDE_CODE_OAUTH_TOKEN",
            "env:ANTHROPIC_API_KEY"
        ]),
        "{warnings:?}"
    );
}

#[test]
fn an_interactive_class_on_a_login_that_batch_jobs_elsewhere_use_is_warned_about() {
    let dir = Dir::new();
    let login = dir.join("login");
    fs::create_dir(&login).unwrap();
    let toml = format!(
        "[classes.interactive]\nidentity = \"{}\"\n\
         [jobs.chat]\nclass = \"interactive\"\ncommand = [\"true\"]\n",
        login.display()
    );
    let file = config(&dir, &toml);
    let told = || {
        let warnings = facts(&json(&check(&["--json", "-c", &file])), "warning", "login");
        warnings
            .iter()
            .any(|text| text.contains("on which batch jobs take turns"))
    };
    assert!(!told());
    fs::write(login.join("session.lock"), "").unwrap();
    assert!(told());
    // With a batch class of its own beside it, the file itself shows that, and once is enough.
    fs::write(&file, toml + &batch(&login)).unwrap();
    assert!(!told());
}

#[test]
fn one_login_with_two_locks_takes_no_turns_and_is_warned_about() {
    let dir = Dir::new();
    let login = dir.join("login");
    fs::create_dir(&login).unwrap();
    let toml = format!(
        "[locks.l]\npath = {:?}\nshared_mount = \"off\"\n\
         [classes.batch]\nidentity = {login:?}\nshared_mount = \"off\"\n\
         [classes.other]\nkind = \"batch\"\nidentity = {login:?}\nlock = \"l\"\n",
        dir.join("other.lock")
    );
    let report = json(&check(&["--json", "-c", &config(&dir, &toml)]));
    let warnings = facts(&report, "warning", "login");
    let told = |text: &String| text.contains("take turns on two locks");
    assert!(warnings.iter().any(told), "{warnings:?}");
}

#[test]
fn a_login_in_a_variable_is_told_by_its_name_and_never_by_its_value() {
    let dir = Dir::new();
    let toml = "[classes.batch]\nidentity = \"env:ANTHROPIC_API_KEY\"\n\
                [jobs.dev]\nclass = \"batch\"\ncommand = [\"true\"]\n";
    let file = config(&dir, toml);
    let with_key = |args: &[&str], value: &str| {
        let mut command = Command::new(lockkeeper());
        let command = bare(&mut command).arg("check").args(args);
        output(command.env("ANTHROPIC_API_KEY", value))
    };
    for args in [
        vec!["-c", &file],
        vec!["--json", "-c", &file],
        vec![],
        vec!["--json"],
    ] {
        let output = with_key(&args, "sk-secret");
        assert_eq!(output.status.code(), Some(0));
        let text = text(&output.stdout) + &text(&output.stderr);
        assert!(text.contains("ANTHROPIC_API_KEY is set"), "{text}");
        assert!(!text.contains("sk-secret"), "{text}");
    }
    let (text, code) = told(&file);
    assert!(
        text.contains("warning: ") && text.contains("ANTHROPIC_API_KEY is not set"),
        "{text}"
    );
    assert_eq!(code, Some(0));
}

#[test]
fn a_stop_that_takes_longer_than_the_engine_waits_is_to_be_raised_in_both_places() {
    let dir = Dir::new();
    for (within, expected) in [
        ("25s", "raise both together, --stop-timeout 30"),
        ("10s", "raise both together, --stop-timeout 15"),
        ("9s", "is below the 10s"),
    ] {
        let toml = format!(
            "[init]\nstop_within = \"{within}\"\n[jobs.x]\nclass = \"interactive\"\ncommand = [\"true\"]\n"
        );
        let (text, code) = told(&config(&dir, &toml));
        assert!(text.contains(expected), "{text}");
        assert_eq!(code, Some(0));
    }
}

#[test]
fn without_a_file_it_says_what_is_here_and_prints_a_file_that_can_be_read() {
    let dir = Dir::new();
    let login = dir.join(".claude");
    fs::create_dir(&login).unwrap();
    let claude = dir.join("claude");
    fs::write(&claude, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&claude, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(lockkeeper());
    let command = bare(&mut command).arg("check").env("HOME", &*dir);
    let output = output(command.env("PATH", &*dir));
    assert_eq!(output.status.code(), Some(0));
    let text = unwrapped(&output);
    for fact in [
        "no file: neither -c nor $LOCKKEEPER_CONFIG names one",
        "PID 1 is ",
        "claude is in PATH",
        &format!("{login:?}, the login of claude,"),
    ] {
        assert!(text.contains(fact), "no {fact:?} in {text}");
    }
    let sketch = text.split_once("\n\n").unwrap().1;
    assert!(
        sketch.contains(&format!("identity = {login:?}")),
        "{sketch}"
    );
    let report = json(&check(&["--json", "-c", &config(&dir, sketch)]));
    assert_eq!(facts(&report, "error", "file").len(), 0, "{report}");
    assert_eq!(
        facts(&report, "ok", "login").len() + facts(&report, "warning", "login").len(),
        1
    );
}

#[test]
fn the_json_has_its_documented_shape() {
    let dir = Dir::new();
    let login = dir.join("login");
    fs::create_dir(&login).unwrap();
    let file = config(&dir, &batch(&login));
    let keys = |value: &Value| -> BTreeSet<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    let set = |names: &str| -> BTreeSet<String> { names.split(' ').map(str::to_owned).collect() };
    let report = json(&check(&["--json", "-c", &file]));
    assert_eq!(report["v"], 1);
    assert_eq!(keys(&report), set("v file errors warnings checks locks"));
    assert_eq!(
        keys(&report["locks"][0]),
        set("path classes shared_mount placed exists excludes holders waiting lock_dirs")
    );
    assert_eq!(report["locks"][0]["excludes"], true);
    assert_eq!(report["locks"][0]["exists"], false);
    for fact in report["checks"].as_array().unwrap() {
        let known = set("level about subject text line column help");
        assert!(keys(fact).is_subset(&known), "{fact}");
    }
    let report = json(&check(&["--json"]));
    assert_eq!(report["file"], Value::Null);
    assert!(
        report["sketch"]
            .as_str()
            .unwrap()
            .contains("[classes.batch]")
    );
}

#[test]
fn quiet_leaves_out_what_is_as_it_should_be_and_the_report_goes_where_it_is_asked() {
    let dir = Dir::new();
    let file = config(
        &dir,
        "[jobs.x]\nclass = \"interactive\"\ncommand = [\"no-such\"]\n",
    );
    let mut command = Command::new("sh");
    let script = "exec \"$0\" check -q -c \"$1\" --report 3 3>\"$2\"";
    let to = dir.join("report");
    let command = bare(&mut command).args(["-c", script]).arg(lockkeeper());
    let output = output(command.args([Path::new(&file), &to]));
    assert_eq!(output.status.code(), Some(78));
    let text = text(&output.stdout);
    assert!(
        !text.contains("ok:") && text.contains("error: job \"x\""),
        "{text}"
    );
    let report: Value = serde_json::from_slice(&fs::read(&to).unwrap()).unwrap();
    assert_eq!(report["errors"], 1);
}

// Real mounts.

/// Runs `lockkeeper check` in a container's own root, an overlay over the machine's, after `mounts`
/// (lines of shell, in which `$R` is that root) were made.
fn in_container(dir: &Dir, mounts: &str, args: &[&str]) -> Output {
    let base = dir.join("overlay");
    fs::create_dir_all(&base).unwrap();
    let script = format!(
        "set -e; mount -t tmpfs none \"$0\"; mkdir \"$0/up\" \"$0/work\" \"$0/root\"; R=$0/root
        mount -t overlay none -o \"lowerdir=/,upperdir=$0/up,workdir=$0/work\" \"$R\"
        mount --rbind /proc \"$R/proc\"; touch \"$R/lk\"; mount --bind \"$1\" \"$R/lk\"; shift
        mkdir -p \"$R/home/agent/.claude\"; {mounts}
        exec chroot \"$R\" /lk check \"$@\""
    );
    let mut command = Command::new("unshare");
    let command = bare(&mut command).args(["--mount", "sh", "-c", &script]);
    output(command.arg(&base).arg(lockkeeper()).args(args))
}

const AGENT: &str = "cat >\"$R/f.toml\" <<'END'
[classes.batch]
identity = \"/home/agent/.claude\"
END
";

#[test]
fn a_lock_in_a_containers_own_root_is_an_error_that_names_the_mount_to_add() {
    need!("root", "unshare");
    let dir = Dir::new();
    let output = in_container(&dir, AGENT, &["-c", "/f.toml"]);
    let text = unwrapped(&output);
    assert_eq!(output.status.code(), Some(78), "{text}");
    let error = "error: the lock \"/home/agent/.claude/session.lock\" lies on the container's own \
                 overlay";
    assert!(text.contains(error), "{text}");
    assert!(
        text.contains("-v HOST_FOLDER:/home/agent/.claude"),
        "{text}"
    );
    assert!(text.contains("lies in this container alone"), "{text}");
}

#[test]
fn a_lock_inside_a_mounted_login_is_in_its_place() {
    need!("root", "unshare");
    let dir = Dir::new();
    let host = dir.join("host");
    fs::create_dir(&host).unwrap();
    let mount = |target: &str| format!("mount --bind '{}' \"$R{target}\"\n", host.display());
    let mounts = mount("/home/agent/.claude") + AGENT;
    let output = in_container(&dir, &mounts, &["-c", "/f.toml"]);
    let text = unwrapped(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(
        text.contains("session.lock\" lies on a mount of its own"),
        "{text}"
    );
    assert!(
        text.contains("\"/home/agent/.claude\" is here, a mount of its own"),
        "{text}"
    );

    let beside = "cat >\"$R/f.toml\" <<'END'
[locks.l]
path = \"/home/agent/.claude.lock\"
[classes.batch]
lock = \"l\"
END
";
    let mounts = mount("/home/agent/.claude") + beside;
    let output = in_container(&dir, &mounts, &["-c", "/f.toml"]);
    let text = unwrapped(&output);
    assert_eq!(output.status.code(), Some(78), "{text}");
    let remedy = "put it inside the mounted folder, \"/home/agent/.claude/session.lock\"";
    assert!(text.contains(remedy), "{text}");
}

#[test]
fn a_login_that_is_mounted_unwisely_is_warned_about() {
    need!("root", "unshare");
    let dir = Dir::new();
    let host = dir.join("host");
    fs::create_dir_all(host.join(".claude")).unwrap();
    fs::write(host.join(".claude/.credentials.json"), "{}").unwrap();
    let host = host.display();
    let login = "/home/agent/.claude";
    let bind = |from: &str, to: &str| format!("mount --bind '{host}{from}' \"$R{to}\"\n");
    for (mounts, expected) in [
        (
            bind("", "/home/agent"),
            "by way of its parent: \"/home/agent\" is mounted",
        ),
        (
            bind("/.claude", login) + &format!("mount -o remount,ro,bind \"$R{login}\"\n"),
            "is mounted read-only",
        ),
        (
            bind("/.claude", login)
                + &bind(
                    "/.claude/.credentials.json",
                    "/home/agent/.claude/.credentials.json",
                ),
            ".credentials.json\" is mounted by itself",
        ),
    ] {
        let output = in_container(&dir, &(mounts + AGENT), &["--json", "-c", "/f.toml"]);
        let report = json(&output);
        let warnings = facts(&report, "warning", "login");
        assert!(
            warnings.iter().any(|text| text.contains(expected)),
            "{expected}: {report}"
        );
    }
}

#[test]
fn in_a_container_without_a_file_it_tells_which_logins_are_shared() {
    need!("root", "unshare");
    let dir = Dir::new();
    let output = in_container(&dir, "", &[]);
    let text = unwrapped(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(
        text.contains("ok: / is a container's own, of type overlay"),
        "{text}"
    );
    let own = "warning: \"/home/agent/.claude\", the login of claude, lies on the container's own \
               overlay";
    assert!(text.contains(own), "{text}");
    let mount = format!("mount --bind '{}' \"$R/home/agent/.claude\"", dir.display());
    let text = unwrapped(&in_container(&dir, &mount, &[]));
    let shared = "ok: \"/home/agent/.claude\", the login of claude, is a mount of its own";
    assert!(text.contains(shared), "{text}");
}

#[test]
fn in_a_real_container_the_lock_is_refused_until_its_folder_is_mounted() {
    need!("root", "podman", "crun", "buildah", "busybox", "static");
    let podman = Podman::ready();
    let dir = Dir::new();
    let file = config(
        &dir,
        "[classes.batch]\nidentity = \"/home/agent/.claude\"\n\
         [jobs.dev]\nclass = \"batch\"\ncommand = [\"true\"]\nuser = \"0\"\n",
    );
    let run =
        || Run::new(&["check", "--json"]).mount(Path::new(&file), "/etc/lockkeeper.toml", "ro");
    let output = podman.run(&run());
    assert_eq!(output.status.code(), Some(78));
    let errors = facts(&json(&output), "error", "lock");
    assert!(
        errors[0].contains("the container's own overlay"),
        "{errors:?}"
    );
    assert!(
        errors[0].contains("-v HOST_FOLDER:/home/agent/.claude"),
        "{errors:?}"
    );
    let login = Dir::new();
    let output = podman.run(&run().mount(&login, "/home/agent/.claude", "rw"));
    let report = json(&output);
    assert_eq!(output.status.code(), Some(0), "{report}");
    assert!(
        facts(&report, "ok", "lock")[0].contains("a mount of its own"),
        "{report}"
    );
}

// The journal.

/// Runs `check` of an empty surrounding with `run` for its /run.
fn with_run(run: &Path) -> Value {
    let mut command = Command::new("unshare");
    let script = "mount --bind \"$0\" /run && exec \"$@\"";
    let command = bare(&mut command)
        .args(["--mount", "sh", "-c", script])
        .arg(run);
    json(&output(command.arg(lockkeeper()).args(["check", "--json"])))
}

#[test]
fn a_missing_journal_is_told_with_the_mount_to_add_and_a_deaf_socket_as_such() {
    need!("root", "unshare");
    let run = Dir::new();
    let warnings = facts(&with_run(&run), "warning", "journal");
    let mount = "-v /run/systemd/journal:/run/systemd/journal:ro";
    assert!(warnings[0].contains(mount), "{warnings:?}");
    fs::create_dir_all(run.join("systemd/journal")).unwrap();
    drop(UnixDatagram::bind(run.join("systemd/journal/socket")).unwrap());
    let warnings = facts(&with_run(&run), "warning", "journal");
    assert!(warnings[0].contains("nobody listens"), "{warnings:?}");
}

#[test]
fn a_journal_that_takes_notes_is_told_and_gets_none() {
    need!("root", "unshare", "journald");
    let journald = Journald::start();
    let mut command = journald.command(lockkeeper());
    let report = json(&output(command.args(["check", "--json"])));
    assert_eq!(
        facts(&report, "ok", "journal"),
        ["the journal can be reached"]
    );
    assert_eq!(journald.records(&["_COMM=lockkeeper"]).len(), 0);
}

#[test]
fn who_else_may_write_where_output_is_kept_is_told() {
    need!("root");
    let dir = Dir::new();
    let (log, link) = (dir.join("log"), dir.join("link"));
    fs::create_dir(&log).unwrap();
    symlink(&log, &link).unwrap();
    let facts = |log: &Path, user: &str| {
        let toml = format!(
            "[jobs.dev]\nclass = \"interactive\"\ncommand = [\"true\"]\noutput = \"file\"\n\
             log_dir = \"{}\"\n{user}\n",
            log.display()
        );
        let report = json(&check(&["--json", "-c", &config(&dir, &toml)]));
        facts(&report, "warning", "job").join("\n")
    };
    let nobody = "user = \"nobody\"";
    for (mode, owner, user, told) in [
        (0o755, 0, "", ""),
        (0o755, 0, nobody, ""),
        (0o1777, 0, "", "any user may write in its log_dir"),
        (
            0o755,
            65534,
            nobody,
            "the job's own user may write in its log_dir",
        ),
        (0o755, 65534, "", ""),
    ] {
        fs::set_permissions(&log, fs::Permissions::from_mode(mode)).unwrap();
        chown(&log, Some(owner), None).unwrap();
        let said = facts(&log, user);
        assert!(said.contains(told), "{mode:o} {owner}: {said}");
        assert_eq!(said.is_empty(), told.is_empty(), "{mode:o} {owner}: {said}");
    }
    assert!(facts(&link, "").contains("is a symbolic link"));
}

#[test]
fn a_check_that_a_mount_does_not_answer_is_ended_by_a_signal() {
    need!("root", "bindfs", "fuse");
    let (dir, folder, mount) = (Dir::new(), Dir::new(), Dir::new());
    let file = config(&dir, &batch(&mount));
    let at = mount.display().to_string();
    let inside = Ns::root().bindfs(&folder, &mount).start(&puppet(), &[]);
    let serves = |pid: &i32| {
        let words = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.starts_with("bindfs\0") && words.split('\0').any(|word| word == at)
    };
    let daemon = until_some("the mount has a server", || {
        children(inside.pid1()).into_iter().find(serves)
    });
    halt(daemon);
    // nsenter has to be told, or the signal does not reach the check behind it.
    let mut command = inside.enter(lockkeeper());
    let mut asked = child::start(command.args(["check", "-c", &file]));
    let check = until_some("it hangs", || {
        let pid = children(asked.pid()).into_iter().next()?;
        let wait = fs::read_to_string(format!("/proc/{pid}/wchan")).ok()?;
        wait.contains("request_wait_answer").then_some(pid)
    });
    signal(check, Signal::SIGINT);
    until("it has heard that", || asked.try_wait().is_some());
    signal(daemon, Signal::SIGCONT);
}
