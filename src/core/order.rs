//! Sorting, once for all types.
//!
//! The standard library's sort is compiled anew for every list that is sorted by it, at 4 kB each: it was a
//! twentieth of the program. None of our lists is long, or sorted while anybody waits. So it is the list's
//! places that are sorted, by one piece of code, and the items follow.

use std::cmp::Ordering;

/// Sorts `items` by `compare`; those that are equal stay in their order.
pub fn sort_by<T>(items: &mut [T], compare: impl Fn(&T, &T) -> Ordering) {
    let order = places(items.len(), &|one, other| {
        let both = items.get(one).zip(items.get(other));
        both.map_or(Ordering::Equal, |(one, other)| compare(one, other))
    });
    for place in 0..items.len() {
        items.swap(place, whereabouts(&order, place));
    }
}

/// Sorts `items` by what `key` says of each; those that are equal stay in their order.
pub fn sort_by_key<T, K: Ord>(items: &mut [T], key: impl Fn(&T) -> K) {
    sort_by(items, |one, other| key(one).cmp(&key(other)));
}

/// Which place each item of the sorted list comes from.
fn places(count: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|one, other| compare(*one, *other));
    order
}

/// Where the item for `place` is, when all places before have got theirs: what stood in one of those went
/// to where that one's item came from, and perhaps on from there.
fn whereabouts(order: &[usize], place: usize) -> usize {
    let mut from = place;
    loop {
        match order.get(from) {
            Some(&next) if next < place => from = next,
            Some(&next) => return next,
            None => return place,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{sort_by, sort_by_key};

    proptest! {
        #[test]
        fn it_is_the_sort_of_the_standard_library_also_among_equals(
            items in prop::collection::vec((0_u8..9, any::<String>()), 0..60),
        ) {
            let mut sorted = items.clone();
            sorted.sort_by_key(|(key, _)| *key);
            let mut ours = items.clone();
            sort_by_key(&mut ours, |(key, _)| *key);
            prop_assert_eq!(&ours, &sorted);
            sort_by(&mut ours, Ord::cmp);
            sorted.sort();
            prop_assert_eq!(ours, sorted);
        }
    }
}
