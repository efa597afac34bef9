//! What findings about a file must not show: the values in `env` and in the environment of the variables
//! that some `redact` names, and of those whose name says it; also where such a value is what is wrong.
//!
//! The source keeps its places: each character of a value that is read as such becomes one star. What
//! a message says of one is masked by its value. In a line that cannot be read, what stands behind the
//! name of a secret counts as one.

use std::ops::Range;
use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::expand::Lookup;
use super::report::Place;
use crate::core::mask::{MASK, Secrets, is_secret_name};
use crate::core::order;

const QUOTES: [char; 2] = ['"', '\''];

/// The source as it may be shown, and what may not be shown at all.
#[derive(Debug)]
pub(crate) struct Hidden {
    /// With the same places as the source, in bytes and in characters.
    text: String,
    values: Vec<Vec<u8>>,
}

impl Hidden {
    /// Looks for secrets in `text`, which was read as `root`.
    pub(crate) fn find(root: &DeTable<'_>, text: &str, env: &Lookup<'_>) -> Self {
        let mut names = Vec::new();
        each(root, &mut |key, value| {
            let list = value.as_array().filter(|_| key == "redact");
            let list = list.into_iter().flat_map(|list| list.iter());
            names.extend(list.filter_map(|name| name.get_ref().as_str()));
        });
        let mut values: Vec<Vec<u8>> = names
            .iter()
            .filter_map(|name| env(name).map(OsStringExt::into_vec))
            .collect();
        let mut spans = Vec::new();
        each(root, &mut |key, value| {
            let set = value.as_table().filter(|_| key == "env");
            for (name, value) in set.into_iter().flatten() {
                let name = name.get_ref().as_ref();
                if !is_secret_name(name) && !names.contains(&name) {
                    continue;
                }
                let source = text.get(value.span()).unwrap_or_default();
                let inner = source.trim_start_matches(QUOTES);
                let start = value.span().end - inner.len();
                let inner = inner.trim_end_matches(QUOTES);
                let read = value.get_ref().as_str().unwrap_or_default();
                for value in [inner, read] {
                    values.extend(value.lines().map(|line| line.trim().into()));
                    values.push(value.into());
                }
                spans.push(start..start + inner.len());
            }
        });
        order::sort_by_key(&mut spans, |span| span.start);
        let text = starred(text, &spans);
        Self { text, values }
    }

    /// The place of a range of bytes of `source`, and what hides the secrets there.
    pub(crate) fn place(&self, source: &str, span: &Range<usize>) -> (Place, Arc<Secrets>) {
        let start = source.floor_char_boundary(span.start.min(source.len()));
        let (before, after) = source.split_at(start);
        let head = before.rsplit('\n').next().unwrap_or_default();
        let tail = after.split('\n').next().unwrap_or_default();
        let line = [head, tail].concat();
        let near = behind_names(&line).into_iter().map(Vec::from);
        let secrets = Arc::new(Secrets::new(self.values.iter().cloned().chain(near)));
        (Place::new(&self.text, span, &secrets), secrets)
    }
}

/// Every key with its value, at whatever depth.
fn each<'t, 'i>(table: &'t DeTable<'i>, look: &mut impl FnMut(&str, &'t DeValue<'i>)) {
    for (key, value) in table {
        look(key.get_ref(), value.get_ref());
        if let Some(table) = value.get_ref().as_table() {
            each(table, look);
        }
    }
}

fn starred(text: &str, spans: &[Range<usize>]) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut done = 0;
    for span in spans {
        shown.push_str(text.get(done..span.start).unwrap_or_default());
        let value = text.get(span.start.max(done)..span.end).unwrap_or_default();
        shown.extend(value.chars().map(star));
        done = span.end.max(done);
    }
    shown.push_str(text.get(done..).unwrap_or_default());
    shown
}

/// A star as long as `c` is.
const fn star(c: char) -> char {
    match c.len_utf8() {
        _ if c.is_whitespace() => c,
        1 => '*',
        2 => '\u{b7}',
        3 => '\u{2022}',
        _ => '\u{1f512}',
    }
}

/// What in a line stands behind the name of a secret.
fn behind_names(line: &str) -> Vec<&str> {
    let hidden = Arc::new(Secrets::default()).hide(line);
    let mask = String::from_utf8_lossy(MASK);
    let mut plain = hidden.split(&*mask);
    let first = plain.next().unwrap_or_default();
    let mut rest = line.strip_prefix(first).unwrap_or_default();
    let mut found = Vec::new();
    for next in plain {
        let end = if next.is_empty() {
            None
        } else {
            rest.find(next)
        };
        let (value, after) = rest.split_at(end.unwrap_or(rest.len()));
        found.push(value.trim());
        rest = after.strip_prefix(next).unwrap_or_default();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_several_lines_is_starred_in_its_place() {
        let text = "env = { GH_TOKEN = \"\"\"\nh\u{fc}nter \u{20ac}22\"\"\", A = \"shown\" }\n";
        let (root, _) = DeTable::parse_recoverable(text);
        let hidden = Hidden::find(root.get_ref(), text, &|_| None);
        assert_eq!(
            hidden.text,
            "env = { GH_TOKEN = \"\"\"\n*\u{b7}**** \u{2022}**\"\"\", A = \"shown\" }\n"
        );
        assert_eq!(hidden.text.len(), text.len());
    }

    #[test]
    fn what_stands_behind_a_name_is_found() {
        let line = "a = 1, MY_TOKEN = \"one\", B_KEY = 'two' # x";
        assert_eq!(behind_names(line), ["one", "two"]);
        assert_eq!(behind_names("MY_TOKEN = hunter22"), ["hunter22"]);
        assert_eq!(behind_names("timeout = 5"), [""; 0]);
    }
}
