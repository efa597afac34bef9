//! `pause`: the line that says that an account's usage limit is reached.
//!
//! A pause lies beside a lock, where all containers see it. So only who has a lock can say `pause`: a
//! batch class with a folder for its identity, or with a lock of its own.

use crate::config::findings::Findings;
use crate::config::plan::{DEFAULT_PAUSE, Kind, LONGEST_PAUSE, PausePlan};
use crate::config::sheet::Sheet;

/// What `sheet` says of a pause, in place of what its class says, key by key.
pub(super) fn apply(sheet: &Sheet, kind: &mut Kind, findings: &mut Findings) {
    let Some(span) = sheet.key_span("pause") else {
        return;
    };
    let title = &sheet.title;
    let lock = match kind {
        Kind::Interactive => {
            let message = format!("`pause` in {title}: an interactive run is never kept waiting");
            let help = "take it out; it belongs in the batch class whose jobs use the same login";
            findings.error(span, message, help);
            return;
        }
        Kind::Batch { lock: None, .. } => {
            let message =
                format!("`pause` in {title}, whose jobs have no lock beside which it could lie");
            let help = "name a file that all containers share, with path = \"/…/session.lock\" in \
                        [locks.NAME] and lock = \"NAME\" in the class, or identity = \"/…\" for a \
                        folder; else take it out";
            findings.missing(span, message, help);
            return;
        }
        Kind::Batch {
            lock: Some(lock), ..
        } => lock,
    };
    let Some(inner) = sheet.sheet("pause") else {
        return;
    };
    if inner.text("line").is_some_and(|text| text.contains('\n')) {
        let message = "`line` contains a line break, and is looked for in one line";
        let help = "write a text that stands in one line";
        findings.error(inner.value_span("line"), message, help);
    }
    let length = inner.time("for");
    if length.is_some_and(|length| length > LONGEST_PAUSE) {
        let message = "`for` is longer than a pause lasts";
        let help = "write at most \"24h\": what is still so then is said again by the first run";
        findings.error(inner.value_span("for"), message, help);
    }
    let Some(line) = inner.text("line").map(str::to_owned) else {
        if lock.pause.is_none() && !inner.has("line") {
            let help = "write what the line contains: line = \"usage limit reached\"";
            findings.missing(&inner.span, format!("{} has no `line`", inner.title), help);
        }
        if let (Some(pause), Some(length)) = (&mut lock.pause, length) {
            pause.length = length;
        }
        return;
    };
    let inherited = lock.pause.as_ref().map(|pause| pause.length);
    lock.pause = Some(PausePlan {
        line,
        length: length.or(inherited).unwrap_or(DEFAULT_PAUSE),
    });
}
