//! `${NAME}` and `${NAME:-default}` in values.
//!
//! As in sh(1), the default stands for a variable that is unset or empty, and may itself contain
//! variables. `$$` before a name or a brace is a plain `$`. A bare `$NAME` is no variable: where it
//! could only be a mistake it is refused, because a folder called `$HOME` helps nobody.

use std::ffi::OsString;
use std::ops::Range;

use super::report::shown;

/// Defaults inside defaults inside defaults: deeper than any file that means it.
const DEEPEST: usize = 8;
/// The longest text that a value may become, in bytes: one argument of execve(2) is no longer.
const LONGEST: usize = 128 * 1024;

/// Why a value cannot be expanded, and which bytes of it are to blame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) at: Range<usize>,
    pub(crate) message: String,
    pub(crate) help: String,
}

/// The value of a variable in the environment.
pub(crate) type Lookup<'a> = dyn Fn(&str) -> Option<OsString> + 'a;

/// The text with its variables replaced. `bare` says whether `$NAME` may stand for itself.
pub(crate) fn expand(text: &str, bare: bool, env: &Lookup<'_>) -> Result<String, Refused> {
    let mut out = String::new();
    Expansion { bare, env }.push(text, 0, 0, &mut out)?;
    Ok(out)
}

struct Expansion<'a> {
    bare: bool,
    env: &'a Lookup<'a>,
}

impl Expansion<'_> {
    /// `offset` is where `text` begins in the whole value.
    fn push(
        &self,
        text: &str,
        offset: usize,
        depth: usize,
        out: &mut String,
    ) -> Result<(), Refused> {
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            out.push_str(before);
            let at = offset + text.len() - after.len() - 1;
            if out.len() > LONGEST {
                return Err(refused(
                    offset..offset + text.len(),
                    format!("the value is longer than {LONGEST} bytes"),
                    "put it into a file, and name the file",
                ));
            }
            if let Some(escaped) = after.strip_prefix('$')
                && (escaped.starts_with('{') || !name_in(escaped).is_empty())
            {
                // The `$` is plain, and so is what follows it: a brace, or a name's first letter.
                let (plain, tail) = escaped.split_at(1);
                out.push('$');
                out.push_str(plain);
                rest = tail;
            } else if let Some(braced) = after.strip_prefix('{') {
                let Some((inner, tail)) = split_at_brace(braced) else {
                    return Err(refused(
                        at..offset + text.len(),
                        "`${` has no closing brace".to_owned(),
                        "write ${NAME} or ${NAME:-default}; for a plain `${` write `$${`",
                    ));
                };
                self.push_variable(inner, at, depth, out)?;
                rest = tail;
            } else {
                let name = name_in(after);
                if !self.bare && !name.is_empty() {
                    let name_shown = shown(name);
                    return Err(refused(
                        at..at + 1 + name.len(),
                        format!("`${name_shown}` is not replaced without braces"),
                        format!("write ${{{name_shown}}}; for a plain `$` write `$${name_shown}`"),
                    ));
                }
                out.push('$');
                rest = after;
            }
        }
        out.push_str(rest);
        Ok(())
    }

    /// `at` is where its `$` stands in the whole value.
    fn push_variable(
        &self,
        inner: &str,
        at: usize,
        depth: usize,
        out: &mut String,
    ) -> Result<(), Refused> {
        let whole = at..at + inner.len() + 3;
        let name = name_in(inner);
        let tail = inner.strip_prefix(name).unwrap_or_default();
        let default = tail.strip_prefix(":-");
        if name.is_empty() || (default.is_none() && !tail.is_empty()) {
            return Err(refused(
                whole,
                format!("`${{{}}}` is not understood", shown(inner)),
                "write ${NAME} or ${NAME:-default}, where NAME has letters, digits and `_`",
            ));
        }
        let value = (self.env)(name);
        match (value, default) {
            (Some(value), None) => out.push_str(&utf8(value, name, whole)?),
            (Some(value), Some(_)) if !value.is_empty() => {
                out.push_str(&utf8(value, name, whole)?);
            }
            (_, Some(default)) if depth < DEEPEST => {
                let offset = at + 2 + name.len() + 2;
                self.push(default, offset, depth + 1, out)?;
            }
            (_, Some(_)) => {
                return Err(refused(
                    whole,
                    format!("more than {DEEPEST} defaults stand inside each other"),
                    "write the value itself",
                ));
            }
            (None, None) => {
                return Err(refused(
                    whole,
                    format!("the variable {} is not set", shown(name)),
                    format!("set it, or give a default: ${{{}:-…}}", shown(name)),
                ));
            }
        }
        Ok(())
    }
}

fn refused(at: Range<usize>, message: String, help: impl Into<String>) -> Refused {
    Refused {
        at,
        message,
        help: help.into(),
    }
}

fn utf8(value: OsString, name: &str, at: Range<usize>) -> Result<String, Refused> {
    value.into_string().map_err(|_| {
        refused(
            at,
            format!("the value of the variable {} is not UTF-8", shown(name)),
            "set it to a text, or write the value itself",
        )
    })
}

/// The variable's name that `text` begins with; empty where there is none.
fn name_in(text: &str) -> &str {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let name = text.get(..end).unwrap_or_default();
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        ""
    } else {
        name
    }
}

/// What stands before the brace that closes the one before `text`, and what after it.
fn split_at_brace(text: &str) -> Option<(&str, &str)> {
    let mut open = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => open += 1,
            '}' if open == 0 => return Some((text.get(..at)?, text.get(at + 1..)?)),
            '}' => open -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(name: &str) -> Option<OsString> {
        match name {
            "HOME" => Some("/home/agent".into()),
            "EMPTY" => Some(OsString::new()),
            _ => None,
        }
    }

    fn expanded(text: &str) -> String {
        match expand(text, false, &lookup) {
            Ok(value) => value,
            Err(refused) => format!("{} at {}", refused.message, &text[refused.at]),
        }
    }

    #[test]
    fn variables_are_replaced_as_in_sh() {
        for (text, value) in [
            ("plain", "plain"),
            ("${HOME}/.claude", "/home/agent/.claude"),
            ("${NONE:-/tmp}/x", "/tmp/x"),
            ("${EMPTY:-/tmp}", "/tmp"),
            ("[${EMPTY}]", "[]"),
            ("${NONE:-${HOME}/.claude}!", "/home/agent/.claude!"),
            ("${NONE:-}", ""),
            ("$${HOME} $$HOME", "${HOME} $HOME"),
            ("5$ and $$ and $1 and $", "5$ and $$ and $1 and $"),
        ] {
            assert_eq!(expanded(text), value, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_replaced_is_named_with_its_place() {
        for (text, message) in [
            ("a ${NONE} b", "the variable NONE is not set at ${NONE}"),
            (
                "${NONE:-${NADA}}",
                "the variable NADA is not set at ${NADA}",
            ),
            ("é${HOME", "`${` has no closing brace at ${HOME"),
            (
                "x/$HOME/y",
                "`$HOME` is not replaced without braces at $HOME",
            ),
            ("${HOME-x}", "`${HOME-x}` is not understood at ${HOME-x}"),
            ("${}", "`${}` is not understood at ${}"),
            ("${1}", "`${1}` is not understood at ${1}"),
        ] {
            assert_eq!(expanded(text), message, "{text}");
        }
    }

    #[test]
    fn defaults_inside_defaults_are_bounded() {
        let text = format!("{}x{}", "${A:-".repeat(50_000), "}".repeat(50_000));
        assert!(expand(&text, false, &lookup).is_err());
        let text = format!("{}x{}", "${A:-".repeat(DEEPEST), "}".repeat(DEEPEST));
        assert_eq!(expand(&text, false, &lookup), Ok("x".to_owned()));
    }

    #[test]
    fn what_stands_for_itself_is_left_alone_where_that_is_wanted() {
        assert_eq!(
            expand("cost: $US", true, &lookup),
            Ok("cost: $US".to_owned())
        );
    }
}
