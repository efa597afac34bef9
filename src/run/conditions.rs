//! Whether a command may start now: its plan's conditions, one after the other, the first that does
//! not hold being the answer.
//!
//! They are asked in a thread, as a path may lie on a file system that does not answer, and a stop
//! must be heard. Nothing cancels it but the end of its process.
//!
//! Another source of refusals is another line in [`ask`].

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;

use super::waiter::Waiter;
use crate::config::plan::RunPlan;
use crate::core::refusal::Refusal;

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
}

impl Asking {
    /// Begins to ask.
    ///
    /// # Errors
    /// No thread was to be had.
    pub fn start(plan: &RunPlan) -> io::Result<Self> {
        let told = Arc::<Mutex<Told>>::default();
        let (plan, answer) = (plan.clone(), Arc::clone(&told));
        let work = move || {
            let tell = |what: &dyn Fn(&mut Told)| {
                what(&mut answer.lock().unwrap_or_else(PoisonError::into_inner));
            };
            let refusal = ask(&plan, &|path| tell(&|told| path.clone_into(&mut told.on))).err();
            tell(&|told| told.refusal.clone_from(&refusal));
            Ok(())
        };
        let waiter = Waiter::start(Box::new(work))?;
        Ok(Self { waiter, told })
    }

    /// What does not hold; `None`, for nothing, only once it is readable.
    pub fn refusal(&self) -> Option<Refusal> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.refusal.clone()
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

/// Asks for everything; `on` is told each path before its file system is.
fn ask(plan: &RunPlan, on: &dyn Fn(&Path)) -> Result<(), Refusal> {
    for path in &plan.conditions.paths {
        on(path);
        exists(path)?;
    }
    let missing = plan.conditions.variables.iter();
    let mut missing = missing.filter(|name| !is_set(plan, name));
    missing.next().map_or(Ok(()), |name| {
        let name = name.clone();
        Err(Refusal::NoVariable { name })
    })
}

/// Whether the path leads to anything, for us: who the command runs as does not matter.
pub fn exists(path: &Path) -> Result<(), Refusal> {
    let errno = |error: io::Error| error.raw_os_error().unwrap_or(Errno::ENOENT as i32);
    match path.metadata() {
        Ok(_) => Ok(()),
        Err(error) => Err(Refusal::NoPath {
            path: path.to_owned(),
            errno: errno(error),
        }),
    }
}

/// Whether the command finds a value in that variable.
pub fn is_set(plan: &RunPlan, name: &str) -> bool {
    match plan.env.iter().find(|(set, _)| set == name) {
        Some((_, value)) => !value.is_empty(),
        None => std::env::var_os(name).is_some_and(|value| !value.is_empty()),
    }
}
