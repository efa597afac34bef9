//! A pause for all who use a login: set by a line of a command's output or by hand, and ended by hand.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use lockkeeper::lock::pause::{Pauses, folder, pauses};
use nix::sys::signal::Signal::{SIGTERM, SIGUSR1};

use crate::support::bin;
use crate::support::child::{self, output, signal, text};
use crate::support::need::need;
use crate::support::ns::children;
use crate::support::scene::{Scene, child_of, ended};
use crate::support::wait::until;

/// What an agent says, and where it stands in a line of its own.
const LINE: &str = "Usage limit reached, sorry";

/// A batch job `dev` that pauses all, a job `other` of the same login, and a class of chats.
fn config(scene: &Scene, script: &str, more: &str) -> PathBuf {
    scene.config(&format!(
        "[classes.batch]
        identity = \"DIR\"
        shared_mount = \"off\"
        wait = \"forever\"
        [jobs.dev]
        class = \"batch\"
        pause = {{ line = \"limit reached\", for = \"1h\" }}
        script = {script}
        {more}
        [jobs.other]
        class = \"batch\"
        script = out other
        [classes.interactive]
        identity = \"DIR\""
    ))
}

fn lockkeeper(args: &[&str]) -> Command {
    let mut command = Command::new(bin::lockkeeper());
    child::bare(&mut command).args(args);
    command
}

/// `lockkeeper run -c FILE JOB`: its code, its output, and what lockkeeper said.
fn run(file: &std::path::Path, job: &str) -> (Option<i32>, String, String) {
    told(lockkeeper(&["run", "-c"]).arg(file).arg(job))
}

fn told(command: &mut Command) -> (Option<i32>, String, String) {
    let told = output(command);
    (told.status.code(), text(&told.stdout), text(&told.stderr))
}

/// What `lockkeeper pause ARGS LOCK` says.
fn pause(scene: &Scene, args: &[&str]) -> String {
    child::read(lockkeeper(&["pause"]).args(args).arg(scene.lock()))
}

#[track_caller]
fn one(scene: &Scene) -> lockkeeper::lock::pause::Pause {
    let found = pauses(&scene.lock());
    match found.active.as_slice() {
        [one] if found.ignored.is_empty() => one.clone(),
        _ => panic!("not one pause: {found:?}"),
    }
}

#[test]
fn a_line_on_either_stream_stops_the_next_starts_until_it_is_ended_and_never_a_chat() {
    for (script, more) in [
        (format!("out {LINE}"), ""),
        (format!("err {LINE}"), ""),
        (format!("part {LINE}"), ""),
        (
            format!("out {LINE}"),
            "output = \"file\"\nlog_dir = \"DIR/log\"",
        ),
        (format!("err {LINE}"), "idle_timeout = \"1h\""),
        (format!("err {LINE}"), "pty = true"),
        (
            format!("out {LINE} , exit 1"),
            "final = { line = \"limit\" }",
        ),
    ] {
        let scene = Scene::new();
        let file = config(&scene, &script, more);
        let (_, out, err) = run(&file, "dev");
        assert!(err.contains("pause until 2"), "{script}: {err}");
        if more.is_empty() {
            assert!(format!("{out}{err}").contains(LINE), "it is handed on");
        }
        let set = one(&scene);
        assert_eq!((&*set.by, &*set.said), ("dev", LINE));

        for command in [
            &mut lockkeeper(&["run", "-c", file.to_str().unwrap(), "other"]),
            &mut scene.run_command("", "out other"),
        ] {
            let (code, out, err) = told(command);
            assert_eq!((code, &*out), (Some(75), ""), "{err}");
            assert!(err.contains("by word of job \"dev\" in container"), "{err}");
            assert!(err.contains(&format!("{LINE:?}")), "{err}");
            let end = format!("`lockkeeper pause end {}`", scene.lock().display());
            assert!(err.contains(&end), "{err}");
        }
        let (code, out, err) = told(
            lockkeeper(&["run", "-c"])
                .arg(&file)
                .args(["--class", "interactive", "--"])
                .arg(scene.puppet())
                .args(["out", "chat"]),
        );
        assert_eq!((code, &*out), (Some(0), "chat\n"), "{err}");

        assert!(pause(&scene, &["end"]).contains("ended, 1 removed"));
        let (code, out, err) = run(&file, "other");
        assert_eq!((code, &*out), (Some(0), "other\n"), "{err}");
        scene.assert_empty();
    }
}

#[test]
fn an_interactive_job_of_the_same_login_is_never_stopped() {
    let scene = Scene::new();
    let file = scene.config(
        "[classes.batch]
        identity = \"DIR\"
        shared_mount = \"off\"
        [classes.interactive]
        identity = \"DIR\"
        [jobs.chat]
        class = \"interactive\"
        script = out chat",
    );
    fs::write(scene.lock(), "").unwrap();
    pause(&scene, &["--for", "1h"]);
    for args in [&["run", "-c"][..], &["init", "-c"]] {
        let mut command = lockkeeper(args);
        command.arg(&file);
        command.args((args[0] == "run").then_some("chat"));
        let (code, out, err) = told(&mut command);
        assert_eq!((code, &*out), (Some(0), "chat\n"), "{err}");
        assert!(!err.contains("pause"), "{err}");
    }
}

#[test]
fn who_waits_for_the_lock_of_the_run_that_says_so_does_not_start() {
    let scene = Scene::new();
    // More than fits into our pipe, whose reader takes nothing: the line, the last thing that the command
    // says, is still in its own when it has gone.
    let script =
        format!("block USR1 , spew 100000 , touch DIR/begun , wait USR1 , out , out {LINE}");
    let file = config(&scene, &script, "");
    let mut command = lockkeeper(&["run", "-c"]);
    let mut dev = child::start(command.arg(&file).arg("dev"));
    until("it begins", || scene.path("begun").exists());
    let mut waits = scene.run("", "out started");
    until("it queues", || scene.waiting() == 1);
    for process in scene.living() {
        signal(process, SIGUSR1);
    }
    // Not only dead: its end has been seen.
    let monitor = child_of(dev.pid());
    until("it has gone", || children(monitor).is_empty());
    while let Some(line) = dev.line() {
        if line == LINE {
            break;
        }
    }
    assert_eq!(ended(&mut dev).code(), Some(0));
    assert_eq!(ended(&mut waits).code(), Some(75));
    assert_eq!(waits.line(), None);
    scene.assert_empty();
    assert!(scene.is_free());
}

#[test]
fn a_reader_who_takes_nothing_holds_up_no_stop() {
    let scene = Scene::new();
    for ends in ["block TERM , ", ""] {
        let script = format!("{ends}spew 100000 , touch DIR/said , wait USR1");
        let file = config(&scene, &script, "stop = { grace = \"100ms\" }");
        let mut command = lockkeeper(&["run", "-c"]);
        let mut dev = child::start(command.arg(&file).arg("dev"));
        until("it has said more than our reader's pipe takes", || {
            scene.path("said").exists()
        });
        signal(dev.pid(), SIGTERM);
        let expected = if ends.is_empty() { 143 } else { 137 };
        assert_eq!(ended(&mut dev).code(), Some(expected));
        assert!(scene.is_free());
        scene.assert_empty();
        fs::remove_file(scene.path("said")).unwrap();
    }
}

#[test]
fn a_run_that_is_going_goes_on() {
    let scene = Scene::new();
    let script = "block USR1 , out begun , wait USR1 , exit 7";
    let mut going = scene.begun("", script);
    let said = pause(&scene, &["--for", "1h", "--by", "ada", "--reason", "lunch"]);
    assert!(said.contains("by word of ada in container"), "{said}");
    assert!(
        said.ends_with(&format!(
            "to end it: `lockkeeper pause end {}`",
            scene.lock().display()
        )),
        "{said}"
    );
    for process in scene.living() {
        signal(process, SIGUSR1);
    }
    assert_eq!(ended(&mut going).code(), Some(7));
    let (code, _, err) = told(&mut scene.run_command("", "out other"));
    assert_eq!(code, Some(75));
    assert!(err.contains("\"lunch\""), "{err}");
}

#[test]
fn a_run_inside_a_run_is_a_start_like_any_other() {
    let scene = Scene::new();
    fs::write(scene.lock(), "").unwrap();
    let inner = format!(
        "{:?} pause --for 1h {:?} && exec {:?} run --lock {:?} -- true",
        bin::lockkeeper(),
        scene.lock(),
        bin::lockkeeper(),
        scene.lock()
    );
    let mut command = lockkeeper(&["run", "--lock"]);
    let (code, _, err) = told(command.arg(scene.lock()).args(["--", "sh", "-c", &inner]));
    assert_eq!(code, Some(75), "{err}");
    assert!(err.contains("not started now"), "{err}");
}

#[test]
fn a_pause_that_is_over_stops_nobody_and_is_removed() {
    let scene = Scene::new();
    fs::write(scene.lock(), "").unwrap();
    pause(&scene, &["--for", "1s"]);
    assert_eq!(told(&mut scene.run_command("", "out x")).0, Some(75));
    until("it is over", || pauses(&scene.lock()).active.is_empty());
    let (code, out, err) = told(&mut scene.run_command("", "out x"));
    assert_eq!((code, &*out), (Some(0), "x\n"), "{err}");
    assert_eq!(pauses(&scene.lock()), Pauses::default());
}

#[test]
fn no_secret_stands_in_a_record_or_in_what_others_are_told_of_it() {
    let scene = Scene::new();
    let more = "env = { KEY = \"sesame-open\" }\nredact = [\"KEY\"]";
    let file = config(&scene, "out sesame-open limit reached TOKEN=hidden", more);
    let (_, _, err) = run(&file, "dev");
    assert!(!err.contains("sesame"), "{err}");
    let record = fs::read_dir(folder(&scene.lock())).unwrap().next();
    let record = fs::read_to_string(record.unwrap().unwrap().path()).unwrap();
    assert!(record.contains("*** limit reached"), "{record}");
    assert!(
        !record.contains("sesame") && !record.contains("hidden"),
        "{record}"
    );
}

#[test]
fn a_command_that_says_it_again_and_again_has_one_pause() {
    let scene = Scene::new();
    let again = vec![format!("out {LINE}"); 50].join(" , ");
    let file = config(&scene, &again, "");
    let (_, _, err) = run(&file, "dev");
    assert_eq!(err.matches("pause until").count(), 1, "{err}");
    one(&scene);
}

#[test]
fn where_no_pause_can_be_written_that_is_said_and_the_run_goes_on() {
    let scene = Scene::new();
    let file = config(&scene, &format!("out {LINE} , exit 7"), "");
    fs::create_dir(scene.path("session.lock.d")).unwrap();
    fs::write(scene.path("session.lock.d/pauses"), "").unwrap();
    let (code, _, err) = run(&file, "dev");
    assert_eq!(code, Some(7));
    assert!(err.contains("it is no folder that we can read"), "{err}");
    assert!(err.contains("no pause beside lock"), "{err}");
    assert!(err.contains("remove what lies in its place"), "{err}");
}

#[test]
fn what_is_no_pause_is_named_and_stops_nobody() {
    let scene = Scene::new();
    let folder = folder(&scene.lock());
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("a.pause"), "{").unwrap();
    let (code, out, err) = told(&mut scene.run_command("", "out x"));
    assert_eq!((code, &*out), (Some(0), "x\n"));
    assert_eq!(
        err.matches("is no pause and stops nobody").count(),
        1,
        "{err}"
    );
    let shown = pause(&scene, &[]);
    assert!(
        shown.contains("no pause\n") && shown.contains("stops nobody"),
        "{shown}"
    );
    pause(&scene, &["end"]);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn the_verb_sets_shows_and_ends_the_pauses_of_the_locks_of_the_file() {
    let scene = Scene::new();
    let file = config(&scene, "out x", "");
    fs::write(scene.lock(), "").unwrap();
    let verb = |args: &[&str]| told(lockkeeper(&["pause", "-c"]).arg(&file).args(args));
    let (code, out, _) = verb(&["--json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (code, json["locks"][0]["pauses"].as_array().unwrap().len()),
        (Some(0), 0)
    );
    assert_eq!(json["locks"][0]["path"], scene.lock().to_str().unwrap());

    assert_eq!(verb(&["--for", "2h", "--by", "ada"]).0, Some(0));
    let (_, out, _) = verb(&["--json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    let pause = &json["locks"][0]["pauses"][0];
    let length = pause["until_unix_ms"].as_u64().unwrap() - pause["set_unix_ms"].as_u64().unwrap();
    assert!((7_190_000..=7_200_000).contains(&length), "{length}");
    assert_eq!(pause["by"], "ada");

    let (_, checked, _) = told(lockkeeper(&["check", "-c"]).arg(&file));
    assert!(checked.contains("no batch run on"), "{checked}");
    let shown = child::read(lockkeeper(&["lock", "show"]).arg(scene.lock()));
    assert!(shown.contains("no batch run starts until"), "{shown}");
    let json = child::read(lockkeeper(&["lock", "show", "--json"]).arg(scene.lock()));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["pauses"][0]["by"], "ada");

    let (code, out, _) = verb(&["end", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &json["locks"][0]["ended"]), (Some(0), &1.into()));
    assert_eq!(pauses(&scene.lock()), Pauses::default());
    let (_, out, _) = verb(&["end"]);
    assert!(out.contains("there was no pause"), "{out}");
}

#[test]
fn a_lock_that_is_named_must_exist_and_a_login_is_named_by_its_folder() {
    let scene = Scene::new();
    let nowhere = scene.path("nowhere");
    let (code, _, err) = told(lockkeeper(&["pause", "--for", "1h"]).arg(&nowhere));
    assert_eq!(code, Some(125));
    assert!(
        err.contains("name the lock file, or the folder of the login"),
        "{err}"
    );
    fs::write(scene.lock(), "").unwrap();
    let (code, ..) = told(lockkeeper(&["pause", "--for", "1h"]).arg(scene.folder()));
    assert_eq!(code, Some(0));
    one(&scene);
    let (code, _, err) = told(lockkeeper(&["pause"]).env("LOCKKEEPER_CONFIG", &nowhere));
    assert_eq!(code, Some(78), "{err}");
}

#[test]
fn a_pause_of_the_login_stops_who_has_another_lock_and_one_of_another_login_does_not() {
    let scene = Scene::new();
    fs::create_dir(scene.path("second")).unwrap();
    let file = scene.config(
        "[locks.own]
        path = \"DIR/own.lock\"
        shared_mount = \"off\"
        [classes.first]
        kind = \"batch\"
        identity = \"DIR\"
        lock = \"own\"
        [classes.second]
        kind = \"batch\"
        identity = \"DIR/second\"
        lock = \"own\"
        [jobs.first]
        class = \"first\"
        pause = { line = \"limit\" }
        script = out limit
        [jobs.second]
        class = \"second\"
        script = out second",
    );
    assert_eq!(run(&file, "first").0, Some(0));
    assert_eq!(run(&file, "first").0, Some(75));
    let (code, out, err) = run(&file, "second");
    assert_eq!((code, &*out), (Some(0), "second\n"), "{err}");
    // By hand, for all who take turns there.
    child::read(lockkeeper(&["pause", "--for", "1h"]).arg(scene.path("own.lock")));
    assert_eq!(run(&file, "second").0, Some(75));
}

#[test]
fn a_monitor_that_is_killed_at_any_call_of_the_writing_leaves_no_pause_or_a_whole_one() {
    need!("strace");
    let (mut none, mut whole) = (0, 0);
    for call in ["openat", "fchmod", "write", "renameat", "close"] {
        for time in 1.. {
            let scene = Scene::new();
            let file = config(&scene, &format!("out {LINE}"), "");
            let folder = folder(&scene.lock());
            fs::create_dir_all(&folder).unwrap();
            let mut command = Command::new("strace");
            // The command itself goes its way.
            let args = ["-f", "-b", "execve", "-qq", "-o", "/dev/null"];
            child::bare(&mut command).args(args);
            // A file that does not exist yet has no path to look out for.
            if !["write", "fchmod"].contains(&call) {
                command.arg("-P").arg(&folder);
            }
            let inject = format!("inject={call}:signal=KILL:when={time}");
            command.args(["-e", &inject]).arg(bin::lockkeeper());
            let (code, _, err) = told(command.args(["run", "-c"]).arg(&file).arg("dev"));
            // Without its guard a monitor ends the run by itself.
            until("it is over", || {
                scene.living().is_empty() && scene.is_free()
            });
            let found = pauses(&scene.lock());
            assert_eq!(found.ignored, [], "{inject}");
            let expected = if found.active.is_empty() { 0 } else { 75 };
            assert_eq!(run(&file, "other").0, Some(expected), "{inject}");
            pause(&scene, &["end"]);
            assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
            if code == Some(0) {
                // There were fewer such calls: nobody was killed.
                assert_eq!(found.active.len(), 1, "{inject}: {err}");
                break;
            }
            none += usize::from(found.active.is_empty());
            whole += found.active.len();
        }
    }
    assert!(none >= 4 && whole >= 1, "{none} without, {whole} with");
}
