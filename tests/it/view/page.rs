//! A reader of Prometheus' text format, as its specification has it.

use std::collections::BTreeSet;

/// A sample: its metric, its labels, its value.
pub(super) type Sample = (String, Vec<(String, String)>, f64);

/// The samples of a page, each with its metric: a reader of the format as its specification has it.
pub(super) fn parsed(page: &str) -> Vec<Sample> {
    let (mut helped, mut typed, mut samples) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    let name_of = |text: &str| -> String {
        text.chars()
            .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
            .collect()
    };
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            assert!(helped.insert(name_of(rest)), "helped twice: {line}");
            continue;
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert!(["gauge", "counter"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(typed.insert(name.to_owned()), "typed twice: {line}");
            continue;
        }
        let name = name_of(line);
        assert!(helped.contains(&name) && typed.contains(&name), "{line}");
        let mut rest = &line[name.len()..];
        let mut labels = Vec::new();
        if let Some(inner) = rest.strip_prefix('{') {
            rest = inner;
            loop {
                let label = name_of(rest);
                rest = rest[label.len()..].strip_prefix("=\"").unwrap();
                let mut value = String::new();
                let mut chars = rest.char_indices();
                let end = loop {
                    match chars.next().unwrap() {
                        (at, '"') => break at,
                        (_, '\\') => match chars.next().unwrap().1 {
                            'n' => value.push('\n'),
                            escaped @ ('\\' | '"') => value.push(escaped),
                            other => panic!("\\{other} in {line}"),
                        },
                        (_, other) => value.push(other),
                    }
                };
                labels.push((label, value));
                rest = &rest[end + 1..];
                match rest.strip_prefix(',') {
                    Some(more) => rest = more,
                    None => break,
                }
            }
            rest = rest.strip_prefix('}').unwrap();
        }
        let value = rest.strip_prefix(' ').unwrap().parse().unwrap();
        samples.push((name, labels, value));
    }
    let keys: BTreeSet<String> = samples
        .iter()
        .map(|(name, labels, _)| format!("{name}{labels:?}"))
        .collect();
    assert_eq!(keys.len(), samples.len(), "no series stands there twice");
    samples
}
