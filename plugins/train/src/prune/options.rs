//! What a graph file says of pruning.

use schemars::JsonSchema;
use segue_plugin::{Error, ModelPath, OutputPath, Result};
use serde::Deserialize;

use super::recovery::{Counts, Recover};
use super::target::Parts;
use super::weights::Scope;
use super::work::Running;
use crate::schedule::Schedule;

/// What is taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Single weights, which become zero.
    Unstructured,
    /// Attention heads and inner units, which are gone.
    Structured,
}

impl Kind {
    /// As a graph names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Unstructured => "unstructured",
            Kind::Structured => "structured",
        }
    }
}

/// What tells that a head or an inner unit can go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Score {
    /// Small absolute weights.
    #[default]
    L1,
    /// A small effect on the loss: the Fisher information of a mask.
    Fisher,
}

/// Makes a smaller model out of a BERT-family model, and lets it recover.
///
/// With `kind = "unstructured"` the smallest weights become zero and stay so; with `"structured"`
/// attention heads and inner units are taken out for real, so that what is left is a smaller
/// model, which runs, splits and trains like any other. In one shot it first looks at `calibration`
/// reviews, if `score` or `rescale` ask for it; then it goes on to learn what `recover` says, from
/// all reviews that come after.
///
/// # Columns
/// reads  `tokens`, `truth`, and `role`, `epoch`, `progress` as `read` gives them; with
/// `recover = "distill"` also a teacher's `logits: fixed f32[labels]` and, if `state-weight` is
/// above 0, its states, each `ragged f32[H]`
///
/// writes a row a step, one for each look at the held-out reviews, and one when it prunes
/// # Errors
/// `bad-option`; `bad-times`; those of the trainer
/// # Source
/// Absolute weights: `torch.nn.utils.prune`. Gradually: Zhu and Gupta, arXiv:1710.01878. Fisher
/// information and least squares after Kwon et al., arXiv:2204.09656; under measured times after
/// Kurtic et al., arXiv:2302.04089
#[derive(Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Prune {
    /// The model to prune: a Hugging Face folder with `model.safetensors` or `pytorch_model.bin`.
    pub model: ModelPath,
    /// The folder for the pruned model.
    pub output: OutputPath,
    /// What is taken out.
    pub kind: Kind,
    /// The part that goes: of the weights, or of each layer's heads and inner units; from 0 to below 1.
    pub amount: Option<f64>,
    /// For `structured`, instead of `amount`: how many times as fast the model shall be.
    pub speedup: Option<f64>,
    /// For `structured`: the parts that go, as a search gives its best, such as `amount=0.2,heads-0=0.5,inner-0=0.3`; they take the place of `speedup`, and where they name nothing `amount` holds, which then is 0 if left out.
    #[serde(default)]
    pub options: String,
    /// A file of `layer-times`, by which `speedup` is judged; left out, multiply-adds count.
    pub times: Option<ModelPath>,
    /// For `structured`: the hidden size to keep first, of the largest absolute weights; left out, all of it.
    pub hidden: Option<usize>,
    /// For `unstructured`: whether each matrix loses the same part, or all together.
    #[serde(default)]
    pub scope: Scope,
    /// For `unstructured`: take weights out of the tables of words and positions too.
    #[serde(default)]
    pub tables: bool,
    /// For `structured`: what tells which heads and inner units go.
    #[serde(default)]
    pub score: Score,
    /// Reviews that are looked at before heads and inner units go.
    #[serde(default = "calibration")]
    pub calibration: usize,
    /// For `structured`: fit what is left by least squares, before anything is learnt.
    #[serde(default = "yes")]
    pub rescale: bool,
    /// The part of the run until which more and more is taken out; 0 takes all out at once.
    #[serde(default)]
    pub gradual: f64,
    /// In how many steps, if gradually.
    #[serde(default = "steps")]
    #[schemars(range(min = 1))]
    pub gradual_steps: u32,
    /// What is learnt afterwards.
    #[serde(default)]
    pub recover: Recover,
    /// The classes, in the order of the classifier's outputs; left out, those that the model names, or else negative and positive.
    #[serde(default)]
    pub labels: Vec<String>,
    /// What counts how much.
    #[serde(flatten)]
    pub counts: Counts,
    /// Store the weights in 16 bits.
    #[serde(default)]
    pub half_precision: bool,
    /// For `unstructured`: store matrices without their zeros, in a smaller file that `bert` and all
    /// that train here read, and others do not.
    #[serde(default)]
    pub sparse: bool,
    /// How to train.
    #[serde(flatten)]
    pub schedule: Schedule,
    #[serde(skip)]
    pub(super) running: Option<Running>,
}

fn calibration() -> usize {
    1024
}

fn yes() -> bool {
    true
}

fn steps() -> u32 {
    10
}

/// That `options` cannot be.
pub(super) fn bad_options(what: String) -> Error {
    Error::new("bad-option", what).option("options")
}

impl Prune {
    pub(super) fn has_options(&self) -> bool {
        self.options.split(',').any(|pair| !pair.trim().is_empty())
    }

    /// What `options` says, and of the rest `amount`.
    ///
    /// # Errors
    /// `bad-option`
    pub(super) fn parts(&self) -> Result<Parts> {
        let mut parts = Parts::all(self.amount.unwrap_or_default());
        parts.take(&self.options).map_err(bad_options)?;
        Ok(parts)
    }

    /// Whether the options fit together.
    ///
    /// # Errors
    /// `bad-option`
    pub(super) fn check(&self) -> Result<()> {
        self.counts.check()?;
        self.schedule.check()?;
        let bad = |option: &str, rule: &str| {
            let message = format!("`{option}` {rule}");
            Err(Error::new("bad-option", message).option(option))
        };
        let structured = self.kind == Kind::Structured;
        self.parts()?;
        if self.has_options() {
            if !structured {
                return bad("options", "needs `kind = \"structured\"`");
            }
            if self.gradual > 0.0 {
                return bad("options", "does not go with `gradual`");
            }
        }
        match (self.amount, self.speedup) {
            (None, None) if !self.has_options() => {
                return bad("amount", "or `speedup` must say how much is to go");
            }
            (Some(_), Some(_)) => return bad("speedup", "and `amount` cannot both be given"),
            (Some(amount), None) if !(0.0..1.0).contains(&amount) => {
                return bad("amount", "must be from 0 to below 1");
            }
            (None, Some(speedup)) if !(speedup >= 1.0 && speedup.is_finite()) => {
                return bad("speedup", "must be 1 or more");
            }
            (None, Some(_)) if !structured => {
                return bad(
                    "speedup",
                    "needs `kind = \"structured\"`: zeros take as long as others",
                );
            }
            _ => {}
        }
        if !(0.0..=1.0).contains(&self.gradual) {
            return bad("gradual", "must be from 0 to 1");
        }
        if self.gradual > 0.0 && (self.speedup.is_some() || self.score == Score::Fisher) {
            return bad("gradual", "needs `amount`, and `score = \"l1\"`");
        }
        if self.gradual > 0.0 && self.recover == Recover::None {
            return bad(
                "gradual",
                "needs `recover`: in between something must be learnt",
            );
        }
        if self.sparse && structured {
            return bad("sparse", "needs `kind = \"unstructured\"`: nothing is zero");
        }
        if self.hidden.is_some() && !structured {
            return bad("hidden", "needs `kind = \"structured\"`");
        }
        if self.hidden.is_some() && self.counts.state_weight > 0.0 {
            return bad(
                "state-weight",
                "must be 0 with `hidden`: the teacher's states are wider",
            );
        }
        Ok(())
    }
}
