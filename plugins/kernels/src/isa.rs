//! Which instruction set a loop runs with.

#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{Portable, Simd};

/// An instruction set that this machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(Level);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

/// A loop that can be compiled for any instruction set.
pub trait Kernel {
    /// Runs it; implementations are `#[inline(always)]`, or they stay portable.
    fn run<S: Simd>(self);
}

impl Isa {
    /// The best this machine has.
    pub fn detect() -> Self {
        Self::all()[0]
    }

    /// All that this machine has, best first.
    pub fn all() -> Vec<Self> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            if avx2 && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl") {
                found.push(Self(Level::Avx512));
            }
            if avx2 {
                found.push(Self(Level::Avx2));
            }
        }
        found.push(Self(Level::Portable));
        found
    }

    /// Whether this is none of the sets that loops are written for here: then tract's own matrix
    /// kernels, which know more processors, are the better ones.
    pub fn is_portable(self) -> bool {
        self.0 == Level::Portable
    }

    /// Runs `kernel`, compiled for this set.
    pub fn run<K: Kernel>(self, kernel: K) {
        match self.0 {
            // SAFETY: `all` makes this value only where the processor has these features.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { run_avx512(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { run_avx2(kernel) },
            Level::Portable => kernel.run::<Portable>(),
        }
    }

    /// Columns in a panel of packed weights: two registers.
    pub fn panel_width(self) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => 2 * Avx512::LANES,
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => 2 * Avx2::LANES,
            Level::Portable => 2 * Portable::LANES,
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx2,fma")]
fn run_avx512<K: Kernel>(kernel: K) {
    kernel.run::<Avx512>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2<K: Kernel>(kernel: K) {
    kernel.run::<Avx2>();
}
