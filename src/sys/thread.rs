//! Threads of ours. They are few, each does one thing that may take any time, and nobody joins them:
//! what they have to say they leave in a place that is shared, and tell by a descriptor.

use std::io;
use std::thread::Builder;

/// The name of the log thread: the one that a process can go on without.
pub const LOG: &str = "log";

/// Starts a thread with `stack` bytes of stack. It inherits the mask of its maker: in every process of
/// ours all signals are blocked, so none is ever handled in it.
///
/// # Errors
/// No thread was to be had (`EAGAIN`, `pthread_create(3)`).
pub fn start(name: &str, stack: usize, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    // One kind of closure, as the standard library's part of a thread is compiled for each.
    start_boxed(name, stack, Box::new(work))
}

fn start_boxed(name: &str, stack: usize, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
    let builder = Builder::new().name(name.to_owned()).stack_size(stack);
    builder.spawn(work).map(drop)
}
