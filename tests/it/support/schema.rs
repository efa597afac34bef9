//! The JSON Schema of a configuration file (draft 7, as taplo and "Even Better TOML" read it), made
//! from the one table of keys.
//!
//! It knows what one value may look like, and never what several mean together: that remains with
//! `lockkeeper check`. Invariant: what the program takes it takes, too, else an editor would cry
//! over a file that is right. So whatever contains a `${NAME}` fits wherever a text does.

use std::ffi::OsString;

use lockkeeper::config::keys::{Key, Scope, Shape, TABLES, Unit, of};
use lockkeeper::config::plan::Want;
use lockkeeper::config::{Surroundings, parse};
use lockkeeper::journal::kind;
use serde_json::{Map, Value, json};

/// What stands for a variable's value, and may be anything.
const VARIABLE: &str = r"\$\{";
/// Times as humantime reads them, but for M: the program refuses months that look like minutes.
const TIME: &str = concat!(
    r"^\s*([0-9]+(\.[0-9]+)?\s*(nanos|nsec|ns|usec|us|µs|millis|msec|ms|seconds?|secs?|s",
    r"|minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?|wks?|w|months?|years?|yrs?|y)\s*)+$"
);
const SIZE: &str = r"^[0-9]+\s*([kKmMgGtT]([iI]?[bB])?|[bB])?$";
const UNLIMITED: &str = "^(unlimited|infinity)$";
const WHOLE: &str = r"^\+?[0-9]+$";

/// The scopes of the tables that are values, each a definition.
const INNER: &[(Scope, &str)] = &[
    (Scope::Final, "final"),
    (Scope::Pause, "pause"),
    (Scope::Stop, "stop"),
    (Scope::Restart, "restart"),
    (Scope::Rlimits, "rlimits"),
    (Scope::Cgroup, "cgroup"),
    (Scope::Pty, "pty"),
    (Scope::OnEvent, "on_event"),
];

/// The schema, as the repository has it.
pub(crate) fn schema() -> Value {
    let mut definitions: Map<String, Value> = [
        ("time", text(&[TIME])),
        ("time_or_forever", text(&[TIME, "^forever$"])),
        ("size", text(&[SIZE])),
        ("path", text(&["^/"])),
        ("paths", list(&reference("path"))),
        ("variable_names", list(&variable_name())),
        ("command", command()),
        ("env", env()),
        (
            "stop_signal",
            signals_for(|word| format!("stop = {{ signal = \"{word}\" }}")),
        ),
        ("signals", signals()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into_iter()
    .collect();
    for (scope, name) in INNER {
        definitions.insert((*name).to_owned(), table(*scope));
    }
    let mut tables = Map::new();
    for (name, scope, named) in TABLES {
        let one = match scope {
            Scope::Lock => "lock",
            Scope::Class => "class",
            Scope::Job => "job",
            _ => name,
        };
        definitions.insert(one.to_owned(), table(*scope));
        let value = if *named {
            named_tables(*scope, one)
        } else {
            reference(one)
        };
        tables.insert((*name).to_owned(), value);
    }
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "lockkeeper.toml",
        "description": "The configuration of lockkeeper; lockkeeper.toml(5) has it in words, \
                        and `lockkeeper check` knows what several keys mean together.",
        "type": "object",
        "properties": tables,
        "additionalProperties": false,
        "definitions": definitions,
    })
}

/// `[jobs.NAME]` and its like.
fn named_tables(scope: Scope, one: &str) -> Value {
    let mut value = json!({
        "type": "object",
        "description": format!("Tables {}.", scope.place()),
        "propertyNames": { "pattern": "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$" },
        "additionalProperties": reference(one),
    });
    if scope == Scope::Class {
        // What these two are is said by their names.
        let built_in = described(
            reference(one),
            "A class that is built in; the table refines it.",
        );
        put(
            &mut value,
            "properties",
            json!({ "batch": built_in, "interactive": built_in }),
        );
        let own = json!({ "allOf": [reference(one), { "required": ["kind"] }] });
        put(&mut value, "additionalProperties", own);
    }
    value
}

/// A table with the keys of that scope.
fn table(scope: Scope) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for key in of(scope).filter(|key| key.shape != Shape::NotBuilt) {
        properties.insert(key.name.to_owned(), property(key));
        // A job may leave out what its class says; `final` and `pause` are joined key by key.
        let inherits = matches!(scope, Scope::Final | Scope::Pause);
        if key.default == "required" && !inherits {
            required.push(key.name);
        }
    }
    let mut value = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !required.is_empty() {
        put(&mut value, "required", json!(required));
    }
    value
}

/// A key: its value, what it is for, and what holds without it.
fn property(key: &Key) -> Value {
    let least = match key.shape {
        Shape::Time { least, .. } if !least.is_zero() => {
            format!(" At least {}.", humantime::format_duration(least))
        }
        Shape::Size { least } if least > 1 => format!(" At least {least} bytes."),
        _ => String::new(),
    };
    let without = match key.default {
        default if default.starts_with("required") => format!("It is {default}."),
        default => format!("Without it: {default}."),
    };
    let mut value = described(shape(key.shape), &format!("{}.{least} {without}", key.doc));
    if let Some(default) = default(key) {
        put(&mut value, "default", default);
    }
    value
}

/// The default, where it is a value and no words.
fn default(key: &Key) -> Option<Value> {
    let told = key.default;
    let is_value = match key.shape {
        Shape::Flag | Shape::FlagOr(_) | Shape::DirLock | Shape::Count { .. } => {
            return serde_json::from_str(told).ok();
        }
        Shape::Time { forever, .. } => {
            humantime::parse_duration(told).is_ok() || forever && told == "forever"
        }
        Shape::Word(words) | Shape::WordOrTable(words, _) => words.contains(&told),
        Shape::Size { .. } => told.starts_with(|c: char| c.is_ascii_digit()),
        Shape::Path => told.starts_with('/'),
        Shape::Signal => true,
        _ => false,
    };
    is_value.then(|| json!(told))
}

/// What a value must look like.
fn shape(shape: Shape) -> Value {
    match shape {
        Shape::Literal | Shape::Text | Shape::Name => json!({ "type": "string", "minLength": 1 }),
        Shape::Path => reference("path"),
        Shape::DirLock => any(&[boolean(), reference("path"), reference("paths")]),
        Shape::Paths => reference("paths"),
        Shape::Identity => text(&["^/", "^env:[A-Za-z0-9_]+$"]),
        Shape::Time { forever: false, .. } => reference("time"),
        Shape::Time { forever: true, .. } => reference("time_or_forever"),
        Shape::Flag => boolean(),
        Shape::Word(words) => any(&[json!({ "enum": words }), variable()]),
        Shape::Signal => reference("stop_signal"),
        Shape::Signals => reference("signals"),
        Shape::Size { .. } => reference("size"),
        Shape::Count { least, most } => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Shape::Number { least, most } => {
            json!({ "type": "integer", "minimum": least, "maximum": most })
        }
        Shape::Limit(unit) => limit(unit),
        Shape::Mask => text(&["^0?[0-7]{1,3}$"]),
        Shape::Percent => text(&[r"^\+?0*[1-9][0-9]*\s*%$"]),
        Shape::PathOrPaths => any(&[reference("path"), reference("paths")]),
        Shape::Names => reference("variable_names"),
        Shape::Kinds => {
            let names: Vec<String> = kind::names().collect();
            let written: Vec<String> = names.iter().map(|name| either_case(name)).collect();
            let pattern = format!("^({})$", written.join("|"));
            let written = json!({ "type": "string", "pattern": pattern });
            list(&any(&[json!({ "enum": names }), written]))
        }
        Shape::Command => reference("command"),
        Shape::Env => reference("env"),
        Shape::After => {
            let job = json!({
                "type": "string",
                "pattern": format!("^[^:]+(:({}))?$", Want::WORDS.join("|")),
            });
            any(&[job.clone(), list(&job)])
        }
        Shape::Table(scope) => inner(scope),
        Shape::WordOrTable(words, scope) => {
            any(&[json!({ "enum": words }), variable(), inner(scope)])
        }
        Shape::FlagOr(scope) => any(&[boolean(), inner(scope)]),
        // `table` leaves these out.
        Shape::NotBuilt => json!(false),
    }
}

fn limit(unit: Unit) -> Value {
    let words = match unit {
        Unit::Each => text(&[WHOLE, UNLIMITED]),
        Unit::Bytes => text(&[SIZE, UNLIMITED]),
        Unit::Seconds => text(&[WHOLE, TIME, UNLIMITED]),
    };
    let one = any(&[json!({ "type": "integer", "minimum": 0 }), words]);
    let both = json!({
        "type": "object",
        "properties": { "soft": one, "hard": one },
        "minProperties": 1,
        "additionalProperties": false,
    });
    any(&[one, both])
}

fn command() -> Value {
    json!({
        "type": "array",
        "minItems": 1,
        "items": [{ "type": "string", "minLength": 1 }],
        "additionalItems": { "type": "string" },
    })
}

fn env() -> Value {
    let file = json!({
        "type": "object",
        "description": "The value is what this file contains.",
        "properties": { "file": reference("path") },
        "required": ["file"],
        "additionalProperties": false,
    });
    json!({
        "type": "object",
        "propertyNames": variable_name(),
        "additionalProperties": any(&[json!({ "type": "string" }), file]),
    })
}

/// The name of a variable that a file may say.
fn variable_name() -> Value {
    let own: Vec<&str> = ["LOCKKEEPER_JOB", "LOCKKEEPER_CLASS", "LOCKKEEPER_RUN_ID"].into();
    json!({ "type": "string", "pattern": "^[^=$][^=]*$", "not": { "enum": own } })
}

/// What stands in a signal's place, by the signal's name.
fn signals() -> Value {
    let names = signals_for(|word| format!("signals = {{ {word:?} = \"USR1\" }}"));
    let mut places = signals_for(|word| format!("signals = {{ USR1 = \"{word}\" }}"));
    // An editor offers this one first.
    let choices = places.pointer_mut("/anyOf/0/enum").unwrap();
    choices.as_array_mut().unwrap().insert(0, json!("drop"));
    json!({
        "type": "object",
        "propertyNames": names,
        "additionalProperties": places,
    })
}

/// The signals that the program takes in a place, which knows best: by name to be offered, and as
/// they may be written besides.
fn signals_for(place: impl Fn(&str) -> String) -> Value {
    let takes = |word: &str| {
        let file = format!("[classes.batch]\n{}\n", place(word));
        let around = Surroundings {
            env: &|_: &str| None::<OsString>,
            host_name: String::new(),
        };
        let message = |problems| format!("{problems}");
        let told = parse("probe", file.as_bytes(), &around).map_err(message);
        // A file without jobs is no file, and that is not asked here.
        !told.err().is_some_and(|told| told.contains("probe:2:"))
    };
    let standard: Vec<(i32, &str)> = (1..32)
        .filter_map(|signo| {
            let name = signal_hook::low_level::signal_name(signo)?;
            Some((signo, name.strip_prefix("SIG")?))
        })
        .filter(|(_, name)| takes(name))
        .collect();
    let names: Vec<&str> = standard.iter().map(|(_, name)| *name).collect();
    let written: Vec<String> = names.iter().map(|name| either_case(name)).collect();
    let real_time = "[rR][tT]([mM][iI][nN](\\+[0-9]+)?|[mM][aA][xX](-[0-9]+)?)";
    let pattern = format!(
        "^([sS][iI][gG])?({}|{real_time}|[0-9]{{1,2}})$",
        written.join("|")
    );
    any(&[
        json!({ "enum": names }),
        text(&[&pattern]),
        json!({ "type": "integer", "minimum": 1, "maximum": 64 }),
    ])
}

/// A pattern for the word in capitals and small letters.
fn either_case(word: &str) -> String {
    let letter = |c: char| {
        let (small, capital) = (c.to_ascii_lowercase(), c.to_ascii_uppercase());
        if small == capital {
            c.to_string()
        } else {
            format!("[{small}{capital}]")
        }
    };
    word.chars().map(letter).collect()
}

fn inner(scope: Scope) -> Value {
    let name = INNER.iter().find(|(known, _)| *known == scope).unwrap().1;
    reference(name)
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/definitions/{name}") })
}

fn any(choices: &[Value]) -> Value {
    json!({ "anyOf": choices })
}

fn list(items: &Value) -> Value {
    json!({ "type": "array", "items": items })
}

fn boolean() -> Value {
    json!({ "type": "boolean" })
}

fn variable() -> Value {
    json!({ "type": "string", "pattern": VARIABLE })
}

/// A text that fits one of these patterns, or has a variable in it.
fn text(patterns: &[&str]) -> Value {
    let all: Vec<&str> = patterns.iter().copied().chain([VARIABLE]).collect();
    json!({ "type": "string", "pattern": all.join("|") })
}

/// In draft 7 nothing beside a `$ref` counts, so that it stands in an `allOf` of its own.
fn described(value: Value, description: &str) -> Value {
    let mut value = match value.get("$ref") {
        Some(_) => json!({ "allOf": [value] }),
        None => value,
    };
    put(&mut value, "description", json!(description));
    value
}

fn put(value: &mut Value, name: &str, content: Value) {
    let object = value.as_object_mut().unwrap();
    object.insert(name.to_owned(), content);
}
