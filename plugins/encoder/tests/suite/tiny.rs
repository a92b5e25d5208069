//! Random models of any shape, written as Hugging Face directories.

use std::collections::BTreeMap;
use std::path::Path;

use safetensors::Dtype;
use safetensors::tensor::TensorView;
use segue_encoder::{Layers, Segment};

/// What to write.
#[derive(Clone, Copy)]
pub struct Tiny {
    pub hidden: usize,
    pub heads: usize,
    pub inner: usize,
    pub layers: usize,
    pub prefix: &'static str,
    pub with_head: bool,
    pub half: bool,
}

impl Default for Tiny {
    fn default() -> Self {
        Self {
            hidden: 78,
            heads: 3,
            inner: 100,
            layers: 3,
            prefix: "bert.",
            with_head: true,
            half: false,
        }
    }
}

pub const VOCABULARY: usize = 50;
pub const POSITIONS: usize = 256;

/// Numbers in -1..1 that depend on `seed` and index alone.
pub fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

pub fn tokens(count: usize, seed: u64) -> Vec<u32> {
    let at = |x: f32| ((x + 1.0) / 2.0 * VOCABULARY as f32) as u32 % VOCABULARY as u32;
    numbers(count, seed).into_iter().map(at).collect()
}

impl Tiny {
    pub fn config(&self) -> String {
        format!(
            r#"{{"model_type": "bert", "hidden_size": {}, "num_hidden_layers": {},
                "num_attention_heads": {}, "intermediate_size": {}, "vocab_size": {VOCABULARY},
                "max_position_embeddings": {POSITIONS}, "type_vocab_size": 2,
                "layer_norm_eps": 1e-12, "hidden_act": "gelu",
                "id2label": {{"0": "negative", "1": "positive"}}}}"#,
            self.hidden, self.layers, self.heads, self.inner
        )
    }

    /// Every tensor by name, with its shape and its numbers.
    pub fn tensors(&self) -> BTreeMap<String, (Vec<usize>, Vec<f32>)> {
        let (h, f) = (self.hidden, self.inner);
        let mut shapes: Vec<(String, Vec<usize>)> = Vec::new();
        let mut add = |name: String, shape: &[usize]| shapes.push((name, shape.to_vec()));
        let dense = |at: &str| [format!("{at}.weight"), format!("{at}.bias")];
        let p = self.prefix;
        add(
            format!("{p}embeddings.word_embeddings.weight"),
            &[VOCABULARY, h],
        );
        add(
            format!("{p}embeddings.position_embeddings.weight"),
            &[POSITIONS, h],
        );
        add(
            format!("{p}embeddings.token_type_embeddings.weight"),
            &[2, h],
        );
        let mut norms = vec![format!("{p}embeddings.LayerNorm")];
        let mut matrices = Vec::new();
        for layer in 0..self.layers {
            let at = format!("{p}encoder.layer.{layer}");
            for part in ["self.query", "self.key", "self.value", "output.dense"] {
                matrices.push((format!("{at}.attention.{part}"), h, h));
            }
            matrices.push((format!("{at}.intermediate.dense"), f, h));
            matrices.push((format!("{at}.output.dense"), h, f));
            norms.push(format!("{at}.attention.output.LayerNorm"));
            norms.push(format!("{at}.output.LayerNorm"));
        }
        if self.with_head {
            matrices.push((format!("{p}pooler.dense"), h, h));
            matrices.push(("classifier".into(), 2, h));
        }
        for norm in norms {
            for name in dense(&norm) {
                add(name, &[h]);
            }
        }
        for (at, out, depth) in matrices {
            let [weight, bias] = dense(&at);
            add(weight, &[out, depth]);
            add(bias, &[out]);
        }
        let fill = |(i, (name, shape)): (usize, (String, Vec<usize>))| {
            let is_norm = name.ends_with("LayerNorm.weight");
            let values = numbers(shape.iter().product(), i as u64 + 1)
                .into_iter()
                .map(|x| if is_norm { 1.0 + x / 4.0 } else { x / 4.0 })
                .collect();
            (name, (shape, values))
        };
        shapes.into_iter().enumerate().map(fill).collect()
    }

    /// Writes `config.json` and `model.safetensors`.
    pub fn write(&self, dir: &Path) {
        self.write_tensors(dir, &self.tensors());
    }

    /// The same with other tensors.
    pub fn write_tensors(&self, dir: &Path, tensors: &BTreeMap<String, (Vec<usize>, Vec<f32>)>) {
        std::fs::write(dir.join("config.json"), self.config()).unwrap();
        let bytes: BTreeMap<String, (Vec<usize>, Vec<u8>)> = tensors
            .iter()
            .map(|(name, (shape, values))| (name.clone(), (shape.clone(), self.encode(values))))
            .collect();
        let dtype = if self.half { Dtype::F16 } else { Dtype::F32 };
        let views = bytes.iter().map(|(name, (shape, data))| {
            (name, TensorView::new(dtype, shape.clone(), data).unwrap())
        });
        let file = safetensors::serialize(views, None).unwrap();
        std::fs::write(dir.join("model.safetensors"), file).unwrap();
    }

    fn encode(&self, values: &[f32]) -> Vec<u8> {
        let half = |x: &f32| half::f16::from_f32(*x).to_le_bytes().to_vec();
        let full = |x: &f32| x.to_le_bytes().to_vec();
        if self.half {
            values.iter().flat_map(half).collect()
        } else {
            values.iter().flat_map(full).collect()
        }
    }
}

/// Loads the segments between `cuts` and runs one review through all of them.
pub fn run(dir: &Path, cuts: &[usize], tokens: &[u32]) -> Vec<f32> {
    let mut data = Vec::new();
    for (i, pair) in cuts.windows(2).enumerate() {
        let layers = Layers {
            start: pair[0],
            end: pair[1],
        };
        let mut segment = Segment::load(dir, layers).unwrap();
        let mut out = Vec::new();
        match i {
            0 => segment.run_tokens(tokens, &mut out).unwrap(),
            _ => segment.run_hidden(&data, &mut out).unwrap(),
        }
        assert_eq!(out.len(), segment.output_len(tokens.len()));
        data = out;
    }
    data
}
