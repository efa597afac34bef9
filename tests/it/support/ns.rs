//! PID and mount namespaces of a test's own, without a container engine: a program as PID 1 in a
//! few milliseconds, right for hundreds of cases.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::child::{self, Tied};
use super::inherited::Inherited;
use super::net::Net;
use super::wait::until_some;

/// How a program is to be started as PID 1.
pub(crate) struct Ns {
    user: bool,
    net: Option<String>,
    setup: String,
    envs: Vec<(String, String)>,
    inherited: Option<Inherited>,
}

/// The program that runs in there as PID 1. When this is dropped the whole namespace is killed.
pub(crate) struct Inside {
    /// PID 1, with its pipes and its status. In a user namespace it is `unshare`, which waits
    /// outside and ends with the same code (but not by the same signal: util-linux 2.38 fails to).
    pub(crate) process: Tied,
    pid1: i32,
}

impl Ns {
    /// As root, a child of the test.
    pub(crate) fn root() -> Self {
        Self {
            user: false,
            net: None,
            setup: "set -e; ".into(),
            envs: Vec::new(),
            inherited: None,
        }
    }

    /// In a user namespace of its own as well: root in there, nobody outside. Tests say
    /// `need!("userns")` before.
    pub(crate) fn user() -> Self {
        Self {
            user: true,
            ..Self::root()
        }
    }

    /// Shows the folder or file `from` at `to` (which exists) as a mount of its own.
    pub(crate) fn bind(self, from: &Path, to: &Path) -> Self {
        self.shell(&format!(
            "mount --bind '{}' '{}'",
            from.display(),
            to.display()
        ))
    }

    /// Runs a line of shell in there before the program takes its place as PID 1.
    pub(crate) fn shell(mut self, line: &str) -> Self {
        self.setup += line;
        self.setup += "; ";
        self
    }

    /// Shows the folder `from` at `to`, too, through a server that answers: one that was stopped before
    /// its first answer (`FUSE_INIT`) holds up whoever asks in another way than one that hangs later.
    pub(crate) fn bindfs(self, from: &Path, to: &Path) -> Self {
        let (from, to) = (from.display(), to.display());
        self.shell(&format!("bindfs '{from}' '{to}' && stat '{to}' >/dev/null"))
    }

    /// With `net` for its network instead of the machine's.
    pub(crate) fn net(mut self, net: &Net) -> Self {
        self.net = Some(net.path());
        self
    }

    /// Adds to the environment, which is PATH and nothing else of the test's own.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.envs.push((name.into(), value.into()));
        self
    }

    /// Started with these instead of the tests' own signals and descriptors. Not in a user namespace.
    pub(crate) fn inherited(mut self, inherited: &Inherited) -> Self {
        self.inherited = Some(inherited.clone());
        self
    }

    /// Starts `program` (an absolute path) as PID 1, with pipes on its stdin and stdout. Returns
    /// when it has begun: before, PID 1 is still the shell that makes its mounts.
    #[track_caller]
    pub(crate) fn start(self, program: &Path, args: &[&str]) -> Inside {
        let mut command = Command::new(if self.net.is_some() {
            "nsenter"
        } else {
            "unshare"
        });
        if let Some(net) = &self.net {
            command.arg(format!("--net={net}")).args(["--", "unshare"]);
        }
        if self.user {
            command.args([
                "--user",
                "--map-root-user",
                "--pid",
                "--fork",
                "--kill-child",
            ]);
        }
        command.args(["--mount", "--mount-proc", "--", "sh", "-c"]);
        command
            .arg(format!("{}exec \"$0\" \"$@\"", self.setup))
            .arg(program);
        child::bare(&mut command).args(args).envs(self.envs);
        let mut process = if self.user {
            child::start(&mut command)
        } else {
            let start = || match &self.inherited {
                Some(inherited) => inherited.start(&mut command),
                None => child::start(&mut command),
            };
            in_new_pid_namespace(start).expect("root may make a namespace")
        };
        let program = program.canonicalize().expect("the program exists");
        let pid1 = until_some("PID 1 runs the program", || {
            let ended = process.try_wait().is_some();
            let pid = if self.user && !ended {
                children(process.pid()).first().copied()?
            } else {
                process.pid()
            };
            // A zombie has no program: it has begun and ended.
            let runs = fs::read_link(format!("/proc/{pid}/exe")).map_or(true, |exe| exe == program);
            (ended || runs).then_some(pid)
        });
        Inside { process, pid1 }
    }
}

impl Inside {
    /// The number of PID 1 outside, where the test can signal it.
    pub(crate) fn pid1(&self) -> i32 {
        self.pid1
    }

    /// A further program in the same PID and mount namespaces, as `docker exec` starts one: in
    /// there, its parent is nobody.
    pub(crate) fn enter(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        child::bare(&mut command)
            .args(["--target", &self.pid1.to_string(), "--pid", "--mount", "--"])
            .arg(program);
        command
    }

    /// A path of in there, as the test can open it.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.pid1))
    }
}

/// Has the calling thread's next child be PID 1 of a new namespace (`pid_namespaces(7)`), and its
/// later ones be of the test's own again.
pub(crate) fn in_new_pid_namespace<T>(start: impl FnOnce() -> T) -> io::Result<T> {
    let own = File::open("/proc/thread-self/ns/pid_for_children")?;
    #[expect(unsafe_code, reason = "no library at hand makes or enters a namespace")]
    let change = |flags: i32, back: bool| {
        // SAFETY: both change only which namespace this thread's children will be born in.
        match unsafe {
            if back {
                libc::setns(own.as_raw_fd(), flags)
            } else {
                libc::unshare(flags)
            }
        } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    change(libc::CLONE_NEWPID, false)?;
    let started = start();
    change(libc::CLONE_NEWPID, true)?;
    Ok(started)
}

/// Gives what is started a /run of its own, where an init finds no runs but its own.
pub(crate) fn own_run(command: &mut Command) -> &mut Command {
    let mount = |from: *const libc::c_char, to: *const libc::c_char, kind, flags| {
        #[expect(unsafe_code, reason = "no library at hand mounts")]
        // SAFETY: C strings that live for ever, or null where the kernel reads none (mount(2)).
        match unsafe { libc::mount(from, to, kind, flags, std::ptr::null()) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    #[expect(unsafe_code, reason = "the child itself enters its namespace")]
    // SAFETY: system calls alone, allowed after fork.
    unsafe {
        command.pre_exec(move || {
            if libc::unshare(libc::CLONE_NEWNS) != 0 {
                return Err(io::Error::last_os_error());
            }
            let (none, tmpfs, null) = (c"none".as_ptr(), c"tmpfs".as_ptr(), std::ptr::null());
            mount(none, c"/".as_ptr(), null, libc::MS_REC | libc::MS_PRIVATE)?;
            mount(none, c"/run".as_ptr(), tmpfs, 0)
        })
    }
}

/// The children of a process with one thread (proc(5), `/proc/pid/task/tid/children`); none if it
/// is gone.
pub(crate) fn children(pid: i32) -> Vec<i32> {
    let listed = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    listed
        .split_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}
