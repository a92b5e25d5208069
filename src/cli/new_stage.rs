//! `segue new-stage`: a project for a plugin, which builds and runs as it is.

mod packages;

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::{Failed, Lang, Outcome, answer};
use segue::diagnostic::{Diagnostic, Sources};
use segue::plugins::library_file;

/// `segue new-stage`
#[derive(Args)]
pub struct NewStageArgs {
    /// The operator's name, such as `mean-pool`; also the folder's
    name: String,
    /// The language to write it in
    #[arg(long, value_enum, default_value_t = Lang::Rust)]
    lang: Lang,
    /// What it is to be
    #[arg(long, value_enum, default_value_t = Kind::Stage)]
    kind: Kind,
}

/// What a new plugin is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// One that changes the rows that pass it
    Stage,
    /// One that scores what a search proposes, in Rust
    Evaluator,
    /// A search of its own, in Rust
    Search,
}

const HEADER: &str = include_str!("../../plugins/api/segue.h");
const C_SOURCE: &str = include_str!("../../plugins/word-count/word_count.c");
const MAKEFILE: &str = include_str!("new_stage/Makefile");
const MANIFEST: &str = include_str!("new_stage/Cargo.toml.in");
const RUST_SOURCE: &str = include_str!("new_stage/lib.rs.in");
const EVALUATOR_SOURCE: &str = include_str!("new_stage/evaluator.rs.in");
const SEARCH_SOURCE: &str = include_str!("new_stage/search.rs.in");
/// What is built in, and what the SDK is called within a project.
const TAKEN: [&str; 3] = ["read", "write", "plugin"];
const GRAPH: &str = include_str!("new_stage/graph.toml");
const EVALUATOR_GRAPH: &str = include_str!("new_stage/evaluator.toml");
const SEARCH_GRAPH: &str = include_str!("new_stage/search.toml");
const TEXTS: &str = include_str!("new_stage/texts.csv");

/// Makes the project.
pub fn new_stage(arguments: &NewStageArgs) -> Outcome {
    let name = Name::parse(&arguments.name)?;
    let folder = Path::new(&arguments.name);
    if folder.exists() {
        let error = Diagnostic::new("exists", format!("`{}` is there already", folder.display()));
        return Err(wrong(error.help("choose another name, or remove it")));
    }
    if arguments.kind != Kind::Stage && arguments.lang == Lang::C {
        let error = Diagnostic::new("bad-kind", "in C there is a template of a stage alone");
        return Err(wrong(error.help("leave out `--lang c`")));
    }
    for (path, text) in files(&name, arguments.lang, arguments.kind) {
        write(&folder.join(path), &text)?;
    }
    let build = match arguments.lang {
        Lang::Rust => "cargo build --release",
        Lang::C => "make",
    };
    answer(&format!(
        "cd {}\n{build}\nsegue run graph.toml\n",
        arguments.name
    ))
}

fn files(name: &Name, lang: Lang, kind: Kind) -> Vec<(PathBuf, String)> {
    let library = library_file(&name.kebab);
    let (mut sources, library) = match lang {
        Lang::C => (in_c(name, &library), library),
        Lang::Rust => (in_rust(name, kind), format!("target/release/{library}")),
    };
    let graph = match kind {
        Kind::Stage => GRAPH,
        Kind::Evaluator => EVALUATOR_GRAPH,
        Kind::Search => SEARCH_GRAPH,
    };
    let graph = name.put(graph).replace("LIBRARY", &library);
    sources.push(("graph.toml".into(), graph));
    if kind == Kind::Stage {
        sources.push(("texts.csv".into(), TEXTS.to_owned()));
    }
    sources
}

fn in_c(name: &Name, library: &str) -> Vec<(PathBuf, String)> {
    let source = format!("{}.c", name.snake);
    let makefile = name.put(MAKEFILE).replace("LIBRARY", library);
    vec![
        (source.into(), name.put(C_SOURCE)),
        ("segue.h".into(), HEADER.to_owned()),
        ("Makefile".into(), makefile),
    ]
}

fn in_rust(name: &Name, kind: Kind) -> Vec<(PathBuf, String)> {
    let source = match kind {
        Kind::Stage => RUST_SOURCE,
        Kind::Evaluator => EVALUATOR_SOURCE,
        Kind::Search => SEARCH_SOURCE,
    };
    let mut manifest = name.put(MANIFEST);
    let mut sources = packages::sdk();
    if kind != Kind::Stage {
        let sdk = "segue-plugin = {";
        let candidates = "segue-candidates = { path = \"segue-candidates\" }\n";
        manifest = manifest.replace(sdk, &format!("{candidates}{sdk}"));
        sources.extend(packages::candidates());
    }
    sources.extend([
        ("Cargo.toml".into(), manifest),
        ("Cargo.lock".into(), packages::LOCK.to_owned()),
        ("src/lib.rs".into(), name.put(source)),
        (".gitignore".into(), "/target\n".to_owned()),
    ]);
    sources
}

fn write(path: &Path, text: &str) -> Outcome {
    let folder = path.parent().unwrap_or(Path::new("."));
    let written = std::fs::create_dir_all(folder).and_then(|()| std::fs::write(path, text));
    written.map_err(|e| {
        let message = format!("cannot write `{}`: {e}", path.display());
        Failed::Running(Diagnostic::new("write-failed", message).render(&Sources::new()))
    })
}

fn wrong(error: Diagnostic) -> Failed {
    Failed::Wrong(error.render(&Sources::new()))
}

/// An operator's name as files and languages spell it. No template uses it alone as the name
/// of anything in a language: an operator may be called `int` or `self`.
struct Name {
    kebab: String,
    snake: String,
    camel: String,
}

impl Name {
    fn parse(text: &str) -> Result<Self, Failed> {
        let fine = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_lowercase())
                && part
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        };
        if !text.split('-').all(fine) || TAKEN.contains(&text) {
            let error = Diagnostic::new("bad-name", format!("`{text}` cannot name an operator"));
            let help = if TAKEN.contains(&text) {
                "it is the name of something else here: choose another"
            } else {
                "use lower case words joined by `-`, such as `mean-pool`"
            };
            return Err(wrong(error.help(help)));
        }
        let capital = |part: &str| part[..1].to_uppercase() + &part[1..];
        Ok(Name {
            kebab: text.to_owned(),
            snake: text.replace('-', "_"),
            camel: text.split('-').map(capital).collect(),
        })
    }

    /// A template with this name in place of that of the example.
    fn put(&self, template: &str) -> String {
        (template.replace("word-count", &self.kebab))
            .replace("word_count", &self.snake)
            .replace("WordCount", &self.camel)
    }
}
