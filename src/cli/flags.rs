//! The table of verbs and flags.

/// What a person can ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// The ENTRYPOINT; what is meant where no verb is named.
    Init,
    /// One run in the foreground.
    Run,
    /// The file, the mounts, the identities.
    Check,
    /// Jobs and runs here.
    Status,
    /// Ask init to start a job.
    Start,
    /// Ask init to stop a job.
    Stop,
    /// Ask init to stop and start a job.
    Restart,
    /// Ask init to read its file again.
    Reload,
    /// Ask init whether all is well.
    Health,
    /// Directory locks: one of the five below.
    Lock,
    /// All directory locks below some roots.
    LockList,
    /// One lock.
    LockShow,
    /// Remove what dead owners left.
    LockClean,
    /// Hold a directory by hand.
    LockHold,
    /// Give back what was held by hand.
    LockRelease,
    /// Pauses: shown, or set.
    Pause,
    /// End pauses.
    PauseEnd,
    /// Read the journal.
    Logs,
    /// Draw the journal.
    Timeline,
}

/// A verb's row in the table.
#[derive(Debug)]
pub struct VerbInfo {
    /// Which one.
    pub verb: Verb,
    /// As it is typed.
    pub name: &'static str,
    /// How it is used, each line without the program's name.
    pub synopsis: &'static [&'static str],
    /// What it does, one line.
    pub doc: &'static str,
}

/// Every verb, in the order of `--help`.
pub const VERBS: &[VerbInfo] = &[
    VerbInfo {
        verb: Verb::Init,
        name: "init",
        synopsis: &["[init] [-c FILE] [--class CLASS] [-- COMMAND...]"],
        doc: "the ENTRYPOINT of a container; a COMMAND is its main job",
    },
    VerbInfo {
        verb: Verb::Run,
        name: "run",
        synopsis: &[
            "run [-c FILE] JOB",
            "run [-c FILE] --class CLASS [--dir DIR] -- COMMAND...",
            "run [--lock PATH] [--wait TIME] [--timeout TIME] -- COMMAND...",
            "run [--dir-lock DIR]... [--wait TIME] -- COMMAND...",
        ],
        doc: "one run of a job or a command, in the foreground",
    },
    VerbInfo {
        verb: Verb::Check,
        name: "check",
        synopsis: &[
            "check [-c FILE] [--json | --names]",
            "check --toml [--no-versions]",
        ],
        doc: "check the file, the mounts and the identities; 78 on errors",
    },
    VerbInfo {
        verb: Verb::Status,
        name: "status",
        synopsis: &[
            "status [LOCK...] [-c FILE] [--json] [--watch] [--socket PATH]",
            "status [LOCK...] [-c FILE] --metrics [--socket PATH]",
        ],
        doc: "jobs and runs here, holder and queue of each lock",
    },
    VerbInfo {
        verb: Verb::Start,
        name: "start",
        synopsis: &["start JOB [--socket PATH]"],
        doc: "ask the running init to start a job",
    },
    VerbInfo {
        verb: Verb::Stop,
        name: "stop",
        synopsis: &["stop JOB [--no-wait] [--socket PATH]"],
        doc: "ask it to stop a job, and wait until the run is over",
    },
    VerbInfo {
        verb: Verb::Restart,
        name: "restart",
        synopsis: &["restart JOB [--socket PATH]"],
        doc: "ask it to stop a job and start it again",
    },
    VerbInfo {
        verb: Verb::Reload,
        name: "reload",
        synopsis: &["reload [--dry-run] [--socket PATH]"],
        doc: "ask it to read its file again; 78 on errors",
    },
    VerbInfo {
        verb: Verb::Health,
        name: "health",
        synopsis: &["health [JOB] [--socket PATH]"],
        doc: "whether it answers and all is well: 0, else 1",
    },
    VerbInfo {
        verb: Verb::Lock,
        name: "lock",
        synopsis: &[LIST, SHOW, CLEAN, HOLD, RELEASE],
        doc: "list, show, clean, hold and release directory locks",
    },
    VerbInfo {
        verb: Verb::Pause,
        name: "pause",
        synopsis: &[PAUSES, PAUSE, PAUSE_END],
        doc: "keep batch jobs from starting for a while, in all containers",
    },
    VerbInfo {
        verb: Verb::Logs,
        name: "logs",
        synopsis: &["logs [JOB] [-c FILE] [-f] [--since WHEN] [-- OPTION...]"],
        doc: "what the journal, or its file, has of a job; or of all",
    },
    VerbInfo {
        verb: Verb::Timeline,
        name: "timeline",
        synopsis: &[
            "timeline [JOB] [--since WHEN] [--until WHEN] [--lock PATH] [--json]",
            "timeline [JOB] [...] --svg FILE",
            "timeline [JOB] [...] [--from FILE | -- OPTION...]",
        ],
        doc: "who held the lock when, who waited, and how each run ended",
    },
];

const LIST: &str = "lock list [ROOT...] [--json] [--skip NAME] [--no-skip]";
const SHOW: &str = "lock show PATH [--json]";
const CLEAN: &str = "lock clean [ROOT...] [--dry-run] [--json]";
const HOLD: &str = "lock hold DIR --reason TEXT [--by NAME]";
const RELEASE: &str = "lock release DIR [--force]";

const PAUSES: &str = "pause [LOCK...] [-c FILE] [--json]";
const PAUSE: &str = "pause [LOCK...] [-c FILE] --for TIME [--reason TEXT] [--by NAME]";
const PAUSE_END: &str = "pause end [LOCK...] [-c FILE] [--json]";

/// What follows the verb `pause`, as both words are typed.
pub const PAUSE_VERBS: &[VerbInfo] = &[VerbInfo {
    verb: Verb::PauseEnd,
    name: "pause end",
    synopsis: &[PAUSE_END],
    doc: "end all pauses, whoever set them",
}];

/// What follows the verb `lock`, each as both words are typed.
pub const LOCK_VERBS: &[VerbInfo] = &[
    VerbInfo {
        verb: Verb::LockList,
        name: "lock list",
        synopsis: &[LIST],
        doc: "all directory locks below the roots, and how they stand",
    },
    VerbInfo {
        verb: Verb::LockShow,
        name: "lock show",
        synopsis: &[SHOW],
        doc: "one directory's lock, or holder and queue of a shared lock",
    },
    VerbInfo {
        verb: Verb::LockClean,
        name: "lock clean",
        synopsis: &[CLEAN],
        doc: "remove the records of dead owners, and nothing else",
    },
    VerbInfo {
        verb: Verb::LockHold,
        name: "lock hold",
        synopsis: &[HOLD],
        doc: "keep agents out of a directory until it is released",
    },
    VerbInfo {
        verb: Verb::LockRelease,
        name: "lock release",
        synopsis: &[RELEASE],
        doc: "give back a directory that was held by hand",
    },
];

impl Verb {
    /// The verb's row.
    pub fn info(self) -> Option<&'static VerbInfo> {
        let mut all = VERBS.iter().chain(LOCK_VERBS).chain(PAUSE_VERBS);
        all.find(|info| info.verb == self)
    }

    /// As it is typed.
    pub fn name(self) -> &'static str {
        self.info().map_or("", |info| info.name)
    }
}

/// What a flag sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Id {
    /// `--config`.
    Config,
    /// `--class`.
    Class,
    /// `--dir`.
    Dir,
    /// `--lock`.
    Lock,
    /// `--wait`.
    Wait,
    /// `--timeout`.
    Timeout,
    /// `--idle-timeout`.
    IdleTimeout,
    /// `--grace`.
    Grace,
    /// `--dir-lock`.
    DirLock,
    /// `--json`.
    Json,
    /// `--names`.
    Names,
    /// `--toml`.
    Toml,
    /// `--no-versions`.
    NoVersions,
    /// `--skip`; can be given again.
    Skip,
    /// `--no-skip`.
    NoSkip,
    /// `--agentctl`.
    Agentctl,
    /// `--dry-run`.
    DryRun,
    /// `--by`.
    By,
    /// `--reason`.
    Reason,
    /// `--for`.
    For,
    /// `--force`.
    Force,
    /// `--follow`.
    Follow,
    /// `--since`.
    Since,
    /// `--watch`.
    Watch,
    /// `--metrics`.
    Metrics,
    /// `--until`.
    Until,
    /// `--from`.
    From,
    /// `--svg`.
    Svg,
    /// `--socket`.
    Socket,
    /// `--no-wait`.
    NoWait,
    /// `--verbose`.
    Verbose,
    /// `--quiet`.
    Quiet,
    /// `--report`.
    Report,
    /// `--help`.
    Help,
    /// `--version`.
    Version,
}

/// A flag's row in the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Flag {
    /// What it sets.
    pub id: Id,
    /// Its long name, without the dashes.
    pub long: &'static str,
    /// Its short name.
    pub short: Option<char>,
    /// What its value is; `None`: it takes none.
    pub value: Option<&'static str>,
    /// What it does, one line.
    pub doc: &'static str,
    /// The verbs that it belongs to; empty: it can stand everywhere.
    pub verbs: &'static [Verb],
    /// Whether it says how to run a command: what follows it is that command, not a job's name.
    pub of_command: bool,
}

impl Flag {
    /// Whether it can stand with this verb.
    pub fn belongs_to(&self, verb: Verb) -> bool {
        self.verbs.is_empty() || self.verbs.contains(&verb)
    }
}

/// Every flag, in the order of `--help`.
pub const FLAGS: &[Flag] = &[
    Flag {
        short: Some('c'),
        ..with_value(
            Id::Config,
            "config",
            "FILE",
            "else $LOCKKEEPER_CONFIG, else /etc/lockkeeper.toml",
            &[
                Verb::Init,
                Verb::Run,
                Verb::Check,
                Verb::Status,
                Verb::Logs,
                Verb::Pause,
                Verb::PauseEnd,
            ],
        )
    },
    of_command(
        Id::Class,
        "class",
        "CLASS",
        "the class of the file that the command runs in",
        &[Verb::Init, Verb::Run],
    ),
    of_command(
        Id::Dir,
        "dir",
        "DIR",
        "the directory to run the command in",
        &[Verb::Run],
    ),
    of_command(
        Id::Lock,
        "lock",
        "PATH",
        "hold it until all has ended; timeline: its runs alone",
        &[Verb::Run, Verb::Timeline],
    ),
    of_command(
        Id::Wait,
        "wait",
        "TIME",
        "time to wait for the locks, or forever (10m)",
        &[Verb::Run],
    ),
    of_command(
        Id::Timeout,
        "timeout",
        "TIME",
        "end the command this long after its start",
        &[Verb::Run],
    ),
    of_command(
        Id::IdleTimeout,
        "idle-timeout",
        "TIME",
        "end the command after this long without output",
        &[Verb::Run],
    ),
    of_command(
        Id::Grace,
        "grace",
        "TIME",
        "the time between SIGTERM and what is harder (15s)",
        &[Verb::Run],
    ),
    of_command(
        Id::DirLock,
        "dir-lock",
        "DIR",
        "one agent in this directory; can be repeated",
        &[Verb::Run],
    ),
    plain(
        Id::Json,
        "json",
        None,
        "one JSON object in place of text",
        &[
            Verb::Check,
            Verb::Status,
            Verb::LockList,
            Verb::LockShow,
            Verb::LockClean,
            Verb::Pause,
            Verb::PauseEnd,
            Verb::Timeline,
        ],
    ),
    plain(
        Id::Names,
        "names",
        None,
        "the names alone, one a line: of jobs and classes",
        &[Verb::Check, Verb::Status],
    ),
    plain(
        Id::Toml,
        "toml",
        None,
        "print a file that fits what is here, ready to save",
        &[Verb::Check],
    ),
    plain(
        Id::NoVersions,
        "no-versions",
        None,
        "do not run the agents found, to hear their versions",
        &[Verb::Check],
    ),
    with_value(
        Id::Skip,
        "skip",
        "NAME",
        "look into no folder of this name; can be given again",
        &[Verb::LockList, Verb::LockClean],
    ),
    plain(
        Id::NoSkip,
        "no-skip",
        None,
        "look into .git, node_modules, target and such, too",
        &[Verb::LockList, Verb::LockClean],
    ),
    with_value(
        Id::Agentctl,
        "agentctl",
        "FILE",
        "agentctl's list (~/.agentctl/locks.json)",
        &[Verb::LockList, Verb::LockClean],
    ),
    plain(
        Id::DryRun,
        "dry-run",
        None,
        "say what would be done, and do nothing",
        &[Verb::LockClean, Verb::Reload],
    ),
    with_value(
        Id::By,
        "by",
        "NAME",
        "who holds or pauses it (the user's name)",
        &[Verb::LockHold, Verb::Pause],
    ),
    with_value(
        Id::Reason,
        "reason",
        "TEXT",
        "why, for those who find it held or paused",
        &[Verb::LockHold, Verb::Pause],
    ),
    with_value(
        Id::For,
        "for",
        "TIME",
        "set a pause of this length, at most 24h",
        &[Verb::Pause],
    ),
    plain(
        Id::Force,
        "force",
        None,
        "whatever the record says, unless its owner lives",
        &[Verb::LockRelease],
    ),
    plain(
        Id::Follow,
        "follow",
        Some('f'),
        "go on with what comes, until it is interrupted",
        &[Verb::Logs],
    ),
    with_value(
        Id::Since,
        "since",
        "WHEN",
        "not what is older: 10m, 2h, or as journalctl takes it",
        &[Verb::Logs, Verb::Timeline],
    ),
    with_value(
        Id::Until,
        "until",
        "WHEN",
        "not what is newer, likewise",
        &[Verb::Timeline],
    ),
    with_value(
        Id::From,
        "from",
        "FILE",
        "a container's JSON log, not the journal; - is stdin",
        &[Verb::Timeline],
    ),
    with_value(
        Id::Svg,
        "svg",
        "FILE",
        "draw a picture into this file; - is standard output",
        &[Verb::Timeline],
    ),
    plain(
        Id::Watch,
        "watch",
        None,
        "show it anew when it changes, until it is interrupted",
        &[Verb::Status],
    ),
    plain(
        Id::Metrics,
        "metrics",
        None,
        "the same for Prometheus, as its text format has it",
        &[Verb::Status],
    ),
    with_value(
        Id::Socket,
        "socket",
        "PATH",
        "init's socket; else $LOCKKEEPER_SOCKET, else found",
        &[
            Verb::Init,
            Verb::Status,
            Verb::Start,
            Verb::Stop,
            Verb::Restart,
            Verb::Reload,
            Verb::Health,
        ],
    ),
    plain(
        Id::NoWait,
        "no-wait",
        None,
        "do not wait until the run is over",
        &[Verb::Stop],
    ),
    plain(
        Id::Verbose,
        "verbose",
        Some('v'),
        "say more; twice: say all",
        &[],
    ),
    plain(Id::Quiet, "quiet", Some('q'), "say nothing but errors", &[]),
    with_value(
        Id::Report,
        "report",
        "FD",
        "write how it ended to this descriptor, as JSON",
        &[],
    ),
    plain(
        Id::Help,
        "help",
        Some('h'),
        "print this help, or that of a verb",
        &[],
    ),
    plain(Id::Version, "version", Some('V'), "print the version", &[]),
];

const fn plain(
    id: Id,
    long: &'static str,
    short: Option<char>,
    doc: &'static str,
    verbs: &'static [Verb],
) -> Flag {
    Flag {
        id,
        long,
        short,
        value: None,
        doc,
        verbs,
        of_command: false,
    }
}

const fn with_value(
    id: Id,
    long: &'static str,
    value: &'static str,
    doc: &'static str,
    verbs: &'static [Verb],
) -> Flag {
    Flag {
        value: Some(value),
        ..plain(id, long, None, doc, verbs)
    }
}

const fn of_command(
    id: Id,
    long: &'static str,
    value: &'static str,
    doc: &'static str,
    verbs: &'static [Verb],
) -> Flag {
    Flag {
        of_command: true,
        ..with_value(id, long, value, doc, verbs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn no_name_is_in_the_table_twice() {
        let longs: BTreeSet<_> = FLAGS.iter().map(|flag| flag.long).collect();
        assert_eq!(longs.len(), FLAGS.len());
        let shorts: Vec<_> = FLAGS.iter().filter_map(|flag| flag.short).collect();
        assert_eq!(shorts.iter().collect::<BTreeSet<_>>().len(), shorts.len());
        let verbs: BTreeSet<_> = VERBS.iter().map(|verb| verb.name).collect();
        assert_eq!(verbs.len(), VERBS.len());
    }
}
