//! Which instruction set a loop runs with.

use std::fmt;
use std::sync::OnceLock;

#[cfg(target_arch = "x86_64")]
use crate::simd::{Avx2, Avx512};
use crate::simd::{Portable, Simd};

/// An instruction set that this machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(Level);

/// Each has what those below it have of the same width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// AVX-512 VNNI, and tiles of int8 and bf16.
    #[cfg(target_arch = "x86_64")]
    Amx,
    /// AVX-512 with dot products of int8.
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// AVX2 with dot products of int8.
    #[cfg(target_arch = "x86_64")]
    AvxVnni,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

/// The environment variable that names the set to use instead of the best.
pub const ISA_VARIABLE: &str = "SEGUE_ISA";

/// A loop that can be compiled for any instruction set.
pub trait Kernel {
    /// Runs it; implementations are `#[inline(always)]`, or they stay portable.
    fn run<S: Simd>(self);
}

impl Isa {
    /// The best this machine has.
    pub fn detect() -> Self {
        static BEST: OnceLock<Isa> = OnceLock::new();
        *BEST.get_or_init(|| Self::all()[0])
    }

    /// The one that the variable `SEGUE_ISA` names, or else the best.
    ///
    /// # Errors
    /// A name that this machine does not have, with those that it has
    pub fn chosen() -> Result<Self, String> {
        match std::env::var(ISA_VARIABLE) {
            Ok(name) => Self::named(&name),
            Err(_) => Ok(Self::detect()),
        }
    }

    /// The one called `name`, as [`Self`] is displayed.
    ///
    /// # Errors
    /// As [`Self::chosen`]
    pub fn named(name: &str) -> Result<Self, String> {
        let all = Self::all();
        let found = all.iter().find(|isa| isa.to_string() == name);
        found.copied().ok_or_else(|| {
            let names: Vec<String> = all.iter().map(|isa| format!("`{isa}`")).collect();
            let names = names.join(", ");
            format!("`{ISA_VARIABLE}` is `{name}`, and this machine has {names}")
        })
    }

    /// All that this machine has, best first.
    pub fn all() -> Vec<Self> {
        let mut found = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let avx512 =
                avx2 && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vl");
            let vnni = avx512
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vnni");
            let has = [
                (Level::Amx, vnni && crate::product::amx_is_permitted()),
                (Level::Avx512Vnni, vnni),
                (Level::Avx512, avx512),
                (Level::AvxVnni, avx2 && is_x86_feature_detected!("avxvnni")),
                (Level::Avx2, avx2),
            ];
            found.extend(
                has.iter()
                    .filter(|(_, has)| *has)
                    .map(|(level, _)| Self(*level)),
            );
        }
        found.push(Self(Level::Portable));
        found
    }

    /// Whether this is none of the sets that loops are written for here: then tract's own matrix
    /// kernels, which know more processors, are the better ones.
    pub fn is_portable(self) -> bool {
        self.0 == Level::Portable
    }

    /// What it has.
    pub(crate) fn level(self) -> Level {
        self.0
    }

    /// Runs `kernel`, compiled for this set.
    pub fn run<K: Kernel>(self, kernel: K) {
        match self.0 {
            // SAFETY: `all` makes this value only where the processor has these features.
            #[cfg(target_arch = "x86_64")]
            Level::Amx | Level::Avx512Vnni | Level::Avx512 => unsafe { run_avx512(kernel) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Level::AvxVnni | Level::Avx2 => unsafe { run_avx2(kernel) },
            Level::Portable => kernel.run::<Portable>(),
        }
    }
}

/// Its name in `SEGUE_ISA`.
impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            #[cfg(target_arch = "x86_64")]
            Level::Amx => "amx",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512Vnni => "avx512-vnni",
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Level::AvxVnni => "avx-vnni",
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => "avx2",
            Level::Portable => "portable",
        })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_by_its_name() {
        for isa in Isa::all() {
            assert_eq!(Isa::named(&isa.to_string()), Ok(isa));
        }
        let error = Isa::named("sse9").unwrap_err();
        assert!(error.starts_with("`SEGUE_ISA` is `sse9`, "), "{error}");
        assert!(error.ends_with("`portable`"), "{error}");
    }
}
