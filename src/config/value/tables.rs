//! Tables that have no keys of ours: variables, and signals.

use super::words::found;
use super::{Reader, Rewrite, Value, Variable};
use crate::config::report::shown;
use crate::config::text::{absolute, replacement, rewritten, unfit_name};
use std::ops::Range;
use std::path::PathBuf;
use toml::de::{DeTable, DeValue};

impl Reader<'_> {
    pub(super) fn variables(&mut self, table: &DeTable<'_>) -> Value {
        let mut variables = Vec::new();
        for (name, value) in table {
            let span = value.span();
            if let Some((message, help)) = unfit_name(name.get_ref()) {
                self.findings.error(&name.span(), message, help);
            } else if let Some(raw) = value.get_ref().as_str() {
                let text = self.expanded(raw, &span, false);
                let name = name.get_ref().to_string();
                variables.extend(text.map(|text| (name, Variable::Text(text))));
            } else if let Some(table) = value.get_ref().as_table() {
                let file = self.file_of_variable(name.get_ref(), table, &span);
                let name = name.get_ref().to_string();
                variables.extend(file.map(|file| (name, Variable::File(file))));
            } else {
                let message = format!(
                    "the variable {} must be a text in quotes, not {}",
                    shown(name.get_ref()),
                    found(value.get_ref())
                );
                let source = self.text.get(span.clone()).map(shown).unwrap_or_default();
                let help = match value.get_ref() {
                    DeValue::Array(_) => "a variable has one value".to_owned(),
                    _ => format!("write \"{source}\""),
                };
                self.findings.error(&span, message, help);
            }
        }
        Value::Env(variables)
    }

    /// The file of `NAME = { file = "/…" }`.
    fn file_of_variable(
        &mut self,
        name: &str,
        table: &DeTable<'_>,
        span: &Range<usize>,
    ) -> Option<PathBuf> {
        let value = table.get("file").filter(|_| table.len() == 1);
        let Some(value) = value else {
            let name = shown(name);
            let message = format!("the variable {name} is a table, and not one of a file");
            let help = format!("write {name} = {{ file = \"/run/secrets/…\" }}");
            self.findings.error(span, message, help);
            return None;
        };
        let at = value.span();
        let Some(raw) = value.get_ref().as_str() else {
            let found = found(value.get_ref());
            let message = format!("`file` must be an absolute path in quotes, not {found}");
            self.findings
                .error(&at, message, "write file = \"/run/secrets/…\"");
            return None;
        };
        let text = self.expanded(raw, &at, false)?;
        absolute("file", raw, &text)
            .map_err(|(message, help)| self.findings.error(&at, message, help))
            .ok()
    }

    pub(super) fn signals(&mut self, table: &DeTable<'_>) -> Value {
        let mut rewrites: Vec<Rewrite> = Vec::new();
        for (name, value) in table {
            let from = rewritten(name.get_ref()).and_then(|from| {
                if rewrites.iter().any(|earlier| earlier.from == from) {
                    let message = format!("`{}` is said twice", shown(name.get_ref()));
                    return Err((message, "take one of the two out".to_owned()));
                }
                Ok(from)
            });
            let to = match value.get_ref() {
                DeValue::String(raw) => match self.expanded(raw, &value.span(), false) {
                    Some(text) => replacement(raw, &text),
                    None => continue,
                },
                DeValue::Integer(number) => replacement(number.as_str(), number.as_str()),
                other => Err((
                    format!(
                        "what stands for {} must be a signal in quotes, not {}",
                        shown(name.get_ref()),
                        found(other)
                    ),
                    "write the name of a signal, or \"drop\"".to_owned(),
                )),
            };
            for (span, wrong) in [
                (name.span(), from.as_ref().err()),
                (value.span(), to.as_ref().err()),
            ] {
                if let Some((message, help)) = wrong {
                    self.findings.error(&span, message, help);
                }
            }
            if let (Ok(from), Ok(to)) = (from, to) {
                let span = value.span();
                rewrites.push(Rewrite { from, to, span });
            }
        }
        Value::Signals(rewrites)
    }
}
