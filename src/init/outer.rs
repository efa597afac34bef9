//! What init tells whoever started it, where that one wants to know (`sd_notify(3)`): podman with
//! `--sdnotify=container`, a systemd unit with `Type=notify`.
//!
//! It says `READY=1` once, when the jobs that start by themselves have begun, or, where the main job says
//! itself when it is ready, then; in `STATUS=` how many runs are going; `STOPPING=1` once, when the stop
//! begins; `RELOADING=1` when the file is to be read again, and `READY=1` when that is over, whatever came
//! of it; and `WATCHDOG=1`, twice in the time that is asked for, but only if it is asked for: there is no
//! other reason to wake. Jobs do not inherit the variables: what they said there would be taken for ours.
//!
//! Who is not up yet says nothing of a reload: the `READY=1` behind it would be taken for the first one.
//!
//! State: what was told. What had no room is told again a little later, so that `READY=1` is not lost; who
//! does not listen at all misses everything. Nothing here waits.

use std::env;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use crate::core::time::Time;
use crate::run::command::{NOTIFY_SOCKET, WATCHDOG};
use crate::sys::process;

/// How long after there was no room it is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How init stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// What it was started for is there.
    pub is_up: bool,
    /// It stops.
    pub is_ending: bool,
    /// How often somebody has wanted the file read again.
    pub reloads: u64,
    /// It is being read.
    pub is_reloading: bool,
    /// How many runs are going.
    pub runs: usize,
    /// How many jobs there are.
    pub jobs: usize,
}

/// The way to whoever started us, and what he knows.
#[derive(Debug)]
pub struct Outer {
    socket: UnixDatagram,
    to: SocketAddr,
    told: Option<Standing>,
    retry_at: Option<Time>,
    /// Half of the time after which he takes us for dead, and when the next sign of life is due.
    alive: Option<(Duration, Time)>,
}

impl Outer {
    /// By the variables that we were started with; `None`: nobody wants to know.
    pub fn from_environment(now: Time) -> Option<Self> {
        let name = env::var_os(NOTIFY_SOCKET)?;
        let to = match name.as_bytes() {
            [b'@', rest @ ..] => SocketAddr::from_abstract_name(rest),
            [b'/', ..] => SocketAddr::from_pathname(&name),
            // A virtual machine's host (`vsock:`): no container is given one.
            _ => return None,
        };
        let number = |name: &str| env::var(name).ok()?.parse::<u64>().ok();
        let [usec, pid] = WATCHDOG;
        let is_ours = number(pid).is_none_or(|pid| i32::try_from(pid) == Ok(process::own_pid()));
        let half = number(usec).map(|micros| Duration::from_micros(micros) / 2);
        let half = half.filter(|half| is_ours && !half.is_zero());
        Some(Self {
            socket: UnixDatagram::unbound()
                .and_then(|socket| socket.set_nonblocking(true).map(|()| socket))
                .ok()?,
            to: to.ok()?,
            told: None,
            retry_at: None,
            alive: half.map(|half| (half, now)),
        })
    }

    /// When [`Outer::tell`] is wanted next, whatever happens.
    pub fn next_deadline(&self) -> Option<Time> {
        let alive = self.alive.map(|(_, due)| due);
        alive.into_iter().chain(self.retry_at).min()
    }

    /// Tells what is not known yet of `standing`, and that we are alive.
    pub fn tell(&mut self, now: Time, standing: &Standing) {
        if let Some((half, due)) = &mut self.alive
            && *due <= now
        {
            *due = now + *half;
            let _ = self.socket.send_to_addr(b"WATCHDOG=1", &self.to);
        }
        if self.told.as_ref() == Some(standing) || self.retry_at.is_some_and(|at| at > now) {
            return;
        }
        self.retry_at = None;
        if let Some(told) = &self.told
            && told.is_up
            && !standing.is_ending
            && told.reloads < standing.reloads
        {
            // A datagram of its own: its end may be told in the same instant. The time must not lie before
            // the signal by which somebody has asked for it (sd_notify(3)).
            let micros = now.0 / 1000;
            let text =
                format!("RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=reading the file again");
            if !self.send(now, &text) {
                return;
            }
            if let Some(told) = &mut self.told {
                (told.reloads, told.is_reloading) = (standing.reloads, true);
            }
        }
        if self.told.as_ref() != Some(standing)
            && self.send(now, &news(self.told.as_ref(), standing))
        {
            self.told = Some(standing.clone());
        }
    }

    /// Whether it is done with: there was room, or nobody who could have any.
    fn send(&mut self, now: Time, text: &str) -> bool {
        let sent = self.socket.send_to_addr(text.as_bytes(), &self.to);
        let is_full = sent.is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
        self.retry_at = is_full.then(|| now + RETRY_AFTER);
        !is_full
    }
}

/// What to say to one who knows `told`.
fn news(told: Option<&Standing>, standing: &Standing) -> String {
    let mut text = String::new();
    let is_read =
        |told: &Standing| told.is_reloading && !standing.is_reloading && !standing.is_ending;
    if standing.is_up && told.is_none_or(|told| !told.is_up || is_read(told)) {
        text.push_str("READY=1\n");
    }
    if standing.is_ending && !told.is_some_and(|told| told.is_ending) {
        text.push_str("STOPPING=1\n");
    }
    let Standing { runs, jobs, .. } = standing;
    let s = if *jobs == 1 { "" } else { "s" };
    let state = match (standing.is_ending, standing.is_up, standing.is_reloading) {
        (true, _, _) => "stopping, ",
        (false, false, _) => "starting, ",
        (false, true, true) => "reading the file again, ",
        (false, true, false) => "",
    };
    let _ = write!(text, "STATUS={state}{runs} of {jobs} job{s} running");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_and_stopping_are_said_once_and_the_status_whenever_it_changes() {
        let starting = Standing {
            runs: 1,
            jobs: 1,
            ..Standing::default()
        };
        let up = Standing {
            is_up: true,
            ..starting.clone()
        };
        let idle = Standing {
            runs: 0,
            ..up.clone()
        };
        let reloading = Standing {
            reloads: 1,
            is_reloading: true,
            ..idle.clone()
        };
        let ending = Standing {
            is_ending: true,
            jobs: 2,
            ..up.clone()
        };
        for (told, standing, expected) in [
            (None, &starting, "STATUS=starting, 1 of 1 job running"),
            (Some(&starting), &up, "READY=1\nSTATUS=1 of 1 job running"),
            (None, &up, "READY=1\nSTATUS=1 of 1 job running"),
            (Some(&up), &idle, "STATUS=0 of 1 job running"),
            (
                Some(&reloading),
                &idle,
                "READY=1\nSTATUS=0 of 1 job running",
            ),
            (
                Some(&idle),
                &reloading,
                "STATUS=reading the file again, 0 of 1 job running",
            ),
            (
                Some(&reloading),
                &ending,
                "STOPPING=1\nSTATUS=stopping, 1 of 2 jobs running",
            ),
            (
                Some(&idle),
                &ending,
                "STOPPING=1\nSTATUS=stopping, 1 of 2 jobs running",
            ),
        ] {
            assert_eq!(news(told, standing), expected);
        }
    }
}
