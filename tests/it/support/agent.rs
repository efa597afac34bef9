//! The real agent: Claude Code, pinned and installed by tests/setup.sh, talking to the test's own
//! server in a network namespace of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::api::Api;
use super::bin;
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
    command
        .args(ARGS)
        .envs(env(api, key, home))
        .env_remove("CLAUDE_CONFIG_DIR")
        .current_dir(home);
    command
}
