//! The weights of a model as a space.

use serde::{Deserialize, Serialize};

use super::Projection;
use super::error::{Error, Result};
use crate::adam::descend;
use crate::digest::Digest;

/// Weights around a start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weights {
    /// Where the middle of the box lies: one number a weight.
    pub start: Vec<f32>,
    /// How far the box reaches from there in each coordinate.
    pub radius: f64,
    /// Which of them are searched.
    pub extent: Extent,
}

/// Which weights are searched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extent {
    /// Each by itself. In blocks with a search whose `block` is set.
    Whole,
    /// All, along some directions that a seed gives.
    Subspace(Projection),
}

impl Weights {
    /// All weights, each by itself.
    pub fn whole(start: Vec<f32>, radius: f64) -> Self {
        Self {
            start,
            radius,
            extent: Extent::Whole,
        }
    }

    /// A random subspace through the start.
    ///
    /// # Source
    /// Li, Farkhoor, Liu and Yosinski, "Measuring the Intrinsic Dimension of Objective Landscapes",
    /// ICLR 2018
    pub fn subspace(
        start: Vec<f32>,
        radius: f64,
        dimensions: usize,
        seed: u64,
        dense: bool,
    ) -> Self {
        let projection = Projection::new(start.len(), dimensions, seed, dense);
        Self {
            start,
            radius,
            extent: Extent::Subspace(projection),
        }
    }

    /// Coordinates of the unit box.
    pub fn dimensions(&self) -> usize {
        match &self.extent {
            Extent::Whole => self.start.len(),
            Extent::Subspace(projection) => projection.dimensions(),
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        let wrong = |text: &str| Err(Error(text.to_owned()));
        if self.start.is_empty() || self.dimensions() == 0 {
            return wrong("there are no weights to search");
        }
        if !self.start.iter().all(|weight| weight.is_finite()) {
            return wrong("a weight of the start is not finite");
        }
        if self.radius > 0.0 && self.radius.is_finite() {
            Ok(())
        } else {
            wrong("the radius around the start must be more than 0")
        }
    }

    /// The weights at a point.
    pub fn decode(&self, position: &[f64]) -> Vec<f32> {
        match &self.extent {
            Extent::Whole => self
                .start
                .iter()
                .zip(position)
                .map(|(start, x)| self.weight(*start, *x))
                .collect(),
            Extent::Subspace(projection) => {
                let along: Vec<f64> = position.iter().map(|x| self.offset(*x)).collect();
                let moved = |(number, start): (usize, &f32)| {
                    (f64::from(*start) + projection.row(number, &along)) as f32
                };
                self.start.iter().enumerate().map(moved).collect()
            }
        }
    }

    /// The point of these weights, cut to the box; of a subspace the nearest along its
    /// directions. Of whole weights within the box, decoding gives the same weights again.
    ///
    /// # Errors
    /// As many weights as the start has are needed, all finite.
    pub fn encode(&self, weights: &[f32]) -> Result<Vec<f64>> {
        if weights.len() != self.start.len() {
            let (got, want) = (weights.len(), self.start.len());
            return Err(Error(format!("{got} weights instead of {want}")));
        }
        if !weights.iter().all(|weight| weight.is_finite()) {
            return Err(Error("a weight is not finite".into()));
        }
        let moved: Vec<f64> = weights
            .iter()
            .zip(&self.start)
            .map(|(w, s)| f64::from(*w) - f64::from(*s))
            .collect();
        let along = match &self.extent {
            Extent::Whole => moved,
            Extent::Subspace(projection) => projection.transposed(&moved),
        };
        Ok(along.iter().map(|offset| self.unit(*offset)).collect())
    }

    /// Walks downhill from a point with Adam's steps, and returns how many were taken. The
    /// gradient is one of weights; in a subspace, steps are along its directions.
    pub fn descend(
        &self,
        position: &mut [f64],
        steps: u32,
        rate: f64,
        mut gradient: impl FnMut(&[f32], &mut [f64]),
    ) -> u32 {
        let mut slopes = vec![0.0; self.start.len()];
        let mut along: Vec<f64> = position.iter().map(|x| self.offset(*x)).collect();
        let taken = descend(&mut along, steps, rate, |along, slope| {
            let point: Vec<f64> = along.iter().map(|offset| self.unit(*offset)).collect();
            gradient(&self.decode(&point), &mut slopes);
            match &self.extent {
                Extent::Whole => slope.copy_from_slice(&slopes),
                Extent::Subspace(projection) => {
                    slope.copy_from_slice(&projection.transposed(&slopes));
                }
            }
        });
        position
            .iter_mut()
            .zip(&along)
            .for_each(|(x, offset)| *x = self.unit(*offset));
        taken
    }

    pub(super) fn digest(&self, position: &[f64], digest: &mut Digest) {
        match &self.extent {
            Extent::Whole => {
                for (start, x) in self.start.iter().zip(position) {
                    digest.word(u64::from(self.weight(*start, *x).to_bits()));
                }
            }
            Extent::Subspace(_) => position.iter().for_each(|x| digest.word(x.to_bits())),
        }
    }

    fn weight(&self, start: f32, x: f64) -> f32 {
        (f64::from(start) + self.offset(x)) as f32
    }

    fn offset(&self, x: f64) -> f64 {
        (2.0 * x - 1.0) * self.radius
    }

    fn unit(&self, offset: f64) -> f64 {
        (0.5 + 0.5 * offset / self.radius).clamp(0.0, 1.0)
    }
}
