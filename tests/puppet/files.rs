//! Descriptors, files and output: written at once and unbuffered, so that nothing appears twice
//! after a fork.

use std::ffi::c_int;
use std::fs;
use std::io::{self, Read as _};
use std::os::fd::IntoRawFd as _;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::Done;
use crate::ready::ready;

pub(crate) fn each_descriptor(mut with: impl FnMut(c_int)) {
    // SAFETY: a question to the system.
    let limit = unsafe { libc::sysconf(libc::_SC_OPEN_MAX) }.clamp(256, 65_536);
    (0..limit as c_int).for_each(&mut with);
}

pub(crate) fn close_all() {
    // SAFETY: nothing here owns a descriptor that it would use again; the older call is the
    // kernel's lack of the newer.
    unsafe {
        if libc::syscall(libc::SYS_close_range, 0, c_int::MAX, 0) != 0 {
            each_descriptor(|fd| {
                libc::close(fd);
            });
        }
    }
}

pub(crate) fn interrupted() -> bool {
    io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
}

pub(crate) fn write_all(fd: c_int, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        // SAFETY: the slice is valid for its length.
        match unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) } {
            written @ 1.. => bytes = &bytes[written.unsigned_abs()..],
            _ if interrupted() => {}
            _ => return,
        }
    }
}

pub(crate) fn out(line: &str) {
    write_all(1, format!("{line}\n").as_bytes());
}

pub(crate) fn spew(bytes: u64) {
    let line = [*b"puppet\n"; 1024].concat();
    let mut left = usize::try_from(bytes).unwrap_or(usize::MAX);
    while left > 0 {
        let part = left.min(line.len());
        write_all(1, &line[..part]);
        left -= part;
    }
}

pub(crate) fn cat() -> Done {
    let mut buffer = [0; 4096];
    ready();
    loop {
        match told(io::stdin().read(&mut buffer), "standard input")? {
            0 => return Ok(()),
            got => write_all(1, &buffer[..got]),
        }
    }
}

pub(crate) fn append(file: &str, text: &str) -> Done {
    let opened = told(
        fs::OpenOptions::new().append(true).create(true).open(file),
        file,
    )?;
    // One write: several puppets may append to one file.
    write_all(opened.into_raw_fd(), format!("{text}\n").as_bytes());
    Ok(())
}

pub(crate) fn lock(file: &str) -> Done {
    let opened = told(
        fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(file),
        file,
    )?;
    ready();
    told(fs2::FileExt::lock_exclusive(&opened), file)?;
    std::mem::forget(opened);
    Ok(())
}

pub(crate) fn notify(text: &str) -> Done {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else {
        return Err("NOTIFY_SOCKET is not set".into());
    };
    let address = match path.as_encoded_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(&path),
    };
    let sent = UnixDatagram::unbound()
        .and_then(|socket| socket.send_to_addr(text.as_bytes(), &address?).map(drop));
    told(sent, &path.to_string_lossy())
}

pub(crate) fn told<T>(result: io::Result<T>, what: &str) -> Result<T, String> {
    result.map_err(|error| format!("\"{what}\": {error}"))
}
