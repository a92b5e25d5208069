//! What to keep under a limit: one of several choices for each part of a model.

/// One way to have a part.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// Seconds, or whatever the limit is in; above 0.
    pub cost: f64,
    /// What is lost by it.
    pub loss: f64,
}

/// Costs are rounded up to so many parts of the limit: 8 parts waste at most 0.1 % of it.
const STEPS: usize = 8192;

/// Of each list one choice, so that the costs sum up to at most `limit` and the losses to as
/// little as can be; `None` when even the cheapest cost more.
///
/// # Source
/// The knapsack with classes, by dynamic programming, as ZipLM chooses (Kurtic et al.,
/// arXiv:2302.04089, section 3.2)
pub fn choose(lists: &[Vec<Choice>], limit: f64) -> Option<Vec<usize>> {
    let steps = |cost: f64| (cost / limit * STEPS as f64).ceil() as usize;
    // The least loss with so many steps, and which choice of each list it takes.
    let mut best = vec![f64::INFINITY; STEPS + 1];
    best[0] = 0.0;
    let mut taken: Vec<Vec<u32>> = Vec::new();
    for list in lists {
        let mut next = vec![f64::INFINITY; STEPS + 1];
        let mut which = vec![u32::MAX; STEPS + 1];
        for (number, choice) in (0..).zip(list) {
            let cost = steps(choice.cost);
            for used in cost..=STEPS {
                let loss = best[used - cost] + choice.loss;
                if loss < next[used] {
                    (next[used], which[used]) = (loss, number);
                }
            }
        }
        best = next;
        taken.push(which);
    }
    let end = (0..=STEPS).min_by(|a, b| best[*a].total_cmp(&best[*b]))?;
    if !best[end].is_finite() {
        return None;
    }
    let mut left = end;
    let mut chosen = Vec::new();
    for (list, which) in lists.iter().zip(&taken).rev() {
        let number = which[left] as usize;
        left -= steps(list[number].cost);
        chosen.push(number);
    }
    chosen.reverse();
    Some(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(choices: &[(f64, f64)]) -> Vec<Choice> {
        let choice = |(cost, loss): &(f64, f64)| Choice {
            cost: *cost,
            loss: *loss,
        };
        choices.iter().map(choice).collect()
    }

    #[test]
    fn no_other_choice_under_the_limit_loses_less() {
        let lists = [
            list(&[(1.0, 9.0), (2.0, 4.0), (4.0, 0.0)]),
            list(&[(1.0, 1.0), (3.0, 0.5)]),
            list(&[(0.5, 3.0), (2.5, 0.25), (5.0, 0.0)]),
        ];
        for limit in [2.6, 4.0, 5.6, 7.6, 9.1, 20.0] {
            let loss = |chosen: &[usize]| -> f64 {
                lists
                    .iter()
                    .zip(chosen)
                    .map(|(list, at)| list[*at].loss)
                    .sum()
            };
            let mut least = f64::INFINITY;
            for a in 0..3 {
                for b in 0..2 {
                    for c in 0..3 {
                        let chosen = [a, b, c];
                        let costs = lists.iter().zip(chosen).map(|(list, at)| list[at].cost);
                        if costs.sum::<f64>() <= limit {
                            least = least.min(loss(&chosen));
                        }
                    }
                }
            }
            assert_eq!(loss(&choose(&lists, limit).unwrap()), least, "{limit}");
        }
        assert_eq!(choose(&lists, 2.4), None);
    }
}
