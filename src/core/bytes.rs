//! Searching bytes eight at a time. Output passes here at the rate of memory, also in a build for
//! size, in which the compiler makes no such loops of its own.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Where the first of the two bytes stands.
pub fn find(text: &[u8], one: u8, other: u8) -> Option<usize> {
    let (ones, others) = (ONES * u64::from(one), ONES * u64::from(other));
    let (words, rest) = text.as_chunks::<8>();
    let mut at = 0;
    for word in words {
        let word = u64::from_le_bytes(*word);
        // The lowest marked byte is a hit; those above it may be marked by its borrow.
        let hits = zeros(word ^ ones) | zeros(word ^ others);
        if hits != 0 {
            return Some(at + hits.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let is_hit = |byte: &u8| *byte == one || *byte == other;
    rest.iter().position(is_hit).map(|more| at + more)
}

/// Where the last of these bytes stands.
pub fn rfind(text: &[u8], wanted: u8) -> Option<usize> {
    text.iter().rposition(|byte| *byte == wanted)
}

/// Marks the bytes of `word` that are zero, by their highest bits.
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_first_hit_is_found_wherever_it_stands(
            text in prop::collection::vec(prop_oneof![3 => Just(b'a'), 1 => any::<u8>()], 0..70),
            one in prop_oneof![Just(b'='), any::<u8>()],
            other in any::<u8>(),
        ) {
            let expected = text.iter().position(|byte| [one, other].contains(byte));
            prop_assert_eq!(find(&text, one, other), expected);
        }
    }
}
