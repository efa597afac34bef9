//! `lockkeeper [init]`: the container's ENTRYPOINT.

use std::env;
use std::os::fd::OwnedFd;
use std::time::Duration;

use super::start::{adopt_report, class, config_path, host_name, job_name, load, refused};
use crate::cli::InitArgs;
use crate::config::load::Loaded;
use crate::config::plan::{
    DEFAULT_STOP_WITHIN, InitPlan, JobPlan, Plan, RunPlan, SignalMap, Start,
};
use crate::core::note::Note;
use crate::exit;
use crate::init::guards::Guards;
use crate::init::shell::{self, Setup};
use crate::journal::route;
use crate::journal::{Context, Format, Journal, Speaker, Verbosity};
use crate::lock::folders::runtime_folder;
use crate::lock::listing::clear_dead;
use crate::run::secrets;
use crate::run::start::{Caller, Refused, alone};
use crate::sys::fd;
use crate::trouble;

/// What a main command's ladder leaves of `stop_within` for the last rungs.
const RESERVE: Duration = Duration::from_secs(2);

/// Is init for what `args` ask for; says the exit code.
pub fn init(args: InitArgs) -> Result<u8, Refused> {
    let report = args.report.map(adopt_report).transpose()?;
    if args.command.is_empty() {
        let loaded = load(&config_path(args.config.as_deref()))?;
        let warnings = warnings(&loaded);
        return table(loaded.plan, args.verbosity, false, warnings, None);
    }
    let loaded = args.config.as_deref().map(load).transpose()?;
    let class = class(
        loaded.as_ref(),
        args.class.as_deref().unwrap_or("interactive"),
    )?;
    let mut main = class.run(job_name(&args.command), args.command);
    match loaded {
        Some(loaded) => {
            let warnings = warnings(&loaded);
            let mut plan = loaded.plan;
            plan.jobs.push(main_job(main));
            table(plan, args.verbosity, false, warnings, report)
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
            let init = InitPlan {
                name: host_name().unwrap_or_default(),
                stop_within: DEFAULT_STOP_WITHIN,
                stay: false,
                log: Format::Text,
                signals: SignalMap::default(),
            };
            table(
                Plan {
                    init,
                    jobs: vec![main_job(main)],
                },
                args.verbosity,
                true,
                Vec::new(),
                report,
            )
        }
    }
}

/// init with its job table; `report` is where the end of its main command is told.
fn table(
    plan: Plan,
    verbosity: Verbosity,
    hup_passes: bool,
    first_notes: Vec<Note>,
    report: Option<OwnedFd>,
) -> Result<u8, Refused> {
    fd::close_inherited();
    let runtime = runtime_folder();
    if let Some(folder) = &runtime {
        clear_dead(folder);
    }
    let container = Some(plan.init.name.clone());
    let failed = |error: std::io::Error| {
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
        verbosity,
        format,
        plan.init.stop_within,
    );
    let context = Context {
        container_name: container,
        job: None,
        class: None,
        run_id: None,
        speaker: Speaker::Init,
        format,
        secrets: secrets::of(plan.jobs.iter().map(|job| &job.run)),
    };
    let journal = Journal::new(context, verbosity);
    let guards = guards.map_err(failed)?;
    shell::run(Setup {
        plan,
        guards,
        journal,
        hup_passes,
        first_notes,
        report,
    })
    .map_err(failed)
}

fn main_job(run: RunPlan) -> JobPlan {
    JobPlan {
        start: Start::Boot,
        every: None,
        main: true,
        run,
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
