//! What runs leave in their folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::harness::Project;

/// The names of all files of a folder, those in folders within it included.
pub fn names(project: &Project) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(project.path(&folder)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let name = match folder.as_str() {
                "" => name,
                folder => format!("{folder}/{name}"),
            };
            if entry.file_type().unwrap().is_dir() {
                folders.push(name)
            } else {
                names.insert(name);
            }
        }
    }
    names
}

/// The files that runs left, by name; without those that were there `before` and with
/// empty ones for those that no two runs write alike.
pub fn left(project: &Project, before: &BTreeSet<String>) -> BTreeMap<String, Vec<u8>> {
    let new = names(project).into_iter().filter(|name| {
        // What devices say, and keep to tell each other.
        let told = name.ends_with(".stderr") || name.ends_with(".done");
        !before.contains(name) && !told
    });
    let content = |name: String| {
        if name.ends_with(".journal") {
            (name, Vec::new())
        } else {
            (name.clone(), project.bytes(&name))
        }
    };
    new.map(content).collect()
}

/// How two folders differ.
#[derive(Debug, Default)]
pub struct Difference {
    /// The files that are others, missing or too many.
    pub files: Vec<String>,
    /// Rows that came too often.
    pub repeated: usize,
    /// Rows that came too seldom.
    pub lost: usize,
}

/// How `have` differs from `want`.
pub fn difference(
    want: &BTreeMap<String, Vec<u8>>,
    have: &BTreeMap<String, Vec<u8>>,
) -> Difference {
    let mut all = Difference::default();
    let names: BTreeSet<&String> = want.keys().chain(have.keys()).collect();
    for name in names
        .into_iter()
        .filter(|name| want.get(*name) != have.get(*name))
    {
        let what = match (want.get(name), have.get(name)) {
            (Some(want), Some(have)) => {
                format!(
                    "`{name}` has {} bytes, not the {} it should",
                    have.len(),
                    want.len()
                )
            }
            (Some(_), None) => format!("`{name}` is missing"),
            _ => format!("`{name}` is too many"),
        };
        all.files.push(what);
        let mut counts: BTreeMap<Vec<u8>, isize> = BTreeMap::new();
        for (files, by) in [(want, -1), (have, 1)] {
            for row in rows(name, files.get(name).map_or(&[], Vec::as_slice)) {
                *counts.entry(row).or_default() += by;
            }
        }
        for count in counts.into_values() {
            all.repeated += count.max(0).unsigned_abs();
            all.lost += count.min(0).unsigned_abs();
        }
    }
    all
}

/// The rows of a file, each as text; none of one that has no rows.
fn rows(name: &str, bytes: &[u8]) -> Vec<Vec<u8>> {
    let ending = Path::new(name).extension().unwrap_or_default();
    let lines = match ending.to_str() {
        Some("csv" | "jsonl") => bytes.to_vec(),
        Some("parquet") => parquet_rows(bytes).unwrap_or_default(),
        _ => Vec::new(),
    };
    let lines = lines.split_inclusive(|byte| *byte == b'\n');
    lines.map(<[u8]>::to_vec).collect()
}

/// As JSON Lines; `None` of a file that is torn.
fn parquet_rows(bytes: &[u8]) -> Option<Vec<u8>> {
    let file = Bytes::copy_from_slice(bytes);
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .ok()?
        .build()
        .ok()?;
    let mut writer = arrow_json::LineDelimitedWriter::new(Vec::new());
    for batch in reader {
        writer.write(&batch.ok()?).ok()?;
    }
    writer.finish().ok()?;
    Some(writer.into_inner())
}
