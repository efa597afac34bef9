//! Files of the repository that are made from the program's tables.

use std::fs;
use std::path::Path;

/// The repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Compares a file with what the tables make of it; `UPDATE=1` writes it anew.
#[track_caller]
pub(crate) fn stands(path: &str, expected: &str) {
    let path = root().join(path);
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, expected).unwrap();
        return;
    }
    let got = fs::read_to_string(&path).unwrap_or_default();
    let both = expected.lines().zip(got.lines());
    let at = both.take_while(|(expected, got)| expected == got).count();
    assert!(
        got == expected,
        "{} differs from line {} on: {:?} is {:?}; UPDATE=1 writes it anew",
        path.display(),
        at + 1,
        expected.lines().nth(at),
        got.lines().nth(at)
    );
}
