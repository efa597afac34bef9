//! What the log thread does with a note: to journald through tracing, to standard error as a line.
//!
//! The only place that speaks to tracing. Invariants: events carry all their fields themselves (a
//! field of a span and of its event would appear twice), the prefix is off (else `MESSAGE_ID` is
//! none), and the subscriber is set round each event only, never for the process.
//!
//! A journal that was there and takes nothing any more (journald ended, its socket was removed) is
//! tried anew with every note. Until it is back, notes go where they would go without one; those
//! that nobody would see there are counted, and the count is the first thing that the journal hears.

use std::io;
use std::sync::Arc;

use nix::errno::Errno;
use tracing::{Dispatch, dispatcher, field};
use tracing_subscriber::layer::SubscriberExt as _;

use super::fields::each_field;
use super::kind::Level;
use super::line::{Out, line};
use super::render::{Record, render};
use super::route::{Context, Route, SOCKET, Speaker, Surroundings, Verbosity, takes};
use super::spanless::Spanless;
use crate::core::note::Note;
use crate::trouble;

/// Which mount gives a container the host's journal. The folder, not the socket: a mounted socket
/// file stays the old one when the host makes a new one.
const MOUNT: &str = "-v /run/systemd/journal:/run/systemd/journal:ro";

/// Both ways out.
pub(super) struct Sink<'a> {
    context: Arc<Context>,
    out: &'a Out,
    around: Surroundings,
    /// The way as it should be, and the way while the journal takes nothing.
    route: Route,
    without: Route,
    /// Set once the journal has answered.
    journal: Option<Dispatch>,
    /// It was said that the journal takes nothing.
    away: bool,
    /// Notes that nobody has seen, and that nobody was told of.
    lost: u64,
}

impl<'a> Sink<'a> {
    /// Says once if there is no journal.
    pub(super) fn open(
        context: Arc<Context>,
        verbosity: Verbosity,
        around: Surroundings,
        out: &'a Out,
    ) -> Self {
        let speaker = context.speaker;
        let mut sink = Sink {
            context,
            out,
            around,
            route: around.route(speaker, verbosity),
            without: around.without_journal().route(speaker, verbosity),
            journal: None,
            away: false,
            lost: 0,
        };
        if !around.socket && speaker != Speaker::InitRun {
            sink.put(&Note::NoJournal {
                text: format!("in a container, mount the host's with {MOUNT:?}"),
            });
        }
        sink
    }

    /// What is known of the process from here on.
    pub(super) fn know(&mut self, context: Arc<Context>) {
        self.context = context;
    }

    /// Writes a note wherever its level goes. Blocks as long as nobody reads; a journal that stalls
    /// does not keep the same note from standard error, if that takes it at once.
    pub(super) fn put(&mut self, note: &Note) {
        let context = Arc::clone(&self.context);
        let record = render(note, &context);
        let here = takes(self.route.stderr, record.heard);
        let said = here && self.out.put_at_once(&self.line(&record));
        if takes(self.route.journal, record.level) {
            match self.send(&record) {
                Ok(()) => self.is_back(),
                Err(error) => self.is_away(&error, &record, here),
            }
        }
        if here && !said {
            self.out.put(&self.line(&record));
        }
    }

    /// Sends to the journal. tracing-journald tells nobody that it could not; but what it calls last
    /// then is a system call that fails, and no call that succeeds sets the error number to zero
    /// (errno(3)). A record that is too long for a datagram goes again as a memfd, and was sent if
    /// nothing but the first attempt has failed.
    fn send(&mut self, record: &Record<'_>) -> io::Result<()> {
        let journal = match self.journal.take() {
            Some(journal) => journal,
            None => journald()?,
        };
        Errno::clear();
        dispatcher::with_default(&journal, || emit(record));
        let errno = Errno::last_raw();
        self.journal = Some(journal);
        match errno {
            0 | libc::EMSGSIZE => Ok(()),
            errno => Err(io::Error::from_raw_os_error(errno)),
        }
    }

    fn is_back(&mut self) {
        self.away = false;
        let count = std::mem::take(&mut self.lost);
        let lost = Note::NotesLost { count };
        let context = Arc::clone(&self.context);
        if count > 0 && self.send(&render(&lost, &context)).is_err() {
            self.lost = count;
        }
    }

    fn is_away(&mut self, error: &io::Error, record: &Record<'_>, here: bool) {
        if !std::mem::replace(&mut self.away, true) {
            let why = trouble::text_of(error);
            let text = format!(
                "failed to send to {SOCKET:?}: {why}; see that systemd-journald runs, and in a \
                 container that the folder is mounted, not the socket: {MOUNT}"
            );
            let note = Note::NoJournal { text };
            let record = render(&note, &self.context);
            if takes(self.without.stderr, record.heard) {
                self.out.put(&self.line(&record));
            }
        }
        if here {
            return;
        }
        if takes(self.without.stderr, record.heard) {
            self.out.put(&self.line(record));
        } else {
            self.lost = self.lost.saturating_add(1);
        }
    }

    fn line(&self, record: &Record<'_>) -> String {
        line(record, self.around, self.context.format)
    }
}

/// The journal, if its socket takes a datagram.
fn journald() -> io::Result<Dispatch> {
    let layer = tracing_journald::layer()?
        .with_field_prefix(None)
        .with_syslog_identifier("lockkeeper".into());
    Ok(Dispatch::new(Spanless.with(layer)))
}

/// One tracing event with every field of the record; `None` is not recorded.
fn emit(record: &Record<'_>) {
    // The level of an event is a constant of its call site: hence one site for each.
    macro_rules! event {
        ([$level:ident] $($(#[$doc:meta])* $name:ident: $kind:ty,)+) => {
            tracing::event!(
                target: "lockkeeper",
                tracing::Level::$level,
                message_id = record.id.0,
                $($name = record.fields.$name.as_ref().map(field::display),)+
                message = &*record.message(),
            )
        };
    }
    match record.level {
        Level::Error => each_field!(event ERROR),
        Level::Warning => each_field!(event WARN),
        Level::Info => each_field!(event INFO),
        Level::Debug => each_field!(event DEBUG),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::final_line::AgentResult;
    use crate::core::outcome::{Outcome, Reason, Status};
    use crate::journal::route::Format;
    use std::collections::BTreeMap;
    use std::fmt::Debug;
    use std::sync::Mutex;
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
        let dispatch = Dispatch::new(Spanless.with(capture.clone()));
        dispatcher::with_default(&dispatch, || emit(&render(note, context)));
        capture.0.lock().unwrap().clone()
    }

    fn context() -> Context {
        Context {
            container_name: Some("agents-1".into()),
            job: Some("dev".into()),
            class: Some("batch".into()),
            run_id: Some("r1".into()),
            file: None,
            speaker: Speaker::InitRun,
            format: Format::Text,
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
            ("invocation_id", "r1r1"),
            ("run_code", "124"),
            ("exit_code", "killed"),
            ("exit_status", "9"),
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
