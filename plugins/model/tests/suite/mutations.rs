//! Files with a byte changed here and there: nothing panics, hangs, or gives other numbers.

use safetensors::Dtype;
use segue_model::{ModelConfig, Weights, find};

use crate::tiny::{bytes, config, distilled, distilled_config, prefixed, specs, write};

/// Numbers that depend on the seed alone.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit.max(1) as u64) as usize
    }
}

const TEXTS: [&str; 12] = [
    "null",
    "-1",
    "1e999",
    "[]",
    "{}",
    "\"\"",
    "99999999999999999999",
    "true",
    "NaN",
    "0.5",
    "[[[[[[[[",
    "\u{feff}",
];

/// Changes `bytes` in one to three places: another byte, some left out, some twice, or a value
/// of JSON put in.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(3) {
        let at = random.below(bytes.len());
        let end = (at + 1 + random.below(12)).min(bytes.len());
        match random.below(5) {
            0 => bytes[at] = random.below(256) as u8,
            1 => bytes[at] ^= 1 << random.below(8),
            2 => drop(bytes.drain(at..end)),
            3 => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            _ => {
                let text = TEXTS[random.below(TEXTS.len())];
                bytes.splice(at..end, text.bytes());
            }
        }
    }
}

#[test]
fn config_json() {
    let mut random = Random(0x5eed);
    let mut read = 0;
    for round in 0..400 {
        let whole = match round % 2 {
            0 => config(),
            _ => distilled_config(),
        };
        let mut bytes = whole.into_bytes();
        mutate(&mut bytes, &mut random);
        let Ok(text) = String::from_utf8(bytes) else {
            continue;
        };
        if let Ok(config) = ModelConfig::parse(&text) {
            read += 1;
            assert!(
                config
                    .hidden_size
                    .is_multiple_of(config.num_attention_heads)
            );
            assert!(config.num_hidden_layers <= 1024 && config.labels.len() <= 1 << 16);
            // Neither panics, whatever it says.
            let _ = (config.check_classes(), config.class_names());
        }
    }
    assert!(read > 3, "only {read} made sense");
}

#[test]
fn safetensors_header() {
    let mut random = Random(0xbeef);
    let (mut refused, expect) = (0, prefixed("bert.", ""));
    let whole = bytes(&expect, Dtype::F32);
    let length = u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "config.json", config().as_bytes());
    let config = ModelConfig::read(dir.path()).unwrap();
    for round in 0..300 {
        let mut header = whole[8..8 + length].to_vec();
        let mut stated = length as u64;
        match round % 10 {
            // The length alone.
            0 => stated ^= 1 << random.below(64),
            // A length that no longer fits its header.
            1 => mutate(&mut header, &mut random),
            _ => {
                mutate(&mut header, &mut random);
                stated = header.len() as u64;
            }
        }
        let file = [&stated.to_le_bytes(), &header[..], &whole[8 + length..]].concat();
        write(dir.path(), "model.safetensors", &file);
        let opened = find(dir.path()).and_then(|found| Weights::open(&found, &config));
        let Ok(weights) = opened else {
            refused += 1;
            continue;
        };
        for spec in specs() {
            match weights.read(&spec) {
                Err(_) => refused += 1,
                Ok(values) => {
                    let stored = if spec.name.starts_with("classifier") {
                        spec.name.clone()
                    } else {
                        format!("bert.{}", spec.name)
                    };
                    let wanted = &expect[&stored].1;
                    assert_eq!(values.len(), wanted.len(), "{}", spec.name);
                }
            }
        }
    }
    assert!(refused > 100, "only {refused} were refused");
}

#[test]
fn an_index() {
    let mut random = Random(0xfeed);
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "config.json", distilled_config().as_bytes());
    let config = ModelConfig::read(dir.path()).unwrap();
    write(
        dir.path(),
        "a.safetensors",
        &bytes(&distilled(), Dtype::F16),
    );
    let map: serde_json::Map<String, serde_json::Value> = distilled()
        .into_keys()
        .map(|name| (name, "a.safetensors".into()))
        .collect();
    let whole = serde_json::json!({"weight_map": map}).to_string();
    for _ in 0..200 {
        let mut text = whole.clone().into_bytes();
        mutate(&mut text, &mut random);
        write(dir.path(), "model.safetensors.index.json", &text);
        let opened = find(dir.path()).and_then(|found| Weights::open(&found, &config));
        let Ok(weights) = opened else { continue };
        for spec in specs() {
            // An error or numbers; what they are is not the index's to say.
            let _ = weights.read(&spec);
        }
    }
}
