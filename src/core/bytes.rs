//! Searching bytes eight at a time. Output passes here at the rate of memory, also in a build for
//! size, in which the compiler makes no such loops of its own.

const ONES: u64 = 0x0101_0101_0101_0101;
const LOWS: u64 = 0x7f7f_7f7f_7f7f_7f7f;

/// Where the first of the two bytes stands.
pub fn find(text: &[u8], one: u8, other: u8) -> Option<usize> {
    find_where(text, one, other, |_| true)
}

/// Where the first of the two bytes stands that is `wanted` at its place.
pub fn find_where(
    text: &[u8],
    one: u8,
    other: u8,
    mut wanted: impl FnMut(usize) -> bool,
) -> Option<usize> {
    let (ones, others) = (ONES * u64::from(one), ONES * u64::from(other));
    let (words, rest) = text.as_chunks::<8>();
    let mut at = 0;
    for word in words {
        let word = u64::from_le_bytes(*word);
        let mut hits = zeros(word ^ ones) | zeros(word ^ others);
        while hits != 0 {
            let hit = at + hits.trailing_zeros() as usize / 8;
            if wanted(hit) {
                return Some(hit);
            }
            hits &= hits - 1;
        }
        at += 8;
    }
    for byte in rest {
        if (*byte == one || *byte == other) && wanted(at) {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// Where the last of these bytes stands.
pub fn rfind(text: &[u8], wanted: u8) -> Option<usize> {
    text.iter().rposition(|byte| *byte == wanted)
}

/// Marks exactly the bytes of `word` that are zero, by their highest bits.
const fn zeros(word: u64) -> u64 {
    !(((word & LOWS) + LOWS) | word | LOWS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_hit_is_found_wherever_it_stands(
            text in prop::collection::vec(prop_oneof![3 => Just(b'a'), 1 => any::<u8>()], 0..70),
            one in prop_oneof![Just(b'='), any::<u8>()],
            other in any::<u8>(),
        ) {
            let expected = text.iter().position(|byte| [one, other].contains(byte));
            prop_assert_eq!(find(&text, one, other), expected);
            let mut all = Vec::new();
            find_where(&text, one, other, |at| {
                all.push(at);
                false
            });
            let hits = (0..text.len()).filter(|at| [one, other].contains(&text[*at]));
            prop_assert_eq!(all, hits.collect::<Vec<_>>());
        }
    }
}
