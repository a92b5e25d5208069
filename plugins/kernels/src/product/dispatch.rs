//! Which tile each instruction set has for each format.

use super::tile::{Lanes, Pairs, PlainInt8, Tile};
use super::{Bf16, Format, TileKernel};
use crate::isa::{Isa, Level};
use crate::simd::Portable;

#[cfg(target_arch = "x86_64")]
use super::tile::{AmxBf16, AmxInt8, Avx2Int8, Avx512VnniInt8, AvxVnniInt8};
#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};

impl Format for f32 {
    type Sum = f32;

    fn run<K: TileKernel<f32>>(isa: Isa, kernel: K) {
        // SAFETY: an `Isa` is made only where the processor has what its level names.
        match isa.level() {
            #[cfg(target_arch = "x86_64")]
            Level::Amx | Level::Avx512Vnni | Level::Avx512 => unsafe {
                on_avx512::<_, Lanes<Avx512>, _>(kernel);
            },
            #[cfg(target_arch = "x86_64")]
            Level::AvxVnni | Level::Avx2 => unsafe { on_avx2::<_, Lanes<Avx2>, _>(kernel) },
            Level::Portable => kernel.run::<Portable, Lanes<Portable>>(),
        }
    }
}

impl Format for Bf16 {
    type Sum = f32;

    fn run<K: TileKernel<Bf16>>(isa: Isa, kernel: K) {
        // SAFETY: as for f32.
        match isa.level() {
            #[cfg(target_arch = "x86_64")]
            Level::Amx => unsafe { on_avx512_vnni::<_, AmxBf16, _>(kernel) },
            #[cfg(target_arch = "x86_64")]
            Level::Avx512Vnni | Level::Avx512 => unsafe {
                on_avx512::<_, Pairs<Avx512>, _>(kernel);
            },
            #[cfg(target_arch = "x86_64")]
            Level::AvxVnni | Level::Avx2 => unsafe { on_avx2::<_, Pairs<Avx2>, _>(kernel) },
            Level::Portable => kernel.run::<Portable, Pairs<Portable>>(),
        }
    }
}

impl Format for i8 {
    type Sum = i32;

    fn run<K: TileKernel<i8>>(isa: Isa, kernel: K) {
        // SAFETY: as for f32.
        match isa.level() {
            #[cfg(target_arch = "x86_64")]
            Level::Amx => unsafe { on_avx512_vnni::<_, AmxInt8, _>(kernel) },
            #[cfg(target_arch = "x86_64")]
            Level::Avx512Vnni => unsafe { on_avx512_vnni::<_, Avx512VnniInt8, _>(kernel) },
            #[cfg(target_arch = "x86_64")]
            Level::AvxVnni => unsafe { on_avx_vnni::<_, AvxVnniInt8, _>(kernel) },
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 | Level::Avx2 => unsafe { on_avx2::<_, Avx2Int8, _>(kernel) },
            Level::Portable => kernel.run::<Portable, PlainInt8>(),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni,avx2,fma")]
fn on_avx512_vnni<F: Format, T: Tile<F>, K: TileKernel<F>>(kernel: K) {
    kernel.run::<Avx512, T>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
fn on_avx512<F: Format, T: Tile<F>, K: TileKernel<F>>(kernel: K) {
    kernel.run::<Avx512, T>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avxvnni,avx2,fma")]
fn on_avx_vnni<F: Format, T: Tile<F>, K: TileKernel<F>>(kernel: K) {
    kernel.run::<Avx2, T>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn on_avx2<F: Format, T: Tile<F>, K: TileKernel<F>>(kernel: K) {
    kernel.run::<Avx2, T>();
}
