//! The model in candle: embeddings, encoder layers, head.

use std::sync::{Arc, Mutex};

use candle_core::{Device, Result, Tensor, Var};
use segue_kernels::training::{Mask, mask_and_add};

use crate::attention::Scores;
use crate::config::ModelShape;
use crate::layer::{EncoderLayer, locked};
use crate::norm::MaskedNorm;
use crate::params::{LAYERS, NORM, POSITIONS, TYPES, WORDS};
use crate::pool::Pool;

/// A batch of reviews, one after the other.
#[derive(Clone, Debug)]
pub struct Tokens {
    ids: Vec<u32>,
    positions: Vec<u32>,
    /// Where each review begins, and at the end the number of tokens.
    pub starts: Arc<Vec<usize>>,
}

impl Tokens {
    /// A batch of `rows`, none of them empty.
    pub fn new<'a>(rows: impl Iterator<Item = &'a [u32]>) -> Self {
        let (mut ids, mut positions, mut starts) = (Vec::new(), Vec::new(), vec![0]);
        for row in rows {
            ids.extend_from_slice(row);
            positions.extend(0..row.len() as u32);
            starts.push(ids.len());
        }
        Tokens {
            ids,
            positions,
            starts: Arc::new(starts),
        }
    }

    /// The rows.
    pub fn rows(&self) -> impl Iterator<Item = &[u32]> {
        let bounds = self.starts.windows(2);
        bounds.map(|bounds| &self.ids[bounds[0]..bounds[1]])
    }
}

/// A model whose parameters can be trained.
pub struct Model {
    /// Its sizes.
    pub shape: ModelShape,
    /// One a vector of parameters, in the order of [`parts`].
    vars: Vec<Var>,
    pool: Arc<Pool>,
    threads: usize,
}

/// Of which parameters gradients can be asked for.
#[derive(Clone, Copy, PartialEq)]
enum Trained {
    Nothing,
    Layers,
    All,
}

/// What a model gives for a batch of n tokens.
pub struct Output {
    /// After the embeddings, and after each layer: (n, H).
    pub states: Vec<Tensor>,
    /// (reviews, labels)
    pub logits: Tensor,
    /// What the attention's scores cost beside those taught, to be added to the loss; its
    /// gradient is in that of the states.
    pub attention: f32,
}

impl Model {
    /// A model with `vectors` as parameters.
    ///
    /// # Errors
    /// None that a whole model could cause
    pub fn new(shape: ModelShape, vectors: &[Vec<f32>], threads: usize) -> Result<Self> {
        let var = |vector: &Vec<f32>| Var::from_slice(vector, vector.len(), &Device::Cpu);
        Ok(Model {
            shape,
            vars: vectors.iter().map(var).collect::<Result<_>>()?,
            pool: Arc::default(),
            threads,
        })
    }

    /// Takes over new values of the parameters.
    ///
    /// # Errors
    /// None that vectors of the same lengths could cause
    pub fn set(&self, vectors: &[Vec<f32>]) -> Result<()> {
        for (var, vector) in self.vars.iter().zip(vectors) {
            var.set(&Tensor::from_slice(vector, vector.len(), &Device::Cpu)?)?;
        }
        Ok(())
    }

    /// Runs a batch; with a `mask` for training, so that gradients can be asked for. `taught`
    /// is empty, or has the scores for each layer.
    ///
    /// # Errors
    /// A token or a position that the tables do not have
    pub fn run(&self, tokens: &Tokens, mask: Option<Mask>, taught: &[Scores]) -> Result<Output> {
        let trained = match mask {
            Some(_) => Trained::All,
            None => Trained::Nothing,
        };
        self.run_masked(tokens, trained, mask.unwrap_or(Mask::NONE), taught)
    }

    /// Runs a batch so that gradients can be asked for, of all but the embeddings, which have
    /// most of the parameters.
    ///
    /// # Errors
    /// Those of [`Model::run`]
    pub fn run_layers(&self, tokens: &Tokens) -> Result<Output> {
        self.run_masked(tokens, Trained::Layers, Mask::NONE, &[])
    }

    /// What the first layer takes, (n, H).
    ///
    /// # Errors
    /// Those of [`Model::run`]
    pub fn embed(&self, tokens: &Tokens) -> Result<Vec<f32>> {
        let hidden = self.embeddings(tokens, false, Mask::NONE)?;
        hidden.flatten_all()?.to_vec1()
    }

    fn run_masked(
        &self,
        tokens: &Tokens,
        trained: Trained,
        mask: Mask,
        taught: &[Scores],
    ) -> Result<Output> {
        let training = trained != Trained::Nothing;
        let at = |site: u64| {
            if mask.is_none() {
                mask
            } else {
                mask.derived(site)
            }
        };
        let mut hidden = self.embeddings(tokens, trained == Trained::All, at(0))?;
        let mut states = vec![hidden.clone()];
        let cost = Arc::default();
        for (layer, shape) in self.shape.layers.iter().enumerate() {
            let op = EncoderLayer {
                shape: *shape,
                starts: Arc::clone(&tokens.starts),
                mask: at(100 + layer as u64),
                taught: taught.get(layer).cloned(),
                cost: Arc::clone(&cost),
                training,
                pool: Arc::clone(&self.pool),
                threads: self.threads,
                saved: Mutex::default(),
            };
            hidden = hidden.apply_op2(&self.param(LAYERS + layer, training), op)?;
            states.push(hidden.clone());
        }
        let logits = self.head(&hidden, tokens, training, at(1))?;
        let attention = *locked(&cost);
        Ok(Output {
            states,
            logits,
            attention,
        })
    }

    /// The gradients of `loss`, one a vector of parameters.
    ///
    /// # Errors
    /// None that a loss of this model could cause
    pub fn gradients(&self, loss: &Tensor) -> Result<Vec<Vec<f32>>> {
        let store = loss.backward()?;
        let of = |var: &Var| match store.get(var) {
            Some(gradient) => gradient.flatten_all()?.to_vec1::<f32>(),
            None => Ok(vec![0.0; var.elem_count()]),
        };
        self.vars.iter().map(of).collect()
    }

    fn param(&self, index: usize, training: bool) -> Tensor {
        if training {
            self.vars[index].as_tensor().clone()
        } else {
            self.vars[index].as_detached_tensor()
        }
    }

    fn table(&self, index: usize, training: bool) -> Result<Tensor> {
        let hidden = self.shape.hidden;
        let rows = self.vars[index].elem_count() / hidden;
        self.param(index, training).reshape((rows, hidden))
    }

    fn embeddings(&self, tokens: &Tokens, training: bool, mask: Mask) -> Result<Tensor> {
        let index = |of: &[u32]| Tensor::from_slice(of, of.len(), &Device::Cpu);
        let words = self
            .table(WORDS, training)?
            .index_select(&index(&tokens.ids)?, 0)?;
        let positions = self.table(POSITIONS, training)?;
        let positions = positions.index_select(&index(&tokens.positions)?, 0)?;
        let types = self.table(TYPES, training)?.narrow(0, 0, 1)?;
        let sum = (words + positions)?.broadcast_add(&types)?;
        let op = MaskedNorm {
            eps: self.shape.eps,
            mask,
            stats: Mutex::default(),
        };
        sum.apply_op2(&self.param(NORM, training), op)
    }

    /// The first token of each review, a dense layer and tanh, and the classifier.
    fn head(&self, hidden: &Tensor, tokens: &Tokens, training: bool, mask: Mask) -> Result<Tensor> {
        let (h, labels) = (self.shape.hidden, self.shape.labels);
        let firsts = &tokens.starts[..tokens.starts.len() - 1];
        let firsts: Vec<u32> = firsts.iter().map(|start| *start as u32).collect();
        let firsts = Tensor::from_slice(&firsts, firsts.len(), &Device::Cpu)?;
        let first = hidden.index_select(&firsts, 0)?;
        let pooler = LAYERS + self.shape.layers.len();
        let pooled = self.dense(&first, pooler, (h, h), training)?.tanh()?;
        let mut factors = vec![1.0; pooled.elem_count()];
        mask_and_add(&mut factors, mask, None);
        let pooled = (pooled.clone() * Tensor::from_vec(factors, pooled.shape(), &Device::Cpu)?)?;
        self.dense(&pooled, pooler + 1, (labels, h), training)
    }

    fn dense(
        &self,
        x: &Tensor,
        index: usize,
        (outputs, inputs): (usize, usize),
        training: bool,
    ) -> Result<Tensor> {
        let params = self.param(index, training);
        let weight = params
            .narrow(0, 0, outputs * inputs)?
            .reshape((outputs, inputs))?;
        let bias = params.narrow(0, outputs * inputs, outputs)?;
        x.matmul(&weight.t()?)?.broadcast_add(&bias)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::layer::LayerShape;
    use crate::params::parts;
    use rand::rngs::Xoshiro256PlusPlus;
    use rand::{RngExt, SeedableRng};
    use segue_learn::loss::soft_cross_entropy;

    /// A model's sizes that differ from each other.
    pub(crate) fn shape() -> ModelShape {
        let layer = LayerShape {
            hidden: 12,
            heads: 3,
            head_size: 4,
            inner: 20,
            eps: 1e-5,
        };
        ModelShape {
            hidden: layer.hidden,
            // The second has lost heads and inner units.
            layers: vec![
                layer,
                LayerShape {
                    heads: 2,
                    head_size: 5,
                    inner: 14,
                    ..layer
                },
            ],
            words: 9,
            positions: 7,
            types: 2,
            labels: 2,
            eps: layer.eps,
        }
    }

    /// Its parameters, the same each time.
    pub(crate) fn vectors(shape: &ModelShape) -> Vec<Vec<f32>> {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(3);
        let mut draw = |count| (0..count).map(|_| random.random::<f32>() - 0.5).collect();
        let lengths = parts(shape)
            .into_iter()
            .map(|parts| crate::params::length(&parts));
        lengths.map(&mut draw).collect()
    }

    /// What a model of `vectors` says of two reviews.
    pub(crate) fn logits(shape: &ModelShape, vectors: &[Vec<f32>]) -> Vec<f32> {
        let model = Model::new(shape.clone(), vectors, 1).unwrap();
        let rows = [&[1u32, 5, 2][..], &[8, 0, 3, 3, 4]];
        let output = model
            .run(&Tokens::new(rows.into_iter()), None, &[])
            .unwrap();
        output.logits.flatten_all().unwrap().to_vec1().unwrap()
    }

    /// A teacher's scores for both layers of nine tokens, of heads larger than the model's own.
    fn taught() -> Vec<Scores> {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(8);
        let layer = |weight: f32| Scores {
            queries_keys: Arc::new((0..9 * 36).map(|_| random.random::<f32>() - 0.5).collect()),
            width: 18,
            weight,
        };
        [0.7, 1.5].map(layer).to_vec()
    }

    fn loss(model: &Model, mask: Mask, taught: &[Scores]) -> (Tensor, f32) {
        let rows = [&[1u32, 5, 2][..], &[8, 0, 3, 3, 4], &[7]];
        let output = model
            .run(&Tokens::new(rows.into_iter()), Some(mask), taught)
            .unwrap();
        let targets = [[1.0f32, 0.0], [0.25, 0.75], [0.0, 0.0]];
        let targets = Tensor::new(&targets, &Device::Cpu).unwrap();
        let ends = soft_cross_entropy(&output.logits, &targets).unwrap();
        // States in the middle have gradients of their own too.
        let middle = output.states[0].sqr().unwrap().mean_all().unwrap();
        let later = output.states[1].sin().unwrap().mean_all().unwrap();
        let loss = ((ends + middle).unwrap() + later).unwrap();
        (loss, output.attention)
    }

    /// Every gradient against the difference of two losses.
    fn check(mask: Mask, taught: &[Scores]) {
        let shape = shape();
        let mut vectors = vectors(&shape);
        let model = Model::new(shape, &vectors, 2).unwrap();
        let gradients = model.gradients(&loss(&model, mask, taught).0).unwrap();
        let mut random = Xoshiro256PlusPlus::seed_from_u64(4);
        let step = 2e-2f32;
        for v in 0..vectors.len() {
            let largest = gradients[v].iter().fold(0.0f32, |top, g| top.max(g.abs()));
            assert!(largest > 1e-3, "vector {v} has no gradient");
            for _ in 0..60 {
                let i = random.random_range(0..vectors[v].len());
                let kept = vectors[v][i];
                let mut at = |x: f32| {
                    vectors[v][i] = x;
                    model.set(&vectors).unwrap();
                    let (loss, attention) = loss(&model, mask, taught);
                    f64::from(loss.to_scalar::<f32>().unwrap()) + f64::from(attention)
                };
                // A difference of four points, exact to the fourth power of the step.
                let [a, b] = [step, 2.0 * step].map(|s| at(kept + s) - at(kept - s));
                let want = ((8.0 * a - b) / (12.0 * f64::from(step))) as f32;
                at(kept);
                let got = gradients[v][i];
                let off = (got - want).abs();
                assert!(
                    off < 1e-4 + 0.01 * want.abs(),
                    "vector {v}, {i}: {got}, not {want}"
                );
            }
        }
    }

    #[test]
    fn gradients_are_those_of_the_loss() {
        check(Mask::new(0.0, 0), &[]);
    }

    #[test]
    fn gradients_are_right_under_dropout() {
        check(Mask::new(0.3, 9), &[]);
    }

    #[test]
    fn gradients_are_right_with_scores_to_learn() {
        check(Mask::new(0.3, 9), &taught());
    }

    #[test]
    fn own_scores_cost_nothing() {
        let shape = shape();
        let mut vectors = vectors(&shape);
        // Queries and keys that do not depend on the input can be given from here.
        let layer = &mut vectors[LAYERS];
        let parts = shape.layers[0].parts().qkv;
        let h = shape.hidden;
        layer[parts.weight][..2 * h * h].fill(0.0);
        let bias = &layer[parts.bias][..2 * h];
        let mine = Scores {
            queries_keys: Arc::new((0..5).flat_map(|_| bias).copied().collect()),
            width: h,
            weight: 1.0,
        };
        let model = Model::new(shape, &vectors, 2).unwrap();
        let tokens = Tokens::new([&[1u32, 5, 2][..], &[8, 0]].into_iter());
        let cost = |scores: &Scores| {
            let output = model.run(&tokens, None, std::slice::from_ref(scores));
            output.unwrap().attention
        };
        assert!(cost(&mine) < 1e-12);
        let mut other = mine.clone();
        Arc::make_mut(&mut other.queries_keys)[3] += 1.0;
        assert!(cost(&other) > 1e-4);
    }

    #[test]
    fn a_review_does_not_depend_on_its_batch() {
        let shape = shape();
        let model = Model::new(shape.clone(), &vectors(&shape), 1).unwrap();
        let rows = [&[1u32, 5, 2][..], &[8, 0, 3, 3, 4]];
        let both = model
            .run(&Tokens::new(rows.into_iter()), None, &[])
            .unwrap()
            .logits;
        let one = model
            .run(&Tokens::new(rows[1..].iter().copied()), None, &[])
            .unwrap()
            .logits;
        let (both, one) = (
            both.to_vec2::<f32>().unwrap(),
            one.to_vec2::<f32>().unwrap(),
        );
        for (a, b) in both[1].iter().zip(&one[0]) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
    }
}
