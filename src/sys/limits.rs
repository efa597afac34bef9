//! Resource limits (getrlimit(2)), by the names that files and people give them.

use nix::errno::Errno;

/// A limit to set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The kernel's number of the resource.
    pub resource: usize,
    /// The soft limit; `None`: as it is, or the hard one where that is lower.
    pub soft: Option<u64>,
    /// The hard limit; `None`: as it is.
    pub hard: Option<u64>,
}

/// As the kernel has it: soft, then hard; all bits set stand for none (prlimit(2)).
pub(super) type Pair = [u64; 2];

impl Limit {
    /// What becomes of the limits that a process has.
    pub(super) fn over(&self, [soft, hard]: Pair) -> Pair {
        let hard = self.hard.unwrap_or(hard);
        [self.soft.unwrap_or_else(|| soft.min(hard)), hard]
    }
}

/// The kernel's number of the resource that is called so.
pub fn number(name: &str) -> Option<usize> {
    let number = match name {
        "as" => libc::RLIMIT_AS,
        "core" => libc::RLIMIT_CORE,
        "cpu" => libc::RLIMIT_CPU,
        "data" => libc::RLIMIT_DATA,
        "fsize" => libc::RLIMIT_FSIZE,
        "memlock" => libc::RLIMIT_MEMLOCK,
        "msgqueue" => libc::RLIMIT_MSGQUEUE,
        "nofile" => libc::RLIMIT_NOFILE,
        "nproc" => libc::RLIMIT_NPROC,
        "rtprio" => libc::RLIMIT_RTPRIO,
        "sigpending" => libc::RLIMIT_SIGPENDING,
        "stack" => libc::RLIMIT_STACK,
        _ => return None,
    };
    usize::try_from(number).ok()
}

/// Our own limits, soft and hard.
///
/// # Errors
/// `EINVAL`: there is no such resource.
pub fn own(resource: usize) -> Result<(u64, u64), Errno> {
    let mut pair: Pair = [0; 2];
    // SAFETY: 0 is this process; nothing is set, and `pair` is as large as two limits (prlimit(2)).
    let answer = unsafe {
        libc::syscall(
            libc::SYS_prlimit64,
            0_usize,
            resource,
            std::ptr::null::<Pair>(),
            pair.as_mut_ptr(),
        )
    };
    let [soft, hard] = pair;
    Errno::result(answer).map(|_| (soft, hard))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::keys::{Scope, of};

    #[test]
    fn every_limit_of_a_file_is_one_of_the_kernels() {
        for key in of(Scope::Rlimits) {
            let number = number(key.name).unwrap();
            assert!(own(number).is_ok(), "{}", key.name);
        }
        assert_eq!(number("rss"), None);
    }

    #[test]
    fn a_limit_that_is_said_alone_leaves_the_other_but_never_above_the_hard_one() {
        let limit = |soft, hard| Limit {
            resource: 0,
            soft,
            hard,
        };
        assert_eq!(limit(Some(5), None).over([10, 20]), [5, 20]);
        assert_eq!(limit(None, Some(30)).over([10, 20]), [10, 30]);
        assert_eq!(limit(None, Some(7)).over([10, 20]), [7, 7]);
        assert_eq!(limit(Some(1), Some(2)).over([10, 20]), [1, 2]);
    }
}
