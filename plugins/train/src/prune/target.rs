//! How much is to go, and what that leaves of each layer.

use std::collections::BTreeMap;
use std::path::Path;

use segue_model::{LayerTimes, files};
use segue_plugin::{Error, Result};

use crate::config::ModelShape;
use crate::layer::LayerShape;
use crate::prune::search::{Choice, choose};
use crate::prune::units::{Kept, Scores};
use crate::prune::weights::part_of;

/// The tokens of the texts that a multiply-add counts for where no times were measured.
const TOKENS: usize = 200;

/// Inner sizes are multiples of it where they are chosen: what one step of a matrix product makes.
const UNITS: usize = 32;

/// Far more than any file of times has.
const TIMES_MAX: u64 = 1 << 20;

/// The costs of a model's layers: measured seconds from the file `times`, or else multiply-adds.
///
/// # Errors
/// `bad-times`, also where they are of a model of another width
pub fn costs(shape: &ModelShape, times: Option<&Path>) -> Result<LayerTimes> {
    let first = shape.layers[0];
    let most = |of: fn(&LayerShape) -> usize| shape.layers.iter().map(of).max();
    let Some(path) = times else {
        let heads = most(|layer| layer.heads).unwrap_or(1);
        let inner = most(|layer| layer.inner).unwrap_or(1);
        let sizes = (shape.hidden, heads, first.head_size);
        return Ok(LayerTimes::multiply_adds(sizes, inner, TOKENS));
    };
    let found = LayerTimes::parse(&files::read_text(path, TIMES_MAX)?)?;
    let (ours, theirs) = (
        (shape.hidden, first.head_size),
        (found.hidden, found.head_size),
    );
    if ours == theirs {
        Ok(found)
    } else {
        let message = format!(
            "`{}` has the times of hidden size {} and heads of {}, but the model has {} and {}",
            path.display(),
            theirs.0,
            theirs.1,
            ours.0,
            ours.1
        );
        Err(Error::new("bad-times", message))
    }
}

/// What a model of `shape` costs.
pub fn cost_of(shape: &ModelShape, costs: &LayerTimes) -> f64 {
    let last = shape.layers.len() - 1;
    let layer = |(at, layer): (usize, &LayerShape)| {
        costs.of_heads(layer.heads, at == last) + costs.of_inner(layer.inner, at == last)
    };
    costs.rest + shape.layers.iter().enumerate().map(layer).sum::<f64>()
}

/// The parts of heads and inner units that go, from 0 to below 1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parts {
    /// Where nothing else is said.
    pub amount: f64,
    /// Of every layer's heads.
    pub heads: Option<f64>,
    /// Of every layer's inner units.
    pub inner: Option<f64>,
    /// Of single layers, which counts before the others: by number, of heads and of inner units.
    pub layers: BTreeMap<usize, [Option<f64>; 2]>,
}

impl Parts {
    /// The same part of everything.
    pub fn all(amount: f64) -> Self {
        Parts {
            amount,
            ..Parts::default()
        }
    }

    /// Takes those of single layers out of `text`, such as `heads-0=0.5,inner-2=0.3`, and gives
    /// the rest of it.
    ///
    /// # Errors
    /// What is no part
    pub fn take_layers(&mut self, text: &str) -> Result<String, String> {
        let mut rest = Vec::new();
        for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
            let place = pair.split_once('=').and_then(|(name, value)| {
                let (half, layer) = name.trim().rsplit_once('-')?;
                let half = ["heads", "inner"].iter().position(|known| *known == half)?;
                Some((half, layer.parse::<usize>().ok()?, value.trim()))
            });
            let Some((half, layer, value)) = place else {
                rest.push(pair);
                continue;
            };
            let part = value.parse().ok().filter(|part| (0.0..1.0).contains(part));
            let wrong = || format!("`{}` is not from 0 to below 1", pair.trim());
            let own = &mut self.layers.entry(layer).or_default()[half];
            if own.replace(part.ok_or_else(wrong)?).is_some() {
                return Err(format!("`{}` is named twice", pair.trim()));
            }
        }
        Ok(rest.join(","))
    }

    /// Takes all of `text`, which besides may name `amount`, `heads` and `inner`.
    ///
    /// # Errors
    /// What is no part, or none of these
    pub fn take(&mut self, text: &str) -> Result<(), String> {
        let rest = self.take_layers(text)?;
        for pair in rest.split(',').filter(|pair| !pair.is_empty()) {
            let none = || {
                format!(
                    "`{}` names no part that goes, as `heads-0=0.5` does",
                    pair.trim()
                )
            };
            let (name, value) = pair.split_once('=').ok_or_else(none)?;
            let part = value.trim().parse().ok();
            let part = part.filter(|part| (0.0..1.0).contains(part));
            let wrong = || format!("`{}` is not from 0 to below 1", pair.trim());
            match name.trim() {
                "amount" => self.amount = part.ok_or_else(wrong)?,
                "heads" => self.heads = Some(part.ok_or_else(wrong)?),
                "inner" => self.inner = Some(part.ok_or_else(wrong)?),
                _ => return Err(none()),
            }
        }
        Ok(())
    }

    /// That the layers that are named are among `count`.
    ///
    /// # Errors
    /// The one that is not
    pub fn check_layers(&self, count: usize) -> Result<(), String> {
        match self.layers.keys().find(|layer| **layer >= count) {
            Some(layer) => {
                let last = count.saturating_sub(1);
                Err(format!(
                    "there is no layer {layer}: the layers are 0 to {last}"
                ))
            }
            None => Ok(()),
        }
    }

    /// What each layer keeps; one head and one unit at least.
    ///
    /// # Errors
    /// A layer that is named, and that there is not
    pub fn kept(&self, scores: &[Scores]) -> Result<Vec<Kept>, String> {
        self.check_layers(scores.len())?;
        let layer = |(at, scores): (usize, &Scores)| {
            let own = self.layers.get(&at).copied().unwrap_or_default();
            let left = |count: usize, own: Option<f64>, all: Option<f64>| {
                let part = own.or(all).unwrap_or(self.amount);
                (count - part_of(count, part)).max(1)
            };
            scores.largest(
                left(scores.heads.len(), own[0], self.heads),
                left(scores.inner.len(), own[1], self.inner),
            )
        };
        Ok(scores.iter().enumerate().map(layer).collect())
    }
}

/// What each layer keeps when the model shall be `speedup` times as fast, and the sum of what is
/// lost as little as can be.
///
/// # Errors
/// `bad-option` when it cannot be as fast, which says how fast it can
pub fn by_speed(
    shape: &ModelShape,
    scores: &[Scores],
    costs: &LayerTimes,
    speedup: f64,
) -> Result<Vec<Kept>> {
    let mut lists = Vec::new();
    let mut sizes = Vec::new();
    for (at, scores) in scores.iter().enumerate() {
        let is_last = at + 1 == shape.layers.len();
        let heads: Vec<usize> = (1..=scores.heads.len()).collect();
        let inner = inner_sizes(scores.inner.len());
        lists.push(choices(&scores.heads, &heads, |n| {
            costs.of_heads(n, is_last)
        }));
        lists.push(choices(&scores.inner, &inner, |n| {
            costs.of_inner(n, is_last)
        }));
        sizes.extend([heads, inner]);
    }
    let whole = cost_of(shape, costs);
    let chosen = choose(&lists, whole / speedup - costs.rest);
    let Some(chosen) = chosen else {
        let cheapest = |list: &Vec<Choice>| list.iter().map(|c| c.cost).fold(f64::MAX, f64::min);
        let least = costs.rest + lists.iter().map(cheapest).sum::<f64>();
        let message = format!(
            "`speedup` is {speedup}, and with the least that a layer can have it is {:.2}",
            whole / least
        );
        return Err(Error::new("bad-option", message).option("speedup"));
    };
    let chosen: Vec<usize> = sizes
        .iter()
        .zip(chosen)
        .map(|(sizes, at)| sizes[at])
        .collect();
    let layers = scores.iter().zip(chosen.chunks_exact(2));
    Ok(layers
        .map(|(scores, sizes)| scores.largest(sizes[0], sizes[1]))
        .collect())
}

/// The inner sizes that are tried: multiples of [`UNITS`], or all of a small model.
fn inner_sizes(inner: usize) -> Vec<usize> {
    let step = if inner > 4 * UNITS { UNITS } else { 1 };
    let steps = (step..inner).step_by(step);
    steps.chain([inner]).collect()
}

/// What it costs, and what is lost, to keep as many as `counts` name.
fn choices(scores: &[f64], counts: &[usize], cost: impl Fn(usize) -> f64) -> Vec<Choice> {
    let mut ascending = scores.to_vec();
    ascending.sort_by(f64::total_cmp);
    let choice = |count: &usize| Choice {
        cost: cost(*count),
        loss: ascending[..scores.len() - count].iter().sum(),
    };
    counts.iter().map(choice).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tests::shape;

    fn scores() -> Vec<Scores> {
        let shape = shape();
        let layer = |(at, layer): (usize, &LayerShape)| Scores {
            heads: (0..layer.heads)
                .map(|head| (1 + at + head) as f64)
                .collect(),
            inner: (0..layer.inner)
                .map(|unit| (unit % 7) as f64 / 10.0)
                .collect(),
        };
        shape.layers.iter().enumerate().map(layer).collect()
    }

    #[test]
    fn an_amount_goes_from_each_layer() {
        let by_amount = |amount| Parts::all(amount).kept(&scores()).unwrap();
        let kept = by_amount(0.5);
        // Of 3 and 2 heads and of 20 and 14 units.
        let counts: Vec<_> = kept
            .iter()
            .map(|kept| (kept.heads.len(), kept.inner.len()))
            .collect();
        assert_eq!(counts, [(1, 10), (1, 7)]);
        assert_eq!(kept[0].heads, [2]);
        assert!(by_amount(0.99).iter().all(|kept| kept.inner.len() == 1));
    }

    #[test]
    fn what_is_said_of_a_layer_counts_first() {
        let mut parts = Parts::all(0.5);
        parts.heads = Some(0.0);
        let rest = parts
            .take_layers("score=l1, heads-1=0.5,inner=0.25,inner-0=0")
            .unwrap();
        assert_eq!(rest, "score=l1,inner=0.25");
        // Of 3 and 2 heads and of 20 and 14 units.
        let kept = parts.kept(&scores()).unwrap();
        let counts = kept.iter().map(|kept| (kept.heads.len(), kept.inner.len()));
        assert_eq!(counts.collect::<Vec<_>>(), [(3, 20), (1, 7)]);
        parts.take_layers("inner-2=0.1").unwrap();
        assert!(parts.kept(&scores()).unwrap_err().contains("no layer 2"));
        let mut whole = Parts::all(0.9);
        whole.take("amount=0.25, heads=0.5,inner-1=0.1").unwrap();
        assert_eq!(
            (whole.amount, whole.heads, whole.inner),
            (0.25, Some(0.5), None)
        );
        for text in ["depth=0.5", "amount", "heads=1", "heads-0=0.1,heads-0=0.2"] {
            assert!(Parts::default().take(text).is_err(), "{text}");
        }
        for text in ["heads-0=1", "inner-3=-0.5", "heads-1=half"] {
            assert!(Parts::default().take_layers(text).is_err(), "{text}");
        }
    }

    /// Of all sizes that cost at most `most`, the least that is lost.
    fn least_loss(shape: &ModelShape, costs: &LayerTimes, most: f64) -> f64 {
        let scores = scores();
        let mut least = f64::MAX;
        let mut small = shape.clone();
        let (first, second) = (shape.layers[0], shape.layers[1]);
        for at in 0..first.heads * first.inner * second.heads * second.inner {
            let (at, heads) = (at / first.heads, at % first.heads);
            (small.layers[0].heads, small.layers[0].inner) = (heads + 1, at % first.inner + 1);
            let at = at / first.inner;
            (small.layers[1].heads, small.layers[1].inner) =
                (at % second.heads + 1, at / second.heads + 1);
            if cost_of(&small, costs) <= most {
                least = least.min(lost(&scores, &small));
            }
        }
        least
    }

    /// What is lost where the largest scores stay.
    fn lost(scores: &[Scores], small: &ModelShape) -> f64 {
        let smallest = |scores: &[f64], kept: usize| {
            let mut ascending = scores.to_vec();
            ascending.sort_by(f64::total_cmp);
            ascending[..scores.len() - kept].iter().sum::<f64>()
        };
        let layers = scores.iter().zip(&small.layers);
        layers
            .map(|(scores, layer)| {
                smallest(&scores.heads, layer.heads) + smallest(&scores.inner, layer.inner)
            })
            .sum()
    }

    #[test]
    fn a_speed_is_reached_and_no_choice_of_that_speed_loses_less() {
        let shape = shape();
        let costs = costs(&shape, None).unwrap();
        let whole = cost_of(&shape, &costs);
        for speedup in [1.0, 1.5, 2.0, 3.0] {
            let kept = by_speed(&shape, &scores(), &costs, speedup).unwrap();
            let mut small = shape.clone();
            for (layer, kept) in small.layers.iter_mut().zip(&kept) {
                (layer.heads, layer.inner) = (kept.heads.len(), kept.inner.len());
            }
            let reached = whole / cost_of(&small, &costs);
            assert!(reached >= speedup * (1.0 - 1e-9), "{speedup}: {reached}");
            // Costs are rounded up to steps, so that the last hundredth may stay unused.
            let least = least_loss(&shape, &costs, 0.99 * whole / speedup);
            let lost = lost(&scores(), &small);
            assert!(lost <= least + 1e-9, "{speedup}: {lost}, {least}");
        }
        let error = by_speed(&shape, &scores(), &costs, 30.0).unwrap_err();
        assert_eq!(error.option.as_deref(), Some("speedup"));
    }

    #[test]
    fn times_of_another_width_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("times.toml");
        std::fs::write(&path, LayerTimes::multiply_adds((16, 2, 8), 32, 10).text()).unwrap();
        let error = costs(&shape(), Some(&path)).unwrap_err();
        assert!(error.message.contains("hidden size 16"), "{error:?}");
    }
}
