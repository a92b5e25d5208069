//! The formats that numbers are multiplied in.

use super::Aligned;
use super::tile::Tile;
use crate::{Isa, Simd};

/// How the numbers of weights and activations are held for a product.
pub(crate) trait Format: Copy + Default + 'static {
    /// What their products are summed in.
    type Sum: Copy + Default + 'static;

    /// Runs `kernel` with the best tile of this format that `isa` has.
    fn run<K: TileKernel<Self>>(isa: Isa, kernel: K);
}

/// A loop over the tiles of a format; implementations are `#[inline(always)]`, or they are
/// compiled without the instruction set.
pub(crate) trait TileKernel<F: Format> {
    /// Runs it with the tile `T`, and with `S` for what is around it.
    fn run<S: Simd, T: Tile<F>>(self);
}

/// The upper half of an f32, which a float becomes by rounding to the nearest, ties to even.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(transparent)]
pub(crate) struct Bf16(pub u16);

impl Bf16 {
    /// Rounds `x`; what is not a number stays none.
    #[inline(always)]
    pub fn round(x: f32) -> Self {
        let bits = x.to_bits();
        let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1));
        // A quiet NaN, where rounding could carry into the sign.
        let kept = if x.is_nan() { 0x7fc0_0000 } else { rounded };
        Self((kept >> 16) as u16)
    }

    /// The bits of all.
    #[inline(always)]
    pub fn bits(all: &mut [Self]) -> &mut [u16] {
        // SAFETY: the type is transparent, and any bits make one.
        unsafe { &mut *(std::ptr::from_mut(all) as *mut [u16]) }
    }

    /// The same number.
    #[cfg(test)]
    pub fn widen(self) -> f32 {
        f32::from_bits(u32::from(self.0) << 16)
    }
}

/// A float in which attention's products can be taken.
pub(crate) trait Float: Format<Sum = f32> {
    /// Writes the lanes, each as the nearest of this format.
    fn store<S: Simd>(v: S::V, to: &mut [Self]);

    /// All of `from` in this format; `room` is used where it is another one, and then `more`
    /// zeros lie behind these.
    fn all<'a, S: Simd>(from: &'a [f32], more: usize, room: &'a mut Aligned<Self>) -> &'a [Self];
}

impl Float for f32 {
    #[inline(always)]
    fn store<S: Simd>(v: S::V, to: &mut [f32]) {
        S::store(v, to);
    }

    #[inline(always)]
    fn all<'a, S: Simd>(from: &'a [f32], _: usize, _: &'a mut Aligned<f32>) -> &'a [f32] {
        from
    }
}

impl Float for Bf16 {
    #[inline(always)]
    fn store<S: Simd>(v: S::V, to: &mut [Bf16]) {
        S::store_bf16(v, Bf16::bits(to));
    }

    #[inline(always)]
    fn all<'a, S: Simd>(from: &'a [f32], more: usize, room: &'a mut Aligned<Bf16>) -> &'a [Bf16] {
        room.grow(from.len() + more);
        round::<S>(from, room);
        room[from.len()..][..more].fill(Bf16::default());
        room
    }
}

/// Rounds `from` into the start of `to`.
#[inline(always)]
pub(crate) fn round<S: Simd>(from: &[f32], to: &mut [Bf16]) {
    let whole = from.len() / S::LANES * S::LANES;
    let to = &mut to[..from.len()];
    for i in (0..whole).step_by(S::LANES) {
        Bf16::store::<S>(S::read(&from[i..]), &mut to[i..]);
    }
    for (to, x) in to[whole..].iter_mut().zip(&from[whole..]) {
        *to = Bf16::round(*x);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_to_the_nearest_bf16() {
        for (x, want) in [
            (1.0, 1.0),
            (-0.0, -0.0),
            // Half way between two: to the even one.
            (1.0 + 1.0 / 256.0, 1.0),
            (1.0 + 3.0 / 256.0, 1.0 + 4.0 / 256.0),
            (1.0 + 1.1 / 256.0, 1.0 + 2.0 / 256.0),
            (f32::MAX, f32::INFINITY),
            (f32::NEG_INFINITY, f32::NEG_INFINITY),
        ] {
            let got = Bf16::round(x).widen();
            assert_eq!(got.to_bits(), f32::to_bits(want), "{x}: {got}, not {want}");
        }
        assert!(Bf16::round(f32::from_bits(0x7fff_ffff)).widen().is_nan());
        assert!(Bf16::round(f32::NAN).widen().is_nan());
    }
}
