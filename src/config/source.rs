//! The bytes of a configuration file: read without ever hanging, and known to be text.
//!
//! A configuration is a small regular file. A FIFO would block the reader until somebody writes, a
//! device might never end, and a large file is some other file.

use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

/// The largest file that is read, in bytes.
pub const LARGEST: u64 = 1024 * 1024;

/// The smallest file that is useful; printed to whoever has none.
pub const SMALLEST: &str = r#"[classes.batch]
identity = "${CLAUDE_CONFIG_DIR:-/home/agent/.claude}"   # the login that takes turns

[jobs.dev]
class = "batch"
command = ["claude", "-p", "take the next issue"]
every = "5m"
"#;

/// Why there is no text: what is wrong, and what to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoText {
    pub(crate) message: String,
    pub(crate) help: String,
}

impl NoText {
    fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: help.into(),
        }
    }
}

/// A folder is what engines make of a bind mount whose source is not there.
const FOLDER: &str = "name the file itself, with -c FILE or in $LOCKKEEPER_CONFIG; an engine that is to \
     mount a file which does not exist on the host makes an empty folder of that name there, and here: \
     remove it there, write the file, and make the container anew";

/// The bytes of a regular file of at most [`LARGEST`] bytes.
pub(crate) fn bytes_of(path: &Path) -> Result<Vec<u8>, NoText> {
    // O_NONBLOCK: opening a FIFO that nobody writes must not hang (open(2)); it means nothing for
    // a regular file, and nothing else is read.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC)
        .open(path)
        .map_err(|error| cannot("open", &error))?;
    let meta = file.metadata().map_err(|error| cannot("read", &error))?;
    let kind = meta.file_type();
    if !kind.is_file() {
        let what = match () {
            () if kind.is_dir() => "a folder",
            () if kind.is_fifo() => "a pipe",
            () if kind.is_socket() => "a socket",
            () => "a device",
        };
        return Err(NoText::new(
            format!("cannot read the configuration: this is {what}, not a regular file"),
            if kind.is_dir() {
                FOLDER
            } else {
                "name the file itself, with -c FILE or in $LOCKKEEPER_CONFIG"
            },
        ));
    }
    let mut bytes = Vec::new();
    (&file)
        .take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| cannot("read", &error))?;
    if bytes.len() as u64 > LARGEST {
        return Err(too_large(meta.len()));
    }
    Ok(bytes)
}

fn cannot(what: &str, error: &io::Error) -> NoText {
    let reason = match error.raw_os_error() {
        Some(errno) => nix::errno::Errno::from_raw(errno)
            .desc()
            .to_ascii_lowercase(),
        None => error.to_string(),
    };
    let help = match error.kind() {
        io::ErrorKind::NotFound => format!(
            "name another with -c FILE or in $LOCKKEEPER_CONFIG, or write this one; \
             the smallest that is useful:\n\n{SMALLEST}"
        ),
        io::ErrorKind::PermissionDenied => {
            "give the user that lockkeeper runs as the right to read it".to_owned()
        }
        _ => "name another with -c FILE or in $LOCKKEEPER_CONFIG".to_owned(),
    };
    NoText::new(format!("cannot {what} the configuration: {reason}"), help)
}

fn too_large(bytes: u64) -> NoText {
    NoText::new(
        format!(
            "cannot read the configuration: {bytes} bytes are more than the {LARGEST} that a \
             configuration may have"
        ),
        "is this the right file?",
    )
}

/// The bytes as text, with something in it.
pub(crate) fn text_of(bytes: &[u8]) -> Result<&str, NoText> {
    if bytes.len() as u64 > LARGEST {
        return Err(too_large(bytes.len() as u64));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(NoText::new(
            "cannot read the configuration: it is UTF-16, not UTF-8",
            "save it as UTF-8",
        ));
    }
    if let Some(at) = bytes.iter().position(|byte| *byte == 0) {
        let (line, column) = place_of(bytes, at);
        return Err(NoText::new(
            format!(
                "cannot read the configuration: it is binary, with a zero byte in line {line}, \
                 column {column}"
            ),
            "is this the right file?",
        ));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let (line, column) = place_of(bytes, at);
        let byte = bytes.get(at).copied().unwrap_or_default();
        NoText::new(
            format!(
                "cannot read the configuration: it is not UTF-8, from byte 0x{byte:02x} in line \
                 {line}, column {column}"
            ),
            "save it as UTF-8; if this is not the right file, name another with -c FILE",
        )
    })?;
    let says_nothing = |line: &str| line.trim().is_empty() || line.trim().starts_with('#');
    if text
        .trim_start_matches('\u{feff}')
        .lines()
        .all(says_nothing)
    {
        return Err(NoText::new(
            "the configuration is empty",
            format!("the smallest that is useful:\n\n{SMALLEST}"),
        ));
    }
    if let Some(other) = other_language(text) {
        return Err(NoText::new(
            format!("the configuration is {other}, and has to be TOML"),
            format!("the smallest that is useful:\n\n{SMALLEST}"),
        ));
    }
    Ok(text)
}

/// The language of a file whose first line with something in it is certainly no TOML.
fn other_language(text: &str) -> Option<&'static str> {
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let mut lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let first = lines.next()?;
    let name = first.split([':', '=', '"', '\'', '[']).next()?;
    let is_yaml = first == "---"
        || first
            .strip_prefix(name)
            .is_some_and(|rest| rest == ":" || rest.starts_with(": "));
    if first.starts_with('{') {
        return Some("JSON");
    }
    is_yaml.then_some("YAML")
}

/// Line and column, from 1, of the byte at `at`; the column counts characters where there are any.
fn place_of(bytes: &[u8], at: usize) -> (usize, usize) {
    let before = bytes.get(..at).unwrap_or(bytes);
    let line = before.split(|byte| *byte == b'\n').count();
    let head = before
        .rsplit(|byte| *byte == b'\n')
        .next()
        .unwrap_or_default();
    (line, String::from_utf8_lossy(head).chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_no_toml_is_taken_for_another_language() {
        for (text, language) in [
            ("{\"jobs\": {}}", Some("JSON")),
            ("# a\n\n  {", Some("JSON")),
            ("jobs:\n  dev:\n", Some("YAML")),
            ("---\na: 1\n", Some("YAML")),
            ("class: batch # = b", Some("YAML")),
            ("[jobs.a]", None),
            ("[jobs.\"a: b\"]", None),
            ("\"a: b\" = 1", None),
            ("'a: b' = 1", None),
            ("a.\"b: c\" = 1", None),
            ("a = \"b: c\"", None),
            ("a=b: c", None),
            ("a:b = 1", None),
            ("", None),
        ] {
            assert_eq!(other_language(text), language, "{text}");
        }
    }
}
