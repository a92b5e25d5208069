//! Every graph that ships runs, on one worker, on two and on two devices, and gives the
//! golden output.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{Project, ROOT, compile_word_count, golden};

/// Every graph file under `graphs/`.
fn graphs() -> Vec<PathBuf> {
    let mut folders = vec![Path::new(ROOT).join("graphs")];
    let mut graphs = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.extension() {
                Some(ending) if ending == "toml" => graphs.push(path),
                _ if path.is_dir() => folders.push(path),
                _ => {}
            }
        }
    }
    graphs.sort();
    graphs
}

/// The stages of a graph, as its plan has them.
fn stages(project: &Project, graph: &str) -> Vec<Value> {
    let plan = project.run(&["explain", graph, "--format", "json"]).ok();
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    plan["stages"].as_array().unwrap().clone()
}

/// The sinks of a graph, and the endings of their files.
fn sinks(stages: &[Value]) -> Vec<(String, String)> {
    (stages.iter().filter(|stage| stage["plugin"] == "write"))
        .map(|stage| {
            let path = Path::new(stage["options"]["path"].as_str().unwrap());
            let ending = path.extension().unwrap().to_str().unwrap();
            (stage["name"].as_str().unwrap().into(), ending.into())
        })
        .collect()
}

/// Settings that send what a graph trains into the project instead of its own folder.
fn outputs(stages: &[Value]) -> Vec<String> {
    (stages
        .iter()
        .filter(|stage| stage["options"]["output"].is_string()))
    .map(|stage| stage["name"].as_str().unwrap())
    .map(|name| format!("{name}.output=made-by-{name}"))
    .collect()
}

/// What is the same in every run: all but how long things took.
fn repeatable(text: &str, ending: &str) -> String {
    if ending != "jsonl" || !text.contains("\"seconds\":") {
        return text.to_owned();
    }
    let line = |line: &str| {
        let mut row: Value = serde_json::from_str(line).unwrap();
        row.as_object_mut().unwrap().remove("seconds");
        format!("{row}\n")
    };
    text.lines().map(line).collect()
}

/// What does not depend on the processor: floats to three decimals. Of a long history a line in a
/// hundred tells enough.
fn portable(text: &str, ending: &str) -> String {
    if ending == "csv" {
        let field = |field: &str| match field.parse::<f64>() {
            Ok(number) if field.contains('.') => format!("{number:.3}"),
            _ => field.to_owned(),
        };
        let line = |line: &str| line.split(',').map(field).collect::<Vec<_>>().join(",") + "\n";
        return text.lines().map(line).collect();
    }
    if ending != "jsonl" {
        return text.to_owned();
    }
    let line = |line: &str| {
        let mut row: Value = serde_json::from_str(line).unwrap();
        for value in row.as_object_mut().unwrap().values_mut() {
            if value.is_f64() {
                *value = format!("{:.3}", value.as_f64().unwrap()).into();
            }
        }
        format!("{row}\n")
    };
    let step = if text.lines().count() > 300 { 100 } else { 1 };
    text.lines().step_by(step).map(line).collect()
}

#[test]
fn each_gives_its_golden_output_on_any_number_of_workers() {
    let project = Project::new().look_in("plugins");
    compile_word_count(&project.path("plugins"));
    let graphs = graphs();
    assert!(graphs.len() >= 2, "{graphs:?}");
    for path in graphs {
        let graph = path.to_str().unwrap();
        let stages = stages(&project, graph);
        let (trained, sinks) = (outputs(&stages), sinks(&stages));
        let mut runs = Vec::new();
        for (option, count) in [("workers", "1"), ("workers", "2"), ("devices", "2")] {
            let file =
                |(sink, ending): &(String, String)| format!("{sink}-{option}-{count}.{ending}");
            let mut sets = trained.clone();
            sets.extend(
                sinks
                    .iter()
                    .map(|sink| format!("{}.path={}", sink.0, file(sink))),
            );
            let option = format!("--{option}");
            let mut arguments = vec!["run", graph, &option, count];
            sets.iter().for_each(|set| arguments.extend(["--set", set]));
            assert_eq!(project.run(&arguments).ok().stdout, "");
            let read = |sink| repeatable(&project.read(&file(sink)), &sink.1);
            runs.push(sinks.iter().map(read).collect::<Vec<String>>());
        }
        for (number, (sink, ending)) in sinks.iter().enumerate() {
            let first = &runs[0][number];
            assert!(!first.is_empty(), "{graph}: {sink}");
            for (other, what) in runs[1..].iter().zip(["2 workers", "2 devices"]) {
                assert!(*first == other[number], "{graph}: {what} change {sink}");
            }
            let name = path.strip_prefix(ROOT).unwrap().with_extension("");
            let file = format!("{}.{sink}.{ending}", name.display());
            golden(&file, &portable(first, ending));
        }
    }
}
