//! What does the wire format cost? One batch of hidden states, encoded and decoded: as
//! Segue's edges do it (Arrow IPC, validated, read in place), in f16 and in int8, with
//! bincode, which timely has for all other types, and with abomonation, which timely had
//! before. abomonation copies memory as it is and validates nothing, so that wrong bytes
//! are undefined behaviour: it is here as a baseline and nowhere else.
//!
//! `cargo bench --bench wire`

mod common;

use std::hint::black_box;
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use common::{median, median_ratio, rounds, seconds, show};
use segue::dataflow::{Parcel, compact, expand};
use segue::graph::Wire;
use segue_plugin::ragged_f32_array;
use serde::{Deserialize, Serialize};
use timely::bytes::arc::BytesMut;
use timely::dataflow::channels::ContainerBytes;

const REVIEWS: usize = 32;
const HIDDEN: usize = 384;
/// Each side is repeated so often in one measurement, which then takes a while.
const REPEATS: usize = 20;

/// The same values as bincode and abomonation take them: a vector for each review.
#[derive(Serialize, Deserialize)]
struct Plain {
    hidden: Vec<Vec<f32>>,
}

/// One way to encode a batch and to decode it: gives how many bytes were on the wire.
type Way<'a> = (&'a str, Box<dyn Fn() -> usize + 'a>);

fn main() {
    let plain = plain();
    let rows = rows(&plain);
    let raw = plain.hidden.iter().map(Vec::len).sum::<usize>() * size_of::<f32>();
    println!(
        "{REVIEWS} reviews, {:.2} MiB of f32",
        raw as f64 / 1048576.0
    );
    let ways: [Way<'_>; 5] = [
        ("arrow", Box::new(|| arrow(&rows, Wire::F32))),
        ("arrow, f16", Box::new(|| arrow(&rows, Wire::F16))),
        ("arrow, int8", Box::new(|| arrow(&rows, Wire::Int8))),
        ("bincode", Box::new(|| bincode(&plain))),
        ("abomonation", Box::new(|| abomonation(&plain.hidden))),
    ];
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); ways.len()];
    for _ in 0..rounds() {
        for ((_, way), times) in ways.iter().zip(&mut times) {
            times.push(seconds(|| {
                (0..REPEATS).for_each(|_| {
                    black_box(way());
                })
            }));
        }
    }
    for ((name, way), all) in ways.iter().zip(&times) {
        let ms = median(all.clone()) / REPEATS as f64 * 1e3;
        let bytes = way() as f64;
        println!(
            "  {name:<12} {ms:>7.3} ms, {:.3} of the bytes",
            bytes / raw as f64
        );
    }
    for (i, goal) in [(3, "over 1"), (4, "for comparison")] {
        let ratio = median_ratio(&times[i], &times[0]);
        show(&format!("{} / arrow, in time", ways[i].0), ratio, goal);
    }
}

/// Reviews of 100 to 300 tokens, the same each time.
fn plain() -> Plain {
    let mut state = 1_u32;
    let mut next = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 8
    };
    let mut review = || {
        let tokens = 100 + next() as usize % 201;
        let value = |_| next() as f32 / (1 << 24) as f32 - 0.5;
        (0..tokens * HIDDEN).map(value).collect()
    };
    Plain {
        hidden: (0..REVIEWS).map(|_| review()).collect(),
    }
}

fn rows(plain: &Plain) -> RecordBatch {
    let lengths: Vec<usize> = plain.hidden.iter().map(|one| one.len() / HIDDEN).collect();
    let hidden = ragged_f32_array(plain.hidden.concat(), HIDDEN, &lengths);
    let hidden: ArrayRef = Arc::new(hidden.expect("the lengths fit"));
    RecordBatch::try_from_iter([("hidden", hidden)]).expect("one column")
}

/// As between two devices: made small, encoded into timely's memory, decoded in place,
/// validated, made large again.
fn arrow(rows: &RecordBatch, wire: Wire) -> usize {
    let rows = match wire {
        Wire::F32 => rows.clone(),
        wire => compact(rows, wire).expect("hidden states are made small"),
    };
    let parcel = Parcel::new(7, rows);
    let mut bytes = Vec::with_capacity(parcel.length_in_bytes());
    parcel.into_bytes(&mut bytes);
    let length = bytes.len();
    let back = Parcel::from_bytes(BytesMut::from(bytes).freeze());
    let rows = back.rows.and_then(Result::ok).expect("it is decoded");
    drop(black_box(expand(rows).expect("and made large again")));
    length
}

fn bincode(plain: &Plain) -> usize {
    let bytes = bincode::serialize(plain).expect("it is encoded");
    let back: Plain = bincode::deserialize(&bytes).expect("it is decoded");
    black_box(&back.hidden);
    bytes.len()
}

fn abomonation(hidden: &Vec<Vec<f32>>) -> usize {
    let mut bytes = Vec::new();
    // SAFETY: numbers and vectors of them may be copied as they are.
    unsafe { abomonation::encode(hidden, &mut bytes) }.expect("memory does not fail");
    let length = bytes.len();
    // SAFETY: these are the bytes of one such value, as `encode` made them.
    let back = unsafe { abomonation::decode::<Vec<Vec<f32>>>(&mut bytes) };
    black_box(&back.expect("it is decoded").0);
    length
}
