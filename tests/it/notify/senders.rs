//! Who is believed: the processes of the run, and nobody else.

use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::os::unix::process::CommandExt as _;

use nix::fcntl::OFlag;
use nix::unistd::{pipe2, read};

use super::*;
use crate::support::wait::until_some;

/// A run that waits for READY=1, and its socket.
struct Listening {
    scene: Scene,
    run: Tied,
    address: String,
}

impl Listening {
    /// Its command reads what to do.
    fn new(keys: &str) -> Self {
        let scene = Scene::new();
        let keys = format!(
            "ready_timeout = \"20s\"\nstdin = \"inherit\"\n{keys}\ncommand = [\"DIR/puppet\"]"
        );
        let mut run = start(&scene, &keys);
        let address = run.ask("env NOTIFY_SOCKET");
        Self {
            scene,
            run,
            address,
        }
    }

    fn monitor(&self) -> i32 {
        child_of(self.run.pid())
    }

    /// Somebody who is no part of the run.
    fn stranger(&self) -> UnixDatagram {
        let name = self.address.strip_prefix('@').unwrap();
        let socket = UnixDatagram::unbound().unwrap();
        let address = SocketAddr::from_abstract_name(name).unwrap();
        socket.connect_addr(&address).unwrap();
        socket
    }

    fn is_ready(&self) -> bool {
        notes(&self.scene).contains("ready after")
    }

    /// The command says that it is ready, and is heard.
    fn gets_ready(mut self) {
        assert!(!self.is_ready(), "{}", notes(&self.scene));
        self.run.ask("notify READY=1");
        until_noted(&self.scene, "ready after");
        self.run.say("exit 3");
        assert_eq!(
            ended(&mut self.run).code(),
            Some(3),
            "{}",
            notes(&self.scene)
        );
    }
}

/// Sends a datagram, and a descriptor with it (`SCM_RIGHTS`, unix(7)), many times over.
fn send_with(socket: &UnixDatagram, text: &[u8], descriptor: RawFd) {
    #[repr(C)]
    struct Control {
        header: libc::cmsghdr,
        descriptors: [RawFd; 200],
    }
    let mut control = Control {
        header: libc::cmsghdr {
            cmsg_len: size_of::<Control>(),
            cmsg_level: libc::SOL_SOCKET,
            cmsg_type: libc::SCM_RIGHTS,
        },
        descriptors: [descriptor; 200],
    };
    let mut part = libc::iovec {
        iov_base: text.as_ptr().cast_mut().cast(),
        iov_len: text.len(),
    };
    #[expect(unsafe_code, reason = "no library at hand sends descriptors")]
    // SAFETY: numbers and pointers, for which zero is a value; all that is pointed to is valid for
    // its length, and only read.
    let sent = unsafe {
        let mut message: libc::msghdr = std::mem::zeroed();
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = (&raw mut control).cast();
        message.msg_controllen = size_of::<Control>();
        libc::sendmsg(socket.as_raw_fd(), &raw const message, 0)
    };
    assert_eq!(usize::try_from(sent), Ok(text.len()));
}

fn descriptors(pid: i32) -> usize {
    fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}

#[test]
fn a_stranger_who_knows_the_name_is_not_heard_and_that_is_said_once() {
    let listening = Listening::new("");
    let stranger = listening.stranger();
    for _ in 0..3 {
        stranger.send(b"READY=1\nSTATUS=mine now").unwrap();
        stranger.send(b"WATCHDOG=trigger").unwrap();
    }
    let note = format!("process {} of user", std::process::id());
    until_noted(&listening.scene, &note);
    assert_eq!(notes(&listening.scene).matches("not heard").count(), 1);
    listening.gets_ready();
}

#[test]
fn a_stranger_of_the_commands_own_user_who_lives_is_not_heard() {
    need!("root");
    // Nor is one of another user who has gone when we look.
    let listening = Listening::new("user = \"nobody\"");
    let monitor = listening.monitor();
    let say = |uid: u32| {
        let mut stranger = Command::new(listening.scene.puppet());
        stranger.args(["notify", "READY=1", ",", "out", "said", ",", "hang"]);
        stranger.env("NOTIFY_SOCKET", &listening.address).uid(uid);
        let mut stranger = child::start(&mut stranger);
        assert_eq!(stranger.line().as_deref(), Some("said"));
        stranger
    };
    let living = say(65_534);
    until_noted(&listening.scene, "not heard");
    drop(living);
    halt(monitor);
    drop(say(1234));
    signal(monitor, SIGCONT);
    listening.gets_ready();
}

#[test]
fn a_process_of_the_run_that_has_gone_when_we_look_is_heard_by_its_user() {
    need!("root");
    for keys in ["", "user = \"nobody\""] {
        let mut listening = Listening::new(keys);
        let monitor = listening.monitor();
        halt(monitor);
        listening.run.ask("child { notify READY=1 } , reap");
        signal(monitor, SIGCONT);
        until_noted(&listening.scene, "ready after");
    }
}

#[test]
fn a_process_that_left_everything_but_the_tree_is_heard() {
    let mut listening = Listening::new("");
    listening
        .run
        .ask("child { daemon , setsid , chdir / , child { notify READY=1 , hang } , hang }");
    until_noted(&listening.scene, "ready after");
}

#[test]
fn a_process_of_a_pid_namespace_within_the_run_is_heard() {
    need!("root", "unshare");
    let scene = Scene::new();
    let (code, _) = told(
        &scene,
        "ready_timeout = \"20s\"
        command = [\"unshare\", \"--pid\", \"--fork\", \"DIR/puppet\", \"notify\", \"READY=1\", \",\", \"exit\", \"3\"]",
    );
    assert_eq!(code, Some(3), "{}", notes(&scene));
    assert!(notes(&scene).contains("ready after"), "{}", notes(&scene));
}

#[test]
fn garbage_and_a_flood_keep_nobody_from_being_heard_or_stopped() {
    let listening = Listening::new("");
    let lines = vec![b'\n'; 60_000];
    let strangers = [(); 4].map(|()| listening.stranger());
    std::thread::scope(|scope| {
        for stranger in strangers {
            let lines = &lines;
            scope.spawn(move || {
                // As fast as they are read, until the run has gone.
                let garbage: [&[u8]; 4] = [b"READY=1", &[0xff; 4096], lines, b""];
                let mut all = garbage.iter().cycle();
                while all
                    .next()
                    .is_some_and(|datagram| stranger.send(datagram).is_ok())
                {}
            });
        }
        until_noted(&listening.scene, "not heard");
        let mut run = listening.run;
        run.ask("notify READY=1");
        until_noted(&listening.scene, "ready after");
        signal(run.pid(), nix::sys::signal::Signal::SIGTERM);
        let status = until_some("it ends", || run.try_wait());
        assert_eq!(status.code(), Some(143), "{}", notes(&listening.scene));
    });
}

#[test]
fn descriptors_that_come_along_are_closed_and_the_words_beside_them_are_read() {
    let listening = Listening::new("");
    let monitor = listening.monitor();
    let before = descriptors(monitor);
    let (ours, theirs): (OwnedFd, OwnedFd) = pipe2(OFlag::O_CLOEXEC).unwrap();
    let stranger = listening.stranger();
    for _ in 0..50 {
        send_with(&stranger, b"FDSTORE=1", theirs.as_raw_fd());
    }
    drop(theirs);
    // The end of the pipe: nobody has a copy any more.
    assert_eq!(read(&ours, &mut [0; 1]), Ok(0));
    // The pipe of the start is perhaps gone by now.
    assert!(descriptors(monitor) <= before);
    listening.gets_ready();
}
