//! Layers that lost heads and inner units.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::difference::max_difference;
use crate::tiny::{Tiny, run, tokens};

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// A model, and the one without the heads and units that do nothing in it.
struct Pair {
    tiny: Tiny,
    whole: Tensors,
    small: Tensors,
}

impl Pair {
    fn new() -> Self {
        let tiny = Tiny::default();
        let whole = tiny.tensors();
        Pair {
            tiny,
            small: whole.clone(),
            whole,
        }
    }

    /// Takes `gone`, rows of `from` and columns of `to`, out of layer `layer`.
    fn take(&mut self, layer: usize, from: &[&str], to: &str, gone: &[usize]) {
        let at = |name: &str| format!("{}encoder.layer.{layer}.{name}", self.tiny.prefix);
        let is_left = |i: usize| !gone.contains(&i);
        let name = at(&format!("{to}.weight"));
        let (shape, whole) = self.whole.get_mut(&name).unwrap();
        let columns = shape[1];
        for (i, value) in whole.iter_mut().enumerate() {
            if !is_left(i % columns) {
                *value = 0.0;
            }
        }
        let left = (whole.iter().enumerate()).filter(|(i, _)| is_left(i % columns));
        let left: Vec<f32> = left.map(|(_, value)| *value).collect();
        let shape = vec![shape[0], columns - gone.len()];
        self.small.insert(name, (shape, left));
        for part in from
            .iter()
            .flat_map(|part| ["weight", "bias"].map(|of| format!("{part}.{of}")))
        {
            let (shape, values) = &self.whole[&at(&part)];
            let width = values.len() / shape[0];
            let rows = values.chunks(width).enumerate();
            let rows = rows.filter(|(i, _)| is_left(*i)).flat_map(|(_, row)| row);
            let mut shape = shape.clone();
            shape[0] -= gone.len();
            self.small
                .insert(at(&part), (shape, rows.copied().collect()));
        }
    }

    /// Writes both, and gives their folders.
    fn write(&self, sizes: Value) -> [tempfile::TempDir; 2] {
        let folders = [0, 1].map(|_| tempfile::tempdir().unwrap());
        self.tiny.write_tensors(folders[0].path(), &self.whole);
        self.tiny.write_tensors(folders[1].path(), &self.small);
        let mut config: Value = serde_json::from_str(&self.tiny.config()).unwrap();
        let more = sizes.as_object().unwrap().clone();
        config.as_object_mut().unwrap().extend(more);
        std::fs::write(folders[1].path().join("config.json"), config.to_string()).unwrap();
        folders
    }
}

const HEADS: [&str; 3] = ["query", "key", "value"];

#[test]
fn what_does_nothing_can_be_gone_and_cuts_change_no_bit() {
    let heads = HEADS.map(|part| format!("attention.self.{part}"));
    let heads = heads.each_ref().map(String::as_str);
    let (into, inner) = ("attention.output.dense", ["intermediate.dense"]);
    let mut pair = Pair::new();
    // Heads are 26 long: the middle one of layer 0, the last two of layer 2.
    pair.take(0, &heads, into, &(26..52).collect::<Vec<_>>());
    pair.take(2, &heads, into, &(26..78).collect::<Vec<_>>());
    pair.take(1, &inner, "output.dense", &[0, 7, 98, 99]);
    pair.take(2, &inner, "output.dense", &(1..100).collect::<Vec<_>>());
    let sizes = json!({
        "pruned_heads": {"0": [1], "2": [1, 2]}, "intermediate_sizes": [100, 96, 1],
    });
    let [whole, small] = pair.write(sizes);
    for n in [1, 2, 13, 64] {
        let tokens = tokens(n, 5);
        let expected = run(whole.path(), &[0, 3], &tokens);
        let found = run(small.path(), &[0, 3], &tokens);
        let off = max_difference(&expected, &found);
        assert!(off < 1e-4, "{off}: {expected:?} {found:?}");
        for cuts in [&[0, 1, 3][..], &[0, 2, 3], &[0, 1, 2, 3]] {
            assert_eq!(run(small.path(), cuts, &tokens), found, "{cuts:?}");
        }
    }
}

#[test]
fn heads_need_not_be_as_wide_as_the_hidden_states() {
    let mut pair = Pair::new();
    let heads = HEADS.map(|part| format!("attention.self.{part}"));
    let heads = heads.each_ref().map(String::as_str);
    for layer in 0..3 {
        // The last head everywhere: two of 26 over 78.
        pair.take(
            layer,
            &heads,
            "attention.output.dense",
            &(52..78).collect::<Vec<_>>(),
        );
    }
    let [whole, small] = pair.write(json!({"num_attention_heads": 2, "head_dim": 26}));
    let tokens = tokens(20, 3);
    let off = max_difference(
        &run(whole.path(), &[0, 3], &tokens),
        &run(small.path(), &[0, 1, 3], &tokens),
    );
    assert!(off < 1e-4, "{off}");
}
