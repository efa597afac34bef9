//! The file is read anew: by `reload`, by HUP, valid and broken, while jobs start and end.
//!
//! `tests/reload.sh` plays ten thousand reloads; the test here two hundred.

use std::collections::BTreeSet;
use std::fs;

use nix::sys::signal::Signal;

use super::{Desk, JOBS};
use crate::support::bin;
use crate::support::child::{self, halt, signal};
use crate::support::need::need;
use crate::support::ns::{Ns, children};
use crate::support::scene::{Scene, ended};
use crate::support::wait::until;

const ROUNDS: &str = "LOCKKEEPER_RELOADS";

/// Puts another file in the place of init's, as editors do.
fn write(desk: &Desk, toml: &str) {
    let text = Scene::toml_at(desk.scene.folder(), toml);
    let new = desk.scene.path("new.toml");
    fs::write(&new, text).unwrap();
    fs::rename(new, desk.scene.path("lockkeeper.toml")).unwrap();
}

#[test]
fn a_reload_says_what_changes_and_applies_it() {
    need!("root");
    let desk = Desk::new(JOBS);
    until("it runs", || desk.state("chat") == "running");
    let run = desk.row("chat")["run_id"].clone();
    let new = JOBS
        .replace("[jobs.dev]", "[jobs.review]")
        .replace("ignore TERM", "ignore TERM,HUP")
        .replace("stay = true", "stay = true\nname = \"other\"");
    write(&desk, &new);
    let expected = |would: &str| {
        format!(
            "job review: {would}added\n\
             job chat: {would}changed; a run that is going keeps its plan\n\
             job dev: {would}removed; a run that is going goes on to its end\n\
             [init] name: {would}changed\n"
        )
    };
    assert_eq!(
        desk.ask(&["reload", "--dry-run"]).out,
        expected("would be ")
    );
    assert_eq!(desk.state("dev"), "idle", "nothing has changed");
    assert_eq!(desk.ask(&["reload"]).out, expected(""));
    assert_eq!(desk.state("dev"), "none");
    assert_eq!(desk.row("chat")["run_id"], run, "it keeps its run");
    assert_eq!(desk.ask(&["start", "review"]).code, 0);
    let again = desk.ask(&["reload"]);
    assert_eq!(
        again.out,
        "the file says what it said before: nothing changes\n"
    );
    assert!(
        desk.ask(&["status"])
            .out
            .starts_with("other: init is process 1")
    );
    assert!(desk.said("1 job added (review); 1 job removed (dev); 1 job changed (chat)") == 1);
}

#[test]
fn a_broken_file_changes_nothing_and_all_of_its_errors_are_shown() {
    need!("root");
    let desk = Desk::new(JOBS);
    until("it runs", || desk.state("chat") == "running");
    write(
        &desk,
        &format!("{JOBS}nonsense = 7\n[jobs.x]\nclass = \"no-such\"\n"),
    );
    for args in [&["reload"][..], &["reload", "--dry-run"]] {
        let asked = desk.ask(args);
        assert_eq!(asked.code, 78, "{asked:?}");
        assert!(asked.err.contains(" | nonsense = 7\n"), "{asked:?}");
        assert!(asked.err.contains("    | ^^^^^^^^\n"), "{asked:?}");
        assert!(asked.err.contains("no-such"), "all of them: {asked:?}");
    }
    assert_eq!(desk.said("nothing has changed"), 1, "one was a dry run");
    fs::remove_file(desk.scene.path("lockkeeper.toml")).unwrap();
    let asked = desk.ask(&["reload"]);
    assert_eq!(asked.code, 78);
    assert!(
        asked.err.contains("cannot open the configuration"),
        "{asked:?}"
    );
    assert_eq!(desk.state("dev"), "idle");
    desk.is_well();
}

#[test]
fn hup_does_the_same() {
    need!("root");
    let desk = Desk::new(JOBS);
    write(&desk, &JOBS.replace("[jobs.dev]", "[jobs.review]"));
    signal(desk.pid(), Signal::SIGHUP);
    until("the new one is there", || desk.state("review") == "idle");
    write(&desk, "nonsense = 7\n");
    signal(desk.pid(), Signal::SIGHUP);
    until("it says so", || desk.said("nothing has changed") == 1);
    assert_eq!(desk.state("review"), "idle");
    desk.is_well();
}

#[test]
fn a_crash_after_a_reload_gives_the_runs_the_time_that_the_new_file_says() {
    need!("root");
    let file = |within: &str, script: &str| {
        format!(
            "[init]\nstay = true\nstop_within = \"{within}\"\n[classes.quick]\nkind = \"interactive\"\n\
             stdin = \"null\"\n[jobs.a]\nclass = \"quick\"\nstart = \"manual\"\nscript = {script}\n"
        )
    };
    let mut desk = Desk::new(&file("1s", "hang"));
    // Longer than the first file gives.
    write(
        &desk,
        &file("20s", "mark PAGE 1 , cleanup 1500 DIR/cleaned"),
    );
    assert_eq!(desk.ask(&["reload"]).code, 0);
    assert_eq!(desk.ask(&["start", "a"]).code, 0);
    until("it runs", || desk.scene.page.alive().get(&1) == Some(&1));
    signal(desk.pid(), Signal::SIGSEGV);
    assert_eq!(ended(&mut desk.init.process).code(), Some(125));
    let cleaned = fs::read_to_string(desk.scene.path("cleaned"));
    assert_eq!(cleaned.ok().as_deref(), Some("cleaned up\n"));
    desk.scene.assert_empty();
}

#[test]
fn a_secret_that_a_reload_names_is_masked_from_then_on() {
    need!("root");
    let desk = Desk::new(JOBS);
    let secret = "\n[jobs.a]\nclass = \"quick\"\nenv = { KEY = \"swordfish\" }\nredact = [\"KEY\"]\n\
                  output = \"both\"\nlog_dir = \"DIR/logs\"\nscript = out done\n";
    write(&desk, &format!("{JOBS}{secret}"));
    assert_eq!(desk.ask(&["reload"]).code, 0);
    write(&desk, "swordfish = 7\n");
    assert_eq!(desk.ask(&["reload"]).code, 78);
    until("it says so", || desk.said("nothing has changed") == 1);
    assert_eq!(desk.said("swordfish"), 0, "{}", desk.errors());
    assert_eq!(
        desk.said("unknown table or key `***`") + desk.said("`***`"),
        1 + desk.said("unknown table or key `***`"),
        "{}",
        desk.errors()
    );
}

#[test]
fn a_secret_of_a_run_that_is_going_is_masked_whatever_the_files_say_meanwhile() {
    need!("root");
    let secret = "env = { KEY = \"swordfish\" }\nredact = [\"KEY\"]\noutput = \"both\"\n\
                  log_dir = \"DIR/logs\"\n";
    let file = |keys: &str| {
        format!("{JOBS}[jobs.a]\nclass = \"quick\"\n{keys}script = mark PAGE 3 , hang\n")
    };
    let desk = Desk::new(&file(secret));
    until("it runs", || desk.scene.page.alive().get(&3) == Some(&1));
    for keys in ["", "grace_nothing = 1\n", "env = { OTHER = \"x\" }\n", ""] {
        write(&desk, &file(keys));
        let valid = !keys.contains("nothing");
        assert_eq!(desk.ask(&["reload"]).code == 0, valid, "{keys}");
    }
    write(&desk, "swordfish = 7\n");
    assert_eq!(desk.ask(&["reload"]).code, 78);
    until("it says so", || desk.said("`***`") == 1);
    assert_eq!(desk.said("swordfish"), 0, "{}", desk.errors());
}

/// An init whose file lies on a file server, and the number of that, which hangs when it is stopped.
fn served(toml: &str) -> (Desk, i32) {
    let scene = Scene::new();
    let (real, shown) = (scene.path("real"), scene.path("shown"));
    for dir in [&real, &shown] {
        fs::create_dir(dir).unwrap();
    }
    let file = Scene::toml_at(scene.folder(), toml);
    fs::write(real.join("a.toml"), file).unwrap();
    let errors = scene.path("errors").display().to_string();
    let init = Ns::root()
        .shell("mount -t tmpfs none /run")
        .bindfs(&real, &shown)
        .shell(&format!("exec 2>>'{errors}'"))
        .start(
            bin::lockkeeper(),
            &["init", "-c", &shown.join("a.toml").display().to_string()],
        );
    let desk = Desk { scene, init };
    until("it listens", || desk.listens());
    let all = children(desk.pid());
    let server = all.into_iter().find(|pid| is_it(*pid, "bindfs"));
    (desk, server.expect("a server"))
}

/// Whether the words of that process hold this one.
fn is_it(pid: i32, word: &str) -> bool {
    let words = fs::read_to_string(format!("/proc/{pid}/cmdline"));
    words.is_ok_and(|words| words.split('\0').any(|other| other == word))
}

#[test]
fn a_file_on_a_server_that_hangs_delays_nobody() {
    need!("root", "bindfs", "fuse");
    let (desk, server) = served(JOBS);
    halt(server);
    let mut reload = child::start(
        desk.command(&["reload"])
            .stderr(std::process::Stdio::null()),
    );
    desk.is_well();
    signal(desk.pid(), Signal::SIGHUP);
    assert_eq!(ended(&mut reload).code(), Some(69));
    until("it says so", || desk.said("takes too long") == 1);
    desk.is_well();
    signal(server, Signal::SIGCONT);
    until("it can be read again", || desk.ask(&["reload"]).code == 0);
    desk.is_well();
}

#[test]
fn a_file_that_was_read_when_the_stop_has_begun_is_not_taken_and_whoever_asked_is_told() {
    need!("root", "bindfs", "fuse");
    let deaf = "[init]\nstop_within = \"1h\"\n[classes.interactive]\nstdin = \"null\"\n\
                stop = { grace = \"1h\" }\n[jobs.chat]\nclass = \"interactive\"\n\
                script = mark PAGE 1 , ignore TERM , hang\n";
    let (mut desk, server) = served(deaf);
    until("it runs", || desk.scene.page.alive().get(&1) == Some(&1));
    fs::write(
        desk.scene.path("real/a.toml"),
        Scene::toml_at(
            desk.scene.folder(),
            &deaf.replace("jobs.chat", "jobs.other"),
        ),
    )
    .unwrap();
    halt(server);
    let request = format!("{}\n", r#"{"v":1,"op":"reload"}"#);
    let mut first = desk.connect();
    assert!(first.send(request.as_bytes()));
    until("it is read", || {
        children(desk.pid()).iter().any(|pid| is_it(*pid, "@plan"))
    });
    // Who comes now is to be answered by the next reading. (Those who ask after him are heard after him.)
    let mut second = desk.connect();
    assert!(second.send(request.as_bytes()));
    assert_eq!(desk.ask(&["health"]).code, 0);
    signal(desk.pid(), Signal::SIGTERM);
    until("it stops", || desk.said("stop asked by SIGTERM") == 1);
    signal(server, Signal::SIGCONT);
    for talk in [&mut first, &mut second] {
        let answer = talk.line().expect("an answer");
        assert!(answer.contains("init is about to end"), "{answer}");
    }
    assert_eq!(desk.said("the file was read again"), 0, "{}", desk.errors());
    for pid in desk.scene.living() {
        signal(pid, Signal::SIGKILL);
    }
    assert_eq!(ended(&mut desk.init.process).code(), Some(0));
}

/// Jobs that start and end all the time: each leaves a line at its start and at its end, and finds out
/// whether another of it is there.
fn loaded(env: &str, extra: &str) -> String {
    const HEAD: &str = "[init]\nstay = true\n[classes.quick]\nkind = \"interactive\"\n\
        stdin = \"null\"\nstop = { grace = \"2s\", leftover_grace = \"100ms\" }\n";
    let jobs = ["a", "b", "c", extra].map(|job| {
        let env = if job == "b" { env } else { "" };
        format!(
            "[jobs.{job}]\nclass = \"quick\"\nevery = \"1s\"\njitter = \"1s\"\n{env}\
             command = [\"sh\", \"-c\", \"mkdir DIR/{job}.on || echo {job} >>DIR/doubles; \
             echo {job} >>DIR/starts; sleep 0.2; rmdir DIR/{job}.on; echo {job} >>DIR/ends\"]\n"
        )
    });
    let stays = format!(
        "[jobs.stays]\nclass = \"quick\"\n{env}command = [\"sh\", \"-c\", \"echo up >>DIR/stays; \
         trap 'echo $X >>DIR/kept; exit 0' TERM; while :; do sleep 1000 & wait; done\"]\n"
    );
    [HEAD, &jobs.concat(), &stays].concat()
}

#[test]
fn reloads_under_load_lose_no_run_double_none_and_leave_no_memory() {
    need!("root");
    let rounds = std::env::var(ROUNDS).map_or(200, |rounds| rounds.parse().unwrap());
    // The long campaign is about what people get. (What glibc's malloc keeps after ten thousand rounds,
    // of the same few kB in use, depends on who happened to run when.)
    let program = if rounds > 200 {
        need!("static");
        bin::static_build("lockkeeper")
    } else {
        bin::lockkeeper().to_owned()
    };
    let files = [
        loaded("env = { X = \"1\" }\n", "d"),
        "nonsense = 7\n".to_owned(),
        loaded("env = { X = \"2\" }\n", "e"),
        format!("{}[jobs.a]\n", loaded("", "f")),
    ];
    let mut desk = Desk::of(&program, Ns::root(), &files[0]);
    until("it is up", || desk.lines("stays") == 1);
    let run = desk.row("stays")["run_id"].clone();
    let mut talk = desk.connect();
    let mut after_hundred = 0;
    for round in 0..rounds {
        let file = &files[(round + 1) % files.len()];
        write(&desk, file);
        let answer = talk.ask(r#"{"v":1,"op":"reload"}"#);
        let valid = file.contains("[init]") && !file.ends_with("[jobs.a]\n");
        assert_eq!(answer["ok"], valid, "{answer}");
        if round + 1 == 100 {
            // A hundred go by before the first tick of some: under load is what has had its runs.
            until("the load is on", || desk.lines("ends") >= 12);
            after_hundred = desk.own_kb();
        }
    }
    let at_end = desk.own_kb();
    eprintln!("{rounds} reloads: {after_hundred} kB after a hundred, {at_end} kB at the end");
    assert!(
        at_end <= after_hundred + 64,
        "{after_hundred} kB, then {at_end} kB"
    );
    let stays = desk.row("stays");
    assert_eq!(
        (&stays["run_id"], desk.lines("stays")),
        (&run, 1),
        "one run, the same"
    );
    let before = desk.lines("ends");
    until("they still come", || desk.lines("ends") >= before + 4);
    signal(desk.pid(), Signal::SIGTERM);
    assert_eq!(
        ended(&mut desk.init.process).code(),
        Some(0),
        "{}",
        desk.errors()
    );
    let read = |name: &str| fs::read_to_string(desk.scene.path(name)).unwrap_or_default();
    assert_eq!(read("doubles"), "", "two runs of one job at once");
    assert_eq!(
        read("kept"),
        "1\n",
        "it kept the plan that it was started with"
    );
    // Each run that init began has come to its end, and was begun once.
    let errors = desk.errors();
    let runs = |end: &str| -> Vec<String> {
        let lines = errors
            .lines()
            .filter_map(|line| line.split_once(": run ").map(|(_, text)| text));
        let of = lines.filter(|text| text.contains(end));
        of.filter_map(|text| Some(text.split(' ').next()?.to_owned()))
            .collect()
    };
    let (begun, over) = (runs(" starts"), runs(" over,"));
    let once: BTreeSet<&String> = begun.iter().collect();
    assert_eq!(once.len(), begun.len(), "no run twice");
    assert_eq!(once, over.iter().collect(), "none lost");
    assert_eq!(over.len(), begun.len());
    let commands = desk.lines("starts") + desk.lines("stays");
    // The stop may come between the start of a command and its first word.
    let cut_off = runs("(the stop of init)").len();
    let silent = begun.len() - commands;
    assert!(silent <= cut_off, "{silent} runs without a command");
}
