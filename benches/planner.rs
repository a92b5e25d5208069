//! What the planner finds, and how long it looks, beside a published scheduler on the profiles
//! that were published with it, and what is predicted for 2 to 64 devices.
//!
//! `cargo bench --bench planner`

#[path = "planner/peer.rs"]
mod peer;

use std::time::Instant;

use segue::planner::{
    Device, Group, Instance, Link, Member, Objective, Schedule, Unit, by_memory, chained, forecast,
    plan, simulate,
};
use serde_json::Value;

use peer::{Board, Layers, Parts};

const PROFILES: &str = include_str!("planner/profiles.json");
const MIB: f64 = 1048576.0;

fn main() {
    against_the_peer();
    many_devices();
    predicted();
}

/// One model on boards of two kinds.
struct Case {
    name: &'static str,
    model: &'static str,
    count: usize,
    slowed: [f64; 2],
}

const CASES: [Case; 4] = [
    Case {
        name: "ViT-B, 4 + 4 boards",
        model: "vit-base",
        count: 4,
        slowed: [1.0, 1.0],
    },
    Case {
        name: "ViT-L, 8 + 8 boards",
        model: "vit-large",
        count: 8,
        slowed: [1.0, 1.0],
    },
    Case {
        name: "ViT-B, first kind slowed",
        model: "vit-base",
        count: 4,
        slowed: [3.0, 1.0],
    },
    Case {
        name: "ViT-B, second kind slowed",
        model: "vit-base",
        count: 4,
        slowed: [1.0, 3.0],
    },
];

fn against_the_peer() {
    let profiles: Value = serde_json::from_str(PROFILES).expect("the profiles are JSON");
    println!(
        "seconds a batch at the bottleneck   published  mended   chain   with replicas   by memory   of the bound"
    );
    for case in &CASES {
        let (layers, boards) = read(&profiles, case);
        let instance = instance(&layers, &boards);
        let of = |parts: Option<Parts>| {
            let parts = parts.expect("the boards have the memory");
            forecast(&instance, &on_boards(&boards, &parts)).period
        };
        let published = of(peer::schedule(&layers, &boards, true));
        let mended = of(peer::schedule(&layers, &boards, false));
        let chain = chained(&instance)
            .expect("the boards have the memory")
            .forecast
            .period;
        let best = plan(&instance).expect("the boards have the memory");
        let memory = by_memory(&instance).map_or(f64::NAN, |forecast| forecast.period);
        let reaches = 100.0 * best.reaches(Objective::Rate);
        let period = best.forecast.period;
        println!(
            "{:36} {published:8.3} {mended:7.3} {chain:7.3} {period:15.3} {memory:11.3} {reaches:12.1} %",
            case.name
        );
        assert!(
            chain <= mended * (1.0 + 1e-9),
            "a chain of the peer's is better"
        );
        assert!(period <= chain * (1.0 + 1e-9), "replicas make it worse");
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    let all = value.as_array().expect("a list of numbers").iter();
    all.map(|one| one.as_f64().expect("a number")).collect()
}

fn read(profiles: &Value, case: &Case) -> (Layers, Vec<Board>) {
    let model = &profiles["models"][case.model];
    let bytes = 4.0 * profiles["batch"].as_f64().expect("a number");
    let layers = Layers {
        bytes_out: numbers(&model["numbers_out"])
            .iter()
            .map(|one| one * bytes)
            .collect(),
        memory: numbers(&model["mb"]).iter().map(|one| one * MIB).collect(),
        buffers: profiles["buffers"].as_f64().expect("a number"),
    };
    let boards = profiles["boards"]
        .as_object()
        .expect("a table of boards")
        .values();
    let boards = boards.zip(case.slowed).map(|(board, slowed)| Board {
        seconds: numbers(&board["seconds"][case.model])
            .iter()
            .map(|one| one * slowed)
            .collect(),
        memory: board["mb"].as_f64().expect("a number") * MIB,
        bytes_per_second: board["mbit_per_second"].as_f64().expect("a number") * MIB / 8.0,
        count: case.count,
    });
    (layers, boards.collect())
}

/// The same for the planner: batches come from the first board and go back to it, at no cost, as
/// the peer has it.
fn instance(layers: &Layers, boards: &[Board]) -> Instance {
    let n = layers.bytes_out.len();
    let unit = |at: usize| Unit {
        seconds: boards.iter().map(|board| board.seconds[at]).collect(),
        bytes_out: if at + 1 == n {
            0.0
        } else {
            layers.bytes_out[at]
        },
        queue: 0,
        weights: layers.memory[at] as u64,
        // What comes in and goes out, with buffers for both.
        working: (layers.bytes_out[at] * 2.0 * (layers.buffers + 1.0)) as u64,
        ends_stage: false,
        single: false,
        only: None,
    };
    let device = |kind: usize| Device {
        kind,
        memory: Some(boards[kind].memory as u64),
        workers: 1,
        watts: 1.0,
        base: 0.0,
    };
    let devices = (0..boards.len()).flat_map(|kind| vec![device(kind); boards[kind].count]);
    let devices: Vec<Device> = devices.collect();
    let link = Link {
        bytes_per_second: boards[0].bytes_per_second,
        delay: 0.0,
    };
    Instance {
        units: (0..n).map(unit).collect(),
        links: vec![vec![link; devices.len()]; devices.len()],
        devices,
        source: 0,
        sink: 0,
        bytes_in: 0.0,
        queue_in: 0,
        window: 1000,
        objective: Objective::Rate,
    }
}

/// Each part on the next board of its type.
fn on_boards(boards: &[Board], parts: &Parts) -> Schedule {
    let first = |kind: usize| boards[..kind].iter().map(|board| board.count).sum();
    let mut next: Vec<usize> = (0..boards.len()).map(first).collect();
    let group = |(kind, units): &(usize, std::ops::Range<usize>)| {
        let device = next[*kind];
        next[*kind] += 1;
        let members = vec![Member {
            device,
            workers: 1,
            weight: 1,
        }];
        Group {
            units: units.clone(),
            members,
        }
    };
    Schedule {
        groups: parts.iter().map(group).collect(),
    }
}

/// `count` devices of four kinds, each so many times slower than the first, with 24 half layers
/// of 30 ms; on the slowest kind not all of them fit.
fn of_four_kinds(count: usize) -> Instance {
    let slower = [1.0, 1.7, 3.0, 4.1];
    let unit = Unit {
        seconds: slower.iter().map(|factor| 0.03 * factor).collect(),
        bytes_out: 300e3,
        queue: 1 << 20,
        weights: 10 << 20,
        working: 1 << 20,
        ends_stage: false,
        single: false,
        only: None,
    };
    let device = |at: usize| Device {
        kind: at % 4,
        memory: (at % 4 == 3).then_some(128 << 20),
        workers: 1,
        watts: 1.0,
        base: 0.0005,
    };
    let mut devices: Vec<Device> = (0..count).map(device).collect();
    devices[1..].iter_mut().for_each(|device| device.base = 0.0);
    let link = Link {
        bytes_per_second: 117e6,
        delay: 3e-4,
    };
    Instance {
        units: vec![unit; 24],
        links: vec![vec![link; count]; count],
        devices,
        source: 0,
        sink: 0,
        bytes_in: 50e3,
        queue_in: 1 << 18,
        window: 4 * count,
        objective: Objective::Rate,
    }
}

fn many_devices() {
    println!("\n64 devices of four kinds, 24 units");
    let instance = of_four_kinds(64);
    let started = Instant::now();
    let chain = chained(&instance).expect("there is memory enough");
    println!(
        "best chain: {:.2} batches a second, in {:.0} ms",
        chain.forecast.rate,
        started.elapsed().as_secs_f64() * 1e3
    );
    let started = Instant::now();
    let best = plan(&instance).expect("there is memory enough");
    let ms = started.elapsed().as_secs_f64() * 1e3;
    let reaches = 100.0 * best.reaches(Objective::Rate);
    println!(
        "with replicas: {:.2} batches a second, {reaches:.1} % of the bound, in {ms:.0} ms",
        best.forecast.rate
    );
}

fn predicted() {
    println!("\ndevices   batches a second   batch by batch   of the bound");
    for count in [2, 3, 4, 8, 16, 32, 64] {
        let instance = of_four_kinds(count);
        let best = plan(&instance).expect("there is memory enough");
        let run = simulate(&instance, &best.schedule, 100 * count);
        let reaches = 100.0 * best.reaches(Objective::Rate);
        println!(
            "{count:7} {:18.2} {:16.2} {reaches:12.1} %",
            best.forecast.rate, run.rate
        );
    }
}
