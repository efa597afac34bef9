//! Whether a command may start now: its plan's conditions, one after the other, the first that does
//! not hold being the answer.
//!
//! They are asked in a thread, as a path may lie on a file system that does not answer, and a stop
//! must be heard. Nothing cancels it but the end of its process.
//!
//! Another source of refusals is another line in `ask`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;

use super::env_file::FromFiles;
use super::memory::{self, Free};
use super::waiter::Waiter;
use super::{command, folders};
use crate::config::plan::{KEPT, RunPlan};
use crate::core::refusal::Refusal;
use crate::sys::thread;

/// Conditions that are being asked, or have been.
#[derive(Debug)]
pub struct Asking {
    waiter: Waiter,
    told: Arc<Mutex<Told>>,
}

#[derive(Debug, Default)]
struct Told {
    /// The path that is being asked for.
    on: PathBuf,
    refusal: Option<Refusal>,
    read: Option<FromFiles>,
}

/// What was answered.
#[derive(Debug)]
pub enum Answer {
    /// All hold. With what was read from files, if that was asked for.
    Allowed(Option<FromFiles>),
    /// One does not.
    Refused(Refusal),
}

impl Asking {
    /// Begins to ask; `known` is what was read from files before, if anything was.
    ///
    /// # Errors
    /// No thread was to be had.
    pub fn start(plan: &RunPlan, known: Option<Arc<FromFiles>>) -> io::Result<Self> {
        let told = Arc::<Mutex<Told>>::default();
        let (plan, answer) = (plan.clone(), Arc::clone(&told));
        let work = move || {
            let tell = |what: &mut dyn FnMut(&mut Told)| {
                what(&mut answer.lock().unwrap_or_else(PoisonError::into_inner));
            };
            let on = |path: &Path| tell(&mut |told| path.clone_into(&mut told.on));
            let mut asked = ask(&plan, known.as_deref(), &on);
            tell(&mut |told| match &mut asked {
                Ok(read) => told.read = read.take(),
                Err(refusal) => told.refusal = Some(refusal.clone()),
            });
            Ok(())
        };
        let waiter = Waiter::start(Box::new(work))?;
        Ok(Self { waiter, told })
    }

    /// The answer, once it is readable.
    pub fn answer(self) -> Answer {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match told.refusal.take() {
            Some(refusal) => Answer::Refused(refusal),
            None => Answer::Allowed(told.read.take()),
        }
    }

    /// Where no answer comes from.
    pub fn silent(&self) -> Refusal {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let path = told.on.clone();
        Refusal::Silent { path }
    }
}

/// Readable once there is an answer.
impl AsFd for Asking {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.waiter.as_fd()
    }
}

/// Asks for everything; `on` is told each path before its file system is. What changes something comes
/// last.
fn ask(
    plan: &RunPlan,
    known: Option<&FromFiles>,
    on: &dyn Fn(&Path),
) -> Result<Option<FromFiles>, Refusal> {
    let conditions = &plan.conditions;
    for path in &conditions.paths {
        on(path);
        exists(path)?;
    }
    let read = match known {
        Some(_) => None,
        None => Some(FromFiles::read(plan, on)?),
    };
    let from_files = known.or(read.as_ref());
    for name in &conditions.variables {
        is_set(plan, from_files, name)?;
    }
    if let Some(wanted) = conditions.free_memory {
        has_memory(wanted)?;
    }
    if !conditions.create_dirs.is_empty() {
        make_folders(plan, on)?;
    }
    Ok(read)
}

/// Whether the path leads to anything, for us: who the command runs as does not matter.
///
/// # Errors
/// It does not, or nobody knows.
pub fn exists(path: &Path) -> Result<(), Refusal> {
    path.metadata().map(drop).map_err(|error| Refusal::NoPath {
        path: path.to_owned(),
        errno: error.raw_os_error().unwrap_or(Errno::EINVAL as i32),
    })
}

/// Whether the command finds a value in that variable.
///
/// # Errors
/// It does not.
pub fn is_set(plan: &RunPlan, read: Option<&FromFiles>, name: &str) -> Result<(), Refusal> {
    let own = plan.env.iter().find(|(set, _)| set == name);
    let is_inherited = || {
        let is_left = !plan.process.clear_env || KEPT.contains(&name);
        is_left && std::env::var_os(name).is_some_and(|value| !value.is_empty())
    };
    let has_value = match (own, read.and_then(|read| read.value(name))) {
        (Some((_, value)), _) => !value.is_empty(),
        (None, Some(value)) => !value.is_empty(),
        (None, None) => is_inherited(),
    };
    has_value.then_some(()).ok_or_else(|| Refusal::NoVariable {
        name: name.to_owned(),
    })
}

/// Whether so many bytes of memory are free.
///
/// # Errors
/// They are not, or nobody knows.
pub fn has_memory(wanted: u64) -> Result<(), Refusal> {
    match memory::free() {
        Some(Free { bytes, .. }) if bytes >= wanted => Ok(()),
        Some(Free { bytes, group }) => Err(Refusal::Memory {
            wanted,
            free: bytes,
            group,
        }),
        None => Err(Refusal::NoPath {
            path: "/proc/meminfo".into(),
            errno: Errno::ENOENT as i32,
        }),
    }
}

/// This thread becomes the command's user, as far as files are concerned, and stays so.
fn make_folders(plan: &RunPlan, on: &dyn Fn(&Path)) -> Result<(), Refusal> {
    // A user that cannot be had is told when the command is started.
    let credentials = command::credentials(plan).ok().flatten();
    let user = match &credentials {
        Some(user) if thread::act_on_files_as(user).is_err() => return Ok(()),
        Some(user) => user.uid,
        None => nix::unistd::geteuid().as_raw(),
    };
    for path in &plan.conditions.create_dirs {
        on(path);
        folders::make(path, user).map_err(|why| Refusal::NoFolder {
            path: path.clone(),
            why,
        })?;
    }
    Ok(())
}
