//! A quick look at the speed: `cargo test --release -p segue-encoder -- --ignored --nocapture`.

use std::path::Path;
use std::time::Instant;

use segue_encoder::{Layers, Segment, flops};

use crate::reference::model_dir;
use crate::tiny::{Tiny, VOCABULARY};

fn measure(dir: &Path, what: &str) {
    let layers = Layers::all(4);
    let mut segment = Segment::load(dir, layers).unwrap();
    for n in [64, 200, 256] {
        let tokens: Vec<u32> = (0..n as u32).map(|i| i * 37 % VOCABULARY as u32).collect();
        let mut out = Vec::new();
        let mut seconds_min = f64::MAX;
        for _ in 0..40 {
            let start = Instant::now();
            segment.run_tokens(&tokens, &mut out).unwrap();
            seconds_min = seconds_min.min(start.elapsed().as_secs_f64());
        }
        let gflops = flops(segment.config(), layers, true, n) / seconds_min / 1e9;
        let ms = seconds_min * 1e3;
        println!("{what}, {n} tokens: {ms:.2} ms, {gflops:.0} GFLOP/s");
    }
}

#[test]
#[ignore = "measures, proves nothing"]
fn gflops_on_one_core() {
    if let Some(dir) = model_dir() {
        measure(&dir, "hidden 384");
    }
    let dir = tempfile::tempdir().unwrap();
    let tiny = Tiny {
        hidden: 312,
        heads: 12,
        inner: 1200,
        layers: 4,
        ..Tiny::default()
    };
    tiny.write(dir.path());
    measure(dir.path(), "hidden 312");
}
