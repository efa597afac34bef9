//! Every kind of note: what journald has of it, what the catalog says of it, the table of kinds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use lockkeeper::journal::kind::{Level, MESSAGE_IDS};
use lockkeeper::journal::render::{Record, render};
use lockkeeper::journal::{Context, Format, Speaker};
use serde_json::Value;

use super::file_of;
use crate::readme::stands_in;
use crate::support::bin;
use crate::support::child::read;
use crate::support::dir::Dir;
use crate::support::journald::Journald;
use crate::support::need::need;
use crate::support::notes::table;

const CATALOG: &str = "packaging/lockkeeper.catalog";

/// Notes that only init writes: the process itself has no job.
const OF_INIT: [&str; 11] = [
    "EVENT_FAILED",
    "INIT_STARTED",
    "INIT_ENDED",
    "TICK_SKIPPED",
    "RUN_STARTING",
    "RUN_ENDED",
    "RUN_FOUND",
    "GUARD_FAILED",
    "STOP_ASKED",
    "STOP_OVERDUE",
    "STAYING",
];

/// Notes that init and runs write.
const OF_BOTH: [&str; 3] = ["NO_JOURNAL", "NOTES_LOST", "CONFIG_WARNING"];

/// Of a run of job `dev`, as the puppet writes its notes; or of init.
fn context(of_run: bool) -> Context {
    let text = |text: &str| of_run.then(|| text.to_owned());
    Context {
        container_name: Some("agents-1".into()),
        job: text("dev"),
        class: text("batch"),
        run_id: text("0123456789abcdef"),
        file: None,
        speaker: Speaker::InitRun,
        format: Format::Text,
        secrets: Arc::default(),
    }
}

fn fields(record: &Record<'_>) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    record.fields.each(|name, value| {
        let twice = fields.insert(name.to_ascii_uppercase(), value.to_string());
        assert_eq!(twice, None, "{name} twice");
    });
    fields
}

/// What is known of a kind, from all of its samples.
struct Kind {
    levels: BTreeSet<Level>,
    /// Those that every record of it has.
    always: BTreeSet<String>,
    /// Those that some have.
    ever: BTreeSet<String>,
}

/// By message id.
fn kinds() -> BTreeMap<&'static str, Kind> {
    let mut kinds: BTreeMap<&str, Kind> = BTreeMap::new();
    for (note, _) in table() {
        let name = |id: &str| {
            MESSAGE_IDS
                .iter()
                .find(|(_, known)| known.0 == id)
                .unwrap()
                .0
        };
        let bare = context(false);
        let id = render(&note, &bare).id.0;
        let of_run = !OF_INIT.contains(&name(id)) && !OF_BOTH.contains(&name(id));
        let context = context(of_run);
        let record = render(&note, &context);
        let names: BTreeSet<String> = fields(&record).into_keys().collect();
        let kind = kinds.entry(id).or_insert_with(|| Kind {
            levels: BTreeSet::new(),
            always: names.clone(),
            ever: BTreeSet::new(),
        });
        kind.levels.insert(record.level);
        kind.always.retain(|field| names.contains(field));
        kind.ever.extend(names);
    }
    kinds
}

/// An entry of the catalog.
struct Entry {
    subject: String,
    text: String,
}

/// The catalog by message id, as journalctl reads it
/// (<https://systemd.io/CATALOG/>).
fn catalog() -> BTreeMap<String, Entry> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(CATALOG);
    let file = fs::read_to_string(path).unwrap();
    let mut entries = BTreeMap::new();
    for part in file.split("\n-- ").skip(1) {
        let (head, text) = part
            .split_once("\n\n")
            .expect("an empty line behind the head");
        let mut lines = head.lines();
        let id = lines.next().unwrap().to_owned();
        let head: BTreeMap<&str, &str> = lines.map(|line| line.split_once(": ").unwrap()).collect();
        assert_eq!(head.get("Defined-By"), Some(&"lockkeeper"), "{id}");
        let subject = head.get("Subject").expect("a subject");
        let entry = Entry {
            subject: (*subject).to_owned(),
            text: text.trim().to_owned(),
        };
        assert!(entries.insert(id, entry).is_none(), "an entry twice");
    }
    entries
}

/// The names between `@`s.
fn placeholders(text: &str) -> BTreeSet<String> {
    let names = text.split('@').skip(1).step_by(2);
    names.map(str::to_owned).collect()
}

#[test]
fn every_kind_has_an_entry_in_the_catalog_every_entry_a_kind_and_every_placeholder_a_field() {
    let (kinds, catalog) = (kinds(), catalog());
    let known: BTreeSet<&str> = MESSAGE_IDS.iter().map(|(_, id)| id.0).collect();
    let entries: BTreeSet<&str> = catalog.keys().map(String::as_str).collect();
    assert_eq!(entries, known);
    assert_eq!(kinds.keys().copied().collect::<BTreeSet<_>>(), known);
    for (id, Entry { subject, text }) in &catalog {
        assert!(!subject.is_empty() && !text.is_empty(), "{id}");
        let used = placeholders(&format!("{subject}\n{text}"));
        let missing: Vec<_> = used.difference(&kinds[&**id].always).collect();
        assert!(missing.is_empty(), "\"{subject}\" names {missing:?}");
    }
}

#[test]
fn the_manual_has_every_kind_with_its_level_and_its_fields() {
    let (kinds, catalog) = (kinds(), catalog());
    let mut text = String::from(
        "\n| kind | message id | what it says | priority | fields |\n| --- | --- | --- | --- | --- |\n",
    );
    for (name, id) in MESSAGE_IDS {
        let (kind, entry) = (&kinds[id.0], &catalog[id.0]);
        let levels: Vec<String> = kind
            .levels
            .iter()
            .map(|level| level.priority().to_string())
            .collect();
        let process = ["CONTAINER_NAME", "JOB", "JOB_CLASS", "RUN_ID"];
        let own: Vec<String> = kind
            .ever
            .iter()
            .filter(|field| !process.contains(&field.as_str()))
            .map(|field| format!("`{field}`"))
            .collect();
        let subject = entry.subject.replace("@JOB@", "NAME");
        writeln!(
            text,
            "| `{}` | `{}` | {subject} | {} | {} |",
            name.to_lowercase(),
            id.0,
            levels.join(", "),
            own.join(" ")
        )
        .unwrap();
    }
    stands_in("packaging/journal.md", "kinds", &(text + "\n"));
}

#[test]
fn every_kind_of_note_arrives_in_the_journal_field_by_field_and_explained() {
    need!("root", "journald");
    let (journal, dir) = (Journald::start(), Dir::new());
    let notes: Vec<_> = table().into_iter().map(|(note, _)| note).collect();
    let file = file_of(&dir, &notes);
    read(
        journal
            .command(bin::puppet())
            .args(["notes", "-v"])
            .arg(&file),
    );
    let ours = ["SYSLOG_IDENTIFIER=lockkeeper", "CONTAINER_NAME=agents-1"];
    let records = journal.records(&ours);
    assert_eq!(records.len(), notes.len());
    let context = context(true);
    for (note, got) in notes.iter().zip(&records) {
        let record = render(note, &context);
        let mut expected = fields(&record);
        for (name, value) in [
            ("MESSAGE", record.message().into_owned()),
            ("MESSAGE_ID", record.id.0.to_owned()),
            ("PRIORITY", record.level.priority().to_string()),
            ("SYSLOG_IDENTIFIER", "lockkeeper".to_owned()),
        ] {
            expected.insert(name.to_owned(), value);
        }
        // What journald and tracing add: where the record came from.
        let added = |name: &str| {
            name.starts_with('_') || name.starts_with("CODE_") || matches!(name, "TARGET" | "TID")
        };
        let got: BTreeMap<String, String> = got
            .as_object()
            .unwrap()
            .iter()
            .filter(|(name, _)| !added(name))
            .map(|(name, value)| {
                // A field that is there twice is a list.
                let Value::String(text) = value else {
                    panic!("{name} is {value} in {note:?}")
                };
                (name.clone(), text.clone())
            })
            .collect();
        assert_eq!(got, expected, "{note:?}");
    }

    // The catalog, compiled for a machine of its own, whose journalctl then shows it.
    let sources = dir.join("usr/lib/systemd/catalog");
    fs::create_dir_all(&sources).unwrap();
    let catalog_file = Path::new(env!("CARGO_MANIFEST_DIR")).join(CATALOG);
    fs::copy(catalog_file, sources.join("lockkeeper.catalog")).unwrap();
    let mut update = Command::new("journalctl");
    read(update.arg("--update-catalog").arg("--root").arg(&*dir));
    let script = "mkdir -p /var/lib/systemd/catalog && \
        mount --bind \"$0\" /var/lib/systemd/catalog && exec journalctl \"$@\"";
    let mut show = journal.command("unshare");
    show.args(["--mount", "sh", "-c", script])
        .arg(dir.join("var/lib/systemd/catalog"));
    let told = read(show.args(["--catalog", "--no-pager", "--quiet"]).args(ours));
    // Each line of text is shown behind two marks of its own.
    let told: Vec<&str> = told
        .lines()
        .map(|line| line.trim_start_matches(['░', ' ']))
        .collect();
    for (note, record) in notes.iter().zip(&records) {
        let entry = &catalog()[record["MESSAGE_ID"].as_str().unwrap()];
        let filled = |text: &str| {
            let mut text = text.to_owned();
            for name in placeholders(&text) {
                text = text.replace(&format!("@{name}@"), record[&name].as_str().unwrap());
            }
            text
        };
        let subject = format!("Subject: {}", filled(&entry.subject));
        assert!(told.contains(&&*subject), "{subject}: {note:?} {told:#?}");
        for line in entry.text.lines().map(filled) {
            assert!(told.contains(&&*line), "{line}: {note:?}");
        }
    }
}
