//! `pid1_never_blocks`: whatever does not answer, init goes on reaping and ends when it is told to.
//! And nothing of ours makes a system call while nothing happens.

use std::fs::{self, File};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::process::Command;

use nix::sys::signal::Signal::{SIGKILL, SIGSEGV, SIGSTOP, SIGTERM};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::support::bin;
use crate::support::child::{self, output, read, signal};
use crate::support::dir::Dir;
use crate::support::need::need;
use crate::support::ns::{Inside, Ns, children};
use crate::support::scene::{Scene, child_of, ended, state};
use crate::support::wait::{until, until_some};

/// One batch job and one interactive one, neither of which ever ends.
const CONFIG: &str = "[init]
    stop_within = \"20s\"
    [classes.batch]
    lock = \"it\"
    stop = { grace = \"200ms\", leftover_grace = \"100ms\" }
    [classes.interactive]
    stdin = \"null\"
    stop = { grace = \"200ms\", leftover_grace = \"100ms\" }
    [locks.it]
    path = \"LOCK\"
    [jobs.dev]
    class = \"batch\"
    script = mark PAGE 1 , hang
    [jobs.chat]
    class = \"interactive\"
    script = mark PAGE 2 , hang";

/// PID 1 with the two jobs.
fn init(scene: &Scene, ns: Ns) -> Inside {
    of(scene, ns, CONFIG)
}

fn of(scene: &Scene, ns: Ns, config: &str) -> Inside {
    let config = scene.config(config).display().to_string();
    ns.start(bin::lockkeeper(), &["init", "-c", &config])
}

fn own_run() -> Ns {
    Ns::root().shell("mount -t tmpfs tmpfs /run")
}

/// Init reaps what is none of its own.
fn reaps(scene: &Scene, inside: &Inside) {
    let before = children(inside.pid1());
    let orphan = scene.words("child { closefds , hang }");
    read(inside.enter(scene.puppet()).args(orphan));
    let orphan = until_some("an orphan is init's child", || {
        let children = children(inside.pid1());
        children.into_iter().find(|child| !before.contains(child))
    });
    signal(orphan, SIGKILL);
    until("it is reaped", || {
        !children(inside.pid1()).contains(&orphan)
    });
}

/// Init ends by itself within the orderly stop, with this code.
fn stops(scene: &Scene, mut inside: Inside, code: i32) {
    signal(inside.pid1(), SIGTERM);
    assert_eq!(ended(&mut inside.process).code(), Some(code));
    scene.assert_empty();
}

#[test]
fn pid1_never_blocks_on_a_journal_that_nobody_reads() {
    need!("root");
    let (scene, run) = (Scene::new(), Dir::new());
    fs::create_dir_all(run.join("systemd/journal")).unwrap();
    let socket = run.join("systemd/journal/socket");
    let _journal = UnixDatagram::bind(&socket).unwrap();
    let flood = UnixDatagram::unbound().unwrap();
    flood.set_nonblocking(true).unwrap();
    let full = until_some("the queue is full", || {
        flood.send_to(b"MESSAGE=x\n", &socket).err()
    });
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    let inside = init(&scene, Ns::root().bind(&run, "/run".as_ref()));
    until("both jobs run", || scene.page.alive().len() == 2);
    reaps(&scene, &inside);
    stops(&scene, inside, 0);
}

/// A namespace without a journal, with a full pipe for its standard error, and the pipe.
fn unread(scene: &Scene) -> (File, Ns) {
    let pipe = scene.path("stderr");
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    let mut options = File::options();
    let mut end = options
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(&pipe)
        .unwrap();
    let full = until_some("the pipe is full", || end.write(&[b'x'; 4096]).err());
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    (
        end,
        own_run().shell(&format!("exec 2>'{}'", pipe.display())),
    )
}

#[test]
fn pid1_that_faults_ends_also_where_nobody_reads_standard_error() {
    need!("root");
    let scene = Scene::new();
    let (_end, ns) = unread(&scene);
    let mut inside = init(&scene, ns);
    until("both jobs run", || scene.page.alive().len() == 2);
    signal(inside.pid1(), SIGSEGV);
    assert_eq!(ended(&mut inside.process).code(), Some(125));
    scene.assert_empty();
}

#[test]
fn pid1_never_blocks_on_a_standard_error_that_nobody_reads() {
    need!("root");
    let scene = Scene::new();
    let (_end, ns) = unread(&scene);
    let inside = init(&scene, ns);
    until("both jobs run", || scene.page.alive().len() == 2);
    reaps(&scene, &inside);
    stops(&scene, inside, 0);
}

#[test]
fn pid1_never_blocks_on_a_lock_that_another_holds() {
    need!("root");
    let scene = Scene::new();
    let _held = scene.hold();
    let inside = init(&scene, own_run());
    until("one waits, the other runs", || {
        scene.waiting() == 1 && scene.page.alive().len() == 1
    });
    reaps(&scene, &inside);
    stops(&scene, inside, 0);
    assert_eq!(scene.claims(), []);
}

#[test]
fn pid1_never_blocks_on_a_stopped_job() {
    need!("root");
    let scene = Scene::new();
    let inside = init(&scene, own_run());
    until("both jobs run", || scene.page.alive().len() == 2);
    for guard in children(inside.pid1()) {
        let command = child_of(child_of(guard));
        signal(command, SIGSTOP);
        until("it is stopped", || state(command) == Some('T'));
    }
    reaps(&scene, &inside);
    stops(&scene, inside, 0);
}

#[test]
fn pid1_never_blocks_on_its_own_processes() {
    need!("root");
    let scene = Scene::new();
    let inside = of(&scene, own_run(), &CONFIG.replace("20s", "3s"));
    until("both jobs run", || scene.page.alive().len() == 2);
    // One run without its guard's help, the other without its monitor's.
    let guards = children(inside.pid1());
    for stopped in [guards[0], child_of(guards[1])] {
        signal(stopped, SIGSTOP);
        until("it is stopped", || state(stopped) == Some('T'));
    }
    reaps(&scene, &inside);
    // Nothing answers in order, so `stop_within` ends it.
    stops(&scene, inside, 137);
}

#[test]
fn pid1_never_blocks_on_a_run_of_another_container() {
    need!("root");
    let (scene, run) = (Scene::new(), Dir::new());
    let config = |mark: &str| {
        let chat = format!(
            "[jobs.chat]
            class = \"interactive\"
            script = mark PAGE {mark} , hang"
        );
        let config = scene.config(&chat).display().to_string();
        Ns::root()
            .bind(&run, "/run".as_ref())
            .start(bin::lockkeeper(), &["init", "-c", &config])
    };
    let first = config("1");
    until("the first runs", || scene.page.alive().get(&1) == Some(&1));
    // It shares /run, and so the folder of runs, with the first.
    let second = config("2");
    until("the second runs beside it", || {
        scene.page.alive().get(&2) == Some(&1)
    });
    for mut inside in [first, second] {
        signal(inside.pid1(), SIGTERM);
        assert_eq!(ended(&mut inside.process).code(), Some(0));
    }
}

#[test]
fn pid1_never_blocks_nor_wakes_while_nothing_happens() {
    need!("root", "strace", "timeout");
    let scene = Scene::new();
    // Some run, some wait: `dev` holds the lock, the others stand in its queue.
    let more = (0..3).fold(String::new(), |more, job| {
        more + &format!("\n[jobs.dev{job}]\nclass = \"batch\"\nscript = hang")
    });
    let timed = CONFIG.replace(
        "[classes.batch]",
        "[classes.batch]\n idle_timeout = \"1h\"\n timeout = \"2h\"\n notify = true",
    );
    let config = scene
        .config(&format!("{timed}{more}"))
        .display()
        .to_string();
    let inside = own_run().start(bin::lockkeeper(), &["init", "-c", &config]);
    until("some run and some wait", || {
        !scene.page.alive().is_empty() && scene.waiting() == 3
    });

    let mut strace = Command::new("timeout");
    let log = scene.path("strace");
    strace
        .args(["--signal=INT", "4", "strace", "-f", "-o"])
        .arg(&log);
    let guards = children(inside.pid1());
    let monitors: Vec<i32> = guards.iter().map(|&guard| child_of(guard)).collect();
    let processes: Vec<i32> = [inside.pid1()]
        .into_iter()
        .chain(guards)
        .chain(monitors.iter().copied())
        .collect();
    assert_eq!(
        processes.len(),
        11,
        "init, and guard and monitor of five runs"
    );
    // The holder watches the file from its second second on: then all is at rest.
    until("the lock's file is watched", || {
        monitors.iter().any(|&pid| watches(pid))
    });
    until("all rest", || {
        processes.iter().all(|&pid| state(pid) == Some('S'))
    });
    for pid in &processes {
        strace.args(["-p", &pid.to_string()]);
    }
    let told = child::text(&output(&mut strace).stderr);
    let threads: usize = processes
        .iter()
        .map(|pid| fs::read_dir(format!("/proc/{pid}/task")).unwrap().count())
        .sum();
    let log = fs::read_to_string(log).unwrap();
    // Of each thread one line, the call in which it rested from the first to the last moment. (To
    // attach interrupts it, and the kernel begins it anew.)
    let rests = |line: &str| line.ends_with("<unfinished ...>") || line.ends_with("<detached ...>");
    let calls: Vec<&str> = log.lines().filter(|line| !rests(line)).collect();
    assert_eq!(calls, Vec::<&str>::new(), "{told}");
    assert_eq!(
        log.lines().count(),
        threads,
        "every thread was watched: {told}{log}"
    );
    stops(&scene, inside, 0);
}

/// Whether a process has an inotify instance.
fn watches(pid: i32) -> bool {
    let fds = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten();
    fds.filter_map(|fd| fs::read_link(fd.path()).ok())
        .any(|file| file.as_os_str() == "anon_inode:inotify")
}

#[test]
fn pid1_that_faults_lets_its_runs_end_in_order() {
    need!("root");
    let scene = Scene::new();
    let cleaned = scene.path("cleaned");
    let config = "[init]
        stop_within = \"20s\"
        [classes.batch]
        lock = \"it\"
        [locks.it]
        path = \"LOCK\"
        [jobs.dev]
        class = \"batch\"
        script = mark PAGE 1 , cleanup 300 DIR/cleaned";
    let config = scene.config(config).display().to_string();
    let mut inside = Ns::root().start(bin::lockkeeper(), &["init", "-c", &config]);
    until("the job runs", || scene.page.alive().get(&1) == Some(&1));
    signal(inside.pid1(), SIGSEGV);
    assert_eq!(ended(&mut inside.process).code(), Some(125));
    assert_eq!(fs::read_to_string(cleaned).unwrap(), "cleaned up\n");
    scene.assert_empty();
}

#[test]
fn pid1_that_faults_beside_its_only_command_lets_it_end_in_order() {
    need!("root");
    for line in ["--", "run --lock LOCK --"] {
        let scene = Scene::new();
        let line = format!("{line} DIR/puppet mark PAGE 1 , cleanup 300 DIR/cleaned");
        let words = scene.words(&line);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut inside = Ns::root().start(bin::lockkeeper(), &words);
        until("it runs", || scene.page.alive().get(&1) == Some(&1));
        signal(inside.pid1(), SIGSEGV);
        assert_eq!(ended(&mut inside.process).code(), Some(125), "{line}");
        let cleaned = fs::read_to_string(scene.path("cleaned"));
        assert_eq!(cleaned.ok().as_deref(), Some("cleaned up\n"), "{line}");
        scene.assert_empty();
    }
}

/// The command may run while who has forked its monitor does not, on a busy machine.
#[test]
fn pid1_that_faults_is_armed_before_it_forks() {
    need!("strace");
    let scene = Scene::new();
    let log = scene.path("strace");
    let mut command = Command::new("strace");
    child::bare(&mut command)
        .args([
            "-f",
            "-qq",
            "-e",
            "trace=rt_sigaction,clone,clone3,fork,vfork",
        ])
        .arg("-o")
        .arg(&log)
        .arg(bin::lockkeeper())
        .args(["run", "--lock"])
        .arg(scene.lock())
        .args(["--", "true"]);
    assert!(output(&mut command).status.success());
    let log = fs::read_to_string(log).unwrap();
    let first = |is: fn(&str) -> bool| log.lines().position(is).unwrap();
    let forks = first(|call| call.contains("clone") || call.contains("fork("));
    let arms = first(|call| {
        call.contains("rt_sigaction(SIGILL, {sa_handler=") && !call.contains("SIG_DFL")
    });
    assert!(arms < forks, "{log}");
}
