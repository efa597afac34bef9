//! What must hold before a command starts: refused with a reason, nothing claimed, asked again by
//! whatever starts the job next.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use lockkeeper::core::event::{Action, Event};
use lockkeeper::core::run::Run;
use lockkeeper::run::event_log::{Entry, Head};
use nix::sys::signal::Signal::{SIGCONT, SIGTERM};

use crate::support::bin;
use crate::support::child::{self, halt, output, signal, text};
use crate::support::dir::Dir;
use crate::support::need::need;
use crate::support::ns::{Ns, children};
use crate::support::scene::{Scene, child_of, ended, waits_in};
use crate::support::wait::{until, until_some};

/// `lockkeeper run` of the job `dev`, which takes turns on the scene's lock and says `begun`.
fn job(scene: &Scene, keys: &str) -> Command {
    let config = scene.config(&format!(
        "[locks.it]\npath = \"LOCK\"\nshared_mount = \"off\"\n\
         [classes.batch]\nlock = \"it\"\nwait = \"forever\"\n\
         [jobs.dev]\nclass = \"batch\"\nscript = out begun\n{keys}"
    ));
    let mut command = Command::new(bin::lockkeeper());
    child::bare(&mut command)
        .args(["run", "-c"])
        .arg(config)
        .arg("dev");
    command
}

/// Its exit code, what the command said, and what lockkeeper said.
fn told(command: &mut Command) -> (Option<i32>, String, String) {
    let told = output(command);
    (told.status.code(), text(&told.stdout), text(&told.stderr))
}

#[test]
fn a_path_that_is_not_there_refuses_the_start_with_75_and_joins_no_queue() {
    let scene = Scene::new();
    let held = scene.hold();
    let keys = "require_path = [\"DIR\", \"DIR/mounted\"]";
    let (code, out, err) = told(&mut job(&scene, keys));
    assert_eq!((code, &*out), (Some(75), ""), "{err}");
    let named = format!("{:?}, which require_path asks for", scene.path("mounted"));
    assert!(err.contains(&named), "{err}");
    drop(held);
    File::create(scene.path("mounted")).unwrap();
    let (code, out, err) = told(&mut job(&scene, keys));
    assert_eq!((code, &*out), (Some(0), "begun\n"), "{err}");
}

#[test]
fn who_waited_for_the_lock_asks_again_and_gives_it_to_the_next_when_refused() {
    let scene = Scene::new();
    let lock = scene.hold();
    fs::create_dir(scene.path("events")).unwrap();
    File::create(scene.path("mounted")).unwrap();
    let mut command = job(&scene, "require_path = [\"DIR/mounted\"]");
    let mut run = child::start(command.env("LOCKKEEPER_EVENT_LOG", scene.path("events")));
    until("it queues", || scene.waiting() == 1);
    fs::remove_file(scene.path("mounted")).unwrap();
    drop(lock);
    assert_eq!(ended(&mut run).code(), Some(75));
    assert_eq!(run.line(), None);
    scene.assert_empty();
    assert!(scene.is_free());

    let log = fs::read_dir(scene.path("events")).unwrap().next();
    let log = fs::read_to_string(log.unwrap().unwrap().path()).unwrap();
    let mut lines = log.lines();
    let head: Head = serde_json::from_str(lines.next().unwrap()).unwrap();
    let mut replayed = Run::new(head.facts);
    let mut checks = 0;
    for line in lines {
        let entry: Entry = serde_json::from_str(line).unwrap();
        let mut actions = Vec::new();
        replayed.handle(entry.at, &entry.event, &mut actions);
        assert_eq!(actions, entry.actions, "after {line}");
        checks += usize::from(actions.contains(&Action::CheckStart));
        let answer = matches!(
            entry.event,
            Event::StartAllowed | Event::StartRefused { .. }
        );
        assert!(!answer || checks > 0);
    }
    assert_eq!(checks, 2);
}

#[test]
fn a_variable_must_have_a_value_wherever_it_comes_from() {
    let scene = Scene::new();
    let keys = "require_env = [\"API_KEY\"]";
    let refused = |command: &mut Command| {
        let (code, out, err) = told(command);
        assert_eq!((code, &*out), (Some(75), ""), "{err}");
        assert!(err.contains("the variable API_KEY, which require_env asks for"));
    };
    refused(&mut job(&scene, keys));
    refused(job(&scene, keys).env("API_KEY", ""));
    let emptied = format!("{keys}\nenv = {{ API_KEY = \"${{NONE:-}}\" }}");
    refused(job(&scene, &emptied).env("API_KEY", "key"));
    let (code, out, err) = told(job(&scene, keys).env("API_KEY", "key"));
    assert_eq!((code, &*out), (Some(0), "begun\n"), "{err}");
    let set = format!("{keys}\nenv = {{ API_KEY = \"key\" }}");
    let (code, out, err) = told(&mut job(&scene, &set));
    assert_eq!((code, &*out), (Some(0), "begun\n"), "{err}");
}

#[test]
fn an_interactive_run_asks_too() {
    let scene = Scene::new();
    let config = scene.config(
        "[jobs.chat]\nclass = \"interactive\"\nscript = out begun\nrequire_path = [\"DIR/none\"]\n",
    );
    let mut command = Command::new(bin::lockkeeper());
    child::bare(&mut command)
        .args(["run", "-c"])
        .arg(config)
        .arg("chat");
    let (code, out, err) = told(&mut command);
    assert_eq!((code, &*out), (Some(75), ""), "{err}");
}

#[test]
fn a_stop_is_heard_while_the_file_system_of_a_path_does_not_answer() {
    need!("root", "bindfs", "fuse");
    let scene = Scene::new();
    let mount = Dir::new();
    let from = scene.path("from");
    fs::create_dir(&from).unwrap();
    let inside = Ns::root().bindfs(&from, &mount).start(&bin::puppet(), &[]);
    let is_server = |pid: &i32| {
        fs::read_to_string(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|words| words.starts_with("bindfs\0"))
    };
    let bindfs = until_some("a server, which left its parent to PID 1", || {
        children(inside.pid1()).into_iter().find(is_server)
    });
    halt(bindfs);
    job(
        &scene,
        &format!("require_path = [\"{}/x\"]", mount.display()),
    );
    let mut command = inside.enter(bin::lockkeeper());
    command
        .args(["run", "-c"])
        .arg(scene.path("lockkeeper.toml"))
        .arg("dev");
    let mut run = child::start(&mut command);
    // nsenter waits for what it starts in the namespace.
    let guard = child_of(run.pid());
    until("its thread asks the file system", || {
        children(guard)
            .first()
            .is_some_and(|monitor| asks(*monitor))
    });
    signal(guard, SIGTERM);
    let status = ended(&mut run);
    signal(bindfs, SIGCONT);
    assert_eq!(status.code(), Some(143));
    assert_eq!(run.line(), None);
}

/// Whether a thread of that process looks at a path.
fn asks(pid: i32) -> bool {
    let stat = [libc::SYS_statx, libc::SYS_newfstatat];
    Path::new(&format!("/proc/{pid}")).exists() && stat.iter().any(|call| waits_in(pid, *call))
}

#[test]
fn check_says_how_each_condition_stands_and_shows_no_value() {
    let scene = Scene::new();
    fs::write(scene.path("env"), "API_KEY=sk-hidden\nOTHER=sk-hidden\n").unwrap();
    fs::write(scene.path("key"), "sk-hidden\n").unwrap();
    let good = "require_path = [\"DIR\"]\nrequire_env = [\"API_KEY\", \"KEY\"]\n\
                require_free_memory = \"1M\"\ncreate_dirs = [\"DIR\", \"DIR/new\"]\n\
                env_file = \"DIR/env\"\nenv = { KEY = { file = \"DIR/key\" } }";
    job(&scene, good);
    let check = || {
        let mut command = Command::new(bin::lockkeeper());
        child::bare(&mut command)
            .args(["check", "-c"])
            .arg(scene.path("lockkeeper.toml"));
        let told = output(&mut command);
        let said = text(&told.stdout).replace("\n    ", " ");
        assert!(!said.contains("sk-"), "{said}");
        (told.status.code(), said)
    };
    let (code, said) = check();
    for part in [
        "is there (require_path)",
        "API_KEY has a value (require_env)",
        "KEY has a value (require_env)",
        "MiB of memory are free (require_free_memory)",
        "new\" is made when it starts (create_dirs)",
        "has 2 variables (env_file)",
        "has the value of KEY",
    ] {
        assert!(said.contains(part), "no {part}: {said}");
    }
    assert!(
        code == Some(0) && !said.contains("would not start"),
        "{said}"
    );
    assert!(!scene.path("new").exists(), "check changes nothing");
    let bad = "require_path = [\"DIR/none\"]\nrequire_env = [\"NONE\"]\n\
               require_free_memory = \"900T\"\ncreate_dirs = [\"DIR/env\"]\n\
               env_file = \"DIR/none\"\nenv = { KEY = { file = \"DIR/none\" } }";
    job(&scene, bad);
    let (code, said) = check();
    assert_eq!(said.matches("would not start now").count(), 6, "{said}");
    assert_eq!(code, Some(0), "{said}");
}
