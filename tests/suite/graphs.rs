//! Every graph that ships runs, on one worker and on two, and gives the golden output.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::{Project, ROOT, compile_word_count, golden};

fn graphs() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(Path::new(ROOT).join("graphs")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut graphs: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    graphs.sort();
    graphs
}

/// The sinks of a graph, and the endings of their files.
fn sinks(project: &Project, graph: &str) -> Vec<(String, String)> {
    let plan = project.run(&["explain", graph, "--format", "json"]).ok();
    let plan: Value = serde_json::from_str(&plan.stdout).unwrap();
    let stages = plan["stages"].as_array().unwrap().iter();
    stages
        .filter(|stage| stage["plugin"] == "write")
        .map(|stage| {
            let path = Path::new(stage["options"]["path"].as_str().unwrap());
            let ending = path.extension().unwrap().to_str().unwrap();
            (stage["name"].as_str().unwrap().into(), ending.into())
        })
        .collect()
}

/// What does not depend on the processor: floats to three decimals.
fn portable(text: &str, ending: &str) -> String {
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
    text.lines().map(line).collect()
}

#[test]
fn each_gives_its_golden_output_on_any_number_of_workers() {
    let project = Project::new().look_in("plugins");
    compile_word_count(&project.path("plugins"));
    let graphs = graphs();
    assert!(graphs.len() >= 2, "{graphs:?}");
    for graph in graphs {
        let (name, graph) = (graph.file_stem().unwrap(), graph.to_str().unwrap());
        for (sink, ending) in sinks(&project, graph) {
            let mut outputs = Vec::new();
            for workers in ["1", "2"] {
                let file = format!("{sink}-{workers}.{ending}");
                let set = format!("{sink}.path={file}");
                let ran = project
                    .run(&["run", graph, "--set", &set, "--workers", workers])
                    .ok();
                assert_eq!(ran.stdout, "");
                outputs.push(project.read(&file));
            }
            assert!(outputs[0].lines().count() > 1);
            assert!(
                outputs[0] == outputs[1],
                "{graph}: 2 workers change the output"
            );
            let file = format!("graphs/{}.{sink}.{ending}", name.to_str().unwrap());
            golden(&file, &portable(&outputs[0], &ending));
        }
    }
}
