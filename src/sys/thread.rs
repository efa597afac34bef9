//! Threads of ours. They are few, and most do one thing that may take any time, and nobody joins them:
//! what they have to say they leave in a place that is shared, and tell by a descriptor.
//!
//! They are made by `pthread_create(3)` itself. What the standard library puts round it, for a thread that is
//! joined, has a value and unwinds, is, with what it calls in the C library, 26 kB of program.

use std::cell::Cell;
use std::ffi::c_void;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;

use nix::errno::Errno;

use super::crash::{SPARE, with_spare_stack};
use super::signals;
use super::spawn::Credentials;

/// The name of the log thread: the one that a process can go on without.
pub const LOG: &str = "log";

thread_local! {
    static IS_LOG: Cell<bool> = const { Cell::new(false) };
}

/// Whether the calling thread is the log thread.
pub fn is_log() -> bool {
    IS_LOG.get()
}

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

/// Starts a thread with `stack` bytes of stack; of the name, ps(1) shows 15. It has the mask of its maker: in
/// every process of ours all signals are blocked, so none is ever handled in it. A library lets those through
/// that it keeps to itself (32 and 33, nptl(7)), in the new thread, and glibc in the maker, too: sent by
/// anybody else they would end us, or be lost, so both masks are put back.
///
/// # Errors
/// No thread was to be had (`EAGAIN`, `pthread_create(3)`).
pub fn start(name: &str, stack: usize, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    start_boxed(name, stack, Box::new(work))
}

fn start_boxed(name: &str, stack: usize, task: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    let mask = signals::mask();
    let mut work = Work {
        name: [0; 16],
        is_log: name == LOG,
        mask,
        task,
    };
    for (to, from) in work.name.iter_mut().zip(name.bytes().take(15)) {
        *to = from;
    }
    let work = Box::into_raw(Box::new(work));
    // SAFETY: `begin` takes over the box, which nobody else has.
    let started = unsafe { create(stack, begin, work.cast()) };
    signals::set_mask(mask);
    match started {
        // SAFETY: nobody joins it, and its number is not used any more.
        Ok(thread) => unsafe {
            libc::pthread_detach(thread);
        },
        // SAFETY: no thread has taken over the box.
        Err(_) => drop(unsafe { Box::from_raw(work) }),
    }
    started.map(drop)
}

/// Does `work` in this thread and in as many others as are to be had beside it, of `threads` in all, and
/// waits until all of them are done.
pub fn together(threads: usize, stack: usize, work: &(dyn Fn() + Sync)) {
    let mut others = Others(Vec::with_capacity(threads));
    for _ in 1..threads {
        let work = (&raw const work).cast_mut();
        // SAFETY: `work` lives until the thread is joined, which is when `others` goes.
        let started = unsafe { create(stack, begin_together, work.cast()) };
        others.0.extend(started);
    }
    work();
}

/// Threads that something of their maker's is lent to.
struct Others(Vec<libc::pthread_t>);

impl Drop for Others {
    fn drop(&mut self) {
        for thread in &self.0 {
            // SAFETY: each was made joinable and is joined here alone; its answer is not asked for.
            unsafe { libc::pthread_join(*thread, ptr::null_mut()) };
        }
    }
}

/// What a new thread is given.
struct Work {
    /// With a zero at its end.
    name: [u8; 16],
    is_log: bool,
    mask: u64,
    task: Box<dyn FnOnce() + Send>,
}

extern "C" fn begin(work: *mut c_void) -> *mut c_void {
    // SAFETY: `start` made the box for this thread alone.
    let work = unsafe { Box::from_raw(work.cast::<Work>()) };
    signals::set_mask(work.mask);
    IS_LOG.set(work.is_log);
    // SAFETY: the name ends with a zero.
    unsafe { libc::prctl(libc::PR_SET_NAME, work.name.as_ptr()) };
    with_spare_stack(work.task);
    ptr::null_mut()
}

extern "C" fn begin_together(work: *mut c_void) -> *mut c_void {
    // SAFETY: `together` lends it until this thread has ended.
    let work = unsafe { *work.cast::<&(dyn Fn() + Sync)>() };
    work();
    ptr::null_mut()
}

/// A joinable thread with `stack` bytes for its work.
///
/// # Safety
/// `argument` is what `begin` expects.
unsafe fn create(
    stack: usize,
    begin: extern "C" fn(*mut c_void) -> *mut c_void,
    argument: *mut c_void,
) -> io::Result<libc::pthread_t> {
    let mut attributes = MaybeUninit::uninit();
    let mut thread = MaybeUninit::uninit();
    // SAFETY: the attributes are made before they are used and ended after it; a size that is refused
    // leaves the usual one. The thread is read where it was written.
    unsafe {
        libc::pthread_attr_init(attributes.as_mut_ptr());
        libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), stack + SPARE);
        let errno = libc::pthread_create(thread.as_mut_ptr(), attributes.as_ptr(), begin, argument);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        match errno {
            0 => Ok(thread.assume_init()),
            errno => Err(io::Error::from_raw_os_error(errno)),
        }
    }
}
