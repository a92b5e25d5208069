//! Lists of numbers, one after the other in one piece of memory.

/// A list for each text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    numbers: Vec<u32>,
    /// Where each list ends.
    ends: Vec<usize>,
}

impl Lists {
    /// Appends a list.
    pub fn push(&mut self, numbers: impl IntoIterator<Item = u32>) {
        self.numbers.extend(numbers);
        self.ends.push(self.numbers.len());
    }

    /// How many lists there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Where list number `at` lies in [`Lists::numbers`]; it must be below [`Lists::len`].
    pub fn range(&self, at: usize) -> std::ops::Range<usize> {
        let start = at.checked_sub(1).map_or(0, |before| self.ends[before]);
        start..self.ends[at]
    }

    /// List number `at`, which must be below [`Lists::len`].
    pub fn list(&self, at: usize) -> &[u32] {
        &self.numbers[self.range(at)]
    }

    /// All lists, in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u32]> {
        (0..self.len()).map(|at| self.list(at))
    }

    /// The numbers of all lists.
    pub fn numbers(&self) -> &[u32] {
        &self.numbers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_given_back_as_they_came() {
        let mut lists = Lists::default();
        for list in [&[4, 4][..], &[], &[7]] {
            lists.push(list.iter().copied());
        }
        assert_eq!(lists.iter().collect::<Vec<_>>(), [&[4, 4][..], &[], &[7]]);
        assert_eq!((lists.len(), lists.range(2)), (3, 2..3));
        assert_eq!(lists.numbers(), [4, 4, 7]);
    }
}
