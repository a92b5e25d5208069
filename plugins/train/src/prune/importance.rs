//! What a loss has to say of heads and inner units: Fisher information of masks over them.

use segue_plugin::Result;

use crate::config::ModelShape;
use crate::layer::{Dense, LayerShape};
use crate::model::{Model, Tokens};
use crate::params::LAYERS;
use crate::prune::units::Scores;
use crate::trainer::internal;
use segue_learn::loss::{soft_cross_entropy, targets};

/// Reviews of one gradient: with more, those of single reviews cancel out.
const REVIEWS: usize = 4;

/// Sums of squares of the gradients of masks, a layer each.
#[derive(Clone, Debug, PartialEq)]
pub struct Importance(pub Vec<Scores>);

impl Importance {
    /// Nothing seen yet.
    pub fn new(shape: &ModelShape) -> Self {
        Importance(
            shape
                .layers
                .iter()
                .map(|layer| Scores::zeros(*layer))
                .collect(),
        )
    }

    /// Looks at a batch; a review without a class counts by what the model itself takes it for.
    ///
    /// # Errors
    /// None that a whole model could cause
    ///
    /// # Source
    /// Kwon et al., arXiv:2204.09656, section 4: a mask of ones over heads and inner units, whose
    /// Fisher information is taken as diagonal
    pub fn add(
        &mut self,
        (model, vectors): (&Model, &[Vec<f32>]),
        tokens: &Tokens,
        classes: &[Option<usize>],
    ) -> Result<()> {
        let rows: Vec<&[u32]> = tokens.rows().collect();
        for (rows, classes) in rows.chunks(REVIEWS).zip(classes.chunks(REVIEWS)) {
            let gradients = gradients(model, rows, classes).map_err(internal)?;
            for (layer, scores) in self.0.iter_mut().enumerate() {
                let (vector, gradient) = (&vectors[LAYERS + layer], &gradients[LAYERS + layer]);
                add_squares(model.shape.layers[layer], vector, gradient, scores);
            }
        }
        Ok(())
    }
}

fn gradients(
    model: &Model,
    rows: &[&[u32]],
    classes: &[Option<usize>],
) -> candle_core::Result<Vec<Vec<f32>>> {
    let tokens = Tokens::new(rows.iter().copied());
    let output = model.run_layers(&tokens)?;
    let labels = model.shape.labels;
    let verdicts = output.logits.detach().argmax(1)?.to_vec1::<u32>()?;
    let known = classes.iter().zip(verdicts);
    let known: Vec<_> = known
        .map(|(class, verdict)| class.or(Some(verdict as usize)))
        .collect();
    model.gradients(&soft_cross_entropy(
        &output.logits,
        &targets(&known, labels)?,
    )?)
}

/// A mask over what a matrix takes has as gradient the sum over its column of weight times
/// gradient, since a mask of 1 multiplies the column.
fn add_squares(shape: LayerShape, vector: &[f32], gradient: &[f32], scores: &mut Scores) {
    let parts = shape.parts();
    let heads = column_products(&parts.output, vector, gradient, shape.attention());
    for (score, columns) in scores
        .heads
        .iter_mut()
        .zip(heads.chunks_exact(shape.head_size))
    {
        *score += columns.iter().sum::<f64>().powi(2);
    }
    let inner = column_products(&parts.down, vector, gradient, shape.inner);
    for (score, product) in scores.inner.iter_mut().zip(inner) {
        *score += product.powi(2);
    }
}

fn column_products(part: &Dense, vector: &[f32], gradient: &[f32], columns: usize) -> Vec<f64> {
    let mut sums = vec![0.0; columns];
    let rows = vector[part.weight.clone()].chunks_exact(columns);
    for (row, slopes) in rows.zip(gradient[part.weight.clone()].chunks_exact(columns)) {
        for ((sum, weight), slope) in sums.iter_mut().zip(row).zip(slopes) {
            *sum += f64::from(*weight) * f64::from(*slope);
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::tests::{shape, vectors};

    /// The gradient of a mask, by the difference of two losses.
    #[test]
    fn squares_are_those_of_masks() {
        let shape = shape();
        let whole = vectors(&shape);
        let rows = [&[1u32, 5, 2][..], &[8, 0, 3, 3, 4]];
        let tokens = Tokens::new(rows.into_iter());
        let classes = [Some(1), Some(0)];
        let model = Model::new(shape.clone(), &whole, 1).unwrap();
        let mut importance = Importance::new(&shape);
        importance.add((&model, &whole), &tokens, &classes).unwrap();
        let loss = |vectors: &[Vec<f32>]| -> f64 {
            model.set(vectors).unwrap();
            let logits = model.run(&tokens, None, &[]).unwrap().logits;
            let loss = soft_cross_entropy(&logits, &targets(&classes, 2).unwrap()).unwrap();
            f64::from(loss.to_scalar::<f32>().unwrap())
        };
        let scaled = |layer: usize,
                      columns: std::ops::Range<usize>,
                      (part, width): (&Dense, usize),
                      by: f32| {
            let mut vectors = whole.clone();
            for (i, x) in vectors[LAYERS + layer][part.weight.clone()]
                .iter_mut()
                .enumerate()
            {
                if columns.contains(&(i % width)) {
                    *x *= by;
                }
            }
            loss(&vectors)
        };
        let slope = |layer: usize, columns: std::ops::Range<usize>, part: (&Dense, usize)| {
            let at = |by| scaled(layer, columns.clone(), part, by);
            (at(1.02) - at(0.98)) / 0.04
        };
        for (layer, sizes) in shape.layers.iter().enumerate() {
            let (parts, size) = (sizes.parts(), sizes.head_size);
            for (head, found) in importance.0[layer].heads.iter().enumerate() {
                let columns = head * size..(head + 1) * size;
                let want = slope(layer, columns, (&parts.output, sizes.attention()));
                assert!(
                    (found.sqrt() - want.abs()).abs() < 1e-3,
                    "{layer} {head} {found} {want}"
                );
            }
            for (unit, found) in importance.0[layer].inner.iter().enumerate() {
                let want = slope(layer, unit..unit + 1, (&parts.down, sizes.inner));
                assert!(
                    (found.sqrt() - want.abs()).abs() < 1e-3,
                    "{layer} {unit} {found} {want}"
                );
            }
        }
    }
}
