//! What the planner says of a plan.

use std::fmt::Write;

use serde_json::{Value, json};

use segue::deploy::{Automatic, Planning};
use segue::graph::Plan;
use segue::planner::{self, Bottleneck, Forecast, Load, Objective, Simulated, alone, even};

/// So many batches are gone through, and more where the window is large.
const BATCHES: usize = 400;

/// Rates of a plan, and of what there would be without one.
struct Compared {
    /// Batch by batch.
    run: Simulated,
    /// The part of what is possible at best, at least; from 0 to 1.
    reaches: f64,
    /// The best device alone, and its batches a second.
    alone: Option<(usize, f64)>,
    /// Even segments on all devices, in batches a second.
    even: Option<f64>,
}

fn compared(automatic: &Automatic) -> Compared {
    let instance = &automatic.instance;
    let batches = BATCHES.max(4 * instance.window);
    Compared {
        run: planner::simulate(instance, &automatic.planned.schedule, batches),
        reaches: automatic.planned.reaches(instance.objective),
        alone: alone(instance).map(|(device, forecast)| (device, forecast.rate)),
        even: even(instance).map(|forecast| forecast.rate),
    }
}

/// A paragraph for people, or nothing where nothing was left to the planner.
pub fn text(plan: &Plan, planning: &Planning) -> String {
    let automatic = match planning {
        Planning::Fixed => return String::new(),
        Planning::ByRule(why) => return format!("\nnot planned: {why}\n"),
        Planning::Automatic(automatic) => automatic,
    };
    let compared = compared(automatic);
    let forecast = &automatic.planned.forecast;
    let rows = compared.run.rate * plan.graph.batch as f64;
    let mut text = format!(
        "\nplanned for {}: {} rows a second, {:.1} ms a batch; {}\n",
        objective(automatic.instance.objective),
        number(rows),
        compared.run.latency * 1e3,
        bottleneck(plan, forecast)
    );
    for (at, load) in forecast.devices.iter().enumerate() {
        let _ = writeln!(text, "  {}", device(plan, automatic, at, load));
    }
    let _ = writeln!(text, "  {}", optimum(automatic, &compared));
    let _ = writeln!(text, "  {}", others(plan, &compared));
    for guess in &automatic.guesses {
        let _ = writeln!(text, "  {guess}");
    }
    text
}

/// The same for scripts; null where nothing was left to the planner.
pub fn json(plan: &Plan, planning: &Planning) -> Value {
    let automatic = match planning {
        Planning::Fixed => return Value::Null,
        Planning::ByRule(why) => return json!({ "left": why }),
        Planning::Automatic(automatic) => automatic,
    };
    let compared = compared(automatic);
    let name = |at: usize| &plan.layout.devices[at].0;
    let batch = plan.graph.batch as f64;
    let forecast = &automatic.planned.forecast;
    let devices = forecast.devices.iter().enumerate().map(|(at, load)| {
        json!({
            "device": name(at),
            "units": units_of(automatic, at),
            "share": load.part,
            "busy": load.busy * forecast.rate,
            "memory_bytes": load.memory,
        })
    });
    json!({
        "objective": objective(automatic.instance.objective),
        "rows_per_second": compared.run.rate * batch,
        "latency_ms": compared.run.latency * 1e3,
        "joules_per_batch": forecast.energy,
        "bottleneck": bottleneck(plan, forecast),
        "of_optimum": compared.reaches,
        "exact": automatic.planned.exact,
        "devices": devices.collect::<Vec<_>>(),
        "alone": compared.alone.map(|(device, rate)| json!({
            "device": name(device),
            "rows_per_second": rate * batch,
        })),
        "even_rows_per_second": compared.even.map(|rate| rate * batch),
        "guesses": automatic.guesses,
    })
}

fn objective(objective: Objective) -> &'static str {
    match objective {
        Objective::Rate => "rate",
        Objective::Latency => "latency",
        Objective::Energy => "energy",
    }
}

fn bottleneck(plan: &Plan, forecast: &Forecast) -> String {
    let name = |at: usize| &plan.layout.devices[at].0;
    match forecast.bottleneck {
        Bottleneck::Device(at) => format!("all wait for {}", name(at)),
        Bottleneck::Link(from, to) => {
            format!("all wait for the link from {} to {}", name(from), name(to))
        }
        Bottleneck::Window => "more batches in flight would be faster".to_owned(),
    }
}

/// First and last unit that a device runs.
fn units_of(automatic: &Automatic, device: usize) -> Option<(&str, &str)> {
    let runs = |group: &&planner::Group| group.members.iter().any(|one| one.device == device);
    let group = automatic.planned.schedule.groups.iter().find(runs)?;
    let unit = |at: usize| automatic.units[at].as_str();
    Some((unit(group.units.start), unit(group.units.end - 1)))
}

fn device(plan: &Plan, automatic: &Automatic, at: usize, load: &Load) -> String {
    let name = &plan.layout.devices[at].0;
    let Some((first, last)) = units_of(automatic, at) else {
        return if load.busy > 0.0 {
            format!("{name}: reads or writes, no more: that would not be better")
        } else {
            format!("{name}: nothing, that would not be better")
        };
    };
    let units = if first == last {
        first.to_owned()
    } else {
        format!("{first} to {last}")
    };
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let limit = automatic.instance.devices[at].memory;
    let of = limit.map(|limit| format!(" of {:.1}", mib(limit)));
    format!(
        "{name}: {units}, {:.0} % of the batches, busy {:.0} %, {:.1}{} MiB",
        load.part * 100.0,
        load.busy * automatic.planned.forecast.rate * 100.0,
        mib(load.memory),
        of.unwrap_or_default()
    )
}

fn optimum(automatic: &Automatic, compared: &Compared) -> String {
    if automatic.planned.exact {
        "100 % of the provable optimum: no other plan is better".to_owned()
    } else {
        format!(
            "at least {:.1} % of the provable optimum",
            compared.reaches * 100.0
        )
    }
}

fn others(plan: &Plan, compared: &Compared) -> String {
    let rows = |rate: f64| number(rate * plan.graph.batch as f64);
    let alone = match compared.alone {
        Some((device, rate)) => format!(
            "{} alone: {} rows a second",
            plan.layout.devices[device].0,
            rows(rate)
        ),
        None => "no device alone has the memory".to_owned(),
    };
    let even = match compared.even {
        Some(rate) => format!("an even split: {} rows a second", rows(rate)),
        None => "an even split does not fit".to_owned(),
    };
    format!("{alone}; {even}")
}

/// With three digits at least.
fn number(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}
