//! The marks of the time axis: sensible steps, at whole multiples of them in UTC.

use super::label::Moment;
use crate::core::timeline::Ms;

const SECOND: Ms = 1000;
const MINUTE: Ms = 60 * SECOND;
const HOUR: Ms = 60 * MINUTE;
const DAY: Ms = 24 * HOUR;

/// Steps below and above a day go by 1, 2 and 5.
const STEPS: [Ms; 16] = [
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    15 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
];

/// A mark of the axis.
#[derive(Debug)]
pub(super) struct Tick {
    /// Where.
    pub(super) at: Ms,
    /// What is written there: at most ten columns.
    pub(super) label: String,
}

/// At most `most` marks between `from` and `to`.
pub(super) fn ticks(from: Ms, to: Ms, most: u64) -> Vec<Tick> {
    let step = step((to - from).div_ceil(most.max(1)));
    let mut ticks = Vec::new();
    let mut at = from.div_ceil(step) * step;
    while at <= to {
        let moment = Moment::of(at);
        let label = match step {
            DAY.. => moment.day(),
            // A new day says which.
            _ if at.is_multiple_of(DAY) => moment.part(5, 10),
            MINUTE.. => moment.part(11, 16),
            SECOND.. => moment.time(),
            _ => moment.part(17, 23),
        };
        ticks.push(Tick {
            at,
            label: label.to_owned(),
        });
        at += step;
    }
    ticks
}

/// The first step that is not smaller than `least`.
fn step(least: Ms) -> Ms {
    let decades = |unit: Ms, least: Ms| {
        let mut size = unit;
        loop {
            let found = [size, 2 * size, 5 * size]
                .into_iter()
                .find(|step| *step >= least);
            match found {
                Some(step) => return step,
                None => size *= 10,
            }
        }
    };
    if least < SECOND {
        // 1000 is in the series.
        return decades(1, least.max(1));
    }
    let found = STEPS.into_iter().find(|step| *step >= least);
    found.unwrap_or_else(|| decades(DAY, least))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(from: Ms, long: Ms) -> Vec<String> {
        let ticks = ticks(from, from + long, 6);
        ticks.into_iter().map(|tick| tick.label).collect()
    }

    /// 2026-11-21 23:00:00 Z.
    const LATE: Ms = 1_795_302_000_000;

    #[test]
    fn steps_are_those_of_a_clock_and_a_new_day_says_which() {
        let each = |long, expected: &[&str]| assert_eq!(labels(LATE, long), expected, "{long}");
        each(1, &["00.000", "00.001"]);
        each(
            HOUR,
            &[
                "23:00", "23:10", "23:20", "23:30", "23:40", "23:50", "11-22",
            ],
        );
        each(
            30 * SECOND,
            &[
                "23:00:00", "23:00:05", "23:00:10", "23:00:15", "23:00:20", "23:00:25", "23:00:30",
            ],
        );
        each(
            4 * DAY,
            &["2026-11-22", "2026-11-23", "2026-11-24", "2026-11-25"],
        );
    }

    #[test]
    fn there_are_some_ticks_and_not_too_many_however_long_it_is() {
        let mut long = 1;
        while long < 200_000_000_000_000 {
            let count = labels(LATE, long).len();
            assert!((1..=8).contains(&count), "{long}: {count}");
            long = long * 3 / 2 + 1;
        }
    }
}
