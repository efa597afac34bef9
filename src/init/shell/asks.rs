//! Those who ask: from a request at the control socket to an event for the table or a reading of the
//! file, and from what comes of it to a reply.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Shell;
use crate::config::load;
use crate::config::plan::{InitPlan, Plan};
use crate::config::report::Finding;
use crate::core::mask::Secrets;
use crate::core::note::Note;
use crate::core::table::{Answer, Ask, ClientId, Event};
use crate::core::time::Time;
use crate::exit;
use crate::init::control::server::{Control, NOBODY};
use crate::init::control::words::{Asked, Changes, Done, Init, Reply};
use crate::init::control::{health, place};
use crate::init::crash;
use crate::init::guards::Guard;
use crate::init::hook::Hook;
use crate::init::outer::Outer;
use crate::init::reload::{Content, Reader, Wish};
use crate::journal::route;
use crate::run::secrets;
use crate::sys::{clock, process};

/// The wish of whoever sent HUP, and waits for no answer.
pub(super) const HUP: Wish = Wish {
    client: NOBODY,
    dry_run: false,
};

/// Listens at the socket that is named, or else at our own among the claims in `runtime`.
pub(super) fn listen(named: Option<PathBuf>, runtime: Option<&Path>) -> Result<Control, String> {
    let path = named.or_else(|| runtime.map(place::own));
    let path = path.ok_or(
        "there is no folder for a control socket: make /run or /dev/shm writable, or name a socket \
         with --socket",
    )?;
    Control::open(&path)
}

impl Shell {
    pub(super) fn next_deadline(&mut self, now: Time) -> Option<Time> {
        let control = self.control.as_mut();
        let of_control = control.and_then(|control| control.next_deadline(now));
        let of_reader = self.reader.as_ref().and_then(Reader::next_deadline);
        let outer = self.outer.as_ref().and_then(Outer::next_deadline);
        let hook = self.hook.as_ref().and_then(Hook::next_deadline);
        let all = [
            self.table.next_deadline(),
            of_control,
            of_reader,
            outer,
            hook,
        ];
        all.into_iter().flatten().min()
    }

    /// Serves those who ask, if something `came` or a time is over.
    pub(super) fn listen(&mut self, came: bool) {
        let now = clock::now();
        if let Some(control) = &mut self.control
            && (came || control.next_deadline(now).is_some_and(|due| due <= now))
        {
            control.go_on(now);
            for (number, asked) in control.requests(now) {
                self.serve(number, asked);
            }
        }
        let reader = self.reader.as_mut();
        if let Some((wishes, content)) = reader.and_then(|reader| reader.expire(now)) {
            self.was_read(&wishes, content);
        }
    }

    fn serve(&mut self, number: u64, asked: Asked) {
        let client = ClientId(number);
        let now = clock::now();
        match asked {
            Asked::Hello => {
                let init = Some(self.who());
                self.reply(
                    number,
                    &Reply {
                        init,
                        ..Reply::ok()
                    },
                );
            }
            Asked::Start(job) => self.ask(client, Ask::Start(job)),
            Asked::Restart(job) => self.ask(client, Ask::Restart(job)),
            Asked::Stop { job, wait } => {
                self.ask(client, Ask::Stop(job));
                // Still unanswered: it was told to stop. The later answer finds nobody.
                if !wait {
                    self.reply(number, &Reply::done(Done::Stopping));
                }
            }
            Asked::Reload { dry_run } => self.read_file(Wish {
                client: number,
                dry_run,
            }),
            Asked::Health(job) => {
                let rows = self.table.view(now);
                let going = self.table.is_going();
                let awaited = |name: &str| self.awaits_ready(name);
                let reply = match health::problems(&rows, job.as_deref(), going, awaited) {
                    Some(problems) => Reply {
                        healthy: Some(problems.is_empty()),
                        problems: Some(problems),
                        ..Reply::ok()
                    },
                    None => no_such_job(None),
                };
                self.reply(number, &reply);
            }
            Asked::Status { seen } if seen == Some(self.seen) => {
                // Those that have hung up are nobody's.
                let control = self.control.as_ref();
                self.watchers
                    .retain(|(number, _)| control.is_some_and(|control| control.awaits(*number)));
                self.watchers.push((number, self.seen));
            }
            Asked::Status { .. } => self.reply(number, &self.standing(now)),
        }
    }

    fn standing(&self, now: Time) -> Reply {
        Reply {
            init: Some(self.who()),
            jobs: Some(self.table.view(now)),
            seen: Some(self.seen),
            ..Reply::ok()
        }
    }

    /// Answers those who wait for something to happen, once a turn of the loop.
    pub(super) fn tell_watchers(&mut self) {
        let now = self.seen;
        let due: Vec<(u64, u64)> = self
            .watchers
            .extract_if(.., |(_, seen)| *seen != now)
            .collect();
        if due.is_empty() {
            return;
        }
        let reply = self.standing(clock::now());
        for (number, _) in due {
            self.reply(number, &reply);
        }
    }

    fn who(&self) -> Init {
        Init {
            pid: process::own_pid(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            name: self.table.init().name.clone(),
            stopping: !self.table.is_going(),
        }
    }

    /// Whether a run of that job has to say that it is ready.
    fn awaits_ready(&self, name: &str) -> bool {
        let plan = self.table.find(name).and_then(|job| self.table.plan(job));
        plan.is_some_and(|plan| plan.run.limits.ready_timeout.is_some())
    }

    fn ask(&mut self, client: ClientId, ask: Ask) {
        self.step(Event::Asked { client, ask });
    }

    pub(super) fn answer(&mut self, client: ClientId, answer: Answer) {
        let ending = || Reply::refused(exit::UNAVAILABLE, "init is about to end");
        let reply = match answer {
            Answer::Started { run_id } => Reply {
                run_id: Some(run_id),
                ..Reply::done(Done::Started)
            },
            Answer::Running { run_id } => Reply {
                run_id: Some(run_id),
                ..Reply::done(Done::Running)
            },
            Answer::Queued { before } => Reply {
                before: Some(before),
                ..Reply::done(Done::Queued)
            },
            Answer::Stopped { code, reason } => Reply {
                exit: Some(code),
                reason: reason.map(|reason| reason.word().to_owned()),
                ..Reply::done(Done::Stopped)
            },
            Answer::NotRunning => Reply::done(Done::NotRunning),
            Answer::NoSuchJob { near } => no_such_job(near),
            Answer::Ending => ending(),
            Answer::Refused { text } => Reply::refused(exit::UNAVAILABLE, text),
        };
        self.reply(client.0, &reply);
    }

    fn reply(&mut self, number: u64, reply: &Reply) {
        if let Some(control) = &mut self.control {
            control.answer(number, reply, clock::now());
        }
    }

    pub(super) fn read_file(&mut self, wish: Wish) {
        if !self.table.is_going() {
            self.reply(
                wish.client,
                &Reply::refused(exit::UNAVAILABLE, "init is about to end"),
            );
            return;
        }
        let Some(reader) = &mut self.reader else {
            let text =
                "init was started with a command and without a file: there is nothing to read";
            self.reply(wish.client, &Reply::refused(exit::UNAVAILABLE, text));
            return;
        };
        let control = self.control.as_ref();
        let wanted = |wish: &Wish| {
            wish.client == NOBODY || control.is_some_and(|control| control.awaits(wish.client))
        };
        self.reloads += u64::from(!wish.dry_run);
        let now = clock::now();
        if let Some((wishes, content)) = reader.read(&self.guards.program, wish, wanted, now) {
            self.was_read(&wishes, content);
        }
    }

    /// The file was read for all of `wishes`: those who only ask are told first.
    pub(super) fn was_read(&mut self, wishes: &[Wish], content: Content) {
        if !self.table.is_going() {
            let refused = Reply::refused(exit::UNAVAILABLE, "init is about to end");
            self.reply_all(wishes, &refused);
            // Nothing is read for those who have come meanwhile.
            let others = self.reader.as_mut().map(Reader::give_up);
            self.reply_all(&others.unwrap_or_default(), &refused);
            return;
        }
        let (ask, want): (Vec<Wish>, Vec<Wish>) = wishes.iter().partition(|wish| wish.dry_run);
        let reply = match content {
            Content::Valid { name, bytes } => {
                let loaded = match load::parse_here(&name, &bytes) {
                    Ok(loaded) => loaded,
                    Err(problems) => {
                        let text = problems.to_string();
                        return self.was_read(wishes, Content::Failed { text });
                    }
                };
                let warnings: Vec<String> = loaded.warnings.iter().map(Finding::one_line).collect();
                let plan = loaded.plan;
                let reply = |done| Reply {
                    diff: Some(self.changes(&plan)),
                    warnings: Some(warnings.clone()),
                    ..Reply::done(done)
                };
                let (would, did) = (reply(Done::WouldReload), reply(Done::Reloaded));
                self.reply_all(&ask, &would);
                if !want.is_empty() {
                    self.take(plan, warnings);
                }
                did
            }
            Content::Errors {
                report,
                first,
                count,
            } => {
                if !want.is_empty() {
                    let (text, errors) = (first.clone(), count);
                    self.journal.note(Note::ReloadRefused { text, errors });
                }
                let reply = Reply {
                    report: Some(report),
                    ..Reply::refused(exit::CONFIG, first)
                };
                self.reply_all(&ask, &reply);
                reply
            }
            Content::Failed { text } => {
                if !want.is_empty() {
                    let (text, errors) = (text.clone(), 1);
                    self.journal.note(Note::ReloadRefused { text, errors });
                }
                let reply = Reply::refused(exit::UNAVAILABLE, text);
                self.reply_all(&ask, &reply);
                reply
            }
        };
        self.reply_all(&want, &reply);
        let now = clock::now();
        let reader = self.reader.as_mut();
        if let Some((wishes, content)) =
            reader.and_then(|reader| reader.go_on(&self.guards.program, now))
        {
            self.was_read(&wishes, content);
        }
    }

    fn reply_all(&mut self, wishes: &[Wish], reply: &Reply) {
        for wish in wishes {
            self.reply(wish.client, reply);
        }
    }

    fn changes(&self, plan: &Plan) -> Changes {
        let diff = self.table.difference(plan);
        Changes {
            added: diff.added,
            removed: diff.removed,
            changed: diff.changed,
            init: changed_keys(self.table.init(), &plan.init),
        }
    }

    /// From here on this plan is in force.
    fn take(&mut self, plan: Plan, warnings: Vec<String>) {
        let init = plan.init.clone();
        let format = route::format(init.log);
        self.guards.container = Some(init.name.clone());
        self.guards.stop_within = init.stop_within;
        crash::prepare(init.stop_within);
        self.guards.format = format;
        // A run that is going may still have secrets that the new plan does not name, nor the one before.
        let of_plan = plan.jobs.iter().flat_map(|job| secrets::values(&job.run));
        let of_runs = self.running.iter().flat_map(Guard::secrets).cloned();
        let mut all: Vec<Vec<u8>> = Vec::new();
        for value in of_plan.chain(of_runs) {
            if !all.contains(&value) {
                all.push(value);
            }
        }
        let secrets = Arc::new(Secrets::new(all));
        self.journal.know(|context| {
            context.container_name = Some(init.name);
            context.format = format;
            context.secrets = secrets;
        });
        self.take_hook(init.on_event);
        for text in warnings {
            self.journal.note(Note::ConfigWarning { text });
        }
        self.step(Event::Reload { plan });
    }
}

fn no_such_job(near: Option<String>) -> Reply {
    let near = near.map_or_else(
        || "\"lockkeeper status\" shows them".to_owned(),
        |near| format!("did you mean \"{near}\"?"),
    );
    Reply::refused(
        exit::CONFIG,
        format!("init has no job of this name; {near}"),
    )
}

/// The names of the keys under `[init]` that differ, as the file writes them.
fn changed_keys(old: &InitPlan, new: &InitPlan) -> Vec<String> {
    let keys = [
        ("name", old.name != new.name),
        ("stop_within", old.stop_within != new.stop_within),
        ("stay", old.stay != new.stay),
        ("log", old.log != new.log),
        ("signals", old.signals != new.signals),
        ("on_event", old.on_event != new.on_event),
    ];
    let differ = keys.iter().filter(|(_, differs)| *differs);
    differ.map(|(key, _)| (*key).to_owned()).collect()
}
