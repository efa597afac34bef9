//! What the real agent needs to answer one prompt from a test's own server: its environment, its
//! arguments, a login. The benchmark shares this file.

use std::fs;
use std::path::Path;

use super::api::Api;

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

/// Has every agent with this login refresh it before it asks anything: its token has run out.
pub(crate) fn expire(login: &Path) {
    let token = r#"{"claudeAiOauth":{"accessToken":"old","refreshToken":"old","expiresAt":1000,"scopes":["user:inference"]}}"#;
    fs::write(login.join(".credentials.json"), token).expect("the home can be written");
}

/// Gives every agent with this login a token that is good for long: it has nothing to refresh.
pub(crate) fn log_in(login: &Path) {
    let token = r#"{"claudeAiOauth":{"accessToken":"of-the-login","refreshToken":"old","expiresAt":4102444800000,"scopes":["user:inference"]}}"#;
    fs::write(login.join(".credentials.json"), token).expect("the home can be written");
}
