//! `segue explain`: the plan.

use std::fmt::Write;

use clap::{Args, ValueEnum};
use segue_plugin::{Column, Type};
use serde_json::{Value, json};

use super::load::load;
use super::planned;
use super::svg::svg;
use super::{GraphArgs, Outcome, answer};
use segue::deploy::{Loaded, Planning, queues, weights};
use segue::graph::{Plan, Stage};

/// `segue explain`
#[derive(Args)]
pub struct ExplainArgs {
    #[command(flatten)]
    graph: GraphArgs,
    /// How to show it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// A way to show a plan.
#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// For people
    Text,
    /// For Graphviz
    Dot,
    /// A picture
    Svg,
    /// For scripts
    Json,
}

/// Shows the plan of a graph.
pub fn explain(arguments: &ExplainArgs) -> Outcome {
    let Loaded { plan, planning, .. } = load(&arguments.graph)?;
    answer(&match arguments.format {
        Format::Text => text(&plan, &planned::text(&plan, &planning)),
        Format::Dot => dot(&plan),
        Format::Svg => svg(&plan),
        Format::Json => format!("{:#}\n", json(&plan, &planning)),
    })
}

/// Where stage number `i` runs: `worker 0`, `workers 0, 1`, or, with several devices,
/// `kitchen 0, hall 0`.
pub fn place(plan: &Plan, i: usize) -> String {
    let layout = &plan.layout;
    let several = layout.devices.len() > 1;
    let name = |worker: usize| {
        if several {
            format!(
                "{} {}",
                layout.devices[layout.device(worker)].0,
                worker % layout.threads
            )
        } else {
            worker.to_string()
        }
    };
    let workers: Vec<String> = plan.replicas[i].iter().map(|r| name(r.worker)).collect();
    match (several, workers.len()) {
        (true, _) => workers.join(", "),
        (false, 1) => format!("worker {}", workers[0]),
        (false, _) => format!("workers {}", workers.join(", ")),
    }
}

/// Whether what stage `from` sends may reach stage `to` on another device.
fn crosses(plan: &Plan, from: usize, to: usize) -> bool {
    let devices = |i: usize| {
        plan.replicas[i]
            .iter()
            .map(|r| plan.layout.device(r.worker))
    };
    devices(from).any(|a| devices(to).any(|b| a != b))
}

/// What a stage's units are, if it is a segment.
pub fn units(stage: &Stage) -> Option<String> {
    let segment = stage.segment.as_ref()?;
    let (first, last) = (segment.units.first(), segment.units.last());
    let names = match (first, last) {
        (Some(first), Some(last)) if first != last => format!("{} to {}", first.name, last.name),
        (Some(only), _) => only.name.clone(),
        (None, _) => "no units".to_owned(),
    };
    let mib = segment.units.iter().map(|unit| unit.bytes).sum::<u64>() as f64 / f64::from(1 << 20);
    Some(format!("{names}, {mib:.1} MiB"))
}

/// Bytes that columns take on an edge, for people: `16 B a row, 1536 B a vector of hidden`.
fn edge_bytes(columns: &[Column]) -> String {
    let fixed = |column: &Column| match column.column_type {
        Type::Scalar(scalar) => scalar.bytes(),
        Type::Fixed(scalar, n) => scalar.bytes().map(|bytes| bytes * n),
        Type::List(_) | Type::Ragged(..) => None,
    };
    let sum: usize = columns.iter().filter_map(fixed).sum();
    let others = columns.iter().filter(|column| fixed(column).is_none());
    let others = others.map(|column| format!("`{}` {}", column.name, bytes(column)));
    std::iter::once(format!("{sum} B a row"))
        .chain(others)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Bytes that one column takes on an edge, for people.
pub fn bytes(column: &Column) -> String {
    match column.column_type {
        Type::Scalar(scalar) => match scalar.bytes() {
            Some(bytes) => format!("{bytes} B a row"),
            None => "as long as its text".to_owned(),
        },
        Type::List(scalar) => format!("{} B an element", scalar.bytes().unwrap_or(0)),
        Type::Fixed(scalar, n) => format!("{} B a row", n * scalar.bytes().unwrap_or(0)),
        Type::Ragged(scalar, n) => format!("{} B a vector", n * scalar.bytes().unwrap_or(0)),
    }
}

/// The plan, with what the planner says of it.
fn text(plan: &Plan, planned: &str) -> String {
    let graph = &plan.graph;
    let mut text = format!(
        "{} stages on {}; batches of {}, {} in flight\n",
        graph.stages.len(),
        whole(plan),
        graph.batch,
        graph.window
    );
    text += planned;
    for (i, stage) in graph.stages.iter().enumerate() {
        let _ = write!(
            text,
            "\n{}: `{}` on {}",
            stage.name,
            stage.operator.manifest.name,
            place(plan, i)
        );
        let _ = match units(stage) {
            Some(units) => writeln!(text, " ({units})"),
            None => writeln!(text),
        };
        let from = stage.edges().map(|(from, port)| {
            let from = &graph.stages[from].name;
            match stage.operator.manifest.ports.get(port) {
                Some(port) => format!("{from} at `{}`", port.name),
                None => from.clone(),
            }
        });
        let from: Vec<String> = from.collect();
        if !from.is_empty() {
            let _ = writeln!(text, "  from  {}", from.join(", "));
        }
        let far = stage
            .inputs
            .iter()
            .chain(&stage.loops)
            .filter(|&&from| crosses(plan, from, i));
        for &from in far {
            let _ = writeln!(
                text,
                "  over the network: {}",
                edge_bytes(&graph.stages[from].sends)
            );
        }
        for column in &stage.columns.reads {
            let at = match column.port.as_str() {
                "" => String::new(),
                port => format!(" at `{port}`"),
            };
            let _ = writeln!(text, "  reads {}: {}{at}", column.name, column.column_type);
        }
        for column in &stage.sends {
            let _ = writeln!(
                text,
                "  sends {}: {}, {}",
                column.name,
                column.column_type,
                bytes(column)
            );
        }
    }
    text
}

/// All that the plan runs on: `2 workers`, or the devices with what they hold.
fn whole(plan: &Plan) -> String {
    let devices = &plan.layout.devices;
    if let [(_, workers)] = devices.as_slice() {
        return format!("{workers} workers");
    }
    let device = |(i, (name, _)): (usize, &(String, usize))| {
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let (weights, queues) = (mib(weights(plan, i)), mib(queues(plan, i)));
        format!("{name} (weights of {weights:.1} MiB, queues of up to {queues:.1} MiB)")
    };
    devices
        .iter()
        .enumerate()
        .map(device)
        .collect::<Vec<_>>()
        .join(", ")
}

fn dot(plan: &Plan) -> String {
    let mut text = "digraph segue {\n  rankdir=LR;\n  node [shape=box];\n".to_owned();
    for (i, stage) in plan.graph.stages.iter().enumerate() {
        let label = format!(
            "{}\\n{}\\n{}",
            stage.name,
            stage.operator.manifest.name,
            place(plan, i)
        );
        let _ = writeln!(text, "  \"{}\" [label=\"{label}\"];", stage.name);
        for &input in &stage.inputs {
            let from = &plan.graph.stages[input];
            let columns: Vec<&str> = from.sends.iter().map(|c| c.name.as_str()).collect();
            let _ = writeln!(
                text,
                "  \"{}\" -> \"{}\" [label=\"{}\"];",
                from.name,
                stage.name,
                columns.join("\\n")
            );
        }
        for &input in &stage.loops {
            let from = &plan.graph.stages[input].name;
            let _ = writeln!(text, "  \"{from}\" -> \"{}\" [style=dashed];", stage.name);
        }
    }
    text + "}\n"
}

fn json(plan: &Plan, planning: &Planning) -> Value {
    let name = |&i: &usize| plan.graph.stages[i].name.clone();
    let stages = plan.graph.stages.iter().enumerate().map(|(i, stage)| {
        let segment = stage.segment.as_ref();
        json!({
            "name": stage.name,
            "stage": stage.file_name,
            "plugin": stage.operator.manifest.name,
            "options": given(&stage.options),
            "from": stage.inputs.iter().map(name).collect::<Vec<_>>(),
            "loop": stage.loops.iter().map(name).collect::<Vec<_>>(),
            "ports": stage.edges().map(|(_, port)| {
                stage.operator.manifest.ports.get(port).map(|port| port.name.as_str())
            }).collect::<Vec<_>>(),
            "workers": plan.replicas[i].iter().map(|r| r.worker).collect::<Vec<_>>(),
            "weights": plan.replicas[i].iter().map(|r| r.weight).collect::<Vec<_>>(),
            "devices": plan.replicas[i].iter()
                .map(|r| &plan.layout.devices[plan.layout.device(r.worker)].0)
                .collect::<Vec<_>>(),
            "units": segment.map(|s| json!([s.range.start, s.range.end])),
            "bytes": segment.map(|s| s.units.iter().map(|unit| unit.bytes).sum::<u64>()),
            "reads": stage.columns.reads,
            "writes": stage.columns.writes,
            "sends": stage.sends,
        })
    });
    json!({
        "workers": plan.threads(),
        "batch": plan.graph.batch,
        "window": plan.graph.window,
        "planned": planned::json(plan, planning),
        "stages": stages.collect::<Vec<_>>(),
    })
}

/// The options but for those that only the graph itself can give.
fn given(options: &Value) -> Value {
    let mut options = options.clone();
    if let Some(all) = options.as_object_mut() {
        all.retain(|name, _| !name.starts_with('('));
    }
    options
}
