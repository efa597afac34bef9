//! A line of output as a record of the journal, in journald's own protocol: one datagram a line.
//!
//! Fields: `MESSAGE`, `PRIORITY`, `SYSLOG_IDENTIFIER` (the job), `JOB`, `JOB_CLASS`, `RUN_ID`,
//! `JOB_STREAM` (stdout or stderr), `CONTAINER_NAME`; `LINE_BREAK` where the line's end is not the
//! command's: `line-max` where a long one is cut, `eof` where the output ends without one, the words of
//! journald's own `_LINE_BREAK` (systemd.journal-fields(7)).
//!
//! Standard output is info (6), standard error warning (4); a line that begins with `<0>` to `<7>` says
//! its priority itself (sd-daemon(3)), up to critical (2): an emergency of its own making would be shown on
//! the terminals of all users (`ForwardToWall=`, journald.conf(5)).

use std::io;
use std::os::unix::net::UnixDatagram;

use super::lines::cut;
use crate::journal::route::SOCKET;
use crate::run::claims::Owner;

const STDOUT: u8 = b'6';
const STDERR: u8 = b'4';
/// The most urgent that a line can make itself.
const MOST: u8 = b'2';

/// The fields that all records of a stream have.
pub(super) fn head(owner: Owner<'_>, stream: &str) -> Vec<u8> {
    let mut head = Vec::with_capacity(256);
    for (name, value) in [
        ("SYSLOG_IDENTIFIER", owner.plan.job.as_str()),
        ("JOB", &owner.plan.job),
        ("JOB_CLASS", &owner.plan.class),
        ("RUN_ID", owner.run_id),
        ("JOB_STREAM", stream),
        ("CONTAINER_NAME", owner.container.unwrap_or_default()),
    ] {
        if !value.is_empty() {
            field(name, value.as_bytes(), &mut head);
        }
    }
    head
}

/// Writes a field in the form that takes any bytes: the length before the value
/// (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL>).
fn field(name: &str, value: &[u8], to: &mut Vec<u8>) {
    to.extend_from_slice(name.as_bytes());
    to.push(b'\n');
    to.extend_from_slice(&(value.len() as u64).to_le_bytes());
    to.extend_from_slice(value);
    to.push(b'\n');
}

/// The way of one stream to the journal.
#[derive(Debug)]
pub(super) struct Records {
    head: Vec<u8>,
    priority: u8,
    /// Connected: then a full queue blocks us, and journald's end is told to us.
    socket: Option<UnixDatagram>,
    record: Vec<u8>,
    /// Whether the last piece was one of a line that goes on.
    goes_on: bool,
}

impl Records {
    pub(super) fn new(head: Vec<u8>, stream: &str) -> Self {
        Self {
            head,
            priority: if stream == "stdout" { STDOUT } else { STDERR },
            socket: None,
            record: Vec::new(),
            goes_on: false,
        }
    }

    /// Sends each line of `batch`; what is not sent stands in front of the text that is returned. Blocks
    /// as long as journald does not read, and calls `taken` whenever it has: one that is slow is
    /// not one that takes nothing.
    pub(super) fn send<'b>(
        &mut self,
        batch: &'b [u8],
        ended: bool,
        taken: impl Fn(),
    ) -> Result<(), (io::Error, &'b [u8])> {
        let mut rest = batch;
        while !rest.is_empty() {
            let end = rest.iter().position(|byte| *byte == b'\n');
            let (line, after) = match end {
                Some(end) => (rest.get(..end), rest.get(end + 1..)),
                None => (Some(rest), None),
            };
            let (line, after) = (line.unwrap_or_default(), after.unwrap_or_default());
            let (first, more) = cut(line);
            let line_break = match (more.is_empty(), end) {
                (true, Some(_)) => None,
                (true, None) if ended => Some("eof"),
                (true, None) | (false, _) => Some("line-max"),
            };
            self.build(first, line_break);
            self.send_record().map_err(|error| (error, rest))?;
            taken();
            self.goes_on = line_break == Some("line-max");
            rest = if more.is_empty() {
                after
            } else {
                rest.get(first.len()..).unwrap_or_default()
            };
        }
        Ok(())
    }

    fn build(&mut self, line: &[u8], line_break: Option<&str>) {
        let (priority, text) = match line {
            [b'<', level @ b'0'..=b'7', b'>', text @ ..] if !self.goes_on => {
                ((*level).max(MOST), text)
            }
            _ => (self.priority, line),
        };
        let text = match line_break {
            None => text.strip_suffix(b"\r").unwrap_or(text),
            Some(_) => text,
        };
        self.record.clear();
        self.record.extend_from_slice(&self.head);
        field("PRIORITY", &[priority], &mut self.record);
        if let Some(line_break) = line_break {
            field("LINE_BREAK", line_break.as_bytes(), &mut self.record);
        }
        field("MESSAGE", text, &mut self.record);
    }

    /// Over a new connection where the old one's journald has gone: that costs no more than a try.
    fn send_record(&mut self) -> io::Result<()> {
        if let Some(socket) = &self.socket {
            match send(socket, &self.record) {
                Err(_) => self.socket = None,
                sent => return sent,
            }
        }
        let socket = UnixDatagram::unbound()?;
        socket.connect(SOCKET)?;
        let sent = send(&socket, &self.record);
        self.socket = Some(socket);
        sent
    }
}

fn send(socket: &UnixDatagram, record: &[u8]) -> io::Result<()> {
    loop {
        match socket.send(record) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            sent => return sent.map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(line: &[u8], stream: &str, line_break: Option<&str>) -> Vec<u8> {
        let mut records = Records::new(b"HEAD=1\n".to_vec(), stream);
        records.build(line, line_break);
        records.record
    }

    fn fields(all: &[(&str, &[u8])]) -> Vec<u8> {
        let mut record = b"HEAD=1\n".to_vec();
        for (name, value) in all {
            field(name, value, &mut record);
        }
        record
    }

    #[test]
    fn a_field_has_its_length_before_any_bytes() {
        let mut to = Vec::new();
        field("MESSAGE", b"a\n\0", &mut to);
        assert_eq!(to, b"MESSAGE\n\x03\0\0\0\0\0\0\0a\n\0\n");
    }

    #[test]
    fn a_stream_has_its_priority_and_a_line_may_have_its_own() {
        for (line, stream, priority, text) in [
            ("out", "stdout", b"6", "out"),
            ("err", "stderr", b"4", "err"),
            ("<3>bad", "stdout", b"3", "bad"),
            ("<0>all", "stdout", b"2", "all"),
            ("<2>worst", "stdout", b"2", "worst"),
            ("<7>\u{e4}", "stderr", b"7", "\u{e4}"),
            ("<8>no", "stdout", b"6", "<8>no"),
            ("<3", "stdout", b"6", "<3"),
            ("pty\r", "stdout", b"6", "pty"),
        ] {
            let expected = fields(&[("PRIORITY", priority), ("MESSAGE", text.as_bytes())]);
            assert_eq!(built(line.as_bytes(), stream, None), expected, "{line}");
        }
    }

    #[test]
    fn a_line_without_its_own_end_says_so() {
        let expected = fields(&[
            ("PRIORITY", b"6"),
            ("LINE_BREAK", b"eof"),
            ("MESSAGE", b"x\r"),
        ]);
        assert_eq!(built(b"x\r", "stdout", Some("eof")), expected);
    }
}
