use std::fs::File;
use std::io::{Seek as _, Write as _};

use proptest::prelude::*;

use super::super::{sign, source, svg, text};
use super::bar::Part;
use super::words::Area;
use super::*;
use crate::core::timeline::{Builder, Fact, Question, Sign};
use crate::sys::memfd;

/// What may stand in a name: what hurts terminals, XML, and eyes.
const NAMES: [&str; 12] = [
    "dev",
    "",
    "a-name-that-is-longer-than-the-column-in-which-it-stands",
    "\u{1b}[2J\u{7}\r\n",
    "]]>&<\"'/title>",
    "\u{9b}31m\u{85}\u{7f}",
    "\u{202e}gnp\u{2066}\u{feff}",
    "\u{fffe}\u{ffff}\u{0}",
    "漢字かな交じり文の長い長い長い名前である",
    "z\u{300}\u{301}\u{302}\u{303}algo \u{fdfd} \u{2e3b} \u{1f680}",
    "ÄÖÜ ß Ж",
    "b/c",
];

fn fact() -> impl Strategy<Value = Fact> {
    let ms = prop_oneof![
        Just(0_u64),
        0..5000_u64,
        0..10_000_000_u64,
        Just(253_402_300_799_999)
    ];
    (0..13_u8, ms.clone(), ms, any::<bool>()).prop_map(|(kind, one, two, ran)| match kind {
        0 => Fact::Waits,
        1 => Fact::Obtained(one),
        2 => Fact::DirObtained(one),
        3 => Fact::Nested,
        4 => Fact::Starts,
        5 => Fact::Runs,
        6 => Fact::Split,
        7 => Fact::OutOfMemory,
        8 => Fact::Stops,
        9 => Fact::Released(one),
        10 => Fact::Ended {
            waited: one,
            held: two,
            ran,
        },
        11 => Fact::Seen,
        _ => Fact::Init,
    })
}

fn name() -> impl Strategy<Value = String> {
    let any = proptest::sample::select(&NAMES[..]);
    prop_oneof![3 => Just("dev"), 1 => any].prop_map(str::to_owned)
}

prop_compose! {
    fn any_sign()(
        at in prop_oneof![3 => 1_795_300_000_000..1_795_303_600_000_u64, 1 => 1..253_402_300_799_999_u64],
        container in name(),
        job in name(),
        run in 0..20_u8,
        lock in name(),
        reason in prop_oneof![
            name(),
            proptest::sample::select(&["ended", "timeout", "final", "signal", "wait_expired"][..])
                .prop_map(str::to_owned)
        ],
        code in proptest::option::of(any::<u8>()),
        fact in fact(),
    ) -> Sign {
        Sign {
            at,
            container,
            job: job.clone(),
            class: job,
            run_id: run.to_string(),
            holder: lock.clone(),
            lock,
            signal: reason.clone(),
            reason,
            code,
            fact,
        }
    }
}

fn apart(one: Area, other: Area) -> bool {
    one[2] <= other[0] || other[2] <= one[0] || one[3] <= other[1] || other[3] <= one[1]
}

fn inside(area: Area, height: Len) -> bool {
    area[0] >= 0 && area[1] >= 0 && area[2] <= WIDTH && area[3] <= height
}

/// No box leaves the picture, and none that must not touches another one.
fn is_sound(plot: &Plot) {
    let texts: Vec<(Area, &Text)> = plot.texts.iter().map(|text| (text.area(), text)).collect();
    let mark = |flag: &Flag| [flag.x - MARK / 2, flag.y - MARK, flag.x + MARK / 2, flag.y];
    let marks: Vec<Area> = plot.flags.iter().map(mark).collect();
    let part = |bar: &Bar, part: &Part| [part.from, bar.y, part.to, bar.y + BAR];
    let bars: Vec<Area> = plot
        .bars
        .iter()
        .flat_map(|bar| bar.parts.iter().map(move |each| part(bar, each)))
        .collect();
    for (number, (area, text)) in texts.iter().enumerate() {
        assert!(
            inside(*area, plot.height),
            "{text:?} {area:?} {}",
            plot.height
        );
        for (other, more) in &texts[..number] {
            assert!(apart(*area, *other), "{text:?} {more:?}");
        }
        for other in marks.iter().chain(&bars) {
            assert!(apart(*area, *other), "{text:?} {other:?}");
        }
    }
    for all in [&marks, &bars] {
        for (number, area) in all.iter().enumerate() {
            assert!(
                area[0] >= LEFT && area[2] <= RIGHT && area[0] < area[2],
                "{area:?}"
            );
            assert!(inside(*area, plot.height), "{area:?}");
            for other in &all[..number] {
                assert!(apart(*area, *other), "{area:?} {other:?}");
            }
        }
    }
    for mark in &marks {
        assert!(bars.iter().all(|bar| apart(*mark, *bar)), "{mark:?}");
    }
}

/// No sign that steers a terminal or that XML cannot have; as many tags closed as opened.
fn is_harmless(text: &str, svg: &str) {
    let bad = |sign: char| {
        sign.is_control() && sign != '\n'
            || matches!(sign, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
    };
    assert!(!text.contains(bad), "{text:?}");
    assert!(!svg.contains(bad), "{svg:?}");
    for tag in ["svg", "title", "style", "g", "text", "tspan"] {
        let opened =
            svg.matches(&format!("<{tag}>")).count() + svg.matches(&format!("<{tag} ")).count();
        assert_eq!(
            opened,
            svg.matches(&format!("</{tag}>")).count(),
            "{tag}: {svg}"
        );
    }
    for part in svg.split('&').skip(1) {
        assert!(
            ["amp;", "lt;", "gt;"]
                .iter()
                .any(|name| part.starts_with(name)),
            "{part}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_signs_make_a_picture_in_which_nothing_leaves_it_or_overlaps(
        signs in proptest::collection::vec(any_sign(), 0..120),
        from in proptest::option::of(1_795_300_000_000..1_795_302_000_000_u64),
        to in proptest::option::of(1_795_301_000_000..1_795_303_600_000_u64),
    ) {
        let mut builder = Builder::default();
        for sign in &signs {
            builder.take(sign);
        }
        let question = Question { from, to, ..Question::default() };
        if let Some(known) = builder.finish(&question) {
            for run in known.rows.iter().flat_map(|row| &row.runs) {
                let mut last = known.from;
                for span in &run.spans {
                    prop_assert!(span.from >= last && span.from < span.to, "{run:?}");
                    last = span.to;
                }
                prop_assert!(last <= known.to && run.from >= known.from && run.last <= known.to);
            }
            let plot = plot(&known);
            is_sound(&plot);
            let text = text::render(&known, false);
            for line in text.lines().filter(|line| !line.starts_with("two at once") && !line.starts_with("    ")) {
                prop_assert!(columns(line) <= 80, "{line:?}");
            }
            is_harmless(&text, &svg::render(&plot));
        }
    }

    #[test]
    fn any_bytes_are_read_without_harm(lines in proptest::collection::vec(any::<Vec<u8>>(), 0..20)) {
        let bytes = lines.join(&b'\n');
        source::lines(file_of(&bytes), &mut |_| {}).unwrap();
    }
}

fn file_of(bytes: &[u8]) -> File {
    let mut file = File::from(memfd::create().unwrap());
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

/// The signs of these lines, and how many notes were in words.
fn signs(lines: &[u8]) -> (Vec<Sign>, usize) {
    let mut signs = Vec::new();
    let read = source::lines(file_of(lines), &mut |sign| signs.push(sign.clone())).unwrap();
    (signs, read.texts)
}

const ENDED: &str = "ba7e91c4d4c81fa65ab407f62d3a0c9d";

fn line(fields: &str) -> String {
    format!(
        "{{\"__REALTIME_TIMESTAMP\":\"1795300000123456\",\"SYSLOG_IDENTIFIER\":\"lockkeeper\",\
         \"MESSAGE_ID\":\"{ENDED}\"{fields}}}\n"
    )
}

#[test]
fn values_are_taken_however_journalctl_writes_them() {
    let text = line(
        ",\"JOB\":[100,27,255],\"CONTAINER_NAME\":[\"one\",\"two\"],\"RUN_ID\":7,\"RUN_CODE\":\"124\",\
         \"LOCK\":null,\"HOLDER\":{\"a\":1},\"REASON\":[1,\"x\"],\"WAITED_MS\":[],\"HELD_MS\":-3",
    );
    let (signs, _) = signs(text.as_bytes());
    let [sign] = &signs[..] else {
        panic!("{signs:?}")
    };
    assert_eq!(sign.at, 1_795_300_000_123);
    assert_eq!(sign.job, "d\u{1b}\u{fffd}");
    assert_eq!(
        (sign.container.as_str(), sign.run_id.as_str()),
        ("one", "7")
    );
    assert_eq!(
        (
            sign.lock.as_str(),
            sign.holder.as_str(),
            sign.reason.as_str()
        ),
        ("", "", "")
    );
    assert_eq!(sign.code, Some(124));
    assert_eq!(
        sign.fact,
        Fact::Ended {
            waited: 0,
            held: 0,
            ran: false
        }
    );
}

#[test]
fn what_is_too_long_or_no_note_is_passed_over_and_what_stands_in_front_of_one() {
    let huge = line(&format!(",\"JOB\":\"{}\"", "x".repeat(300_000)));
    let long = line(&format!(",\"JOB\":\"{}\"", "ä".repeat(1000)));
    let text = [
        huge.as_str(),
        "lockkeeper: job dev: started (pid 7)\n",
        "<5>lockkeeper: job dev: {\n",
        "{\"a\":1}\n{\n[]\n\n\u{0}\n",
        "{\"SYSLOG_IDENTIFIER\":\"lockkeeper\"}\n",
        &long,
        &line("").replace("1795300000123456", "99999999999999999999"),
        &line("").replace("1795300000123456", "999999999999999999"),
        &format!(
            "2026-11-21T06:40:20.123Z stderr F {}",
            line(",\"JOB\":\"last\"").trim_end()
        ),
    ];
    let (signs, texts) = signs(text.concat().as_bytes());
    let jobs: Vec<usize> = signs.iter().map(|sign| sign.job.len()).collect();
    assert_eq!((jobs, texts), (vec![256, 4], 2));
}

#[test]
fn every_kind_of_note_that_says_something_of_a_run_is_read() {
    use crate::journal::kind::MESSAGE_IDS;
    for (name, id) in MESSAGE_IDS {
        let text = line("").replace(ENDED, id.0);
        let (signs, _) = signs(text.as_bytes());
        let told = signs[0].fact == Fact::Told;
        // What says nothing of what a run does, or what another note beside it says better.
        let silent = [
            "NOT_NESTED",
            "WAIT_EXPIRED",
            "LOCK_REPLACED",
            "LOCK_UNWATCHED",
            "PLACEMENT",
            "CLAIM_FAILED",
            "START_REFUSED",
            "PAUSE",
            "EVENT_FAILED",
            "GROUP_TROUBLE",
            "SPAWN_FAILED",
            "LOCK_FAILED",
            "DIR_REFUSED",
            "DIR_TROUBLE",
            "DIR_RELEASED",
            "NOTICE_REFUSED",
            "UNKILLABLE_GONE",
            "PROC_UNUSABLE",
            "LOCK_DIR",
            "GIT_LOCK",
            "OUTPUT_TROUBLE",
            "TICK_SKIPPED",
            "RUN_STARTING",
            "RESTARTING",
            "GIVEN_UP",
            "NEVER_STARTS",
            "PLACE_AWAITED",
            "GUARD_FAILED",
            "RUN_FOUND",
            "RELOAD",
            "CONTROL_FAILED",
            "STOP_ASKED",
            "STOP_OVERDUE",
            "STAYING",
            "NO_JOURNAL",
            "NOTES_LOST",
            "CONFIG_WARNING",
        ];
        assert_eq!(
            told,
            silent.iter().any(|silent| name.starts_with(silent)),
            "{name}"
        );
    }
    assert!(sign::FIELDS.contains("MESSAGE_ID,"));
}
