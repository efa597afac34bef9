//! Random plans and random events in simulated time; the checks are in [`World`].

use proptest::collection::vec;
use proptest::prelude::*;

use super::world::{Climate, Outside, World};
use super::*;

/// A job of the pool, as one of the plans may have it; it starts after others that come before it.
fn some_job() -> impl Strategy<Value = Spec> {
    let restart = (
        0..4_u8,
        0..3_u64,
        prop::option::weighted(0.5, 1..4_u64),
        any::<bool>(),
    );
    let after = vec((0..6_usize, 0..3_u8), 0..3);
    (
        (0..7_u8, 1_000..20_000_u64, 0..5_000_u64, 0..3_u8),
        restart,
        after,
        0..4_u8,
    )
}

type Spec = (
    (u8, u64, u64, u8),
    (u8, u64, Option<u64>, bool),
    Vec<(usize, u8)>,
    u8,
);

fn made(n: usize, spec: &Spec, places: (u64, u64), with_main: bool, known: &[JobPlan]) -> JobPlan {
    let ((kind, period, jitter, lock), (when, delay, limit, exits), others, class) = spec;
    let name = format!("job{n}");
    let bare = match kind {
        _ if n == 0 && with_main => main(&name),
        0 => manual(&name),
        1..=3 => job(&name),
        _ => every(&name, *period, *jitter),
    };
    let mut job = match lock {
        0 => bare,
        1 => locked("/a", bare),
        _ => locked("/b", bare),
    };
    job.restart = RestartPlan {
        when: [When::Never, When::Never, When::OnFailure, When::Always][usize::from(*when)],
        delay: ms(100 + delay * 1000),
        limit: *limit,
        within: limit.filter(|_| *delay == 0).map(|_| ms(20_000)),
        then: if *exits { Then::Exit } else { Then::GiveUp },
        ..RestartPlan::NEVER
    };
    for (other, want) in others {
        let want = [Want::Started, Want::Succeeded, Want::Ready][usize::from(*want)];
        if let Some(other) = known.get(other % 6) {
            let job_name = other.run.job.clone();
            job.after.push(After {
                job: job_name,
                want,
            });
        }
    }
    match class {
        0 => placed("k", places.0, job),
        1 => placed("l", places.1, job),
        _ => job,
    }
}

prop_compose! {
    fn some_plan()(
        specs in vec(prop::option::weighted(0.8, some_job()), 0..6),
        places in (1..4_u64, 1..3_u64),
        with_main in prop::bool::weighted(0.3),
        stay in any::<bool>(),
    ) -> Plan {
        let mut jobs: Vec<JobPlan> = Vec::new();
        for (n, spec) in specs.iter().enumerate() {
            if let Some(spec) = spec {
                let job = made(n, spec, places, with_main, &jobs);
                jobs.push(job);
            }
        }
        let mut plan = plan(jobs);
        plan.init.stay = stay;
        plan
    }
}

prop_compose! {
    /// What the file says in turn. All of them stop within the same time.
    fn some_plans()(
        mut plans in vec(some_plan(), 1..4),
        within in prop_oneof![Just(0), 1_u64..12_000],
    ) -> Vec<Plan> {
        for plan in &mut plans {
            plan.init.stop_within = ms(within);
        }
        plans
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
        8 => (0..6_usize).prop_map(Outside::Ready),
        14 => (0..3_u8, 0..7_usize).prop_map(|(what, n)| Outside::Ask(what, n)),
        8 => (0..4_usize).prop_map(Outside::Reload),
    ]
}

fn some_script() -> impl Strategy<Value = Vec<(u64, Outside)>> {
    let early = (0..300_u64, some_outside());
    let later = (0..90_000_u64, some_outside());
    vec(prop_oneof![1 => early, 6 => later], 0..40)
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
        plans in some_plans(),
        script in some_script(),
        seed in any::<u64>(),
        hup_passes in any::<bool>(),
        no_guard in 0..4_u64,
        deaf in 0..4_u64,
        late_ms in prop_oneof![Just(0), 1..20_u64, 1_000..60_000_u64],
    ) {
        let climate = Climate { no_guard, deaf, twice: 4, late_ms, seed };
        let mut world = World::new(&plans, Facts { seed, hup_passes, main_typed: false }, climate);
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
        plans in some_plans()
            .prop_filter("a second at least", |plans| plans[0].init.stop_within >= ms(1000)),
        script in some_script(),
        seed in any::<u64>(),
        no_guard in 0..4_u64,
    ) {
        let climate = Climate { no_guard, deaf: 0, twice: 4, late_ms: 0, seed };
        let mut world = World::new(&plans, Facts { seed, hup_passes: false, main_typed: false }, climate);
        world.run(&script);
        prop_assert!(!world.overdue);
        let (_, code) = world.exit.unwrap();
        prop_assert_ne!(code, exit::by_signal(9));
    }
}
