//! Whose the files of a lock are: the directory's owner's, also where root makes them.
//!
//! Root makes them *as* that owner (setfsuid(2): the calling thread alone, for what it does to files
//! alone, and without root's privileges over them) and gives nothing away afterwards: what the owner
//! laid in the place of a file meanwhile, a link to a file of root's perhaps, would become his.

use nix::errno::Errno;
use nix::sys::stat::FileStat;
use nix::unistd::{Gid, Uid, getegid, geteuid, setfsgid, setfsuid};

/// Who makes the files of a lock.
#[derive(Debug)]
pub(super) struct Owner {
    user: Uid,
    /// Whom root becomes.
    becomes: Option<Gid>,
}

impl Owner {
    /// For a lock in the directory that `stat` tells of.
    pub(super) fn of(stat: &FileStat) -> Self {
        let own = geteuid();
        if own.is_root() && stat.st_uid != 0 {
            Self {
                user: Uid::from_raw(stat.st_uid),
                becomes: Some(Gid::from_raw(stat.st_gid)),
            }
        } else {
            Self {
                user: own,
                becomes: None,
            }
        }
    }

    /// Whether that is `user`.
    pub(super) fn is(&self, user: u32) -> bool {
        self.user.as_raw() == user
    }

    /// Does something to files as that owner; as ourselves where he may not do it, or is unknown in
    /// our user namespace.
    pub(super) fn act<T>(&self, act: impl Fn() -> Result<T, Errno>) -> Result<T, Errno> {
        if let Some(group) = self.becomes {
            // The group first: the user takes the privilege to change it along.
            setfsgid(group);
            setfsuid(self.user);
            let answer = act();
            setfsuid(geteuid());
            setfsgid(getegid());
            if !matches!(answer, Err(Errno::EACCES | Errno::EPERM | Errno::EOVERFLOW)) {
                return answer;
            }
        }
        act()
    }
}
