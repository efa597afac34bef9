//! Runs that are begun by hand in init's container.

use nix::sys::signal::Signal;

use super::{Desk, JOBS};
use crate::support::bin;
use crate::support::child::{self, Tied, bare, signal};
use crate::support::need::need;
use crate::support::ns::Ns;
use crate::support::scene::{child_of, ended};
use crate::support::wait::until;

/// `lockkeeper run …`, as `docker exec` starts it.
fn run(desk: &Desk, args: &[&str]) -> Tied {
    let mut command = desk.init.enter(bin::lockkeeper());
    bare(&mut command).arg("run").args(args);
    child::start(&mut command)
}

#[test]
fn a_run_of_a_job_by_hand_counts_as_running_and_no_second_one_starts() {
    need!("root");
    let often =
        "[jobs.often]\nclass = \"quick\"\nevery = \"1s\"\nscript = mark PAGE 5 , wait USR1\n";
    let desk = Desk::new(&format!("{JOBS}{often}"));
    let file = desk.scene.path("lockkeeper.toml").display().to_string();
    let mut dev = run(&desk, &["-c", &file, "dev"]);
    until("init sees it", || desk.state("dev") == "running");
    let row = desk.row("dev");
    assert_eq!(
        (&row["outside"], &row["of_no_job"]),
        (&true.into(), &false.into())
    );
    let start = desk.ask(&["start", "dev"]);
    assert!(start.out.contains("is going already"), "{start:?}");
    let stop = desk.ask(&["stop", "dev"]);
    assert_eq!(stop.code, 69);
    assert!(
        stop.err.contains("was not started by this init"),
        "{stop:?}"
    );
    until("it goes on", || desk.scene.page.alive().get(&1) == Some(&1));
    signal(child_of(dev.pid()), Signal::SIGTERM);
    assert_eq!(ended(&mut dev).code(), Some(143));
    until("init sees its end", || desk.row("dev")["run_id"].is_null());
    // A tick that finds it running by hand is skipped.
    desk.ask(&["stop", "often"]);
    let mut often = run(&desk, &["-c", &file, "often"]);
    until("init sees it", || desk.state("often") == "running");
    until("one runs", || desk.scene.page.alive().get(&5) == Some(&1));
    assert!(
        desk.ask(&["restart", "often"])
            .err
            .contains("cannot stop it")
    );
    signal(child_of(often.pid()), Signal::SIGTERM);
    ended(&mut often);
}

#[test]
fn a_command_by_hand_has_a_row_of_its_own_and_is_no_job_of_the_same_name() {
    need!("root");
    let named = "[jobs.puppet]\nclass = \"quick\"\nstart = \"manual\"\nscript = hang\n";
    let desk = Desk::new(&format!("{JOBS}{named}"));
    let puppet = desk.scene.puppet().display().to_string();
    let mut command = run(&desk, &["--", &puppet, "hang"]);
    until("init sees it", || {
        let status = desk.status();
        let rows = status["jobs"].as_array().unwrap().clone();
        rows.iter()
            .any(|row| row["of_no_job"] == true && row["job"] == "puppet")
    });
    assert_eq!(desk.state("puppet"), "idle", "the job has no run");
    let text = desk.ask(&["status"]).out;
    assert!(text.contains("begun by hand"), "{text}");
    assert_eq!(desk.ask(&["health"]).code, 0);
    signal(child_of(command.pid()), Signal::SIGKILL);
    ended(&mut command);
    until("its row goes with its last process", || {
        !desk.ask(&["status"]).out.contains("begun by hand")
    });
}

#[test]
fn a_run_by_hand_becomes_a_jobs_when_the_file_names_the_job() {
    need!("root");
    let desk = Desk::new(JOBS);
    let other = desk.scene.path("other.toml");
    let later = "[jobs.later]\nclass = \"quick\"\nscript = mark PAGE 7 , hang\n";
    let all = crate::support::scene::Scene::toml_at(desk.scene.folder(), &format!("{JOBS}{later}"));
    std::fs::write(&other, &all).unwrap();
    let mut by_hand = run(&desk, &["-c", &other.display().to_string(), "later"]);
    until("init sees it", || desk.state("later") == "running");
    assert_eq!(desk.row("later")["of_no_job"], true);
    std::fs::write(desk.scene.path("lockkeeper.toml"), &all).unwrap();
    assert_eq!(desk.ask(&["reload"]).code, 0);
    let row = desk.row("later");
    assert_eq!(
        (&row["of_no_job"], &row["outside"]),
        (&false.into(), &true.into())
    );
    signal(child_of(by_hand.pid()), Signal::SIGTERM);
    ended(&mut by_hand);
}

#[test]
fn another_init_on_the_machine_begins_no_runs_of_ours() {
    need!("root");
    // Two of them, of one name, over one /run: subreapers of one namespace.
    let scene = crate::support::scene::Scene::new();
    let file = scene.config(
        "[init]\nname = \"same\"\nstay = true\n[jobs.dev]\nclass = \"interactive\"\nstdin = \"null\"\n\
         start = \"manual\"\nscript = mark PAGE auto , hang\n",
    );
    let program = bin::lockkeeper().display().to_string();
    let file = file.display();
    let line = format!(
        "'{program}' init -c '{file}' --socket /run/a.sock & \
         '{program}' init -c '{file}' --socket /run/b.sock & wait"
    );
    let inside = Ns::root()
        .shell("mount -t tmpfs none /run")
        .start("/bin/sh".as_ref(), &["-c", &line]);
    let ask = |args: &[&str]| {
        let mut command = inside.enter(bin::lockkeeper());
        super::Asked::of(&child::output(bare(&mut command).args(args)))
    };
    let started = |socket: &str| {
        until("it starts", || {
            let asked = ask(&["start", "dev", "--socket", socket]);
            assert!(!asked.out.contains("already"), "{asked:?}");
            asked.code == 0
        });
    };
    started("/run/a.sock");
    until("it runs", || scene.living().len() == 1);
    started("/run/b.sock");
    until("both run", || scene.living().len() == 2);
}
