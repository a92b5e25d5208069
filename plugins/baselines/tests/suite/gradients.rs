//! Every gradient that is made here, against finite differences.

use candle_core::{Device, Tensor, Var};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use segue_baselines::features::rows::Rows;
use segue_baselines::models::ann::{Ann, AnnOptions};
use segue_baselines::models::cnn::{Cnn, CnnOptions};
use segue_baselines::models::network::Architecture;
use segue_learn::loss::cross_entropy;

/// How far a parameter is moved to each side: small enough to pass few kinks of ReLU and
/// maximum, large enough for f32.
const MOVE: f32 = 2e-3;

/// Checks each parameter; dropout draws the same each time.
fn check(architecture: &impl Architecture, rows: &Rows, classes: &[u32]) {
    let parameters = architecture.draw(&mut random(3)).unwrap();
    let texts: Vec<usize> = (0..rows.len()).collect();
    let loss = || {
        let random = &mut random(4);
        let logits = architecture.logits(&parameters, rows, &texts, Some(random));
        cross_entropy(&logits.unwrap(), classes).unwrap()
    };
    let gradients = loss().backward().unwrap();
    let (mut largest, mut worst) = (0.0_f32, 0.0_f32);
    for (number, var) in parameters.iter().enumerate() {
        let gradient = gradients.get(var).unwrap().flatten_all().unwrap();
        let gradient: Vec<f32> = gradient.to_vec1().unwrap();
        for (at, slope) in gradient.iter().enumerate() {
            let [up, here, down] = [MOVE, 0.0, -MOVE].map(|by| moved(var, at, by, &loss));
            // Where a kink lies within the move, the slope is that of one side.
            let sides = [(up - here) / MOVE, (here - down) / MOVE];
            let [right, left] = sides.map(|side| (side - slope).abs());
            (largest, worst) = (largest.max(slope.abs()), worst.max(right.min(left)));
            let told = format!("parameter {number} at {at}: {slope}, measured {sides:?}");
            assert!(right.min(left) < 5e-4, "{told}");
        }
    }
    assert!(
        largest > 0.05 && worst < 0.01 * largest,
        "{largest} {worst}"
    );
}

fn random(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// The loss with one number of `var` moved.
fn moved(var: &Var, at: usize, by: f32, loss: &impl Fn() -> Tensor) -> f32 {
    let before: Vec<f32> = var.flatten_all().unwrap().to_vec1().unwrap();
    let set = |values: Vec<f32>| {
        let values = Tensor::from_vec(values, var.shape(), &Device::Cpu).unwrap();
        var.set(&values).unwrap();
    };
    let mut after = before.clone();
    after[at] += by;
    set(after);
    let given = loss().to_scalar().unwrap();
    set(before);
    given
}

#[test]
fn a_perceptron_on_sparse_rows() {
    let mut rows = Rows::new(5);
    rows.push([(0, 0.8), (3, 0.6)]);
    rows.push([(1, 1.0)]);
    rows.push([(0, 0.3), (1, -0.5), (4, 0.7)]);
    for dropout in [0.0, 0.4] {
        let options = AnnOptions { hidden: 6, dropout };
        let ann = Ann {
            options,
            width: 5,
            classes: 3,
        };
        check(&ann, &rows, &[0, 2, 1]);
    }
}

#[test]
fn a_convolutional_network_with_its_word_vectors() {
    let mut rows = Rows::new(7);
    rows.push_tokens([2, 3, 4, 2, 5]);
    rows.push_tokens([6, 1, 6, 1]);
    rows.push_tokens([5, 5, 0]);
    for dropout in [0.0, 0.4] {
        let options = CnnOptions {
            embedding: 4,
            filters: 3,
            widest: 3,
            dropout,
        };
        let cnn = Cnn {
            options,
            width: 7,
            classes: 2,
        };
        check(&cnn, &rows, &[1, 0, 1]);
    }
}

/// The largest value over windows, the long way.
#[test]
fn windows_give_what_a_plain_convolution_gives() {
    let mut rows = Rows::new(4);
    rows.push_tokens([0, 1, 2, 3, 1]);
    rows.push_tokens([3, 3]);
    let table: Vec<f32> = (0..8).map(|i| (i as f32 * 1.7).sin()).collect();
    let filters: Vec<f32> = (0..12).map(|i| (i as f32 * 2.3).cos()).collect();
    let tensor = |values: &[f32], rows| Tensor::from_slice(values, (rows, 2), &Device::Cpu);
    let best = segue_baselines::models::windows::BestWindows::new(&rows, &[0, 1], 2);
    let given = tensor(&table, 4).unwrap();
    let given = given
        .apply_op2(&tensor(&filters, 6).unwrap(), best)
        .unwrap();
    let given: Vec<Vec<f32>> = given.to_vec2().unwrap();
    for (row, given) in rows.iter().zip(given) {
        for (f, given) in given.into_iter().enumerate() {
            let value = |window: &[u32]| -> f32 {
                (window.iter().enumerate())
                    .flat_map(|(i, token)| (0..2).map(move |e| (i, *token as usize, e)))
                    .map(|(i, token, e)| table[token * 2 + e] * filters[(i * 3 + f) * 2 + e])
                    .sum()
            };
            let best = row.ids.windows(2).map(value).fold(f32::MIN, f32::max);
            assert!((best - given).abs() < 1e-6, "{f}: {given}, not {best}");
        }
    }
}
