//! Facts about, and calls on, processes: our own first of all.

use std::io;

use nix::errno::Errno;

/// Which side of a fork this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forked {
    /// The process that called; the child's number.
    Parent(i32),
    /// The new process.
    Child,
}

/// Makes a copy of this process, which must have no second thread: a lock that one held would stay
/// locked for ever in the copy (fork(2)).
pub fn fork() -> io::Result<Forked> {
    // SAFETY: the caller has one thread, so the copy is whole.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent(pid)),
    }
}

/// The number that the newest process in our PID namespace has, known by making one that ends at
/// once; `None` where none can be made. It may well have the highest of all: numbers are given out
/// upwards until they come round (`pid_namespaces(7)`, `proc_sys_kernel(5)`, `pid_max`).
pub fn newest_number() -> Option<i32> {
    // SAFETY: the child calls nothing but the kernel, so it matters not what other threads hold.
    match unsafe { libc::fork() } {
        0 => exit_now(0),
        pid @ 1.. => {
            let _ = super::wait::reap_one(pid);
            Some(pid)
        }
        _ => None,
    }
}

/// Ends this process here: no destructor runs, and every thread ends with it (`exit_group`, `_exit(2)`).
pub fn exit_now(code: u8) -> ! {
    // SAFETY: ends the process; nothing of it runs on.
    unsafe { libc::_exit(i32::from(code)) }
}

/// Our process id, as our PID namespace numbers us.
pub fn own_pid() -> i32 {
    // SAFETY: getpid(2) cannot fail.
    unsafe { libc::getpid() }
}

/// Makes orphans among our descendants our children (`PR_SET_CHILD_SUBREAPER`, prctl(2), Linux 3.4).
pub fn become_subreaper() {
    // SAFETY: takes numbers only. It cannot fail with these arguments.
    unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
}

/// Leaves this process, and those that it will start, a network of their own, with nothing in it
/// (`CLONE_NEWNET`, unshare(2)); `EPERM` for whoever may not administer the machine.
pub fn leave_network() -> Result<(), Errno> {
    // SAFETY: takes a number only, and changes nothing in memory.
    Errno::result(unsafe { libc::unshare(libc::CLONE_NEWNET) }).map(drop)
}

/// Makes the calling thread, and no other, act as user `uid` for good: libc's own call changes all
/// threads (setresuid(2), "C library/kernel differences").
#[cfg(test)]
pub(crate) fn become_in_this_thread(uid: u32) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    Errno::result(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) }).map(drop)
}

/// Sends `signo` to `pid`: as kill(2), a negative number is a process group, -1 everything we may.
/// The caller knows that the number still means whom it meant.
pub fn kill(pid: i32, signo: i32) -> Result<(), Errno> {
    // SAFETY: takes numbers only.
    Errno::result(unsafe { libc::kill(pid, signo) }).map(drop)
}

/// Sets the name that ps(1) shows (`PR_SET_NAME`, prctl(2)): a program that is executed by its
/// descriptor is called by the number of that otherwise.
pub fn set_name(name: &std::ffi::CStr) {
    // SAFETY: a valid C string; the kernel copies at most 16 bytes of it.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr(), 0, 0, 0) };
}

/// Random bytes from the kernel (`getrandom(2)`), as lower-case hexadecimal digits: a name that no
/// other run has.
pub fn random_hex<const BYTES: usize>() -> String {
    let mut bytes = [0_u8; BYTES];
    // SAFETY: `bytes` is valid for writing its length. Once the kernel has started up, so few bytes
    // are always there.
    unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}
