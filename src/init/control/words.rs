//! What is said at the control socket, both ways; the shapes are listed in [`super`].

use serde::Serialize;
use serde_json::Value;

use crate::core::table::RowView;

/// The version of the shapes.
pub const VERSION: u32 = 1;

/// The longest line that a client may send, in bytes.
pub const LONGEST: usize = 64 * 1024;

/// A line of a client.
#[derive(Debug, Default, Serialize)]
pub struct Request {
    /// [`VERSION`].
    pub v: u32,
    /// What is wanted.
    pub op: String,
    /// Of which job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
    /// Of a stop: whether to answer when the run is over, and not before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<bool>,
    /// Of a reload: whether to say what would change, and change nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dry_run: Option<bool>,
    /// Of a status: what the last one said in `seen`; the answer comes when that is no longer so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<u64>,
}

/// What a line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Whether somebody is there, and who.
    Hello,
    /// A run of this job.
    Start(String),
    /// The end of this job's run.
    Stop {
        /// The job.
        job: String,
        /// Whether the answer comes when the run is over.
        wait: bool,
    },
    /// The end of this job's run, and a new one.
    Restart(String),
    /// The file, read anew.
    Reload {
        /// Nothing is to change.
        dry_run: bool,
    },
    /// Whether all is well, or this job.
    Health(Option<String>),
    /// How it stands.
    Status {
        /// Not before it stands otherwise than then.
        seen: Option<u64>,
    },
}

/// What was done; as a word in [`Reply::result`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Done {
    /// A run was begun.
    Started,
    /// A run was going already.
    Running,
    /// A run begins as soon as its class has a place for it.
    Queued,
    /// The run is over.
    Stopped,
    /// The run was told to stop.
    Stopping,
    /// There was none to stop.
    NotRunning,
    /// The new file is in force.
    Reloaded,
    /// The new file could be in force.
    WouldReload,
}

/// An answer, one line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Reply {
    /// [`VERSION`].
    pub v: u32,
    /// Whether it was done.
    pub ok: bool,
    /// Where not: the exit code of the verb that asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u8>,
    /// Where not: why, and what to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// All errors of a file, with their lines and carets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
    /// What was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Done>,
    /// The run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
    /// How many runs go before one that is queued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<usize>,
    /// The exit code of a run that is over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<u8>,
    /// Why it ended, in the journal's word, where it could still say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What a reload changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<Changes>,
    /// What works in the new file, but probably not as meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warnings: Option<Vec<String>>,
    /// Whether all is well.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthy: Option<bool>,
    /// What is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problems: Option<Vec<String>>,
    /// Who answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<Init>,
    /// Each job, in the order of the file; then runs that belong to none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobs: Option<Vec<RowView>>,
    /// A number that is another one when something has happened to a job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<u64>,
}

/// The init that answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Init {
    /// Its process, as its own PID namespace numbers it.
    pub pid: i32,
    /// Its version.
    pub version: String,
    /// `[init] name`, else the host name.
    pub name: String,
    /// Whether it is about to end.
    pub stopping: bool,
}

/// What a reload changes: names of jobs, and of keys under `[init]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// Jobs that are new.
    pub added: Vec<String>,
    /// Jobs that are gone: a living run goes on to its end.
    pub removed: Vec<String>,
    /// Jobs with another plan: a living run keeps the former one.
    pub changed: Vec<String>,
    /// Keys under `[init]` that are not as before.
    pub init: Vec<String>,
}

impl Reply {
    /// It was done.
    pub fn ok() -> Self {
        Self {
            v: VERSION,
            ok: true,
            ..Self::default()
        }
    }

    /// It was done, and this is what it was.
    pub fn done(done: Done) -> Self {
        Self {
            result: Some(done),
            ..Self::ok()
        }
    }

    /// It was not done.
    pub fn refused(code: u8, error: impl Into<String>) -> Self {
        Self {
            v: VERSION,
            code: Some(code),
            error: Some(error.into()),
            ..Self::default()
        }
    }

    /// As it is sent, with the end of its line.
    pub fn line(&self) -> Vec<u8> {
        // Text and numbers: nothing here that JSON has no form for.
        let mut line = serde_json::to_vec(self).unwrap_or_default();
        line.push(b'\n');
        line
    }
}

/// Understands a line, which comes without its end; the text says what is wrong with it.
pub fn parse(line: &[u8]) -> Result<Asked, String> {
    let request: Option<Value> = serde_json::from_slice(line).ok();
    let request = request
        .filter(Value::is_object)
        .ok_or("this line is no request: say {\"v\":1,\"op\":\"hello\"}, a JSON object a line")?;
    let field = |name: &str| request.get(name).filter(|value| !value.is_null());
    let v = field("v").map_or_else(|| "none".to_owned(), Value::to_string);
    if v != VERSION.to_string() {
        return Err(format!(
            "a request of version {v}: this is lockkeeper {}, which knows version {VERSION}",
            env!("CARGO_PKG_VERSION")
        ));
    }
    let flag = |name: &str| match field(name) {
        None => Ok(None),
        Some(value) => {
            let flag = value.as_bool().map(Some);
            flag.ok_or_else(|| format!("\"{name}\" is true or false"))
        }
    };
    let op = field("op").and_then(Value::as_str).unwrap_or_default();
    let job = match field("job") {
        None => None,
        Some(job) => Some(job.as_str().ok_or("\"job\" is a text")?.to_owned()),
    };
    let of_job = |job: Option<String>| job.ok_or_else(|| format!("\"{op}\" needs a \"job\""));
    match op {
        "hello" => Ok(Asked::Hello),
        "start" => of_job(job).map(Asked::Start),
        "stop" => Ok(Asked::Stop {
            wait: flag("wait")?.unwrap_or(true),
            job: of_job(job)?,
        }),
        "restart" => of_job(job).map(Asked::Restart),
        "reload" => Ok(Asked::Reload {
            dry_run: flag("dry_run")?.unwrap_or(false),
        }),
        "health" => Ok(Asked::Health(job)),
        "status" => Ok(Asked::Status {
            seen: match field("seen") {
                None => None,
                Some(seen) => Some(seen.as_u64().ok_or("\"seen\" is a number")?),
            },
        }),
        _ => Err(
            "no such \"op\": there are hello, start, stop, restart, reload, health and status"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_is_understood() {
        let stop = |wait| Asked::Stop {
            job: "dev".into(),
            wait,
        };
        for (line, asked) in [
            (r#"{"v":1,"op":"hello"}"#, Asked::Hello),
            (
                r#"{"v":1,"op":"start","job":"dev"}"#,
                Asked::Start("dev".into()),
            ),
            (r#"{"v":1,"op":"stop","job":"dev"}"#, stop(true)),
            (
                r#"{"v":1,"op":"stop","job":"dev","wait":false}"#,
                stop(false),
            ),
            (
                r#"{"v":1,"op":"restart","job":"dev"}"#,
                Asked::Restart("dev".into()),
            ),
            (r#"{"v":1,"op":"reload"}"#, Asked::Reload { dry_run: false }),
            (
                r#"{"v":1,"op":"reload","dry_run":true}"#,
                Asked::Reload { dry_run: true },
            ),
            (r#"{"v":1,"op":"health"}"#, Asked::Health(None)),
            (
                r#"{"v":1,"op":"health","job":"dev"}"#,
                Asked::Health(Some("dev".into())),
            ),
            (
                r#" { "later": [1], "op": "status", "v": 1 } "#,
                Asked::Status { seen: None },
            ),
            (
                r#"{"v":1,"op":"status","seen":7}"#,
                Asked::Status { seen: Some(7) },
            ),
        ] {
            assert_eq!(parse(line.as_bytes()), Ok(asked), "{line}");
        }
    }

    #[test]
    fn what_is_no_request_is_refused_with_a_reason() {
        for (line, word) in [
            ("", "no request"),
            ("GET / HTTP/1.1", "no request"),
            ("[]", "no request"),
            ("null", "no request"),
            (r#"{"v":1,"op":"hello"} {}"#, "no request"),
            (r#"{"v":-1,"op":"hello"}"#, "version -1"),
            (r#"{"v":1,"op":"start","job":7}"#, "\"job\" is a text"),
            (
                r#"{"v":1,"op":"stop","job":"dev","wait":1}"#,
                "true or false",
            ),
            (r#"{"v":1,"op":"status","seen":"x"}"#, "is a number"),
            (r#"{"op":"hello"}"#, "version none"),
            (r#"{"v":2,"op":"hello"}"#, "version 2"),
            (r#"{"v":1}"#, "no such"),
            (r#"{"v":1,"op":"shutdown"}"#, "no such"),
            (r#"{"v":1,"op":"start"}"#, "needs a \"job\""),
            (r#"{"v":1,"op":"stop"}"#, "needs a \"job\""),
        ] {
            let text = parse(line.as_bytes()).unwrap_err();
            assert!(text.contains(word), "{line}: {text}");
        }
        assert!(parse(&[0xff, 0xfe, 0]).is_err());
        let deep = "[".repeat(LONGEST);
        assert!(parse(deep.as_bytes()).is_err());
    }

    #[test]
    fn a_reply_is_one_line_and_says_only_what_there_is_to_say() {
        let line = Reply::refused(69, "two\nlines").line();
        assert_eq!(
            line,
            b"{\"v\":1,\"ok\":false,\"code\":69,\"error\":\"two\\nlines\"}\n"
        );
        let line = Reply::done(Done::NotRunning).line();
        assert_eq!(line, b"{\"v\":1,\"ok\":true,\"result\":\"not_running\"}\n");
    }
}
