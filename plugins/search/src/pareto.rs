//! The candidates that no other beats in every objective.

use serde::{Deserialize, Serialize};

/// One of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// When it was found.
    pub generation: u64,
    /// Its number there.
    pub candidate: usize,
    /// Where: a point of the unit box.
    pub position: Vec<f64>,
    /// Each to be minimised.
    pub objectives: Vec<f64>,
}

/// A front that keeps so many points, dropping the most crowded first.
///
/// # Source
/// Crowding distance: Deb, Pratap, Agarwal and Meyarivan (NSGA-II), IEEE TEC 6(2), 2002
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Front {
    limit: usize,
    points: Vec<Point>,
}

impl Front {
    /// An empty one; a limit below 2 is 2.
    pub fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(2),
            points: Vec::new(),
        }
    }

    /// In the order in which they were found.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Takes a point, unless one that is here is as good in every objective; those that it is as
    /// good as go.
    pub fn insert(&mut self, point: Point) {
        let as_good =
            |a: &Point, b: &Point| a.objectives.iter().zip(&b.objectives).all(|(a, b)| a <= b);
        if self.points.iter().any(|here| as_good(here, &point)) {
            return;
        }
        self.points.retain(|here| !as_good(&point, here));
        self.points.push(point);
        if self.points.len() > self.limit {
            let crowding = self.crowding();
            // Of equal ones the latest goes.
            let most = (0..crowding.len())
                .rev()
                .min_by(|&a, &b| crowding[a].total_cmp(&crowding[b]));
            most.map(|most| self.points.remove(most));
        }
    }

    /// How far each point's neighbours are from each other, as a share of the front, over all
    /// objectives. Infinite at its ends.
    fn crowding(&self) -> Vec<f64> {
        let count = self.points.len();
        let mut crowding = vec![0.0; count];
        for objective in 0..self
            .points
            .first()
            .map_or(0, |point| point.objectives.len())
        {
            let value = |number: usize| self.points[number].objectives[objective];
            let mut order: Vec<usize> = (0..count).collect();
            order.sort_by(|&a, &b| value(a).total_cmp(&value(b)));
            let (first, last) = (order[0], order[count - 1]);
            let range = value(last) - value(first);
            (crowding[first], crowding[last]) = (f64::INFINITY, f64::INFINITY);
            if range > 0.0 {
                for three in order.windows(3) {
                    crowding[three[1]] += (value(three[2]) - value(three[0])) / range;
                }
            }
        }
        crowding
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(candidate: usize, objectives: &[f64]) -> Point {
        Point {
            generation: 0,
            candidate,
            position: vec![],
            objectives: objectives.to_vec(),
        }
    }

    fn numbers(front: &Front) -> Vec<usize> {
        front.points().iter().map(|point| point.candidate).collect()
    }

    #[test]
    fn only_what_nothing_dominates_stays() {
        let mut front = Front::new(9);
        for (number, objectives) in [[2.0, 2.0], [1.0, 3.0], [3.0, 3.0], [2.0, 2.0], [3.0, 1.0]]
            .iter()
            .enumerate()
        {
            front.insert(point(number, objectives));
        }
        assert_eq!(numbers(&front), [0, 1, 4]);
        front.insert(point(5, &[1.0, 2.0]));
        assert_eq!(numbers(&front), [4, 5]);
    }

    #[test]
    fn the_most_crowded_goes_and_the_ends_stay() {
        let mut front = Front::new(3);
        for (number, x) in [0.0, 10.0, 5.0, 9.0].iter().enumerate() {
            front.insert(point(number, &[*x, 10.0 - x]));
        }
        assert_eq!(numbers(&front), [0, 1, 2]);
    }
}
