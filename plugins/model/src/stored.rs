//! Numbers as a file holds them.

use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use segue_kernels::Quantized;

/// The numbers of a tensor, in the type that its file stores.
#[derive(Clone, Debug, PartialEq)]
pub enum Stored {
    /// 32 bits.
    F32(Vec<f32>),
    /// IEEE 754, 16 bits.
    F16(Vec<f16>),
    /// The upper half of 32 bits.
    Bf16(Vec<bf16>),
    /// Bytes, and a scale a row.
    Int8(Quantized),
}

impl Stored {
    /// How many numbers there are.
    pub fn len(&self) -> usize {
        match self {
            Stored::F32(values) => values.len(),
            Stored::F16(values) => values.len(),
            Stored::Bf16(values) => values.len(),
            Stored::Int8(rows) => rows.numbers.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether no value is infinite or NaN.
    pub fn is_finite(&self) -> bool {
        let full = |values: &[f32]| {
            let bits = values.iter().map(|x| x.to_bits() & 0x7fff_ffff);
            bits.fold(0, u32::max) < f32::INFINITY.to_bits()
        };
        // The exponent's bits alone, without a branch a value.
        let halves = |bits: &mut dyn Iterator<Item = u16>, infinity: u16| {
            bits.map(|bits| bits & 0x7fff).fold(0, u16::max) < infinity
        };
        match self {
            Stored::F32(values) => full(values),
            Stored::Int8(rows) => full(&rows.scales),
            Stored::F16(values) => halves(
                &mut values.iter().map(|x| x.to_bits()),
                f16::INFINITY.to_bits(),
            ),
            Stored::Bf16(values) => halves(
                &mut values.iter().map(|x| x.to_bits()),
                bf16::INFINITY.to_bits(),
            ),
        }
    }

    /// As f32.
    pub fn into_f32(self) -> Vec<f32> {
        match self {
            Stored::F32(values) => values,
            Stored::F16(values) => values.to_f32_vec(),
            Stored::Bf16(values) => values.to_f32_vec(),
            Stored::Int8(rows) => rows.widen(),
        }
    }

    /// Copies the row `index` of a table of rows as long as `to`.
    ///
    /// # Panics
    /// When there is no such row
    pub fn copy_row(&self, index: usize, to: &mut [f32]) {
        let range = index * to.len()..(index + 1) * to.len();
        match self {
            Stored::F32(values) => to.copy_from_slice(&values[range]),
            Stored::F16(values) => values[range].convert_to_f32_slice(to),
            Stored::Bf16(values) => values[range].convert_to_f32_slice(to),
            Stored::Int8(rows) => {
                for (to, x) in to.iter_mut().zip(&rows.numbers[range]) {
                    *to = f32::from(*x) * rows.scales[index];
                }
            }
        }
    }
}
