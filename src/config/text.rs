//! What a text means for its key: a time, a word, a signal, a path, an identity.
//!
//! Each of these gets the text twice: as the file writes it, for messages, and with its variables
//! replaced. What a variable stands for may be a secret, and is never repeated.

use std::path::PathBuf;
use std::time::Duration;

use super::keys::{Key, Unit};
use super::nearest::nearest;
use super::plan::{Identity, UNLIMITED, Wait};
use super::report::shown;
use super::signals;
use super::value::Value;

/// A longer time is a slip, and sums of shorter ones cannot overflow a clock.
const LONGEST: Duration = Duration::from_hours(24 * 365 * 10);

/// What is wrong, and what to do.
pub(crate) type Wrong = (String, String);

/// Why no variable can have this name.
pub(crate) fn unfit_name(name: &str) -> Option<Wrong> {
    if name.is_empty() || name.contains(['=', '\0']) {
        let message = format!("`{}` cannot be the name of a variable", shown(name));
        return Some((
            message,
            "a name has at least one letter and no `=`".to_owned(),
        ));
    }
    if ["LOCKKEEPER_JOB", "LOCKKEEPER_CLASS", "LOCKKEEPER_RUN_ID"].contains(&name) {
        let message = format!("{name} is set by lockkeeper itself, for every run");
        return Some((message, "take it out".to_owned()));
    }
    None
}

pub(crate) fn time(
    key: &Key,
    raw: &str,
    text: &str,
    least: Duration,
    forever: bool,
) -> Result<Value, Wrong> {
    if text == "forever" {
        return if forever {
            Ok(Value::Time(Wait::Forever))
        } else {
            let message = format!("`{}` cannot be \"forever\"", key.name);
            Err((
                message,
                format!("write a time, such as \"{}\"", example(key)),
            ))
        };
    }
    let time = humantime::parse_duration(text).map_err(|error| no_time(key, raw, text, &error))?;
    // humantime reads M as months, and a job that waits ten of them for its lock helps nobody.
    if text.contains('M') {
        let message = format!("`{}` is \"{}\", and M means months", key.name, shown(raw));
        return Err((message, "m is minutes, d is days".to_owned()));
    }
    if time < least {
        let message = format!(
            "`{}` is \"{}\", and must be at least {}",
            key.name,
            shown(raw),
            humantime::format_duration(least)
        );
        return Err((message, too_short(key, forever).to_owned()));
    }
    if time > LONGEST {
        let message = format!("`{}` is longer than ten years", key.name);
        let help = if forever {
            "write \"forever\""
        } else {
            "write a shorter time"
        };
        return Err((message, help.to_owned()));
    }
    Ok(Value::Time(Wait::AtMost(time)))
}

fn too_short(key: &Key, forever: bool) -> &'static str {
    match key.name {
        _ if forever => "for no limit write \"forever\", or take the key out",
        "every" => "for a command that never pauses, put the loop into the command",
        _ => "write a longer time",
    }
}

fn no_time(key: &Key, raw: &str, text: &str, error: &humantime::DurationError) -> Wrong {
    use humantime::DurationError as E;
    let raw = shown(raw);
    let help = match error {
        E::UnknownUnit { unit, .. } if unit.is_empty() => {
            format!(
                "it has no unit: \"{text}s\" is seconds, \"{text}m\" minutes",
                text = shown(text)
            )
        }
        E::UnknownUnit { unit, .. } => {
            format!(
                "`{}` is no unit: use ms, s, m, h or d, as in \"1h 30m\"",
                shown(unit)
            )
        }
        E::NumberOverflow => "the number is too large, or too small a fraction".to_owned(),
        _ => format!("write a number and its unit, such as \"{}\"", example(key)),
    };
    // What a variable stands for is not repeated.
    let help = if raw.contains("${") {
        format!(
            "the variable must hold a time, such as \"{}\"",
            example(key)
        )
    } else {
        help
    };
    (format!("`{}` is no time: \"{raw}\"", key.name), help)
}

/// A time that suits the key.
pub(crate) fn example(key: &Key) -> &'static str {
    match key.default {
        "10m" | "9s" | "30s" | "15s" | "1s" | "6s" | "60s" => key.default,
        "0s" => "30s",
        _ => "15m",
    }
}

/// A number of bytes: a whole number, and k, M or G for its power of 1024.
pub(crate) fn size(key: &Key, raw: &str, text: &str, least: u64) -> Result<Value, Wrong> {
    let (number, unit) = text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    );
    let shift = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => Some(0),
        "k" | "kb" | "kib" => Some(10),
        "m" | "mb" | "mib" => Some(20),
        "g" | "gb" | "gib" => Some(30),
        "t" | "tb" | "tib" => Some(40),
        _ => None,
    };
    let bytes = number
        .parse::<u64>()
        .ok()
        .zip(shift)
        .and_then(|(number, shift)| number.checked_mul(1 << shift));
    let help = || {
        format!(
            "write a number with k, M or G behind it, such as \"{}\"",
            example_size(key)
        )
    };
    match bytes {
        Some(bytes) if bytes < least => {
            let message = format!(
                "`{}` is \"{}\", and must be at least {least} bytes",
                key.name,
                shown(raw)
            );
            Err((message, help()))
        }
        Some(bytes) => Ok(Value::Number(bytes)),
        None => Err((
            format!("`{}` is no size: \"{}\"", key.name, shown(raw)),
            help(),
        )),
    }
}

/// A size that suits the key.
pub(crate) fn example_size(key: &Key) -> &'static str {
    match key.default {
        "10M" => key.default,
        _ => "1G",
    }
}

/// A resource limit as a text.
pub(crate) fn limit(key: &Key, unit: Unit, raw: &str, text: &str) -> Result<u64, Wrong> {
    if text == "unlimited" || text == "infinity" {
        return Ok(UNLIMITED);
    }
    if let (Unit::Each | Unit::Seconds, Ok(number)) = (unit, text.parse()) {
        return Ok(number);
    }
    match unit {
        Unit::Each => {
            let message = format!("`{}` is no number: \"{}\"", key.name, shown(raw));
            Err((message, "write a number, or \"unlimited\"".to_owned()))
        }
        Unit::Bytes => match size(key, raw, text, 0)? {
            Value::Number(bytes) => Ok(bytes),
            _ => Ok(UNLIMITED),
        },
        Unit::Seconds => match time(key, raw, text, Duration::from_secs(1), false)? {
            Value::Time(Wait::AtMost(time)) => Ok(time.as_secs()),
            _ => Ok(UNLIMITED),
        },
    }
}

/// A file mode creation mask.
pub(crate) fn mask(key: &Key, raw: &str, text: &str) -> Result<Value, Wrong> {
    let octal = text.len() <= 4 && text.chars().all(|c| c.is_digit(8));
    let bits = u64::from_str_radix(text, 8).ok();
    bits.filter(|bits| octal && *bits <= 0o777)
        .map(Value::Number)
        .ok_or_else(|| {
            let message = format!("`{}` is no mask: \"{}\"", key.name, shown(raw));
            let help = "write three octal digits: \"022\", or \"077\" to keep all to the user";
            (message, help.to_owned())
        })
}

/// A share of one processor, in microseconds of each tenth of a second (`cpu.max`, Linux,
/// admin-guide/cgroup-v2).
pub(crate) fn percent(key: &Key, raw: &str, text: &str) -> Result<Value, Wrong> {
    let number = text.strip_suffix('%').map(str::trim_end);
    match number.and_then(|number| number.parse::<u32>().ok()) {
        Some(percent @ 1..=1_000_000) => Ok(Value::Number(u64::from(percent) * 1000)),
        _ => Err((
            format!("`{}` is no percentage: \"{}\"", key.name, shown(raw)),
            "100% is one processor: write \"50%\" or \"200%\"".to_owned(),
        )),
    }
}

pub(crate) fn word(
    key: &Key,
    raw: &str,
    text: &str,
    words: &'static [&'static str],
) -> Result<Value, Wrong> {
    if let Some(known) = words.iter().copied().find(|known| *known == text) {
        return Ok(Value::Word(known));
    }
    let message = format!("`{}` cannot be \"{}\"", key.name, shown(raw));
    let help = match nearest(raw, words.iter().copied()) {
        Some(known) => format!("did you mean \"{known}\"?"),
        None => format!("it is one of {}", quoted(words)),
    };
    Err((message, help))
}

pub(crate) fn quoted(words: &[&str]) -> String {
    let all: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    all.join(", ")
}

/// Signals that cannot ask a command to end: it never hears them, or they do something else.
const NO_STOP: &[&str] = &[
    "KILL", "STOP", "CONT", "TSTP", "TTIN", "TTOU", "CHLD", "WINCH",
];

pub(crate) fn signal(raw: &str, text: &str) -> Result<Value, Wrong> {
    let signo = signo(raw, text)?;
    match asks_nobody(signo) {
        Some("KILL") => Err((
            "KILL asks no command to end".to_owned(),
            "to kill without asking write grace = \"0s\"".to_owned(),
        )),
        Some(name) => Err((
            format!("{name} asks no command to end"),
            "use one that commands end on: TERM, INT, HUP or QUIT".to_owned(),
        )),
        None => Ok(Value::Signal(signo)),
    }
}

/// The name of a signal that cannot ask a command to end.
pub(crate) fn asks_nobody(signo: i32) -> Option<&'static str> {
    let (_, name) = signals::names().find(|(known, _)| *known == signo)?;
    NO_STOP.contains(&name).then_some(name)
}

fn signo(raw: &str, text: &str) -> Result<i32, Wrong> {
    if let Some(signo) = signals::number(text) {
        return Ok(signo);
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let help = match nearest(name, signals::names().map(|(_, known)| known)) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => "write a name, such as \"TERM\", \"INT\" or \"HUP\"".to_owned(),
    };
    Err((format!("\"{}\" is no signal", shown(raw)), help))
}

/// Signals of a fault: sent to lockkeeper, they are its own.
const FAULTS: &[&str] = &["SEGV", "BUS", "ILL", "FPE", "ABRT", "TRAP", "SYS"];

/// The signal in whose place another is to stand.
pub(crate) fn rewritten(name: &str) -> Result<i32, Wrong> {
    let from = signo(name, name)?;
    let known = signals::names().find(|(known, _)| *known == from);
    let why = match known.map(|(_, known)| known) {
        Some("KILL" | "STOP") => "the kernel lets nobody catch it",
        Some("CHLD") => "it tells of processes that have ended, and is needed for that",
        Some(known) if FAULTS.contains(&known) => "it is the sign of a fault, and ends lockkeeper",
        _ => return Ok(from),
    };
    let message = format!("nothing can stand in the place of {}", shown(name));
    Err((message, format!("{why}: take it out")))
}

/// What is to stand in a signal's place; `None`: nothing.
pub(crate) fn replacement(raw: &str, text: &str) -> Result<Option<i32>, Wrong> {
    if text == "drop" {
        return Ok(None);
    }
    if text == "0" || nearest(&text.to_ascii_lowercase(), ["drop", "ignore", "none"]).is_some() {
        let message = format!("\"{}\" is no signal", shown(raw));
        return Err((message, "for no signal at all write \"drop\"".to_owned()));
    }
    let to = signo(raw, text)?;
    let known = signals::names().find(|(known, _)| *known == to);
    let help = match known.map(|(_, known)| known) {
        Some("KILL") => "to kill without asking write stop = { grace = \"0s\" }",
        Some("STOP") => "nobody would continue it: write \"TSTP\" for one that can be caught",
        _ => return Ok(Some(to)),
    };
    let message = format!("{} cannot stand in a signal's place", shown(raw));
    Err((message, help.to_owned()))
}

pub(crate) fn identity(key: &Key, raw: &str, text: &str) -> Result<Value, Wrong> {
    if let Some(name) = text.strip_prefix("env:") {
        let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || !name.chars().all(is_part) {
            return Err((
                "`env:` must be followed by the name of a variable".to_owned(),
                "write identity = \"env:ANTHROPIC_API_KEY\"".to_owned(),
            ));
        }
        return Ok(Value::Identity(Identity::Env(name.to_owned())));
    }
    let looks_like_variable = raw == text
        && raw
            .chars()
            .all(|c| c.is_ascii_uppercase() || c == '_' || c.is_ascii_digit());
    if looks_like_variable {
        return Err((
            "`identity` is neither an absolute path nor a variable".to_owned(),
            format!("for the key in that variable write \"env:{}\"", shown(raw)),
        ));
    }
    // One folder is one identity, however it is spelt: no `/` at the end, no `.` inside.
    let folder = path(key, raw, text)?.components().collect();
    Ok(Value::Identity(Identity::Folder(folder)))
}

pub(crate) fn path(key: &Key, raw: &str, text: &str) -> Result<PathBuf, Wrong> {
    absolute(key.name, raw, text)
}

/// The same for what is called `name`.
pub(crate) fn absolute(name: &str, raw: &str, text: &str) -> Result<PathBuf, Wrong> {
    if let Some(tail) = raw.strip_prefix('~') {
        return Err((
            format!("`{name}` begins with `~`, which only a shell replaces"),
            format!("write \"${{HOME}}{}\"", shown(tail)),
        ));
    }
    if !text.starts_with('/') {
        let help = if raw == text {
            "write the whole path, from `/` on"
        } else {
            "the variable in it must hold a path from `/` on"
        };
        return Err((format!("`{name}` is not an absolute path"), help.to_owned()));
    }
    if text.chars().any(char::is_control) {
        return Err((
            format!("`{name}` contains a line break or another control character"),
            "write the path on one line".to_owned(),
        ));
    }
    Ok(PathBuf::from(text))
}
