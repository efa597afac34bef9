//! fork and exec of a job: it gets the mask and the dispositions that we were started with, and a
//! failure between fork and exec comes back as a step and an error number.
//!
//! Everything that allocates is made before the fork; the child (`launch`) calls nothing but the
//! kernel. The child's signals are blocked until the instant before execve, so none is lost on the
//! way. Only the main thread may spawn: a parent-death signal follows the thread that forked
//! (prctl(2)).

mod launch;

use std::ffi::{CString, OsStr, OsString};
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::unistd::pipe2;

use self::launch::{Launch, Shared};
use super::limits::Limit;
use crate::core::outcome::SpawnStep;

/// Where the command stands among sessions and terminals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// In our process group: it shares our terminal, and what the terminal sends.
    Shared,
    /// In a session of its own, without a terminal.
    Own,
    /// In a session of its own that takes over the terminal of standard input.
    OwnWithTerminal,
    /// In a session of its own, with the terminal of its own that its standard output is.
    OwnPty,
}

/// The user to become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The supplementary groups.
    pub groups: Vec<u32>,
}

/// What a command's process is given before its program runs. What is absent is inherited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// Resource limits.
    pub limits: Vec<Limit>,
    /// The file mode creation mask.
    pub umask: Option<u32>,
    /// The nice value.
    pub nice: Option<i32>,
    /// How soon the kernel kills it when memory runs out.
    pub oom_score_adj: Option<CString>,
    /// Whether no program that it executes gains privileges.
    pub no_new_privs: bool,
}

/// A command, ready to be forked.
#[derive(Debug)]
pub struct Command {
    /// The paths at which its program may lie, in the order of `PATH`.
    candidates: Vec<CString>,
    /// Its program as an open file, which goes before them.
    program: Option<RawFd>,
    /// Descriptors that it gets under their own numbers.
    pass: Vec<RawFd>,
    argv: Vec<CString>,
    /// `NAME=value`, in place of what we were started with.
    changes: Vec<CString>,
    /// Names that are taken out of what we were started with, each with its `=`.
    unset: Vec<Vec<u8>>,
    /// `NAME=`, and room for its own number, which it writes there itself.
    own_number: Option<Vec<u8>>,
    /// Without anything else in its environment.
    bare: bool,
    dir: Option<CString>,
    session: Session,
    user: Option<Credentials>,
    attributes: Attributes,
    /// What it writes "0" to in order to come into its control group.
    group: Option<OwnedFd>,
    stdin: Option<RawFd>,
    stdout: Option<RawFd>,
    stderr: Option<RawFd>,
}

/// Whose memory the child uses until it executes its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// A copy of ours, as after fork(2).
    Copied,
    /// Ours, where the architecture and the user to become allow it. For a caller that keeps
    /// [`Spawned`] until it is readable: dropped earlier, what the child reads stays for ever.
    Shared,
}

/// A process between fork and exec, or already past it. Its descriptor becomes readable when the
/// program runs, or could not be run, or the process died.
#[derive(Debug)]
pub struct Spawned {
    /// Its number.
    pub pid: i32,
    progress: OwnedFd,
    /// What the child reads, while it may.
    shared: ManuallyDrop<Option<Shared>>,
}

/// A step that failed, with its error number.
pub type Failure = (SpawnStep, i32);

const DEFAULT_PATH: &[u8] = b"/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Command {
    /// A command whose environment is the one that we were started with, but for `changes`. `EINVAL`
    /// where a text contains a NUL byte or no command is there.
    pub fn new(command: &[OsString], changes: &[(OsString, OsString)]) -> Result<Self, Failure> {
        let bad = |_| (SpawnStep::Exec, libc::EINVAL);
        let argv: Vec<CString> = command
            .iter()
            .map(|arg| CString::new(arg.as_bytes()))
            .collect::<Result<_, _>>()
            .map_err(bad)?;
        let program = command.first().ok_or((SpawnStep::Exec, libc::EINVAL))?;
        let own_path = changes
            .iter()
            .rfind(|(name, _)| name == "PATH")
            .map(|(_, path)| path.clone());
        let path = own_path.or_else(|| std::env::var_os("PATH"));
        let path = path.as_deref().map_or(DEFAULT_PATH, OsStr::as_bytes);
        let candidates = candidates(program, path).map_err(bad)?;
        let changes = changes
            .iter()
            .map(|(name, value)| CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()))
            .collect::<Result<_, _>>()
            .map_err(bad)?;
        Ok(Self {
            candidates,
            program: None,
            pass: Vec::new(),
            argv,
            changes,
            unset: Vec::new(),
            own_number: None,
            bare: false,
            dir: None,
            session: Session::Shared,
            user: None,
            attributes: Attributes::default(),
            group: None,
            stdin: None,
            stdout: None,
            stderr: None,
        })
    }

    /// Sets the working directory, entered as the new user.
    pub fn dir(&mut self, dir: &Path) -> Result<&mut Self, Failure> {
        let dir = CString::new(dir.as_os_str().as_bytes());
        self.dir = Some(dir.map_err(|_| (SpawnStep::Dir, libc::EINVAL))?);
        Ok(self)
    }

    /// Sets its program as an open file, which stays open in the caller.
    pub fn program(&mut self, program: &OwnedFd) -> Result<&mut Self, Failure> {
        let number = program.as_raw_fd();
        let name = CString::new(format!("/proc/self/fd/{number}"));
        self.candidates = vec![name.map_err(|_| (SpawnStep::Exec, libc::EINVAL))?];
        self.program = Some(number);
        Ok(self)
    }

    /// Sets the descriptors that it gets under their own numbers, close-on-exec as they are here.
    pub fn pass(&mut self, descriptors: &[RawFd]) -> &mut Self {
        self.pass = descriptors.to_vec();
        self
    }

    /// Sets where it stands among sessions.
    pub const fn session(&mut self, session: Session) -> &mut Self {
        self.session = session;
        self
    }

    /// Sets whom it becomes.
    pub fn user(&mut self, user: Credentials) -> &mut Self {
        self.user = Some(user);
        self
    }

    /// Takes variables out of what it inherits; changes are not touched.
    pub fn unset(&mut self, names: &[&str]) -> &mut Self {
        self.unset
            .extend(names.iter().map(|name| [name.as_bytes(), b"="].concat()));
        self
    }

    /// Has it find its own number in the variable `name`.
    pub fn own_number(&mut self, name: &str) -> &mut Self {
        self.own_number = Some([name.as_bytes(), b"=", &[0; launch::DIGITS][..]].concat());
        self
    }

    /// Sets what its process is given.
    pub fn attributes(&mut self, attributes: Attributes) -> &mut Self {
        self.attributes = attributes;
        self
    }

    /// Sets the way into its control group: an open `cgroup.procs`.
    pub fn group(&mut self, door: OwnedFd) -> &mut Self {
        self.group = Some(door);
        self
    }

    /// Leaves nothing in its environment but the changes.
    pub const fn bare(&mut self) -> &mut Self {
        self.bare = true;
        self
    }

    /// Sets its standard input, output and error; `None`: ours. They stay open in the caller.
    pub fn stdio(
        &mut self,
        stdin: Option<&OwnedFd>,
        stdout: Option<&OwnedFd>,
        stderr: Option<&OwnedFd>,
    ) -> &mut Self {
        self.stdin = stdin.map(AsRawFd::as_raw_fd);
        self.stdout = stdout.map(AsRawFd::as_raw_fd);
        self.stderr = stderr.map(AsRawFd::as_raw_fd);
        self
    }

    /// Starts it. Other threads may exist: the child calls only the kernel.
    ///
    /// With [`Memory::Shared`] nothing of this process is copied, which halves the time to the first
    /// instruction of the program. Unlike after vfork(2) we go on at once, so that a program or a
    /// folder on a file server that has gone holds up its own process alone.
    pub fn spawn(self, memory: Memory) -> Result<Spawned, Failure> {
        let (progress, report) =
            pipe2(OFlag::O_CLOEXEC).map_err(|errno| (SpawnStep::Stdio, errno as i32))?;
        // Who changes its user is under that user's hands at once, and our memory with it. A terminal
        // that is shared can send QUIT at any moment, and before Linux 5.17 whoever dumps core takes
        // along all that use its memory (`zap_threads` in its source).
        // And `oom_score_adj` is written for all that use a memory (`__set_oom_adj`), and a group whose
        // memory has run out kills all that use the victim's (`__oom_kill_process`).
        let is_alone = self.user.is_none()
            && self.session != Session::Shared
            && self.attributes.oom_score_adj.is_none()
            && self.group.is_none();
        let memory = if is_alone { memory } else { Memory::Copied };
        let launch = Launch::new(self, report.as_raw_fd());
        let made = match memory {
            Memory::Copied => launch.copy().map(|pid| (pid, None)),
            Memory::Shared => launch.share(),
        };
        let (pid, shared) = made.map_err(|errno| (SpawnStep::Fork, errno as i32))?;
        Ok(Spawned {
            pid,
            progress,
            shared: ManuallyDrop::new(shared),
        })
    }
}

impl Spawned {
    /// What the child told; `None`: the program runs, or its process died before it could tell. Call
    /// it when [`Spawned::as_fd`] is readable.
    pub fn failure(mut self) -> Option<Failure> {
        let mut bytes = [0_u8; 8];
        match nix::unistd::read(&self.progress, &mut bytes) {
            // The kernel closes what is close-on-exec, and what a dead process held, after it has let
            // go of the memory (execve(2), `begin_new_exec` in its source).
            // SAFETY: `self` ends here, so nobody uses the field again.
            Ok(0) => drop(unsafe { ManuallyDrop::take(&mut self.shared) }),
            Ok(8) => return Some(told(bytes)),
            _ => {}
        }
        None
    }
}

impl AsFd for Spawned {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.progress.as_fd()
    }
}

fn told(bytes: [u8; 8]) -> Failure {
    let message = u64::from_ne_bytes(bytes);
    let errno = i32::try_from(message & 0xffff_ffff).unwrap_or(libc::EINVAL);
    let step = match message >> 32 {
        0 => SpawnStep::Fork,
        1 => SpawnStep::Stdio,
        2 => SpawnStep::Session,
        3 => SpawnStep::User,
        4 => SpawnStep::Dir,
        5 => SpawnStep::Limits,
        6 => SpawnStep::Nice,
        7 => SpawnStep::OomScore,
        8 => SpawnStep::NoNewPrivs,
        9 => SpawnStep::Group,
        _ => SpawnStep::Exec,
    };
    (step, errno)
}

fn candidates(program: &OsStr, path: &[u8]) -> Result<Vec<CString>, std::ffi::NulError> {
    let program = program.as_bytes();
    if program.contains(&b'/') || program.is_empty() {
        return Ok(vec![CString::new(program)?]);
    }
    path.split(|byte| *byte == b':')
        .map(|folder| {
            // An empty entry is the working directory (environ(7)).
            let folder = if folder.is_empty() { b"." } else { folder };
            CString::new([folder, b"/", program].concat())
        })
        .collect()
}
