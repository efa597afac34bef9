//! What a run does where a directory is locked.

use crate::config::findings::Findings;
use crate::config::plan::{DEFAULT_WAIT, Kind, OnConflict, Wait};
use crate::config::sheet::Sheet;

/// By type an interactive run fails where a directory is locked: somebody waits at it.
pub(super) fn refuse_to_wait(sheet: &Sheet, findings: &mut Findings) {
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
pub(super) fn conflicts(sheet: &Sheet, kind: &mut Kind, wait: Option<Wait>) {
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
