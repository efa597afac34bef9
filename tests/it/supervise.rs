//! What init does as a supervisor, with real processes: restarts, who starts after whom, how many at
//! once, a thousand jobs. As PID 1 of a namespace of its own.

mod idle;
mod thousand;

use std::fmt::Write as _;
use std::fs;

use nix::sys::signal::Signal::SIGUSR1;

use crate::control::Desk;
use crate::support::bin;
use crate::support::child::{signal, text};
use crate::support::need::need;
use crate::support::ns::Ns;
use crate::support::scene::Scene;
use crate::support::wait::until;

/// The class of all jobs here: nobody's turn, little patience.
const QUICK: &str = "[classes.quick]\nkind = \"interactive\"\nstdin = \"null\"\n\
                     stop = { grace = \"100ms\", leftover_grace = \"100ms\" }\n";

/// A job of that class.
fn job(name: &str, keys: &str, script: &str) -> String {
    format!("[jobs.{name}]\nclass = \"quick\"\n{keys}\nscript = {script}\n")
}

/// A container that stays.
fn staying(jobs: &[String]) -> Desk {
    Desk::new(&format!("[init]\nstay = true\n{QUICK}{}", jobs.concat()))
}

/// An init that ends by itself: its exit code, and what it has said.
fn ended(scene: &Scene, jobs: &[String]) -> (i32, String) {
    let file = scene.config(&format!("{QUICK}{}", jobs.concat()));
    let errors = scene.path("errors");
    let ns = Ns::root()
        .shell("mount -t tmpfs none /run")
        .shell(&format!("exec 2>>'{}'", errors.display()));
    let mut init = ns.start(
        bin::lockkeeper(),
        &["init", "-vv", "-c", &file.display().to_string()],
    );
    let code = init.process.wait().code().unwrap_or(-1);
    (code, text(&fs::read(errors).unwrap()))
}

/// What a job did in the end, in the order in which it was done.
fn order(desk: &Desk) -> String {
    let order = fs::read_to_string(desk.scene.path("order")).unwrap_or_default();
    order.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_job_that_fails_at_once_is_started_again_after_a_time_that_doubles() {
    need!("root");
    let keys = "restart = { when = \"always\", delay = \"100ms\", max_delay = \"400ms\" }";
    let desk = staying(&[job("a", keys, "append DIR/order x , exit 3")]);
    until("five runs", || desk.lines("order") >= 5);
    for (delay, row) in [("100ms", 1), ("200ms", 2), ("400ms", 3), ("400ms", 4)] {
        let note = format!("exit 3: started again in {delay}, restart {row} in a row");
        assert_eq!(desk.said(&note), 1, "{}", desk.errors());
    }
    until("it waits", || desk.state("a") == "backing-off");
    assert_eq!(desk.ask(&["stop", "a"]).code, 0);
    assert_eq!(desk.state("a"), "stopped");
    let runs = desk.lines("order");
    assert_eq!(desk.ask(&["start", "a"]).code, 0);
    until("one more", || desk.lines("order") > runs);
    assert!(desk.row("a")["restarts"].as_u64() >= Some(4));
}

#[test]
fn a_job_that_uses_up_its_restarts_is_a_failure_of_init_only_at_the_end() {
    need!("root");
    let scene = Scene::new();
    let keys = "restart = { delay = \"100ms\", limit = 2 }";
    let jobs = [
        job("a", keys, "append DIR/order a , exit 3"),
        // Fails once, then not: it has not failed.
        "[jobs.b]\nclass = \"quick\"\nrestart = { delay = \"100ms\" }\n\
         command = [\"sh\", \"-c\", \"test -e DIR/b || { touch DIR/b; exit 4; }\"]\n"
            .to_owned(),
    ];
    let (code, said) = ended(&scene, &jobs);
    assert_eq!(code, 3, "{said}");
    assert!(
        said.contains("job a: exit 3 after 2 restarts in a row: given up"),
        "{said}"
    );
    assert!(
        said.contains("job b: exit 4: started again in 100ms"),
        "{said}"
    );
    assert_eq!(
        fs::read_to_string(scene.path("order")).unwrap(),
        "a\na\na\n"
    );
}

#[test]
fn a_job_without_which_nothing_goes_takes_the_container_with_it_in_order() {
    need!("root");
    let scene = Scene::new();
    let keys = "restart = { delay = \"100ms\", limit = 1, then = \"exit\" }";
    let jobs = [
        job("a", keys, "exit 5"),
        job("b", "", "append DIR/order b , cleanup 0 DIR/cleaned"),
    ];
    let (code, said) = ended(&scene, &jobs);
    assert_eq!(code, 5, "{said}");
    assert!(said.contains("given up; init stops"), "{said}");
    assert!(scene.path("cleaned").exists(), "{said}");
}

#[test]
fn a_job_starts_when_the_others_have_started_have_succeeded_and_are_ready() {
    need!("root");
    let desk = staying(&[
        job(
            "web",
            "after = [\"setup\", \"migrate:succeeded\", \"db:ready\"]",
            "append DIR/order web , hang",
        ),
        job(
            "setup",
            "start = \"manual\"",
            "append DIR/order setup , hang",
        ),
        job(
            "migrate",
            "",
            "block USR1 , mark PAGE 1 , wait USR1 , append DIR/order migrate",
        ),
        job(
            "db",
            "ready_timeout = \"1h\"",
            "block USR1 , mark PAGE 2 , wait USR1 , append DIR/order db , notify READY=1 , hang",
        ),
    ]);
    let refused = desk.ask(&["start", "web"]);
    assert_ne!(refused.code, 0);
    assert!(refused.err.contains("it starts only after"), "{refused:?}");
    let runs = |page| desk.scene.page.alive().get(&page) == Some(&1);
    until("both run", || runs(1) && runs(2));
    for pid in desk.scene.living() {
        signal(pid, SIGUSR1);
    }
    until("the one is ready", || desk.state("db") == "ready");
    until("the other is over", || desk.state("migrate") == "over");
    assert_eq!(desk.state("web"), "waiting-for-after");
    assert_eq!(desk.ask(&["start", "setup"]).code, 0);
    // Setup has started when its process has, which may come to its word after web.
    until("it runs", || order(&desk).contains("web"));
    let before = order(&desk);
    let before = before.split("web").next().unwrap();
    assert!(before.contains("migrate") && before.contains("db"));
    assert_eq!(desk.said("not started"), 0);
}

#[test]
fn a_job_whose_forerunner_failed_is_not_started_and_the_container_ends_with_that_failure() {
    need!("root");
    let scene = Scene::new();
    let jobs = [
        job(
            "web",
            "after = [\"migrate:succeeded\"]",
            "append DIR/order web",
        ),
        job("behind", "after = [\"web\"]", "append DIR/order behind"),
        job("migrate", "", "exit 6"),
    ];
    let (code, said) = ended(&scene, &jobs);
    assert_eq!(code, 6, "{said}");
    assert!(!scene.path("order").exists());
    let notes: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("not started"))
        .collect();
    assert_eq!(notes.len(), 2, "{said}");
    assert!(
        notes[0].contains(
            "job web: not started: it waits for job migrate to succeed, which has ended with 6"
        ),
        "{said}"
    );
    assert!(
        notes[1].contains("job behind: not started: it waits for job web to start"),
        "{said}"
    );
}

#[test]
fn no_more_runs_of_a_class_go_than_it_has_places_and_the_others_follow_in_their_order() {
    need!("root");
    let limited = "[init]\nstay = true\n[classes.few]\nkind = \"interactive\"\nstdin = \"null\"\n\
                   max_parallel = 2\n";
    let mut file = limited.to_owned();
    for name in ["a", "b", "c", "d"] {
        writeln!(file, "[jobs.{name}]\nclass = \"few\"").unwrap();
        writeln!(
            file,
            "script = append DIR/order {name} , mark PAGE 1 , hang"
        )
        .unwrap();
    }
    let desk = Desk::new(&file);
    let going = || desk.scene.page.alive().get(&1).copied().unwrap_or(0);
    until("two go", || going() == 2);
    assert_eq!(
        (desk.state("c"), desk.state("d")),
        ("queued".into(), "queued".into())
    );
    assert_eq!(
        desk.said("waits for a place: class few has 2 runs at once"),
        2
    );
    let asked = desk.ask(&["start", "d"]);
    assert_eq!(asked.code, 0, "{asked:?}");
    // Who is restarted keeps his place.
    let before = desk.row("b")["run_id"].clone();
    assert_eq!(desk.ask(&["restart", "b"]).code, 0);
    assert_ne!(desk.row("b")["run_id"], before);
    // A run has begun before its command says so.
    until("it is there again", || desk.lines("order") == 3);
    assert_eq!(desk.state("c"), "queued");
    desk.ask(&["stop", "a"]);
    until("the next", || order(&desk).ends_with('c') && going() == 2);
    desk.ask(&["stop", "b"]);
    until("the last", || order(&desk).ends_with('d') && going() == 2);
}

#[test]
fn a_thousand_jobs_run_ten_at_a_time_and_init_ends_when_all_have() {
    need!("root");
    let scene = Scene::new();
    let mut jobs = vec!["[classes.few]\nkind = \"interactive\"\nmax_parallel = 10\n".to_owned()];
    for n in 0..1000 {
        jobs.push(format!(
            "[jobs.job{n}]\nclass = \"few\"\nstdin = \"null\"\nscript = append DIR/order {n}\n"
        ));
    }
    let (code, _) = ended(&scene, &jobs);
    assert_eq!(code, 0);
    let order = fs::read_to_string(scene.path("order")).unwrap();
    let mut ran: Vec<u32> = order.lines().map(|line| line.parse().unwrap()).collect();
    ran.sort_unstable();
    assert_eq!(ran, (0..1000).collect::<Vec<_>>());
}
