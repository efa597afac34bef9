//! The messages API as a real agent wants it: an HTTP server of the test's own that answers each
//! prompt with a fixed text, at once, late, never to the end, or with an error; and that keeps a
//! log of who asked when.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// How the server answers a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// At once.
    Now,
    /// After so long: an agent at work.
    After(Duration),
    /// As soon as this other requester has asked: until then both are at work.
    Behind(&'static str),
    /// Begins a stream, and never ends it: a hung agent.
    Endless,
    /// With an error for which no agent tries again: a result with `is_error`.
    Error,
}

/// One request for a message.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// The requester's `x-api-key`, or its bearer token: the test gives each agent its own.
    pub(crate) who: String,
    /// The agent's own name for its run; those with one login have nothing else that tells them apart.
    pub(crate) session: String,
    pub(crate) begun: Instant,
    /// When the answer was written whole, or the requester had gone.
    pub(crate) ended: Option<Instant>,
}

impl Request {
    /// Whether there was an instant at which both were open. One that has not ended is open still.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let before = |a: &Self, b: &Self| a.ended.is_some_and(|ended| ended <= b.begun);
        !before(self, other) && !before(other, self)
    }
}

#[derive(Default)]
struct Log {
    requests: Mutex<Vec<Request>>,
    changed: Condvar,
}

/// The server. Its threads end with the test's process.
pub(crate) struct Api {
    address: SocketAddr,
    log: Arc<Log>,
}

impl Api {
    /// Serves on `listener`; `answer` chooses by the requester's key.
    pub(crate) fn serve(
        listener: TcpListener,
        answer: impl Fn(&str) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().expect("a bound socket");
        let log = Arc::new(Log::default());
        let (shared, answer) = (Arc::clone(&log), Arc::new(answer));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (Arc::clone(&shared), Arc::clone(&answer));
                // A requester that has gone is an error here, and no more than that.
                thread::spawn(move || drop(converse(&stream, &log, &*answer)));
            }
        });
        Self { address, log }
    }

    /// For `ANTHROPIC_BASE_URL`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The requests so far, in the order in which they began.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.log.lock().clone()
    }

    /// Waits, without polling, until the requests fulfil a condition. Panics with `what` after 60
    /// s.
    #[track_caller]
    pub(crate) fn until(&self, what: &str, mut condition: impl FnMut(&[Request]) -> bool) {
        let limit = Duration::from_mins(1);
        let requests = self.log.lock();
        let (_requests, waited) = (self.log.changed)
            .wait_timeout_while(requests, limit, |requests| !condition(requests))
            .unwrap_or_else(PoisonError::into_inner);
        assert!(!waited.timed_out(), "waited {limit:?} in vain: {what}");
    }
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, Vec<Request>> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, who: String, session: String) -> usize {
        let mut requests = self.lock();
        requests.push(Request {
            who,
            session,
            begun: Instant::now(),
            ended: None,
        });
        self.changed.notify_all();
        requests.len() - 1
    }

    fn await_request_of(&self, who: &str) {
        let asked = |requests: &mut Vec<Request>| requests.iter().any(|one| one.who == who);
        let requests = self.changed.wait_while(self.lock(), |all| !asked(all));
        drop(requests);
    }

    fn end(&self, at: usize) {
        if let Some(request) = self.lock().get_mut(at) {
            request.ended = Some(Instant::now());
        }
        self.changed.notify_all();
    }
}

/// Serves the requests of one connection, one after the other.
fn converse(stream: &TcpStream, log: &Log, answer: &dyn Fn(&str) -> Answer) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let message =
            line.starts_with("POST /v1/messages ") || line.starts_with("POST /v1/messages?");
        let (mut length, mut who, mut session) = (0, String::new(), String::new());
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let Some((name, value)) = header.trim().split_once(':') else {
                break;
            };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().unwrap_or(0),
                "x-claude-code-session-id" => value.trim().clone_into(&mut session),
                "x-api-key" => value.trim().clone_into(&mut who),
                "authorization" => {
                    value
                        .trim()
                        .trim_start_matches("Bearer ")
                        .clone_into(&mut who);
                }
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        if message {
            let how = answer(&who);
            let at = log.begin(who, session);
            if let Answer::Behind(other) = how {
                log.await_request_of(other);
            }
            let told = reply(
                stream,
                how,
                String::from_utf8_lossy(&body).contains("\"stream\":true"),
            );
            log.end(at);
            told?;
        } else {
            // Whatever else an agent asks on the way is not needed for an answer.
            send(stream, "404 Not Found", "application/json", "{}")?;
        }
    }
}

const ANSWER: &str = "The lock was free.";

fn reply(stream: &TcpStream, how: Answer, streaming: bool) -> std::io::Result<()> {
    match how {
        Answer::Error => {
            let body = r#"{"type":"error","error":{"type":"invalid_request_error","message":"refused by the test"}}"#;
            return send(stream, "400 Bad Request", "application/json", body);
        }
        // Whoever asked says nothing meanwhile, unless it goes.
        Answer::After(delay) => {
            stream.set_read_timeout(Some(delay))?;
            if matches!(stream.peek(&mut [0]), Ok(0)) {
                return Ok(());
            }
            stream.set_read_timeout(None)?;
        }
        Answer::Now | Answer::Behind(_) | Answer::Endless => {}
    }
    if !streaming && how != Answer::Endless {
        let body = format!(
            r#"{{"id":"msg_1","type":"message","role":"assistant","model":"test","content":[{{"type":"text","text":"{ANSWER}"}}],"stop_reason":"end_turn","stop_sequence":null,"usage":{{"input_tokens":1,"output_tokens":1}}}}"#
        );
        return send(stream, "200 OK", "application/json", &body);
    }
    let begin = [
        r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"test","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}}"#,
        r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
        &format!(
            r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{ANSWER}"}}}}"#
        ),
    ];
    let end = [
        r#"{"type":"content_block_stop","index":0}"#,
        r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":1}}"#,
        r#"{"type":"message_stop"}"#,
    ];
    if how == Answer::Endless {
        let mut writer = stream;
        write!(
            writer,
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n{}",
            events(&begin)
        )?;
        // The answer goes on until the requester has had enough.
        return BufReader::new(stream)
            .read_to_end(&mut Vec::new())
            .map(drop);
    }
    send(
        stream,
        "200 OK",
        "text/event-stream",
        &(events(&begin) + &events(&end)),
    )
}

/// The events of a stream. Each one's name is the `type` with which its data begins.
fn events(data: &[&str]) -> String {
    let event = |data: &&str| {
        let name = data.split('"').nth(3).unwrap_or_default();
        format!("event: {name}\ndata: {data}\n\n")
    };
    data.iter().map(event).collect()
}

fn send(mut stream: &TcpStream, status: &str, kind: &str, body: &str) -> std::io::Result<()> {
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}
