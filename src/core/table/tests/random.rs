//! Random plans and random events in simulated time; the checks are in [`World`].

use proptest::collection::vec;
use proptest::prelude::*;

use super::world::{Climate, Outside, World};
use super::*;

fn some_job() -> impl Strategy<Value = (u8, u64, u64, u8)> {
    (0..6_u8, 1_000..20_000_u64, 0..5_000_u64, 0..3_u8)
}

prop_compose! {
    fn some_plan()(
        specs in vec(some_job(), 0..6),
        with_main in prop::bool::weighted(0.3),
        stay in any::<bool>(),
        within in prop_oneof![Just(0), 1_u64..12_000],
    ) -> Plan {
        let jobs = specs.into_iter().enumerate().map(|(n, (kind, period, jitter, lock))| {
            let name = format!("job{n}");
            let bare = match kind {
                _ if n == 0 && with_main => main(&name),
                0 => manual(&name),
                1 | 2 => job(&name),
                _ => every(&name, period, jitter),
            };
            match lock {
                0 => bare,
                1 => locked("/a", bare),
                _ => locked("/b", bare),
            }
        });
        let mut plan = plan(jobs.collect());
        plan.init.stay = stay;
        plan.init.stop_within = ms(within);
        plan
    }
}

fn some_outside() -> impl Strategy<Value = Outside> {
    prop_oneof![
        2 => Just(Outside::Signal(SIGTERM)),
        1 => Just(Outside::Signal(SIGINT)),
        1 => Just(Outside::Signal(SIGHUP)),
        2 => (3..64_i32).prop_filter("TERM is above", |signo| *signo != SIGTERM)
            .prop_map(Outside::Signal),
        3 => Just(Outside::SpuriousTick),
        1 => Just(Outside::Begin),
        4 => (0..6_usize).prop_map(Outside::Found),
        6 => (0..6_usize).prop_map(Outside::FoundGone),
        2 => (0..6_usize).prop_map(Outside::StaleEnd),
    ]
}

fn some_script() -> impl Strategy<Value = Vec<(u64, Outside)>> {
    let early = (0..300_u64, some_outside());
    let later = (0..90_000_u64, some_outside());
    vec(prop_oneof![1 => early, 6 => later], 0..20)
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
    fn no_world_breaks_an_invariant_and_every_log_replays(
        plan in some_plan(),
        script in some_script(),
        seed in any::<u64>(),
        hup_passes in any::<bool>(),
        no_guard in 0..4_u64,
        deaf in 0..4_u64,
        late_ms in prop_oneof![Just(0), 1..20_u64, 1_000..60_000_u64],
    ) {
        let climate = Climate { no_guard, deaf, twice: 4, late_ms, seed };
        let mut world = World::new(&plan, Facts { seed, hup_passes, main_typed: false }, climate);
        world.run(&script);

        let log = serde_json::to_string(&world.log).unwrap();
        let log: Vec<(Time, Event)> = serde_json::from_str(&log).unwrap();
        prop_assert_eq!(&world.replayed(&log), &world.actions);
        let actions = serde_json::to_string(&world.actions).unwrap();
        let actions: Vec<Action> = serde_json::from_str(&actions).unwrap();
        prop_assert_eq!(&actions, &world.actions);
    }

    #[test]
    fn where_the_runs_obey_every_stop_is_in_order_and_in_time(
        plan in some_plan().prop_filter("a second at least", |plan| plan.init.stop_within >= ms(1000)),
        script in some_script(),
        seed in any::<u64>(),
        no_guard in 0..4_u64,
    ) {
        let climate = Climate { no_guard, deaf: 0, twice: 4, late_ms: 0, seed };
        let mut world = World::new(&plan, Facts { seed, hup_passes: false, main_typed: false }, climate);
        world.run(&script);
        prop_assert!(!world.overdue);
        let (_, code) = world.exit.unwrap();
        prop_assert_ne!(code, exit::by_signal(9));
    }
}
