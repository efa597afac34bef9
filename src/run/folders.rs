//! Folders that a command needs: made as its user, for nobody else, where they are missing.
//!
//! Whatever lies on the way is followed as the user himself would. A symbolic link counts only if it is
//! his or root's: another's may lead where its owner likes, and folders would be made there.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use crate::lock::fault::Quoted;
use crate::trouble;

/// Makes the folder `path` and all above it that are missing. The calling thread acts as `user`.
///
/// # Errors
/// Why not, in words that name what is in the way.
pub(super) fn make(path: &Path, user: u32) -> Result<(), String> {
    let mut here = PathBuf::new();
    for part in path.components() {
        here.push(part);
        step(&here, user).map_err(|why| format!("{}: {why}", Quoted(&here)))?;
    }
    Ok(())
}

fn step(here: &Path, user: u32) -> Result<(), String> {
    let text = |error: io::Error| trouble::text_of(&error).to_ascii_lowercase();
    match fs::symlink_metadata(here) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            match DirBuilder::new().mode(0o700).create(here) {
                // Somebody was faster.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => is_folder(here),
                made => made.map_err(text),
            }
        }
        Ok(meta) if meta.is_symlink() && ![0, user].contains(&meta.uid()) => Err(format!(
            "a symbolic link of user {}, who could lead it anywhere",
            meta.uid()
        )),
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => is_folder(here),
        Err(error) => Err(text(error)),
    }
}

fn is_folder(here: &Path) -> Result<(), String> {
    match fs::metadata(here) {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => Err("not a folder".to_owned()),
        Err(error) => Err(trouble::text_of(&error).to_ascii_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt as _, lchown, symlink};

    use super::*;
    use crate::lock::scratch::Scratch;

    fn own() -> u32 {
        nix::unistd::geteuid().as_raw()
    }

    #[test]
    fn what_is_missing_is_made_for_the_user_alone_and_what_is_there_stays() {
        let scratch = Scratch::new();
        fs::set_permissions(&*scratch, Permissions::from_mode(0o755)).unwrap();
        let path = scratch.join("a/b/c");
        assert_eq!(make(&path, own()), Ok(()));
        for (name, mode) in [("", 0o755), ("a", 0o700), ("a/b", 0o700), ("a/b/c", 0o700)] {
            let meta = fs::metadata(scratch.join(name)).unwrap();
            assert_eq!(meta.mode() & 0o777, mode, "{name}");
        }
        assert_eq!(make(&path, own()), Ok(()));
    }

    #[test]
    fn a_file_in_the_way_and_a_link_to_nothing_are_named() {
        let scratch = Scratch::new();
        fs::write(scratch.join("file"), "").unwrap();
        symlink("nowhere", scratch.join("link")).unwrap();
        for (name, why) in [("file/x", "not a folder"), ("link", "no such file")] {
            let told = make(&scratch.join(name), own()).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
        assert!(!scratch.join("nowhere").exists());
    }

    #[test]
    fn a_link_of_ones_own_is_followed_and_one_of_another_user_is_not() {
        let scratch = Scratch::new();
        fs::create_dir(scratch.join("real")).unwrap();
        let link = scratch.join("link");
        symlink("real", &link).unwrap();
        assert_eq!(make(&link.join("x"), own()), Ok(()));
        assert!(scratch.join("real/x").is_dir());
        if nix::unistd::geteuid().is_root() {
            lchown(&link, Some(4711), None).unwrap();
            let told = make(&link.join("y"), own()).unwrap_err();
            assert!(told.contains("a symbolic link of user 4711"), "{told}");
            assert!(!scratch.join("real/y").exists());
            assert_eq!(make(&link.join("y"), 4711), Ok(()));
        }
    }
}
