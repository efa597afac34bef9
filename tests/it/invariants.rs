//! The invariants, each by the real program, its processes and the kernel's locks: a test's name
//! begins with the name of the invariant that it proves.
//!
//! | file | invariant |
//! | --- | --- |
//! | `doubt` | nothing is removed that may be somebody's |
//! | `exclusive` | never two batch runs of one lock at once |
//! | `interactive` | an interactive run never opens, waits for or holds a shared lock |
//! | `held` | a lock is held until the last process of the tree is gone |
//! | `released` | after a run's end, by whatever path, its lock and claims are gone |
//! | `survivors` | nobody of a run, or of init's container, lives on |
//! | `pid1` | init is never blocked; idle, no process of ours makes a system call |
//! | `status` | the command's own status comes back unchanged |
//! | `replay` | the policy of a run is a function of its events and their times |

mod doubt;
mod exclusive;
mod held;
mod interactive;
mod pid1;
mod released;
mod replay;
mod status;
mod survivors;
