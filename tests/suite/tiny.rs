//! Random models of any shape, written as Hugging Face folders by hand.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::harness::{Random, WORDS};

/// Tokens that every vocabulary begins with.
pub const SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];
const POSITIONS: usize = 64;

/// The shape of a model.
#[derive(Clone, Copy)]
pub struct Tiny {
    pub hidden: usize,
    pub heads: usize,
    pub inner: usize,
    pub layers: usize,
    pub half: bool,
}

impl Default for Tiny {
    fn default() -> Self {
        Tiny {
            hidden: 16,
            heads: 2,
            inner: 24,
            layers: 4,
            half: false,
        }
    }
}

impl Tiny {
    /// Writes `config.json`, `model.safetensors` and `vocab.txt`.
    pub fn write(self, folder: &Path) {
        let write = |name: &str, content: &[u8]| std::fs::write(folder.join(name), content);
        write("config.json", format!("{:#}\n", self.config()).as_bytes()).unwrap();
        write("vocab.txt", vocabulary().join("\n").as_bytes()).unwrap();
        write("model.safetensors", &self.safetensors()).unwrap();
    }

    pub fn config(self) -> Value {
        json!({
            "model_type": "bert", "hidden_size": self.hidden, "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads, "intermediate_size": self.inner,
            "vocab_size": vocabulary().len(), "max_position_embeddings": POSITIONS,
            "type_vocab_size": 2, "layer_norm_eps": 1e-12, "hidden_act": "gelu",
            "id2label": {"0": "negative", "1": "positive"},
        })
    }

    /// 8 bytes of header length, the header as JSON, then all numbers.
    fn safetensors(self) -> Vec<u8> {
        let (mut header, mut data) = (Map::new(), Vec::new());
        let mut random = Random(42);
        for (name, shape) in self.shapes() {
            let start = data.len();
            let is_norm = name.ends_with("LayerNorm.weight");
            for _ in 0..shape.iter().product::<usize>() {
                let x = (random.below(2001) as f32 - 1000.0) / 2000.0;
                let x = if is_norm { 1.0 + x } else { x };
                if self.half {
                    data.extend_from_slice(&half(x).to_le_bytes())
                } else {
                    data.extend_from_slice(&x.to_le_bytes())
                }
            }
            let dtype = if self.half { "F16" } else { "F32" };
            let offsets = [start, data.len()];
            header.insert(
                name,
                json!({"dtype": dtype, "shape": shape, "data_offsets": offsets}),
            );
        }
        let header = Value::Object(header).to_string();
        [
            &(header.len() as u64).to_le_bytes(),
            header.as_bytes(),
            &data,
        ]
        .concat()
    }

    fn shapes(self) -> BTreeMap<String, Vec<usize>> {
        let (h, f) = (self.hidden, self.inner);
        let mut shapes = BTreeMap::new();
        let mut add = |name: String, shape: &[usize]| shapes.insert(name, shape.to_vec());
        let tables = [
            ("word", vocabulary().len()),
            ("position", POSITIONS),
            ("token_type", 2),
        ];
        for (name, rows) in tables {
            add(
                format!("bert.embeddings.{name}_embeddings.weight"),
                &[rows, h],
            );
        }
        let mut norms = vec!["bert.embeddings".to_owned()];
        let mut dense = vec![
            ("bert.pooler.dense".to_owned(), h, h),
            ("classifier".to_owned(), 2, h),
        ];
        for layer in 0..self.layers {
            let at = format!("bert.encoder.layer.{layer}");
            for part in ["self.query", "self.key", "self.value", "output.dense"] {
                dense.push((format!("{at}.attention.{part}"), h, h));
            }
            dense.push((format!("{at}.intermediate.dense"), f, h));
            dense.push((format!("{at}.output.dense"), h, f));
            norms.push(format!("{at}.attention.output"));
            norms.push(format!("{at}.output"));
        }
        for norm in norms {
            add(format!("{norm}.LayerNorm.weight"), &[h]);
            add(format!("{norm}.LayerNorm.bias"), &[h]);
        }
        for (at, rows, columns) in dense {
            add(format!("{at}.weight"), &[rows, columns]);
            add(format!("{at}.bias"), &[rows]);
        }
        shapes
    }
}

fn vocabulary() -> Vec<&'static str> {
    SPECIAL.into_iter().chain(WORDS).collect()
}

/// The bits of `x` as f16, cut off rather than rounded; for 0 and 2^-14 <= |x| < 2^16.
fn half(x: f32) -> u16 {
    let bits = x.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    match (bits >> 23) & 0xff {
        0 => sign,
        exponent => sign | (((exponent - 112) << 10) as u16) | ((bits >> 13) & 0x3ff) as u16,
    }
}
