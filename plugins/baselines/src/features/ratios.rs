//! How much features tell of a class.

use super::rows::Examples;

/// For each feature the logarithm of how much likelier it is in `class` than in the others, by the
/// sums of what its weights `count`, each with `smoothing` more.
///
/// # Source
/// Wang and Manning, Baselines and bigrams, ACL 2012, who smooth by 1
pub fn log_ratios(
    train: &Examples,
    class: u32,
    smoothing: f64,
    count: impl Fn(f32) -> f64,
) -> Vec<f32> {
    let mut sums = [0, 1].map(|_| vec![smoothing; train.rows.width()]);
    for (row, of) in train.rows.iter().zip(&train.classes) {
        let sum = &mut sums[usize::from(*of == class)];
        row.iter().for_each(|(id, x)| sum[id] += count(x));
    }
    let totals = [0, 1].map(|side: usize| sums[side].iter().sum::<f64>());
    let share = |side: usize, id: usize| sums[side][id] / totals[side];
    (0..train.rows.width())
        .map(|id| libm::log(share(1, id) / share(0, id)) as f32)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::rows::Rows;

    #[test]
    fn what_is_in_both_tells_nothing_and_more_smoothing_tells_less() {
        let mut rows = Rows::new(3);
        for text in [[(0, 0.5), (1, 0.5)], [(0, 0.5), (2, 0.5)]] {
            rows.push(text);
        }
        let classes = vec![1, 0];
        let train = Examples { rows, classes };
        let of = |smoothing| log_ratios(&train, 1, smoothing, |_| 1.0);
        let ratios = of(1.0);
        assert_eq!(ratios[0], 0.0);
        assert_eq!(ratios[1], std::f32::consts::LN_2);
        assert_eq!(ratios[2], -ratios[1]);
        assert!(of(10.0)[1] < ratios[1]);
    }
}
