//! The last words of a run.

use std::collections::BTreeMap;

use super::numbers::{count, grouped, percent};
use segue::dataflow::Report;
use segue::diagnostic::{Note, visible};
use segue::graph::{Plan, Role};

/// Names of a kind that are listed.
const LISTED: usize = 12;

/// What came of a run, for people.
pub fn summary(report: &Report, plan: &Plan) -> String {
    let mut text = headline(report);
    if !report.labels.is_empty() {
        text += &format!("labels: {}\n", by_name(&report.labels));
    }
    if let Some(file) = &report.rejects_file {
        let reasons = by_name(&report.rejected_by_reason);
        text += &format!(
            "rejected: {reasons}; each with its reason in {}\n",
            visible(file)
        );
    }
    text.extend(busy(report));
    text.extend(report.notes.iter().map(Note::render));
    text + &format!("written to {}\n", written_to(plan))
}

/// The files of all sinks.
pub fn written_to(plan: &Plan) -> String {
    let sinks = plan.graph.stages.iter();
    let sinks = sinks.filter(|stage| stage.operator.role == Role::Sink);
    let paths: Vec<_> = sinks
        .filter_map(|stage| stage.options["path"].as_str())
        .map(visible)
        .collect();
    let device = &plan.layout.devices[plan.sink_device()].0;
    match plan.layout.devices.len() {
        1 => paths.join(", "),
        _ => format!("{} on {device}", paths.join(", ")),
    }
}

fn headline(report: &Report) -> String {
    let mut text = match report.seconds {
        0.0 => format!(
            "{} reviews were committed before, nothing was left to do",
            grouped(report.reviews)
        ),
        _ => format!(
            "{} in {:.1} s, {:.1} a second",
            count(report.reviews - report.resumed, "review"),
            report.seconds,
            report.reviews_per_second
        ),
    };
    if report.resumed > 0 && report.seconds > 0.0 {
        text += &format!(" ({} committed before)", grouped(report.resumed));
    }
    if let Some(accuracy) = report.accuracy {
        text += &format!(", accuracy {:.2} %", accuracy * 100.0);
    }
    if report.rejected > 0 {
        text += &format!(", {} rejected", count(report.rejected, "record"));
    }
    text + "\n"
}

/// `40 positive, 32 negative`
fn by_name(counts: &BTreeMap<String, u64>) -> String {
    let mut all: Vec<_> = counts.iter().collect();
    all.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), *name));
    let rest: u64 = all.iter().skip(LISTED).map(|(_, count)| **count).sum();
    let one = |(name, count): &(&String, &u64)| format!("{} {}", grouped(**count), visible(name));
    let mut listed: Vec<_> = all.iter().take(LISTED).map(one).collect();
    if rest > 0 {
        listed.push(format!("{} others", grouped(rest)));
    }
    listed.join(", ")
}

/// How much of the time each device worked, and what the others waited for.
fn busy(report: &Report) -> Option<String> {
    let bottleneck = report.bottleneck.as_ref()?;
    let several = report.devices.len() > 1;
    let device = |name: &str| {
        if several {
            format!("{name} ")
        } else {
            String::new()
        }
    };
    let shares = report.devices.iter();
    let shares = shares.map(|one| format!("{}{}", device(&one.name), percent(one.busy)));
    let shares = shares.collect::<Vec<_>>().join(", ");
    let place = format!("{}worker {}", device(&bottleneck.device), bottleneck.worker);
    Some(format!(
        "busy: {shares}; most to do had {place}, {}, with `{}`\n",
        percent(bottleneck.busy),
        visible(&bottleneck.stage)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_names_are_cut_short() {
        let counts = (0..20).map(|i| (format!("n{i:02}"), i + 1)).collect();
        let text = by_name(&counts);
        assert!(text.starts_with("20 n19, 19 n18, "), "{text}");
        assert!(text.ends_with(", 36 others"), "{text}");
    }
}
