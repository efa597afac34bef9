//! The smallest file that fits what was found: [`SMALLEST`] with another login and another command.

use std::fmt::Write as _;
use std::path::Path;

use super::here::Found;
use super::quoted;
use crate::cli::verb::start::DEFAULT_CONFIG;
use crate::config::source::SMALLEST;
use crate::core::text::is_command;

/// What stands in [`SMALLEST`] for the login.
const LOGIN: &str = "${CLAUDE_CONFIG_DIR:-/home/agent/.claude}";
/// What stands in [`SMALLEST`] for the command.
const COMMAND: &str = r#"["claude", "-p", "take the next issue"]"#;

/// The login in [`SMALLEST`] where no variable is to name another.
const PLAIN_LOGIN: &str = "/home/agent/.claude";

/// A whole file.
pub(super) fn draw(found: &Found) -> String {
    let mut odd = None;
    let login = match (found.key, found.folder.as_deref()) {
        // An agent prefers it to the login in its folder.
        (Some(key), _) => format!("env:{key}"),
        (None, Some(folder)) => match (literal(folder), found.named_by) {
            // A brace would end the default, or open another.
            (Ok(text), Some(variable)) if !text.contains(['{', '}']) => {
                format!("${{{variable}:-{text}}}")
            }
            (Ok(text), _) => text,
            (Err(why), _) => {
                odd = Some((folder, why));
                PLAIN_LOGIN.to_owned()
            }
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
    let odd = odd.map_or_else(String::new, |(folder, why)| {
        let folder = quoted(folder);
        format!(
            "# The login that is here cannot be named in a file, as its path {why}:\n\
             #   {folder}\n\
             # Mount it at a path that can, and name that one as the identity.\n"
        )
    });
    format!(
        "# The smallest file that fits what is here. To save it, and to check it:\n\
         #   lockkeeper check --toml > {DEFAULT_CONFIG}; lockkeeper check\n{odd}{text}"
    )
}

/// Why a file cannot name the login that was found, and what to do.
pub(super) fn unnameable(found: &Found) -> Option<String> {
    let folder = found.folder.as_deref().filter(|_| found.key.is_none())?;
    let why = literal(folder).err()?;
    Some(format!(
        "{} cannot be named in a file, as its path {why}; mount it at a path that can, and write that \
         one as the identity",
        quoted(folder)
    ))
}

/// A folder as it stands in a basic string of TOML (TOML 1.0, String), `$` in the words of
/// `config::expand`; else what no path in a file may be.
fn literal(folder: &Path) -> Result<String, &'static str> {
    let text = folder.to_str().ok_or("is not UTF-8")?;
    if text.chars().any(char::is_control) {
        return Err("contains a line break or another control character");
    }
    if !text.starts_with('/') {
        return Err("does not begin with /");
    }
    let mut literal = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let begins_name = |c: &char| c.is_ascii_alphabetic() || ['_', '{'].contains(c);
        let _ = match c {
            '$' if rest.peek().is_some_and(begins_name) => write!(literal, "$$"),
            '"' | '\\' => write!(literal, "\\{c}"),
            // What a terminal would obey, or nobody sees.
            c if is_command(c) => write!(literal, "\\U{:08X}", u32::from(c)),
            c => write!(literal, "{c}"),
        };
    }
    Ok(literal)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

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

    fn at(folder: &[u8], named_by: Option<&'static str>) -> Found {
        Found {
            folder: Some(OsStr::from_bytes(folder).into()),
            named_by,
            ..Found::default()
        }
    }

    #[test]
    fn a_folder_is_named_as_it_is_whatever_toml_and_variables_would_read_in_it() {
        for path in [
            r#"/a"b\c'd"#,
            "/a$b/$$c/${d}/$/$1/5$$",
            "/$${a}$",
            "/a}b",
            "/{a",
            "/\u{200b}\u{202e}x\u{e0041}/ü #",
            r"/\u0041 \",
            "/[\"claude\", \"-p\", \"take the next issue\"]",
        ] {
            for variable in [None, Some("NOT_SET")] {
                let found = at(path.as_bytes(), variable);
                let text = draw(&found);
                assert_eq!(
                    identity(&found),
                    Some(Identity::Folder(path.into())),
                    "{text}"
                );
                assert!(text.chars().all(|c| c == '\n' || !is_command(c)), "{text}");
                assert_eq!(unnameable(&found), None);
            }
        }
    }

    #[test]
    fn a_folder_that_no_file_can_name_is_told_and_the_file_is_one_all_the_same() {
        for (path, shown, why) in [
            (&b"/a\xff"[..], r#""/a\xFF""#, "is not UTF-8"),
            (
                b"/a\nb = 1\x1b",
                r#""/a\nb = 1\u{1b}""#,
                "contains a line break",
            ),
            (b"a/b", "\"a/b\"", "does not begin with /"),
        ] {
            let found = at(path, Some("CLAUDE_CONFIG_DIR"));
            let plain = Some(Identity::Folder("/home/agent/.claude".into()));
            assert_eq!(identity(&found), plain);
            for text in [draw(&found), unnameable(&found).unwrap()] {
                assert!(text.contains(shown) && text.contains(why), "{text}");
            }
            // A key is what the agent takes, so that the folder does not matter.
            let found = Found {
                key: Some("ANTHROPIC_API_KEY"),
                ..found
            };
            assert_eq!(unnameable(&found), None);
            assert!(!draw(&found).contains(why));
        }
    }
}
