//! A class: its kind, and what an interactive one may not say.

use super::common::{apply, check_command_is_asked, check_pty};
use super::directory::{conflicts, refuse_to_wait};
use super::lock::{SWEEP_KEYS, lock_of, refuse_sweep_keys, sweep_under};
use super::pause;
use super::{BUILT_IN, Class};
use crate::config::findings::Findings;
use crate::config::plan::{ClassPlan, Kind};
use crate::config::sheet::{File, Sheet};

pub(super) fn class<'f>(sheet: &'f Sheet, file: &'f File, findings: &mut Findings) -> Class<'f> {
    let kind = kind(sheet, findings);
    let mut plan = ClassPlan::new(&sheet.name, kind.clone());
    plan.identity = sheet.identity("identity").cloned();
    plan.max_parallel = sheet.number("max_parallel");
    apply(sheet, &mut plan, findings);
    check_command_is_asked(sheet, &plan, findings);
    check_pty(sheet, &plan, findings);
    match kind {
        Kind::Interactive => {
            refuse_lock_keys(sheet, findings);
            pause::apply(sheet, &mut plan.kind, findings);
        }
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
            // Without the lock that is named and not there, nothing is known of a pause.
            if !sheet.has("lock") || plan.kind.lock().is_some() {
                pause::apply(sheet, &mut plan.kind, findings);
            }
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
