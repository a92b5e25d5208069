//! The dynamic program that PipeEdge's scheduler is, in our own words: over layers done, how
//! many boards of each type are used, and the type that comes next. Every part is one board.
//!
//! # Source
//! Hu et al., "PipeEdge: Pipeline Parallelism for Large-Scale Model Inference on Heterogeneous
//! Edge Devices", DSD 2022, and version 0.1.0 of its program

use std::ops::Range;

/// A kind of board.
#[derive(Clone)]
pub struct Board {
    /// For each layer, a batch.
    pub seconds: Vec<f64>,
    /// Its memory in bytes.
    pub memory: f64,
    /// To every other board.
    pub bytes_per_second: f64,
    /// How many there are.
    pub count: usize,
}

/// What the layers are on any board.
pub struct Layers {
    /// Bytes that a batch takes behind each layer.
    pub bytes_out: Vec<f64>,
    /// Bytes of memory of each layer.
    pub memory: Vec<f64>,
    /// Buffers for what comes in, and as many for what goes out.
    pub buffers: f64,
}

/// Parts, each with the type of board it is for.
pub type Parts = Vec<(usize, Range<usize>)>;

/// The parts that the program finds. `as_published` reads a type's numbers out of a list with an
/// entry for each board, so that the second type gets those of the first as soon as that has two
/// boards.
pub fn schedule(layers: &Layers, boards: &[Board], as_published: bool) -> Option<Parts> {
    let each: Vec<usize> = (0..boards.len())
        .flat_map(|kind| std::iter::repeat_n(kind, boards[kind].count))
        .collect();
    let read = |kind: usize| &boards[if as_published { each[kind] } else { kind }];
    let (n, kinds) = (layers.bytes_out.len(), boards.len());
    let mut places = vec![1];
    for board in boards {
        places.push(places[places.len() - 1] * (board.count + 1));
    }
    let sets = places[kinds];
    let at = |done: usize, set: usize, next: usize| (done * sets + set) * kinds + next;
    let left = |set: usize, kind: usize| {
        set / places[kind] % (boards[kind].count + 1) < boards[kind].count
    };
    let mut cost = vec![f64::INFINITY; (n + 1) * sets * kinds];
    let mut before = vec![None; cost.len()];
    (0..kinds).for_each(|kind| cost[at(0, 0, kind)] = 0.0);
    let mut best = (f64::INFINITY, None);
    for done in 0..n {
        for set in 0..sets {
            for kind in (0..kinds).filter(|&kind| left(set, kind)) {
                let so_far = cost[at(done, set, kind)];
                if so_far.is_infinite() {
                    continue;
                }
                for end in done + 1..=n {
                    let board = read(kind);
                    if !fits(layers, board, done..end) {
                        continue;
                    }
                    let busy = so_far.max(board.seconds[done..end].iter().sum());
                    if end == n && busy < best.0 {
                        best = (busy, Some((done, set, kind)));
                    }
                    for next in (0..kinds).filter(|&next| left(set, next)) {
                        let slower = board.bytes_per_second.min(read(next).bytes_per_second);
                        let value = busy.max(layers.bytes_out[end - 1] / slower);
                        let cell = at(end, set + places[kind], next);
                        if value < cost[cell] {
                            (cost[cell], before[cell]) = (value, Some((done, kind)));
                        }
                    }
                }
            }
        }
    }
    let (mut done, mut set, kind) = best.1?;
    let mut parts = vec![(kind, done..n)];
    let mut next = kind;
    while done > 0 {
        let (start, kind) = before[at(done, set, next)]?;
        parts.push((kind, start..done));
        set -= places[kind];
        (done, next) = (start, kind);
    }
    parts.reverse();
    Some(parts)
}

fn fits(layers: &Layers, board: &Board, range: Range<usize>) -> bool {
    let given = layers.bytes_out[range.end - 1];
    let (taken, waiting) = match range.start {
        0 => (0.0, 0.0),
        start => (
            layers.bytes_out[start - 1],
            layers.bytes_out[start - 1] * layers.buffers,
        ),
    };
    let weights: f64 = layers.memory[range].iter().sum();
    board.memory > weights + waiting + given * layers.buffers + taken + given
}
