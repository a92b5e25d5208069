//! The packages that go into each project, so that it builds wherever it is taken to.

use std::path::{Path, PathBuf};

/// The versions this program was built with; cargo drops what is not used.
pub const LOCK: &str = include_str!("../../../Cargo.lock");
const WORKSPACE: &str = include_str!("../../../Cargo.toml");

/// A file's name and its text.
type File = (&'static str, &'static str);

/// Lists files of a folder of `plugins`, each with its text.
macro_rules! package {
    ($folder:literal: $($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("../../../plugins/", $folder, "/", $name)))),+]
    };
}

/// What every plugin is made with.
const SDK: [File; 15] = package![
    "api":
    "Cargo.toml",
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

/// What searches and evaluators share.
const CANDIDATES: [File; 16] = package![
    "candidates":
    "Cargo.toml",
    "src/adam.rs",
    "src/best.rs",
    "src/digest.rs",
    "src/given.rs",
    "src/lib.rs",
    "src/measure.rs",
    "src/random.rs",
    "src/rows.rs",
    "src/space/domain.rs",
    "src/space/error.rs",
    "src/space/grammar.rs",
    "src/space/mod.rs",
    "src/space/projection.rs",
    "src/space/weights.rs",
    "src/task.rs",
];

/// The SDK, in a folder of the project.
pub fn sdk() -> Vec<(PathBuf, String)> {
    placed("segue-plugin", &SDK)
}

/// The library of candidates, likewise.
pub fn candidates() -> Vec<(PathBuf, String)> {
    placed("segue-candidates", &CANDIDATES)
}

fn placed(folder: &str, files: &[File]) -> Vec<(PathBuf, String)> {
    let place = |(name, text): &File| {
        let text = match *name {
            "Cargo.toml" => standalone(text, WORKSPACE),
            _ => (*text).to_owned(),
        };
        (Path::new(folder).join(name), text)
    };
    files.iter().map(place).collect()
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
        // The SDK lies beside whoever needs it.
        let found = match key {
            Some("segue-plugin") => Some("segue-plugin = { path = \"../segue-plugin\" }"),
            _ => found,
        };
        text += found.unwrap_or(line);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sources of a folder of `plugins`, by name.
    fn sources(package: &str) -> Vec<String> {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../plugins")
            .join(package);
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
        names
    }

    #[test]
    fn packages_go_along_whole() {
        for (package, files) in [("api", &SDK[..]), ("candidates", &CANDIDATES)] {
            let listed = files.iter().map(|(name, _)| *name);
            let listed = listed.filter(|name| name.starts_with("src/"));
            assert_eq!(sources(package), listed.collect::<Vec<_>>(), "{package}");
        }
    }

    #[test]
    fn their_manifests_inherit_nothing() {
        for files in [sdk(), candidates()] {
            let (_, text) = &files[0];
            assert!(!text.contains("workspace"), "{text}");
            assert!(text.contains("\nedition = \"2024\"\n"), "{text}");
        }
        assert!(sdk()[0].1.contains("\narrow-array = { version = "));
        let beside = "\nsegue-plugin = { path = \"../segue-plugin\" }\n";
        assert!(candidates()[0].1.contains(beside));
    }
}
