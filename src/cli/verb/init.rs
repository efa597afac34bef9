//! `lockkeeper [init]`: the container's ENTRYPOINT.

use std::env;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::os::unix::process::parent_id;
use std::path::{PathBuf, absolute};
use std::time::Duration;

use super::pid1::{Pid1, SHELL_FORM};
use super::start::{
    adopt_report, class, config_path, host_name, is_missing, job_name, load, no_file,
    nothing_names_one, refused,
};
use crate::cli::InitArgs;
use crate::config::load::Loaded;
use crate::config::plan::{
    DEFAULT_STOP_WITHIN, InitPlan, JobPlan, Kind, Plan, RunPlan, SignalMap, Stdin,
};
use crate::core::note::Note;
use crate::exit;
use crate::init::control::place;
use crate::init::guards::Guards;
use crate::init::outer::Outer;
use crate::init::shell::{self, Setup};
use crate::journal::route;
use crate::journal::{Context, Format, Journal, Speaker, Verbosity};
use crate::lock::folders::runtime_folder;
use crate::lock::listing::clear_dead;
use crate::run::secrets;
use crate::run::start::{Caller, Refused, alone};
use crate::sys::{clock, fd};
use crate::trouble;

/// What init was given besides its plan.
#[derive(Debug, Default)]
struct Told {
    /// The file, by a path that holds wherever we are.
    file: Option<PathBuf>,
    /// Whether there is a main command from the command line.
    command: bool,
    socket: Option<PathBuf>,
    verbosity: Verbosity,
    first_notes: Vec<Note>,
    /// Where the end of its main command is told.
    report: Option<OwnedFd>,
}

/// What a main command's ladder leaves of `stop_within` for the last rungs.
const RESERVE: Duration = Duration::from_secs(2);

/// Is init for what `args` ask for; says the exit code.
pub fn init(args: InitArgs) -> Result<u8, Refused> {
    let report = args.report.map(adopt_report).transpose()?;
    let mut told = Told {
        command: !args.command.is_empty(),
        socket: place::named(args.socket.as_deref()),
        verbosity: args.verbosity,
        ..Told::default()
    };
    if args.command.is_empty() {
        let path = config_path(args.config.as_deref());
        let may_be_none = nothing_names_one(args.config.as_deref());
        if may_be_none && path.symlink_metadata().is_err_and(is_missing) {
            return Err(no_file());
        }
        let loaded = load(&path)?;
        told.first_notes = warnings(&loaded);
        told.first_notes.extend(no_terminal(&loaded.plan));
        told.file = Some(absolute(&path).unwrap_or(path));
        return table(loaded.plan, told);
    }
    let loaded = args.config.as_deref().map(load).transpose()?;
    let class = class(
        loaded.as_ref(),
        args.class.as_deref().unwrap_or("interactive"),
    )?;
    let mut main = class.run(job_name(&args.command), args.command);
    match loaded {
        Some(loaded) => {
            told.first_notes = warnings(&loaded);
            told.file = args.config.map(|path| absolute(&path).unwrap_or(path));
            told.report = report;
            let mut plan = loaded.plan;
            plan.jobs.push(main_job(main));
            table(plan, told)
        }
        None if main.kind.lock().is_none() && !main.dirs.any() => {
            main.stop.grace = main
                .stop
                .grace
                .min(DEFAULT_STOP_WITHIN.saturating_sub(RESERVE));
            let caller = Caller::person(&main, host_name(), args.verbosity, report);
            // This very process is its monitor, and the container ends with it.
            alone(&main, &caller)
        }
        None => {
            told.report = report;
            let init = InitPlan {
                name: host_name().unwrap_or_default(),
                stop_within: DEFAULT_STOP_WITHIN,
                stay: false,
                log: Format::Text,
                signals: SignalMap::default(),
                on_event: None,
            };
            let jobs = vec![main_job(main)];
            table(Plan { init, jobs }, told)
        }
    }
}

/// init with its job table.
fn table(plan: Plan, mut told: Told) -> Result<u8, Refused> {
    fd::close_inherited();
    let has_file = told.file.is_some();
    let mut below = None;
    if parent_id() == 1 {
        match Pid1::look() {
            Pid1::Shell(name) => told.first_notes.push(Note::ConfigWarning {
                text: format!("lockkeeper is not PID 1, but {name} is: {SHELL_FORM}"),
            }),
            Pid1::Init(name) => below = Some(name),
            _ => {}
        }
    }
    let runtime = runtime_folder();
    if let Some(folder) = &runtime {
        clear_dead(folder);
    }
    let container = Some(plan.init.name.clone());
    let failed = |error: io::Error| {
        refused(
            exit::FAILED,
            format!("starting init: {}", trouble::text_of(&error)),
        )
    };
    let format = route::format(plan.init.log);
    let guards = Guards::new(
        container.clone(),
        env::current_dir().ok(),
        runtime,
        told.verbosity,
        format,
        plan.init.stop_within,
        told.file.clone(),
    );
    let context = Context {
        container_name: container,
        job: None,
        class: None,
        run_id: None,
        file: told.file.clone(),
        speaker: Speaker::Init,
        format,
        secrets: secrets::of(plan.jobs.iter().map(|job| &job.run)),
    };
    let journal = Journal::new(context, told.verbosity);
    let guards = guards.map_err(failed)?;
    shell::run(Setup {
        plan,
        guards,
        journal,
        file: told.file,
        socket: told.socket.map(|path| absolute(&path).unwrap_or(path)),
        main_typed: told.command,
        below,
        // Without a file we stand for nothing but the command, which says itself how it is.
        outer: Outer::from_environment(clock::now()).filter(|_| has_file),
        first_notes: told.first_notes,
        report: told.report,
    })
    .map_err(failed)
}

/// An interactive job that would talk to nobody: what engines do without `-i` and `-t`.
fn no_terminal(plan: &Plan) -> Option<Note> {
    let mut jobs = plan.jobs.iter().map(|job| &job.run);
    let job = jobs.find(|run| run.kind == Kind::Interactive && run.stdin == Stdin::Inherit)?;
    let null = rdev(&File::open("/dev/null").ok()?)?;
    let own = io::stdin().as_fd().try_clone_to_owned().ok()?;
    (rdev(&File::from(own))? == null).then(|| Note::ConfigWarning {
        text: format!(
            "job {} is interactive, and standard input is /dev/null: nobody can talk to it; start \
             the container with docker run -it (stdin_open: true and tty: true in compose), or \
             write stdin = \"null\" in the job",
            job.job
        ),
    })
}

/// The number of the device that `file` is.
fn rdev(file: &File) -> Option<u64> {
    let meta = file.metadata().ok()?;
    meta.file_type().is_char_device().then(|| meta.rdev())
}

fn main_job(run: RunPlan) -> JobPlan {
    JobPlan {
        main: true,
        ..JobPlan::once(run)
    }
}

fn warnings(loaded: &Loaded) -> Vec<Note> {
    let warnings = loaded.warnings.iter();
    warnings
        .map(|warning| Note::ConfigWarning {
            text: warning.one_line(),
        })
        .collect()
}
