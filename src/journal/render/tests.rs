use std::collections::{BTreeMap, BTreeSet};
use std::mem::discriminant;
use std::path::PathBuf;

use super::super::kind::MESSAGE_IDS;
use super::super::route::{Format, Speaker};
use super::*;
use crate::core::final_line::AgentResult;
use crate::core::mask::Secrets;
use crate::core::outcome::{SpawnStep, Status};

#[path = "../../../tests/it/support/notes.rs"]
mod notes;

use notes::{lock, outcome, secs, table};

fn nobody() -> Context {
    Context {
        container_name: None,
        job: None,
        class: None,
        run_id: None,
        file: None,
        speaker: Speaker::Run,
        format: Format::Text,
        secrets: std::sync::Arc::default(),
    }
}

#[test]
fn every_note_has_its_words() {
    let context = nobody();
    for (note, expected) in table() {
        assert_eq!(render(&note, &context).text, expected, "{note:?}");
    }
}

#[test]
fn every_text_is_one_line_in_lower_case_without_a_final_dot() {
    let context = nobody();
    for (note, _) in table() {
        let text = render(&note, &context).text;
        let first = text.chars().next().expect("a text");
        assert!(first.is_lowercase(), "{text}");
        assert!(!text.ends_with('.') && !text.contains('\n'), "{text}");
    }
}

#[test]
fn each_message_id_belongs_to_one_kind_of_note_and_the_table_above_leaves_none_out() {
    let context = nobody();
    let mut variant_of = BTreeMap::new();
    for (note, _) in &table() {
        let id = render(note, &context).id;
        let variant = discriminant(note);
        let before = variant_of.insert(id.0, variant);
        assert!(before.is_none_or(|before| before == variant), "{note:?}");
    }
    let rendered: BTreeSet<&str> = variant_of.keys().copied().collect();
    let known: BTreeSet<&str> = MESSAGE_IDS.iter().map(|(_, id)| id.0).collect();
    assert_eq!(rendered, known);
    assert_eq!(known.len(), MESSAGE_IDS.len(), "an id is given twice");
}

#[test]
fn a_message_id_is_32_hexadecimal_digits_in_lower_case() {
    for (name, id) in MESSAGE_IDS {
        let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        assert!(id.0.len() == 32 && id.0.chars().all(is_hex), "{name}");
    }
}

#[test]
fn the_message_names_the_job_of_the_note_else_that_of_the_process() {
    let mut context = nobody();
    let started = Note::Started { pid: 42 };
    assert_eq!(render(&started, &context).message(), "started (pid 42)");
    context.job = Some("dev".into());
    let record = render(&started, &context);
    assert_eq!(record.message(), "job dev: started (pid 42)");
    let skipped = Note::TickSkipped { job: "chat".into() };
    let record = render(&skipped, &context);
    assert_eq!(
        record.message(),
        "job chat: tick skipped: the last run is still going or waiting"
    );
}

#[test]
fn the_facts_of_a_note_are_fields() {
    let context = nobody();
    let note = Note::WaitExpired {
        lock: lock(),
        waited: secs(600),
        holder: Some("dev".into()),
    };
    let expected = Fields {
        lock: Some("/x".into()),
        waited_ms: Some(600_000),
        holder: Some("dev".into()),
        ..Fields::default()
    };
    assert_eq!(render(&note, &context).fields, expected);

    let note = outcome(124, Reason::Timeout, Some(Status::Killed(libc::SIGKILL)));
    let expected = Fields {
        reason: Some("timeout"),
        run_code: Some(124),
        exit_code: Some("killed"),
        exit_status: Some(libc::SIGKILL),
        signal: Some("SIGKILL".into()),
        waited_ms: Some(1000),
        held_ms: Some(3000),
        ..Fields::default()
    };
    assert_eq!(render(&note, &context).fields, expected);

    let Note::Ended(outcome, _) = note else {
        panic!("{note:?}");
    };
    let result = AgentResult {
        session: Some("4f1c".into()),
        cost_usd: Some("0.04".into()),
        turns: Some("3".into()),
    };
    let note = Note::Ended(outcome, result);
    let expected = Fields {
        session_id: Some("4f1c"),
        cost_usd: Some("0.04"),
        turns: Some("3"),
        ..expected
    };
    assert_eq!(render(&note, &context).fields, expected);
}

#[test]
fn no_note_shows_a_secret() {
    let secrets = Secrets::new([b"hunter22".to_vec()]);
    let context = Context {
        secrets: std::sync::Arc::new(secrets),
        ..nobody()
    };
    let at = || PathBuf::from("/srv/hunter22");
    for note in [
        Note::SpawnFailed {
            command: "hunter22".into(),
            on: Some("/hunter22".into()),
            step: SpawnStep::Dir,
            errno: 2,
        },
        Note::DirTrouble {
            dir: at(),
            text: "A_TOKEN=x hunter22".into(),
        },
        Note::Obtained {
            lock: at(),
            waited: secs(1),
            aloud: false,
        },
        Note::ClaimFailed {
            path: at(),
            text: "hunter22".into(),
        },
        Note::DirWaiting {
            dir: at(),
            holder: "agent --token hunter22".into(),
            aloud: false,
        },
    ] {
        let record = render(&note, &context);
        let shown = format!("{} {:?}", record.message(), record.fields);
        assert!(
            !shown.contains("hunter22") && !shown.contains("A_TOKEN=x"),
            "{shown}"
        );
        assert!(shown.contains("***"), "{shown}");
    }
}
