//! Which place in a list has a name: looked up in a sorted copy of the names.

use std::collections::BinaryHeap;

/// Names and their places. Where two have one name it is that of the first.
#[derive(Debug)]
pub struct Names<'n>(Vec<(&'n str, usize)>);

impl<'n> Names<'n> {
    /// Of these names and places.
    pub fn of(names: Vec<(&'n str, usize)>) -> Self {
        // Sorted by a heap: a fraction of the code of a sort, for what is done once a file.
        Self(BinaryHeap::from(names).into_sorted_vec())
    }

    /// The place of that name.
    pub fn find(&self, name: &str) -> Option<usize> {
        let at = self.0.partition_point(|(known, _)| *known < name);
        let (known, place) = self.0.get(at)?;
        (*known == name).then_some(*place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_has_its_first_place_and_no_other_one_has_any() {
        let names = Names::of(vec![("b", 0), ("a", 1), ("", 2), ("b", 3), ("aa", 4)]);
        let found = ["a", "b", "", "aa", "ab", "c"].map(|name| names.find(name));
        assert_eq!(found, [Some(1), Some(0), Some(2), Some(4), None, None]);
    }
}
