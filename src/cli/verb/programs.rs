//! Where in PATH a program lies, or a file that would be one.

use std::env;
use std::ffi::OsStr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Where in `path`, a list of folders as in the variable, a program of that name lies.
pub(super) fn find(name: &OsStr, path: Option<&OsStr>) -> Option<PathBuf> {
    in_path(name, path).find(|path| is_program(path))
}

/// Where there a file of that name lies that cannot be executed.
pub(super) fn find_inert(name: &OsStr, path: Option<&OsStr>) -> Option<PathBuf> {
    in_path(name, path).find(|path| path.is_file() && !is_program(path))
}

/// What a command that begins with this word would execute here: by its path, or from our PATH.
pub(super) fn meant_by(word: &OsStr) -> Option<PathBuf> {
    if word.as_encoded_bytes().contains(&b'/') {
        return Some(PathBuf::from(word)).filter(|path| is_program(path));
    }
    let word = Some(word).filter(|word| !word.is_empty());
    find(word?, env::var_os("PATH").as_deref())
}

/// Whether it is a file that somebody may execute.
pub(super) fn is_program(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

fn in_path(name: &OsStr, path: Option<&OsStr>) -> impl Iterator<Item = PathBuf> {
    let path = path.unwrap_or(OsStr::new("/usr/local/bin:/usr/bin:/bin"));
    env::split_paths(path).map(move |folder| folder.join(name))
}
