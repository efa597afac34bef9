//! Our own program, as an open file: it can be executed again when its path has changed or gone.

use std::ffi::{CStr, OsStr};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Opens it by what /proc says, or by the path that execve(2) was given (`AT_EXECFN`, getauxval(3)).
pub fn open_own() -> io::Result<OwnedFd> {
    let open = |path: &Path| -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_PATH | libc::O_CLOEXEC)
            .open(path)
    };
    let own = match open(Path::new("/proc/self/exe")) {
        Ok(own) => own,
        Err(error) => open(Path::new(executed_path().ok_or(error)?))?,
    };
    Ok(own.into())
}

fn executed_path() -> Option<&'static OsStr> {
    // SAFETY: the kernel puts a C string there that lives as long as the process, or gives 0.
    let text = unsafe {
        let address = libc::getauxval(libc::AT_EXECFN) as *const libc::c_char;
        (!address.is_null()).then(|| CStr::from_ptr(address))?
    };
    Some(OsStr::from_bytes(text.to_bytes()))
}
