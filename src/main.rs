//! lockkeeper: parse, dispatch, exit code.

use std::process::ExitCode;
use lockkeeper::config::plan::*;
use lockkeeper::run::start::*;
use lockkeeper::journal::*;

fn main() -> ExitCode {
    let mut args: Vec<_> = std::env::args_os().skip(1).collect();
    let inherited = lockkeeper::sys::fd::inherited();
    let lock = (args.first().is_some_and(|a| a == "--lock")).then(|| { args.remove(0); args.remove(0) });
    let timeout = (args.first().is_some_and(|a| a == "--timeout")).then(|| { args.remove(0); args.remove(0) });
    let kind = match &lock {
        Some(l) => Kind::Batch { lock: Some(LockPlan { path: std::path::absolute(l).unwrap_or_default(), shared_mount: SharedMount::Auto, wait: Wait::AtMost(DEFAULT_WAIT) }) },
        None => Kind::Interactive };
    let plan = RunPlan { job: "x".into(), class: kind.name().into(), kind, command: args, dir: None, user: None, group: None, env: vec![], stdin: Stdin::Inherit,
      limits: Limits { timeout: timeout.and_then(|t| t.to_str()?.parse().ok()).map(std::time::Duration::from_secs), ..Limits::default() }, stop: StopPlan::default(), identity: None };
    let run_id = lockkeeper::sys::process::random_hex::<16>();
    let caller = Caller { run_id: run_id.clone(), context: Context { container_name: None, job: Some("x".into()), class: None, run_id: Some(run_id), speaker: Speaker::Run }, verbosity: if std::env::var_os("V").is_some() {Verbosity::Debug} else {Verbosity::Normal}, report: None, init: None, terminal: true, started_in: None, runtime: None, inherited };
    let r = if lock.is_some() { guarded(&plan, &caller) } else { alone(&plan, &caller) };
    ExitCode::from(match r { Ok(c) => c, Err(e) => { println!("{}", e.text); e.code } })
}
