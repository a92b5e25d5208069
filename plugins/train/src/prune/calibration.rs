//! What is looked at before anything is taken out.

use segue_learn::lists::Lists;
use segue_learn::store::{Packed, no_state, pack};
use segue_plugin::Result;

use super::options::Score;
use crate::batch::{Examples, Use};
use crate::config::ModelShape;
use crate::held_out::HeldOut;
use crate::model::Model;
use crate::prune::importance::Importance;
use crate::prune::state::{from_lists, from_numbers, lists, numbers};
use crate::trainer::internal;

/// Tokens by which what is left is fitted: far more than a layer has inner units.
const FIT_TOKENS: usize = 40_000;

/// Reviews that are looked at before anything goes.
pub(super) struct Calibration {
    pub(super) model: Model,
    pub(super) importance: Importance,
    /// The first of the reviews, to fit by.
    pub(super) reviews: Lists,
    pub(super) seen: usize,
    pub(super) held_out: HeldOut,
}

impl Calibration {
    pub(super) fn new(shape: &ModelShape, vectors: &[Vec<f32>], threads: usize) -> Result<Self> {
        Ok(Calibration {
            model: Model::new(shape.clone(), vectors, threads).map_err(internal)?,
            importance: Importance::new(shape),
            reviews: Lists::default(),
            seen: 0,
            held_out: HeldOut::default(),
        })
    }

    pub(super) fn take(
        &mut self,
        vectors: &[Vec<f32>],
        examples: &Examples,
        score: Score,
    ) -> Result<()> {
        match (examples.used_for, examples.epoch) {
            // Those of an epoch come again.
            (Use::Validate, Some(_)) => return Ok(()),
            (Use::Validate, None) => {
                self.held_out.add(examples);
                return Ok(());
            }
            (Use::Train, _) => {}
        }
        for row in examples.tokens.rows() {
            if self.reviews.numbers().len() < FIT_TOKENS {
                self.reviews.push(row.iter().copied());
            }
        }
        self.seen += examples.classes.len();
        if score == Score::Fisher {
            let model = (&self.model, vectors);
            self.importance
                .add(model, &examples.tokens, &examples.classes)?;
        }
        Ok(())
    }

    pub(super) fn snapshot(&self) -> Result<[Vec<u8>; 3]> {
        let scores = self.importance.0.iter();
        let scores = scores.flat_map(|s| s.heads.iter().chain(&s.inner)).copied();
        let held_out = self.held_out.vectors();
        let named: Vec<(String, &[f32])> = (held_out.iter().enumerate())
            .map(|(i, vector)| (i.to_string(), vector.as_slice()))
            .collect();
        Ok([
            from_numbers(scores),
            from_lists(&self.reviews),
            pack(&named)?,
        ])
    }

    pub(super) fn restore(
        &mut self,
        seen: usize,
        scores: &[u8],
        reviews: &[u8],
        held_out: &[u8],
    ) -> Result<()> {
        let mut all = numbers(scores);
        let places = self.importance.0.iter_mut();
        for place in places.flat_map(|s| s.heads.iter_mut().chain(&mut s.inner)) {
            *place = all
                .next()
                .ok_or_else(|| no_state("it is of a model of another shape"))?;
        }
        let packed = Packed::open(held_out).map_err(no_state)?;
        let vectors =
            (0..HeldOut::VECTORS).map(|i| packed.floats(&i.to_string()).map_err(no_state));
        self.held_out = HeldOut::from_vectors(&vectors.collect::<Result<Vec<_>>>()?);
        (self.seen, self.reviews) = (seen, lists(reviews)?);
        Ok(())
    }
}
