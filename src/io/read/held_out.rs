//! Which records of a file are held out for validation.

use std::collections::HashMap;

use arrow_array::{Array, RecordBatch};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{ArrowError, Schema};
use rand::Rng;
use rand::seq::SliceRandom;

use super::columns;
use crate::diagnostic::Diagnostic;
use crate::io::ReadOptions;

/// The column that numbers records, so that no two have the same.
const NUMBER: &str = "review";

/// `count` numbers, of which `held_out` are drawn: those left, and those drawn, both in order.
pub fn some_of(count: usize, held_out: usize, random: &mut impl Rng) -> [Vec<usize>; 2] {
    let mut left: Vec<usize> = (0..count).collect();
    left.shuffle(random);
    let mut drawn = left.split_off(count - held_out);
    left.sort_unstable();
    drawn.sort_unstable();
    [left, drawn]
}

/// The same of whole `groups`, as many of them in a random order as together have no more than
/// `held_out` numbers. `None` if no group is so small, or if none would be left.
pub fn some_groups(
    mut groups: Vec<Vec<usize>>,
    held_out: usize,
    random: &mut impl Rng,
) -> Option<[Vec<usize>; 2]> {
    groups.shuffle(random);
    let mut found = [Vec::new(), Vec::new()];
    for group in groups {
        let fits = found[1].len() + group.len() <= held_out;
        found[usize::from(fits)].extend(group);
    }
    for numbers in &mut found {
        numbers.sort_unstable();
    }
    (found.iter().all(|numbers| !numbers.is_empty())).then_some(found)
}

/// Checks that there is a column of the file that `hold-out-by` names, if it names one.
///
/// # Errors
/// `missing-column`
pub fn check(schema: &Schema, options: &ReadOptions) -> Result<(), Diagnostic> {
    let epochs = options.epochs.as_ref();
    let Some(by) = epochs.and_then(|epochs| epochs.hold_out_by.as_ref()) else {
        return Ok(());
    };
    let names: Vec<String> = (schema.fields().iter())
        .map(|field| field.name().clone())
        .filter(|name| name != NUMBER)
        .collect();
    columns::find(&names, by, "hold-out-by", options).map(drop)
}

/// The numbers of records, counted through `chunks`, that have the same in the column at `at`,
/// in the order in which they come. A record that has nothing there is a group of its own.
pub fn groups(chunks: &[RecordBatch], at: usize) -> Result<Vec<Vec<usize>>, ArrowError> {
    let mut groups: Vec<Vec<usize>> = Vec::new();
    let mut known: HashMap<String, usize> = HashMap::new();
    let format = FormatOptions::new();
    let mut number = 0;
    for chunk in chunks {
        let column = chunk.column(at);
        let values = ArrayFormatter::try_new(column, &format)?;
        for row in 0..chunk.num_rows() {
            let value = if column.is_null(row) {
                String::new()
            } else {
                values.value(row).try_to_string()?
            };
            let new = groups.len();
            let group = if value.is_empty() {
                new
            } else {
                *known.entry(value).or_insert(new)
            };
            if group == new {
                groups.push(Vec::new());
            }
            groups[group].push(number);
            number += 1;
        }
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::Xoshiro256PlusPlus;

    use super::*;

    #[test]
    fn whole_groups_are_held_out() {
        let groups = vec![vec![0, 3, 4], vec![1], vec![2, 5], vec![6, 7, 8, 9]];
        for seed in 0..20 {
            let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
            let [left, drawn] = some_groups(groups.clone(), 3, &mut random).unwrap();
            assert!(!drawn.is_empty() && drawn.len() <= 3 && drawn.is_sorted());
            for group in &groups {
                let held_out = group.iter().filter(|number| drawn.contains(number)).count();
                assert!(held_out == 0 || held_out == group.len(), "{drawn:?}");
            }
            let mut all = [left, drawn].concat();
            all.sort_unstable();
            assert_eq!(all, (0..10).collect::<Vec<_>>());
        }
    }

    #[test]
    fn groups_that_are_too_large_or_all_there_is_are_not() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
        assert!(some_groups(vec![vec![0, 1], vec![2, 3]], 1, &mut random).is_none());
        assert!(some_groups(vec![vec![0], vec![1]], 2, &mut random).is_none());
    }
}
