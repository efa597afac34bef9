//! Signals by name, and the map of `signals = { TERM = "INT", HUP = "drop" }`.

use serde::{Deserialize, Serialize};

/// What stands in a signal's place. Each signal is looked up once: what comes out is not looked up again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalMap(Vec<(i32, Option<i32>)>);

impl SignalMap {
    /// What stands in the place of `signo`: itself where nothing is said; `None`: it is dropped.
    pub fn of(&self, signo: i32) -> Option<i32> {
        let said = self.0.iter().find(|(from, _)| *from == signo);
        said.map_or(Some(signo), |(_, to)| *to)
    }

    /// Whether `signo` is dropped.
    pub fn drops(&self, signo: i32) -> bool {
        self.of(signo).is_none()
    }

    /// Says what stands in the place of `from`, whatever was said before.
    pub(crate) fn say(&mut self, from: i32, to: Option<i32>) {
        self.0.retain(|(earlier, _)| *earlier != from);
        self.0.push((from, to));
    }

    /// Whether any signal is taken for `signo`.
    pub(crate) fn reaches(&self, signo: i32) -> bool {
        self.of(signo) == Some(signo) || self.0.iter().any(|(_, to)| *to == Some(signo))
    }
}

/// What RTMIN means to systemd, to container engines and in the kill of a glibc; a musl's is one more.
const RTMIN: i32 = 34;
/// The last signal (signal(7)).
const RTMAX: i32 = 64;

/// The standard signals and their names, without SIG.
pub(crate) fn names() -> impl Iterator<Item = (i32, &'static str)> {
    (1..32).filter_map(|signo| {
        let name = signal_hook::low_level::signal_name(signo)?;
        Some((signo, name.strip_prefix("SIG")?))
    })
}

/// The signal of that name or number: `TERM`, `sigterm`, `15`, `RTMIN+3`, `RTMAX-1`.
pub(crate) fn number(text: &str) -> Option<i32> {
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let counted = |rest: &str| -> Option<i32> {
        let digits = !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
        rest.parse().ok().filter(|_| digits)
    };
    let fits = |least, signo: i32| (least..=RTMAX).contains(&signo).then_some(signo);
    match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(""), _) => return Some(RTMIN),
        (_, Some("")) => return Some(RTMAX),
        (Some(rest), _) => {
            let above = counted(rest.strip_prefix('+')?)?;
            return fits(RTMIN, RTMIN.checked_add(above)?);
        }
        (_, Some(rest)) => {
            let below = counted(rest.strip_prefix('-')?)?;
            return fits(RTMIN, RTMAX.checked_sub(below)?);
        }
        (None, None) => {}
    }
    if let Some(signo) = counted(name) {
        return fits(1, signo);
    }
    let known = names().find(|(_, known)| *known == name);
    known.map(|(signo, _)| signo)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_has_a_name_and_a_number() {
        for (text, signo) in [
            ("TERM", 15),
            ("sigterm", 15),
            ("15", 15),
            ("SIGUSR1", 10),
            ("RTMIN", 34),
            ("RTMIN+3", 37),
            ("SIGRTMAX-14", 50),
            ("RTMAX", 64),
            ("32", 32),
        ] {
            assert_eq!(number(text), Some(signo), "{text}");
        }
        for text in [
            "",
            "0",
            "65",
            "-1",
            "+1",
            "TREM",
            "RTMIN+31",
            "RTMIN-1",
            "RTMAX+1",
            "RTMAX-31",
            "RTMIN3",
            "RTMIN+",
            "RTMIN++1",
            "99999999999",
        ] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn each_signal_is_looked_up_once() {
        let mut map = SignalMap::default();
        map.say(15, Some(2));
        map.say(2, None);
        assert_eq!(
            [15, 2, 10].map(|signo| map.of(signo)),
            [Some(2), None, Some(10)]
        );
        map.say(2, Some(2));
        assert_eq!(map.of(2), Some(2));
    }
}
