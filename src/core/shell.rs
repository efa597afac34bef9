//! Commands in a message, which a person copies into a shell: between backticks, and so quoted that they
//! mean there what they say, whatever a path is called.
//!
//! Invariants: one line; no byte that a terminal would obey; no backtick but the two round it. What cannot
//! stand between quotes that way is written by printf(1), in the octal numbers that every shell knows.

use std::ffi::OsString;
use std::fmt::{self, Write as _};
use std::path::Path;

use super::text::is_command;

/// `` `lockkeeper lock show '/srv/a b'` ``: words of ours, then a path or a name.
#[derive(Clone, Copy, Debug)]
pub struct Command<'a>(&'static str, &'a Path);

impl<'a> Command<'a> {
    /// `words`, which need no quotes, on `path`.
    pub const fn on(words: &'static str, path: &'a Path) -> Self {
        Self(words, path)
    }
}

impl fmt::Display for Command<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(words, path) = self;
        let bytes = path.as_os_str().as_encoded_bytes();
        // It would be taken for an option.
        let here = if bytes.starts_with(b"-") { "./" } else { "" };
        // A substitution loses the ends of lines at its end (POSIX, Shell Command Language, 2.6.3).
        if bytes.ends_with(b"\n") {
            return write!(
                f,
                "`end=\"$(printf '{here}{}.')\"; {words} \"${{end%.}}\"`",
                Octal(bytes)
            );
        }
        write!(f, "`{words} {}`", Word(here, bytes))
    }
}

/// `` `lockkeeper -- claude -p 'a b'` ``: words of ours, then those that somebody typed.
#[derive(Clone, Copy, Debug)]
pub struct Typed<'a>(pub &'static str, pub &'a [OsString]);

impl fmt::Display for Typed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}", self.0)?;
        for word in self.1 {
            write!(f, " {}", Word("", word.as_encoded_bytes()))?;
        }
        f.write_char('`')
    }
}

/// One word, with something of ours before it, which needs no quotes.
struct Word<'a>(&'static str, &'a [u8]);

impl fmt::Display for Word<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(here, bytes) = self;
        let text = std::str::from_utf8(bytes).ok();
        match text.filter(|text| !text.contains(must_be_number)) {
            Some(text) if !text.is_empty() && text.bytes().all(is_bare) => {
                write!(f, "{here}{text}")
            }
            Some(text) => write!(f, "'{here}{}'", text.replace('\'', r"'\''")),
            None => write!(f, "\"$(printf '{here}{}')\"", Octal(bytes)),
        }
    }
}

const fn must_be_number(character: char) -> bool {
    is_command(character) || character == '`'
}

/// Whether no shell sees more in it than a letter.
const fn is_bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'.' | b'_' | b'-' | b'+' | b',' | b':')
}

/// Bytes in the words of printf(1).
struct Octal<'a>(&'a [u8]);

impl fmt::Display for Octal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0 {
            if is_bare(*byte) || *byte == b' ' {
                f.write_char(char::from(*byte))?;
            } else {
                write!(f, "\\{byte:03o}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;

    #[track_caller]
    fn shown(path: &[u8], expected: &str) {
        let path = Path::new(OsStr::from_bytes(path));
        let text = Command::on("x lock show", path).to_string();
        assert_eq!(text, format!("`{expected}`"));
    }

    #[test]
    fn what_a_shell_reads_otherwise_is_quoted_and_what_a_terminal_obeys_is_a_number() {
        shown(b"/srv/a.lock", "x lock show /srv/a.lock");
        shown(b"/srv/a b", "x lock show '/srv/a b'");
        shown(b"/o'neil $HOME", r"x lock show '/o'\''neil $HOME'");
        shown("/ü".as_bytes(), "x lock show '/ü'");
        shown(b"-f", "x lock show ./-f");
        shown(b"", "x lock show ''");
        shown(
            b"/a\nb %s`",
            r#"x lock show "$(printf '/a\012b \045s\140')""#,
        );
        shown(b"/\xff\x1b", r#"x lock show "$(printf '/\377\033')""#);
        shown(
            b"/'\n",
            r#"end="$(printf '/\047\012.')"; x lock show "${end%.}""#,
        );
    }
}
