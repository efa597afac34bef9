//! Threads of ours. They are few, each does one thing that may take any time, and nobody joins them:
//! what they have to say they leave in a place that is shared, and tell by a descriptor.

use std::io;
use std::thread::Builder;

use nix::errno::Errno;

use super::signals;
use super::spawn::Credentials;

/// The name of the log thread: the one that a process can go on without.
pub const LOG: &str = "log";

/// Makes the calling thread, and no other, act on files as that user, for good. It stays whom it was
/// for signals and for whoever would trace it (setfsuid(2)).
///
/// # Errors
/// `EPERM`: we may not.
pub fn act_on_files_as(user: &Credentials) -> Result<(), Errno> {
    // SAFETY: `groups` is valid for reading its length; the other calls take numbers only. None goes
    // through libc's functions, which change all threads.
    unsafe {
        let (count, groups) = (user.groups.len(), user.groups.as_ptr());
        Errno::result(libc::syscall(libc::SYS_setgroups, count, groups))?;
        libc::syscall(libc::SYS_setfsgid, user.gid);
        libc::syscall(libc::SYS_setfsuid, user.uid);
        // Both answer with what was in force, and -1 changes nothing.
        let gid = libc::syscall(libc::SYS_setfsgid, u32::MAX);
        let uid = libc::syscall(libc::SYS_setfsuid, u32::MAX);
        let both = (gid, uid) == (user.gid.into(), user.uid.into());
        both.then_some(()).ok_or(Errno::EPERM)
    }
}

/// Starts a thread with `stack` bytes of stack. It has the mask of its maker: in every process of ours all
/// signals are blocked, so none is ever handled in it. A library lets those through that it keeps to itself
/// (32 and 33, nptl(7)), in the new thread, and glibc in the maker, too: sent by anybody else they would end
/// us, or be lost, so both masks are put back.
///
/// # Errors
/// No thread was to be had (`EAGAIN`, `pthread_create(3)`).
pub fn start(name: &str, stack: usize, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    // One kind of closure, as the standard library's part of a thread is compiled for each.
    let mask = signals::mask();
    let work = move || {
        signals::set_mask(mask);
        work();
    };
    let started = start_boxed(name, stack, Box::new(work));
    signals::set_mask(mask);
    started
}

fn start_boxed(name: &str, stack: usize, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    let builder = Builder::new().name(name.to_owned()).stack_size(stack);
    builder.spawn(work).map(drop)
}
