//! From the sheets of a file to its plan: jobs inherit from classes, classes find their locks.
//!
//! A job's scalar or list replaces its class's, key by key also inside `final` and `stop`; `env` is
//! merged. Kind, identity and lock are the class's alone: who takes turns with whom must be read in
//! one place.
//!
//! Where something is wrong that has been said, the plan is filled with what is left and never used.

use std::collections::BTreeSet;
use std::path::Path;

use super::findings::Findings;
use super::nearest::nearest;
use super::plan::{
    ClassPlan, DEFAULT_FINAL_GRACE, DEFAULT_REFRESH, DEFAULT_STALE_AFTER, DEFAULT_STOP_WITHIN,
    DEFAULT_WAIT, Every, FinalLine, Format, Identity, InitPlan, JobPlan, Kind, LOCK_NAME, LockPlan,
    OnConflict, RestartPlan, SharedMount, SignalMap, Start, Stdin, SweepPlan, Then, Wait, Want,
    When,
};
use super::process;
use super::report::shown;
use super::sheet::{File, Sheet};
use super::text::asks_nobody;

/// The keys about lock directories.
const SWEEP_KEYS: [&str; 4] = ["lock_dirs", "refresh", "stale_after", "exclusive"];
/// The classes that need no table.
const BUILT_IN: [&str; 2] = ["batch", "interactive"];

/// A class, and its table where it has one.
#[derive(Debug)]
pub(crate) struct Class<'f> {
    pub(crate) plan: ClassPlan,
    pub(crate) sheet: Option<&'f Sheet>,
}

/// A job, its table, and the place of its class among the classes.
#[derive(Debug)]
pub(crate) struct Job<'f> {
    pub(crate) plan: JobPlan,
    pub(crate) sheet: &'f Sheet,
}

/// What a file means.
#[derive(Debug)]
pub(crate) struct Resolved<'f> {
    pub(crate) init: InitPlan,
    pub(crate) classes: Vec<Class<'f>>,
    pub(crate) jobs: Vec<Job<'f>>,
}

/// What the file means, as far as it means anything.
pub(crate) fn resolve<'f>(
    file: &'f File,
    host_name: &str,
    findings: &mut Findings,
) -> Resolved<'f> {
    for lock in &file.locks {
        check_lock(lock, findings);
    }
    let mut classes: Vec<Class<'f>> = file
        .classes
        .iter()
        .map(|sheet| class(sheet, file, findings))
        .collect();
    for name in BUILT_IN {
        if !classes.iter().any(|class| class.plan.name == name) {
            let plan = built_in_class(name);
            classes.push(Class { plan, sheet: None });
        }
    }
    let mut jobs: Vec<Job<'f>> = file
        .jobs
        .iter()
        .filter_map(|sheet| job(sheet, &classes, findings))
        .collect();
    listen_to_awaited(&mut jobs);
    Resolved {
        init: init(file.init.as_ref(), host_name),
        classes,
        jobs,
    }
}

/// A job for whose readiness another one waits can say that it is ready.
fn listen_to_awaited(jobs: &mut [Job<'_>]) {
    let all = jobs.iter().flat_map(|job| &job.plan.after);
    let ready = all.filter(|after| after.want == Want::Ready);
    let awaited: BTreeSet<String> = ready.map(|after| after.job.clone()).collect();
    for job in jobs {
        job.plan.run.notify |= awaited.contains(&job.plan.run.job);
    }
}

/// The class of that name where no table refines it: `interactive`, or else batch.
pub(crate) fn built_in_class(name: &str) -> ClassPlan {
    let kind = match name {
        "interactive" => Kind::Interactive,
        _ => Kind::batch(None),
    };
    ClassPlan::new(name, kind)
}

fn init(sheet: Option<&Sheet>, host_name: &str) -> InitPlan {
    let text = sheet.and_then(|sheet| sheet.text("name"));
    let mut signals = SignalMap::default();
    if let Some(sheet) = sheet {
        add_signals(sheet, &mut signals);
    }
    InitPlan {
        name: text.unwrap_or(host_name).to_owned(),
        stop_within: sheet
            .and_then(|sheet| sheet.time("stop_within"))
            .unwrap_or(DEFAULT_STOP_WITHIN),
        stay: sheet.and_then(|sheet| sheet.flag("stay")).unwrap_or(false),
        log: sheet
            .and_then(|sheet| sheet.text("log"))
            .and_then(Format::of)
            .unwrap_or_default(),
        signals,
    }
}

fn check_lock(lock: &Sheet, findings: &mut Findings) {
    if !lock.has("path") {
        let message = format!("{} has no `path`", lock.title);
        let help = "name the lock file: path = \"/…/session.lock\"";
        findings.missing(&lock.span, message, help);
    }
    let ends_as_folder = |path: &Path| path.as_os_str().as_encoded_bytes().ends_with(b"/");
    if lock.path("path").is_some_and(|path| ends_as_folder(path)) {
        let message = "`path` names a folder, and a lock is a file";
        let help = format!("write the file's name behind it, such as {LOCK_NAME}");
        findings.error(lock.value_span("path"), message, help);
    }
}

fn class<'f>(sheet: &'f Sheet, file: &'f File, findings: &mut Findings) -> Class<'f> {
    let kind = kind(sheet, findings);
    let mut plan = ClassPlan::new(&sheet.name, kind.clone());
    plan.identity = sheet.identity("identity").cloned();
    plan.max_parallel = sheet.number("max_parallel");
    apply(sheet, &mut plan, findings);
    check_command_is_asked(sheet, &plan, findings);
    check_pty(sheet, &plan, findings);
    match kind {
        Kind::Interactive => refuse_lock_keys(sheet, findings),
        Kind::Batch { .. } => {
            let mut lock = lock_of(sheet, plan.identity.as_ref(), file, findings);
            match &mut lock {
                Some(lock) => sweep_under(lock, sheet, plan.identity.as_ref(), findings),
                // A lock that is named and not there has been told.
                None if sheet.has("lock") => {}
                None => refuse_sweep_keys(sheet, findings),
            }
            plan.kind = Kind::batch(lock);
            let wait = sheet.limit("wait");
            conflicts(sheet, &mut plan.kind, wait);
        }
    }
    Class {
        plan,
        sheet: Some(sheet),
    }
}

/// Batch or interactive; a built-in class is what its name says.
fn kind(sheet: &Sheet, findings: &mut Findings) -> Kind {
    let said = sheet.text("kind");
    let built_in = BUILT_IN.into_iter().find(|name| *name == sheet.name);
    match (built_in, said) {
        (Some(name), Some(other)) if name != other => {
            let message = format!("the class `{name}` is built in, and its kind is {name}");
            let help = "take `kind` out, or give the class a name of its own";
            findings.error(sheet.value_span("kind"), message, help);
        }
        (None, None) if !sheet.has("kind") => {
            let message = format!("{} does not say its kind", sheet.title);
            let help = "write kind = \"batch\" if its jobs take turns on a lock, \
                        kind = \"interactive\" if somebody waits at them";
            findings.missing(&sheet.span, message, help);
        }
        _ => {}
    }
    match built_in.or(said) {
        Some("interactive") => Kind::Interactive,
        _ => Kind::batch(None),
    }
}

fn refuse_lock_keys(sheet: &Sheet, findings: &mut Findings) {
    refuse_to_wait(sheet, findings);
    for key in ["lock", "wait", "shared_mount"]
        .into_iter()
        .chain(SWEEP_KEYS)
    {
        if let Some(span) = sheet.key_span(key) {
            let message = format!(
                "`{key}` in {}: an interactive class never takes a lock",
                sheet.title
            );
            let help = if key == "lock" && sheet.has("kind") {
                "take it out, or write kind = \"batch\" if its jobs can wait"
            } else {
                "take it out; jobs that can wait belong in a batch class"
            };
            findings.error(span, message, help);
        }
    }
}

/// By type an interactive run fails where a directory is locked: somebody waits at it.
fn refuse_to_wait(sheet: &Sheet, findings: &mut Findings) {
    if sheet.text("on_conflict") == Some("wait") {
        let message = format!(
            "`on_conflict` in {}: an interactive run never waits for a directory",
            sheet.title
        );
        let help = "take it out: it fails at once and says who has the directory";
        findings.error(sheet.value_span("on_conflict"), message, help);
    }
}

/// What a batch kind does where a directory is locked; `wait`: what this table or the one above it
/// says of the time, where no lock does.
fn conflicts(sheet: &Sheet, kind: &mut Kind, wait: Option<Wait>) {
    let Kind::Batch { lock, on_conflict } = kind else {
        return;
    };
    let wait = lock.as_ref().map(|lock| lock.wait).or(wait);
    let wait = wait.unwrap_or(Wait::AtMost(DEFAULT_WAIT));
    match (sheet.text("on_conflict"), &on_conflict) {
        (Some("fail"), _) => *on_conflict = OnConflict::Fail,
        (Some(_), _) | (None, OnConflict::Wait(_)) => *on_conflict = OnConflict::Wait(wait),
        (None, OnConflict::Fail) => {}
    }
}

/// The lock of a batch class: the named one, else the identity's own.
fn lock_of(
    sheet: &Sheet,
    identity: Option<&Identity>,
    file: &File,
    findings: &mut Findings,
) -> Option<LockPlan> {
    let wait = |sheet: &Sheet| sheet.limit("wait");
    let Some(name) = sheet.text("lock") else {
        let Some(Identity::Folder(folder)) = identity else {
            return None;
        };
        return Some(LockPlan {
            path: folder.join(LOCK_NAME),
            shared_mount: shared_mount(sheet),
            wait: wait(sheet).unwrap_or(Wait::AtMost(DEFAULT_WAIT)),
            sweep: None,
            pause: None,
        });
    };
    if let Some(span) = sheet.key_span("shared_mount") {
        let message = "`shared_mount` beside `lock`: the place is the lock's business";
        let help = format!("write it in [locks.{}]", shown(sheet.as_written("lock")));
        findings.error(span, message, help);
    }
    let Some(lock) = file.locks.iter().find(|lock| lock.name == name) else {
        let known = file.locks.iter().map(|lock| lock.name.as_str());
        unknown(sheet, "lock", known, findings);
        return None;
    };
    Some(LockPlan {
        path: lock.path("path").cloned().unwrap_or_default(),
        shared_mount: shared_mount(lock),
        wait: wait(sheet)
            .or_else(|| wait(lock))
            .unwrap_or(Wait::AtMost(DEFAULT_WAIT)),
        sweep: None,
        pause: None,
    })
}

/// What is swept while `lock` is held: the directories that are listed, else the identity's own.
fn sweep_under(
    lock: &mut LockPlan,
    sheet: &Sheet,
    identity: Option<&Identity>,
    findings: &mut Findings,
) {
    let dirs = match (sheet.paths("lock_dirs"), identity) {
        (Some(listed), _) => listed.to_vec(),
        (None, Some(Identity::Folder(folder))) => SweepPlan::dirs_of(folder),
        (None, _) => Vec::new(),
    };
    if dirs.is_empty() {
        for key in ["refresh", "stale_after", "exclusive"] {
            if let Some(span) = sheet.key_span(key).filter(|_| !sheet.has("lock_dirs")) {
                let message = format!("`{key}` in {}, which has no lock directories", sheet.title);
                let help = "they follow from identity = \"/…\", or write lock_dirs = [\"/…\"]; \
                            else take it out";
                findings.missing(span, message, help);
            }
        }
        return;
    }
    if dirs.contains(&lock.path) {
        let message = "`lock_dirs` names the lock itself, which is a file and stays for ever";
        findings.error(sheet.value_span("lock_dirs"), message, "take it out");
    }
    let refresh = sheet.time("refresh").unwrap_or(DEFAULT_REFRESH);
    let stale_after = sheet.time("stale_after").unwrap_or(DEFAULT_STALE_AFTER);
    if stale_after <= refresh {
        let key = if sheet.has("stale_after") {
            "stale_after"
        } else {
            "refresh"
        };
        let message = "`stale_after` must be longer than `refresh`";
        let help = "an owner who is silent for `refresh` may still live; \
                    after `stale_after` all who use the library take him for dead";
        findings.error(sheet.value_span(key), message, help);
    }
    lock.sweep = Some(SweepPlan {
        dirs,
        refresh,
        stale_after,
        exclusive: sheet.flag("exclusive").unwrap_or(false),
    });
}

fn refuse_sweep_keys(sheet: &Sheet, findings: &mut Findings) {
    for key in SWEEP_KEYS {
        if let Some(span) = sheet.key_span(key) {
            let message = format!("`{key}` in {}, whose jobs take no turns", sheet.title);
            let help = "lock directories are cleared while the lock is held: \
                        write identity = \"/…\" or lock = \"NAME\", or take it out";
            findings.missing(span, message, help);
        }
    }
}

fn shared_mount(sheet: &Sheet) -> SharedMount {
    match sheet.text("shared_mount") {
        Some("require") => SharedMount::Require,
        Some("off") => SharedMount::Off,
        _ => SharedMount::Auto,
    }
}

/// A class or lock that no table names.
fn unknown<'a>(
    sheet: &Sheet,
    what: &str,
    known: impl Iterator<Item = &'a str>,
    findings: &mut Findings,
) {
    let name = shown(sheet.as_written(what));
    let help = match (nearest(&name, known), what) {
        (Some(near), _) => format!("did you mean \"{near}\"?"),
        (None, "lock") if name.contains('/') => {
            format!(
                "a class names its lock: write [locks.NAME] with path = \"{name}\" and lock = \"NAME\""
            )
        }
        (None, "lock") => format!("write a table [locks.{name}] with its path"),
        (None, _) => {
            format!(
                "write a table [classes.{name}] with its kind, or use \"batch\" or \"interactive\""
            )
        }
    };
    let message = format!("there is no {what} \"{name}\"");
    findings.missing(sheet.value_span(what), message, help);
}

/// What both a class and a job may say.
fn apply(sheet: &Sheet, plan: &mut ClassPlan, findings: &mut Findings) {
    // "forever" takes a class's limit away again.
    if sheet.limit("timeout").is_some() {
        plan.limits.timeout = sheet.time("timeout");
    }
    if sheet.limit("idle_timeout").is_some() {
        plan.limits.idle_timeout = sheet.time("idle_timeout");
    }
    if sheet.limit("heartbeat").is_some() {
        plan.limits.heartbeat = sheet.time("heartbeat");
    }
    if sheet.limit("ready_timeout").is_some() {
        plan.limits.ready_timeout = sheet.time("ready_timeout");
    }
    plan.notify = sheet.flag("notify").unwrap_or(plan.notify);
    if let Some(inner) = sheet.sheet("final") {
        plan.limits.final_line = final_line(inner, plan.limits.final_line.as_ref(), findings);
    }
    if let Some(inner) = sheet.sheet("stop") {
        let stop = &mut plan.stop;
        stop.signal = inner.signal("signal").unwrap_or(stop.signal);
        stop.grace = inner.time("grace").unwrap_or(stop.grace);
        stop.leftover_grace = inner.time("leftover_grace").unwrap_or(stop.leftover_grace);
    }
    if let Some(dir) = sheet.path("dir") {
        plan.dir = Some(dir.clone());
    }
    if let Some(user) = sheet.text("user") {
        plan.user = Some(user.to_owned());
    }
    if let Some(group) = sheet.text("group") {
        plan.group = Some(group.to_owned());
    }
    if let Some((own, also)) = sheet.dir_lock("dir_lock") {
        plan.dirs.own = own;
        plan.dirs.also = also.to_vec();
    }
    if let Some(subtree) = sheet.flag("subtree") {
        plan.dirs.subtree = subtree;
    }
    match sheet.text("stdin") {
        Some("inherit") => plan.stdin = Some(Stdin::Inherit),
        Some("null") => plan.stdin = Some(Stdin::Null),
        _ => {}
    }
    add_signals(sheet, &mut plan.signals);
    pty(sheet, plan);
    output(sheet, plan);
    process::conditions(sheet, plan);
    process::environment(sheet, plan);
    process::attributes(sheet, &mut plan.process);
    restart(sheet, &mut plan.restart, findings);
}

/// A word says when; a table says more, and restarts failures where it does not say when.
fn restart(sheet: &Sheet, plan: &mut RestartPlan, findings: &mut Findings) {
    if let Some(when) = sheet.text("restart").and_then(When::of) {
        plan.when = when;
    }
    let Some(inner) = sheet.sheet("restart") else {
        return;
    };
    match inner.text("when").and_then(When::of) {
        Some(when) => plan.when = when,
        None if plan.when == When::Never => plan.when = When::OnFailure,
        None => {}
    }
    plan.delay = inner.time("delay").unwrap_or(plan.delay);
    plan.max_delay = inner.time("max_delay").unwrap_or(plan.max_delay);
    plan.reset_after = inner.time("reset_after").unwrap_or(plan.reset_after);
    plan.limit = inner.number("limit").or(plan.limit);
    plan.within = inner.time("within").or(plan.within);
    match inner.text("then") {
        Some("exit") => plan.then = Then::Exit,
        Some(_) => plan.then = Then::GiveUp,
        None => {}
    }
    if plan.max_delay < plan.delay {
        if inner.has("max_delay") || !inner.has("delay") {
            let message = "`max_delay` is shorter than `delay`";
            let help = "the first restart comes after `delay`, and none later than `max_delay`";
            findings.error(inner.value_span("max_delay"), message, help);
        }
        plan.max_delay = plan.delay;
    }
    for key in ["within", "then"] {
        if let (None, Some(span)) = (plan.limit, inner.key_span(key)) {
            let message = format!("`{key}` without `limit`: a job is restarted for ever");
            let help = "add limit = 5, or take it out";
            findings.missing(span, message, help);
        }
    }
}

fn add_signals(sheet: &Sheet, to: &mut SignalMap) {
    for rewrite in sheet.signals("signals") {
        to.say(rewrite.from, rewrite.to);
    }
}

fn pty(sheet: &Sheet, plan: &mut ClassPlan) {
    if let Some(wanted) = sheet.flag("pty") {
        plan.pty = wanted.then(|| plan.pty.unwrap_or_default());
    }
    let Some(inner) = sheet.sheet("pty") else {
        return;
    };
    let mut pty = plan.pty.unwrap_or_default();
    let length = |name| u16::try_from(inner.number(name)?).ok();
    pty.rows = length("rows").unwrap_or(pty.rows);
    pty.cols = length("cols").unwrap_or(pty.cols);
    pty.echo = inner.flag("echo").unwrap_or(pty.echo);
    plan.pty = Some(pty);
}

/// The first signal of a stop must reach the command, and be one that asks it to go.
fn check_command_is_asked(sheet: &Sheet, plan: &ClassPlan, findings: &mut Findings) {
    let rewrites = sheet.signals("signals");
    let rewrite = rewrites
        .iter()
        .find(|rewrite| rewrite.from == plan.stop.signal);
    let stop = sheet.sheet("stop").filter(|stop| stop.has("signal"));
    let span = match (rewrite, stop) {
        (Some(rewrite), _) => &rewrite.span,
        (None, Some(stop)) => stop.value_span("signal"),
        (None, None) => return,
    };
    match plan.signals.of(plan.stop.signal) {
        None => {
            let message = "`signals` drops the stop signal: the command would be killed unasked";
            let help = "name another with stop = { signal = \"INT\" }, or take it out; \
                        to kill without asking write stop = { grace = \"0s\" }";
            findings.error(span, message, help);
        }
        Some(to) => {
            if let Some(name) = asks_nobody(to).filter(|_| to != plan.stop.signal) {
                let message = format!("{name} in the place of the stop signal asks nobody to end");
                let help = "use one that commands end on: TERM, INT, HUP or QUIT";
                findings.error(span, message, help);
            }
        }
    }
}

/// Where somebody sits at a terminal, the command has that one.
fn check_pty(sheet: &Sheet, plan: &ClassPlan, findings: &mut Findings) {
    let said_here = sheet.key_span("pty").or_else(|| sheet.key_span("stdin"));
    let Some(span) = said_here.filter(|_| plan.pty.is_some()) else {
        return;
    };
    if plan.kind == Kind::Interactive && plan.stdin != Some(Stdin::Null) {
        let message = format!(
            "`pty` in {}: an interactive job has the terminal that lockkeeper was started at",
            sheet.title
        );
        let help = "take it out; for one at which nobody sits write stdin = \"null\" beside it";
        findings.error(span, message, help);
    }
}

fn output(sheet: &Sheet, plan: &mut ClassPlan) {
    let output = &mut plan.output;
    if let Some(to) = sheet.text("output") {
        output.journal = matches!(to, "journal" | "both");
        output.file = matches!(to, "file" | "both");
    }
    if let Some(dir) = sheet.path("log_dir") {
        output.log_dir.clone_from(dir);
    }
    output.log_size = sheet.number("log_size").unwrap_or(output.log_size);
    output.log_files = sheet.number("log_files").unwrap_or(output.log_files);
    if let Some(names) = sheet.names("redact") {
        output.redact = names.to_vec();
    }
}

fn final_line(
    sheet: &Sheet,
    inherited: Option<&FinalLine>,
    findings: &mut Findings,
) -> Option<FinalLine> {
    for key in ["line", "failed"] {
        if sheet.text(key).is_some_and(|text| text.contains('\n')) {
            let message = format!("`{key}` contains a line break, and is looked for in one line");
            findings.error(
                sheet.value_span(key),
                message,
                "write a text that stands in one line",
            );
        }
    }
    if inherited.is_none() && !sheet.has("line") {
        let message = format!("{} has no `line`", sheet.title);
        let help = "write what the final line contains: line = '\"type\":\"result\"'";
        findings.missing(&sheet.span, message, help);
    }
    let line = sheet
        .text("line")
        .or(inherited.map(|earlier| earlier.line.as_str()))?;
    let failed = sheet.text("failed").map(str::to_owned);
    Some(FinalLine {
        line: line.to_owned(),
        grace: sheet
            .time("grace")
            .or(inherited.map(|earlier| earlier.grace))
            .unwrap_or(DEFAULT_FINAL_GRACE),
        failed: failed.or_else(|| inherited.and_then(|earlier| earlier.failed.clone())),
    })
}

fn job<'f>(sheet: &'f Sheet, classes: &[Class<'f>], findings: &mut Findings) -> Option<Job<'f>> {
    for (key, help) in [
        (
            "class",
            "write class = \"batch\" if it can wait for its turn, class = \"interactive\" if somebody waits at it",
        ),
        ("command", "write command = [\"claude\", \"-p\", \"…\"]"),
    ] {
        if !sheet.has(key) {
            findings.missing(&sheet.span, format!("{} has no `{key}`", sheet.title), help);
        }
    }
    check_times(sheet, findings);
    check_restart(sheet, findings);
    let name = sheet.text("class")?;
    let Some(class) = classes.iter().find(|class| class.plan.name == name) else {
        let known = classes.iter().map(|class| class.plan.name.as_str());
        unknown(sheet, "class", known, findings);
        return None;
    };
    let mut plan = class.plan.clone();
    apply(sheet, &mut plan, findings);
    check_command_is_asked(sheet, &plan, findings);
    check_pty(sheet, &plan, findings);
    match (&mut plan.kind, sheet.limit("wait"), sheet.key_span("wait")) {
        (Kind::Interactive, _, Some(span)) => {
            let message = format!("`wait` in {}: an interactive job never waits", sheet.title);
            findings.error(span, message, "take it out, or give the job a batch class");
        }
        (
            Kind::Batch {
                lock: Some(lock), ..
            },
            Some(limit),
            _,
        ) => lock.wait = limit,
        _ => {}
    }
    if plan.kind == Kind::Interactive {
        refuse_to_wait(sheet, findings);
    }
    let of_class = class.sheet.and_then(|class| class.limit("wait"));
    conflicts(sheet, &mut plan.kind, sheet.limit("wait").or(of_class));
    let refused = sheet.has("dir_lock") && sheet.dir_lock("dir_lock").is_none();
    if !plan.dirs.any() && !refused {
        for key in ["on_conflict", "subtree"] {
            if let Some(span) = sheet.key_span(key) {
                let message = format!("`{key}` in {}, which locks no directory", sheet.title);
                let help = "write dir_lock = true for the job's own, or take it out";
                findings.error(span, message, help);
            }
        }
    }
    if !plan.output.file {
        for key in ["log_dir", "log_size", "log_files"] {
            if let Some(span) = sheet.key_span(key) {
                let message = format!("`{key}` in {}, whose output goes to no file", sheet.title);
                let help = "write output = \"file\" or output = \"both\", or take it out";
                findings.missing(span, message, help);
            }
        }
    }
    let command = sheet.command("command").unwrap_or_default().to_vec();
    Some(Job {
        plan: JobPlan {
            start: match sheet.text("start") {
                Some("manual") => Start::Manual,
                _ => Start::Boot,
            },
            every: sheet.time("every").map(|period| Every {
                period,
                jitter: sheet.time("jitter").unwrap_or_default(),
            }),
            main: sheet.flag("main").unwrap_or(false),
            restart: plan.restart,
            after: sheet.after().iter().map(|one| one.after.clone()).collect(),
            max_parallel: plan.max_parallel,
            run: plan.run(sheet.name.clone(), command),
        },
        sheet,
    })
}

/// What `restart` means in a job that comes again anyhow, and in one that never does. What a class
/// says is for those of its jobs that it fits.
fn check_restart(sheet: &Sheet, findings: &mut Findings) {
    let inner = sheet.sheet("restart");
    let when = sheet
        .text("restart")
        .or_else(|| inner.and_then(|inner| inner.text("when")));
    let span = match inner {
        Some(inner) if inner.has("when") => inner.value_span("when"),
        _ => sheet.value_span("restart"),
    };
    if sheet.has("every") && when == Some("always") {
        let message = "`restart` = \"always\" in a job that comes again with `every`";
        let help = "write \"on-failure\": a failure is tried again before the next tick; \
                    for a command that never pauses take out `every`";
        findings.error(span, message, help);
    }
    if sheet.flag("main") == Some(true) && sheet.has("restart") && when != Some("never") {
        let message = "`restart` in the main job, whose end is the container's";
        let help = "take it out: whoever starts the container starts it again, \
                    such as Docker with --restart; or take out `main`";
        findings.error(span, message, help);
    }
}

/// What `every`, `jitter`, `start` and `main` of one job mean together.
fn check_times(sheet: &Sheet, findings: &mut Findings) {
    let manual = sheet.text("start") == Some("manual");
    if let (true, Some(span)) = (manual, sheet.key_span("every")) {
        let message = "`every` in a job that starts only by hand";
        findings.error(span, message, "take out `every`, or start = \"manual\"");
    }
    if let (false, Some(span)) = (sheet.has("every"), sheet.key_span("jitter")) {
        let message = "`jitter` without `every`";
        let help =
            "it spreads the starts of jobs that come again: add every = \"5m\", or take it out";
        findings.missing(span, message, help);
    }
    if sheet.flag("main") == Some(true) {
        let span = sheet.value_span("main");
        let help = "take one of the two out: the main job runs once, from the start to the end";
        if sheet.has("every") {
            findings.error(span, "`main` in a job that comes again with `every`", help);
        }
        if manual {
            findings.error(span, "`main` in a job that starts only by hand", help);
        }
    }
}
