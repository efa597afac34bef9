//! An order that comes as the monitor is about to start over, its lock having been replaced: the
//! next monitor has it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use nix::sys::signal::Signal::SIGTERM;

use super::stalled::{Stalled, is_flushing};
use crate::support::child::{self, signal};
use crate::support::need::need;
use crate::support::scene::{Scene, child_of, ended};
use crate::support::wait::until;

#[test]
fn an_order_that_comes_right_before_a_start_over_is_not_lost() {
    need!("root");
    // A journal that stalls makes the moment between the decision and the end long: the last notes
    // have a while to be taken.
    let (scene, stalled) = (Scene::new(), Stalled::new());
    let old = scene.hold();
    let mut run = child::start(&mut stalled.around(&scene.run_command("", "hang")));
    until("it queues", || scene.waiting() == 1);
    let monitor = child_of(run.pid());
    fs::rename(scene.lock(), scene.path("old")).unwrap();
    let _new = scene.hold();
    assert_ne!(
        old.metadata().unwrap().ino(),
        fs::metadata(scene.lock()).unwrap().ino()
    );
    drop(old);
    until("the monitor has decided and not ended", || {
        is_flushing(monitor)
    });
    signal(run.pid(), SIGTERM);
    assert_eq!(ended(&mut run).code(), Some(143));
    scene.assert_empty();
}
