//! Some of many rows, evenly spaced.

/// `count` of `rows`, evenly spaced; all where there are no more.
pub fn evenly(rows: &[usize], count: usize) -> Vec<usize> {
    let count = count.min(rows.len());
    let before = |at: usize| at * count / rows.len();
    let kept = |at: &usize| before(at + 1) > before(*at);
    (0..rows.len()).filter(kept).map(|at| rows[at]).collect()
}

/// How many of `count` rows a share of the full effort gets, from 0 to 1.
pub fn at_effort(count: usize, effort: f64) -> usize {
    // A third of 300 is 100, whatever a third is in binary.
    (count as f64 * effort + 1e-6) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_evenly_spaced() {
        let rows: Vec<usize> = (10..19).collect();
        assert_eq!(evenly(&rows, 9), rows);
        assert_eq!(evenly(&rows, 20), rows);
        assert_eq!(evenly(&rows, 3), [12, 15, 18]);
        assert_eq!(evenly(&rows, 0), [0_usize; 0]);
        assert_eq!(evenly(&[], 3), [0_usize; 0]);
    }

    #[test]
    fn as_many_as_were_asked_for() {
        for len in 1..200 {
            let rows: Vec<usize> = (0..len).collect();
            for count in 0..=len {
                assert_eq!(evenly(&rows, count).len(), count, "{count} of {len}");
            }
        }
        assert_eq!(at_effort(1350, 1.0 / 9.0), 150);
        assert_eq!(at_effort(2, 1.0 / 3.0), 0);
    }
}
