//! Reading a configuration: from a path or from bytes to a plan, or to all that is wrong.

use std::env;
use std::ffi::OsString;
use std::path::Path;

use nix::sys::utsname;
use toml::de::{DeTable, DeValue};

use super::expand::Lookup;
use super::findings::Findings;
use super::plan::{ClassPlan, Plan};
use super::repair::repair;
use super::report::{Finding, Problems, Severity};
use super::resolve::{built_in_class, resolve};
use super::rules;
use super::secrets::Hidden;
use super::sheet::fits_name;
use super::source::{NoText, bytes_of, text_of};
use super::value::Reader;
use crate::core::text::plain;

/// A valid configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// What it means.
    pub plan: Plan,
    /// Its classes, the built-in ones among them: for runs that name a class and no job.
    pub classes: Vec<ClassPlan>,
    /// What works, but probably not as meant.
    pub warnings: Vec<Finding>,
}

impl Loaded {
    /// The class of that name.
    pub fn class(&self, name: &str) -> Option<&ClassPlan> {
        self.classes.iter().find(|class| class.name == name)
    }
}

/// What a configuration is read in.
pub struct Surroundings<'a> {
    /// The environment.
    pub env: &'a Lookup<'a>,
    /// The name of this host or container.
    pub host_name: String,
}

/// Reads a configuration file in the surroundings of this process. The error holds all that is
/// wrong with it, and prints as a report.
pub fn read(path: &Path) -> Result<Loaded, Problems> {
    parse_here(&name_of(path), &bytes(path)?)
}

/// What reports call the file at `path`.
pub fn name_of(path: &Path) -> String {
    plain(&path.display().to_string())
}

/// The bytes of a file at `path`, if they may be a configuration's.
pub fn bytes(path: &Path) -> Result<Vec<u8>, Problems> {
    bytes_of(path).map_err(|no_text| problem(&name_of(path), no_text))
}

/// Reads a configuration from bytes in the surroundings of this process.
pub fn parse_here(name: &str, bytes: &[u8]) -> Result<Loaded, Problems> {
    let env = |variable: &str| -> Option<OsString> { env::var_os(variable) };
    let host_name = match utsname::uname() {
        Ok(host) => host.nodename().to_string_lossy().into_owned(),
        Err(_) => "localhost".to_owned(),
    };
    let around = Surroundings {
        env: &env,
        host_name,
    };
    parse(name, bytes, &around)
}

/// Reads a configuration from bytes; `name` is what reports call the file. Depends on nothing but
/// its arguments.
pub fn parse(name: &str, bytes: &[u8], around: &Surroundings<'_>) -> Result<Loaded, Problems> {
    let text = text_of(bytes).map_err(|no_text| problem(name, no_text))?;
    let mut findings = Findings::default();
    let repaired = repair(text, &mut findings);
    let readable = repaired.as_deref().unwrap_or(text);
    let (root, _) = DeTable::parse_recoverable(readable);
    let mut reader = Reader {
        text,
        env: around.env,
        findings,
    };
    let file = reader.file(root.get_ref());
    let mut findings = reader.findings;
    let resolved = resolve(&file, &around.host_name, &mut findings);
    rules::check(&file, &resolved, around.env, &mut findings);

    let (errors, warnings, more) = if findings.is_empty() {
        Default::default()
    } else {
        let hidden = Hidden::find(root.get_ref(), text, around.env);
        findings.tell(name, text, &hidden)
    };
    if !errors.is_empty() {
        return Err(Problems { errors, more });
    }
    Ok(Loaded {
        plan: Plan {
            init: resolved.init,
            jobs: resolved.jobs.into_iter().map(|job| job.plan).collect(),
        },
        classes: resolved
            .classes
            .into_iter()
            .map(|class| class.plan)
            .collect(),
        warnings,
    })
}

const BUILT_IN: [&str; 2] = ["classes.batch\n", "classes.interactive\n"];

/// The classes that a file's jobs can name, as `classes.NAME`, and its jobs, as `jobs.NAME`, one a line.
/// Whatever else is wrong with the file does not matter.
pub fn names(bytes: &[u8]) -> String {
    let text = text_of(bytes).unwrap_or_default();
    let repaired = repair(text, &mut Findings::default());
    let (root, _) = DeTable::parse_recoverable(repaired.as_deref().unwrap_or(text));
    let mut lines = BUILT_IN.concat();
    for (table, value) in root.get_ref() {
        let table: &str = table.get_ref();
        let DeValue::Table(named) = value.get_ref() else {
            continue;
        };
        if !["classes", "jobs"].contains(&table) {
            continue;
        }
        for name in named.keys().filter(|name| fits_name(name.get_ref())) {
            let line = format!("{table}.{}\n", name.get_ref());
            if !BUILT_IN.contains(&&*line) {
                lines.push_str(&line);
            }
        }
    }
    lines
}

/// The same for the jobs of an init, which answers with whatever it has.
pub fn job_names<'n>(jobs: impl Iterator<Item = &'n str>) -> String {
    let fitting = jobs.filter(|name| fits_name(name));
    fitting.flat_map(|name| ["jobs.", name, "\n"]).collect()
}

/// The classes where there is no file.
pub fn built_in() -> Vec<ClassPlan> {
    ["batch", "interactive"].map(built_in_class).into()
}

fn problem(name: &str, no_text: NoText) -> Problems {
    Problems {
        errors: vec![Finding {
            severity: Severity::Error,
            file: name.to_owned(),
            place: None,
            message: no_text.message,
            help: no_text.help,
        }],
        more: 0,
    }
}
