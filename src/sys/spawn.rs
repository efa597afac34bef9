//! fork and exec of a job: it gets the mask and the dispositions that we were started with, and a
//! failure between fork and exec comes back as a step and an error number.
//!
//! Everything that allocates is made before the fork; the child calls nothing but the kernel. The
//! child's signals are blocked until the instant before execve, so none is lost on the way. Only the
//! main thread may spawn: a parent-death signal follows the thread that forked (prctl(2)).

use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::pipe2;

use super::process::{Forked, exit_now, fork};
use super::signals::restore_started;
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

/// A command, ready to be forked.
#[derive(Debug)]
pub struct Command {
    /// The paths at which its program may lie, in the order of `PATH`.
    candidates: Vec<CString>,
    /// Its program as an open file, in place of them.
    program: Option<RawFd>,
    /// Descriptors that it gets under their own numbers.
    pass: Vec<RawFd>,
    argv: Vec<CString>,
    /// `NAME=value`, in place of what we were started with.
    changes: Vec<CString>,
    dir: Option<CString>,
    session: Session,
    user: Option<Credentials>,
    stdin: Option<RawFd>,
    stdout: Option<RawFd>,
    stderr: Option<RawFd>,
}

/// A process between fork and exec, or already past it.
#[derive(Debug)]
pub struct Spawned {
    /// Its number.
    pub pid: i32,
    /// Comes to its end when the program runs (or its process died); else it tells [`failure`].
    pub progress: OwnedFd,
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
            dir: None,
            session: Session::Shared,
            user: None,
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
    pub fn program(&mut self, program: &OwnedFd) -> &mut Self {
        self.program = Some(program.as_raw_fd());
        self
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

    /// Forks; the child goes on to execve. Other threads may exist: the child calls only the kernel.
    pub fn spawn(&self) -> Result<Spawned, Failure> {
        let argv = pointers(&self.argv);
        let envp = environment(&self.changes);
        // The arguments for a script without a first line that names its interpreter (execvp(3)).
        let mut script: Vec<*const libc::c_char> = vec![c"sh".as_ptr(), std::ptr::null()];
        script.extend_from_slice(argv.get(1..).unwrap_or_default());
        let (progress, report) =
            pipe2(OFlag::O_CLOEXEC).map_err(|errno| (SpawnStep::Stdio, errno as i32))?;
        match fork() {
            Err(error) => Err((
                SpawnStep::Fork,
                error.raw_os_error().unwrap_or(libc::EAGAIN),
            )),
            Ok(Forked::Parent(pid)) => Ok(Spawned { pid, progress }),
            Ok(Forked::Child) => {
                let (step, errno) = self.become_command(&argv, &envp, &mut script);
                tell(&report, step, errno);
                exit_now(crate::exit::NOT_FOUND);
            }
        }
    }

    /// In the child: comes back only where a step failed.
    fn become_command(
        &self,
        argv: &[*const libc::c_char],
        envp: &[*const libc::c_char],
        script: &mut [*const libc::c_char],
    ) -> (SpawnStep, Errno) {
        type Step = fn(&Command) -> Result<(), Errno>;
        let steps: [(SpawnStep, Step); 4] = [
            (SpawnStep::Stdio, Self::set_stdio),
            (SpawnStep::Session, Self::set_session),
            (SpawnStep::User, Self::set_user),
            (SpawnStep::Dir, Self::set_dir),
        ];
        for (step, run) in steps {
            if let Err(errno) = run(self) {
                return (step, errno);
            }
        }
        restore_started();
        (SpawnStep::Exec, self.exec(argv, envp, script))
    }

    fn set_stdio(&self) -> Result<(), Errno> {
        for (fd, target) in [(self.stdin, 0), (self.stdout, 1), (self.stderr, 2)] {
            let Some(fd) = fd else { continue };
            // SAFETY: takes numbers only; the new descriptor is not close-on-exec (dup(2)).
            Errno::result(unsafe { libc::dup2(fd, target) })?;
        }
        for fd in &self.pass {
            // SAFETY: takes numbers only; without flags it is not close-on-exec.
            Errno::result(unsafe { libc::fcntl(*fd, libc::F_SETFD, 0) })?;
        }
        Ok(())
    }

    fn set_session(&self) -> Result<(), Errno> {
        if self.session == Session::Shared {
            return Ok(());
        }
        // SAFETY: takes nothing. It fails only for the leader of a group, which a fresh child is not.
        Errno::result(unsafe { libc::setsid() })?;
        if self.session == Session::OwnWithTerminal {
            // SAFETY: takes numbers only; 0: do not steal it from another session (`ioctl_tty(2)`),
            // which has it then, and the command runs without.
            unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) };
        }
        Ok(())
    }

    /// The raw calls: libc's change every thread of a process, and this one has but itself.
    fn set_user(&self) -> Result<(), Errno> {
        let Some(user) = &self.user else {
            return Ok(());
        };
        // SAFETY: `groups` is valid for reading its length; the other calls take numbers only.
        unsafe {
            Errno::result(libc::syscall(
                libc::SYS_setgroups,
                user.groups.len(),
                user.groups.as_ptr(),
            ))?;
            Errno::result(libc::syscall(libc::SYS_setgid, user.gid))?;
            Errno::result(libc::syscall(libc::SYS_setuid, user.uid))?;
        }
        Ok(())
    }

    fn set_dir(&self) -> Result<(), Errno> {
        let Some(dir) = &self.dir else { return Ok(()) };
        // SAFETY: `dir` is a valid C string.
        Errno::result(unsafe { libc::chdir(dir.as_ptr()) }).map(drop)
    }

    /// Tries each candidate as execvp(3) does; a program that exists but may not run is told before
    /// one that was not found.
    fn exec(
        &self,
        argv: &[*const libc::c_char],
        envp: &[*const libc::c_char],
        script: &mut [*const libc::c_char],
    ) -> Errno {
        if let Some(program) = self.program {
            let (empty, flags) = (c"".as_ptr(), libc::AT_EMPTY_PATH);
            // SAFETY: valid C strings and null-terminated arrays of them (execveat(2)).
            unsafe {
                libc::syscall(
                    libc::SYS_execveat,
                    program,
                    empty,
                    argv.as_ptr(),
                    envp.as_ptr(),
                    flags,
                )
            };
            return Errno::last();
        }
        let mut worst = Errno::ENOENT;
        for candidate in &self.candidates {
            // SAFETY: all three are valid C strings or null-terminated arrays of them.
            unsafe { libc::execve(candidate.as_ptr(), argv.as_ptr(), envp.as_ptr()) };
            match Errno::last() {
                Errno::ENOENT | Errno::ENOTDIR => {}
                Errno::EACCES => worst = Errno::EACCES,
                Errno::ENOEXEC => {
                    if let Some(slot) = script.get_mut(1) {
                        *slot = candidate.as_ptr();
                    }
                    let shell: &CStr = c"/bin/sh";
                    // SAFETY: as above; `script` ends with the null that `argv` ends with.
                    unsafe { libc::execve(shell.as_ptr(), script.as_ptr(), envp.as_ptr()) };
                    return Errno::ENOEXEC;
                }
                errno => return errno,
            }
        }
        worst
    }
}

/// What the child told through [`Spawned::progress`]; `None`: the program runs, or its process died
/// before it could tell. Call it when the descriptor is readable.
pub fn failure(progress: &OwnedFd) -> Option<Failure> {
    let mut bytes = [0_u8; 8];
    if nix::unistd::read(progress, &mut bytes) != Ok(bytes.len()) {
        return None;
    }
    let message = u64::from_ne_bytes(bytes);
    let errno = i32::try_from(message & 0xffff_ffff).unwrap_or(libc::EINVAL);
    let step = match message >> 32 {
        0 => SpawnStep::Fork,
        1 => SpawnStep::Stdio,
        2 => SpawnStep::Session,
        3 => SpawnStep::User,
        4 => SpawnStep::Dir,
        _ => SpawnStep::Exec,
    };
    Some((step, errno))
}

fn tell(report: &OwnedFd, step: SpawnStep, errno: Errno) {
    let message = (u64::from(step as u32) << 32) | u64::from(errno as u32);
    // Eight bytes go into an empty pipe whole (pipe(7)).
    let _ = nix::unistd::write(report, &message.to_ne_bytes());
}

fn pointers(texts: &[CString]) -> Vec<*const libc::c_char> {
    texts
        .iter()
        .map(|text| text.as_ptr())
        .chain([std::ptr::null()])
        .collect()
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

/// The environment that we were started with, as it lies in memory, then `changes` in place of the
/// variables that they name. This program never changes its own environment, so it stays there.
fn environment(changes: &[CString]) -> Vec<*const libc::c_char> {
    unsafe extern "C" {
        static environ: *const *const libc::c_char;
    }
    let name_of = |text: &CStr| -> Vec<u8> {
        text.to_bytes()
            .split_inclusive(|byte| *byte == b'=')
            .next()
            .unwrap_or_default()
            .to_vec()
    };
    let names: Vec<Vec<u8>> = changes.iter().map(|change| name_of(change)).collect();
    let mut envp = Vec::with_capacity(64);
    // SAFETY: a null-terminated array of C strings (environ(7)), or null where there is none.
    let mut next = unsafe { environ };
    while !next.is_null() {
        // SAFETY: `next` is within the array, as it has not come to its null yet.
        let variable = unsafe { *next };
        if variable.is_null() {
            break;
        }
        // SAFETY: a C string that lives as long as the process.
        let text = unsafe { CStr::from_ptr(variable) }.to_bytes();
        if !names.iter().any(|name| text.starts_with(name)) {
            envp.push(variable);
        }
        // SAFETY: the array goes on until its null.
        next = unsafe { next.add(1) };
    }
    envp.extend(changes.iter().map(|change| change.as_ptr()));
    envp.push(std::ptr::null());
    envp
}
