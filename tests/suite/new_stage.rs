//! A new plugin project builds, passes its own test, and runs as it is.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use crate::harness::{Project, ROOT, beside_this};

/// Words that C or Rust or the SDK have for themselves.
const THEIRS: [&str; 5] = ["int", "self", "output", "batch", "stage"];

/// What `my-count` gives for the texts of its project, words of one letter left out.
fn words() -> Vec<Value> {
    [5, 3, 3].map(|words| json!(words)).to_vec()
}

fn counted(project: &Project) -> Vec<Value> {
    let rows = project.lines("my-count/out.jsonl");
    rows.iter().map(|row| row["words"].clone()).collect()
}

#[test]
fn a_stage_in_c() {
    let project = Project::new();
    let ran = project.run(&["new-stage", "my-count", "--lang", "c"]).ok();
    assert_eq!(ran.stdout, "cd my-count\nmake\nsegue run graph.toml\n");
    let mut make = Command::new("make");
    make.args(["-C", "my-count"]);
    let ran = project.program(make);
    assert!(!ran.stderr.contains("warning"), "{ran}");
    project.run(&["check", "my-count/graph.toml"]).ok();
    project.run(&["run", "my-count/graph.toml"]).ok();
    assert_eq!(counted(&project), words());
    let page = project
        .command(&["stages", "my-count"])
        .env("SEGUE_PLUGIN_PATH", project.path("my-count"))
        .output()
        .unwrap();
    let page = String::from_utf8(page.stdout).unwrap();
    assert!(page.starts_with("my-count 1.0.0\n"), "{page}");
}

#[test]
fn stages_in_c_with_names_that_the_language_has() {
    for name in THEIRS {
        let project = Project::new();
        project.run(&["new-stage", name, "--lang", "c"]).ok();
        let mut make = Command::new("make");
        make.args(["-C", name]);
        let ran = project.program(make);
        assert!(!ran.stderr.contains("warning"), "{ran}");
        project.run(&["run", &format!("{name}/graph.toml")]).ok();
        let rows = project.lines(&format!("{name}/out.jsonl"));
        assert_eq!(rows.len(), words().len(), "{name}");
    }
}

/// A target folder within this project's own, so that a second run has little to do.
fn target() -> PathBuf {
    let release = beside_this("").parent().unwrap().to_owned();
    release.ancestors().nth(1).unwrap().join("new-stage")
}

/// Cargo in the new project, without network if that is possible.
fn cargo(project: &Project, name: &str, arguments: &[&str]) {
    // One at a time: documentation tests run when cargo has unlocked the folder already.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let command = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO"));
        command.args(arguments).args(more);
        command.args(["--manifest-path", &format!("{name}/Cargo.toml")]);
        command.env("CARGO_TARGET_DIR", target());
        // What cargo sets for this test must not change what is built.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("CARGO_PKG") || name.starts_with("CARGO_MANIFEST") {
                command.env_remove(&*name);
            }
        }
        command
    };
    let offline = project.prepare(command(&["--offline"])).output().unwrap();
    if !offline.status.success() {
        project.program(command(&[]));
    }
}

#[test]
fn a_stage_in_rust() {
    let project = Project::new();
    let ran = project.run(&["new-stage", "my-count"]).ok();
    let expected = "cd my-count\ncargo build --release\nsegue run graph.toml\n";
    assert_eq!(ran.stdout, expected);
    cargo(&project, "my-count", &["build", "--release"]);
    let library = "release/libsegue_my_count.so";
    let built = std::fs::read(target().join(library)).unwrap();
    project.write(&format!("my-count/target/{library}"), built);
    project.run(&["run", "my-count/graph.toml"]).ok();
    assert_eq!(counted(&project), words());
    cargo(&project, "my-count", &["test", "--release", "--quiet"]);
    let tested = project
        .run(&["test", &format!("my-count/target/{library}")])
        .ok();
    assert_eq!(tested.stdout, "`my-count`: its example holds\n");
}

/// Each beside what ships: a search beside the function, an evaluator beside the swarm.
#[test]
fn searches_and_evaluators_in_rust() {
    for (kind, name) in [("search", "my-search"), ("evaluator", "my-score")] {
        let project = Project::new();
        let made = project.run(&["new-stage", name, "--kind", kind]).ok();
        assert!(made.stdout.contains("cargo build"), "{made}");
        cargo(&project, name, &["build", "--release"]);
        let library = format!("release/libsegue_{}.so", name.replace('-', "_"));
        let built = std::fs::read(target().join(&library)).unwrap();
        project.write(&format!("{name}/target/{library}"), built);
        let graph = format!("{name}/graph.toml");
        let mut found = Vec::new();
        for workers in ["1", "3"] {
            let out = format!("out-{workers}.jsonl");
            let set = format!("out.path={out}");
            let run = ["run", &graph, "--workers", workers, "--set", &set];
            project.run(&run).ok();
            found.push(project.read(&out));
        }
        assert_eq!(found[0], found[1], "{kind}");
        let best: Value = serde_json::from_str(&found[0]).unwrap();
        let (fitness, tried) = (best["best"].as_f64(), best["evaluations"].as_u64());
        assert!(fitness.is_some_and(|fitness| fitness < 10.0), "{best}");
        assert!(tried >= Some(60 * 20), "{best}");
        cargo(&project, name, &["test", "--release", "--quiet"]);
    }
    let project = Project::new();
    let refused = project.run(&["new-stage", "a", "--lang", "c", "--kind", "search"]);
    refused.failed_with(2, "bad-kind", &["a template of a stage alone"]);
}

#[test]
fn a_stage_in_rust_with_a_name_that_the_language_has() {
    // The SDK has this one too, and the language the next; one build does for both.
    for name in ["batch", "self"] {
        let project = Project::new();
        project.run(&["new-stage", name]).ok();
        cargo(&project, name, &["build", "--release"]);
        let library = target().join(format!("release/libsegue_{name}.so"));
        assert!(library.exists(), "{name}");
    }
}

/// Nothing in it is of the machine that it was made on.
#[test]
fn a_project_builds_wherever_it_is_taken_to() {
    for lang in ["rust", "c"] {
        let project = Project::new();
        project.run(&["new-stage", "my-count", "--lang", lang]).ok();
        let mut folders = vec![project.path("my-count")];
        let mut files = 0;
        while let Some(folder) = folders.pop() {
            for path in std::fs::read_dir(folder)
                .unwrap()
                .map(|entry| entry.unwrap().path())
            {
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                let here = project.path("");
                for place in [ROOT, here.to_str().unwrap()] {
                    assert!(!text.contains(place), "`{place}` in {}", path.display());
                }
                files += 1;
            }
        }
        assert!(files >= 5, "{files}");
    }
}

#[test]
fn a_name_that_cannot_be_one_is_refused() {
    for name in [
        "My-Count",
        "my_count",
        "-count",
        "my--count",
        "7up",
        "",
        "a/b",
        "..",
        "read",
        "plugin",
    ] {
        let project = Project::new();
        let ran = project.run(&["new-stage", "--", name]);
        let part = format!("`{name}` cannot name an operator");
        let help = match name {
            "read" | "plugin" => "help: it is the name of something else",
            _ => "help: use lower case words",
        };
        ran.failed_with(2, "bad-name", &[&part, help]);
        let left = std::fs::read_dir(project.path("")).unwrap().count();
        assert_eq!(left, 0, "{name}");
    }
}

#[test]
fn a_folder_that_is_there_stays_as_it_is() {
    for existing in ["my-count/notes.txt", "my-count"] {
        let project = Project::new().file(existing, "mine");
        let ran = project.run(&["new-stage", "my-count", "--lang", "c"]);
        ran.failed_with(2, "exists", &["`my-count` is there already"]);
        assert_eq!(project.read(existing), "mine");
        assert!(!Path::new(&project.path("my-count/Makefile")).exists());
    }
}
