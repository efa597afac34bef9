//! The emptied tree, by trees that resist: daemons that left everything, storms, stopped and traced
//! processes, a /proc that tells of others or of nobody.

use std::process::Command;

use nix::sys::signal::Signal::{SIGKILL, SIGSTOP, SIGTERM, SIGUSR1};

use super::support::bin;
use super::support::child::{self, Tied, bare, output, read, signal, text};
use super::support::need::need;
use super::support::ns::{Inside, Ns, children};
use super::support::scene::{Scene, child_of, ended, state};
use super::support::wait::{until, until_some};

const HERMIT: &str = "child { mark PAGE 1 HERMIT , hang }";

// A daemon that left everything.

#[test]
fn a_daemon_that_left_everything_is_gone_after_the_run_and_the_lock_is_free() {
    let scene = Scene::new();
    let mut run = scene.run("", HERMIT);
    assert!(ended(&mut run).success());
    scene.assert_empty();
    assert!(scene.is_free());
}

/// A run whose command stays with its daemon, and one of the processes above them.
fn stays_killing(scene: &Scene, victim: fn(i32) -> i32) -> Option<i32> {
    let mut run = scene.begun(
        "--grace 100ms",
        &format!("mark PAGE 1 , {HERMIT} , out begun , hang"),
    );
    let guard = run.pid();
    let monitor = child_of(guard);
    signal(victim(guard), SIGKILL);
    let status = ended(&mut run);
    until("the monitor is gone", || state(monitor).is_none());
    status.code()
}

#[test]
fn a_daemon_that_left_everything_is_gone_after_kill_of_the_monitor() {
    let scene = Scene::new();
    assert_eq!(stays_killing(&scene, child_of), Some(125));
    scene.assert_empty();
    assert!(scene.is_free());
}

#[test]
fn a_daemon_that_left_everything_is_gone_after_kill_of_the_guard() {
    let scene = Scene::new();
    assert_eq!(stays_killing(&scene, |guard| guard), None);
    scene.assert_empty();
    assert!(scene.is_free());
}

#[test]
fn a_daemon_that_left_everything_is_gone_after_kill_of_pid_1() {
    need!("root");
    let scene = Scene::new();
    let run = scene.run_command("", &format!("mark PAGE 1 , {HERMIT} , beat PAGE 1"));
    let args: Vec<&str> = run.get_args().map(|arg| arg.to_str().unwrap()).collect();
    // Here the guard is PID 1 itself.
    let mut inside = Ns::root().start(bin::lockkeeper(), &args);
    until("both live", || scene.page.alive().get(&1) == Some(&2));
    let mut waiter = scene.waiter(2);
    signal(inside.pid1(), SIGKILL);
    ended(&mut inside.process);
    // All were killed in one go, and the kernel may still be ending the daemon when the lock is free:
    // what counts is that it executes nothing more.
    assert!(ended(&mut waiter).success());
    assert_eq!(scene.page.beating(), 0, "the lock was free too early");
    scene.assert_empty();
}

// Many, and quick.

/// Kills in the middle of a storm: `count` lines of processes, each forking its successor.
fn storm(count: usize, end: impl FnOnce(&Tied), code: Option<i32>) {
    let scene = Scene::new();
    // Deaf to TERM, so that all still fork when KILL comes.
    let script = format!("ignore TERM , out begun , storm {count} PAGE 1 500 , hang");
    let mut run = scene.begun("--grace 100ms", &script);
    let renewed = u64::try_from(count * 2).unwrap();
    until("each line has renewed itself", || {
        scene.page.marks().0 > renewed
    });
    end(&run);
    assert_eq!(ended(&mut run).code(), code);
    until("the lock is free", || scene.is_free());
    scene.assert_empty();
    assert_eq!(scene.page.overlaps().0, 0);
}

#[test]
fn a_storm_of_two_thousand_ends_while_it_still_forks() {
    storm(2_000, |run| signal(run.pid(), SIGTERM), Some(137));
}

#[test]
fn a_storm_of_two_thousand_ends_after_kill_of_the_monitor() {
    storm(2_000, |run| signal(child_of(run.pid()), SIGKILL), Some(125));
}

#[test]
fn a_storm_of_two_thousand_ends_with_pid_1() {
    need!("root");
    let scene = Scene::new();
    let puppet = scene.puppet().display().to_string();
    let mut args = vec!["--".to_owned(), puppet];
    args.extend(scene.words("ignore TERM , storm 2000 PAGE 1 500 , wait USR1 , exit 5"));
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut inside = Ns::root().start(bin::lockkeeper(), &args);
    until("each line has renewed itself", || {
        scene.page.marks().0 > 4_000
    });
    signal(inside.pid1(), SIGUSR1);
    assert_eq!(ended(&mut inside.process).code(), Some(5));
    scene.assert_empty();
}

// Those who want to go, and can.

/// A run whose leftovers have long, as half a second of ours may be much more on a busy machine.
fn patient(scene: &Scene, script: &str) -> Tied {
    let config = scene.config(&format!(
        "[classes.batch]
        lock = \"it\"
        stop = {{ grace = \"100ms\", leftover_grace = \"25s\" }}
        [locks.it]
        path = \"LOCK\"
        [jobs.dev]
        class = \"batch\"
        stdin = \"inherit\"
        script = {script}"
    ));
    let mut command = Command::new(bin::lockkeeper());
    child::start(
        bare(&mut command)
            .args(["run", "-c"])
            .arg(config)
            .arg("dev"),
    )
}

#[test]
fn a_descendant_that_needs_half_a_second_after_term_gets_it() {
    let scene = Scene::new();
    let script =
        "child { mark PAGE 1 daemon setsid closefds , block TERM , cleanup 500 DIR/cleaned }";
    assert!(ended(&mut patient(&scene, script)).success());
    assert!(scene.path("cleaned").exists());
    scene.assert_empty();
}

#[test]
fn a_grandchild_of_a_deaf_child_of_a_deaf_command_hears_term_and_gets_half_a_second() {
    let scene = Scene::new();
    let script = "ignore TERM , child { child { block TERM , cleanup 500 DIR/cleaned } , reap } \
        , out begun , reap";
    let mut run = patient(&scene, script);
    assert_eq!(run.line().as_deref(), Some("begun"));
    signal(run.pid(), SIGTERM);
    ended(&mut run);
    assert!(scene.path("cleaned").exists());
    scene.assert_empty();
}

#[test]
fn a_stopped_descendant_hears_term() {
    let scene = Scene::new();
    let script = "child { mark PAGE 1 daemon closefds , block TERM , stop-self , cleanup 1 DIR/cleaned } \
        , out begun , cat";
    let mut run = patient(&scene, script);
    assert_eq!(run.line().as_deref(), Some("begun"));
    let monitor = child_of(run.pid());
    let stopped = || {
        children(monitor)
            .into_iter()
            .any(|pid| state(pid) == Some('T'))
    };
    until("it is stopped", stopped);
    assert!(ended(&mut run).success());
    assert!(scene.path("cleaned").exists());
    scene.assert_empty();
}

#[test]
fn a_stopped_command_hears_term() {
    let scene = Scene::new();
    let mut run = scene.begun(
        "",
        "block TERM , out begun , stop-self , wait TERM , exit 6",
    );
    let command = child_of(child_of(run.pid()));
    until("it is stopped", || state(command) == Some('T'));
    signal(run.pid(), SIGTERM);
    assert_eq!(ended(&mut run).code(), Some(6));
}

// Those who belong to others.

fn init(scene: &Scene, ns: Ns) -> Inside {
    let config = scene.config(
        "[init]
        stop_within = \"20s\"
        stay = true
        [classes.batch]
        lock = \"it\"
        stop = { grace = \"100ms\", leftover_grace = \"100ms\" }
        [locks.it]
        path = \"LOCK\"
        [jobs.dev]
        class = \"batch\"
        every = \"1s\"
        script = append DIR/runs run , mark PAGE 1 , child { mark PAGE 1 HERMIT , hang }",
    );
    let config = config.display().to_string();
    ns.shell("mount -t tmpfs tmpfs /run")
        .start(bin::lockkeeper(), &["init", "-c", &config])
}

#[test]
fn a_daemon_that_somebody_else_started_by_exec_lives_on_and_its_dead_are_reaped() {
    need!("root");
    let scene = Scene::new();
    let mut inside = init(&scene, Ns::root());
    // It starts a child every now and then that becomes init's, and ends.
    let daemon = scene.words(
        "child { daemon , closefds , child { sleep 1 } , child { child { sleep 1 } } , hang }",
    );
    read(inside.enter(bin::puppet()).args(daemon));
    let daemon = until_some("init adopts it", || {
        let stranger = |pid: &i32| {
            let exe = std::fs::read_link(format!("/proc/{pid}/exe"));
            exe.is_ok_and(|exe| exe.ends_with("examples/puppet"))
        };
        children(inside.pid1()).into_iter().find(stranger)
    });
    let runs = || {
        std::fs::read_to_string(scene.path("runs"))
            .unwrap_or_default()
            .lines()
            .count()
    };
    until("three runs have begun", || runs() >= 3);
    assert!(state(daemon).is_some_and(|state| state != 'Z'), "it lives");
    until("no dead child of init is left", || {
        children(inside.pid1())
            .iter()
            .all(|&pid| state(pid) != Some('Z'))
    });
    signal(inside.pid1(), SIGTERM);
    assert_eq!(ended(&mut inside.process).code(), Some(0));
    assert!(
        state(daemon).is_none_or(|state| state == 'Z'),
        "nobody outlives init"
    );
    scene.assert_empty();
}

// Those who cannot be asked, or not be had.

#[test]
fn a_parent_that_waits_for_its_vfork_ends_with_it() {
    let scene = Scene::new();
    let script = "child { mark PAGE 1 HERMIT , vfork-hang } , out begun , cat";
    let mut run = scene.begun("", script);
    let monitor = child_of(run.pid());
    let waits = || {
        children(monitor)
            .into_iter()
            .any(|pid| state(pid) == Some('D'))
    };
    until("the parent is in its vfork", waits);
    assert!(ended(&mut run).success());
    assert!(scene.is_free());
    scene.assert_empty();
}

/// strace(1), itself stopped, on `pid`.
struct Tracer(Tied);

impl Tracer {
    fn of(pid: i32) -> Self {
        let mut strace = Command::new("strace");
        let strace = strace
            .args(["-qq", "-o", "/dev/null", "-p"])
            .arg(pid.to_string());
        let tracer = Self(child::start(strace));
        let status = format!("/proc/{pid}/status");
        until("it is traced", || {
            let status = std::fs::read_to_string(&status).unwrap_or_default();
            status
                .lines()
                .any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
        });
        signal(tracer.0.pid(), SIGSTOP);
        until("the tracer is stopped", || {
            state(tracer.0.pid()) == Some('T')
        });
        tracer
    }
}

/// A run with a daemon, and a child of it, that both ignore TERM; a tracer that holds the daemon;
/// the two's numbers. They stand in no page: held in its end, the daemon still seems to run.
fn traced(scene: &Scene) -> (Tied, Tracer, [i32; 2]) {
    let script =
        "child { daemon , ignore TERM , closefds , child { hang } , hang } , out begun , cat";
    let run = scene.begun("--grace 100ms", script);
    let monitor = child_of(run.pid());
    let daemon = until_some("the daemon is the monitor's", || {
        let [_command, daemon] = children(monitor)[..] else {
            return None;
        };
        Some(daemon)
    });
    let numbers = [daemon, child_of(daemon)];
    (run, Tracer::of(daemon), numbers)
}

/// Neither can ever run again, and that was enough.
fn both_are_dead([daemon, its_child]: [i32; 2]) {
    let state = state(daemon);
    assert!(
        matches!(state, Some('t' | 'Z')),
        "the tracer keeps it: {state:?}"
    );
    assert!(
        matches!(self::state(its_child), None | Some('Z')),
        "its child was reached"
    );
}

#[test]
fn a_dead_daemon_that_an_outside_tracer_holds_does_not_hold_the_lock() {
    need!("root", "strace");
    let scene = Scene::new();
    let (mut run, tracer, numbers) = traced(&scene);
    let waiter = scene.waiter(2);
    assert!(ended(&mut run).success());
    both_are_dead(numbers);
    scene.gets_its_turn(waiter);
    drop(tracer);
}

#[test]
fn a_dead_daemon_that_an_outside_tracer_holds_does_not_hold_the_guard() {
    need!("root", "strace");
    let scene = Scene::new();
    let (mut run, tracer, numbers) = traced(&scene);
    let waiter = scene.waiter(2);
    signal(child_of(run.pid()), SIGKILL);
    assert_eq!(ended(&mut run).code(), Some(125));
    both_are_dead(numbers);
    scene.gets_its_turn(waiter);
    drop(tracer);
}

#[test]
fn a_leader_that_is_a_zombie_counts_until_its_last_thread_has_gone() {
    let scene = Scene::new();
    let script =
        "child { ignore TERM , zombie-leader , mark PAGE 1 , touch DIR/marked , hang } , cat";
    let mut run = scene.run("", script);
    until("its thread lives", || scene.path("marked").exists());
    let leader = children(child_of(child_of(run.pid())))[0];
    until("the leader is a zombie", || state(leader) == Some('Z'));
    assert!(ended(&mut run).success());
    assert_eq!(state(leader), None, "it was waited for");
    scene.assert_empty();
}

// Another /proc, or none.

/// A run with `options` in a PID namespace whose /proc was prepared by `setup`, beside thirty
/// strangers that tell every signal. What the shell says in the end: the run's code.
fn beside_strangers(scene: &Scene, setup: &str, script: &str) -> String {
    let script = format!(
        "for stranger in $(seq 30); do '{puppet}' mark '{page}' 9 , signals & done
        {setup}
        '{lockkeeper}' run --lock '{lock}' --grace 100ms -- '{puppet}' {script} </dev/null
        echo code $?
        read -r end",
        puppet = scene.puppet().display(),
        page = scene.path("page").display(),
        lockkeeper = bin::lockkeeper().display(),
        lock = scene.lock().display(),
        script = scene.words(script).join(" "),
    );
    // Not by `Ns`, which mounts a /proc of the namespace's own: the outer one stays, in which the
    // numbers of processes are those of an outer namespace.
    let mut command = Command::new("unshare");
    bare(&mut command).args([
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--",
        "sh",
        "-c",
    ]);
    let mut shell = child::start(command.arg(script));
    let said = shell.line().unwrap_or_default();
    assert_eq!(
        scene.page.alive(),
        [(9, 30)].into(),
        "all of the run are gone, no stranger is"
    );
    ended(&mut shell);
    let mut more = String::new();
    while let Some(line) = shell.line() {
        more += &line;
    }
    assert_eq!(more, "", "no stranger was signalled");
    said
}

const FAMILY: &str = "mark PAGE 1 , child { mark PAGE 1 HERMIT , child { mark PAGE 1 , hang } , hang } \
    , child { mark PAGE 1 , child { mark PAGE 1 daemon , hang } , hang }";

#[test]
fn a_proc_of_another_namespace_is_not_believed_and_the_tree_is_emptied() {
    need!("root");
    let scene = Scene::new();
    assert_eq!(beside_strangers(&scene, "", FAMILY), "code 0");
    assert!(scene.is_free());
}

#[test]
fn without_proc_the_tree_is_emptied() {
    need!("root");
    let scene = Scene::new();
    let said = beside_strangers(&scene, "umount -l /proc", FAMILY);
    assert_eq!(said, "code 0");
    assert!(scene.is_free());
}

#[test]
fn under_a_proc_of_another_namespace_a_killed_monitors_tree_is_emptied() {
    need!("root");
    let scene = Scene::new();
    let run = scene.run_command("", &format!("{FAMILY} , out begun , hang"));
    let mut command = Command::new("unshare");
    bare(&mut command).args([
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--",
        "sh",
        "-c",
    ]);
    command
        .args(["\"$@\"; echo code $?", "sh"])
        .arg(bin::lockkeeper())
        .args(run.get_args());
    let mut shell = child::start(&mut command);
    assert_eq!(shell.line().as_deref(), Some("begun"));
    let monitor = child_of(child_of(child_of(shell.pid())));
    signal(monitor, SIGKILL);
    assert_eq!(shell.line().as_deref(), Some("code 125"));
    scene.assert_empty();
    assert!(scene.is_free());
}

/// What a run of `script` says of /proc, in a PID namespace where `setup` was done before. Its
/// puppet is a file that nobody may read, and the run is nobody's: the kernel hides such a process
/// from its own user.
fn said_of_proc(setup: &str, script: &str) -> Vec<String> {
    let scene = Scene::new();
    let line = format!(
        "{setup}; cd '{folder}'; cp '{lockkeeper}' lk; chmod 755 . lk; chmod 111 puppet
        exec setpriv --reuid 65534 --regid 65534 --clear-groups ./lk run --grace 100ms -- ./puppet {script}",
        folder = scene.folder().display(),
        lockkeeper = bin::lockkeeper().display(),
    );
    let mut run = Command::new("unshare");
    bare(&mut run).args([
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "--",
        "sh",
        "-c",
    ]);
    let output = output(run.arg(line));
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    scene.assert_empty();
    let said = text(&output.stderr);
    said.lines()
        .filter(|line| line.contains("/proc"))
        .map(String::from)
        .collect()
}

#[test]
fn a_proc_that_cannot_be_used_is_said_once_by_a_run_that_needs_it_and_never_by_another() {
    need!("root", "setpriv");
    // Deaf to TERM, so that descendants are looked for more than once.
    let leaves = "child { ignore TERM , hang }";
    for (setup, why) in [
        (":", "it belongs to another PID namespace"),
        ("umount -l /proc", "it is not mounted"),
        (
            "mount -t proc -o hidepid=2 proc /proc",
            "it hides the processes of other users",
        ),
    ] {
        let said = said_of_proc(setup, leaves);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains(why), "{said:?}");
    }
    assert_eq!(said_of_proc("mount -t proc proc /proc", leaves), [""; 0]);
    assert_eq!(said_of_proc(":", "exit 0"), [""; 0]);
}
