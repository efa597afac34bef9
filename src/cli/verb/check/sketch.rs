//! The smallest file that fits what was found: [`SMALLEST`] with another login and another command.

use std::path::Path;

use super::here::Found;
use crate::cli::verb::start::DEFAULT_CONFIG;
use crate::config::source::SMALLEST;

/// What stands in [`SMALLEST`] for the login.
const LOGIN: &str = "${CLAUDE_CONFIG_DIR:-/home/agent/.claude}";
/// What stands in [`SMALLEST`] for the command.
const COMMAND: &str = r#"["claude", "-p", "take the next issue"]"#;

/// A whole file.
pub(super) fn draw(found: &Found) -> String {
    let login = match (found.key, found.folder.as_deref().and_then(literal)) {
        // An agent prefers it to the login in its folder.
        (Some(key), _) => format!("env:{key}"),
        (None, Some(folder)) => match found.named_by {
            Some(variable) => format!("${{{variable}:-{folder}}}"),
            None => folder,
        },
        (None, None) => LOGIN.to_owned(),
    };
    let command = found.agent.map_or_else(
        || COMMAND.to_owned(),
        |agent| {
            let (command, batch) = (agent.command, agent.batch);
            format!("[\"{command}\", \"{batch}\", \"take the next issue\"]")
        },
    );
    let text = SMALLEST.replace(LOGIN, &login).replace(COMMAND, &command);
    format!(
        "# The smallest file that fits what is here. To save it, and to check it:\n\
         #   lockkeeper check --toml > {DEFAULT_CONFIG}; lockkeeper check\n{text}"
    )
}

/// A folder as it can stand in a basic string of TOML without being read as anything else.
fn literal(folder: &Path) -> Option<String> {
    let text = folder.to_str()?;
    let is_plain = |c: char| !c.is_control() && !['"', '\\', '$', '}'].contains(&c);
    text.chars().all(is_plain).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::plan::Identity;
    use crate::config::{Surroundings, parse};

    fn identity(found: &Found) -> Option<Identity> {
        let env = |name: &str| (name == "CODEX_HOME").then(|| "/c".into());
        let around = Surroundings {
            env: &env,
            host_name: "host".into(),
        };
        let text = draw(found);
        let loaded = parse("sketch", text.as_bytes(), &around).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(loaded.plan.jobs.len(), 1);
        loaded.plan.jobs[0].run.identity.clone()
    }

    #[test]
    fn the_smallest_file_has_the_places_that_are_filled() {
        assert!(SMALLEST.contains(LOGIN) && SMALLEST.contains(COMMAND));
    }

    #[test]
    fn a_sketch_is_a_valid_file_with_what_was_found() {
        let folder = |path: &str| Some(Identity::Folder(path.into()));
        assert_eq!(identity(&Found::default()), folder("/home/agent/.claude"));
        let found = Found {
            agent: super::super::here::agent_named("codex"),
            folder: Some("/d".into()),
            named_by: Some("CODEX_HOME"),
            key: None,
        };
        assert_eq!(identity(&found), folder("/c"));
        assert!(draw(&found).contains(r#"["codex", "exec""#));
        let found = Found {
            key: Some("ANTHROPIC_API_KEY"),
            folder: Some("/d".into()),
            ..Found::default()
        };
        let key = Identity::Env("ANTHROPIC_API_KEY".into());
        assert_eq!(identity(&found), Some(key));
    }

    #[test]
    fn a_folder_that_toml_would_misread_is_left_out() {
        let found = Found {
            folder: Some("/a\"b$c".into()),
            ..Found::default()
        };
        assert!(draw(&found).contains(LOGIN));
    }
}
