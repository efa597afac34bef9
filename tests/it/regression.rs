//! Faults that a reader with fresh eyes found, each shown to be gone: the name is what was broken.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use lockkeeper::config::load;
use lockkeeper::config::plan::{ClassPlan, Kind};
use lockkeeper::core::event::{Action, Event, Facts};
use lockkeeper::core::run::Run;
use lockkeeper::core::time::Time;
use lockkeeper::init::found::Found;
use lockkeeper::lock::claim::Claim;
use lockkeeper::lock::folders::claims_folder;
use lockkeeper::lock::record::{self, Origin, Record, State};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::Signal::{SIGKILL, SIGTERM, SIGUSR1, SIGWINCH};

use super::support::bin::lockkeeper;
use super::support::child::{self, signal, text};
use super::support::need::need;
use super::support::ns::{Ns, children};
use super::support::scene::Scene;
use super::support::wait::{until, until_some};

/// A line of bash in the scene's folder, where LK is the program.
fn bash(scene: &Scene, line: &str) -> Command {
    let mut command = Command::new("bash");
    child::bare(&mut command)
        .current_dir(scene.folder())
        .arg("-c")
        .arg(line.replace("LK", &lockkeeper().display().to_string()));
    command
}

fn claims(scene: &Scene) -> usize {
    fs::read_dir(claims_folder(&scene.lock())).map_or(0, Iterator::count)
}

#[test]
fn a_command_of_pid_1_at_a_terminal_is_not_stopped_by_the_handover_of_the_terminal() {
    need!("root", "script", "setsid");
    let line = format!(
        "unshare --pid --fork --mount-proc --kill-child setsid -c {} -- sh -c 'sleep 0.3; exit 7'",
        lockkeeper().display()
    );
    let mut script = Command::new("script");
    child::bare(&mut script).args(["-qec", &line, "/dev/null"]);
    let output = child::output(&mut script);
    assert_eq!(output.status.code(), Some(7), "{}", text(&output.stdout));
}

#[test]
fn a_report_on_a_high_descriptor_is_written() {
    need!("bash");
    let scene = Scene::new();
    let output = child::output(&mut bash(&scene, "LK run --report 99 -- true 99>report"));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report = fs::read_to_string(scene.path("report")).unwrap();
    assert!(report.contains(r#""reason":"ended""#), "{report}");
}

#[test]
fn a_report_on_standard_output_leaves_it_to_the_command() {
    let mut command = Command::new(lockkeeper());
    child::bare(&mut command).args(["run", "--report", "1", "--", "echo", "said"]);
    let out = text(&child::output(&mut command).stdout);
    assert!(out.starts_with("said\n{"), "{out}");
}

#[test]
fn a_run_that_starts_over_still_has_what_was_inherited_for_its_command() {
    need!("bash");
    let scene = Scene::new();
    fs::write(scene.path("data"), "inherited\n").unwrap();
    let held = scene.hold();
    let mut run = child::start(&mut bash(
        &scene,
        "exec LK run --lock session.lock -- sh -c 'cat <&7' 7<data",
    ));
    until("it queues", || claims(&scene) == 2);
    fs::rename(scene.lock(), scene.path("old")).unwrap();
    drop(held);
    assert_eq!(run.line().as_deref(), Some("inherited"));
    assert!(run.wait().success());
}

#[test]
fn a_run_inside_a_run_without_the_lock_does_not_wait_for_the_one_round_both() {
    let scene = Scene::new();
    let program = lockkeeper().display().to_string();
    let mut command = scene.run_command("", "");
    command = {
        let mut outer = Command::new(command.get_program());
        child::bare(&mut outer)
            .args(["run", "--lock"])
            .arg(scene.lock())
            .args(["--", &program, "run", "--timeout", "1m", "--", &program])
            .args(["run", "--wait", "0s", "--lock"])
            .arg(scene.lock())
            .args(["--", "echo", "inside"]);
        outer
    };
    let output = child::output(&mut command);
    assert_eq!(text(&output.stdout), "inside\n", "{}", text(&output.stderr));
}

/// The program with `stdout`, not yet read, and a command that writes 130,000 bytes to it.
fn writer(stdout: impl Into<Stdio>) -> std::process::Child {
    let mut command = Command::new(lockkeeper());
    child::bare(&mut command)
        .args(["run", "--idle-timeout", "1h", "--", "sh", "-c"])
        .arg("head -c 130000 /dev/zero; : > /dev/null")
        .stdout(stdout);
    child::tie(&mut command).spawn().unwrap()
}

#[test]
fn the_last_output_is_not_cut_off_by_a_signal_that_asks_for_no_stop() {
    let (mut reader, pipe) = io::pipe().unwrap();
    let mut run = writer(pipe);
    let guard = run.id().cast_signed();
    let monitor = until_some("the monitor", || children(guard).first().copied());
    // The rest fits into the pipe between it and us once we have taken some.
    let mut taken = vec![0; 60_000];
    reader.read_exact(&mut taken).unwrap();
    until("the command has ended", || children(monitor).is_empty());
    signal(guard, SIGWINCH);
    until("the guard has passed it on", || {
        let status = fs::read_to_string(format!("/proc/{guard}/status")).unwrap_or_default();
        let pending = status.lines().find_map(|line| line.strip_prefix("ShdPnd:"));
        pending.is_none_or(|set| set.trim().trim_matches('0').is_empty())
    });
    let mut rest = Vec::new();
    reader.read_to_end(&mut rest).unwrap();
    assert_eq!(taken.len() + rest.len(), 130_000);
    assert!(run.wait().unwrap().success());
}

#[test]
fn output_goes_on_where_the_reader_has_made_it_non_blocking() {
    let (mut reader, pipe) = io::pipe().unwrap();
    fcntl(pipe.as_fd(), FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
    let mut run = writer(pipe);
    let guard = run.id().cast_signed();
    let monitor = until_some("the monitor", || children(guard).first().copied());
    let mut first = [1];
    reader.read_exact(&mut first).unwrap();
    // Two pipes take all of it.
    until("the command has ended", || children(monitor).is_empty());
    let mut all = Vec::new();
    reader.read_to_end(&mut all).unwrap();
    assert_eq!(all.len() + first.len(), 130_000);
    assert!(run.wait().unwrap().success());
}

#[test]
fn the_end_of_a_run_whose_guard_was_killed_under_init_is_awaited_and_its_code_kept() {
    let scene = Scene::new();
    let config = scene
        .config("[jobs.a]\nclass = \"interactive\"\nscript = block TERM , out begun , wait TERM 300 , exit 7\n");
    let mut init = Command::new(lockkeeper());
    let mut init = child::start(child::bare(&mut init).arg("-c").arg(config));
    assert_eq!(init.line().as_deref(), Some("begun"));
    let guard = children(init.pid())[0];
    signal(guard, SIGKILL);
    assert_eq!(init.wait().code(), Some(7));
    assert_eq!(scene.living(), Vec::<i32>::new());
}

#[test]
fn a_child_that_proc_hides_keeps_the_lock() {
    need!("root", "setpriv");
    let scene = Scene::new();
    fs::copy("/usr/bin/setpriv", scene.path("suid")).unwrap();
    fs::set_permissions(scene.path("suid"), PermissionsExt::from_mode(0o4755)).unwrap();
    fs::set_permissions(scene.folder(), PermissionsExt::from_mode(0o777)).unwrap();
    fs::copy(lockkeeper(), scene.path("program")).unwrap();
    let folder = scene.folder().display().to_string();
    let line = format!(
        "cd {folder}; setpriv --reuid 65534 --regid 65534 --clear-groups ./program run -v \
         --lock session.lock --timeout 2s --grace 10ms -- \
         ./suid --reuid 0 --clear-groups ./puppet ignore TERM , hang 2>&1 & wait"
    );
    let mut inside = Ns::root()
        .shell("mount -o remount,hidepid=2 /proc")
        .start("/bin/sh".as_ref(), &["-c", &line]);
    until("it is named, and the lock kept", || {
        let line = inside.process.line().expect("the run goes on");
        assert!(!line.contains("released"), "{line}");
        line.contains("but still there")
    });
}

#[test]
fn a_run_of_another_pid_namespace_is_not_taken_for_one_of_ours() {
    let scene = Scene::new();
    let config = scene.config("[jobs.dev]\nclass = \"interactive\"\nscript = hang\n");
    let plan = load::read(&config).unwrap().plan;
    let origin = Origin::read();
    let mut record = Record {
        v: record::VERSION,
        run_id: "elsewhere".into(),
        job: "dev".into(),
        class: "interactive".into(),
        kind: record::Kind::Interactive,
        state: State::Running,
        container: Some(plan.init.name.clone()),
        pid: Some(1),
        monitor: None,
        start_time: None,
        boot_id: origin.boot_id,
        pid_ns: origin.pid_ns.map(|ns| ns + 1),
        uid: 0,
        lock: None,
        dirs: vec![],
        by: record::By::Init,
        since_unix_ms: 1,
    };
    let runtime = scene.path("runtime");
    let elsewhere = Claim::create(&runtime, "elsewhere", &record).unwrap();
    record.run_id = "here".into();
    record.pid_ns = origin.pid_ns;
    let here = Claim::create(&runtime, "here", &record).unwrap();
    let (_, living) = Found::look(Some(&runtime), &plan.init.name);
    let living: Vec<&str> = living.iter().map(|run| run.run_id.as_str()).collect();
    assert_eq!(living, ["here"]);
    elsewhere.release();
    here.release();
}

#[test]
fn who_is_the_jobs_user_already_needs_no_right_to_become_him() {
    need!("root", "setpriv");
    let scene = Scene::new();
    fs::copy(lockkeeper(), scene.path("program")).unwrap();
    let config =
        scene.config("[jobs.a]\nclass = \"interactive\"\nuser = \"nobody\"\nscript = env USER\n");
    let mut command = Command::new("setpriv");
    child::bare(&mut command)
        .args(["--reuid=nobody", "--regid=65534", "--clear-groups"])
        .arg(scene.path("program"))
        .arg("-c")
        .arg(config);
    let output = child::output(&mut command);
    assert_eq!(text(&output.stdout), "nobody\n", "{}", text(&output.stderr));
}

#[test]
fn a_dead_monitor_leaves_no_claim() {
    let scene = Scene::new();
    let mut run = scene.begun("", "out begun , hang");
    assert_ne!(claims(&scene), 0);
    signal(children(run.pid())[0], SIGKILL);
    assert_eq!(run.wait().code(), Some(125));
    assert_eq!(claims(&scene), 0);
}

#[test]
fn a_guard_ends_nobody_whom_the_shell_before_it_had_started() {
    need!("bash");
    let scene = Scene::new();
    let line =
        "./puppet hang & echo $!; exec LK run --lock session.lock -- ./puppet out begun , hang";
    let mut run = child::start(&mut bash(&scene, line));
    let stranger: i32 = run.line().unwrap().parse().unwrap();
    assert_eq!(run.line().as_deref(), Some("begun"));
    let others = children(run.pid());
    let monitor = others.into_iter().find(|pid| *pid != stranger).unwrap();
    signal(monitor, SIGKILL);
    assert_eq!(run.wait().code(), Some(125));
    assert_eq!(scene.living(), [stranger]);
    signal(stranger, SIGTERM);
    until("the stranger has gone", || scene.living().is_empty());
}

#[test]
fn a_batch_command_stopped_behind_our_back_does_not_stop_us_with_it() {
    let class = ClassPlan::new("batch", Kind::batch(None));
    let plan = class.run("dev".into(), vec!["agent".into()]);
    let facts = Facts {
        job_control: true,
        ..Facts::new(&plan)
    };
    let mut run = Run::new(facts);
    let mut hand = |event| {
        let mut actions = Vec::new();
        run.handle(Time(1), &event, &mut actions);
        actions
    };
    hand(Event::Begin { queued_at: Time(1) });
    hand(Event::Forked { pid: 7 });
    hand(Event::Executed);
    assert_eq!(hand(Event::CommandStopped), []);
    let by_terminal = Event::Signal {
        signo: libc::SIGTSTP,
        kernel: true,
    };
    hand(by_terminal);
    assert_eq!(hand(Event::CommandStopped), [Action::StopSelf]);
    assert_eq!(hand(Event::CommandStopped), []);
}

#[test]
fn a_write_of_ours_that_hits_the_limit_of_file_sizes_does_not_end_the_command() {
    need!("bash");
    let scene = Scene::new();
    let script = "block XFSZ,USR1 , out ready , signals 1 , exit 7";
    let line = format!(
        "ulimit -f 0; exec LK run --lock session.lock -- {} {script} 2>&1",
        scene.puppet().display()
    );
    let mut run = child::start(&mut bash(&scene, &line));
    // The command's word and our note, in either order.
    let said: Vec<_> = (0..2).filter_map(|_| run.line()).collect();
    assert!(said.iter().any(|line| line == "ready"), "{said:?}");
    assert!(
        said.iter().any(|line| line.contains("(ulimit -f)")),
        "{said:?}"
    );
    signal(run.pid(), SIGUSR1);
    let heard = run.line().unwrap_or_default();
    assert!(heard.starts_with("USR1"), "{heard}");
    assert_eq!(run.wait().code(), Some(7));
}

#[test]
fn an_alarm_that_was_set_before_the_program_was_started_strikes_the_command() {
    let scene = Scene::new();
    let lock = scene.lock().display().to_string();
    let ways = [
        vec!["--"],
        vec!["run", "--"],
        vec!["run", "--lock", &lock, "--"],
    ];
    let runs = ways.map(|args| {
        let mut command = Command::new(lockkeeper());
        child::bare(&mut command)
            .args(args)
            .arg(scene.puppet())
            .arg("hang");
        #[expect(
            unsafe_code,
            reason = "it is kept over an exec (alarm(2)), and the child's own"
        )]
        // SAFETY: one system call, allowed after fork.
        unsafe {
            child::tie(&mut command).pre_exec(|| {
                libc::alarm(1);
                Ok(())
            })
        };
        child::spawn(&mut command)
    });
    for mut run in runs {
        let status = until_some("it strikes", || run.try_wait());
        assert_eq!(status.code(), Some(128 + libc::SIGALRM));
    }
    assert_eq!(claims(&scene), 0);
}

/// A pipe that takes nothing any more.
fn full() -> (io::PipeReader, io::PipeWriter) {
    let (reader, writer) = io::pipe().unwrap();
    let set = |flags| fcntl(writer.as_fd(), FcntlArg::F_SETFL(flags)).unwrap();
    set(OFlag::O_NONBLOCK);
    while (&writer).write(&[b'.'; 4096]).is_ok() {}
    set(OFlag::empty());
    (reader, writer)
}

#[test]
fn a_report_that_nobody_takes_is_given_up_at_a_stop_and_else_waits_for_its_reader() {
    // The run is over, and its guard has the report in hand.
    let reported = |pipe: io::PipeWriter| {
        let mut command = Command::new(lockkeeper());
        child::bare(&mut command)
            .args([
                "run",
                "--report",
                "1",
                "--",
                "sh",
                "-c",
                "read line; exit 7",
            ])
            .stdin(Stdio::piped())
            .stdout(pipe);
        let mut run = child::tie(&mut command).spawn().unwrap();
        let guard = run.id().cast_signed();
        let monitor = until_some("the monitor", || children(guard).first().copied());
        until("the command", || !children(monitor).is_empty());
        drop(run.stdin.take());
        until("the run is over", || children(guard).is_empty());
        run
    };
    let (_reader, pipe) = full();
    let mut run = reported(pipe);
    signal(run.id().cast_signed(), SIGTERM);
    let status = until_some("it ends", || run.try_wait().unwrap());
    assert_eq!(status.code(), Some(7));
    let (mut reader, pipe) = full();
    let mut run = reported(pipe);
    let mut all = String::new();
    reader.read_to_string(&mut all).unwrap();
    assert!(all.contains(r#""reason":"ended""#));
    assert_eq!(run.wait().unwrap().code(), Some(7));
}

#[test]
fn a_stop_that_was_heard_when_the_command_had_ended_is_one_for_the_report_too() {
    // The guard hears it while nobody takes the output; a run without one while it ends what was left.
    for (begin, script) in [
        (
            &["run", "--idle-timeout", "1h"][..],
            "echo said; read line; exit 7",
        ),
        (&[], "trap '' TERM; sleep 1000 & read line; exit 7"),
    ] {
        let (_reader, pipe) = full();
        let mut command = Command::new(lockkeeper());
        child::bare(&mut command).args(begin).stdout(pipe);
        command.args(["--report", "1", "--", "sh", "-c"]);
        command.arg(script);
        let mut run = child::tie(&mut command)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let first = run.id().cast_signed();
        let below = until_some("a child", || children(first).first().copied());
        let monitor = if begin.is_empty() { first } else { below };
        let shell = until_some("the command", || children(monitor).first().copied());
        drop(run.stdin.take());
        until("the command has ended", || {
            !children(monitor).contains(&shell)
        });
        signal(first, SIGTERM);
        let status = until_some("it ends", || run.try_wait().unwrap());
        assert_eq!(status.code(), Some(7), "{begin:?}");
    }
}

#[test]
fn a_refusal_that_nobody_reads_ends_the_process_all_the_same() {
    let scene = Scene::new();
    for (args, code) in [
        (vec!["run", "--lock", "/", "--", "true"], 78),
        (vec!["--never"], 64),
        (vec!["-c", "/nowhere"], 78),
    ] {
        let (_reader, pipe) = full();
        let mut command = Command::new(lockkeeper());
        child::bare(&mut command).args(&args).stderr(pipe);
        let mut refused = child::tie(&mut command)
            .current_dir(scene.folder())
            .spawn()
            .unwrap();
        let status = until_some("it ends", || refused.try_wait().unwrap());
        assert_eq!(status.code(), Some(code), "{args:?}");
    }
}

#[test]
fn a_run_whose_lock_becomes_none_while_it_waits_gives_back_what_it_has() {
    let scene = Scene::new();
    let held = scene.hold();
    fs::create_dir(scene.path("copy")).unwrap();
    let record = scene.path("copy/.runtime/agent.lock");
    let mut run = scene.run("--dir-lock DIR/copy", "exit");
    until("it waits, with the directory in hand", || {
        scene.waiting() == 1 && record.exists()
    });
    fs::rename(scene.lock(), scene.path("old")).unwrap();
    fs::create_dir(scene.lock()).unwrap();
    drop(held);
    assert_eq!(run.wait().code(), Some(78));
    assert_eq!((claims(&scene), record.exists()), (0, false));
}

#[test]
fn why_a_run_of_init_is_refused_is_a_note_of_its_job() {
    let scene = Scene::new();
    let config = scene.config(
        "[locks.none]\npath = \"DIR\"\n[classes.batch]\nlock = \"none\"\n\
         [jobs.a]\nclass = \"batch\"\nscript = exit\n",
    );
    let mut init = Command::new(lockkeeper());
    let output = child::output(child::bare(&mut init).arg("-c").arg(config));
    let said = text(&output.stderr);
    assert!(said.contains("job a: cannot open the lock"), "{said}");
    // Else init would say that nobody could say why.
    assert!(!said.contains("over, exit"), "{said}");
    assert_eq!(output.status.code(), Some(78));
}
