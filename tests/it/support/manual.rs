//! The manual pages in mdoc(7), made from the tables of verbs, flags, exit codes and keys. The prose
//! between the tables is written here.

use std::fmt::Write as _;

use lockkeeper::cli::flags::{FLAGS, Flag, LOCK_VERBS, PAUSE_VERBS, VERBS, VerbInfo};
use lockkeeper::config::keys::{Key, Scope, Shape, of};
use lockkeeper::exit;

use crate::readme::value;

/// In the last line of each page.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// When the prose was last changed: mdoc wants a date.
const DATE: &str = "November 21, 2026";

/// `lockkeeper(1)`.
pub(crate) fn program() -> String {
    let mut page = head("LOCKKEEPER 1", "lockkeeper");
    page.push_str(
        ".Nd a tiny init for the containers in which AI coding agents run\n.Sh SYNOPSIS\n",
    );
    for info in VERBS {
        for line in info.synopsis {
            synopsis(&mut page, line);
        }
    }
    page.push_str(PROGRAM);
    page.push_str(".Sh VERBS\n.Bl -tag -width Ds\n");
    for info in VERBS.iter().chain(LOCK_VERBS).chain(PAUSE_VERBS) {
        verb(&mut page, info);
    }
    page.push_str(
        ".El\n.Sh OPTIONS\nA\n.Ar TIME\nis 90, 90s, 10m, 2h or 1h 30m; a bare number is seconds.\n",
    );
    page.push_str(".Bl -tag -width Ds\n");
    for one in FLAGS {
        flag(&mut page, one);
    }
    page.push_str(".El\n");
    page.push_str(SURROUNDINGS);
    page.push_str(".Sh EXIT STATUS\n.Bl -tag -width \"0 or 1\"\n");
    for (code, meaning) in exit::TABLE {
        writeln!(page, ".It {code}\n{}", running(meaning)).unwrap();
    }
    page.push_str(".El\n");
    page.push_str(EXAMPLES);
    page
}

/// `lockkeeper.toml(5)`.
pub(crate) fn file() -> String {
    let mut page = head("LOCKKEEPER.TOML 5", "lockkeeper.toml");
    page.push_str(".Nd the configuration of lockkeeper\n");
    page.push_str(FILE);
    page.push_str(".Sh KEYS\n");
    let both = |key: &&Key| {
        [Scope::Class, Scope::Job]
            .iter()
            .all(|s| key.scopes.contains(s))
    };
    section(&mut page, Scope::Init.place(), of(Scope::Init));
    section(&mut page, Scope::Lock.place(), of(Scope::Lock));
    let class = of(Scope::Class).filter(|key| !both(key));
    section(&mut page, Scope::Class.place(), class);
    let job = of(Scope::Job).filter(|key| !both(key));
    section(&mut page, Scope::Job.place(), job);
    let shared = "[classes.NAME] and [jobs.NAME]";
    section(&mut page, shared, of(Scope::Class).filter(both));
    for scope in [
        Scope::Final,
        Scope::Pause,
        Scope::Stop,
        Scope::Restart,
        Scope::Pty,
        Scope::Rlimits,
        Scope::Cgroup,
        Scope::OnEvent,
    ] {
        section(&mut page, scope.place(), of(scope));
    }
    page.push_str(FILE_FILES);
    page.push_str(".Sh EXAMPLES\n.Bd -literal\n");
    page.push_str(&literal(EXAMPLE));
    page.push_str(".Ed\n.Sh SEE ALSO\n.Xr lockkeeper 1 ,\n.Xr signal 7\n");
    page
}

/// The example of `lockkeeper.toml(5)`.
pub(crate) const EXAMPLE: &str = r#"[init]
stop_within = "25s"

[classes.batch]
identity = "/home/agent/.claude"
timeout = "2h"
idle_timeout = "15m"
final = { line = '"type":"result"', failed = '"is_error":true' }

[jobs.dev]
class = "batch"
command = ["claude", "-p", "--output-format=stream-json", "go on"]
dir = "/srv/work"
every = "5m"

[classes.interactive]
identity = "env:ANTHROPIC_API_KEY"

[jobs.chat]
class = "interactive"
command = ["claude"]
start = "manual"
"#;

fn head(title: &str, name: &str) -> String {
    format!(
        ".\\\" Made from the program's tables: UPDATE=1 cargo nextest run -E 'test(manual::)'\n\
         .Dd {DATE}\n.Dt {title}\n.Os lockkeeper {VERSION}\n.Sh NAME\n.Nm {name}\n"
    )
}

/// A line of a synopsis: each of its parts on a line of its own, as lines are broken between those alone.
fn synopsis(page: &mut String, line: &str) {
    page.push_str(".Nm");
    let (mut depth, mut after_flag) = (0, false);
    for word in line.split(' ') {
        let opened = word.trim_start_matches('[');
        let is_value = opened.starts_with(|c: char| c.is_ascii_uppercase());
        let goes_on = depth > 0 || after_flag && is_value;
        page.push_str(if goes_on { " " } else { "\n." });
        for _ in opened.len()..word.len() {
            page.push_str("Oo ");
            depth += 1;
        }
        let name = opened.split([']', '.']).next().unwrap_or_default();
        let (kind, shown) = match name.strip_prefix('-') {
            Some(flag) => ("Fl ", flag),
            None if is_value => ("Ar ", name),
            None if name.is_empty() || name == "|" => ("", name),
            None => ("Cm ", name),
        };
        page.push_str(kind);
        page.push_str(shown);
        // What is left is `...`, `]`, or both.
        let mut rest = opened.strip_prefix(name).unwrap_or_default();
        while !rest.is_empty() {
            let joined = if page.ends_with(' ') { "" } else { " Ns " };
            if let Some(behind) = rest.strip_prefix("...") {
                page.push_str(joined);
                page.push_str("...");
                rest = behind;
            } else {
                page.push_str(" Oc");
                depth -= 1;
                rest = rest.get(1..).unwrap_or_default();
            }
        }
        after_flag = name.len() > 2 && name.starts_with("--") || name == "-c";
    }
    page.push('\n');
}

fn verb(page: &mut String, info: &VerbInfo) {
    writeln!(page, ".It Cm {}\n{}.", info.name, capital(info.doc)).unwrap();
}

fn flag(page: &mut String, flag: &Flag) {
    page.push_str(".It ");
    if let Some(short) = flag.short {
        write!(page, "Fl {short} , ").unwrap();
    }
    write!(page, "Fl -{}", flag.long).unwrap();
    if let Some(value) = flag.value {
        write!(page, " Ar {value}").unwrap();
    }
    page.push('\n');
    // A row of `--help` has no place to say what FILE is.
    if flag.doc.starts_with("else ") {
        page.push_str("The configuration;\n");
        writeln!(page, "{}.", running(flag.doc)).unwrap();
    } else {
        writeln!(page, "{}.", capital(flag.doc)).unwrap();
    }
    let verbs: Vec<&str> = flag.verbs.iter().map(|verb| verb.name()).collect();
    if verbs.is_empty() {
        page.push_str("With every verb.\n");
    } else {
        writeln!(page, "With\n.Cm {} .", verbs.join(" , ")).unwrap();
    }
}

fn section(page: &mut String, title: &str, keys: impl Iterator<Item = &'static Key>) {
    writeln!(page, ".Ss {}\n.Bl -tag -width Ds", running(title)).unwrap();
    for key in keys.filter(|key| key.shape != Shape::NotBuilt) {
        let value = running(&value(key.shape));
        writeln!(page, ".It Ic {}\n{}.", key.name, capital(key.doc)).unwrap();
        writeln!(page, ".br\nValue: {value}.").unwrap();
        if key.default.starts_with("required") {
            writeln!(page, "{}.", capital(key.default)).unwrap();
        } else {
            writeln!(page, "Without it: {}.", running(key.default)).unwrap();
        }
    }
    page.push_str(".El\n");
}

/// A sentence of the tables, with a capital at its beginning where it begins with a word.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().unwrap_or_default();
    let word = text.split(' ').next().unwrap_or_default();
    if word
        .chars()
        .all(|c| c.is_ascii_lowercase() || ",:".contains(c))
    {
        running(&format!(
            "{}{}",
            first.to_ascii_uppercase(),
            letters.as_str()
        ))
    } else {
        running(text)
    }
}

/// Text as a line of its own: a word in backticks is one of the program's.
fn running(text: &str) -> String {
    let mut out = String::new();
    for (i, piece) in text.replace('…', "...").split('`').enumerate() {
        // What stands between two backticks is every second piece.
        out.push_str(match i {
            0 => "",
            i if i % 2 == 1 => "\\fB",
            _ => "\\fP",
        });
        out.push_str(&piece.replace('\\', "\\e").replace('~', "\\(ti"));
    }
    if out.starts_with(['.', '\'']) {
        out.insert_str(0, "\\&");
    }
    out
}

/// Lines that stand as they are.
fn literal(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('\'', "\\(aq");
    text.replace('-', "\\-").replace('~', "\\(ti")
}

const PROGRAM: &str = "\
.Sh DESCRIPTION
.Nm
is the ENTRYPOINT of a container.
It starts the jobs of its file
.Pq Xr lockkeeper.toml 5 ,
collects every process that is left over, and stops all of them in order.
.Pp
Batch jobs that use one login take turns on a lock that all containers share; interactive ones never
wait for it.
The lock is held until the last process of a job is gone, and free as soon as it is, whoever is
killed at whatever moment.
.Pp
The same can be had for one command, without a file:
.Cm run
takes the place of
.Xr flock 1
and
.Xr timeout 1 .
Without a verb
.Nm
is
.Cm init .
";

const SURROUNDINGS: &str = "\
.Sh SIGNALS
What is sent to
.Nm
itself:
.Bl -tag -width Ds
.It TERM , INT
Stop: each command gets its stop signal, then its grace, then KILL.
Under init that is all runs at once, within
.Ic stop_within .
A second one, from a second after the first, kills at once.
A run that waits gives up its place in the queue.
.It HUP
Init reads its file again; a run stops.
.It QUIT , USR1 , USR2 , WINCH , CONT and the real-time signals
Passed on to the command; held for it while it waits.
Init without a main job does nothing.
.It TSTP , TTIN , TTOU
The command is stopped until CONT comes.
Init without a main job does nothing.
.El
.Pp
The key
.Ic signals
of
.Xr lockkeeper.toml 5
says otherwise.
.Sh ENVIRONMENT
.Bl -tag -width Ds
.It Ev LOCKKEEPER_CONFIG
The file, where no
.Fl c
names one; empty, it names none.
.It Ev LOCKKEEPER_SOCKET
The socket of init, where no
.Fl -socket
names one.
.It Ev LOCKKEEPER_LOG
What notes look like on standard error,
.Ql text
or
.Ql json ;
it goes before the file.
.It Ev LOCKKEEPER_EVENT_LOG
A folder in which each run writes down its events, to replay them.
.It Ev XDG_RUNTIME_DIR
Where records of this container lie if
.Pa /run/lockkeeper
cannot be used.
.It Ev NOTIFY_SOCKET
Init tells the one who started it that it is ready, by
.Xr sd_notify 3 .
.El
.Pp
Each command gets
.Ev LOCKKEEPER_JOB ,
.Ev LOCKKEEPER_CLASS
and
.Ev LOCKKEEPER_RUN_ID ;
.Ev LOCKKEEPER_OUTER_RUNS ,
by which a run inside a run is known; and where a key asks for it a
.Ev NOTIFY_SOCKET
of its own.
.Sh FILES
.Bl -tag -width Ds
.It Pa /etc/lockkeeper.toml
The file, where nothing else is named.
.It Pa session.lock
The lock of a login, in the login's own folder, which all containers mount.
Beside it
.Pa session.lock.d
has the records of who holds it and who waits.
.It Pa /run/lockkeeper
The socket of init and the records of this container; else a folder in
.Ev XDG_RUNTIME_DIR
or
.Pa /dev/shm .
.It Pa /var/log/lockkeeper
What jobs say, where
.Ic output
is
.Ql file
or
.Ql both .
.El
";

const EXAMPLES: &str = "\
.Sh EXAMPLES
Init of a container, with the jobs of a file:
.Pp
.Dl lockkeeper \\-c /etc/lockkeeper.toml
.Pp
One command at a time on a lock, waiting ten minutes at most and running two hours at most:
.Pp
.Dl lockkeeper run \\-\\-lock /tmp/l \\-\\-wait 10m \\-\\-timeout 2h \\-\\- make
.Pp
One agent at a time in a directory:
.Pp
.Dl lockkeeper run \\-\\-dir\\-lock /srv/work \\-\\- claude \\-p \\(dqgo on\\(dq
.Pp
Who holds the lock, and who waits:
.Pp
.Dl lockkeeper status /srv/claude/session.lock
.Sh SEE ALSO
.Xr flock 1 ,
.Xr journalctl 1 ,
.Xr timeout 1 ,
.Xr flock 2 ,
.Xr lockkeeper.toml 5 ,
.Xr cgroups 7 ,
.Xr signal 7
";

const FILE: &str = "\
.Sh DESCRIPTION
A file in TOML says what
.Xr lockkeeper 1
does: jobs, which are commands; classes, of which each job has one and inherits what it does not say
itself; and locks, where those that follow from a login are not enough.
.Ql lockkeeper check
tells all that is wrong with a file, each with its place.
.Pp
The classes
.Ic batch
and
.Ic interactive
are built in, and a table of that name refines one.
The lock of a batch class follows from its identity, and an interactive class cannot have one.
A job may set its class's limits anew, never its kind.
.Pp
.Ql ${NAME}
and
.Ql ${NAME:-default}
are replaced by variables of the environment everywhere but in
.Ic command .
.Pp
Values that need a word:
.Bl -tag -width Ds
.It time
A text such as
.Ql 90s ,
.Ql 10m ,
.Ql 2h
or
.Ql 1h 30m .
.It size
A text such as
.Ql 512k ,
.Ql 10M
or
.Ql 2G ,
in powers of 1024.
.It name of a signal
As
.Xr kill 1
has it, with or without SIG; a number; or
.Ql RTMIN+3 .
.It table of signals
.Ql { USR1 = \\(dqTERM\\(dq, HUP = \\(dqdrop\\(dq } :
each and what stands in its place.
.El
";

const FILE_FILES: &str = "\
.Sh FILES
.Bl -tag -width Ds
.It Pa /etc/lockkeeper.toml
Where
.Xr lockkeeper 1
looks if nothing else is named.
.It Pa lockkeeper.schema.json
The same keys for editors, as a JSON Schema: a first line
.Ql #:schema PATH
names it to them.
.El
";
