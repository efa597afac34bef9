//! The JSON Schema of the TOML: made from the table of keys, and judged by a validator of others.
//!
//! `UPDATE=1` writes it anew; read the difference before it is committed.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use lockkeeper::config::keys::{KEYS, Scope, Shape};
use lockkeeper::config::{Surroundings, parse};
use serde_json::{Value, json};

use super::support::made::{root, stands};
use super::support::need::{need, validator};
use super::support::schema::schema;

const PATH: &str = "packaging/lockkeeper.schema.json";

/// What is wrong with each text by the schema; `None`: it is no TOML.
fn judged(files: &[String]) -> Vec<Option<Vec<String>>> {
    let script = root().join("tests/it/support/schema.py");
    let mut command = Command::new(validator().unwrap());
    command.arg(script);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let asked = json!({ "schema": schema(), "files": files }).to_string();
    let mut input = child.stdin.take().unwrap();
    // It reads all before it writes, so that nobody waits for the other.
    input.write_all(asked.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let told = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<_> = told
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), files.len());
    answers
}

/// The TOML files of a folder and their contents.
fn files(folder: &str) -> Vec<(PathBuf, String)> {
    let mut paths: Vec<PathBuf> = fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "toml"))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "{folder}");
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        (path, text)
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn the_schema_is_the_one_that_the_table_of_keys_makes() {
    let text = serde_json::to_string_pretty(&schema()).unwrap();
    stands(PATH, &(text + "\n"));
}

#[test]
fn the_schema_takes_every_example_and_every_valid_golden_file() {
    need!("jsonschema");
    let folders = [
        "config",
        "tests/golden/config/valid",
        "tests/golden/config/warnings",
    ];
    let all: Vec<_> = folders.into_iter().flat_map(files).collect();
    let texts: Vec<String> = all.iter().map(|(_, text)| text.clone()).collect();
    let mut wrong = String::new();
    for ((path, _), answer) in all.iter().zip(judged(&texts)) {
        if answer.as_ref().is_none_or(|errors| !errors.is_empty()) {
            writeln!(wrong, "{}: {answer:#?}", path.display()).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Golden error files in which each value is right by itself: what is wrong is what they mean
/// together, or what a variable stands for, and no schema says that.
const OF_MEANING: &[&str] = &["after_circle.toml", "jobs_together.toml", "variables.toml"];

#[test]
fn the_schema_refuses_every_golden_error_but_those_of_meaning() {
    need!("jsonschema");
    let all = files("tests/golden/config/errors");
    let texts: Vec<String> = all.iter().map(|(_, text)| text.clone()).collect();
    let mut taken = Vec::new();
    for ((path, _), answer) in all.iter().zip(judged(&texts)) {
        if answer.is_some_and(|errors| errors.is_empty()) {
            taken.push(path.file_name().unwrap().to_str().unwrap());
        }
    }
    assert_eq!(taken, OF_MEANING);
}

/// Values of all kinds, right for some keys and wrong for the others.
#[rustfmt::skip]
const VALUES: &[&str] = &[
    "true", "false", "0", "1", "-1", "19", "24", "5000", "1000000", "1.5", "1979-05-27", "''", "'a'",
    "'/'", "'/a'", "'~/a'", "'a/b'", "'${HOME}'", "'$HOME'", "'env:KEY'", "'env:'", "'forever'",
    "'0s'", "'1ms'", "'500ms'", "'10s'", "'1.5h'", "'2 hours 30min'", "'2h30m'", "' 1d '", "'10M'", "'10'",
    "'1 week'", "'20 years'", "'4k'", "'4096'", "'1GiB'", "'2 MB'", "'1Tb'", "'10 apples'", "'unlimited'",
    "'infinity'", "'022'", "'0777'", "'999'", "'50%'", "'0%'", "'+50 %'", "'150.5%'", "'batch'", "'auto'",
    "'never'", "'always'", "'text'", "'inherit'", "'both'", "'drop'", "'TERM'", "'sigint'", "'KILL'",
    "'RTMIN+3'", "'rtmax'", "'15'", "'SIG15'", "'64'", "'exit'", "'boot'", "'fail'", "'l'", "'a:ready'", "'a:b'",
    "[]", "['']", "['a']", "['/a']", "['/a', '${HOME}/b']", "[1]", "['a', 2]", "['a=b']", "['$A']",
    "['ended']", "['LOCKKEEPER_JOB']", "['a:succeeded']", "{}", "{ A = 'b' }", "{ A = '' }", "{ A = 1 }",
    "{ A = { file = '/a' } }", "{ A = { file = 'a' } }", "{ LOCKKEEPER_JOB = 'b' }", "{ TERM = 'INT' }",
    "{ term = 'drop', HUP = 10 }", "{ KILL = 'INT' }", "{ USR1 = 'STOP' }", "{ USR1 = 'none' }",
    "{ soft = 1 }", "{ soft = '1', hard = 'unlimited' }", "{ soft = 1, max = 2 }", "{ line = 'a' }",
    "{ grace = '1s' }", "{ signal = 'INT' }", "{ signal = 2 }", "{ signal = 'CHLD' }", "{ rows = 1 }",
    "{ rows = 0 }", "{ nofile = 64 }", "{ memory_max = '1G' }", "{ when = 'always' }",
    "{ command = ['a'] }", "{ command = ['a'], kinds = ['ended'] }", "{ limit = 1, then = 'exit' }",
];

/// A file in which the key of that scope has that value, and nothing else is wrong.
fn with(scope: Scope, key: &str, value: &str) -> String {
    let job = "[jobs.a]\nclass = 'batch'\ncommand = ['a']\n";
    let line = format!("{key} = {value}\n");
    let inside = |table: &str| {
        let more = match (table, key) {
            ("final" | "pause", "line") | ("on_event", "command") => "",
            ("final" | "pause", _) => "line = 'a', ",
            ("on_event", _) => "command = ['a'], ",
            ("restart", "within" | "then") => "limit = 1, ",
            _ => "",
        };
        format!("{table} = {{ {more}{key} = {value} }}\n")
    };
    let login = "[classes.batch]\nidentity = '/login'\n";
    match scope {
        Scope::Init => format!("[init]\n{line}{job}"),
        Scope::OnEvent => format!("[init]\n{}{job}", inside("on_event")),
        Scope::Lock if key == "path" => format!("[locks.l]\n{line}{job}"),
        Scope::Lock => format!("[locks.l]\npath = '/l'\n{line}{job}"),
        Scope::Class if key == "identity" => format!("[classes.batch]\n{line}{job}"),
        Scope::Class if key == "lock" => format!("[locks.l]\npath = '/l'\n{login}{line}{job}"),
        Scope::Class if ["on_conflict", "subtree"].contains(&key) => {
            format!("{login}dir_lock = '/a'\n{line}{job}")
        }
        Scope::Class => format!("{login}{line}{job}"),
        Scope::Job if key == "class" => format!("[jobs.a]\ncommand = ['a']\n{line}"),
        Scope::Job if key == "command" => format!("[jobs.a]\nclass = 'batch'\n{line}"),
        Scope::Job if key == "jitter" => format!("{job}every = '1h'\n{line}"),
        Scope::Job if key.starts_with("log_") => format!("{job}output = 'file'\n{line}"),
        Scope::Job if ["on_conflict", "subtree"].contains(&key) => {
            format!("{job}dir_lock = '/a'\n{line}")
        }
        Scope::Job => format!("{job}{line}{login}"),
        Scope::Final => format!("{job}{}", inside("final")),
        Scope::Pause => format!("{job}{}{login}", inside("pause")),
        Scope::Stop => format!("{job}{}", inside("stop")),
        Scope::Restart => format!("{job}{}", inside("restart")),
        Scope::Rlimits => format!("{job}{}", inside("rlimits")),
        Scope::Cgroup => format!("{job}{}", inside("cgroup")),
        Scope::Pty => format!("{job}{}", inside("pty")),
    }
}

#[test]
fn the_schema_takes_each_value_of_each_key_that_the_program_takes() {
    need!("jsonschema");
    let around = Surroundings {
        env: &|name| (name == "HOME").then(|| "/home/agent".into()),
        host_name: "host".to_owned(),
    };
    let mut texts = Vec::new();
    let mut places = Vec::new();
    for key in KEYS.iter().filter(|key| key.shape != Shape::NotBuilt) {
        for scope in key.scopes {
            for value in VALUES {
                texts.push(with(*scope, key.name, value));
                places.push((key.name, *scope));
            }
        }
    }
    let (mut wrong, mut lax, mut taken) = (String::new(), 0, Vec::new());
    for ((text, place), answer) in texts.iter().zip(places).zip(judged(&texts)) {
        let fits = answer.is_some_and(|errors| errors.is_empty());
        let right = parse("f", text.as_bytes(), &around).is_ok();
        if right && !fits {
            writeln!(
                wrong,
                "the program takes it, and the schema does not:\n{text}"
            )
            .unwrap();
        }
        if right && !taken.contains(&place) {
            taken.push(place);
        }
        lax += usize::from(fits && !right);
    }
    assert!(wrong.is_empty(), "{wrong}");
    // What only the program refuses are bounds of times and sizes, and what several keys mean.
    assert!(lax * 10 < texts.len(), "{lax} of {}", texts.len());
    let never: Vec<_> = KEYS
        .iter()
        .filter(|key| key.shape != Shape::NotBuilt)
        .flat_map(|key| key.scopes.iter().map(|scope| (key.name, *scope)))
        .filter(|place| !taken.contains(place))
        .collect();
    assert!(never.is_empty(), "no value fits: {never:?}");
}

#[test]
fn every_example_names_the_schema_in_its_first_line_and_the_schema_is_there() {
    for (path, text) in files("config") {
        let named = text.strip_prefix("#:schema ").unwrap_or_default();
        let named = named.lines().next().unwrap_or_default();
        let file = path.with_file_name(named).canonicalize();
        let schema = root().join(PATH).canonicalize().unwrap();
        assert_eq!(file.unwrap(), schema, "{}", path.display());
        let _: Value = serde_json::from_str(&fs::read_to_string(schema).unwrap()).unwrap();
    }
}
