//! `segue new-stage`: a project for a plugin, which builds and runs as it is.

use std::path::{Path, PathBuf};

use clap::Args;

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
}

const HEADER: &str = include_str!("../../plugins/api/segue.h");
const C_SOURCE: &str = include_str!("../../plugins/word-count/word_count.c");
const MAKEFILE: &str = include_str!("new_stage/Makefile");
const MANIFEST: &str = include_str!("new_stage/Cargo.toml.in");
const LOCK: &str = include_str!("../../Cargo.lock");
const WORKSPACE: &str = include_str!("../../Cargo.toml");
const SDK_MANIFEST: &str = include_str!("../../plugins/api/Cargo.toml");
/// Lists the SDK's files, each with its text.
macro_rules! sdk {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("../../plugins/api/", $name)))),+]
    };
}
/// The SDK, which goes into each project, so that it builds wherever it is taken to.
const SDK: [(&str, &str); 14] = sdk![
    "segue.h",
    "src/batch.rs",
    "src/columns.rs",
    "src/error.rs",
    "src/example.rs",
    "src/ffi.rs",
    "src/ffi/guard.rs",
    "src/ffi/types.rs",
    "src/host.rs",
    "src/import.rs",
    "src/lib.rs",
    "src/manifest.rs",
    "src/shape.rs",
    "src/stage.rs",
];
const RUST_SOURCE: &str = include_str!("new_stage/lib.rs.in");
/// What is built in, and what the SDK is called within a project.
const TAKEN: [&str; 3] = ["read", "write", "plugin"];
const GRAPH: &str = include_str!("new_stage/graph.toml");
const TEXTS: &str = include_str!("new_stage/texts.csv");

/// Makes the project.
pub fn new_stage(arguments: &NewStageArgs) -> Outcome {
    let name = Name::parse(&arguments.name)?;
    let folder = Path::new(&arguments.name);
    if folder.exists() {
        let error = Diagnostic::new("exists", format!("`{}` is there already", folder.display()));
        return Err(wrong(error.help("choose another name, or remove it")));
    }
    for (path, text) in files(&name, arguments.lang) {
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

fn files(name: &Name, lang: Lang) -> Vec<(PathBuf, String)> {
    let library = library_file(&name.kebab);
    let (sources, library) = match lang {
        Lang::C => {
            let source = format!("{}.c", name.snake);
            let sources = vec![
                (PathBuf::from(source), name.put(C_SOURCE)),
                ("segue.h".into(), HEADER.to_owned()),
                (
                    "Makefile".into(),
                    name.put(MAKEFILE).replace("LIBRARY", &library),
                ),
            ];
            (sources, library)
        }
        Lang::Rust => {
            let sdk =
                SDK.map(|(path, text)| (Path::new("segue-plugin").join(path), text.to_owned()));
            let mut sources = vec![
                ("Cargo.toml".into(), name.put(MANIFEST)),
                (
                    "segue-plugin/Cargo.toml".into(),
                    standalone(SDK_MANIFEST, WORKSPACE),
                ),
                // The versions this program was built with; cargo drops what is not used.
                ("Cargo.lock".into(), LOCK.to_owned()),
                ("src/lib.rs".into(), name.put(RUST_SOURCE)),
                (".gitignore".into(), "/target\n".to_owned()),
            ];
            sources.extend(sdk);
            (sources, format!("target/release/{library}"))
        }
    };
    let common = [
        (
            "graph.toml".into(),
            name.put(GRAPH).replace("LIBRARY", &library),
        ),
        ("texts.csv".into(), TEXTS.to_owned()),
    ];
    sources.into_iter().chain(common).collect()
}

/// The manifest of a member of `workspace` as it stands by itself: what it inherits is
/// put in its place.
fn standalone(manifest: &str, workspace: &str) -> String {
    let inherited = |section: &str, key: &str| {
        let (_, after) = workspace.split_once(&format!("[workspace.{section}]\n"))?;
        let within = after.lines().take_while(|line| !line.starts_with('['));
        let key = format!("{key} = ");
        within.into_iter().find(|line| line.starts_with(&key))
    };
    let mut text = String::new();
    // The lints are the workspace's own.
    let lines = manifest.lines().take_while(|line| *line != "[lints]");
    for line in lines {
        let key = line.strip_suffix(".workspace = true");
        let found = key
            .and_then(|key| inherited("package", key).or_else(|| inherited("dependencies", key)));
        text += found.unwrap_or(line);
        text.push('\n');
    }
    text
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_sdk_goes_along() {
        let package = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/api");
        let mut names: Vec<String> = Vec::new();
        let mut folders = vec!["src".to_owned()];
        while let Some(folder) = folders.pop() {
            for file in std::fs::read_dir(package.join(&folder)).unwrap() {
                let file = file.unwrap();
                let name = format!("{folder}/{}", file.file_name().to_str().unwrap());
                if file.file_type().unwrap().is_dir() {
                    folders.push(name)
                } else {
                    names.push(name)
                }
            }
        }
        names.sort();
        let listed = SDK
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| name.starts_with("src/"));
        assert_eq!(names, listed.collect::<Vec<_>>());
    }

    #[test]
    fn its_manifest_inherits_nothing() {
        let text = standalone(SDK_MANIFEST, WORKSPACE);
        assert!(!text.contains("workspace"), "{text}");
        assert!(text.contains("\nedition = \"2024\"\n"), "{text}");
        assert!(text.contains("\narrow-array = { version = "), "{text}");
    }
}
