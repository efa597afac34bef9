//! For a shell that completes `start`, `stop`, `restart` and `health`: the jobs of the running init, which
//! need not have been started with the file in use. Where none answers, those of that file.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::super::check;
use crate::cli::StatusArgs;
use crate::config::load;
use crate::init::control::ask::Conversation;
use crate::init::control::words::Request;
use crate::run::start::Refused;
use crate::sys::{clock, signals};

/// How long whoever types may have to wait for an init that hangs.
const LIMIT: Duration = Duration::from_millis(500);

/// Prints them as `check --names` does.
pub(super) fn names(args: &StatusArgs) -> Result<u8, Refused> {
    signals::let_through();
    match running(args.socket.as_deref()) {
        Some(lines) => check::printed(&lines),
        None => check::names(args.config.as_deref()),
    }
}

fn running(socket: Option<&Path>) -> Option<String> {
    let until = clock::now() + LIMIT;
    let mut init = Conversation::begin(socket, until, None).ok()?;
    let request = Request {
        op: "status".to_owned(),
        ..Request::default()
    };
    let line = init.ask(request, Some(until)).ok()?;
    let reply: Value = serde_json::from_slice(&line).ok()?;
    let jobs = reply.get("jobs")?.as_array()?;
    // It shows runs of others, too, which it neither starts nor stops.
    let own = |job: &&Value| job.get("of_no_job").and_then(Value::as_bool) == Some(false);
    let names = jobs.iter().filter(own).map(|job| job.get("job")?.as_str());
    Some(load::job_names(names.flatten()))
}
