//! The lock of a batch class, and what is swept while it is held.

use super::unknown;
use crate::config::findings::Findings;
use crate::config::plan::{
    DEFAULT_REFRESH, DEFAULT_STALE_AFTER, DEFAULT_WAIT, Identity, LOCK_NAME, LockPlan, SharedMount,
    SweepPlan, Wait,
};
use crate::config::report::shown;
use crate::config::sheet::{File, Sheet};
use std::path::Path;

/// The keys about lock directories.
pub(super) const SWEEP_KEYS: [&str; 4] = ["lock_dirs", "refresh", "stale_after", "exclusive"];

pub(super) fn check_lock(lock: &Sheet, findings: &mut Findings) {
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

/// The lock of a batch class: the named one, else the identity's own.
pub(super) fn lock_of(
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
pub(super) fn sweep_under(
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

pub(super) fn refuse_sweep_keys(sheet: &Sheet, findings: &mut Findings) {
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
