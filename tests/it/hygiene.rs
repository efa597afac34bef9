//! What a command's process is given: its environment, its limits, its priorities. Each is read back
//! where the command itself finds it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use lockkeeper::sys::limits;

use crate::support::bin;
use crate::support::child::{self, output, text};
use crate::support::dir::Dir;
use crate::support::need::need;

/// A file of one job, `dev`, and what its command says.
struct Desk {
    dir: Dir,
}

impl Desk {
    fn new() -> Self {
        Self { dir: Dir::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).unwrap();
    }

    /// A run of a job that is `script`, with `keys`, in which DIR stands for the desk's folder.
    fn job(&self, keys: &str, script: &str) -> Command {
        self.config(keys, script);
        let mut command = Command::new(bin::lockkeeper());
        child::bare(&mut command)
            .args(["run", "-c"])
            .arg(self.path("lockkeeper.toml"))
            .arg("dev");
        command
    }

    fn config(&self, keys: &str, script: &str) {
        let text = format!(
            "[jobs.dev]\nclass = \"batch\"\ncommand = [\"sh\", \"-c\", {script:?}]\n{keys}\n"
        );
        let text = text.replace("DIR", &self.dir.display().to_string());
        self.write("lockkeeper.toml", &text);
    }

    /// The same as a user who may nothing.
    fn as_nobody(&self, keys: &str, script: &str) -> Command {
        self.config(keys, script);
        let mut command = Command::new("setpriv");
        child::bare(&mut command)
            .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
            .arg(bin::lockkeeper())
            .args(["run", "-c"])
            .arg(self.path("lockkeeper.toml"))
            .arg("dev");
        command
    }
}

/// What a run says that must go well.
#[track_caller]
fn said(command: &mut Command) -> String {
    let told = output(command);
    let err = text(&told.stderr);
    assert_eq!(told.status.code(), Some(0), "{err}");
    text(&told.stdout).trim_end().to_owned()
}

/// The exit code of a run that fails, and what lockkeeper says; its command says nothing.
#[track_caller]
fn refused(command: &mut Command) -> (Option<i32>, String) {
    let told = output(command);
    assert_eq!(text(&told.stdout), "");
    (told.status.code(), text(&told.stderr))
}

const NOFILE: &str = "ulimit -Sn; ulimit -Hn; ulimit -c";

#[test]
fn limits_are_the_commands_own() {
    let desk = Desk::new();
    let keys = "rlimits = { nofile = 99, core = \"1k\", as = \"1 TiB\", cpu = \"2m\" }";
    let script = format!("{NOFILE}; ulimit -v; ulimit -t; grep 'open files' /proc/$PPID/limits");
    let told = said(&mut desk.job(keys, &script));
    let (soft, hard) = own_nofile();
    let lines: Vec<_> = told.lines().collect();
    assert_eq!(lines[..5], ["99", "99", "2", "1073741824", "120"]);
    let words: Vec<_> = lines[5].split_whitespace().collect();
    assert_eq!(words[3..5], [soft.to_string(), hard.to_string()]);
}

#[test]
fn a_soft_limit_that_is_said_alone_leaves_the_hard_one_and_may_be_raised_to_it() {
    let desk = Desk::new();
    let (_, hard) = own_nofile();
    let read = "ulimit -Sn; ulimit -Hn";
    let told = said(&mut desk.job("rlimits = { nofile = { soft = 50 } }", read));
    assert_eq!(told, format!("50\n{hard}"));
    let told = said(&mut desk.job("rlimits = { nofile = { hard = 60 } }", read));
    assert_eq!(told, "60\n60");
    let mut command = desk.job(&format!("rlimits = {{ nofile = {hard} }}"), read);
    assert_eq!(said(&mut command), format!("{hard}\n{hard}"));
    let (code, told) =
        refused(&mut desk.job("rlimits = { nofile = { soft = \"unlimited\" } }", read));
    assert_eq!(code, Some(78), "{told}");
    assert!(told.contains("above the hard one"), "{told}");
}

/// Soft and hard.
fn own_nofile() -> (u64, u64) {
    limits::own(limits::number("nofile").unwrap()).unwrap()
}

#[test]
fn who_is_not_root_may_lower_a_limit_and_is_told_which_one_he_may_not_raise() {
    need!("root", "setpriv");
    let desk = Desk::new();
    let keys = "rlimits = { core = 0, nofile = 99 }";
    assert_eq!(said(&mut desk.as_nobody(keys, NOFILE)), "99\n99\n0");
    let (_, hard) = own_nofile();
    let keys = format!("rlimits = {{ core = 0, nofile = {} }}", hard + 1);
    let (code, told) = refused(&mut desk.as_nobody(&keys, NOFILE));
    assert_eq!(code, Some(78), "{told}");
    assert!(
        told.contains("failed to set the limit \"nofile\""),
        "{told}"
    );
    assert!(told.contains("CAP_SYS_RESOURCE"), "{told}");
}

#[test]
fn what_only_root_may_is_done_before_the_user_is_changed() {
    need!("root");
    let desk = Desk::new();
    let keys = "user = \"65534\"\nnice = -3\nrlimits = { nofile = 99 }";
    let told = said(&mut desk.job(keys, "id -u; nice; ulimit -n"));
    assert_eq!(told, "65534\n-3\n99");
}

/// Raising one needs a privilege that not every root has, and the change of user takes it away.
#[test]
fn limits_are_set_before_the_user_is_changed() {
    need!("root", "strace");
    let desk = Desk::new();
    let job = desk.job("user = \"65534\"\nrlimits = { nofile = 99 }", "true");
    let mut command = Command::new("strace");
    child::bare(&mut command)
        .args(["-f", "-qq", "-e", "trace=prlimit64,setuid", "-o"])
        .arg(desk.path("trace"))
        .arg(job.get_program())
        .args(job.get_args());
    said(&mut command);
    let trace = fs::read_to_string(desk.path("trace")).unwrap();
    let set = trace
        .find("RLIMIT_NOFILE, {rlim_cur=99")
        .expect("it is set");
    let user = trace.find("setuid(65534)").expect("it is another user");
    assert!(set < user, "{trace}");
}

#[test]
fn the_mask_is_the_commands_and_not_its_monitors() {
    let desk = Desk::new();
    let script = "umask; : > made; stat -c %a made; grep -c 'Umask:.0077' /proc/$PPID/status";
    // grep counts none, and fails.
    let script = format!("{script} || true");
    let keys = "umask = \"077\"\ndir = \"DIR\"";
    assert_eq!(said(&mut desk.job(keys, &script)), "0077\n600\n0");
}

#[test]
fn nice_is_the_commands_and_not_its_monitors() {
    let desk = Desk::new();
    // The fields behind the name: nice is the nineteenth of the line (proc_pid_stat(5)).
    let script = "nice; cut -d' ' -f19 /proc/$PPID/stat";
    assert_eq!(said(&mut desk.job("nice = 11", script)), "11\n0");
}

#[test]
fn who_is_not_root_may_not_be_nicer_to_himself() {
    need!("root", "setpriv");
    let desk = Desk::new();
    let (code, told) = refused(&mut desk.as_nobody("nice = -1", "nice"));
    assert_eq!(code, Some(78), "{told}");
    assert!(told.contains("failed to set nice to \"-1\""), "{told}");
    assert!(told.contains("CAP_SYS_NICE"), "{told}");
}

#[test]
fn oom_score_adj_is_the_commands_and_not_its_monitors() {
    let desk = Desk::new();
    let script = "cat /proc/self/oom_score_adj /proc/$PPID/oom_score_adj";
    let told = said(&mut desk.job("oom_score_adj = 777", script));
    let own = fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    assert_eq!(told, format!("777\n{}", own.trim()));
}

#[test]
fn who_is_not_root_may_not_be_spared_when_memory_runs_out() {
    need!("root", "setpriv");
    let desk = Desk::new();
    let keys = "oom_score_adj = -500";
    let (code, told) = refused(&mut desk.as_nobody(keys, "true"));
    assert_eq!(code, Some(78), "{told}");
    assert!(
        told.contains("failed to set oom_score_adj to \"-500\""),
        "{told}"
    );
    assert!(told.contains("CAP_SYS_RESOURCE"), "{told}");
}

#[test]
fn no_new_privs_is_the_commands_and_comes_after_the_change_of_user() {
    let desk = Desk::new();
    let script = "grep -h NoNewPrivs /proc/self/status /proc/$PPID/status";
    let told = said(&mut desk.job("no_new_privs = true", script));
    assert_eq!(told, "NoNewPrivs:\t1\nNoNewPrivs:\t0");
    need!("root");
    let keys = "no_new_privs = true\nuser = \"65534\"";
    let told = said(&mut desk.job(keys, "id -u; grep NoNewPrivs /proc/self/status"));
    assert_eq!(told, "65534\nNoNewPrivs:\t1");
}

/// The names in the command's environment, without what a shell adds.
fn names(told: &str) -> Vec<String> {
    let names = told.split('\0').filter_map(|one| one.split_once('='));
    let mut names: Vec<String> = names.map(|(name, _)| name.to_owned()).collect();
    names.sort();
    names
}

#[test]
fn clear_env_leaves_what_the_readme_says_and_nothing_else() {
    let desk = Desk::new();
    let keys = "clear_env = true\nenv = { MINE = \"1\" }";
    let mut command = desk.job(keys, "cat /proc/self/environ");
    for name in ["HOME", "USER", "LOGNAME", "TERM", "LANG", "SECRET", "LD_X"] {
        command.env(name, "/x");
    }
    let ours = [
        "HOME",
        "LOCKKEEPER_CLASS",
        "LOCKKEEPER_JOB",
        "LOCKKEEPER_RUN_ID",
        "LOGNAME",
        "MINE",
        "PATH",
    ];
    // dash exports PWD.
    let told = names(&said(&mut command));
    let told: Vec<_> = told.iter().filter(|name| *name != "PWD").collect();
    let expected: Vec<_> = ours.into_iter().chain(["TERM", "USER"]).collect();
    assert_eq!(told, expected);
}

#[test]
fn with_clear_env_the_names_of_the_user_are_those_of_the_one_it_runs_as() {
    need!("root");
    let desk = Desk::new();
    let keys = "clear_env = true\nuser = \"nobody\"";
    let mut command = desk.job(keys, "echo $USER $LOGNAME $HOME");
    let told = said(command.env("HOME", "/root").env("USER", "root"));
    assert!(told.starts_with("nobody nobody "), "{told}");
    assert!(!told.contains("root"), "{told}");
}

#[test]
fn of_two_values_the_jobs_own_goes_before_files_and_files_before_what_was_inherited() {
    let desk = Desk::new();
    desk.write("one", "A=one\nB=one\nC=one\nD=one\n");
    desk.write("two", "# later\nB=two\nC=two\nexport D='two'\n");
    desk.write("key", "sk-from-a-file\n\n");
    let keys = "env_file = [\"DIR/one\", \"DIR/two\"]\n\
                env = { C = \"own\", D = { file = \"DIR/key\" } }";
    let script = "printf '%s|' \"$A\" \"$B\" \"$C\" \"$D\" \"$E\"";
    let mut command = desk.job(keys, script);
    for name in ["A", "B", "C", "D", "E"] {
        command.env(name, "inherited");
    }
    // One line break at the end of a file is no part of the value.
    assert_eq!(
        said(&mut command),
        "one|two|own|sk-from-a-file\n|inherited|"
    );
}

#[test]
fn a_file_that_cannot_be_used_refuses_the_start_and_shows_nothing_of_it() {
    let desk = Desk::new();
    desk.write("bad", "A=1\nsk-not-shown\n");
    desk.write("empty", "\n");
    for (keys, why) in [
        ("env_file = \"DIR/none\"", "no such file or directory"),
        (
            "env_file = \"DIR/bad\"",
            "cannot be used, in line 2: it has no `=`",
        ),
        (
            "env = { KEY = { file = \"DIR/none\" } }",
            "the value of KEY, cannot be used: no such file",
        ),
        (
            "env = { KEY = { file = \"DIR/empty\" } }",
            "the value of KEY, cannot be used: it is empty",
        ),
        (
            "env = { KEY = { file = \"DIR\" } }",
            "the value of KEY, cannot be used: is a directory",
        ),
    ] {
        let (code, told) = refused(&mut desk.job(keys, "echo begun"));
        assert_eq!(code, Some(75), "{told}");
        assert!(told.contains(why) && !told.contains("sk-"), "{told}");
    }
}

#[test]
fn a_variable_from_a_file_is_one_that_require_env_finds() {
    let desk = Desk::new();
    desk.write("env", "KEY=x\n");
    let keys = "require_env = [\"KEY\"]\nenv_file = \"DIR/env\"";
    assert_eq!(said(&mut desk.job(keys, "echo $KEY")), "x");
    let keys = "require_env = [\"KEY\"]\nclear_env = true";
    let (code, told) = refused(desk.job(keys, "echo $KEY").env("KEY", "x"));
    assert_eq!(code, Some(75), "{told}");
}

#[test]
fn secrets_from_files_are_masked_whatever_they_are_called_and_stand_in_no_record() {
    let desk = Desk::new();
    desk.write(
        "env",
        "PLAIN=shown-as-it-is\nAPI_TOKEN=sk-by-its-name\nTOLD=sk-as-told\n",
    );
    desk.write("key", "sk-by-its-place\n");
    let keys = "env_file = \"DIR/env\"\nenv = { OTHER = { file = \"DIR/key\" } }\n\
                output = \"file\"\nlog_dir = \"DIR/log\"\nredact = [\"TOLD\"]\n\
                require_env = [\"sk-as-told\"]";
    fs::create_dir(desk.path("events")).unwrap();
    let keys_without = keys.replace("\nrequire_env = [\"sk-as-told\"]", "");
    let script = "echo $PLAIN; echo $API_TOKEN; echo $TOLD; echo $OTHER";
    let mut command = desk.job(&keys_without, script);
    said(command.env("LOCKKEEPER_EVENT_LOG", desk.path("events")));
    let log = fs::read_to_string(desk.path("log/dev.log")).unwrap();
    assert_eq!(log.matches("***").count(), 3, "{log}");
    assert!(log.contains("shown-as-it-is"), "{log}");
    for events in fs::read_dir(desk.path("events")).unwrap() {
        let events = fs::read_to_string(events.unwrap().path()).unwrap();
        assert!(!events.contains("sk-"), "{events}");
    }
    // lockkeeper's own words: a folder that has a secret's name.
    let keys = format!("{keys_without}\ndir = \"DIR/sk-by-its-place\"");
    let (code, told) = refused(&mut desk.job(&keys, script));
    assert_eq!(code, Some(78), "{told}");
    assert!(told.contains("***") && !told.contains("sk-by"), "{told}");
}

#[test]
fn secrets_from_files_are_masked_in_all_output_that_passes_through_us() {
    let desk = Desk::new();
    desk.write("env", "API_TOKEN=sk-by-its-name\nPLAIN=shown-as-it-is\n");
    desk.write("key", "sk-by-its-place\n");
    let files = "env_file = \"DIR/env\"\nenv = { OTHER = { file = \"DIR/key\" } }\n";
    let script = "echo $PLAIN $API_TOKEN $OTHER";
    for key in [
        "idle_timeout = \"1h\"",
        "final = { line = \"never said\", grace = \"1h\" }",
        "pty = true",
    ] {
        let said = said(&mut desk.job(&format!("{files}{key}"), script));
        assert_eq!(said, "shown-as-it-is *** ***", "{key}");
    }
    // Where it does not, it is the command's own affair.
    let said = said(&mut desk.job(files, script));
    assert_eq!(said, "shown-as-it-is sk-by-its-name sk-by-its-place");
}

#[test]
fn less_memory_than_asked_for_refuses_the_start() {
    let desk = Desk::new();
    let (code, told) = refused(&mut desk.job("require_free_memory = \"900T\"", "echo begun"));
    assert_eq!(code, Some(75), "{told}");
    assert!(told.contains("require_free_memory asks for"), "{told}");
    let keys = "require_free_memory = \"1M\"";
    assert_eq!(said(&mut desk.job(keys, "echo begun")), "begun");
}

#[test]
fn folders_are_made_as_the_jobs_user_and_for_nobody_else() {
    need!("root");
    let desk = Desk::new();
    fs::set_permissions(
        &*desk.dir,
        std::os::unix::fs::PermissionsExt::from_mode(0o1777),
    )
    .unwrap();
    let keys = "user = \"65534\"\ncreate_dirs = [\"DIR/home/.claude\"]";
    let script = "stat -c '%u %a' DIR/home DIR/home/.claude";
    let script = script.replace("DIR", &desk.dir.display().to_string());
    let told = said(&mut desk.job(keys, &script));
    assert_eq!(told, "65534 700\n65534 700");
    // Root could; he may not.
    fs::create_dir(desk.path("roots")).unwrap();
    let keys = "user = \"65534\"\ncreate_dirs = [\"DIR/roots/x\"]";
    let (code, told) = refused(&mut desk.job(keys, "echo begun"));
    assert_eq!(code, Some(75), "{told}");
    assert!(
        told.contains("create_dirs") && told.contains("permission denied"),
        "{told}"
    );
    assert!(!desk.path("roots/x").exists());
}
