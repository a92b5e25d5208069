//! What a search says of each generation.

use serde::{Deserialize, Serialize};

use crate::Generation;

/// One generation: a line of a history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Statistics {
    /// Counts from 0.
    pub generation: u64,
    /// Candidates that were scored so far, this generation's included.
    pub evaluations: u64,
    /// What they cost so far, in full scores: less than 1 for one that was stopped early, one
    /// more for each of Adam's steps.
    pub effort: f64,
    /// The best fitness so far, of those that were scored in full and break no constraint; as
    /// the objective is, not as it is minimised.
    pub best: Option<f64>,
    /// Mean fitness of the generation's candidates that break no constraint.
    pub mean: Option<f64>,
    /// Mean distance of the generation's candidates to their centroid, as a share of the box's
    /// diagonal. In blocks, candidates differ in one block alone.
    pub diversity: f64,
    /// Candidates that were known from before, or twice in the generation.
    pub cached: u64,
    /// Candidates that break constraints.
    pub infeasible: u64,
    /// Candidates whose fitness or violation was not a finite number.
    pub not_finite: u64,
}

/// Mean distance to the centroid over the unit box's diagonal; 0 for an empty generation.
pub fn diversity(generation: &Generation) -> f64 {
    let (count, width) = (generation.len(), generation.dimensions);
    if count == 0 {
        return 0.0;
    }
    let mut centroid = vec![0.0; width];
    for position in generation.positions.chunks_exact(width) {
        centroid
            .iter_mut()
            .zip(position)
            .for_each(|(sum, x)| *sum += x);
    }
    centroid.iter_mut().for_each(|sum| *sum /= count as f64);
    let distance = |position: &[f64]| {
        let squares: f64 = position
            .iter()
            .zip(&centroid)
            .map(|(x, c)| (x - c) * (x - c))
            .sum();
        squares.sqrt()
    };
    let sum: f64 = generation.positions.chunks_exact(width).map(distance).sum();
    sum / count as f64 / (width as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn opposite_corners_are_half_a_diagonal_from_their_centroid() {
        let mut generation = Generation::new(0, 3);
        generation.positions = vec![0.0, 0.0, 0.0, 1.0, 1.0, 1.0];
        assert!((diversity(&generation) - 0.5).abs() < 1e-15);
        generation.positions = vec![0.3; 6];
        assert_eq!(diversity(&generation), 0.0);
    }
}
