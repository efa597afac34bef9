//! Where the journal is that `logs` and `timeline` ask journalctl about, and what to do where there is
//! none.
//!
//! Journals of a namespace lie beside the machine's own (`systemd-journald.service(8)`), and a host's
//! folder that is mounted into a container bears the host's machine id, not ours. Whoever says where to
//! look is not told another place.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::start::refused;
use crate::exit;
use crate::run::start::Refused;
use crate::trouble;

/// Where journals lie (`systemd-journald.service(8)`, Files).
const FOLDERS: [&str; 2] = ["/var/log/journal", "/run/log/journal"];

/// journalctl's options that say where to look.
const PLACES: [&str; 9] = [
    "--directory",
    "-D",
    "--file",
    "--root",
    "--image",
    "--namespace",
    "--machine",
    "-M",
    "--merge",
];

/// The option that leads journalctl to the journal, if it needs one: where none of `options` does.
/// `matches` is what is looked for, for whoever has to look elsewhere.
pub(super) fn place_asked(
    options: &[OsString],
    matches: &[OsString],
) -> Result<Option<OsString>, Refused> {
    if options.iter().any(|option| says_where(option)) {
        return Ok(None);
    }
    let id = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let place = place(&FOLDERS.map(Path::new), id.trim()).ok_or_else(|| {
        let text = format!(
            "finding a journal in \"{}\" and \"{}\": there is none; {}",
            FOLDERS[0],
            FOLDERS[1],
            elsewhere(matches)
        );
        refused(exit::FAILED, text)
    })?;
    Ok(place.option())
}

/// journalctl could not be executed.
pub(super) fn no_journalctl(errno: Errno, matches: &[OsString]) -> Refused {
    let code = if errno == Errno::ENOENT {
        exit::NOT_FOUND
    } else {
        exit::CANNOT_EXECUTE
    };
    let why = trouble::why(errno);
    let text = format!("executing \"journalctl\": {why}; {}", elsewhere(matches));
    refused(code, text)
}

/// `name`, which ends with `=`, and its value in one word.
pub(super) fn option(name: &str, value: &OsStr) -> OsString {
    let mut word = OsString::from(name);
    word.push(value);
    word
}

/// What is to be done where nothing can be read.
pub(super) fn elsewhere(matches: &[OsString]) -> String {
    let words = matches.iter().map(|word| quoted(&word.to_string_lossy()));
    let matches: Vec<String> = words.collect();
    format!(
        "read it on the host: journalctl {}; or have journalctl here, and the host's folder \
         mounted: -v /var/log/journal:/var/log/journal:ro",
        matches.join(" ")
    )
}

/// As a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "=._-/:@+".contains(c);
    if word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn says_where(option: &OsStr) -> bool {
    let option = option.as_bytes();
    let is = |place: &&str| {
        let rest = option.strip_prefix(place.as_bytes());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"=") || place.len() == 2)
    };
    PLACES.iter().any(is) || option == b"-m"
}

/// Where the records are.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// Where journalctl looks by itself.
    Own,
    /// There, and in namespaces.
    Namespaces,
    /// In a folder of another machine id.
    Folder(PathBuf),
}

impl Place {
    fn option(self) -> Option<OsString> {
        match self {
            Self::Own => None,
            Self::Namespaces => Some("--namespace=*".into()),
            Self::Folder(folder) => Some(option("--directory=", folder.as_os_str())),
        }
    }
}

/// `None`: there is no journal. One that we may not read counts: journalctl says why.
fn place(folders: &[&Path], machine_id: &str) -> Option<Place> {
    let (mut own, mut namespaces, mut foreign) = (false, false, None);
    for folder in folders {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name();
            let Some(name) = name.to_str() else { continue };
            let (id, namespace) = name
                .split_once('.')
                .map_or((name, false), |(id, _)| (id, true));
            if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                continue;
            }
            if id != machine_id {
                foreign = Some(folder);
            } else if namespace {
                namespaces = true;
            } else {
                own = true;
            }
        }
    }
    match foreign {
        _ if namespaces => Some(Place::Namespaces),
        _ if own => Some(Place::Own),
        Some(folder) => Some(Place::Folder(folder.to_path_buf())),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::scratch::Scratch;

    const OWN: &str = "0123456789abcdef0123456789abcdef";
    const OTHER: &str = "fedcba9876543210fedcba9876543210";

    fn found(names: &[String]) -> Option<Place> {
        let dir = Scratch::new();
        for name in names {
            fs::create_dir(dir.join(name)).unwrap();
        }
        match place(&[&dir.join("none"), &dir], OWN) {
            Some(Place::Folder(folder)) => {
                assert_eq!(folder, *dir);
                Some(Place::Folder("DIR".into()))
            }
            place => place,
        }
    }

    #[test]
    fn journals_are_looked_for_where_they_are() {
        let (own, other) = (OWN.to_owned(), OTHER.to_owned());
        let namespace = format!("{OWN}.agents");
        assert_eq!(found(&[]), None);
        assert_eq!(found(&["lost+found".to_owned()]), None);
        assert_eq!(found(std::slice::from_ref(&own)), Some(Place::Own));
        assert_eq!(found(&[own.clone(), other.clone()]), Some(Place::Own));
        assert_eq!(found(&[own, namespace]), Some(Place::Namespaces));
        assert_eq!(found(&[other]), Some(Place::Folder("DIR".into())));
    }

    #[test]
    fn who_says_where_to_look_is_not_told_another_place() {
        for option in [
            "--directory=/x",
            "-D",
            "-D/x",
            "--namespace=*",
            "-m",
            "--merge",
            "-M",
        ] {
            assert!(says_where(option.as_ref()), "{option}");
        }
        for option in [
            "--lines=5",
            "-n5",
            "--output=json",
            "--no-pager",
            "-r",
            "-u",
        ] {
            assert!(!says_where(option.as_ref()), "{option}");
        }
    }
}
