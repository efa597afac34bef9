//! "Did you mean": the known word that a mistyped one most likely stands for.

/// Longer words than this are no slips of the finger, and comparing them costs time.
const LONGEST: usize = 64;

/// The candidate nearest to `word`, if one is near enough that a slip of the finger explains it:
/// about one edit in three letters. Case, `-` and `_` do not count.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = letters(word);
    if word.is_empty() || word.len() > LONGEST {
        return None;
    }
    let allowed = (word.len() / 3).max(1);
    candidates
        .into_iter()
        .map(|candidate| (distance(&word, &letters(candidate)), candidate))
        .filter(|(edits, candidate)| *edits <= allowed && *edits < candidate.chars().count())
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, candidate)| candidate)
}

fn letters(word: &str) -> Vec<char> {
    word.chars()
        .take(LONGEST + 1)
        .map(|c| c.to_ascii_lowercase())
        .map(|c| if c == '-' { '_' } else { c })
        .collect()
}

/// Insertions, deletions, replacements and swaps of neighbours between two words (the restricted
/// Damerau-Levenshtein distance), row by row.
fn distance(left: &[char], right: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let mut left_before = None;
    for (i, &l) in left.iter().enumerate() {
        let mut row = Vec::with_capacity(right.len() + 1);
        row.push(i + 1);
        let mut right_before = None;
        for (j, &r) in right.iter().enumerate() {
            let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX);
            let replaced = at(&last, j) + usize::from(l != r);
            let shifted = at(&last, j + 1).min(at(&row, j)) + 1;
            let mut best = replaced.min(shifted);
            if j > 0 && left_before == Some(r) && right_before == Some(l) && !before_last.is_empty()
            {
                best = best.min(at(&before_last, j - 1) + 1);
            }
            row.push(best);
            right_before = Some(r);
        }
        before_last = std::mem::replace(&mut last, row);
        left_before = Some(l);
    }
    last.last().copied().unwrap_or(left.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_each_kind_of_edit_once() {
        for (left, right, edits) in [
            ("every", "every", 0),
            ("evry", "every", 1),
            ("everyy", "every", 1),
            ("svery", "every", 1),
            ("eveyr", "every", 1),
            ("", "every", 5),
            ("every", "", 5),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(
                distance(&letters(left), &letters(right)),
                edits,
                "{left} {right}"
            );
        }
    }

    #[test]
    fn a_slip_finds_its_word_and_a_stranger_finds_none() {
        let words = ["command", "every", "dir", "env", "timeout", "idle_timeout"];
        assert_eq!(nearest("comand", words), Some("command"));
        assert_eq!(nearest("Idle-Timeout", words), Some("idle_timeout"));
        assert_eq!(nearest("timout", words), Some("timeout"));
        assert_eq!(nearest("zzz", words), None);
        assert_eq!(nearest("", words), None);
        assert_eq!(nearest(&"x".repeat(100_000), words), None);
    }
}
