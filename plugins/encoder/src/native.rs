//! A segment from files of tensors: a tract model of one operator a layer.

use std::cell::RefCell;
use std::sync::{Arc, Mutex};

use segue_kernels::{Isa, Linear, Norm, Precision};
use segue_model::{Found, ModelConfig, ModelError, Quantized, Stored, TensorSpec, Weights};
use tract_core::internal::*;

use crate::layers::Layers;
use crate::ops::{
    EmbeddingTables, Embeddings, EncoderLayer, Head, HeadWeights, LayerWeights, Projections,
    Workspace,
};
use crate::tensors::Names;

/// An open model whose tensors of a range were checked.
pub(crate) struct Source<'a> {
    file: Weights,
    config: &'a ModelConfig,
    layers: Layers,
    has_head: bool,
    isa: Isa,
    precision: Precision,
    damaged: RefCell<Vec<String>>,
}

impl<'a> Source<'a> {
    /// Opens the file and checks every tensor of `layers`; no weights are read.
    ///
    /// # Errors
    /// See [`crate::Segment::load`].
    pub fn open(
        found: &Found,
        config: &'a ModelConfig,
        layers: Layers,
        precision: Precision,
        isa: Option<Isa>,
    ) -> Result<Self, ModelError> {
        let chosen = || Isa::chosen().map_err(|why| ModelError::new("bad-isa", why));
        let file = Weights::open(found, config)?;
        let source = Self {
            has_head: file.has_classifier() || config.says_classes() == Some(true),
            isa: isa.map_or_else(chosen, Ok)?,
            precision,
            damaged: RefCell::default(),
            config,
            layers,
            file,
        };
        if !source.ends_in_logits() && layers.start == config.num_hidden_layers {
            let message = format!("`{layers}` is the head alone, and the model has none");
            return Err(ModelError::new("bad-layers", message));
        }
        for spec in source.names().of_range(layers) {
            source.file.check(&spec)?;
        }
        Ok(source)
    }

    /// Whether the range ends with the classifier.
    pub fn ends_in_logits(&self) -> bool {
        self.has_head && self.layers.reaches_head(self.config.num_hidden_layers)
    }

    /// Bytes of the word table in memory: it stays as the file stores it.
    ///
    /// # Errors
    /// See [`crate::Segment::load`].
    pub fn word_bytes(&self) -> Result<u64, ModelError> {
        let [words, ..] = self.names().embeddings();
        self.file.stored_bytes(&words)
    }

    /// Reads the weights of the range and wires the model: tokens (n) or hidden states (n, H) to
    /// hidden states (n, H) or logits; and, as further outputs, the hidden states after so many
    /// layers as `states` name.
    ///
    /// # Errors
    /// See [`crate::Segment::load`].
    pub fn build(&self, states: &[usize]) -> Result<TypedModel, ModelError> {
        let mut model = TypedModel::default();
        let tokens = model.symbols.sym("tokens").to_dim();
        let mut outlet = if self.layers.has_embeddings() {
            let source = wired(model.add_source("tokens", u32::fact([tokens])))?;
            wire(&mut model, "embeddings", self.embeddings()?, source)?
        } else {
            let hidden = self.config.hidden_size.to_dim();
            wired(model.add_source("hidden", f32::fact([tokens, hidden])))?
        };
        let mut outlets = tvec![outlet];
        if self.layers.has_embeddings() && states.contains(&0) {
            outlets.push(outlet);
        }
        let workspace = Arc::new(Mutex::new(Workspace::default()));
        for layer in self.layers.start..self.layers.end {
            let after = layer + 1;
            // Of the last layer the head reads the first row alone.
            let first_only = self.ends_in_logits()
                && after == self.config.num_hidden_layers
                && !states.contains(&after);
            let op = EncoderLayer {
                weights: Arc::new(self.layer(layer, first_only)?),
                workspace: workspace.clone(),
            };
            outlet = wire(&mut model, &format!("layer.{layer}"), op, outlet)?;
            if states.contains(&after) {
                outlets.push(outlet);
            }
        }
        if self.ends_in_logits() {
            outlet = wire(&mut model, "head", self.head()?, outlet)?;
        }
        outlets[0] = outlet;
        wired(model.select_output_outlets(&outlets))?;
        Ok(model)
    }

    fn names(&self) -> Names<'_> {
        Names {
            config: self.config,
            has_head: self.has_head,
        }
    }

    fn embeddings(&self) -> Result<Embeddings, ModelError> {
        let [words, positions, types, weight, bias] = self.names().embeddings();
        let mut token_type = self.read(&types)?;
        token_type.truncate(self.config.hidden_size);
        Ok(Embeddings(Arc::new(EmbeddingTables {
            words: self.words(&words)?,
            positions: self.read(&positions)?,
            token_type,
            norm: self.norm(&weight, &bias)?,
            isa: self.isa,
        })))
    }

    /// Tensors read so far with values that are not finite.
    pub fn damaged(&self) -> Vec<String> {
        self.damaged.borrow().clone()
    }

    fn read(&self, spec: &TensorSpec) -> Result<Vec<f32>, ModelError> {
        Ok(self.read_stored(spec)?.into_f32())
    }

    /// Reads a tensor, and remembers if it is damaged: it may be a row that no review needs.
    fn read_stored(&self, spec: &TensorSpec) -> Result<Stored, ModelError> {
        let stored = self.file.read_stored(spec)?;
        if !stored.is_finite() {
            self.damaged.borrow_mut().push(spec.name.clone());
        }
        Ok(stored)
    }

    fn words(&self, spec: &TensorSpec) -> Result<Stored, ModelError> {
        self.read_stored(spec)
    }

    fn layer(&self, layer: usize, first_only: bool) -> Result<LayerWeights, ModelError> {
        let [
            qw,
            qb,
            kw,
            kb,
            vw,
            vb,
            ow,
            ob,
            onw,
            onb,
            uw,
            ub,
            dw,
            db,
            dnw,
            dnb,
        ] = self.names().layer(layer);
        let precision = self.precision;
        let projections = if first_only {
            Projections::First {
                query: self.linear(&[&qw], &[&qb], precision)?,
                key_value: self.linear(&[&kw, &vw], &[&kb, &vb], precision)?,
            }
        } else {
            Projections::Every(self.linear(&[&qw, &kw, &vw], &[&qb, &kb, &vb], precision)?)
        };
        Ok(LayerWeights {
            isa: self.isa,
            precision,
            sizes: self.config.layers[layer],
            activation: self.config.hidden_act,
            projections,
            output: self.linear(&[&ow], &[&ob], precision)?,
            output_norm: self.norm(&onw, &onb)?,
            up: self.linear(&[&uw], &[&ub], precision)?,
            down: self.linear(&[&dw], &[&db], precision)?,
            down_norm: self.norm(&dnw, &dnb)?,
        })
    }

    fn head(&self) -> Result<Head, ModelError> {
        let [pw, pb, cw, cb] = self.names().head();
        Ok(Head(Arc::new(HeadWeights {
            hidden: self.config.hidden_size,
            labels: self.config.labels.len(),
            pooler: self.linear(&[&pw], &[&pb], Precision::F32)?,
            activation: self.config.pooler_activation(),
            classifier: self.linear(&[&cw], &[&cb], Precision::F32)?,
        })))
    }

    /// One dense layer of several, their outputs side by side.
    fn linear(
        &self,
        weights: &[&TensorSpec],
        biases: &[&TensorSpec],
        precision: Precision,
    ) -> Result<Linear, ModelError> {
        let depth = weights[0].shape[1];
        let biases = self.joined(biases)?;
        let stored: Vec<Stored> = (weights.iter())
            .map(|spec| self.read_stored(spec))
            .collect::<Result<_, _>>()?;
        let linear = match (precision, bytes(&stored)) {
            (Precision::Int8, Some(weights)) => {
                Linear::pack_int8(self.isa, depth, &weights, &biases)
            }
            _ => {
                let weights: Vec<f32> = stored.into_iter().flat_map(Stored::into_f32).collect();
                Linear::pack(self.isa, precision, depth, &weights, &biases)
            }
        };
        wired(linear.map_err(Into::into))
    }

    fn joined(&self, specs: &[&TensorSpec]) -> Result<Vec<f32>, ModelError> {
        let mut all = Vec::new();
        for spec in specs {
            all.extend(self.read(spec)?);
        }
        Ok(all)
    }

    fn norm(&self, weight: &TensorSpec, bias: &TensorSpec) -> Result<Norm, ModelError> {
        Ok(Norm {
            weight: self.read(weight)?,
            bias: self.read(bias)?,
            eps: self.config.layer_norm_eps,
        })
    }
}

/// The matrices one below the other, if all are stored as bytes.
fn bytes(stored: &[Stored]) -> Option<Quantized> {
    let mut all = Quantized::default();
    for matrix in stored {
        match matrix {
            Stored::Int8(rows) => all.extend(rows),
            _ => return None,
        }
    }
    Some(all)
}

fn wire(
    model: &mut TypedModel,
    name: &str,
    op: impl Into<Box<dyn TypedOp>>,
    input: OutletId,
) -> Result<OutletId, ModelError> {
    let outlets = wired(model.wire_node(name, op, &[input]))?;
    Ok(outlets[0])
}

/// tract's own errors, which no model file should be able to cause.
pub(crate) fn wired<T>(result: TractResult<T>) -> Result<T, ModelError> {
    result.map_err(|e| ModelError::new("model-failed", format!("tract: {e:#}")))
}
