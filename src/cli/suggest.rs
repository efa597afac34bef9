//! What somebody may have meant by a word that is in no table.

/// The name that `typed` begins, if it is three letters at least and begins no other; else the one
/// nearest to it, if it is near enough to be meant: one slip in a short word, two in a longer one, where a
/// slip is a letter too many, too few, wrong, or swapped with the next.
pub fn nearest<'a>(
    typed: &str,
    names: impl IntoIterator<Item = &'a str, IntoIter: Clone>,
) -> Option<&'a str> {
    let (letters, names) = (typed.chars().count(), names.into_iter());
    let mut begun = names.clone().filter(|name| name.starts_with(typed));
    if let (true, Some(name), None) = (letters >= 3, begun.next(), begun.next()) {
        return Some(name);
    }
    let allowed = if letters <= 4 { 1 } else { 2 };
    names
        .map(|name| (slips(typed, name), name))
        .filter(|&(slips, _)| slips <= allowed)
        .min_by_key(|&(slips, _)| slips)
        .map(|(_, name)| name)
}

/// The number of slips between two words (optimal string alignment).
fn slips(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    let mut previous = None;
    for (row, x) in a.chars().enumerate() {
        let mut this = vec![row + 1];
        for (column, &y) in b.iter().enumerate() {
            let at = |line: &[usize], back: usize| {
                (column + 1)
                    .checked_sub(back)
                    .and_then(|index| line.get(index).copied())
                    .unwrap_or(usize::MAX - 1)
            };
            let swapped = column > 0 && previous == Some(y) && b.get(column - 1) == Some(&x);
            let cost = (at(&last, 1) + usize::from(x != y))
                .min(at(&last, 0) + 1)
                .min(at(&this, 1) + 1)
                .min(if swapped {
                    at(&before, 2) + 1
                } else {
                    usize::MAX
                });
            this.push(cost);
        }
        before = std::mem::replace(&mut last, this);
        previous = Some(x);
    }
    last.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_a_letter_too_many_too_few_wrong_or_swapped() {
        for (a, b, expected) in [
            ("run", "run", 0),
            ("rnu", "run", 1),
            ("ru", "run", 1),
            ("runn", "run", 1),
            ("rum", "run", 1),
            ("", "run", 3),
            ("run", "", 3),
            ("timeuot", "timeout", 1),
            ("chekc", "check", 1),
            ("naïve", "naive", 1),
        ] {
            assert_eq!(slips(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn a_word_that_is_cut_short_is_the_one_that_it_begins() {
        let names = ["start", "status", "stop", "timeline"];
        assert_eq!(nearest("stat", names), Some("status"));
        assert_eq!(nearest("time", names), Some("timeline"));
        assert_eq!(nearest("sta", names), None, "it begins two");
        assert_eq!(nearest("st", names), None);
    }

    #[test]
    fn only_what_is_near_is_suggested() {
        let names = ["init", "run", "check"];
        assert_eq!(nearest("rnu", names), Some("run"));
        assert_eq!(nearest("chek", names), Some("check"));
        assert_eq!(nearest("true", names), None);
        assert_eq!(nearest("ls", names), None);
    }
}
