//! The real agent: Claude Code, pinned and installed by tests/setup.sh, talking to the test's own
//! server in a network namespace of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::api::Api;
use super::bin;
use super::child::bare;
use super::net::Net;
pub(crate) use super::prompt::{ARGS, env, expire, log_in};

/// The agent's program. `need!("agent")` comes before any use of it.
pub(crate) fn program() -> PathBuf {
    bin::real("agent/node_modules/@anthropic-ai/claude-code/bin/claude.exe")
}

/// The agent at work on one prompt, in `net`.
pub(crate) fn command(net: &Net, api: &Api, key: &str, home: &Path) -> Command {
    let mut command = net.command(program());
    bare(&mut command)
        .args(ARGS)
        .envs(env(api, key, home))
        .current_dir(home);
    command
}

/// Has every agent with this login (`~/.claude`) hang after its result, as a hook that never
/// returns makes it.
pub(crate) fn hang_after_result(login: &Path) {
    let hook = r#"{"type":"command","command":"sleep 3600","timeout":3600}"#;
    let settings = format!(r#"{{"hooks":{{"SessionEnd":[{{"hooks":[{hook}]}}]}}}}"#);
    fs::create_dir_all(login).expect("the home can be written");
    fs::write(login.join("settings.json"), settings).expect("the home can be written");
}
