//! What the verbs have in common: finding the file, reading it, and telling what is wrong.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::path::{Path, PathBuf};

use nix::sys::utsname;

use crate::cli::print;
use crate::config::load::{self, Loaded};
use crate::config::plan::ClassPlan;
use crate::core::shell::Command;
use crate::exit;
use crate::lock::fault::Quoted;
use crate::run::start::Refused;
use crate::sys::fd;
use crate::trouble;

/// Where the file is looked for when nothing names one.
pub const DEFAULT_CONFIG: &str = "/etc/lockkeeper.toml";

/// The file: what `-c` names, else `$LOCKKEEPER_CONFIG`, else the default.
pub fn config_path(named: Option<&Path>) -> PathBuf {
    named
        .map(Path::to_owned)
        .or_else(from_environment)
        .unwrap_or_else(|| DEFAULT_CONFIG.into())
}

/// Whether neither `-c` nor the environment names a file, so that there need be none.
pub(super) fn nothing_names_one(named: Option<&Path>) -> bool {
    named.is_none() && from_environment().is_none()
}

/// An empty variable names none, as everywhere: engines set those that they have no value for.
fn from_environment() -> Option<PathBuf> {
    let named = env::var_os("LOCKKEEPER_CONFIG").filter(|path| !path.is_empty());
    named.map(PathBuf::from)
}

/// Where people put the file, and we do not look.
const ELSEWHERE: [&str; 4] = [
    "lockkeeper.toml",
    "/etc/lockkeeper/lockkeeper.toml",
    "/etc/lockkeeper/config.toml",
    "/lockkeeper.toml",
];

/// A file that lies where it is not looked for.
pub(super) fn elsewhere() -> Option<PathBuf> {
    let mut places = ELSEWHERE.iter().map(Path::new);
    places.find(|path| path.is_file()).map(Path::to_owned)
}

/// That there is no file, and nothing names one: what to do then.
pub(super) fn no_file() -> Refused {
    let text = format!(
        "nothing to run: {}\n  \
         = run a command without a file: lockkeeper -- COMMAND...\n  \
         = all there is: `lockkeeper --help`",
        no_file_is(|path| Command::on("lockkeeper -c", path).to_string())
    );
    refused(exit::CONFIG, text)
}

/// The same in words, with the ways to one; `taking` is the command that takes the file at a path.
pub(super) fn no_file_is(taking: impl Fn(&Path) -> String) -> String {
    let what = match elsewhere() {
        Some(path) => format!(
            "{} is there, and not looked for: {}, or move it to {DEFAULT_CONFIG}",
            Quoted(&path),
            taking(&path)
        ),
        None => format!(
            "see what is here, and the file that fits: `lockkeeper check`\n  \
             = save that file: `lockkeeper check --toml > {DEFAULT_CONFIG}`"
        ),
    };
    format!(
        "neither -c nor $LOCKKEEPER_CONFIG names a file, and {DEFAULT_CONFIG} does not exist\n  \
         = {what}"
    )
}

#[expect(clippy::needless_pass_by_value, reason = "what `is_err_and` gives")]
pub(super) fn is_missing(error: io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

/// Reads the file, or says all that is wrong with it.
pub fn load(path: &Path) -> Result<Loaded, Refused> {
    load::read(path).map_err(|problems| refused(exit::CONFIG, problems.to_string()))
}

/// The class of that name: of the file if one was read, else a built-in one.
pub fn class(loaded: Option<&Loaded>, name: &str) -> Result<ClassPlan, Refused> {
    let classes = loaded.map_or_else(load::built_in, |loaded| loaded.classes.clone());
    let names: Vec<String> = classes
        .iter()
        .map(|class| format!("\"{}\"", class.name))
        .collect();
    classes
        .into_iter()
        .find(|class| class.name == name)
        .ok_or_else(|| {
            let known = names.join(", ");
            refused(
                exit::CONFIG,
                format!("no class is named \"{name}\": there are {known}"),
            )
        })
}

/// What a run without a job is called: the base name of its command.
pub fn job_name(command: &[OsString]) -> String {
    let program = command.first().map(Path::new).and_then(Path::file_name);
    program.map_or_else(
        || "command".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// The name of this host or container.
pub fn host_name() -> Option<String> {
    Some(
        utsname::uname()
            .ok()?
            .nodename()
            .to_string_lossy()
            .into_owned(),
    )
}

/// Makes the descriptor of `--report` ours, and no longer one of those that the job gets.
pub fn adopt_report(number: RawFd) -> Result<OwnedFd, Refused> {
    fd::adopt_to_write(number).map_err(|errno| {
        let open = "open it for us, as in \"--report 3 3>report.json\"";
        refused(
            exit::USAGE,
            format!(
                "writing the report to descriptor {number}: {}; {open}",
                trouble::why(errno)
            ),
        )
    })
}

/// Says why nothing was started, and gives the exit code.
pub fn tell(refused: &Refused) -> u8 {
    print::last_words(&refused.text);
    refused.code
}

/// A refusal.
pub const fn refused(code: u8, text: String) -> Refused {
    Refused { code, text }
}
