//! Random worlds, whose checks are in [`World`], and events in any order at all.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::world::{Check, Climate, Dirs, Doubt, Lock, Start, World};
use super::*;

fn some_wait() -> impl Strategy<Value = Wait> {
    prop_oneof![
        Just(Wait::Forever),
        (0..20_000_u64).prop_map(|wait| Wait::AtMost(ms(wait))),
    ]
}

prop_compose! {
    fn some_facts()(
        conditions in any::<bool>(),
        wait in of(some_wait()),
        dirs in of(prop_oneof![
            Just(OnConflict::Fail),
            some_wait().prop_map(OnConflict::Wait),
        ]),
        timeout in of(1..60_000_u64),
        idle in of(1..20_000_u64),
        heartbeat in of(1..20_000_u64),
        ready_timeout in of(1..20_000_u64),
        grace_of_final in of(0..5_000_u64),
        signal in prop_oneof![Just(SIGTERM), Just(SIGINT)],
        grace in prop_oneof![1 => Just(0), 6 => 1..15_000_u64],
        leftover_grace in prop_oneof![1 => Just(0), 6 => 1..3_000_u64],
        own_session in any::<bool>(),
        job_control in any::<bool>(),
        hup_stops in any::<bool>(),
        unsure in any::<bool>(),
        sweep in of(1..8_000_u64),
        ignored in prop_oneof![4 => Just(vec![]), 1 => Just(vec![SIGHUP]), 1 => Just(vec![SIGINT])],
    ) -> Facts {
        let mut limits = grace_of_final.map(with_final).unwrap_or_default();
        limits.timeout = timeout.map(ms);
        limits.idle_timeout = idle.map(ms);
        limits.heartbeat = heartbeat.map(ms);
        limits.ready_timeout = ready_timeout.map(ms);
        let stop = StopPlan { signal, grace: ms(grace), leftover_grace: ms(leftover_grace) };
        let sweep = sweep.map(ms);
        Facts { conditions, wait, dirs, limits, stop, own_session, job_control, hup_stops, unsure, ignored, signals: SignalMap::default(), sweep }
    }
}

fn some_check() -> impl Strategy<Value = Check> {
    prop_oneof![
        4 => Just(Check::Allows),
        2 => (1..9_000_u64).prop_map(Check::AllowsAfter),
        1 => Just(Check::Refuses),
        1 => (1..9_000_u64).prop_map(Check::RefusesAfter),
        1 => Just(Check::Never),
    ]
}

prop_compose! {
    fn some_climate()(
        checks in [some_check(), some_check()],
        busy in vec(0..9_000_u64, 0..4),
        dirs in prop_oneof![
            5 => Just(Dirs::Free),
            1 => Just(Dirs::Never),
            1 => Just(Dirs::Held),
            1 => Just(Dirs::Replaced),
            1 => Just(Dirs::Fail),
        ],
        lock in prop_oneof![
            2 => Just(Lock::Free),
            4 => (1..20_000_u64).prop_map(Lock::After),
            1 => Just(Lock::Never),
            1 => (0..9_000_u64).prop_map(Lock::ReplacedAfter),
            1 => (0..9_000_u64).prop_map(Lock::FailsAfter),
        ],
        start in prop_oneof![
            8 => Just(Start::Works),
            1 => Just(Start::NotForked(SpawnStep::Fork)),
            1 => (1..40_i32).prop_map(Start::NotExecuted),
        ],
        ends_after in of(0..60_000_u64),
        deaf in 0..4_u64,
        stuck in prop_oneof![3 => Just(0), 1 => 1..4_u64],
        traced in prop_oneof![3 => Just(0), 1 => 2..4_u64],
        descendants in 0..12_u64,
        late_ms in prop_oneof![3 => Just(0), 2 => 1..20_u64, 1 => 1_000..60_000_u64],
        doubt in prop_oneof![Just(Doubt::None), Just(Doubt::Stays), (0..9_000_u64).prop_map(Doubt::EndsAfter)],
        seed in any::<u64>(),
    ) -> Climate {
        Climate { checks, busy, dirs, lock, start, ends_after, deaf, stuck, traced, descendants, late_ms, doubt, seed }
    }
}

prop_compose! {
    fn some_notice()(
        ready in any::<bool>(),
        stopping in prop::bool::weighted(0.1),
        alive in any::<bool>(),
        trigger in prop::bool::weighted(0.05),
        status in of("[ab]"),
    ) -> Notice {
        Notice { ready, stopping, alive, trigger, status, interval: None, extend: None }
    }
}

prop_compose! {
    /// One that changes the times, too: no world knows what is due then.
    fn any_notice()(
        notice in some_notice(),
        interval in of(prop_oneof![Just(0), Just(1), any::<u64>()]),
        extend in of(prop_oneof![0..9_000_000_u64, any::<u64>()]),
    ) -> Notice {
        let micros = Duration::from_micros;
        Notice { interval: interval.map(micros), extend: extend.map(micros), ..notice }
    }
}

/// What the world outside the tree may tell at any time.
fn some_outside() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => (prop::sample::select(vec![1, 2, 15]), any::<bool>())
            .prop_map(|(signo, kernel)| Event::Signal { signo, kernel }),
        3 => (prop::sample::select(vec![3, 10, 12, 18, 20, 21, 28]), any::<bool>())
            .prop_map(|(signo, kernel)| Event::Signal { signo, kernel }),
        1 => of(prop_oneof![Just(0), 1..12_000_u64])
            .prop_map(|within| Event::StopWithin { within: within.map(ms) }),
        1 => Just(Event::GuardLost),
        3 => Just(Event::Tick),
        2 => Just(Event::CommandStopped),
        3 => any::<bool>().prop_map(|failed| Event::FinalLine { failed }),
        1 => Just(Event::LockBusy),
        4 => some_notice().prop_map(Event::Noticed),
    ]
}

/// Some of it told twice within milliseconds.
fn some_script() -> impl Strategy<Value = Vec<(u64, Event)>> {
    let early = 0..300_u64;
    let later = 0..90_000_u64;
    let one = (
        prop_oneof![1 => early, 4 => later],
        some_outside(),
        of(0..1500_u64),
    );
    vec(one, 0..10).prop_map(|all| {
        let twice = |(at, event, again): (u64, Event, Option<u64>)| {
            let again = again.map(|after| (at + after, event.clone()));
            [Some((at, event)), again]
        };
        all.into_iter().flat_map(twice).flatten().collect()
    })
}

fn some_status() -> impl Strategy<Value = Status> {
    prop_oneof![
        any::<u8>().prop_map(Status::Exited),
        (1..65_i32).prop_map(Status::Killed)
    ]
}

/// Anything, whether or not a shell would ever tell it.
fn any_event() -> impl Strategy<Value = Event> {
    let pids = prop_oneof![Just(vec![]), Just(vec![7])];
    prop_oneof![
        6 => some_outside(),
        1 => Just(Event::Begin { queued_at: BOOT }),
        1 => Just(Event::DirsGot),
        2 => Just(Event::StartAllowed),
        1 => Just(Event::StartRefused { refusal: Refusal::NotAsked { errno: 11 } }),
        1 => any::<bool>().prop_map(|may_end| Event::DirBusy { may_end }),
        1 => Just(Event::DirFreed),
        1 => Just(Event::DirReplaced),
        1 => Just(Event::DirFailed),
        1 => Just(Event::LockGot),
        1 => Just(Event::LockReplaced),
        1 => Just(Event::LockFailed),
        2 => Just(Event::Forked { pid: LEADER }),
        2 => Just(Event::Executed),
        1 => any::<bool>().prop_map(|forked| Event::SpawnFailed { step: SpawnStep::Exec, errno: 2, forked }),
        2 => (of(some_status()), any::<bool>()).prop_map(|(command, empty)| Event::Reaped { command, empty }),
        1 => (0..100_000_u64).prop_map(|at| Event::LastOutput { at: BOOT + ms(at) }),
        1 => pids.prop_map(|pids| Event::Survivors { pids }),
        1 => (0..3_i64).prop_map(|stamp| Event::ClaimsSeen { stamps: vec![("r".to_owned(), stamp)] }),
        2 => any::<bool>().prop_map(|doubtful| Event::Swept { doubtful }),
        3 => any_notice().prop_map(Event::Noticed),
    ]
}

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_world_breaks_a_rule_and_every_log_replays(
        facts in some_facts(),
        climate in some_climate(),
        script in some_script(),
    ) {
        let mut world = World::new(facts.clone(), climate);
        world.run(&script);

        let log = serde_json::to_string(&(&facts, &world.log)).unwrap();
        let (known, log): (Facts, Vec<(Time, Event)>) = serde_json::from_str(&log).unwrap();
        prop_assert_eq!(known, facts);
        prop_assert_eq!(&world.replayed(&log), &world.actions);
        let actions = serde_json::to_string(&world.actions).unwrap();
        let actions: Vec<Action> = serde_json::from_str(&actions).unwrap();
        prop_assert_eq!(&actions, &world.actions);
    }

    #[test]
    fn events_in_any_order_end_a_run_at_most_once_and_never_set_it_spinning(
        facts in some_facts(),
        steps in vec((0..3_000_u64, any_event()), 0..60),
    ) {
        let mut run = Run::new(facts);
        let (mut now, mut spawns, mut ends) = (BOOT, 0, 0);
        for (after, event) in steps {
            now = now + ms(after);
            let mut out = Vec::new();
            run.handle(now, &event, &mut out);
            for action in &out {
                prop_assert_eq!(ends, 0, "{:?} after the end", action);
                spawns += usize::from(*action == Action::Spawn);
                ends += usize::from(matches!(action, Action::Finish(_) | Action::StartOver));
            }
            prop_assert!(spawns <= 1);
            if event == Event::Tick {
                prop_assert!(run.next_deadline().is_none_or(|at| at > now));
            }
        }
    }
}
