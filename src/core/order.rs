//! Putting things in order, by one routine for all: each type of its own that is sorted costs some
//! kilobytes of program.

/// What is sorted: a number, a text where numbers are the same, and what goes with it.
pub type Keyed = (u64, String, u64);

/// Sorts by the number, then the text.
pub fn sort(keys: &mut [Keyed]) {
    keys.sort_unstable();
}

/// `items` in the order of `key`, which tells them apart.
pub fn by_key<T>(items: Vec<T>, key: impl Fn(&T) -> (u64, &str)) -> Vec<T> {
    let mut keys: Vec<Keyed> = Vec::with_capacity(items.len());
    for (at, item) in (0..).zip(&items) {
        let (number, text) = key(item);
        keys.push((number, text.to_owned(), at));
    }
    sort(&mut keys);
    let mut items: Vec<Option<T>> = items.into_iter().map(Some).collect();
    let at = |key: &Keyed| usize::try_from(key.2).unwrap_or(usize::MAX);
    keys.iter()
        .filter_map(|key| items.get_mut(at(key))?.take())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_before_texts_and_nothing_is_lost() {
        let items = vec![(2, "a"), (1, "z"), (1, "b"), (1, "b")];
        let sorted = by_key(items, |(number, text)| (*number, text));
        assert_eq!(sorted, [(1, "b"), (1, "b"), (1, "z"), (2, "a")]);
    }
}
