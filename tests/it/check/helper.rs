//! `check` where no file is yet: what it finds of the machine, what agents say of themselves, and the
//! file that it prints.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal::{SIGCONT, SIGKILL, SIGTERM};
use serde_json::Value;

use super::{facts, json};
use crate::support::agent;
use crate::support::bin::lockkeeper;
use crate::support::child::{bare, halt, output, signal, start, text};
use crate::support::dir::Dir;
use crate::support::need::need;
use crate::support::ns::Ns;
use crate::support::pty::Pty;
use crate::support::scene::Scene;
use crate::support::wait::until;
use crate::wrong_use::{bare_machine, has, offered};

/// A home with agents of a test's own, and nothing else in PATH but the system's.
struct Home(Dir);

impl Home {
    fn new() -> Self {
        let home = Self(Dir::new());
        fs::create_dir(home.0.join("bin")).unwrap();
        home
    }

    fn agent(&self, name: &str, script: &str) -> &Self {
        let path = self.0.join("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    fn folder(&self, name: &str) -> PathBuf {
        let folder = self.0.join(name);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    fn check(&self, args: &[&str]) -> Command {
        let mut command = Command::new(lockkeeper());
        let command_ = bare(&mut command).arg("check").args(args);
        let path = format!("{}/bin:/usr/bin:/bin", self.0.display());
        command_.env("HOME", &*self.0).env("PATH", path);
        command
    }

    fn report(&self, args: &[&str]) -> Value {
        json(&output(&mut self.check(&[&["--json"], args].concat())))
    }
}

#[track_caller]
fn here(report: &Value, level: &str, words: &[&str]) {
    let facts = facts(report, level, "here");
    let one = |fact: &String| words.iter().all(|word| fact.contains(word));
    assert!(facts.iter().any(one), "no {level} {words:?} in {facts:#?}");
}

#[test]
fn each_agent_that_is_found_says_its_version_beside_one_that_hangs_and_one_that_never_ends() {
    let home = Home::new();
    home.agent("claude", "echo '2.1.197 (Claude Code)'; echo more")
        .agent("codex", "printf '\\n\\033[2Jcodex-cli 1\\n'")
        .agent(
            "gemini",
            "trap '' TERM HUP INT; sleep 1000 & wait; sleep 1000",
        )
        .agent("opencode", "exec yes")
        .agent("copilot", "echo 0.0.1 >&2; exit 1")
        .agent("cursor-agent", "kill -9 $$")
        .agent("aider", "head -c 1000 /dev/zero | tr '\\0' x");
    let report = home.report(&[]);
    let says = |name: &str, what: &str| {
        here(&report, "ok", &[&format!("{name} is in PATH: "), what]);
    };
    says("claude", ", and says \"2.1.197 (Claude Code)\"");
    says("codex", ", and says \"?[2Jcodex-cli 1\"");
    says("gemini", ", and says no version within 2s");
    says("opencode", ", and says \"y\"");
    says(
        "copilot",
        ", and says no version: it ended with code 1 and printed nothing",
    );
    says(
        "cursor-agent",
        ", and says no version: it was ended by signal 9 and printed nothing",
    );
    says("aider", &format!(", and says \"{}\"", "x".repeat(60)));
    // Who does not want that is not asked.
    let report = home.report(&["--no-versions"]);
    here(&report, "ok", &["claude is in PATH: "]);
    assert!(!report.to_string().contains("and says"), "{report}");
}

#[test]
fn an_agent_that_leaves_somebody_behind_or_only_closes_its_output_is_told_for_what_it_did() {
    let home = Home::new();
    home.agent("claude", "sleep 1000 & exit 3")
        .agent("codex", "exec >/dev/null; sleep 1000");
    let report = home.report(&[]);
    let words = ["claude is in PATH: ", "it ended with code 3"];
    here(&report, "ok", &words);
    let words = ["codex is in PATH: ", ", and says no version within 2s"];
    here(&report, "ok", &words);
}

#[test]
fn an_agent_that_cannot_be_started_is_told_with_the_reason() {
    let home = Home::new();
    home.agent("claude", "");
    let path = home.0.join("bin/claude");
    fs::write(&path, "#!/no/such/interpreter\n").unwrap();
    let report = home.report(&[]);
    let words = ["; it cannot be started: no such file", "the interpreter"];
    here(&report, "ok", &words);
}

#[test]
fn an_agent_that_cannot_be_executed_is_told_and_the_command_that_mends_it_works() {
    let home = Home::new();
    home.agent("claude", "echo 1.0");
    let path = home.0.join("bin/claude");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let told = text(&output(&mut home.check(&[])).stdout);
    let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
    has(
        &told,
        &[
            "warning: claude is in PATH, and cannot be executed: ",
            "no agent is here: none in PATH that can be executed",
        ],
    );
    // Also where a file says that it is to run.
    let file = home.0.join("jobs.toml");
    fs::write(&file, crate::wrong_use::FILE.replace("echo", "claude")).unwrap();
    let with_file = ["-c", file.to_str().unwrap()];
    let report = home.report(&with_file);
    let expected = format!("{path:?} cannot be executed: chmod +x");
    let errors = facts(&report, "error", "job");
    assert!(errors[0].contains(&expected), "{errors:?}");

    let mut shell = Command::new("sh");
    let mend = offered(&told, "chmod +x ");
    assert!(output(bare(&mut shell).args(["-c", mend])).status.success());
    here(&home.report(&[]), "ok", &["claude is in PATH: ", "\"1.0\""]);
    assert!(facts(&home.report(&with_file), "error", "job").is_empty());
}

#[test]
fn a_login_whose_path_no_file_can_name_is_told_beside_the_file_and_in_it() {
    let home = Home::new();
    let odd = home.0.join(OsStr::from_bytes(b"odd\xff"));
    fs::create_dir(&odd).unwrap();
    let mut check = home.check(&["--toml", "--no-versions"]);
    let told = output(check.env("CLAUDE_CONFIG_DIR", &odd));
    let shown = format!("{odd:?}");
    let (file, notes) = (text(&told.stdout), text(&told.stderr));
    has(&file, &["as its path is not UTF-8", &shown]);
    let notes = notes.split_whitespace().collect::<Vec<_>>().join(" ");
    let warning = format!("warning: {shown} cannot be named in a file, as its path is not UTF-8");
    has(&notes, &[&warning]);
    // One that is merely odd stands there as it is.
    let odd = home.folder("o'd\"d \\ $HOME {");
    let mut check = home.check(&["--toml", "--no-versions"]);
    let told = output(check.env("CLAUDE_CONFIG_DIR", &odd));
    let file = home.0.join("jobs.toml");
    fs::write(&file, &told.stdout).unwrap();
    let report = home.report(&["-c", file.to_str().unwrap()]);
    assert_eq!(facts(&report, "error", "file").len(), 0, "{report}");
    let logins =
        facts(&report, "ok", "login").concat() + &facts(&report, "warning", "login").concat();
    assert!(logins.contains(&format!("{odd:?}")), "{report}");
}

#[test]
fn a_report_is_handed_to_the_descriptor_whatever_else_is_printed() {
    let home = Home::new();
    for shows in [&[][..], &["--json"], &["--toml"]] {
        let mut shell = Command::new("sh");
        let words = [
            "-c",
            "exec \"$@\" 3>report >/dev/null 2>&1",
            "sh",
            lockkeeper().to_str().unwrap(),
            "check",
            "--no-versions",
            "--report",
            "3",
        ];
        bare(&mut shell)
            .args(words)
            .args(shows)
            .current_dir(&*home.0);
        let done = output(shell.env("HOME", &*home.0));
        assert_eq!(done.status.code(), Some(0), "{shows:?}");
        let report = fs::read_to_string(home.0.join("report")).unwrap();
        let report: Value = serde_json::from_str(&report).unwrap();
        assert!(report["sketch"].is_string(), "{shows:?}: {report}");
    }
    let told = output(&mut home.check(&["--report", "77"]));
    assert_eq!(told.status.code(), Some(64));
    has(
        &text(&told.stderr),
        &["to descriptor 77: bad file number; open it"],
    );
}

#[test]
fn an_agent_that_is_asked_sees_no_login_and_no_secret_and_can_leave_nothing_in_its_home() {
    let home = Home::new();
    let script = "env | sort > \"$(dirname \"$0\")/env\"; mkdir -p \"$HOME/.claude\"; \
        tail -n +3 /proc/self/net/dev > \"$(dirname \"$0\")/net\" 2>&1; readlink /proc/self/fd/0; echo 1.0";
    home.agent("claude", script);
    let mut check = home.check(&["--json"]);
    let told = output(check.env("ANTHROPIC_API_KEY", "sk-secret"));
    here(
        &json(&told),
        "ok",
        &["claude is in PATH: ", "says \"/dev/null\""],
    );
    let env = fs::read_to_string(home.0.join("bin/env")).unwrap();
    let names: Vec<&str> = env
        .lines()
        .filter_map(|line| line.split('=').next())
        .collect();
    assert_eq!(names, ["HOME", "PATH", "PWD"], "{env}");
    assert!(!home.0.join(".claude").exists());
    if nix::unistd::geteuid().is_root() {
        let net = fs::read_to_string(home.0.join("bin/net")).unwrap();
        assert!(net.lines().all(|line| line.contains("lo:")), "{net}");
    }
}

/// An agent that leaves everything and is deaf to what can be heard.
fn deaf(scene: &Scene) -> Home {
    let home = Home::new();
    let words = scene
        .words("ignore TERM,HUP,INT , mark PAGE 1 , child { mark PAGE 1 HERMIT , hang } , hang");
    let words: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    home.agent(
        "claude",
        &format!("exec '{}' {}", scene.puppet().display(), words.join(" ")),
    );
    home
}

#[test]
fn an_agent_that_is_asked_is_gone_with_all_its_processes_when_check_has_ended() {
    let scene = Scene::new();
    let told = deaf(&scene).report(&[]);
    here(&told, "ok", &["says no version"]);
    assert_eq!(scene.page.marks().0, 2, "it was there");
    assert!(scene.page.alive().is_empty());
    scene.assert_empty();
}

#[test]
fn a_check_that_is_stopped_while_an_agent_is_asked_leaves_nobody() {
    let scene = Scene::new();
    let home = deaf(&scene);
    let mut check = start(&mut home.check(&["--json"]));
    until("both are there", || scene.page.alive().get(&1) == Some(&2));
    // It does not come to the end of its patience before it hears.
    halt(check.pid());
    signal(check.pid(), SIGTERM);
    signal(check.pid(), SIGCONT);
    let status = check.wait();
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(15)
    );
    scene.assert_empty();
}

#[test]
fn a_check_that_is_killed_while_an_agent_is_asked_leaves_nobody() {
    let scene = Scene::new();
    let home = deaf(&scene);
    let mut check = start(&mut home.check(&["--json"]));
    until("both are there", || scene.page.alive().get(&1) == Some(&2));
    signal(check.pid(), SIGKILL);
    check.wait();
    until("both are gone", || scene.page.alive().is_empty());
    scene.assert_empty();
}

#[test]
fn a_check_that_was_started_deaf_to_a_signal_is_not_ended_by_it() {
    let scene = Scene::new();
    let home = deaf(&scene);
    let check = home.check(&["--json"]);
    let mut deaf = Command::new("sh");
    bare(&mut deaf).args(["-c", "trap '' TERM; exec \"$0\" check --json"]);
    deaf.arg(check.get_program());
    deaf.envs(check.get_envs().filter_map(|(name, it)| Some((name, it?))));
    let mut deaf = start(&mut deaf);
    until("both are there", || scene.page.alive().get(&1) == Some(&2));
    signal(deaf.pid(), SIGTERM);
    assert_eq!(deaf.wait().code(), Some(0));
    scene.assert_empty();
}

/// A shell that executes `check` leaves it its own children: here a reader of what it prints.
#[test]
fn children_that_check_had_before_are_not_touched() {
    let home = Home::new();
    home.agent("claude", "echo 1.0");
    let check = home.check(&[]);
    let script = "mkfifo pipe; cat < pipe > said & exec \"$0\" check --json > pipe";
    let mut shell = Command::new("sh");
    bare(&mut shell).args(["-c", script]).current_dir(&*home.0);
    shell.arg(check.get_program());
    shell.envs(check.get_envs().filter_map(|(name, it)| Some((name, it?))));
    // Standard error is the reader's, too: both have gone.
    output(&mut shell);
    let said = fs::read(home.0.join("said")).unwrap();
    let report = serde_json::from_slice(&said).expect("the reader lived");
    here(&report, "ok", &["claude is in PATH: ", "says \"1.0\""]);
}

/// What root would run there, the folder's owner would have run as root.
#[test]
fn root_runs_no_program_that_somebody_else_can_change() {
    need!("root");
    let home = Home::new();
    let (theirs, ours) = (home.folder("theirs"), home.folder("ours"));
    let touch = format!("touch '{}'; echo theirs", home.0.join("ran").display());
    home.agent("claude", &touch).agent("interpreter", &touch);
    fs::rename(home.0.join("bin/claude"), theirs.join("claude")).unwrap();
    fs::rename(home.0.join("bin/interpreter"), theirs.join("interpreter")).unwrap();
    let codex = ours.join("codex");
    fs::write(&codex, "#!/usr/bin/env interpreter\n").unwrap();
    fs::set_permissions(&codex, fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("../theirs/./claude", ours.join("gemini")).unwrap();
    home.agent("opencode", "echo 1.0");
    let path = format!(
        "{}:{}:{}/bin:/usr/bin:/bin",
        theirs.display(),
        ours.display(),
        home.0.display()
    );
    let report = || {
        let mut check = home.check(&["--json"]);
        json(&output(check.env("PATH", &path)))
    };
    let refused = format!(
        "not asked for its version, as we are root and somebody else can change {theirs:?}"
    );
    let all = fs::Permissions::from_mode(0o1777);
    let change: [&dyn Fn(); 2] = [
        &|| std::os::unix::fs::chown(&theirs, Some(65534), None).unwrap(),
        &|| {
            std::os::unix::fs::chown(&theirs, Some(0), None).unwrap();
            std::os::unix::fs::chown(theirs.join("claude"), Some(65534), None).unwrap();
            fs::set_permissions(&theirs, all.clone()).unwrap();
        },
    ];
    for change in change {
        change();
        let report = report();
        let place = &refused[..refused.len() - 1];
        here(&report, "ok", &["claude is in PATH: ", place]);
        here(&report, "ok", &["gemini is in PATH: ", place]);
        here(&report, "ok", &["codex is in PATH: ", "says no version"]);
        here(&report, "ok", &["opencode is in PATH: ", "says \"1.0\""]);
        assert!(!home.0.join("ran").exists());
    }
}

#[test]
fn the_real_agent_says_its_version_and_leaves_its_login_as_it_was() {
    need!("agent");
    let home = Home::new();
    let login = home.folder(".claude");
    std::os::unix::fs::symlink(agent::program(), home.0.join("bin/claude")).unwrap();
    let report = home.report(&[]);
    here(
        &report,
        "ok",
        &["claude is in PATH: ", "2.1.197 (Claude Code)"],
    );
    assert_eq!(fs::read_dir(login).unwrap().count(), 0);
    assert_eq!(
        fs::read_dir(&*home.0).unwrap().count(),
        2,
        "bin and .claude"
    );
}

#[test]
fn the_logins_of_all_agents_are_found_and_one_that_cannot_be_written_is_warned_about() {
    need!("root", "setpriv");
    let home = Home::new();
    for (folder, agent) in [
        (".claude", "claude"),
        (".codex", "codex"),
        (".gemini", "gemini"),
        (".local/share/opencode", "opencode"),
        (".copilot", "copilot"),
        (".config/cursor", "cursor-agent"),
    ] {
        let path = home.folder(folder);
        let report = home.report(&[]);
        here(
            &report,
            "ok",
            &[&format!("{path:?}, the login of {agent},")],
        );
        fs::remove_dir(path).unwrap();
    }
    let path = home.folder(".codex");
    let program = home.0.join("bin/lockkeeper");
    fs::copy(lockkeeper(), &program).unwrap();
    let mut command = Command::new("setpriv");
    bare(&mut command).args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    let told = output(
        command
            .arg(program)
            .args(["check", "--json"])
            .env("HOME", &*home.0),
    );
    let told = json(&told);
    here(
        &told,
        "warning",
        &[&format!("{path:?} cannot be written by user 65534")],
    );
    here(&told, "ok", &["we are user 65534, of group 65534"]);
}

/// Without any agent, and with a key for one: the file that is printed is accepted, and init starts
/// with it.
#[test]
fn the_file_that_is_printed_is_taken_by_check_and_by_init() {
    need!("root", "unshare");
    for (agent, login, flags) in [
        ("claude", ".claude", "-p"),
        ("codex", ".codex", "exec"),
        ("gemini", ".gemini", "-p"),
        ("opencode", ".local/share/opencode", "run"),
        ("cursor-agent", ".config/cursor", "-p"),
    ] {
        let home = Home::new();
        home.agent(agent, "echo \"$@\"");
        home.folder(login);
        let path = format!(
            "PATH={}/bin:$PATH HOME={}",
            home.0.display(),
            home.0.display()
        );
        let lines =
            "lockkeeper check --toml > /etc/lockkeeper.toml 2> found; lockkeeper check --json";
        // What else is found does not go into the file.
        let script = format!(
            "mount -t tmpfs none /run; export {path}; {lines}; cat /etc/lockkeeper.toml found >&2
             sed -i '/^every/d; /^identity/a shared_mount = \"off\"' /etc/lockkeeper.toml
             exec lockkeeper"
        );
        let done = output(&mut bare_machine(&home.0, "", &["sh", "-ec", &script]));
        let (said, notes) = (text(&done.stdout), text(&done.stderr));
        let (report, ran) = said.split_once('\n').unwrap();
        let report: Value = serde_json::from_str(report).unwrap();
        assert_eq!(facts(&report, "error", "file").len(), 0, "{report}");
        assert_eq!(facts(&report, "error", "job").len(), 0, "{report}");
        assert_eq!(ran, format!("{flags} take the next issue\n"), "{notes}");
        assert_eq!(done.status.code(), Some(0), "{notes}");
        has(&notes, &["# The smallest file that fits", "ok: / is "]);
        let file = notes.split("every").next().unwrap();
        assert!(file.starts_with('#') && !file.contains("ok: "), "{file}");
    }
}

#[test]
fn limits_that_hinder_are_told_with_their_remedy_also_where_a_file_is() {
    need!("root", "unshare");
    let dir = Dir::new();
    fs::write(dir.join("few"), "8\n").unwrap();
    fs::write(dir.join("jobs.toml"), crate::wrong_use::FILE).unwrap();
    let few = "mount --bind few /proc/sys/fs/inotify/max_user_instances";
    let hides =
        "mount -t proc -o hidepid=2 proc /proc; exec setpriv --reuid 65534 --clear-groups \"$@\"";
    for (lines, told) in [
        (few, "inotify allows a user 8 instances"),
        (hides, "/proc hides the processes of other users (hidepid)"),
    ] {
        let copy = dir.join("lockkeeper");
        fs::copy(lockkeeper(), &copy).unwrap();
        for args in [
            &["check", "--json"][..],
            &["check", "--json", "-c", "jobs.toml"],
        ] {
            let words = [&[copy.to_str().unwrap()], args].concat();
            let report = json(&output(&mut bare_machine(&dir, lines, &words)));
            here(&report, "warning", &[told]);
        }
        let words = [copy.to_str().unwrap(), "check", "--json", "-c", "jobs.toml"];
        let report = json(&output(&mut bare_machine(&dir, "true", &words)));
        assert!(facts(&report, "warning", "here").is_empty(), "{report}");
    }
}

#[test]
fn on_a_terminal_each_word_has_its_colour_and_what_hinders_comes_first() {
    need!("root", "unshare");
    let home = Home::new();
    let mut check = home.check(&["--no-versions"]);
    let pty = Pty::start(check.env("TERM", "xterm"), Command::spawn);
    let (code, said) = pty.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("\u{1b}[32mok\u{1b}[0m: "), "{said:?}");
    let plain: [(&str, &str); 2] = [("NO_COLOR", "1"), ("TERM", "dumb")];
    for (name, value) in plain {
        let mut check = home.check(&["--no-versions"]);
        let pty = Pty::start(check.env("TERM", "xterm").env(name, value), Command::spawn);
        let (_, said) = pty.end();
        assert!(
            !said.contains('\u{1b}') && said.contains("ok: "),
            "{said:?}"
        );
    }
    let file = home.0.join("jobs.toml");
    let toml = "[jobs.x]\nclass = \"interactive\"\ncommand = [\"no-such\"]\n[init]\nstop_within = \"20s\"\n";
    fs::write(&file, toml).unwrap();
    let told = output(&mut home.check(&["-c", file.to_str().unwrap()]));
    let told = text(&told.stdout);
    let places = ["error: ", "warning: ", "ok: "].map(|word| told.find(word));
    assert!(places.is_sorted() && places[0] == Some(0), "{told}");
}

#[test]
fn a_pid_1_is_told_what_it_is_and_an_engine_where_it_is_known() {
    need!("root", "unshare");
    let report = |env: &[(&str, &str)]| {
        let mut ns = Ns::root().shell("mount -t tmpfs none /etc");
        for (name, value) in env {
            ns = ns.env(name, value);
        }
        let mut inside = ns.start(
            Path::new(lockkeeper()),
            &["check", "--json", "--no-versions"],
        );
        let line = inside.process.line().unwrap();
        inside.process.wait();
        serde_json::from_str::<Value>(&line).unwrap()
    };
    here(&report(&[]), "ok", &["we are PID 1"]);
    let podman = report(&[("container", "podman")]);
    here(
        &podman,
        "ok",
        &["podman inspect --format '{{.Config.StopTimeout}}' CONTAINER"],
    );
    let kubernetes = report(&[("KUBERNETES_SERVICE_HOST", "10.0.0.1")]);
    here(
        &kubernetes,
        "ok",
        &["30s unless terminationGracePeriodSeconds"],
    );
}
