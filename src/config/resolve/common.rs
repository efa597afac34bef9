//! What a class and a job may both say: the job's goes before its class's, key by key.

use super::process;
use super::restart::restart;
use crate::config::findings::Findings;
use crate::config::plan::{ClassPlan, DEFAULT_FINAL_GRACE, FinalLine, Kind, SignalMap, Stdin};
use crate::config::sheet::Sheet;
use crate::config::text::asks_nobody;

/// What both a class and a job may say.
pub(super) fn apply(sheet: &Sheet, plan: &mut ClassPlan, findings: &mut Findings) {
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

pub(super) fn add_signals(sheet: &Sheet, to: &mut SignalMap) {
    for rewrite in sheet.signals("signals") {
        to.say(rewrite.from, rewrite.to);
    }
}

/// The first signal of a stop must reach the command, and be one that asks it to go.
pub(super) fn check_command_is_asked(sheet: &Sheet, plan: &ClassPlan, findings: &mut Findings) {
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
pub(super) fn check_pty(sheet: &Sheet, plan: &ClassPlan, findings: &mut Findings) {
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
