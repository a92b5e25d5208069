//! Random numbers that come from (seed, generation, candidate) and from nothing else.
//!
//! Every candidate of every generation has a stream of its own, so it does not matter who draws
//! first, and a search that was saved goes on with the same numbers. The generator is written
//! here because a library may change its own from version to version.

use std::sync::OnceLock;

/// What a stream is for: two uses for one candidate of one generation get two streams.
#[derive(Clone, Copy, Debug)]
#[repr(u64)]
pub enum Purpose {
    /// Where a candidate starts.
    Start = 1,
    /// How it moves, or from whom it descends.
    Move = 2,
    /// Who informs whom.
    Links = 3,
    /// Whether it is kept.
    Accept = 4,
    /// Directions of a random subspace.
    Projection = 5,
    /// The seed of a search inside a search.
    Inner = 6,
}

/// A stream: xoshiro256++ 1.0, seeded by SplitMix64.
///
/// # Source
/// Blackman and Vigna, ACM TOMS 47(4), 2021; Steele, Lea and Flood, OOPSLA 2014
#[derive(Clone, Debug)]
pub struct Random([u64; 4]);

/// SplitMix64's increment.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64's mixing function, a bijection.
#[inline]
pub(crate) fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// A seed for a search inside a search, `number` of those that share `seed`.
pub fn inner_seed(seed: u64, number: u64) -> u64 {
    Random::new(seed, number, 0, Purpose::Inner).bits()
}

impl Random {
    /// The stream of one candidate of one generation.
    #[inline]
    pub fn new(seed: u64, generation: u64, candidate: u64, purpose: Purpose) -> Self {
        let mut key = mix(seed.wrapping_add(GOLDEN));
        for word in [generation, purpose as u64, candidate] {
            key = mix(key.wrapping_add(GOLDEN) ^ mix(word.wrapping_add(GOLDEN)));
        }
        let mut state = [0; 4];
        for word in &mut state {
            key = key.wrapping_add(GOLDEN);
            *word = mix(key);
        }
        Self(state)
    }

    /// 64 random bits.
    #[inline]
    pub fn bits(&mut self) -> u64 {
        let [a, b, c, d] = self.0;
        let bits = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c1, d1) = (c ^ a, d ^ b);
        self.0 = [a ^ d1, b ^ c1, c1 ^ (b << 17), d1.rotate_left(45)];
        bits
    }

    /// Uniform in [0, 1), 53 bits.
    #[inline]
    pub fn uniform(&mut self) -> f64 {
        (self.bits() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// Two that are uniform in [0, 1), of 32 bits each, for the price of one.
    #[inline]
    pub fn pair(&mut self) -> (f64, f64) {
        const UNIT: f64 = 1.0 / (1_u64 << 32) as f64;
        let bits = self.bits();
        ((bits >> 32) as f64 * UNIT, (bits as u32) as f64 * UNIT)
    }

    /// Uniform in `low..high`.
    #[inline]
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// Uniform in `0..count`; `count` is not zero.
    ///
    /// # Source
    /// Lemire, ACM TOMACS 29(1), 2019, without the rejection: the bias is below 2⁻³².
    #[inline]
    pub fn below(&mut self, count: usize) -> usize {
        ((u128::from(self.bits()) * count as u128) >> 64) as usize
    }

    /// Standard normal.
    ///
    /// # Source
    /// Marsaglia and Tsang, Journal of Statistical Software 5(8), 2000, with Doornik's remark
    /// (2005) that layer and value must not share bits
    pub fn gaussian(&mut self) -> f64 {
        self.layered(Layers::get())
    }

    /// As many standard normal numbers as fit.
    pub fn gaussians(&mut self, values: &mut [f64]) {
        let layers = Layers::get();
        // In a variable of its own the state stays in registers.
        let mut random = self.clone();
        values.fill_with(|| random.layered(layers));
        *self = random;
    }

    #[inline]
    fn layered(&mut self, layers: &Layers) -> f64 {
        loop {
            let bits = self.bits();
            let layer = (bits & 0xff) as usize;
            // 53 bits with a sign, in [-1, 1).
            let signed = (bits as i64 >> 11) as f64 * (1.0 / (1_u64 << 52) as f64);
            let value = signed * layers.edge[layer];
            if value.abs() < layers.edge[layer + 1] {
                return value;
            }
            let (random, inside) = outside(self.0, layers, layer, value);
            self.0 = random;
            if let Some(value) = inside {
                return value;
            }
        }
    }

    /// Beyond the last layer (Marsaglia 1964).
    fn tail(&mut self) -> f64 {
        loop {
            let x = -libm::log(1.0 - self.uniform()) / TAIL;
            let y = -libm::log(1.0 - self.uniform());
            if y + y > x * x {
                return TAIL + x;
            }
        }
    }
}

/// The rare cases: the tail, and the wedge between two layers.
#[cold]
#[inline(never)]
fn outside(state: [u64; 4], layers: &Layers, layer: usize, value: f64) -> ([u64; 4], Option<f64>) {
    let mut random = Random(state);
    let inside = if layer == 0 {
        Some(random.tail().copysign(value))
    } else {
        let height = random.between(layers.height[layer], layers.height[layer + 1]);
        (height < libm::exp(-0.5 * value * value)).then_some(value)
    };
    (random.0, inside)
}

/// Where the tail begins, for 256 layers.
const TAIL: f64 = 3.654_152_885_361_009;
/// The area of a layer under exp(-x²/2), for 256 layers.
const AREA: f64 = 0.004_928_673_233_974_655;

/// The layers of the normal density, widest first.
struct Layers {
    edge: [f64; 257],
    height: [f64; 257],
}

impl Layers {
    #[inline]
    fn get() -> &'static Self {
        static LAYERS: OnceLock<Layers> = OnceLock::new();
        LAYERS.get_or_init(Self::new)
    }

    fn new() -> Self {
        let (mut edge, mut height) = ([0.0; 257], [0.0; 257]);
        let density = |x: f64| libm::exp(-0.5 * x * x);
        edge[0] = AREA / density(TAIL);
        edge[1] = TAIL;
        height[1] = density(TAIL);
        for layer in 2..256 {
            height[layer] = height[layer - 1] + AREA / edge[layer - 1];
            edge[layer] = libm::sqrt(-2.0 * libm::log(height[layer]));
        }
        height[256] = 1.0;
        Self { edge, height }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_generator_is_xoshiro256_plus_plus() {
        // The reference implementation from the state 1, 2, 3, 4.
        let mut random = Random([1, 2, 3, 4]);
        let bits: Vec<u64> = (0..4).map(|_| random.bits()).collect();
        assert_eq!(
            bits,
            [
                41_943_041,
                58_720_359,
                3_588_806_011_781_223,
                3_591_011_842_654_386
            ]
        );
    }

    #[test]
    fn a_stream_is_the_same_for_ever() {
        let mut random = Random::new(1, 2, 3, Purpose::Move);
        let numbers = [random.uniform(), random.gaussian(), random.uniform()];
        // From an implementation of its own in another language.
        let pinned = [
            0.814_607_265_293_399_3,
            0.301_119_451_254_524_44,
            0.074_379_123_513_677_15,
        ];
        assert_eq!(numbers, pinned);
    }

    #[test]
    fn streams_differ_by_every_part_of_their_key() {
        let key = |seed, generation, candidate, purpose| {
            Random::new(seed, generation, candidate, purpose).bits()
        };
        let mut all = vec![key(0, 0, 0, Purpose::Accept)];
        for seed in 0..20 {
            for generation in 0..20 {
                for candidate in 0..20 {
                    all.push(key(seed, generation, candidate, Purpose::Move));
                }
            }
        }
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn gaussians_have_the_moments_and_tails_of_a_normal() {
        let mut random = Random::new(7, 0, 0, Purpose::Move);
        let count = 4_000_000;
        let (mut sums, mut beyond) = ([0.0; 4], [0; 4]);
        for _ in 0..count {
            let value = random.gaussian();
            for (power, sum) in sums.iter_mut().enumerate() {
                *sum += value.powi(power as i32 + 1);
            }
            for (limit, count) in beyond.iter_mut().enumerate() {
                *count += usize::from(value.abs() > limit as f64 + 1.0);
            }
        }
        let moments = sums.map(|sum| sum / count as f64);
        for (got, (want, error)) in
            moments
                .iter()
                .zip([(0.0, 0.0005), (1.0, 0.0007), (0.0, 0.002), (3.0, 0.005)])
        {
            assert!((got - want).abs() < 5.0 * error, "{moments:?}");
        }
        // The shares of a normal beyond 1, 2, 3 and 4 deviations.
        let shares = [0.317_310_5, 0.045_500_26, 0.002_699_796, 0.000_063_342];
        for (got, share) in beyond.iter().zip(shares) {
            let want = share * f64::from(count);
            assert!((*got as f64 - want).abs() < 5.0 * want.sqrt(), "{beyond:?}");
        }
    }

    #[test]
    fn below_gives_every_number_equally_often() {
        let mut random = Random::new(3, 0, 0, Purpose::Move);
        let mut counts = [0_i32; 7];
        for _ in 0..70_000 {
            counts[random.below(7)] += 1;
        }
        assert!(
            counts.iter().all(|count| (count - 10_000).abs() < 500),
            "{counts:?}"
        );
    }
}
