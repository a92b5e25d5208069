//! Dropout whose masks depend on a key and a position alone, so that they can be made again.

/// A mask that leaves out a part of the values and scales the others up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mask {
    keys: [u32; 2],
    /// Hashes below it are left out.
    threshold: u32,
    scale: f32,
}

impl Mask {
    /// Leaves out nothing.
    pub const NONE: Mask = Mask {
        keys: [0; 2],
        threshold: 0,
        scale: 1.0,
    };

    /// The mask of `key` with a part `p` from 0 to below 1 left out.
    pub fn new(p: f32, key: u64) -> Self {
        let mixed = mix(key);
        Mask {
            keys: [mixed as u32, (mixed >> 32) as u32],
            // A part of 2^32.
            threshold: (f64::from(p) * 4_294_967_296.0) as u32,
            scale: 1.0 / (1.0 - p),
        }
    }

    /// Another mask of the same part.
    pub fn derived(self, number: u64) -> Self {
        let key = u64::from(self.keys[0]) | u64::from(self.keys[1]) << 32;
        let mixed = mix(key ^ mix(number));
        Mask {
            keys: [mixed as u32, (mixed >> 32) as u32],
            ..self
        }
    }

    /// Whether it leaves nothing out.
    pub fn is_none(self) -> bool {
        self.threshold == 0
    }

    /// 0 or the scale, for the value at `index`.
    #[inline(always)]
    pub fn at(self, index: u32) -> f32 {
        let mut hash = index ^ self.keys[0];
        hash ^= hash >> 16;
        hash = hash.wrapping_mul(0x7feb_352d);
        hash = (hash ^ (hash >> 15)).wrapping_add(self.keys[1]);
        hash = hash.wrapping_mul(0x846c_a68b);
        hash ^= hash >> 16;
        if hash >= self.threshold {
            self.scale
        } else {
            0.0
        }
    }
}

/// Spreads `key` over 64 bits.
///
/// # Source
/// The finalizer of SplitMix64: Steele, Lea and Flood, 2014.
fn mix(key: u64) -> u64 {
    let mut z = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_is_left_out_and_the_mean_stays() {
        for key in 0..5 {
            let mask = Mask::new(0.1, key);
            let left = (0..100_000).filter(|i| mask.at(*i) == 0.0).count();
            assert!((9_600..10_400).contains(&left), "{left}");
            let other = mask.derived(1);
            let both = (0..100_000).filter(|i| mask.at(*i) == 0.0 && other.at(*i) == 0.0);
            let both = both.count();
            assert!((850..1_150).contains(&both), "{both}");
        }
        assert!((0..1000).all(|i| Mask::NONE.at(i) == 1.0));
    }
}
