//! What is told of a holder that leaves no claim, as flock(1) does: his number and his name, where the kernel
//! shows them, and where it does not, that.

use std::process::{Command, Output};

use serde_json::{Value, json};

use super::support::bin;
use super::support::child::{self, Tied, bare, output, signal, text};
use super::support::locks::waiters;
use super::support::need::need;
use super::support::ns::{Ns, children};
use super::support::pty::Pty;
use super::support::scene::Scene;
use super::support::wait::until;
use nix::sys::signal::Signal::SIGKILL;

/// flock(1), which runs a command and keeps the lock itself.
fn flock(scene: &Scene) -> Tied {
    let mut command = Command::new("flock");
    bare(&mut command).arg(scene.lock()).args(["cat"]);
    let mut holder = child::start(&mut command);
    holder.say("has it");
    assert_eq!(holder.line().as_deref(), Some("has it"));
    holder
}

/// A shell that has a flock(1) lock a descriptor of its own, and does `more` before it says so: who took the
/// lock is gone by then.
fn script(scene: &Scene, more: &str) -> Tied {
    let text = format!("exec 9>>\"$1\"; flock 9; {more}; echo has it; read end");
    let mut command = Command::new("bash");
    bare(&mut command)
        .args(["-c", &text, "sh"])
        .arg(scene.lock());
    let mut holder = child::start(&mut command);
    assert_eq!(holder.line().as_deref(), Some("has it"));
    holder
}

/// A run that does not wait, and what it said.
fn refused(scene: &Scene) -> String {
    let refused = output(&mut scene.run_command("--wait 0s", "out never"));
    assert_eq!(refused.status.code(), Some(75));
    text(&refused.stderr)
}

fn asked(words: &[&str], scene: &Scene) -> Output {
    let mut command = Command::new(bin::lockkeeper());
    bare(&mut command).args(words).arg(scene.lock());
    output(&mut command)
}

/// What is told of the lock, in words and as values.
fn shown(scene: &Scene, words: &[&str]) -> (String, Value) {
    let told = text(&asked(words, scene).stdout);
    // It is folded to the width of a line.
    let told: Vec<&str> = told.split_whitespace().collect();
    let json = asked(&[words, &["--json"]].concat(), scene).stdout;
    (told.join(" "), serde_json::from_slice(&json).unwrap())
}

#[test]
fn a_plain_flock_is_named_to_who_waits_for_it_and_to_who_asks() {
    let scene = Scene::new();
    let holder = flock(&scene);
    let pid = holder.pid();
    let named = format!("held by process {pid} (flock)");
    let said = refused(&scene);
    assert!(
        said.contains(&format!("{named}, which leaves no claim; ")),
        "{said}"
    );
    let (told, json) = shown(&scene, &["lock", "show"]);
    assert!(
        told.contains(&format!("{named}, which leaves no claim")),
        "{told}"
    );
    assert_eq!(json["unclaimed"], json!([pid]));
    assert_eq!(json["unclaimed_names"], json!(["flock"]));
    let (told, json) = shown(&scene, &["status"]);
    assert!(
        told.contains(&format!("{named}, without a claim, 0 waiting")),
        "{told}"
    );
    let lock = &json["locks"][0];
    assert_eq!(
        (&lock["unclaimed"], &lock["unclaimed_names"]),
        (&json!([pid]), &json!(["flock"]))
    );
}

#[test]
fn where_the_flock_of_a_script_has_gone_the_script_is_named() {
    let scene = Scene::new();
    let holder = script(&scene, ":");
    let named = format!(
        "held by process {} (bash), which leaves no claim",
        holder.pid()
    );
    let said = refused(&scene);
    assert!(said.contains(&named), "{said}");
    let (told, _) = shown(&scene, &["lock", "show"]);
    assert!(told.contains(&named), "{told}");
}

#[test]
fn a_name_that_its_process_chose_commands_no_terminal() {
    let scene = Scene::new();
    let more = "printf '\\033[2J) evil\\233' >/proc/$$/comm";
    let holder = script(&scene, more);
    let pid = holder.pid();
    for told in [
        refused(&scene),
        text(&asked(&["lock", "show"], &scene).stdout),
        text(&asked(&["lock", "show", "--json"], &scene).stdout),
        text(&asked(&["status"], &scene).stdout),
        text(&asked(&["status", "--json"], &scene).stdout),
    ] {
        let bad = told.chars().find(|c| c.is_control() && *c != '\n');
        assert_eq!(bad, None, "{told:?}");
    }
    let said = refused(&scene);
    assert!(
        said.contains(&format!("process {pid} (?[2J) evil\u{fffd})")),
        "{said}"
    );
}

#[test]
fn who_sees_no_other_processes_says_so_and_names_nobody() {
    need!("root");
    let scene = Scene::new();
    let _holder = flock(&scene);
    let lock = scene.lock().display().to_string();
    let words = ["run", "--lock", &lock, "--wait", "0s", "--", "true"];
    // What it says goes where the test reads it.
    let inside = Ns::root()
        .shell("exec 2>&1")
        .start(bin::lockkeeper(), &words);
    let mut process = inside.process;
    let mut said = String::new();
    while let Some(line) = process.line() {
        said += &line;
    }
    assert_eq!(process.wait().code(), Some(75), "{said}");
    assert!(
        said.contains("a process that leaves no claim")
            && said.contains("cannot be seen from here"),
        "{said}"
    );
    assert!(!said.contains("held by process"), "{said}");
}

#[test]
fn the_line_names_who_has_the_lock_after_a_holder_that_was_killed_before_anybody_claims_it() {
    let scene = Scene::new();
    let mut holder = scene.begun("", "out begun , cat");
    let (guard, monitor) = (holder.pid(), children(holder.pid())[0]);
    let mut plain = Command::new("flock");
    bare(&mut plain).arg(scene.lock()).args(["cat"]);
    let mut plain = child::start(&mut plain);
    until("flock waits", || waiters(&scene.lock()) == 1);
    let mut pty = Pty::start(&mut scene.run_command("", "out through"), Command::spawn);
    pty.until("session.lock: held by puppet ");
    // The guard first, and both at once for all that the other can do: it would end the run.
    signal(guard, nix::sys::signal::Signal::SIGSTOP);
    signal(monitor, SIGKILL);
    signal(guard, SIGKILL);
    holder.hang_up();
    let next = plain.pid();
    pty.until(&format!("held by process {next} (flock)"));
    plain.hang_up();
    pty.until("through");
}
