//! Reviews of a file of their own, that are looked at after every epoch.

use segue_learn::lists::Lists;

use crate::batch::Examples;
use crate::model::Tokens;

/// How many are looked at at once: about as many as a step has.
const BATCH: usize = 32;

/// What was held out, row after row; only what has a class, since nothing else can be right.
#[derive(Debug, Default, PartialEq)]
pub struct HeldOut {
    tokens: Lists,
    classes: Vec<Option<usize>>,
}

impl HeldOut {
    /// How many vectors [`HeldOut::vectors`] gives.
    pub const VECTORS: usize = 3;

    /// Adds a batch.
    pub fn add(&mut self, examples: &Examples) {
        for (row, class) in examples.tokens.rows().zip(&examples.classes) {
            if class.is_some() {
                self.tokens.push(row.iter().copied());
                self.classes.push(*class);
            }
        }
    }

    /// All of it, a few rows at a time.
    pub fn batches(&self) -> impl Iterator<Item = (Tokens, &[Option<usize>])> {
        let starts = (0..self.classes.len()).step_by(BATCH);
        starts.map(|start| {
            let end = self.classes.len().min(start + BATCH);
            let rows = (start..end).map(|at| self.tokens.list(at));
            (Tokens::new(rows), &self.classes[start..end])
        })
    }

    /// As what a state holds. Tokens, lengths and classes are far below 2^24, up to which
    /// every whole number is an f32.
    pub fn vectors(&self) -> [Vec<f32>; HeldOut::VECTORS] {
        let lengths = self.tokens.iter().map(|row| row.len() as f32);
        let classes = self.classes.iter().flatten();
        [
            (self.tokens.numbers().iter())
                .map(|token| *token as f32)
                .collect(),
            lengths.collect(),
            classes.map(|class| *class as f32).collect(),
        ]
    }

    /// From what [`HeldOut::vectors`] gave.
    pub fn from_vectors(vectors: &[Vec<f32>]) -> Self {
        let [tokens, lengths, classes] = vectors else {
            return HeldOut::default();
        };
        let (mut rows, mut rest) = (Lists::default(), tokens.as_slice());
        for length in lengths {
            let (row, others) = rest.split_at(rest.len().min(*length as usize));
            rows.push(row.iter().map(|token| *token as u32));
            rest = others;
        }
        HeldOut {
            tokens: rows,
            classes: classes.iter().map(|class| Some(*class as usize)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::Use;

    #[test]
    fn it_survives_a_snapshot_and_leaves_out_what_has_no_class() {
        let rows: [&[u32]; 3] = [&[1, 30521, 2], &[7], &[4, 4]];
        let examples = Examples {
            tokens: Tokens::new(rows.into_iter()),
            classes: vec![Some(1), None, Some(0)],
            used_for: Use::Validate,
            epoch: None,
            progress: 0.0,
        };
        let mut held_out = HeldOut::default();
        (0..20).for_each(|_| held_out.add(&examples));
        assert_eq!(HeldOut::from_vectors(&held_out.vectors()), held_out);
        let batches: Vec<_> = held_out.batches().collect();
        let counts: Vec<usize> = batches.iter().map(|(_, classes)| classes.len()).collect();
        assert_eq!(counts, [32, 8]);
        let rows: Vec<&[u32]> = batches[1].0.rows().collect();
        assert_eq!(rows[0], [1, 30521, 2]);
        assert_eq!(rows[7], [4, 4]);
        assert_eq!(batches[1].1[..2], [Some(1), Some(0)]);
    }
}
