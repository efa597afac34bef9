//! What init tells whoever started it, on a real socket, and through podman.

use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;

use nix::sys::signal::Signal::{SIGHUP, SIGTERM};

use super::*;
use crate::support::ns::own_run;
use crate::support::yard::Yard;

/// Whoever started init: a socket, and all that came.
struct Outer {
    socket: UnixDatagram,
    path: PathBuf,
    heard: Vec<String>,
}

impl Outer {
    fn new(scene: &Scene) -> Self {
        let path = scene.path("notify.sock");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        let heard = Vec::new();
        Self {
            socket,
            path,
            heard,
        }
    }

    /// Waits until somebody has said this line; what was said up to then.
    #[track_caller]
    fn await_line(&mut self, line: &str) {
        until(line, || {
            self.read();
            self.has(line)
        });
    }

    fn has(&self, line: &str) -> bool {
        self.heard.iter().any(|heard| heard == line)
    }

    fn read(&mut self) {
        let mut buffer = vec![0; 4096];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            let said = text(buffer.get(..length).unwrap_or_default());
            self.heard.extend(said.lines().map(str::to_owned));
        }
    }

    fn count(&self, line: &str) -> usize {
        self.heard.iter().filter(|heard| *heard == line).count()
    }
}

/// init with this file, told of `outer`.
fn init(scene: &Scene, outer: &Outer, toml: &str) -> Command {
    let file = scene.config(toml);
    let mut command = Command::new(bin::lockkeeper());
    own_run(&mut command);
    child::bare(&mut command)
        .args(["init", "-v", "-c"])
        .arg(file);
    command.env("NOTIFY_SOCKET", &outer.path);
    command.stderr(File::create(scene.path("notes")).unwrap());
    command
}

#[test]
fn init_says_that_it_is_up_what_it_does_and_that_it_stops_and_its_jobs_cannot() {
    need!("root");
    let scene = Scene::new();
    let mut outer = Outer::new(&scene);
    let mut run = child::start(&mut init(
        &scene,
        &outer,
        "[jobs.a]
        class = \"batch\"
        script = env NOTIFY_SOCKET , env WATCHDOG_USEC , env WATCHDOG_PID , hang
        [jobs.b]
        class = \"batch\"
        start = \"manual\"
        script = hang",
    ));
    outer.await_line("READY=1");
    assert_eq!(outer.heard.first().map(String::as_str), Some("READY=1"));
    outer.await_line("STATUS=1 of 2 jobs running");
    for _ in 0..3 {
        assert_eq!(run.line().as_deref(), Some(""));
    }
    assert!(!outer.has("STOPPING=1"));
    signal(run.pid(), SIGTERM);
    outer.await_line("STOPPING=1");
    assert_eq!(ended(&mut run).code(), Some(0), "{}", notes(&scene));
    outer.read();
    assert_eq!((outer.count("READY=1"), outer.count("STOPPING=1")), (1, 1));
    assert_eq!(outer.count("WATCHDOG=1"), 0);
}

#[test]
fn where_the_main_job_says_when_it_is_ready_init_is_not_up_before() {
    need!("root");
    let scene = Scene::new();
    let mut outer = Outer::new(&scene);
    let mut run = child::start(&mut init(
        &scene,
        &outer,
        "[classes.batch]
        notify = true
        [jobs.main]
        class = \"batch\"
        main = true
        stdin = \"inherit\"
        command = [\"DIR/puppet\"]",
    ));
    // Init hands no standard input on; it waits for a signal.
    outer.await_line("STATUS=starting, 1 of 1 job running");
    assert!(!outer.has("READY=1"));
    run.hang_up();
    assert_eq!(ended(&mut run).code(), Some(0), "{}", notes(&scene));
    outer.read();
    assert_eq!(outer.count("READY=1"), 0, "it was never ready");

    let mut run = child::start(&mut init(
        &scene,
        &outer,
        "[jobs.main]
        class = \"batch\"
        main = true
        ready_timeout = \"20s\"
        script = notify READY=1 , hang",
    ));
    outer.await_line("READY=1");
    signal(run.pid(), SIGTERM);
    ended(&mut run);
}

#[test]
fn init_says_when_it_reads_its_file_again_and_when_that_is_over_whatever_came_of_it() {
    need!("root");
    let scene = Scene::new();
    let mut outer = Outer::new(&scene);
    let toml = "[jobs.a]\nclass = \"batch\"\nscript = hang\n";
    let mut run = child::start(&mut init(&scene, &outer, toml));
    outer.await_line("READY=1");
    outer.await_line("STATUS=1 of 1 job running");
    for (n, more) in ["", "nonsense = 7\n"].iter().enumerate() {
        scene.config(&format!("{toml}{more}"));
        outer.heard.clear();
        let now = || lockkeeper::sys::clock::now().0 / 1000;
        let asked = now();
        signal(run.pid(), SIGHUP);
        outer.await_line("READY=1");
        let (heard, n) = (&outer.heard, n + 1);
        let when = heard
            .get(1)
            .and_then(|line| line.strip_prefix("MONOTONIC_USEC="));
        let when: u64 = when.and_then(|when| when.parse().ok()).expect("a time");
        assert!((asked..=now()).contains(&when), "{n}: {heard:?}");
        let others: Vec<&str> = heard
            .iter()
            .map(String::as_str)
            .filter(|line| !line.starts_with("MONO"))
            .collect();
        let first = ["RELOADING=1", "STATUS=reading the file again"];
        assert_eq!(others.get(..2), Some(&first[..]), "{n}");
        assert_eq!(outer.count("READY=1"), 1);
    }
    signal(run.pid(), SIGTERM);
    outer.await_line("STOPPING=1");
    assert_eq!(ended(&mut run).code(), Some(0), "{}", notes(&scene));
}

#[test]
fn init_shows_that_it_lives_only_where_it_is_asked_to() {
    need!("root");
    let scene = Scene::new();
    let mut outer = Outer::new(&scene);
    let toml = "[jobs.a]\nclass = \"batch\"\nscript = hang";
    let mut asked = init(&scene, &outer, toml);
    asked.env("WATCHDOG_USEC", "100000");
    let mut run = child::start(&mut asked);
    until("three signs of life", || {
        outer.read();
        outer.count("WATCHDOG=1") >= 3
    });
    signal(run.pid(), SIGTERM);
    ended(&mut run);
    outer.read();
    outer.heard.clear();
    // Of another process.
    let mut asked = init(&scene, &outer, toml);
    asked
        .env("WATCHDOG_USEC", "100000")
        .env("WATCHDOG_PID", "1");
    let mut run = child::start(&mut asked);
    outer.await_line("STATUS=1 of 1 job running");
    signal(run.pid(), SIGTERM);
    ended(&mut run);
    outer.read();
    assert_eq!(outer.count("WATCHDOG=1"), 0);
}

#[test]
fn whoever_does_not_listen_holds_up_nobody_and_hears_all_that_matters_once_he_does() {
    need!("root");
    let scene = Scene::new();
    let mut outer = Outer::new(&scene);
    let full = UnixDatagram::unbound().unwrap();
    full.set_nonblocking(true).unwrap();
    while full.send_to(b"X=1", &outer.path).is_ok() {}
    let toml = "[jobs.a]\nclass = \"batch\"\nscript = out up , hang";
    let mut run = child::start(&mut init(&scene, &outer, toml));
    assert_eq!(run.line().as_deref(), Some("up"));
    outer.await_line("READY=1");
    while full.send_to(b"X=1", &outer.path).is_ok() {}
    signal(run.pid(), SIGTERM);
    assert_eq!(ended(&mut run).code(), Some(0), "{}", notes(&scene));
    // Nobody is there at all.
    fs::remove_file(&outer.path).unwrap();
    let mut run = child::start(&mut init(&scene, &outer, toml));
    assert_eq!(run.line().as_deref(), Some("up"));
    signal(run.pid(), SIGTERM);
    assert_eq!(ended(&mut run).code(), Some(0), "{}", notes(&scene));
}

#[test]
fn a_single_command_speaks_for_itself() {
    let scene = Scene::new();
    let mut outer = Outer::new(&scene);
    let mut command = Command::new(bin::lockkeeper());
    child::bare(&mut command).arg("--").arg(scene.puppet());
    command
        .args(["notify", "READY=1"])
        .env("NOTIFY_SOCKET", &outer.path);
    assert!(output(&mut command).status.success());
    outer.read();
    assert_eq!(outer.heard, ["READY=1"]);
}

#[test]
fn podman_hears_from_init_in_a_real_container_that_it_is_up() {
    need!("root", "podman", "crun", "buildah", "busybox", "static");
    let yard = Yard::new();
    let mut outer = Outer::new(&yard.scene);
    let run = yard
        .init(
            "[jobs.a]
            class = \"batch\"
            main = true
            ready_timeout = \"20s\"
            script = sleep 200 , notify READY=1 , hang",
        )
        .with(&["--sdnotify", "container"]);
    let Yard {
        podman,
        scene: _scene,
    } = yard;
    let podman = podman.notifying(&outer.path);
    let container = podman.start(&run);
    outer.await_line("READY=1");
    assert!(container.stop(10), "podman had to kill it");
}

#[test]
fn a_job_that_waits_for_another_to_be_ready_starts_when_that_one_says_so() {
    need!("root");
    let scene = Scene::new();
    let outer = Outer::new(&scene);
    let mut run = child::start(&mut init(
        &scene,
        &outer,
        "[jobs.web]
        class = \"batch\"
        after = [\"db:ready\"]
        script = append DIR/log web , out up , hang
        [jobs.db]
        class = \"batch\"
        script = sleep 300 , append DIR/log db , notify READY=1 , hang",
    ));
    assert_eq!(run.line().as_deref(), Some("up"));
    assert_eq!(fs::read_to_string(scene.path("log")).unwrap(), "db\nweb\n");
    signal(run.pid(), SIGTERM);
    assert_eq!(ended(&mut run).code(), Some(0), "{}", notes(&scene));
}
