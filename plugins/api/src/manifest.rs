//! What a library says of its operators.

use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Example, Stage};

/// Every operator of one library.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// In the order the library names them.
    pub operators: Vec<OperatorManifest>,
}

/// One operator, as `segue stages` shows it and `segue check` uses it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OperatorManifest {
    /// What a graph file's `plugin` says.
    pub name: String,
    /// The operator's own version.
    pub version: String,
    /// One line.
    pub doc: String,
    /// Its `with.*` options.
    #[serde(default)]
    pub options: Vec<OptionManifest>,
    /// Whether `split` works on it.
    #[serde(default)]
    pub units: bool,
    /// Its input ports; empty where all edges bring the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortManifest>,
    /// Whether it needs no input to begin.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub starts: bool,
    /// Inputs with the outputs they must give.
    #[serde(default)]
    pub examples: Vec<Example>,
}

/// An input port, as source code writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Port {
    name: &'static str,
    whole: bool,
}

impl Port {
    /// The port `name`.
    pub const fn new(name: &'static str) -> Self {
        Port { name, whole: false }
    }

    /// The port `name`, a side input: every replica gets all of its rows before its first
    /// other batch, and gives nothing for them.
    pub const fn whole(name: &'static str) -> Self {
        Port { name, whole: true }
    }
}

/// An input port of an operator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortManifest {
    /// As a graph file may write it.
    pub name: String,
    /// Whether it is a side input.
    #[serde(default)]
    pub whole: bool,
}

/// One option of an operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OptionManifest {
    /// As a graph file writes it, after `with.`.
    pub name: String,
    /// What its value must be.
    #[serde(rename = "type")]
    pub option_type: OptionType,
    /// The value it has when left out.
    #[serde(default)]
    pub default: Value,
    /// Whether leaving it out is an error.
    #[serde(default)]
    pub required: bool,
    /// One line.
    #[serde(default)]
    pub doc: String,
    /// The only values it may have, where it is one of a few.
    #[serde(default)]
    pub choices: Vec<String>,
    /// The least number it, or each item of its list, may be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<f64>,
    /// The greatest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<f64>,
}

/// The type of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OptionType {
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// Any finite number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A file or folder that must exist, relative to the graph file.
    Path,
    /// A file or folder to write, relative to the graph file.
    OutputPath,
    /// A list of texts.
    Strings,
    /// A list of whole numbers.
    Integers,
    /// A list of finite numbers.
    Numbers,
    /// A list of texts, or a table that gives each of them a list of texts.
    Names,
}

/// The parts a stage can be cut into, and which option selects a range of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Units {
    /// The option that receives a segment's range, as text `a..b`.
    pub option: String,
    /// In the order data flows through them.
    pub units: Vec<Unit>,
}

/// One part of a divisible stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Unit {
    /// For people: `layer 0`.
    pub name: String,
    /// Work a row costs, in any measure that all units of the stage share.
    pub cost: f64,
    /// Bytes of memory its weights take when loaded.
    pub bytes: u64,
}

impl OptionType {
    /// Whether the value names a file or folder.
    pub fn is_path(self) -> bool {
        matches!(self, OptionType::Path | OptionType::OutputPath)
    }
}

impl OperatorManifest {
    /// Reads name, options and examples off the type of a stage.
    pub fn of<S: Stage>(name: &str, version: &str) -> Self {
        let settings = SchemaSettings::draft2020_12().with(|s| s.inline_subschemas = true);
        let schema = settings.into_generator().into_root_schema_for::<S>();
        let schema = schema.to_value();
        OperatorManifest {
            name: name.to_owned(),
            version: version.to_owned(),
            doc: first_line(&schema),
            options: options(&schema),
            units: S::HAS_UNITS,
            ports: (S::PORTS.iter())
                .map(|port| PortManifest {
                    name: port.name.to_owned(),
                    whole: port.whole,
                })
                .collect(),
            starts: S::STARTS,
            examples: S::examples(),
        }
    }
}

fn options(schema: &Value) -> Vec<OptionManifest> {
    let required = |name: &str| {
        schema["required"]
            .as_array()
            .is_some_and(|all| all.iter().any(|one| one == name))
    };
    let Some(properties) = schema["properties"].as_object() else {
        return Vec::new();
    };
    (properties.iter())
        .map(|(name, property)| OptionManifest {
            name: name.clone(),
            option_type: option_type(property),
            default: default(property),
            required: required(name),
            doc: first_line(property),
            choices: choices(property),
            minimum: bound(property, "minimum"),
            maximum: bound(property, "maximum"),
        })
        .collect()
}

/// A 32-bit number as it was written, and not as it is in 64 bits.
fn default(property: &Value) -> Value {
    let value = &property["default"];
    let single = value.as_f64().filter(|_| property["format"] == "float");
    let written = single.and_then(|number| (number as f32).to_string().parse::<f64>().ok());
    written.map_or(value.clone(), Value::from)
}

/// What `range(min = .., max = ..)` gives, for a list of its items.
fn bound(property: &Value, name: &str) -> Option<f64> {
    (property[name].as_f64()).or_else(|| property["items"][name].as_f64())
}

/// Whether a value described by `schema` may be of type `name`.
fn may_be(schema: &Value, name: &str) -> bool {
    match &schema["type"] {
        Value::Array(all) => all.iter().any(|one| one == name),
        one => one == name,
    }
}

fn option_type(property: &Value) -> OptionType {
    let has = |name: &str| may_be(property, name);
    if property["format"] == "path" {
        OptionType::Path
    } else if property["format"] == "output-path" {
        OptionType::OutputPath
    } else if has("boolean") {
        OptionType::Boolean
    } else if has("integer") {
        OptionType::Integer
    } else if has("number") {
        OptionType::Number
    } else if has("array") && may_be(&property["items"], "integer") {
        OptionType::Integers
    } else if has("array") && may_be(&property["items"], "number") {
        OptionType::Numbers
    } else if has("array") {
        OptionType::Strings
    } else {
        OptionType::String
    }
}

/// The names of an enum's variants: `enum` where none is documented, else `oneOf`.
fn choices(property: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let plain = property["enum"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(text);
    let documented = property["oneOf"]
        .as_array()
        .into_iter()
        .flatten()
        .flat_map(|one| {
            let several = one["enum"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(text);
            text(&one["const"])
                .into_iter()
                .chain(several)
                .collect::<Vec<_>>()
        });
    plain.chain(documented).collect()
}

/// The first paragraph of a doc comment, on one line.
fn first_line(schema: &Value) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    let paragraph = text.split("\n\n").next().unwrap_or_default();
    paragraph.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Batch, Columns, ModelPath, Result};

    /// Does
    /// something.
    ///
    /// At length.
    #[derive(serde::Deserialize, schemars::JsonSchema)]
    #[serde(rename_all = "kebab-case", deny_unknown_fields)]
    #[allow(dead_code)]
    struct Sample {
        /// Where the weights are.
        model: ModelPath,
        #[serde(default)]
        side: Side,
        max_tokens: Option<usize>,
        #[serde(default)]
        names: Vec<String>,
        /// Each from 1 to 9.
        #[serde(default)]
        #[schemars(inner(range(min = 1, max = 9)))]
        sizes: Vec<u32>,
        #[serde(default)]
        #[schemars(range(min = 0.0, max = 1.0))]
        share: f32,
    }

    #[derive(Default, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
    #[serde(rename_all = "kebab-case")]
    enum Side {
        /// The start.
        #[default]
        Head,
        /// Both.
        HeadAndTail,
    }

    impl Stage for Sample {
        fn columns(&self) -> Columns {
            Columns::new()
        }

        fn process(&mut self, batch: Batch) -> Result<Batch> {
            Ok(batch)
        }
    }

    #[test]
    fn options_come_from_the_struct() {
        let manifest = OperatorManifest::of::<Sample>("sample", "1.2.3");
        assert_eq!(manifest.doc, "Does something.");
        let seen: Vec<_> = (manifest.options.iter())
            .map(|o| {
                (
                    o.name.as_str(),
                    o.option_type,
                    o.required,
                    o.choices.join(" "),
                )
            })
            .collect();
        assert_eq!(
            seen,
            [
                ("max-tokens", OptionType::Integer, false, String::new()),
                ("model", OptionType::Path, true, String::new()),
                ("names", OptionType::Strings, false, String::new()),
                ("share", OptionType::Number, false, String::new()),
                (
                    "side",
                    OptionType::String,
                    false,
                    "head head-and-tail".to_owned()
                ),
                ("sizes", OptionType::Integers, false, String::new()),
            ]
        );
        assert_eq!(manifest.options[4].default, "head");
        let range = |i: usize| (manifest.options[i].minimum, manifest.options[i].maximum);
        assert_eq!(range(3), (Some(0.0), Some(1.0)));
        assert_eq!(range(5), (Some(1.0), Some(9.0)));
        assert_eq!(range(2), (None, None));
    }
}
