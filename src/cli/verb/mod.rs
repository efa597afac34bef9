//! The verbs: from what the command line means to what is done, one file a verb.

pub mod ask;
pub mod check;
pub mod init;
mod journal;
pub mod lock;
pub mod logs;
pub mod pause;
mod pid1;
mod programs;
pub mod run;
pub mod start;
pub mod status;
pub mod timeline;
