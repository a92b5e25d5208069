//! Texts as lists of numbered features: what every model learns from.

use segue_learn::lists::Lists;
use segue_learn::scorer;

/// One list of features for each text, in one piece of memory.
///
/// A feature is a number below [`Rows::width`] and a weight. Lists of tokens have no
/// weights; the order of their numbers is that of the text.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    width: usize,
    ids: Lists,
    /// As many as all of `ids`, or none.
    weights: Vec<f32>,
}

/// One text's features; `weights` is empty for tokens.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row<'a> {
    /// Each below the width.
    pub ids: &'a [u32],
    /// One for each of `ids`, or none.
    pub weights: &'a [f32],
}

impl Row<'_> {
    /// The features with their weights.
    pub fn iter(&self) -> impl Iterator<Item = (usize, f32)> {
        let weights = self.weights.iter().copied();
        self.ids.iter().map(|id| *id as usize).zip(weights)
    }
}

impl Rows {
    /// No rows; features are numbered from 0 to below `width`.
    pub fn new(width: usize) -> Self {
        Rows {
            width,
            ..Rows::default()
        }
    }

    /// How many features there are.
    pub fn width(&self) -> usize {
        self.width
    }

    /// How many texts there are.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no text.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Appends a text's features with their weights.
    pub fn push(&mut self, features: impl IntoIterator<Item = (u32, f32)>) {
        let weights = &mut self.weights;
        self.ids.push(features.into_iter().map(|(id, weight)| {
            weights.push(weight);
            id
        }));
    }

    /// Appends a text's tokens.
    pub fn push_tokens(&mut self, tokens: impl IntoIterator<Item = u32>) {
        self.ids.push(tokens);
    }

    /// Row number `at`, which must be below [`Rows::len`].
    pub fn row(&self, at: usize) -> Row<'_> {
        Row {
            ids: self.ids.list(at),
            weights: self.weights.get(self.ids.range(at)).unwrap_or_default(),
        }
    }

    /// All rows, in order.
    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.len()).map(|at| self.row(at))
    }
}

/// Texts with their true classes.
pub type Examples = scorer::Examples<Rows>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_given_back_as_they_came() {
        let mut rows = Rows::new(5);
        rows.push([(1, 0.5), (4, 2.0)]);
        rows.push([]);
        rows.push([(0, 1.0)]);
        assert_eq!(rows.len(), 3);
        assert_eq!(rows.row(0).iter().collect::<Vec<_>>(), [(1, 0.5), (4, 2.0)]);
        assert_eq!(rows.row(1).ids, [0_u32; 0]);
        assert_eq!(rows.row(2).weights, [1.0]);
    }

    #[test]
    fn tokens_keep_their_order_and_have_no_weights() {
        let mut rows = Rows::new(9);
        rows.push_tokens([3, 1, 3]);
        rows.push_tokens([8]);
        assert_eq!(rows.row(0).ids, [3, 1, 3]);
        assert!(rows.iter().all(|row| row.weights.is_empty()));
    }
}
