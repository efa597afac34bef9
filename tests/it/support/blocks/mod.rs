//! The command blocks of a page in Markdown, run as they stand there.
//!
//! A block is what stands between two fences; its language says what becomes of it:
//!
//! - `sh`: one script, run by `sh -eu`, that must end with 0. What it says is not promised.
//! - `console`: lines that begin with `$ ` are commands, and those with `> ` behind one continue it;
//!   all up to the next command is what it says, standard output and error together. All commands of
//!   a block run in one shell, and each must end with 0, unless `$ echo $?` follows. In what is
//!   expected `…` stands for any text within a line, alone in a line for any number of lines.
//! - any other: shown only.
//!
//! Comments right before the fence, one a line, say otherwise:
//!
//! - `<!-- test: file PATH -->`: the block is written to PATH before what follows runs.
//! - `<!-- test: not run: REASON -->`: the block is not run, and named with its reason.
//! - `<!-- test: times and ids vary -->`: a time stands for any time, the name of a run for any, and one
//!   space for several.
//! - `<!-- test: in NAME -->`: the block runs, or its file lies, in that place of the scene.
//!
//! [`walk::walk`] does all of it in a [`walk::Scene`], and [`tally::Tally`] counts what was done.

pub(crate) mod console;
pub(crate) mod read;
pub(crate) mod tally;
pub(crate) mod walk;
