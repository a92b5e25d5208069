//! What single layers have, where they differ: heads and inner units that were taken out.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::config::INNER_MAX;
use crate::fields::{Fields, short, size};

/// The sizes of one encoder layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerSizes {
    /// Attention heads.
    pub heads: usize,
    /// D: the length of a head's queries, keys and values.
    pub head_size: usize,
    /// F: the inner length of the feed-forward block.
    pub inner: usize,
}

impl LayerSizes {
    /// A: the length of all heads' queries, which is H where no head was taken out.
    pub fn attention(self) -> usize {
        self.heads * self.head_size
    }
}

/// The sizes of `count` layers, each of which is `whole` but for what the file says: heads that
/// are gone, in `pruned_heads` as Hugging Face writes it (`{"0": [3, 7]}`), and in
/// `intermediate_sizes` a list of each layer's inner length, for which it has no name.
///
/// # Errors
/// Layers and heads that the model does not have, a layer without heads, a list of another length
pub(crate) fn layer_sizes(
    fields: &Fields<'_>,
    count: usize,
    whole: LayerSizes,
) -> Result<Vec<LayerSizes>, String> {
    let mut layers = vec![whole; count];
    if let Some(inner) = fields.get("intermediate_sizes") {
        let sizes = inner.as_array().filter(|sizes| sizes.len() == count);
        let sizes = sizes.ok_or_else(|| {
            let found = short(inner);
            format!("`intermediate_sizes` is {found}, not a list of {count} sizes")
        })?;
        for (layer, value) in layers.iter_mut().zip(sizes) {
            layer.inner = size("intermediate_sizes", value, INNER_MAX)?;
        }
    }
    let Some(pruned) = fields.get("pruned_heads") else {
        return Ok(layers);
    };
    let pruned = pruned.as_object().ok_or_else(|| {
        let found = short(pruned);
        format!("`pruned_heads` is {found}, not an object of layers with lists of heads")
    })?;
    for (name, heads) in pruned {
        let layer = name.parse().ok().and_then(|at: usize| layers.get_mut(at));
        let layer =
            layer.ok_or_else(|| format!("`pruned_heads` names layer `{name}` of {count}"))?;
        layer.heads -= gone(name, heads, whole.heads)?;
    }
    Ok(layers)
}

/// How many of the heads of layer `name` are gone.
fn gone(name: &str, heads: &Value, count: usize) -> Result<usize, String> {
    let number = |value: &Value| value.as_u64().filter(|head| *head < count as u64);
    let all: Option<BTreeSet<u64>> = heads
        .as_array()
        .and_then(|all| all.iter().map(number).collect());
    match all {
        None => Err(format!(
            "`pruned_heads` of layer `{name}` is {}, not a list of some of its {count} heads",
            short(heads)
        )),
        Some(all) if all.len() == count => {
            Err(format!("`pruned_heads` leaves layer `{name}` no head"))
        }
        Some(all) => Ok(all.len()),
    }
}
