//! One particle's step.

use super::Version;
use crate::Random;

/// SPSO-2011's weight, 1/(2 ln 2).
const WEIGHT: f64 = 0.5 / std::f64::consts::LN_2;
/// SPSO-2011's pull, 1/2 + ln 2.
const PULL: f64 = 0.5 + std::f64::consts::LN_2;
/// Clerc and Kennedy's constriction for φ = 4.1.
const CHI: f64 = 0.729_843_788_128_357_6;
const PHI: f64 = 2.05;
/// `dynamic`: first and last weight, pull, and limit of velocity.
const WEIGHTS: (f64, f64) = (0.9, 0.4);
const DYNAMIC_PULL: f64 = 2.0;
const LIMIT: f64 = 0.5;

/// One particle.
pub(super) struct Particle<'a> {
    pub position: &'a mut [f64],
    pub velocity: &'a mut [f64],
    /// Its own best.
    pub own: &'a [f64],
    /// Its best informant's, where that is another.
    pub other: Option<&'a [f64]>,
}

/// The rules of one generation, and room to work in.
pub(super) struct Motion {
    version: Version,
    /// Of [`Version::Dynamic`], now.
    weight: f64,
    room: Vec<f64>,
}

impl Motion {
    pub fn new(version: Version, generation: u64, generations: u64) -> Self {
        let done = (generation as f64 / generations as f64).min(1.0);
        let weight = WEIGHTS.0 + (WEIGHTS.1 - WEIGHTS.0) * done;
        Self {
            version,
            weight,
            room: Vec::new(),
        }
    }

    pub fn step(&mut self, particle: Particle, random: &mut Random) {
        let Particle {
            position,
            velocity,
            own,
            other,
        } = particle;
        match self.version {
            Version::Spso2011 => self.sphere(position, velocity, (own, other), random),
            Version::Constriction => {
                let rule = |v: f64, own: f64, other: f64| CHI * (v + PHI * own + PHI * other);
                by_coordinate(position, velocity, (own, other), random, rule);
            }
            Version::Dynamic => {
                let rule = |v: f64, own: f64, other: f64| {
                    let pulls = DYNAMIC_PULL * own + DYNAMIC_PULL * other;
                    (self.weight * v + pulls).clamp(-LIMIT, LIMIT)
                };
                by_coordinate(position, velocity, (own, other), random, rule);
            }
        }
        for (x, v) in position.iter_mut().zip(velocity) {
            let next = *x + *v;
            *x = next.clamp(0.0, 1.0);
            *v = if *x == next { *v } else { -0.5 * *v };
        }
    }

    /// The velocity that leads to a random point of the sphere around the centre of gravity.
    fn sphere(
        &mut self,
        position: &[f64],
        velocity: &mut [f64],
        (own, other): (&[f64], Option<&[f64]>),
        random: &mut Random,
    ) {
        let (other, pull) = match other {
            Some(other) => (other, PULL / 3.0),
            // The best of its informants: two points instead of three. The sum below counts
            // its own best twice.
            None => (own, PULL / 4.0),
        };
        self.room.resize(position.len(), 0.0);
        random.gaussians(&mut self.room);
        let length = dot(&self.room, &self.room);
        let toward = |x: f64, own: f64, other: f64| pull * ((own - x) + (other - x));
        let mut radius = 0.0;
        for ((x, own), other) in position.iter().zip(own).zip(other) {
            radius += toward(*x, *own, *other) * toward(*x, *own, *other);
        }
        let share = if length > 0.0 {
            (radius / length).sqrt() * random.uniform()
        } else {
            0.0
        };
        let points = position.iter().zip(own).zip(other).zip(&self.room);
        for (v, (((x, own), other), direction)) in velocity.iter_mut().zip(points) {
            *v = WEIGHT * *v + toward(*x, *own, *other) + share * direction;
        }
    }
}

/// The velocity by `rule` of the old one and of both pulls, each times a random number.
fn by_coordinate(
    position: &[f64],
    velocity: &mut [f64],
    (own, other): (&[f64], Option<&[f64]>),
    random: &mut Random,
    rule: impl Fn(f64, f64, f64) -> f64,
) {
    let points = position.iter().zip(own).zip(other.unwrap_or(own));
    for (v, ((x, own), other)) in velocity.iter_mut().zip(points) {
        let (first, second) = random.pair();
        *v = rule(*v, first * (own - x), second * (other - x));
    }
}

/// Four sums at once, in a fixed order.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let (fours, rest) = (a.chunks_exact(4), a.chunks_exact(4).remainder());
    for (a, b) in fours.zip(b.chunks_exact(4)) {
        for lane in 0..4 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let tail = &b[b.len() - rest.len()..];
    let rest: f64 = rest.iter().zip(tail).map(|(a, b)| a * b).sum();
    (sums[0] + sums[1]) + (sums[2] + sums[3]) + rest
}
