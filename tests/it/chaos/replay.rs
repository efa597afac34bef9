//! Event logs of real runs, replayed through the policy: the same events at the same times must
//! bring the same actions.

use std::fs;
use std::path::{Path, PathBuf};

use lockkeeper::core::run::Run;
use lockkeeper::run::event_log::{Entry, Head};

/// What was replayed.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    pub(crate) runs: u32,
    pub(crate) events: u32,
    /// The logs whose actions came out differently, or that could not be read.
    pub(crate) different: Vec<String>,
}

/// The event log in `folder`, if its one run began to write it.
pub(crate) fn log_in(folder: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?.flatten();
    let mut logs = entries.map(|entry| entry.path());
    logs.find(|path| path.extension().is_some_and(|end| end == "jsonl"))
}

/// The entries of a log. Its last line may be cut short: its writer was killed.
pub(crate) fn entries(log: &Path) -> Result<Option<(Head, Vec<Entry>)>, String> {
    let text = fs::read_to_string(log).map_err(|error| error.to_string())?;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let mut lines = whole.lines();
    let Some(head) = lines.next() else {
        return Ok(None);
    };
    let head = serde_json::from_str(head).map_err(|error| format!("{error}: {head}"))?;
    let entries = lines.map(|line| {
        serde_json::from_str::<Entry>(line).map_err(|error| format!("{error}: {line}"))
    });
    Ok(Some((head, entries.collect::<Result<_, _>>()?)))
}

/// Replays the log in `folder`, if there is one.
pub(crate) fn replay(folder: &Path, replayed: &mut Replayed) {
    let Some(log) = log_in(folder) else { return };
    match entries(&log) {
        Ok(None) => {}
        Ok(Some((head, entries))) => {
            replayed.runs += 1;
            let mut run = Run::new(head.facts);
            for entry in entries {
                let mut actions = Vec::new();
                run.handle(entry.at, &entry.event, &mut actions);
                replayed.events += 1;
                if actions != entry.actions {
                    let text = format!("{entry:?} came out as {actions:?}");
                    replayed.different.push(text);
                    return;
                }
            }
        }
        Err(text) => replayed.different.push(text),
    }
}
