//! The recipes that need no container.

use super::host::{Host, KEY};
use crate::support::api::Answer;
use crate::support::need::need;

#[test]
fn a_script_moves_from_flock_and_timeout_to_lockkeeper_on_the_same_lock() {
    need!("root", "static", "agent", "journald", "timeout");
    let mut host = Host::new(|_| Answer::Now);
    host.follow("In place of flock and timeout");
    let asked = host.api.requests();
    assert_eq!(asked.len(), 2, "before and after: {asked:?}");
}

#[test]
fn one_agent_at_a_time_works_in_a_working_copy_and_a_person_keeps_it_out() {
    need!("root", "static", "agent", "journald", "git");
    let mut host = Host::new(|_| Answer::Now);
    let identity = "git -c user.name=you -c user.email=you@example.org";
    host.read(&format!(
        "git init --quiet && {identity} commit --quiet --allow-empty --message first"
    ));
    host.follow("One agent a working copy");
    let asked = host.api.requests();
    assert_eq!(asked.len(), 1, "only the first got in: {asked:?}");
    assert_eq!(asked[0].who, KEY);
}
