//! Single weights: which are smallest, and which stay zero.

use std::ops::Range;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::params::{LAYERS, Part};

/// Among which weights the smallest are looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Those of one matrix: each loses the same part.
    #[default]
    Layer,
    /// Those of all matrices.
    Global,
}

/// How many of `count` a part of `amount` is; a half is rounded to the even number, as Python
/// rounds.
pub fn part_of(count: usize, amount: f64) -> usize {
    (count as f64 * amount).round_ties_even() as usize
}

/// Which of `values` are the `count` with the smallest absolute values; of equals the first.
///
/// # Source
/// `l1_unstructured` of `torch.nn.utils.prune`, of which it is the mask's opposite
pub fn smallest(values: &[f32], count: usize) -> Vec<bool> {
    // Absolute value and place in one number: fewer than 2^32 weights are compared.
    let key = |(at, value): (usize, &f32)| (u64::from(value.abs().to_bits()) << 32) | at as u64;
    let mut keys: Vec<u64> = values.iter().enumerate().map(key).collect();
    let mut gone = vec![false; values.len()];
    if count > 0 {
        let (before, last, _) = keys.select_nth_unstable(count - 1);
        for key in before.iter().chain([&*last]) {
            gone[(key & u64::from(u32::MAX)) as usize] = true;
        }
    }
    gone
}

/// The matrices that can lose single weights: all of the layers and the pooler, and with `tables`
/// also the tables of words and positions. Each with its vector.
fn matrices(parts: &[Vec<Part>], tables: bool) -> Vec<(usize, Range<usize>)> {
    let numbered = parts.iter().enumerate();
    let all = numbered.flat_map(|(i, parts)| parts.iter().map(move |part| (i, part)));
    let chosen = all.filter(|(i, part)| {
        let is_classifier = part.name.starts_with("classifier");
        part.decays() && !is_classifier && (tables || *i >= LAYERS)
    });
    chosen.map(|(i, part)| (i, part.range.clone())).collect()
}

/// Which numbers of `vectors` are zero from now on, when a part of `amount` of the weights is.
pub fn places_of_smallest(
    parts: &[Vec<Part>],
    vectors: &[Vec<f32>],
    (amount, scope, tables): (f64, Scope, bool),
) -> Vec<Vec<bool>> {
    let matrices = matrices(parts, tables);
    let mut gone: Vec<Vec<bool>> = vectors.iter().map(|v| vec![false; v.len()]).collect();
    match scope {
        Scope::Layer => {
            for (i, range) in matrices {
                let values = &vectors[i][range.clone()];
                let count = part_of(values.len(), amount);
                gone[i][range].copy_from_slice(&smallest(values, count));
            }
        }
        Scope::Global => {
            let slices = matrices
                .iter()
                .map(|(i, range)| &vectors[*i][range.clone()]);
            let all: Vec<f32> = slices.flatten().copied().collect();
            let chosen = smallest(&all, part_of(all.len(), amount));
            let mut rest = chosen.as_slice();
            for (i, range) in matrices {
                let (first, others) = rest.split_at(range.len());
                gone[i][range].copy_from_slice(first);
                rest = others;
            }
        }
    }
    gone
}

/// `gone` in one bit a number, each vector from a byte of its own.
pub fn to_bits(gone: &[Vec<bool>]) -> Vec<u8> {
    let vectors = gone.iter().flat_map(|vector| vector.chunks(8));
    let byte = |bits: &[bool]| {
        let bits = bits.iter().enumerate();
        bits.fold(0, |byte, (at, bit)| byte | (u8::from(*bit) << at))
    };
    vectors.map(byte).collect()
}

/// What [`to_bits`] gave, for vectors as long as `vectors`; `None` when it is of others.
pub fn from_bits(bytes: &[u8], vectors: &[Vec<f32>]) -> Option<Vec<Vec<bool>>> {
    let mut rest = bytes;
    let mut gone = Vec::new();
    for vector in vectors {
        let (first, others) = rest.split_at_checked(vector.len().div_ceil(8))?;
        let bit = |at: usize| first[at / 8] & (1 << (at % 8)) != 0;
        gone.push((0..vector.len()).map(bit).collect());
        rest = others;
    }
    rest.is_empty().then_some(gone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// What `testdata/prune.py` got from PyTorch.
    #[test]
    fn the_weights_that_torch_prunes() {
        let text = include_str!("../../testdata/prune.json");
        let file: Value = serde_json::from_str(text).unwrap();
        let floats = |value: &Value| -> Vec<f32> {
            let all = value.as_array().unwrap().iter();
            all.map(|x| x.as_f64().unwrap() as f32).collect()
        };
        let tensors: Vec<Vec<f32>> = file["tensors"]
            .as_array()
            .unwrap()
            .iter()
            .map(floats)
            .collect();
        let whole = |i: usize, shape: &Value| Part {
            name: format!("encoder.layer.{i}.weight"),
            shape: shape
                .as_array()
                .unwrap()
                .iter()
                .map(|n| n.as_u64().unwrap() as usize)
                .collect(),
            range: 0..tensors[i].len(),
        };
        let shapes = file["shapes"].as_array().unwrap().iter().enumerate();
        // Four vectors of no layer come first.
        let empty = (0..LAYERS).map(|_| Vec::new());
        let parts: Vec<Vec<Part>> = empty
            .clone()
            .chain(shapes.map(|(i, shape)| vec![whole(i, shape)]))
            .collect();
        let vectors: Vec<Vec<f32>> = empty.map(|_| Vec::new()).chain(tensors.clone()).collect();
        let cases = file["cases"].as_array().unwrap();
        assert!(cases.len() > 4);
        for case in cases {
            let amount = case["amount"].as_f64().unwrap();
            let scope = match case["scope"].as_str().unwrap() {
                "global" => Scope::Global,
                _ => Scope::Layer,
            };
            let gone = places_of_smallest(&parts, &vectors, (amount, scope, false));
            for (gone, mask) in gone[LAYERS..].iter().zip(case["masks"].as_array().unwrap()) {
                let kept: String = gone
                    .iter()
                    .map(|gone| if *gone { '0' } else { '1' })
                    .collect();
                assert_eq!(kept, mask.as_str().unwrap(), "{amount} {scope:?}");
            }
        }
    }

    #[test]
    fn a_half_goes_to_the_even_number() {
        let counts = [(5, 0.5), (7, 0.5), (3, 0.5), (10, 0.26)].map(|(n, a)| part_of(n, a));
        assert_eq!(counts, [2, 4, 2, 3]);
    }

    #[test]
    fn bits_are_given_back() {
        let vectors = vec![vec![0.0; 9], Vec::new(), vec![0.0; 3]];
        let gone = vec![
            (0..9).map(|i| i % 3 == 0).collect(),
            Vec::new(),
            vec![true, false, true],
        ];
        let bits = to_bits(&gone);
        assert_eq!(bits.len(), 3);
        assert_eq!(from_bits(&bits, &vectors).unwrap(), gone);
        assert_eq!(from_bits(&bits[1..], &vectors), None);
    }
}
