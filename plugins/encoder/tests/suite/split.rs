//! Cutting a model changes no bit of what it says.

use segue_encoder::{Layers, ModelConfig, Options, Segment};

use crate::reference::{model_dir, reviews};
use crate::tiny::{Tiny, run, tokens};

fn check(dir: &std::path::Path, layers: usize, tokens: &[u32]) {
    let whole = run(dir, &[0, layers], tokens);
    assert!(whole.iter().all(|x| x.is_finite()));
    // A range from 0 has the embeddings, so and one to the end the head: cuts lie between layers.
    for cut in 1..layers {
        assert_eq!(whole, run(dir, &[0, cut, layers], tokens), "cut at {cut}");
    }
    let each: Vec<usize> = (0..=layers).collect();
    assert_eq!(whole, run(dir, &each, tokens));
}

#[test]
fn any_cut_of_a_tiny_model_gives_the_same_bits() {
    for tiny in [
        Tiny::default(),
        Tiny {
            prefix: "",
            half: true,
            ..Tiny::default()
        },
        Tiny {
            hidden: 64,
            heads: 2,
            inner: 128,
            ..Tiny::default()
        },
    ] {
        let dir = tempfile::tempdir().unwrap();
        tiny.write(dir.path());
        for n in [1, 2, 13, 64] {
            check(dir.path(), tiny.layers, &tokens(n, 5));
        }
    }
}

#[test]
fn the_last_layer_gives_every_row_when_its_state_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    Tiny::default().write(dir.path());
    for n in [1, 6, 40] {
        let tokens = tokens(n, 9);
        let options = Options {
            states: vec![3],
            ..Options::default()
        };
        let mut segment = Segment::load_with(dir.path(), Layers::all(3), &options).unwrap();
        let mut logits = Vec::new();
        segment.run_tokens(&tokens, &mut logits).unwrap();
        assert_eq!(segment.state(0).unwrap().len(), n * 78);
        assert_eq!(logits, run(dir.path(), &[0, 3], &tokens));
    }
}

#[test]
fn a_model_without_head_ends_with_hidden_states() {
    let dir = tempfile::tempdir().unwrap();
    let tiny = Tiny {
        with_head: false,
        ..Tiny::default()
    };
    tiny.write(dir.path());
    assert_eq!(
        run(dir.path(), &[0, 3], &tokens(7, 1)).len(),
        7 * tiny.hidden
    );
    let whole = run(dir.path(), &[0, 3], &tokens(7, 1));
    assert_eq!(whole, run(dir.path(), &[0, 1, 3], &tokens(7, 1)));
    let none = Segment::load(dir.path(), Layers { start: 3, end: 3 });
    assert_eq!(none.unwrap_err().code, "bad-layers");
}

#[test]
fn a_review_does_not_depend_on_those_before_it() {
    let dir = tempfile::tempdir().unwrap();
    Tiny::default().write(dir.path());
    let mut segment = Segment::load(dir.path(), Layers::all(3)).unwrap();
    let mut out = Vec::new();
    for n in [40, 3, 64, 3] {
        segment.run_tokens(&tokens(n, n as u64), &mut out).unwrap();
    }
    assert_eq!(out[2..4], out[6..8]);
    assert_eq!(out[2..4], run(dir.path(), &[0, 3], &tokens(3, 3)));
}

#[test]
fn any_cut_of_the_shared_model_gives_the_same_bits() {
    let Some(dir) = model_dir() else { return };
    let config = ModelConfig::read(&dir).unwrap();
    for review in reviews().iter().take(2) {
        check(&dir, config.num_hidden_layers, &review.token_ids);
    }
}
