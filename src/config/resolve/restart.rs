//! `restart`: what it says, and where it makes no sense.

use crate::config::findings::Findings;
use crate::config::plan::{RestartPlan, Then, When};
use crate::config::sheet::Sheet;

/// A word says when; a table says more, and restarts failures where it does not say when.
pub(super) fn restart(sheet: &Sheet, plan: &mut RestartPlan, findings: &mut Findings) {
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

/// What `restart` means in a job that comes again anyhow, and in one that never does. What a class
/// says is for those of its jobs that it fits.
pub(super) fn check_restart(sheet: &Sheet, findings: &mut Findings) {
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
