//! What a row of the table of keys is made of.

use std::time::Duration;

/// One key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// Where it may stand.
    pub scopes: &'static [Scope],
    /// What its value must be.
    pub shape: Shape,
    /// What holds where it is left out, in words or as the value.
    pub default: &'static str,
    /// What it is for, in one line.
    pub doc: &'static str,
    /// What other programs call it: for suggestions only.
    pub also: &'static [&'static str],
}

/// Where a key may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `[init]`.
    Init,
    /// `[locks.NAME]`.
    Lock,
    /// `[classes.NAME]`.
    Class,
    /// `[jobs.NAME]`.
    Job,
    /// The table behind `final`.
    Final,
    /// The table behind `pause`.
    Pause,
    /// The table behind `stop`.
    Stop,
    /// The table behind `restart`.
    Restart,
    /// The table behind `rlimits`.
    Rlimits,
    /// The table behind `cgroup`.
    Cgroup,
    /// The table behind `pty`.
    Pty,
    /// The table behind `on_event`.
    OnEvent,
}

impl Scope {
    /// The place in words, as a hint names it.
    pub const fn place(self) -> &'static str {
        match self {
            Self::Init => "[init]",
            Self::Lock => "[locks.NAME]",
            Self::Class => "[classes.NAME]",
            Self::Job => "[jobs.NAME]",
            Self::Final => "final = { … }",
            Self::Pause => "pause = { … }",
            Self::Stop => "stop = { … }",
            Self::Restart => "restart = { … }",
            Self::Rlimits => "rlimits = { … }",
            Self::Cgroup => "cgroup = { … }",
            Self::Pty => "pty = { … }",
            Self::OnEvent => "on_event = { … }",
        }
    }
}

/// What a value must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Text in which `$NAME` may stand for itself.
    Literal,
    /// Text.
    Text,
    /// The name of a class or a lock.
    Name,
    /// An absolute path.
    Path,
    /// `true` or `false`, an absolute path, or a list of them.
    DirLock,
    /// A list of absolute paths.
    Paths,
    /// An absolute path of a folder, or `env:NAME`.
    Identity,
    /// A time of at least this length.
    Time {
        /// The shortest that means something.
        least: Duration,
        /// Whether `"forever"` is one.
        forever: bool,
    },
    /// `true` or `false`.
    Flag,
    /// One of these words.
    Word(&'static [&'static str]),
    /// The name of a signal.
    Signal,
    /// Signals, and what stands in their places.
    Signals,
    /// A number of bytes, of at least this many.
    Size {
        /// The fewest that mean something.
        least: u64,
    },
    /// A whole number in these bounds.
    Count {
        /// The smallest.
        least: u64,
        /// The largest.
        most: u64,
    },
    /// A whole number in these bounds, which may lie below zero.
    Number {
        /// The smallest.
        least: i32,
        /// The largest.
        most: i32,
    },
    /// A resource limit of this kind: a number, a text, `"unlimited"`, or a table of soft and hard.
    Limit(Unit),
    /// A file mode creation mask in octal digits.
    Mask,
    /// A share of one processor: `"50%"`.
    Percent,
    /// An absolute path, or a list of them.
    PathOrPaths,
    /// A list of the names of variables.
    Names,
    /// A list of the kinds of notes.
    Kinds,
    /// A command and its arguments.
    Command,
    /// Variables and their values.
    Env,
    /// What must have come true before a job starts.
    After,
    /// A table with keys of this scope.
    Table(Scope),
    /// One of these words, or a table with keys of this scope.
    WordOrTable(&'static [&'static str], Scope),
    /// `true` or `false`, or a table with keys of this scope.
    FlagOr(Scope),
    /// A key of a later version: an error that says so.
    NotBuilt,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Each,
    /// Bytes.
    Bytes,
    /// Seconds.
    Seconds,
}
