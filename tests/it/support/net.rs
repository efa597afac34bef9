//! A network namespace of a test's own, with loopback alone: what runs in there reaches the test's
//! own servers and nothing else. Needs root.

use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::fd::AsRawFd as _;
use std::process::Command;
use std::thread;

/// The namespace; it lasts as long as this or a process in it.
pub(crate) struct Net(File);

impl Net {
    pub(crate) fn new() -> Self {
        // A thread of its own enters the namespace and stays there till its end.
        thread::spawn(|| {
            enter_new_namespace().expect("root may have a network namespace");
            Self(File::open("/proc/thread-self/ns/net").expect("/proc"))
        })
        .join()
        .expect("the namespace is made")
    }

    /// A server's socket in there, on a port of the kernel's choice. The test may use it from any
    /// thread: a socket belongs to the namespace in which it was made.
    pub(crate) fn listen(&self) -> TcpListener {
        let file = self.0.try_clone().expect("a descriptor");
        thread::spawn(move || {
            #[expect(unsafe_code, reason = "no library at hand enters a namespace")]
            // SAFETY: changes the namespace of this thread alone, which ends here.
            let entered = unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) };
            assert_eq!(entered, 0, "setns: {}", io::Error::last_os_error());
            TcpListener::bind("127.0.0.1:0").expect("loopback is up")
        })
        .join()
        .expect("the socket is made")
    }

    /// Where the namespace can be opened by any process: for `nsenter --net=…`.
    pub(crate) fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }

    /// A command that runs in there.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", self.path()))
            .arg("--")
            .arg(program);
        command
    }
}

#[expect(
    unsafe_code,
    reason = "no library at hand makes a namespace or sets an interface up"
)]
fn enter_new_namespace() -> io::Result<()> {
    // SAFETY: changes the calling thread's namespace alone.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let socket = std::net::UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: all zeroes is a valid ifreq: an empty name, no flags.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    let flags = libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING);
    request.ifr_ifru.ifru_flags = flags.unwrap_or_default();
    // SAFETY: SIOCSIFFLAGS reads one ifreq (netdevice(7)), which lives through the call.
    match unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
