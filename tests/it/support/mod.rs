//! What the tests share: the programs under test, the real parts around them, and ways to wait.

pub(crate) mod agent;
pub(crate) mod api;
pub(crate) mod bin;
pub(crate) mod blocks;
pub(crate) mod chance;
pub(crate) mod child;
pub(crate) mod clean;
pub(crate) mod completions;
pub(crate) mod copies;
pub(crate) mod debian;
pub(crate) mod dir;
pub(crate) mod docker;
pub(crate) mod image;
pub(crate) mod inherited;
pub(crate) mod journald;
pub(crate) mod judges;
pub(crate) mod locks;
pub(crate) mod made;
pub(crate) mod manual;
pub(crate) mod need;
pub(crate) mod net;
pub(crate) mod notes;
pub(crate) mod ns;
#[expect(dead_code, reason = "marking is the puppet's half of this file")]
pub(crate) mod page;
pub(crate) mod peer;
pub(crate) mod podman;
pub(crate) mod prompt;
pub(crate) mod pty;
pub(crate) mod rest;
pub(crate) mod scene;
pub(crate) mod schema;
pub(crate) mod stat;
pub(crate) mod wait;
pub(crate) mod yard;
