//! The real agent: Claude Code, pinned and installed by tests/setup.sh, talking to the test's own
//! server in a network namespace of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::api::Api;
use super::bin;
use super::child::bare;
use super::net::Net;

/// The agent's program. `need!("agent")` comes before any use of it.
pub(crate) fn program() -> PathBuf {
    bin::target().join("real/agent/node_modules/@anthropic-ai/claude-code/bin/claude.exe")
}

/// The environment in which the agent asks `api` as `key`, and nobody else, with its folder in
/// `home`.
pub(crate) fn env(api: &Api, key: &str, home: &Path) -> Vec<(String, String)> {
    let pairs = [
        ("ANTHROPIC_BASE_URL", &*api.url()),
        ("ANTHROPIC_API_KEY", key),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
        ("DISABLE_TELEMETRY", "1"),
        ("DISABLE_AUTOUPDATER", "1"),
        // The tests run as root, and a container is the sandbox that this asks for.
        ("IS_SANDBOX", "1"),
        // Else it keeps a folder in the machine's /tmp.
        ("CLAUDE_CODE_TMPDIR", &home.display().to_string()),
        ("HOME", &home.display().to_string()),
    ];
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
}

/// What follows the agent's name to have one prompt answered as a stream of JSON lines, the last of
/// which is the result.
pub(crate) const ARGS: [&str; 6] = [
    "-p",
    "is the lock free?",
    "--output-format",
    "stream-json",
    "--verbose",
    "--no-session-persistence",
];

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
