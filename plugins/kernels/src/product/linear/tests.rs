//! Every instruction set that this machine has, against the definition and against each other.

use super::*;
use crate::Activation;

/// Rows, depth and outputs: one row, sizes that fill no tile, sizes that do, a long text.
const SIZES: [[usize; 3]; 8] = [
    [1, 26, 5],
    [7, 24, 72],
    [13, 40, 33],
    [16, 64, 32],
    [17, 65, 31],
    [30, 312, 64],
    [33, 320, 96],
    [512, 78, 40],
];

fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let hash = |i: u32| (i.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 8) % 2001;
    (0..count as u32)
        .map(|i| hash(i) as f32 / 1000.0 - 1.0)
        .collect()
}

fn run(linear: &Linear, x: &[f32], length: usize, after: After) -> Vec<f32> {
    // Left-overs of another product must not show.
    let mut scratch = Scratch::default();
    scratch.bytes.grow(1 << 18);
    scratch.bytes.fill(77);
    scratch.half.grow(1 << 18);
    scratch.half.fill(Bf16::round(f32::NAN));
    let mut out = vec![f32::NAN; length];
    linear.run(x, &mut out, after, &mut scratch).unwrap();
    out
}

/// `x Wᵀ + b` in f64.
fn exact(x: &[f32], w: &[f32], b: &[f32], depth: usize) -> Vec<f64> {
    let dot = |row: &[f32], col: &[f32]| -> f64 {
        let pairs = row.iter().zip(col);
        pairs.map(|(x, w)| f64::from(*x) * f64::from(*w)).sum()
    };
    let row = |row| (w.chunks(depth).zip(b)).map(move |(w, b)| dot(row, w) + f64::from(*b));
    x.chunks(depth).flat_map(row).collect()
}

fn check(precision: Precision, tolerance: f64, round: impl Fn(&[f32], usize) -> Vec<f32>) {
    for [n, depth, outputs] in SIZES {
        let (x, w) = (numbers(n * depth, 1), numbers(outputs * depth, 2));
        let b = numbers(outputs, 3);
        let want = exact(&round(&x, depth), &round(&w, depth), &b, depth);
        for isa in Isa::all() {
            let linear = Linear::pack(isa, precision, depth, &w, &b).unwrap();
            let got = run(&linear, &x, n * outputs, After::Nothing);
            for (i, (got, want)) in got.iter().zip(&want).enumerate() {
                let off = (f64::from(*got) - want).abs();
                let at = format!("{isa} {n} x {depth} x {outputs}, {i}");
                assert!(off < tolerance, "{at}: {got}, not {want}");
            }
            // A row does not depend on those beside it.
            let first = run(&linear, &x[..depth], outputs, After::Nothing);
            assert_eq!(first, got[..outputs], "{isa} {n} x {depth} x {outputs}");
        }
    }
}

#[test]
fn f32_equals_the_plain_product() {
    check(Precision::F32, 1e-4, |x, _| x.to_vec());
}

#[test]
fn bf16_equals_the_product_of_what_was_rounded() {
    let round = |x: &[f32], _| x.iter().map(|x| Bf16::round(*x).widen()).collect();
    check(Precision::Bf16, 1e-4, round);
}

#[test]
fn int8_equals_the_product_of_what_was_rounded() {
    let round = |x: &[f32], depth| Quantized::of(x, depth).widen();
    check(Precision::Int8, 1e-4, round);
}

/// The results of all sets with fused multiply-add are those of the first, bit for bit.
fn check_same(precision: Precision, after: After) {
    for [n, depth, outputs] in SIZES {
        let (x, w) = (numbers(n * depth, 4), numbers(outputs * depth, 5));
        let b = numbers(outputs, 6);
        let mut first: Option<(Isa, Vec<f32>)> = None;
        for isa in Isa::all().into_iter().filter(|isa| !isa.is_portable()) {
            let linear = Linear::pack(isa, precision, depth, &w, &b).unwrap();
            let got = run(&linear, &x, n * outputs, after);
            match &first {
                None => first = Some((isa, got)),
                Some((other, want)) => {
                    let differs = got.iter().zip(want).position(|(got, want)| got != want);
                    let differs = differs.map(|i| (i, got[i], want[i]));
                    assert_eq!(
                        differs, None,
                        "{isa} and {other}, {n} x {depth} x {outputs}"
                    );
                }
            }
        }
    }
}

#[test]
fn every_processor_gives_the_same_bits() {
    let found: Vec<String> = Isa::all().iter().map(Isa::to_string).collect();
    eprintln!("compared: {}; others are skipped", found.join(", "));
    for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
        check_same(precision, After::Nothing);
        check_same(precision, After::Apply(Activation::Gelu));
    }
}

#[test]
fn whole_sums_are_the_same_without_fused_multiply_add() {
    // Without a bias and with scales that are powers of two nothing is rounded behind the sums.
    for [n, depth, outputs] in SIZES {
        let byte = |x: &f32| (x * 127.0) as i8;
        let mut x: Vec<f32> = numbers(n * depth, 7)
            .iter()
            .map(|x| f32::from(byte(x)))
            .collect();
        // With this as the largest number the scale is 1.
        x.chunks_mut(depth).for_each(|row| row[0] = -127.0);
        let weights = Quantized {
            numbers: numbers(outputs * depth, 8).iter().map(byte).collect(),
            scales: vec![0.25; outputs],
        };
        let b = vec![0.0; outputs];
        let want = exact(&x, &weights.widen(), &b, depth);
        for isa in Isa::all() {
            let linear = Linear::pack_int8(isa, depth, &weights, &b).unwrap();
            let got = run(&linear, &x, n * outputs, After::Nothing);
            let got: Vec<f64> = got.into_iter().map(f64::from).collect();
            assert_eq!(got, want, "{isa} {n} x {depth} x {outputs}");
        }
    }
}

#[test]
fn the_largest_bytes_do_not_saturate() {
    let (depth, outputs) = (1216, 32);
    let x = vec![-1.0; depth];
    let w = [vec![1.0; depth], vec![-1.0; depth * (outputs - 1)]].concat();
    for isa in Isa::all() {
        let b = vec![0.0; outputs];
        let linear = Linear::pack(isa, Precision::Int8, depth, &w, &b).unwrap();
        let got = run(&linear, &x, outputs, After::Nothing);
        for (i, got) in got.iter().enumerate() {
            let want = if i == 0 { -1216.0 } else { 1216.0 };
            assert!((got - want).abs() < 1e-3, "{isa} {i}: {got}, not {want}");
        }
    }
    let deep = Quantized::of(&vec![1.0; 140_000], 140_000);
    let error = Linear::pack_int8(Isa::detect(), 140_000, &deep, &[0.0]).unwrap_err();
    assert!(error.to_string().contains("140000"), "{error}");
}

#[test]
fn what_is_not_finite_is_never_a_number() {
    for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
        for isa in Isa::all() {
            let (w, b) = (numbers(64 * 8, 1), vec![0.0; 8]);
            let linear = Linear::pack(isa, precision, 64, &w, &b).unwrap();
            for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut x = numbers(2 * 64, 2);
                x[64 + 7] = bad;
                for after in [After::Nothing, After::Apply(Activation::Relu)] {
                    let got = run(&linear, &x, 16, after);
                    assert!(
                        got[..8].iter().all(|y| y.is_finite()),
                        "{isa} {precision:?}"
                    );
                    let bad = got[8..].iter().all(|y| !y.is_finite());
                    assert!(bad, "{isa} {precision:?} {after:?}: {got:?}");
                }
            }
        }
    }
}

/// `cargo test --release -p segue-kernels -- --ignored --nocapture speed`
#[test]
#[ignore = "measures, proves nothing"]
fn speed_of_a_layers_products() {
    for precision in [Precision::F32, Precision::Bf16, Precision::Int8] {
        for isa in Isa::all().into_iter().filter(|isa| !isa.is_portable()) {
            let mut text = format!("{precision:?} {isa}:");
            for (depth, outputs, after) in [
                (312, 936, After::Nothing),
                (312, 1200, After::Nothing),
                (312, 1200, After::Apply(Activation::Gelu)),
                (1200, 312, After::Nothing),
            ] {
                let n = 200;
                let (x, w) = (numbers(n * depth, 1), numbers(outputs * depth, 2));
                let linear = Linear::pack(isa, precision, depth, &w, &vec![0.0; outputs]).unwrap();
                let mut scratch = Scratch::default();
                let mut out = vec![0.0; n * outputs];
                let mut seconds_min = f64::MAX;
                for _ in 0..100 {
                    let start = std::time::Instant::now();
                    linear.run(&x, &mut out, after, &mut scratch).unwrap();
                    seconds_min = seconds_min.min(start.elapsed().as_secs_f64());
                }
                let gflops = 2.0 * (n * depth * outputs) as f64 / seconds_min / 1e9;
                text += &format!(
                    "  {depth}x{outputs} {:.0} µs {gflops:.0}/s",
                    seconds_min * 1e6
                );
            }
            println!("{text}");
        }
    }
}
