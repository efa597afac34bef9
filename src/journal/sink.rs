//! What the log thread does with a note: to journald through tracing, to standard error as a line.
//!
//! The only place that speaks to tracing. Invariants: events carry all their fields themselves (a
//! field of a span and of its event would appear twice), the prefix is off (else `MESSAGE_ID` is
//! none), and the subscriber is set round each event only, never for the process.

use std::io;

use tracing::{Dispatch, dispatcher};
use tracing_subscriber::layer::SubscriberExt as _;

use super::kind::Level;
use super::line::{Out, line};
use super::render::{Record, render};
use super::route::{
    Context, Route, SOCKET, Speaker, Stderr, Surroundings, Verbosity, route, takes,
};
use crate::core::note::Note;

/// Which mount gives a container the host's journal. The folder, not the socket: a mounted socket
/// file stays the old one when the host makes a new one.
const MOUNT: &str = "-v /run/systemd/journal:/run/systemd/journal:ro";

/// Both ways out, as they were found to be open.
pub(super) struct Sink<'a> {
    context: &'a Context,
    out: &'a Out,
    route: Route,
    /// Set where the journal answered.
    journal: Option<Dispatch>,
    /// Whether standard error is read by journald.
    prefixed: bool,
}

impl<'a> Sink<'a> {
    /// Opens the ways that `around` promises, and says once if there is no journal. Blocks where
    /// journald does not read.
    pub(super) fn open(
        context: &'a Context,
        verbosity: Verbosity,
        around: Surroundings,
        out: &'a Out,
    ) -> Self {
        let mut sink = Sink {
            context,
            out,
            route: route(context.speaker, verbosity, around),
            journal: None,
            prefixed: around.stderr == Stderr::Journal,
        };
        let why = if around.socket {
            match journald() {
                Ok(dispatch) => {
                    sink.journal = Some(dispatch);
                    return sink;
                }
                Err(error) => format!("failed to send to {SOCKET:?}: {error}"),
            }
        } else {
            format!("in a container, mount the host's with {MOUNT:?}")
        };
        let without = Surroundings {
            socket: false,
            ..around
        };
        sink.route = route(context.speaker, verbosity, without);
        if context.speaker != Speaker::InitRun {
            sink.put(&Note::NoJournal { text: why });
        }
        sink
    }

    /// Writes a note wherever its level goes. Blocks as long as nobody reads.
    pub(super) fn put(&self, note: &Note) {
        let record = render(note, self.context);
        if let Some(journal) = &self.journal
            && takes(self.route.journal, record.level)
        {
            dispatcher::with_default(journal, || emit(&record));
        }
        if takes(self.route.stderr, record.level) {
            self.out.put(&line(&record, self.prefixed));
        }
    }
}

/// The journal, if its socket takes a datagram.
fn journald() -> io::Result<Dispatch> {
    let layer = tracing_journald::layer()?
        .with_field_prefix(None)
        .with_syslog_identifier("lockkeeper".into());
    Ok(Dispatch::new(tracing_subscriber::registry().with(layer)))
}

/// One tracing event with every field of the record; `None` is not recorded.
fn emit(record: &Record<'_>) {
    // The level of an event is a constant of its call site: hence one site for each.
    macro_rules! event {
        ($level:ident) => {{
            let fields = &record.fields;
            tracing::event!(
                target: "lockkeeper",
                tracing::Level::$level,
                message_id = record.id.0,
                container_name = fields.container_name,
                job = fields.job,
                job_class = fields.job_class,
                run_id = fields.run_id,
                job_pid = fields.job_pid,
                lock = fields.lock.as_deref(),
                holder = fields.holder,
                waited_ms = fields.waited_ms,
                held_ms = fields.held_ms,
                grace_ms = fields.grace_ms,
                late_ms = fields.late_ms,
                reason = fields.reason,
                exit_code = fields.exit_code,
                signal = fields.signal.as_deref(),
                errno = fields.errno,
                command = fields.command.as_deref(),
                step = fields.step,
                directory = fields.directory.as_deref(),
                claim = fields.claim.as_deref(),
                pids = fields.pids.as_deref(),
                count = fields.count,
                session_id = fields.session_id,
                cost_usd = fields.cost_usd,
                turns = fields.turns,
                message = &*record.message(),
            );
        }};
    }
    match record.level {
        Level::Error => event!(ERROR),
        Level::Warning => event!(WARN),
        Level::Info => event!(INFO),
        Level::Debug => event!(DEBUG),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::final_line::AgentResult;
    use crate::core::outcome::{Outcome, Reason, Status};
    use std::collections::BTreeMap;
    use std::fmt::Debug;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;
    use tracing::field::{Field, Visit};
    use tracing_subscriber::Layer;
    use tracing_subscriber::layer::Context as LayerContext;

    type Seen = Vec<(String, String)>;

    /// Keeps what a layer is given: what tracing-journald would turn into fields.
    #[derive(Clone, Default)]
    struct Capture(Arc<Mutex<Seen>>);

    struct Fields<'a>(&'a mut Seen);

    impl Visit for Fields<'_> {
        fn record_str(&mut self, field: &Field, value: &str) {
            self.0.push((field.name().into(), value.into()));
        }
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            self.0.push((field.name().into(), format!("{value:?}")));
        }
    }

    impl<S: tracing::Subscriber> Layer<S> for Capture {
        fn on_event(&self, event: &tracing::Event<'_>, _: LayerContext<'_, S>) {
            let mut seen = self.0.lock().unwrap();
            seen.push(("level".into(), event.metadata().level().to_string()));
            event.record(&mut Fields(&mut seen));
        }
    }

    fn events_of(note: &Note, context: &Context) -> Seen {
        let capture = Capture::default();
        let dispatch = Dispatch::new(tracing_subscriber::registry().with(capture.clone()));
        dispatcher::with_default(&dispatch, || emit(&render(note, context)));
        capture.0.lock().unwrap().clone()
    }

    fn context() -> Context {
        Context {
            container_name: Some("agents-1".into()),
            job: Some("dev".into()),
            class: Some("batch".into()),
            run_id: Some("r1".into()),
            speaker: Speaker::InitRun,
            secrets: Arc::default(),
        }
    }

    #[test]
    fn an_event_has_each_field_once_and_none_that_is_unknown() {
        let note = Note::Ended(
            Outcome {
                code: 124,
                reason: Reason::Timeout,
                status: Some(Status::Killed(9)),
                waited: Duration::from_millis(1500),
                held: Duration::from_hours(2),
                ran: Duration::from_hours(2),
            },
            AgentResult::default(),
        );
        let seen = events_of(&note, &context());
        let once: BTreeMap<&str, &str> = seen
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(once.len(), seen.len(), "a field is there twice: {seen:?}");
        let (id, _) = super::super::kind::kind(&note);
        let expected = BTreeMap::from([
            ("level", "WARN"),
            ("message_id", id.0),
            ("message", "job dev: ended by timeout after 2h (exit 124)"),
            ("container_name", "agents-1"),
            ("job", "dev"),
            ("job_class", "batch"),
            ("run_id", "r1"),
            ("reason", "timeout"),
            ("exit_code", "124"),
            ("signal", "SIGKILL"),
            ("waited_ms", "1500"),
            ("held_ms", "7200000"),
        ]);
        assert_eq!(once, expected);
    }

    #[test]
    fn a_note_that_names_its_job_replaces_that_of_the_process() {
        let note = Note::RunStarting {
            job: "chat".into(),
            run_id: "r2".into(),
        };
        let seen = events_of(&note, &context());
        let jobs: Vec<_> = seen.iter().filter(|(name, _)| name == "job").collect();
        assert_eq!(jobs, [&("job".to_owned(), "chat".to_owned())]);
    }
}
