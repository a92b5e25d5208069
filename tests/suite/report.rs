//! What Segue tells of a run and of a plan: the report, `explain`, `stages`.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{Project, reviews};
use crate::tiny::Tiny;

const GRAPH: &str = "format = 1
[stream]
batch = 8
[stage.reviews]
plugin = \"read\"
with.path = \"reviews.csv\"
[stage.tokenize]
plugin = \"tokenizer\"
from = \"reviews\"
with.model = \"model\"
with.max-tokens = 32
[stage.encoder]
plugin = \"bert\"
from = \"tokenize\"
with.model = \"model\"
split = 2
[stage.verdict]
plugin = \"aggregator\"
from = \"encoder\"
[stage.out]
plugin = \"write\"
from = \"verdict\"
with.path = \"out.jsonl\"
";

const STAGES: [&str; 6] = [
    "reviews",
    "tokenize",
    "encoder/0",
    "encoder/1",
    "verdict",
    "out",
];

fn project() -> Project {
    Project::with_graph(GRAPH)
        .file("reviews.csv", reviews(60))
        .model("model", Tiny::default())
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

#[test]
fn a_report_has_the_documented_fields_and_they_add_up() {
    let project = project();
    for workers in ["1", "2"] {
        project.run_graph(&["--report", "report.json", "--workers", workers]);
        let report = project.json("report.json");
        let fields = [
            "graph",
            "reviews",
            "resumed",
            "rejected",
            "rejected_by_reason",
            "rejects_file",
            "labels",
            "bottleneck",
            "notes",
            "seconds",
            "load_seconds",
            "reviews_per_second",
            "accuracy",
            "latency_ms",
            "stages",
            "devices",
        ];
        assert_eq!(keys(&report), BTreeSet::from(fields));
        assert_eq!(report["graph"], "graph.toml");
        assert_eq!(report["reviews"], 60);
        assert_eq!(
            (&report["resumed"], &report["rejected"]),
            (&0.into(), &0.into())
        );
        let number = |value: &Value| value.as_f64().unwrap();
        assert!(number(&report["seconds"]) > 0.0 && number(&report["load_seconds"]) > 0.0);
        let labels = report["labels"].as_object().unwrap();
        let labels: u64 = labels.values().map(|count| count.as_u64().unwrap()).sum();
        assert_eq!(labels, 60);
        assert_eq!(
            (&report["rejects_file"], &report["notes"]),
            (&Value::Null, &json!([]))
        );
        let rate = 60.0 / number(&report["seconds"]);
        assert!((number(&report["reviews_per_second"]) - rate).abs() < 1e-6 * rate);
        let latency = &report["latency_ms"];
        assert_eq!(keys(latency), BTreeSet::from(["p50", "p99"]));
        assert!(
            0.0 < number(&latency["p50"]) && number(&latency["p50"]) <= number(&latency["p99"])
        );
        stages(&report, workers.parse().unwrap());
        let device = &report["devices"][0];
        assert_eq!(report["devices"].as_array().unwrap().len(), 1);
        let fields = [
            "name",
            "peak_rss_bytes",
            "bytes_sent",
            "bytes_received",
            "busy",
        ];
        assert_eq!(keys(device), BTreeSet::from(fields));
        let bottleneck = &report["bottleneck"];
        assert_eq!(
            keys(bottleneck),
            BTreeSet::from(["stage", "device", "worker", "busy"])
        );
        assert!(STAGES.contains(&bottleneck["stage"].as_str().unwrap()));
        let busy = [&bottleneck["busy"], &device["busy"]].map(number);
        assert!(
            0.0 < busy[1] && busy[1] <= busy[0] && busy[0] <= 1.0,
            "{busy:?}"
        );
        assert!(device["peak_rss_bytes"].as_u64().unwrap() > 1 << 20);
        assert_eq!(
            (&device["bytes_sent"], &device["bytes_received"]),
            (&0.into(), &0.into())
        );
    }
}

/// Every stage that a plugin runs saw every row once.
fn stages(report: &Value, workers: u64) {
    let stages = report["stages"].as_array().unwrap();
    let names: Vec<_> = stages
        .iter()
        .map(|stage| stage["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, STAGES[1..5]);
    for stage in stages {
        let fields = [
            "name",
            "device",
            "worker",
            "batches",
            "rows",
            "busy_seconds",
            "bytes_in",
            "bytes_out",
        ];
        assert_eq!(keys(stage), BTreeSet::from(fields));
        assert_eq!(stage["device"], "local");
        assert_eq!((&stage["batches"], &stage["rows"]), (&8.into(), &60.into()));
        assert!(stage["busy_seconds"].as_f64().unwrap() > 0.0);
        assert!(stage["bytes_in"].as_u64().unwrap() > 0);
        assert!(stage["bytes_out"].as_u64().unwrap() > 0);
    }
    assert_eq!(stages[1]["worker"], 0);
    assert_eq!(stages[2]["worker"], workers - 1);
}

#[test]
fn replicas_are_reported_one_by_one() {
    let project = project();
    let sets = ["--set", "encoder.replicas=2", "--set", "encoder.split=1"];
    project.run_graph(&[&sets[..], &["--workers", "2", "--report", "report.json"]].concat());
    let report = project.json("report.json");
    let stages = report["stages"].as_array().unwrap().iter();
    let encoders: Vec<_> = stages.filter(|stage| stage["name"] == "encoder").collect();
    assert_eq!(encoders.len(), 2);
    let sum = |field: &str| {
        encoders
            .iter()
            .map(|e| e[field].as_u64().unwrap())
            .sum::<u64>()
    };
    assert_eq!((sum("worker"), sum("batches"), sum("rows")), (1, 8, 60));
    assert_eq!(encoders[0]["batches"], 4);
}

#[test]
fn accuracy_is_null_without_labels() {
    let project = project().file("reviews.csv", "text\na good film\nthe worst plot\n");
    let ran = project.run_graph(&["--report", "report.json"]);
    assert_eq!(project.json("report.json")["accuracy"], Value::Null);
    assert!(!ran.stderr.contains("accuracy"), "{ran}");
}

#[test]
fn accuracy_is_the_share_of_verdicts_that_are_the_label() {
    let project = project();
    project.run_graph(&["--quiet"]);
    let labels: Vec<bool> = (project.lines("out.jsonl").iter())
        .map(|row| row["label"] == "positive")
        .collect();
    // True labels that the verdicts are known to agree with, but for every fourth.
    let text = reviews(60);
    let mut made = "label,text\n".to_owned();
    for (i, line) in text.lines().skip(1).enumerate() {
        let truth = labels[i] ^ (i % 4 == 0);
        made += &format!("{},{}\n", u8::from(truth), &line[2..]);
    }
    project.write("reviews.csv", made);
    let ran = project.run_graph(&["--report", "report.json"]);
    assert_eq!(project.json("report.json")["accuracy"], 0.75);
    assert!(ran.stderr.contains(", accuracy 75.00 %\n"), "{ran}");
    // It does not need the column in the output.
    project.run_graph(&[
        "--report",
        "report.json",
        "--set",
        "out.columns=[\"review\"]",
    ]);
    assert_eq!(project.json("report.json")["accuracy"], 0.75);
    assert_eq!(project.lines("out.jsonl")[7], json!({"review": 7}));
}

#[test]
fn a_summary_counts_labels_and_rejects_by_reason() {
    let project = project();
    let mut text = reviews(60);
    text += "1,\n0, \n1,a,b\n";
    project.write("reviews.csv", text);
    let reasons = json!({"malformed": 1, "no-text": 2});
    for devices in ["1", "2"] {
        let ran = project.run_graph(&["--report", "report.json", "--devices", devices]);
        let report = project.json("report.json");
        assert_eq!(report["rejected_by_reason"], reasons);
        let file = report["rejects_file"].as_str().unwrap();
        assert!(file.ends_with("out.jsonl.rejects.jsonl"), "{file}");
        let positive = (project.lines("out.jsonl").iter())
            .filter(|row| row["label"] == "positive")
            .count();
        assert_eq!(
            report["labels"]["positive"].as_u64().unwrap_or(0),
            positive as u64
        );
        for part in [
            "60 reviews in ",
            ", 3 records rejected\n",
            "\nlabels: ",
            &format!("\nrejected: 2 no-text, 1 malformed; each with its reason in {file}\n"),
            "\nbusy: ",
            "\nwritten to ",
        ] {
            assert!(ran.stderr.contains(part), "no `{part}`\n{ran}");
        }
        assert_eq!(
            report["devices"].as_array().unwrap().len().to_string(),
            devices
        );
    }
}

#[test]
fn a_resumed_run_reports_what_was_counted_before() {
    let project = project();
    project.run_graph(&["--report", "first.json"]);
    project.run_graph(&["--resume", "--report", "again.json"]);
    let [first, again] = ["first.json", "again.json"].map(|name| project.json(name));
    assert_eq!(again["resumed"], 60);
    assert_eq!(again["labels"], first["labels"]);
    assert_eq!(again["accuracy"], first["accuracy"]);
}

#[test]
fn a_quiet_run_says_nothing() {
    let ran = project().run_graph(&["--quiet"]);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""));
}

#[test]
fn a_report_that_cannot_be_written() {
    let ran = project().run(&[
        "run",
        "graph.toml",
        "--quiet",
        "--report",
        "none/report.json",
    ]);
    ran.failed_with(
        1,
        "write-failed",
        &["cannot write the report `none/report.json`"],
    );
}

fn explained(more: &[&str]) -> String {
    let ran = project()
        .run(&[&["explain", "graph.toml"], more].concat())
        .ok();
    assert_eq!(ran.stderr, "");
    ran.stdout
}

#[test]
fn explain_as_text() {
    let text = explained(&["--workers", "2"]);
    crate::harness::golden("report/explain.txt", &text);
    let one = explained(&["--workers", "1"]);
    assert!(
        one.starts_with("6 stages on 1 workers; batches of 8, 8 in flight\n"),
        "{one}"
    );
    assert!(!one.contains("worker 1"), "{one}");
}

#[test]
fn explain_as_json() {
    let plan: Value = serde_json::from_str(&explained(&["--format", "json"])).unwrap();
    assert_eq!(
        (&plan["workers"], &plan["batch"], &plan["window"]),
        (&2.into(), &8.into(), &8.into())
    );
    let stages = plan["stages"].as_array().unwrap();
    let names: Vec<_> = stages
        .iter()
        .map(|stage| stage["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, STAGES);
    assert_eq!(stages[2]["units"], json!([0, 2]));
    assert_eq!(stages[3]["from"], json!(["encoder/0"]));
    assert_eq!(stages[3]["workers"], json!([1]));
    assert_eq!(
        stages[2]["writes"],
        json!([{"name": "hidden", "type": "ragged f32[16]"}])
    );
    // What nothing reads is dropped: the text goes no further than the tokens.
    let sends: Vec<_> = (stages[1]["sends"].as_array().unwrap().iter())
        .map(|column| column["name"].as_str().unwrap())
        .collect();
    assert_eq!(sends, ["review", "truth", "tokens"]);
}

#[test]
fn explain_as_dot() {
    let dot = explained(&["--format", "dot"]);
    assert!(
        dot.starts_with("digraph segue {\n") && dot.ends_with("}\n"),
        "{dot}"
    );
    for line in dot.lines().skip(1).filter(|line| *line != "}") {
        assert!(line.starts_with("  ") && line.ends_with(';'), "{line}");
        assert_eq!(line.matches('"').count() % 2, 0, "{line}");
    }
    for name in STAGES {
        assert!(
            dot.contains(&format!("  \"{name}\" [label=\"{name}\\n")),
            "{dot}"
        );
    }
    for pair in STAGES.windows(2) {
        assert!(
            dot.contains(&format!("\"{}\" -> \"{}\"", pair[0], pair[1])),
            "{dot}"
        );
    }
}

#[test]
fn explain_as_svg() {
    let svg = explained(&["--format", "svg"]);
    assert_eq!(unclosed(&svg), Vec::<String>::new());
    assert!(
        svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\""),
        "{svg}"
    );
    for name in STAGES {
        assert!(svg.contains(&format!(">{name}</text>")), "{name}\n{svg}");
    }
    assert!(
        svg.contains("fill=\"#fff\"/>\n<rect "),
        "no background\n{svg}"
    );
    assert!(svg.contains(">text: utf8</text>"), "{svg}");
    assert_eq!(svg.matches("marker-end").count(), STAGES.len() - 1);
}

/// The tags of an XML text that are not closed, or not in order.
fn unclosed(xml: &str) -> Vec<String> {
    let mut open: Vec<String> = Vec::new();
    for tag in xml.split('<').skip(1) {
        let (tag, text) = tag.split_once('>').expect("a tag without an end");
        assert!(!text.contains('&') || text.contains(';'), "{text}");
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        match (tag.strip_prefix('/'), tag.ends_with('/')) {
            (Some(name), _) => assert_eq!(open.pop().as_deref(), Some(name)),
            (None, true) => {}
            (None, false) => open.push(tag.split(' ').next().unwrap().to_owned()),
        }
    }
    open
}

#[test]
fn stages_are_listed_and_shown() {
    let project = Project::new();
    let list = project.run(&["stages"]).ok().stdout;
    for name in ["read", "write", "aggregator", "bert", "tokenizer"] {
        let lines = list
            .lines()
            .filter(|line| line.split(' ').next() == Some(name));
        assert_eq!(lines.count(), 1, "{name}\n{list}");
    }
    let bert = project.run(&["stages", "bert"]).ok().stdout;
    for part in [
        "\ncan be cut into segments with `split`\n",
        "\n  with.model (path, required)\n",
        "\n  with.layers (string, default \"..\")\n",
    ] {
        assert!(bert.contains(part), "{bert}");
    }
    let tokenizer = project.run(&["stages", "tokenizer"]).ok().stdout;
    let part =
        "with.truncation (\"head\" | \"tail\" | \"head+tail\" | \"windows\", default \"head\")";
    assert!(tokenizer.contains(part), "{tokenizer}");
    let aggregator = project.run(&["stages", "aggregator"]).ok().stdout;
    assert!(
        aggregator.contains("\nexample, with {}\n  in   {"),
        "{aggregator}"
    );
    let text = project.run(&["stages", "berrt"]).failed(2);
    let expected = "error[unknown-plugin]: there is no plugin `berrt`\nhelp: did you mean `bert`?\nhelp: looked in SEGUE_PLUGIN_PATH";
    assert!(text.starts_with(expected), "{text}");
}
