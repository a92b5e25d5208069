//! Which files a device tells of.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Digest, Digests, File, text};
use crate::graph::{Plan, Role, Stage};

/// Folders in a folder that are looked into.
const DEPTH_MAX: usize = 2;
/// A folder with more files is told of as one.
const FILES_MAX: usize = 200;
/// What no stage reads of a model's folder, by its ending.
const NOT_READ: [&str; 12] = [
    "md", "h5", "msgpack", "ot", "png", "jpg", "log", "lock", "py", "key", "crt", "journal",
];

/// The files and libraries of the stages that run on `device`, and of others those that
/// they read too: so a tokenizer here and a model there are known to be of one folder.
pub fn files(plan: &Plan, device: usize, digests: &Digests) -> Vec<File> {
    let stages = &plan.graph.stages;
    let here: BTreeSet<&str> = (stages.iter().zip(&plan.replicas))
        .filter(|(_, replicas)| {
            let mut devices = replicas.iter().map(|one| plan.layout.device(one.worker));
            devices.any(|one| one == device)
        })
        .map(|(stage, _)| stage.file_name.as_str())
        .collect();
    let firsts = stages
        .iter()
        .filter(|stage| stage.segment.as_ref().is_none_or(|one| one.index == 0));
    let firsts = firsts.filter(|stage| stage.operator.role == Role::Transform);
    let firsts: Vec<&Stage> = firsts.collect();
    let runs = |stage: &Stage| here.contains(stage.file_name.as_str());
    let same = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let read_here: BTreeSet<PathBuf> = (firsts.iter())
        .filter(|stage| runs(stage))
        .flat_map(|stage| stage.reads().map(|(_, path)| same(path)))
        .collect();
    let own = own_files(stages);
    let mut files = Vec::new();
    for stage in firsts {
        let of = |option: Option<&str>, inside: String, path: &Path, content| File {
            stage: stage.file_name.clone(),
            option: option.map(str::to_owned),
            inside,
            path: text(path),
            runs: runs(stage),
            content,
        };
        for (option, path) in stage.reads() {
            if runs(stage) || read_here.contains(&same(path)) {
                let inside = contents(path, &own, digests).into_iter();
                let inside =
                    inside.map(|(name, path, content)| of(Some(option), name, &path, content));
                files.extend(inside);
            }
        }
        if let Some(library) = stage.operator.library.as_ref().filter(|_| runs(stage)) {
            let content = content(library, digests);
            files.push(of(None, String::new(), library, content));
        }
    }
    files
}

/// What the graph itself reads as data or writes: of no stage between.
fn own_files(stages: &[Stage]) -> BTreeSet<PathBuf> {
    let own = stages.iter().flat_map(Stage::own_files);
    own.filter_map(|(_, path)| path.canonicalize().ok())
        .collect()
}

type Content = Result<Digest, String>;

fn content(path: &Path, digests: &Digests) -> Content {
    digests.file(path).map_err(|error| error.to_string())
}

/// The file at `path`, or those of the folder there: each one's name in it, its path, and
/// what is in it.
fn contents(
    path: &Path,
    own: &BTreeSet<PathBuf>,
    digests: &Digests,
) -> Vec<(String, PathBuf, Content)> {
    if !path.is_dir() {
        return vec![(String::new(), path.to_owned(), content(path, digests))];
    }
    let mut found = Vec::new();
    list(path, DEPTH_MAX, &mut found);
    let not_own = |path: &PathBuf| path.canonicalize().is_ok_and(|path| !own.contains(&path));
    found.retain(not_own);
    found.sort();
    let named = found.into_iter().map(|file| {
        let name = text(file.strip_prefix(path).unwrap_or(&file));
        let content = content(&file, digests);
        (name, file, content)
    });
    let named: Vec<_> = named.collect();
    if named.len() <= FILES_MAX {
        return named;
    }
    let all = named
        .iter()
        .map(|(name, _, content)| format!("{name} {content:?}\n"));
    let all = Digest::of(all.collect::<String>().as_bytes());
    vec![(String::new(), path.to_owned(), Ok(all))]
}

/// The files of a folder that a stage may read. Where there are weights as safetensors,
/// the same ones in other formats are not.
fn list(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    let ending = |path: &Path| {
        let ending = path.extension().unwrap_or_default();
        ending.to_string_lossy().to_lowercase()
    };
    let safe = paths.iter().any(|path| ending(path) == "safetensors");
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let hidden = name.starts_with('.') || name.starts_with("LICENSE");
        if path.is_dir() {
            if depth > 0 && !hidden {
                list(&path, depth - 1, found);
            }
            continue;
        }
        let ending = ending(&path);
        let other_format = safe && matches!(ending.as_str(), "bin" | "pt" | "pth");
        if path.is_file() && !hidden && !other_format && !NOT_READ.contains(&ending.as_str()) {
            found.push(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_told_of_by_what_stages_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("onnx/deep/deeper")).unwrap();
        for name in [
            "config.json",
            "vocab.txt",
            "model.safetensors",
            "pytorch_model.bin",
            "README.md",
            ".gitattributes",
            "out.jsonl",
            "onnx/model.onnx",
            "onnx/deep/deeper/lost.json",
        ] {
            std::fs::write(at(name), name).unwrap();
        }
        let own = [at("out.jsonl").canonicalize().unwrap()].into();
        let digests = Digests::default();
        let found = contents(folder.path(), &own, &digests);
        let names: Vec<&str> = found.iter().map(|(name, ..)| name.as_str()).collect();
        let expected = [
            "config.json",
            "model.safetensors",
            "onnx/model.onnx",
            "vocab.txt",
        ];
        assert_eq!(names, expected);
        let alone = contents(&at("config.json"), &own, &digests);
        assert_eq!(alone[0].2, Ok(Digest::of(b"config.json")));
        for i in 0..FILES_MAX {
            std::fs::write(at(&format!("{i}.json")), "").unwrap();
        }
        assert_eq!(contents(folder.path(), &own, &digests).len(), 1);
    }
}
