//! A value of the wrong type in words: what is wanted, what stands there, how to write it instead.

use crate::config::keys::{Key, Scope, Shape, Unit};
use crate::config::report::shown;
use crate::config::text::{example, example_size, quoted};
use toml::de::DeValue;

/// What a shape asks for, in words.
pub(super) fn wanted(shape: Shape) -> String {
    match shape {
        Shape::Literal | Shape::Text | Shape::Name => "a text in quotes".to_owned(),
        Shape::Path => "an absolute path in quotes".to_owned(),
        Shape::DirLock => "true, an absolute path in quotes, or a list of them".to_owned(),
        Shape::Identity => "an absolute path or env:NAME, in quotes".to_owned(),
        Shape::Time { .. } => "a time in quotes, such as \"90s\" or \"2h\"".to_owned(),
        Shape::Flag => "true or false".to_owned(),
        Shape::Word(words) => format!("one of {}", quoted(words)),
        Shape::WordOrTable(words, _) => format!("one of {}, or a table", quoted(words)),
        Shape::After => "a list of the names of jobs".to_owned(),
        Shape::Signal => "the name of a signal in quotes, such as \"TERM\"".to_owned(),
        Shape::Size { .. } => "a size in quotes, such as \"10M\"".to_owned(),
        Shape::Count { .. } | Shape::Number { .. } => "a whole number".to_owned(),
        Shape::Limit(unit) => {
            let one = match unit {
                Unit::Each => "a whole number",
                Unit::Bytes => "a size in quotes",
                Unit::Seconds => "a time in quotes",
            };
            format!("{one}, \"unlimited\", or both limits as {{ soft, hard }}")
        }
        Shape::Mask => "an octal number in quotes, such as \"022\"".to_owned(),
        Shape::Percent => "a percentage in quotes, such as \"50%\"".to_owned(),
        Shape::PathOrPaths => "an absolute path in quotes, or a list of them".to_owned(),
        Shape::Names => "a list of the names of variables".to_owned(),
        Shape::Kinds => "a list of the kinds of notes".to_owned(),
        Shape::Command => "a list of texts".to_owned(),
        Shape::Paths => "a list of absolute paths".to_owned(),
        Shape::Env => "a table of variables".to_owned(),
        Shape::Signals => "a table of signals".to_owned(),
        Shape::Table(_) => "a table".to_owned(),
        Shape::FlagOr(_) => "true, false or a table".to_owned(),
        Shape::NotBuilt => "left out".to_owned(),
    }
}

/// What stands there, in words.
pub(crate) fn found(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(true) => "true",
        DeValue::Boolean(false) => "false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// How to write it instead.
pub(super) fn mend(key: &Key, value: &DeValue<'_>) -> String {
    let name = key.name;
    match (key.shape, value) {
        (Shape::Time { .. }, DeValue::Integer(number)) => {
            format!(
                "if these are seconds, write {name} = \"{}s\"",
                shown(number.as_str())
            )
        }
        (Shape::Time { forever: true, .. }, DeValue::Boolean(false)) => {
            format!("for no limit write {name} = \"forever\"")
        }
        (Shape::Time { .. }, _) => format!("write {name} = \"{}\"", example(key)),
        (Shape::Size { .. }, DeValue::Integer(number)) => {
            format!(
                "if these are bytes, write {name} = \"{}\"",
                shown(number.as_str())
            )
        }
        (Shape::Size { .. }, _) => format!("write {name} = \"{}\"", example_size(key)),
        (
            Shape::Count { .. } | Shape::Number { .. } | Shape::Limit(Unit::Each),
            DeValue::String(text),
        ) if text.parse::<i64>().is_ok() => {
            format!("write {name} = {}, without quotes", shown(text))
        }
        (Shape::Count { least, .. }, _) => {
            let number = match key.default {
                "none" => 100,
                default => default.parse().unwrap_or(least.max(3)),
            };
            format!("write {name} = {number}")
        }
        (Shape::Number { most, .. }, _) => format!("write {name} = {}", most / 2),
        (Shape::Limit(Unit::Each), _) => format!("write {name} = 1024"),
        (Shape::Limit(Unit::Bytes), _) => format!("write {name} = \"1G\""),
        (Shape::Limit(Unit::Seconds), _) => format!("write {name} = \"10m\""),
        (Shape::Mask, DeValue::Integer(number)) => {
            let number = shown(number.as_str());
            format!("write {name} = \"{number:0>3}\", in quotes: it is octal")
        }
        (Shape::Mask, _) => format!("write {name} = \"022\""),
        (Shape::Percent, DeValue::Integer(number)) => {
            format!("write {name} = \"{}%\"", shown(number.as_str()))
        }
        (Shape::Percent, _) => format!("write {name} = \"50%\""),
        (Shape::PathOrPaths, _) => format!("write {name} = \"/…\""),
        (Shape::Flag, DeValue::String(text)) => {
            let flag = ["true", "yes", "on", "1"].contains(&text.to_ascii_lowercase().as_str());
            format!("write {name} = {flag}, without quotes")
        }
        (Shape::Flag | Shape::FlagOr(_), _) => format!("write {name} = true"),
        (Shape::Signal, _) => format!("write {name} = \"TERM\""),
        (Shape::Command, DeValue::String(text)) => format!("write command = {}", as_list(text)),
        (Shape::Command, _) => "write command = [\"claude\", \"-p\", \"…\"]".to_owned(),
        (Shape::Paths | Shape::Names | Shape::Kinds, DeValue::String(text)) => {
            format!("write {name} = [\"{}\"]", shown(text))
        }
        (Shape::After, _) => "write after = [\"JOB\", \"OTHER:succeeded\"]".to_owned(),
        (Shape::WordOrTable(..), DeValue::Boolean(flag)) => {
            let word = if *flag { "always" } else { "never" };
            format!("write {name} = \"{word}\"")
        }
        (Shape::WordOrTable(..), _) => {
            format!("write {name} = \"on-failure\", or {name} = {{ delay = \"1s\", limit = 5 }}")
        }
        (Shape::Names, _) => format!("write {name} = [\"NAME\"]"),
        (Shape::Kinds, _) => format!("write {name} = [\"ended\", \"wait_expired\"]"),
        (Shape::Paths, _) => format!("write {name} = [\"/…\"]"),
        (Shape::Env, _) => format!("write {name} = {{ NAME = \"value\" }}"),
        (Shape::Signals, _) => format!("write {name} = {{ TERM = \"INT\", HUP = \"drop\" }}"),
        (Shape::Table(Scope::Final), _) => {
            "write final = { line = '\"type\":\"result\"', grace = \"30s\" }".to_owned()
        }
        (Shape::Table(Scope::OnEvent), _) => {
            "write on_event = { command = [\"…\"], kinds = [\"ended\"] }".to_owned()
        }
        (Shape::Table(Scope::Pause), _) => {
            "write pause = { line = \"usage limit reached\", for = \"1h\" }".to_owned()
        }
        (Shape::Table(Scope::Rlimits), _) => "write rlimits = { nofile = 1024 }".to_owned(),
        (Shape::Table(Scope::Cgroup), _) => "write cgroup = { memory_max = \"2G\" }".to_owned(),
        (Shape::Table(_), _) => "write stop = { signal = \"TERM\", grace = \"15s\" }".to_owned(),
        (Shape::DirLock, _) => format!("write {name} = true for the working directory"),
        (_, DeValue::Integer(number)) => format!("write {name} = \"{}\"", shown(number.as_str())),
        (Shape::Word(words), _) => {
            format!(
                "write {name} = \"{}\"",
                words.first().copied().unwrap_or_default()
            )
        }
        (Shape::Identity, _) => format!("write {name} = \"/home/agent/.claude\""),
        (Shape::Path, _) => format!("write {name} = \"/…\""),
        _ => format!("write {name} = \"…\""),
    }
}

/// A command line as a list: word by word where no shell is needed to take it apart.
fn as_list(line: &str) -> String {
    let needs_shell = line.contains(|c: char| "\"'\\$`|&;<>()*?[]{}~#!\n".contains(c));
    if needs_shell {
        return "[\"sh\", \"-c\", '…'], with this text as the last one".to_owned();
    }
    let words: Vec<&str> = line.split_whitespace().collect();
    shown(&format!("[{}]", quoted(&words)))
}
