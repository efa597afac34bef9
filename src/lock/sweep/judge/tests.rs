use proptest::prelude::*;

use super::*;

const SECOND: i64 = 1_000_000_000;
const STALE_AFTER: Duration = Duration::from_mins(1);
/// The wall clock's now, in most tests.
const WALL: i64 = 1_800_000_000 * SECOND;

fn stamp(inode: u64, modified: i64) -> Stamp {
    Stamp {
        place: (8, 1, inode),
        born: modified,
        modified,
        changed: modified,
        is_folder: true,
    }
}

/// The instant at which the monotonic clock shows so many seconds, and the wall clock this.
const fn at(secs: u64, wall: i64) -> Moment {
    Moment {
        time: Time(secs * SECOND.unsigned_abs()),
        wall,
    }
}

fn seen(stamp: Stamp, secs: u64) -> Seen {
    Seen {
        stamp,
        at: at(secs, 0).time,
    }
}

/// Before a run, `age` seconds after it was refreshed.
fn before_run(age: f64) -> Verdict {
    #[expect(clippy::cast_possible_truncation, reason = "small numbers")]
    let nanos = (age * 1e9) as i64;
    before(&stamp(1, WALL - nanos), &at(100, WALL), true, STALE_AFTER)
}

#[test]
fn before_a_run_only_the_stale_and_the_impossible_are_dead() {
    for age in [0.0, 5.0, 59.9, 60.0, -0.5, -1.005, -59.9, -60.0] {
        assert_eq!(before_run(age), Verdict::Owned, "{age}");
    }
    let minutes = |minutes| Duration::from_mins(minutes);
    assert_eq!(before_run(7200.0), Verdict::Dead(Dead::Stale(minutes(120))));
    assert_eq!(
        before_run(-14_400.0),
        Verdict::Dead(Dead::Ahead(minutes(240)))
    );
}

#[test]
fn what_is_new_is_watched_and_what_was_there_is_its_owners() {
    let (old, now) = (stamp(1, WALL - 3 * SECOND), at(100, WALL));
    let judged = |known: Option<Seen>| after(known.as_ref(), &old, &now, true, STALE_AFTER);
    assert_eq!(judged(None), Verdict::Doubtful);
    assert_eq!(judged(Some(seen(old, 95))), Verdict::Owned);
    // Refreshed in between: it is the same one.
    let earlier = stamp(1, WALL - 8 * SECOND);
    let earlier = Stamp {
        born: old.born,
        ..earlier
    };
    assert_eq!(judged(Some(seen(earlier, 92))), Verdict::Owned);
}

#[test]
fn an_inode_that_was_given_away_again_is_another_directory() {
    let (old, new) = (stamp(1, WALL - 9 * SECOND), stamp(1, WALL - SECOND));
    let known = seen(old, 90);
    assert_eq!(
        after(Some(&known), &new, &at(100, WALL), true, STALE_AFTER),
        Verdict::Doubtful
    );
}

#[test]
fn a_clock_that_was_set_makes_nobody_dead() {
    let hour = 3600 * SECOND;
    for jump in [hour, -hour] {
        let (start, end) = (at(100, WALL), at(110, WALL + 10 * SECOND + jump));
        assert!(!end.is_steady_since(&start));
        let steady = end.is_steady_since(&start);
        // Of a living peer, refreshed right before the clock was set.
        let peer = stamp(1, WALL + 9 * SECOND);
        assert_eq!(before(&peer, &end, steady, STALE_AFTER), Verdict::Owned);
        let new = after(None, &peer, &end, steady, STALE_AFTER);
        assert_eq!(new, Verdict::Doubtful);
        let known = seen(stamp(1, WALL + 9 * SECOND), 100);
        let same = after(Some(&known), &peer, &end, steady, STALE_AFTER);
        assert_eq!(same, Verdict::Owned);
    }
}

#[test]
fn what_we_saw_unchanged_for_so_long_is_dead_whatever_the_clock_was_set_to() {
    let left = stamp(1, WALL + 30 * SECOND);
    let known = seen(left, 100);
    for (secs, dead) in [(159, false), (160, true), (7300, true)] {
        for wall in [0, WALL, WALL + 7200 * SECOND] {
            let judged = after(Some(&known), &left, &at(secs, wall), false, STALE_AFTER);
            let expected = if dead {
                Verdict::Dead(Dead::Stale(Duration::from_secs(secs - 100)))
            } else {
                Verdict::Owned
            };
            assert_eq!(judged, expected, "{secs} {wall}");
        }
    }
    // Touched to the same time: only its time of change tells.
    let touched = Stamp {
        changed: left.changed + 1,
        ..left
    };
    let judged = after(Some(&known), &touched, &at(7300, WALL), false, STALE_AFTER);
    assert_eq!(judged, Verdict::Owned);
}

#[test]
fn the_clocks_may_drift_and_the_machine_may_sleep() {
    let start = at(100, WALL);
    for (wall, steady) in [
        (10 * SECOND, true),
        (10 * SECOND + 4_000_000, true),
        (11 * SECOND, true),
        (9 * SECOND, true),
        (11 * SECOND + 1, false),
        // Asleep for an hour: only the wall clock went on.
        (3610 * SECOND, false),
    ] {
        assert_eq!(
            at(110, WALL + wall).is_steady_since(&start),
            steady,
            "{wall}"
        );
    }
}

prop_compose! {
    fn some_stamp()(
        inode in 1..4_u64,
        born in prop_oneof![Just(0), WALL - 200 * SECOND..WALL],
        modified in prop_oneof![any::<i64>(), WALL - 100 * SECOND..WALL + 100 * SECOND],
        changed in WALL - 100 * SECOND..WALL,
    ) -> Stamp {
        Stamp { place: (8, 1, inode), born, modified, changed, is_folder: true }
    }
}

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    /// The owner refreshes every 5 s, by a clock that agrees with ours within a second, and rounds up
    /// to a whole second; whatever we knew before.
    #[test]
    fn no_living_owner_is_judged_dead(
        silent in 0..6 * SECOND,
        rounds_up in 0..1_005_000_000_i64,
        skew in -SECOND..SECOND,
        known in prop::option::of((some_stamp(), 0..100_u64)),
        steady in any::<bool>(),
        wall in WALL - SECOND..WALL + SECOND,
    ) {
        let live = stamp(2, wall - silent + rounds_up + skew);
        let now = at(100, wall);
        let judged = before(&live, &now, steady, STALE_AFTER);
        prop_assert_eq!(judged, Verdict::Owned);
        // Refreshed since, as any look before the last 6 s was at another state of it.
        let known = known.map(|(stamp, secs)| seen(stamp, secs));
        let judged = after(known.as_ref(), &live, &now, steady, STALE_AFTER);
        prop_assert!(!matches!(judged, Verdict::Dead(_)), "{:?}", judged);
    }

    #[test]
    fn any_stamp_at_any_moment_is_judged_without_a_crash_and_by_the_rules(
        now in some_stamp(),
        known in prop::option::of((some_stamp(), 0..1000_u64)),
        secs in 0..1000_u64,
        wall in any::<i64>(),
        steady in any::<bool>(),
        stale_secs in 0..200_u64,
    ) {
        let stale_after = Duration::from_secs(stale_secs);
        let moment = at(secs, wall);
        let first = before(&now, &moment, steady, stale_after);
        prop_assert_ne!(first, Verdict::Doubtful);
        prop_assert!(steady || first == Verdict::Owned);
        let known = known.map(|(stamp, secs)| seen(stamp, secs));
        match after(known.as_ref(), &now, &moment, steady, stale_after) {
            Verdict::Dead(Dead::Stale(silent)) => prop_assert!(silent >= stale_after),
            Verdict::Dead(Dead::Ahead(ahead)) => prop_assert!(ahead > stale_after && steady),
            Verdict::Dead(other) => prop_assert!(false, "{:?}", other),
            Verdict::Owned => prop_assert!(known.is_some_and(|known| known.stamp.is_same(&now))),
            Verdict::Doubtful => {
                prop_assert!(known.is_none_or(|known| !known.stamp.is_same(&now)));
            }
        }
    }
}
