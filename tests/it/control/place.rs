//! Where the socket lies, whose it is, and what becomes of it when its init dies.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use super::{Asked, Talk, names};
use crate::support::bin;
use crate::support::child::{self, Tied, bare, output, signal};
use crate::support::need::need;
use crate::support::ns::{Inside, Ns};
use crate::support::scene::{Scene, ended};
use crate::support::wait::until;

const FILE: &str = "[init]\nstay = true\n[jobs.dev]\nclass = \"interactive\"\nstdin = \"null\"\n\
                    start = \"manual\"\nscript = hang\n";
const HELLO: &str = r#"{"v":1,"op":"hello"}"#;

/// An init as a subreaper, with this socket.
fn init(scene: &Scene, socket: &Path) -> Tied {
    let mut command = Command::new(bin::lockkeeper());
    let errors = fs::File::options()
        .append(true)
        .create(true)
        .open(scene.path("errors"));
    bare(&mut command)
        .args(["init", "-c"])
        .arg(scene.path("lockkeeper.toml"))
        .arg("--socket")
        .arg(socket)
        .stderr(Stdio::from(errors.expect("room for a file")));
    child::start(&mut command)
}

/// One with the file in it, which is written once: others read it.
fn scene() -> Scene {
    let scene = Scene::new();
    scene.config(FILE);
    scene
}

fn errors(scene: &Scene) -> String {
    fs::read_to_string(scene.path("errors")).unwrap_or_default()
}

fn listens(socket: &Path) -> bool {
    std::os::unix::net::UnixStream::connect(socket).is_ok()
}

#[test]
fn the_socket_of_a_dead_init_is_taken_over_and_that_of_a_living_one_never() {
    let scene = scene();
    let socket = scene.path("a.sock");
    let first = init(&scene, &socket);
    until("it listens", || listens(&socket));
    let first_pid = first.pid();
    let second = init(&scene, &socket);
    until("the second says so", || {
        errors(&scene).contains("another init listens there")
    });
    assert_eq!(Talk::at(&socket).ask(HELLO)["init"]["pid"], first_pid);
    drop(second);
    signal(first_pid, Signal::SIGKILL);
    drop(first);
    assert!(socket.exists() && !listens(&socket), "it left it");
    let mut third = init(&scene, &socket);
    until("it listens", || listens(&socket));
    assert_eq!(Talk::at(&socket).ask(HELLO)["init"]["pid"], third.pid());
    signal(third.pid(), Signal::SIGTERM);
    assert!(ended(&mut third).success());
    assert!(!socket.exists(), "it took it away");
    assert_eq!(names(scene.folder(), ".latch"), Vec::<String>::new());
}

#[test]
fn of_many_that_want_one_dead_socket_one_has_it() {
    let scene = scene();
    let socket = scene.path("a.sock");
    for round in 1..=5 {
        drop(UnixListener::bind(&socket));
        assert!(socket.exists());
        let inits: Vec<Tied> = (0..6).map(|_| init(&scene, &socket)).collect();
        until("all but one say so", || {
            errors(&scene).matches("nobody can ask this init").count() == 5 * round
        });
        // The one that has the name may still be making its socket.
        until("one listens", || listens(&socket));
        let pid = Talk::at(&socket).ask(HELLO)["init"]["pid"].as_i64();
        assert!(inits.iter().any(|init| Some(i64::from(init.pid())) == pid));
        for init in inits {
            signal(init.pid(), Signal::SIGKILL);
        }
        fs::remove_file(&socket).unwrap();
    }
}

#[test]
fn what_is_no_socket_of_an_init_is_left_alone() {
    let scene = scene();
    let path = scene.path("precious.sock");
    fs::write(&path, "precious").unwrap();
    let _one = init(&scene, &path);
    until("it says so", || {
        errors(&scene).contains("something else has that name")
    });
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    let other = scene.path("other.sock");
    let _listener = UnixListener::bind(&other).unwrap();
    let _two = init(&scene, &other);
    until("it says so", || {
        errors(&scene).contains("another program listens there")
    });
    assert!(listens(&other));
    let long = scene.path(&format!("{}.sock", "x".repeat(120)));
    let _three = init(&scene, &long);
    until("it says so", || {
        errors(&scene).contains("name a shorter one")
    });
}

#[test]
fn two_inits_of_one_namespace_are_told_apart_by_their_sockets() {
    need!("root");
    let scene = Scene::new();
    let file = scene.config(FILE).display().to_string();
    let program = bin::lockkeeper().display().to_string();
    let line = format!("'{program}' init -c '{file}' & '{program}' init -c '{file}' & wait");
    let inside = Ns::root()
        .shell("mount -t tmpfs none /run")
        .start("/bin/sh".as_ref(), &["-c", &line]);
    let sockets = || names(&inside.path("/run/lockkeeper"), ".sock");
    until("both listen", || {
        let sockets = sockets();
        let at = |name: &String| inside.path("/run/lockkeeper").join(name);
        sockets.len() == 2 && sockets.iter().all(|name| listens(&at(name)))
    });
    let ask = |args: &[&str], socket: Option<&str>| ask(&inside, args, socket);
    let asked = ask(&["health"], None);
    assert_eq!(asked.code, 1);
    assert!(asked.err.contains("several inits run here"), "{asked:?}");
    assert_eq!(ask(&["start", "dev"], None).code, 69);
    for name in sockets() {
        assert!(asked.err.contains(&name), "{asked:?}");
        let path = format!("/run/lockkeeper/{name}");
        assert_eq!(ask(&["health", "--socket", &path], None).code, 0);
        // The variable does the same, and the flag goes before it.
        assert_eq!(ask(&["health"], Some(&path)).code, 0);
        assert_eq!(
            ask(&["health", "--socket", "/no.sock"], Some(&path)).code,
            1
        );
    }
    // What a killed one leaves is gone with the start of the next.
    let first = crate::support::ns::children(inside.pid1())[0];
    let left = sockets();
    signal(first, Signal::SIGKILL);
    until("one is left", || ask(&["health"], None).code == 0);
    assert_eq!(sockets().len(), 2, "its file is still there");
    let mut third = inside.enter(bin::lockkeeper());
    let third = child::start(bare(&mut third).args(["init", "-c", &file]));
    until("the third listens", || {
        sockets().iter().any(|name| !left.contains(name))
    });
    assert_eq!(sockets().len(), 2, "the dead one's is gone");
    drop(third);
}

fn ask(inside: &Inside, args: &[&str], socket: Option<&str>) -> Asked {
    let mut command = inside.enter(bin::lockkeeper());
    bare(&mut command).args(args);
    if let Some(socket) = socket {
        command.env("LOCKKEEPER_SOCKET", socket);
    }
    Asked::of(&output(&mut command))
}

#[test]
fn without_a_place_for_a_socket_init_runs_its_jobs_and_says_so() {
    let scene = scene();
    let mut started = init(&scene, &scene.path("no/such/folder/a.sock"));
    until("it says so", || {
        errors(&scene).contains("its folder does not exist; create it")
    });
    signal(started.pid(), Signal::SIGTERM);
    assert!(ended(&mut started).success());
}

#[test]
fn a_job_does_not_find_the_sockets_name_in_its_environment() {
    let scene = Scene::new();
    // Not by a script, in which LOCK is a word of the scene's.
    let file =
        scene.config("[jobs.a]\nclass = \"interactive\"\nstdin = \"null\"\ncommand = [\"env\"]\n");
    let mut command = Command::new(bin::lockkeeper());
    bare(&mut command).args(["init", "-c"]).arg(file);
    command.env("LOCKKEEPER_SOCKET", scene.path("a.sock"));
    let said = output(&mut command);
    let said = child::text(&said.stdout);
    assert!(
        said.contains("_JOB=a\n") && !said.contains("SOCKET"),
        "{said}"
    );
}
