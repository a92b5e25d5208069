//! Several files by one pattern.

use std::path::{Path, PathBuf};

use super::batch::{Columns, Kind};
use super::records::{Cell, Row};
use super::source::{Opened, Record, Records};
use crate::diagnostic::Diagnostic;
use crate::io::ReadOptions;

/// The files that `path` names: itself, or those that it is a pattern of (`*`, `?`, `[...]`,
/// `**`), in natural order: `part-2.csv` before `part-10.csv`. None where nothing fits the
/// pattern.
pub fn files(path: &Path) -> Vec<PathBuf> {
    let Some(pattern) = pattern(path) else {
        return vec![path.to_owned()];
    };
    let found = glob::glob(&pattern).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = found.filter(|path| path.is_file()).collect();
    found.sort_by_cached_key(|path| natural(&path.to_string_lossy()));
    found
}

/// Whether `path` is a pattern that fits `other`, which need not exist.
pub fn fits(path: &Path, other: &Path) -> bool {
    let pattern = pattern(path).and_then(|pattern| glob::Pattern::new(&pattern).ok());
    let options = glob::MatchOptions {
        require_literal_separator: true,
        ..glob::MatchOptions::default()
    };
    pattern.is_some_and(|pattern| pattern.matches_path_with(other, options))
}

/// `path` where it is a pattern and not the name of a file.
fn pattern(path: &Path) -> Option<String> {
    let text = path.to_str()?;
    (text.contains(['*', '?', '[']) && !path.exists()).then(|| text.to_owned())
}

/// Texts, and numbers by their value.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Piece {
    /// A number without its leading zeros: the longer is the larger.
    Number(usize, String),
    Text(String),
}

fn natural(name: &str) -> (Vec<Piece>, String) {
    let mut pieces = Vec::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let digit = first.is_ascii_digit();
        let end = rest
            .find(|c: char| c.is_ascii_digit() != digit)
            .unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        let number = piece.trim_start_matches('0');
        pieces.push(if digit {
            Piece::Number(number.len(), number.to_owned())
        } else {
            Piece::Text(piece.to_owned())
        });
        rest = after;
    }
    (pieces, name.to_owned())
}

/// Opens one file.
type Open = fn(&ReadOptions) -> Result<Opened, Diagnostic>;

/// The records of several files, one after the other.
struct Files {
    paths: Vec<PathBuf>,
    options: ReadOptions,
    open: Open,
    columns: Vec<(String, Kind)>,
    /// The file being read, if it is open.
    current: Option<Current>,
    /// Its number, or that of the next.
    at: usize,
    total: Option<u64>,
    waiting: Vec<String>,
}

struct Current {
    records: Box<dyn Records>,
    /// Where each column of the source stands in this file.
    places: Vec<Option<usize>>,
}

/// Opens `paths`, each as `options` say. A column that a file lacks is null in its records; one
/// that has different types is text.
///
/// # Errors
/// Those of each file
pub fn open(paths: Vec<PathBuf>, options: &ReadOptions, open: Open) -> Result<Opened, Diagnostic> {
    let mut columns: Vec<(String, Kind)> = Vec::new();
    let (mut truth, mut total, mut notes) = (false, Some(0), Vec::new());
    for path in &paths {
        let opened = open(&of(options, path))?;
        truth |= opened.columns.truth();
        for (name, kind) in opened.columns.others() {
            match columns.iter_mut().find(|(known, _)| known == name) {
                Some((_, known)) => *known = known.with(*kind),
                None => columns.push((name.clone(), *kind)),
            }
        }
        let of_file = opened.records.total();
        total = total.and_then(|sum: u64| Some(sum + of_file?));
        notes.extend(opened.notes);
    }
    let files = Files {
        paths,
        options: options.clone(),
        open,
        columns: columns.clone(),
        current: None,
        at: 0,
        total,
        waiting: Vec::new(),
    };
    Ok(Opened {
        path: PathBuf::new(),
        records: Box::new(files),
        columns: Columns::new(truth, columns),
        notes,
    })
}

fn of(options: &ReadOptions, path: &Path) -> ReadOptions {
    ReadOptions {
        path: path.to_owned(),
        ..options.clone()
    }
}

impl Files {
    /// The file that is being read; `None` behind the last.
    fn current(&mut self) -> Result<Option<&mut Current>, Diagnostic> {
        if self.current.is_none() && self.at < self.paths.len() {
            let opened = (self.open)(&of(&self.options, &self.paths[self.at]))?;
            let place = |name: &String| {
                opened
                    .columns
                    .others()
                    .iter()
                    .position(|(known, _)| known == name)
            };
            self.current = Some(Current {
                places: self.columns.iter().map(|(name, _)| place(name)).collect(),
                records: opened.records,
            });
        }
        Ok(self.current.as_mut())
    }

    fn close(&mut self) {
        self.note();
        self.current = None;
        self.at += 1;
    }

    fn note(&mut self) {
        if let (Some(current), Some(path)) = (&mut self.current, self.paths.get(self.at)) {
            let notes = current.records.notes().into_iter();
            self.waiting
                .extend(notes.map(|note| format!("`{}`, {note}", path.display())));
        }
    }
}

impl Records for Files {
    fn next(&mut self) -> Result<Option<Record>, Diagnostic> {
        loop {
            if self.current()?.is_none() {
                return Ok(None);
            }
            let Some(current) = &mut self.current else {
                return Ok(None);
            };
            let Some(record) = current.records.next()? else {
                self.close();
                continue;
            };
            let row = match record.row {
                Ok(row) => Ok(arranged(row, &current.places, &self.columns)),
                Err(mut fault) => {
                    let path = self.paths[self.at].display();
                    fault.reason = format!("in `{path}`: {}", fault.reason);
                    Err(fault)
                }
            };
            return Ok(Some(Record { row, ..record }));
        }
    }

    fn skip(&mut self, records: u64) -> Result<u64, Diagnostic> {
        let mut passed = 0;
        while passed < records {
            let Some(current) = self.current()? else {
                break;
            };
            passed += current.records.skip(records - passed)?;
            if passed < records {
                self.close();
            }
        }
        Ok(passed)
    }

    fn total(&self) -> Option<u64> {
        self.total
    }

    fn progress(&self) -> Option<f64> {
        let within = self
            .current
            .as_ref()
            .and_then(|current| current.records.progress());
        Some((self.at as f64 + within.unwrap_or(0.0)) / self.paths.len().max(1) as f64)
    }

    fn notes(&mut self) -> Vec<String> {
        self.note();
        std::mem::take(&mut self.waiting)
    }
}

/// A row of one file under the columns of all.
fn arranged(mut row: Row, places: &[Option<usize>], columns: &[(String, Kind)]) -> Row {
    let cell = |(place, (_, kind)): (&Option<usize>, &(String, Kind))| {
        let cell = place.and_then(|place| row.others.get_mut(place));
        cell.map_or(Cell::Null, |cell| {
            std::mem::replace(cell, Cell::Null).into_kind(*kind)
        })
    };
    let others = places.iter().zip(columns).map(cell).collect();
    Row { others, ..row }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_people() {
        let mut names = [
            "b-10.csv", "b-2.csv", "a-30.csv", "b-02.csv", "b.csv", "b-1x.csv",
        ];
        names.sort_by_cached_key(|name| natural(name));
        assert_eq!(
            names,
            [
                "a-30.csv", "b-1x.csv", "b-02.csv", "b-2.csv", "b-10.csv", "b.csv"
            ]
        );
    }

    #[test]
    fn a_pattern_fits_within_its_folder() {
        let fits = |path: &str, other: &str| super::fits(Path::new(path), Path::new(other));
        assert!(fits("no-such/*.jsonl", "no-such/out.jsonl"));
        assert!(!fits("no-such/*.jsonl", "no-such/deep/out.jsonl"));
        assert!(!fits("no-such/out.jsonl", "no-such/out.jsonl"));
    }
}
