//! The child between fork and exec.
//!
//! It may share its parent's memory, in which the parent goes on: it reads what was made ready for
//! it, writes to its own stack and to `script`, calls the kernel without libc (`errno` is the
//! parent's), allocates nothing and never returns. Its dispositions are its own, and no handler of
//! ours is left among them when its mask is opened.

use std::ffi::CStr;
use std::os::fd::{AsRawFd as _, RawFd};

use nix::errno::Errno;

use super::{Command, Session};
use crate::core::outcome::SpawnStep;
use crate::sys::kernel::{self, LEAVES_ERRNO};
use crate::sys::limits::Pair;
use crate::sys::process::{Forked, fork};
use crate::sys::signals::{block_all, restore_started};

/// Room for the child's calls, which need a tenth of it; a multiple of the 16 bytes to which stacks
/// are aligned.
const STACK: usize = 32 * 1024 / size_of::<u128>();

/// Room for a number of a process, and for the end of the text behind it.
pub(super) const DIGITS: usize = 11;

/// All that the child reads, and its stack.
#[derive(Debug)]
pub(super) struct Launch {
    command: Command,
    argv: Vec<*const libc::c_char>,
    envp: Vec<*const libc::c_char>,
    /// The arguments for a script without a first line that names its interpreter (execvp(3)).
    script: Vec<*const libc::c_char>,
    /// Where a failure is told.
    report: RawFd,
}

impl Launch {
    pub(super) fn new(command: Command, report: RawFd) -> Self {
        let argv: Vec<_> = texts(&command.argv).chain([std::ptr::null()]).collect();
        let envp = environment(&command);
        let mut script = vec![c"sh".as_ptr(), std::ptr::null()];
        script.extend_from_slice(argv.get(1..).unwrap_or_default());
        Self {
            command,
            argv,
            envp,
            script,
            report,
        }
    }

    /// Makes a child with a copy of our memory; says its number.
    pub(super) fn copy(mut self) -> Result<i32, Errno> {
        match fork() {
            Err(error) => Err(Errno::from_raw(
                error.raw_os_error().unwrap_or(libc::EAGAIN),
            )),
            Ok(Forked::Parent(pid)) => Ok(pid),
            Ok(Forked::Child) => self.run(),
        }
    }

    /// Makes a child in our memory, where that can be; says its number, and what must stay as long
    /// as the child may read it.
    pub(super) fn share(self) -> Result<(i32, Option<Shared>), Errno> {
        if !LEAVES_ERRNO {
            return Ok((self.copy()?, None));
        }
        let launch = Box::into_raw(Box::new(self));
        let mut stack = Vec::<u128>::with_capacity(STACK);
        let flags = libc::CLONE_VM | libc::SIGCHLD;
        // SAFETY: the stack is ours, aligned, and grows down from its end; what the child reads stays
        // where it is until `Shared` is dropped, and nobody here touches it.
        let pid = unsafe {
            let top = stack.as_mut_ptr().add(STACK);
            libc::clone(enter, top.cast(), flags, launch.cast())
        };
        if pid > 0 {
            return Ok((
                pid,
                Some(Shared {
                    launch,
                    _stack: stack,
                }),
            ));
        }
        let errno = Errno::last();
        // SAFETY: no child was made, so it is still ours alone.
        let launch = unsafe { Box::from_raw(launch) };
        match errno {
            // An emulator knows fork and threads, and nothing in between.
            Errno::EINVAL | Errno::ENOSYS => Ok((launch.copy()?, None)),
            errno => Err(errno),
        }
    }

    fn run(&mut self) -> ! {
        let (step, errno) = self.become_command();
        let message = (u64::from(step as u32) << 32) | u64::from(errno as u32);
        let bytes = message.to_ne_bytes();
        let (at, length) = (bytes.as_ptr() as usize, bytes.len());
        loop {
            // SAFETY: the bytes are valid for reading, and go into an empty pipe whole (pipe(7)); the
            // second call ends this process.
            unsafe {
                let report = number(self.report);
                let _ = kernel::call(libc::SYS_write, [report, at, length, 0, 0]);
                let code = usize::from(crate::exit::NOT_FOUND);
                let _ = kernel::call(libc::SYS_exit_group, [code, 0, 0, 0, 0]);
            }
        }
    }

    /// Comes back only where a step failed.
    fn become_command(&mut self) -> (SpawnStep, Errno) {
        type Step = fn(&Command) -> Result<(), Errno>;
        // What needs privileges comes before the user is changed, and what gives them up, last.
        let steps: [(SpawnStep, Step); 9] = [
            (SpawnStep::Stdio, set_stdio),
            (SpawnStep::Session, set_session),
            (SpawnStep::Group, enter_group),
            (SpawnStep::OomScore, set_oom_score_adj),
            (SpawnStep::Nice, set_nice),
            (SpawnStep::Limits, set_limits),
            (SpawnStep::User, set_user),
            (SpawnStep::Dir, set_dir),
            (SpawnStep::NoNewPrivs, set_no_new_privs),
        ];
        for (step, run) in steps {
            if let Err(errno) = run(&self.command) {
                return (step, errno);
            }
        }
        self.write_own_number();
        restore_started();
        (SpawnStep::Exec, self.exec())
    }

    /// The last variable but the null is the one for our own number.
    fn write_own_number(&mut self) {
        let Some(text) = &mut self.command.own_number else {
            return;
        };
        // SAFETY: takes nothing.
        let Ok(mut number) = (unsafe { kernel::call(libc::SYS_getpid, [0; 5]) }) else {
            return;
        };
        let mut digits = [0; DIGITS];
        let mut first = DIGITS;
        while let Some(digit) = first.checked_sub(1).and_then(|at| digits.get_mut(at)) {
            first -= 1;
            *digit = b"0123456789".get(number % 10).copied().unwrap_or_default();
            number /= 10;
            if number == 0 {
                break;
            }
        }
        let start = text.len().saturating_sub(DIGITS);
        let room = text.iter_mut().skip(start);
        for (byte, digit) in room.zip(digits.iter().skip(first)) {
            *byte = *digit;
        }
        let last = self.envp.len().saturating_sub(2);
        if let Some(slot) = self.envp.get_mut(last) {
            *slot = text.as_ptr().cast();
        }
    }

    /// Tries each candidate as execvp(3) does; a program that exists but may not run is told before
    /// one that was not found.
    fn exec(&mut self) -> Errno {
        let envp = self.envp.as_ptr() as usize;
        let argv = self.argv.as_ptr() as usize;
        if let Some(program) = self.command.program {
            let (empty, flags) = (c"".as_ptr() as usize, number(libc::AT_EMPTY_PATH));
            // SAFETY: valid C strings and null-terminated arrays of them (execveat(2)).
            let errno = unsafe {
                failed(kernel::call(
                    libc::SYS_execveat,
                    [number(program), empty, argv, envp, flags],
                ))
            };
            // An emulator may not know the call; what /proc calls the file is among the candidates.
            if errno != Errno::ENOSYS {
                return errno;
            }
        }
        // SAFETY: the caller below gives valid C strings and null-terminated arrays of them.
        let execve = |path: &CStr, argv: usize| unsafe {
            let path = path.as_ptr() as usize;
            failed(kernel::call(libc::SYS_execve, [path, argv, envp, 0, 0]))
        };
        let mut worst = Errno::ENOENT;
        for candidate in &self.command.candidates {
            match execve(candidate, argv) {
                Errno::ENOENT | Errno::ENOTDIR => {}
                Errno::EACCES => worst = Errno::EACCES,
                Errno::ENOEXEC => {
                    if let Some(slot) = self.script.get_mut(1) {
                        *slot = candidate.as_ptr();
                    }
                    // It ends with the null that `argv` ends with.
                    execve(c"/bin/sh", self.script.as_ptr() as usize);
                    return Errno::ENOEXEC;
                }
                errno => return errno,
            }
        }
        worst
    }
}

/// What a child reads that shares our memory.
#[derive(Debug)]
pub(super) struct Shared {
    launch: *mut Launch,
    _stack: Vec<u128>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: it came from a box, and the child has left our memory: `Spawned::failure` says so.
        drop(unsafe { Box::from_raw(self.launch) });
    }
}

extern "C" fn enter(launch: *mut libc::c_void) -> libc::c_int {
    block_all();
    // SAFETY: `Launch::share` gave it to this child alone, and keeps it.
    unsafe { &mut *launch.cast::<Launch>() }.run()
}

fn set_stdio(command: &Command) -> Result<(), Errno> {
    let targets = [(command.stdin, 0), (command.stdout, 1), (command.stderr, 2)];
    for (fd, target) in targets {
        match fd {
            Some(fd) if fd == target => inherit(fd)?,
            // SAFETY: takes numbers only; without flags the new one is not close-on-exec (dup(2)).
            Some(fd) => unsafe {
                kernel::call(libc::SYS_dup3, [number(fd), number(target), 0, 0, 0])?;
            },
            None => {}
        }
    }
    command.pass.iter().try_for_each(|fd| inherit(*fd))
}

fn inherit(fd: RawFd) -> Result<(), Errno> {
    let command = number(libc::F_SETFD);
    // SAFETY: takes numbers only; without flags it is not close-on-exec.
    unsafe { kernel::call(libc::SYS_fcntl, [number(fd), command, 0, 0, 0]) }.map(drop)
}

fn set_session(command: &Command) -> Result<(), Errno> {
    let terminal = match command.session {
        Session::Shared => return Ok(()),
        Session::Own => None,
        Session::OwnWithTerminal => Some(0),
        Session::OwnPty => Some(1),
    };
    // SAFETY: takes nothing. It fails only for the leader of a group, which a fresh child is not.
    unsafe { kernel::call(libc::SYS_setsid, [0; 5]) }?;
    if let Some(terminal) = terminal {
        let request = usize::try_from(libc::TIOCSCTTY).unwrap_or_default();
        // SAFETY: takes numbers only; 0: do not steal it from another session (`ioctl_tty(2)`), which
        // has it then, and the command runs without.
        let _ = unsafe { kernel::call(libc::SYS_ioctl, [terminal, request, 0, 0, 0]) };
    }
    Ok(())
}

/// The kernel's calls: libc's change every thread of a process, and this one has but itself.
fn set_user(command: &Command) -> Result<(), Errno> {
    let Some(user) = &command.user else {
        return Ok(());
    };
    let (count, groups) = (user.groups.len(), user.groups.as_ptr() as usize);
    // SAFETY: `groups` is valid for reading its length; the other calls take numbers only.
    unsafe {
        kernel::call(libc::SYS_setgroups, [count, groups, 0, 0, 0])?;
        kernel::call(libc::SYS_setgid, [user.gid as usize, 0, 0, 0, 0])?;
        kernel::call(libc::SYS_setuid, [user.uid as usize, 0, 0, 0, 0])?;
    }
    Ok(())
}

/// All of these belong to the child alone, also in its parent's memory: limits, nice value and
/// `no_new_privs` to the process, the mask to what clone(2) copies without `CLONE_FS`.
fn set_limits(command: &Command) -> Result<(), Errno> {
    if let Some(mask) = command.attributes.umask {
        // SAFETY: takes a number only; it cannot fail.
        let _ = unsafe { kernel::call(libc::SYS_umask, [mask as usize, 0, 0, 0, 0]) };
    }
    for limit in &command.attributes.limits {
        let mut pair: Pair = [0; 2];
        let at = pair.as_mut_ptr() as usize;
        // SAFETY: 0 is this process; `pair` is as large as two limits, and is written, then read.
        unsafe {
            kernel::call(libc::SYS_prlimit64, [0, limit.resource, 0, at, 0])?;
            pair = limit.over(pair);
            let at = pair.as_ptr() as usize;
            kernel::call(libc::SYS_prlimit64, [0, limit.resource, at, 0, 0])?;
        }
    }
    Ok(())
}

fn set_nice(command: &Command) -> Result<(), Errno> {
    let Some(nice) = command.attributes.nice else {
        return Ok(());
    };
    // 0, 0: this process (`PRIO_PROCESS`, setpriority(2)).
    // SAFETY: takes numbers only.
    unsafe { kernel::call(libc::SYS_setpriority, [0, 0, number(nice), 0, 0]) }.map(drop)
}

/// "0" is whoever writes it (`cgroup.procs`, Linux, admin-guide/cgroup-v2).
fn enter_group(command: &Command) -> Result<(), Errno> {
    let Some(door) = &command.group else {
        return Ok(());
    };
    let (door, text) = (number(door.as_raw_fd()), c"0".as_ptr() as usize);
    // SAFETY: one byte that is valid for reading.
    unsafe { kernel::call(libc::SYS_write, [door, text, 1, 0, 0]) }.map(drop)
}

/// The memory is the child's own here, so that nobody else's value is changed.
fn set_oom_score_adj(command: &Command) -> Result<(), Errno> {
    let Some(score) = &command.attributes.oom_score_adj else {
        return Ok(());
    };
    let path = c"/proc/self/oom_score_adj".as_ptr() as usize;
    let (here, flags) = (
        number(libc::AT_FDCWD),
        number(libc::O_WRONLY | libc::O_CLOEXEC),
    );
    let (at, length) = (score.as_ptr() as usize, score.count_bytes());
    // SAFETY: a valid C string, and bytes that are valid for reading; the descriptor is this child's.
    unsafe {
        let file = kernel::call(libc::SYS_openat, [here, path, flags, 0, 0])?;
        kernel::call(libc::SYS_write, [file, at, length, 0, 0]).map(drop)
    }
}

fn set_no_new_privs(command: &Command) -> Result<(), Errno> {
    if !command.attributes.no_new_privs {
        return Ok(());
    }
    let option = number(libc::PR_SET_NO_NEW_PRIVS);
    // SAFETY: takes numbers only.
    unsafe { kernel::call(libc::SYS_prctl, [option, 1, 0, 0, 0]) }.map(drop)
}

fn set_dir(command: &Command) -> Result<(), Errno> {
    let Some(dir) = &command.dir else {
        return Ok(());
    };
    let dir = dir.as_ptr() as usize;
    // SAFETY: `dir` is a valid C string.
    unsafe { kernel::call(libc::SYS_chdir, [dir, 0, 0, 0, 0]) }.map(drop)
}

/// The error of a call that does not come back when it succeeds.
fn failed(answer: Result<usize, Errno>) -> Errno {
    answer.err().unwrap_or(Errno::UnknownErrno)
}

/// A number as a register holds it.
#[expect(
    clippy::cast_sign_loss,
    reason = "the kernel reads the lower half, as the int that it is"
)]
const fn number(value: libc::c_int) -> usize {
    value as usize
}

fn texts(texts: &[std::ffi::CString]) -> impl Iterator<Item = *const libc::c_char> {
    texts.iter().map(|text| text.as_ptr())
}

/// The environment that we were started with, as it lies in memory, then the command's changes in
/// place of the variables that they name. This program never changes its own environment, so it
/// stays there.
fn environment(command: &Command) -> Vec<*const libc::c_char> {
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
    let changed = command.changes.iter().map(|change| name_of(change));
    let names: Vec<Vec<u8>> = changed.chain(command.unset.iter().cloned()).collect();
    let mut envp = Vec::with_capacity(64);
    // SAFETY: a null-terminated array of C strings (environ(7)), or null where there is none.
    let mut next = unsafe { environ };
    while !next.is_null() && !command.bare {
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
    envp.extend(texts(&command.changes));
    // Where it writes its own number when it has one.
    envp.extend(command.own_number.iter().map(|text| text.as_ptr().cast()));
    envp.push(std::ptr::null());
    envp
}
